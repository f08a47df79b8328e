"""The same three sentences in every layout that people have; each maker gives what is imported."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sound_files import tone

TEXTS = ["Hallo Welt.", 'Er sagte "Ja", dann; ging er.', "Größe: 10 %"]
NAMES = ["a1.wav", "a2.wav", "b 3.wav"]
HERE = Path(__file__).parent


def sounds(folder: Path) -> list[Path]:
    return [tone(folder / name, 1.0 + i) for i, name in enumerate(NAMES)]


def quoted(values: list[str], sign: str) -> str:
    return sign.join('"' + v.replace('"', '""') + '"' if sign in v or '"' in v else v for v in values)


def comma(home: Path) -> Any:
    sounds(home / "recordings")
    rows = [["Datei", "Transcript", "note"], *([n, t, "x"] for n, t in zip(NAMES, TEXTS, strict=True))]
    rows[0][0] = "file"
    (home / "data.csv").write_text("\n".join(quoted(row, ",") for row in rows), encoding="utf-8-sig")
    return home


def semicolon(home: Path) -> Any:
    sounds(home)
    rows = [["path", "sentence", ""], *([n, t, ""] for n, t in zip(NAMES, TEXTS, strict=True))]
    (home / "t.csv").write_text("\r\n".join(quoted(row, ";") for row in rows), encoding="utf-8")
    return home / "t.csv"


def tabs_beside_a_folder(home: Path) -> Any:
    """As Common Voice's spontaneous speech: ``audios/`` and a table of another name."""
    sounds(home / "audios")
    rows = [["client_id", "audio_id", "transcription", "duration_ms"]]
    rows += [
        ["s", Path(n).stem, t, str(1000 * (i + 1))] for i, (n, t) in enumerate(zip(NAMES, TEXTS, strict=True))
    ]
    (home / "ss-corpus-de.tsv").write_text("\n".join("\t".join(row) for row in rows), encoding="utf-8")
    return home


def utf16_table(home: Path) -> Any:
    sounds(home)
    rows = [["path", "text"], *([n, t] for n, t in zip(NAMES, TEXTS, strict=True))]
    (home / "t.tsv").write_text("\n".join("\t".join(row) for row in rows), encoding="utf-16")
    return home / "t.tsv"


def excel(home: Path) -> Any:
    import openpyxl

    sounds(home / "wav")
    book = openpyxl.Workbook()
    book.active.append(["Filename", "Text", "Speaker"])
    for name, text in zip(NAMES, TEXTS, strict=True):
        book.active.append([name, text, "s1"])
    book.create_sheet("notes").append(["nothing"])
    book.save(home / "list.xlsx")
    return home


def no_header(home: Path) -> Any:
    sounds(home)
    (home / "t.tsv").write_text(
        "\n".join(f"{n}\t{t}" for n, t in zip(NAMES, TEXTS, strict=True)), encoding="utf-8"
    )
    return home


def common_voice(home: Path) -> Any:
    sounds(home / "clips")
    head = "client_id\tpath\tsentence\tup_votes\tlocale"
    made = [f"s{i}\t{n}\t{t}\t2\tde" for i, (n, t) in enumerate(zip(NAMES, TEXTS, strict=True))]
    for name, some in {
        "train": made[:1],
        "dev": made[1:2],
        "test": made[2:],
        "validated": made,
        "other": made,
    }.items():
        (home / f"{name}.tsv").write_text("\n".join([head, *some]) + "\n", encoding="utf-8")
    return home


def kaldi(home: Path) -> Any:
    files = sounds(home / "wav")
    data = home / "data" / "train"
    data.mkdir(parents=True)
    (data / "wav.scp").write_text("".join(f"r{i} {path}\n" for i, path in enumerate(files)))
    (data / "segments").write_text("".join(f"u{i} r{i} 0.1 0.9\n" for i in range(3)))
    (data / "text").write_text("".join(f"u{i} {t}\n" for i, t in enumerate(TEXTS)), encoding="utf-8")
    (data / "utt2spk").write_text("".join(f"u{i} s{i % 2}\n" for i in range(3)))
    return data


def lj_speech(home: Path) -> Any:
    sounds(home / "wavs")
    made = [f"{Path(n).stem}|{t}|{t.lower()}" for n, t in zip(NAMES, TEXTS, strict=True)]
    (home / "metadata.csv").write_text("\n".join(made), encoding="utf-8")
    return home


def libri_speech(home: Path) -> Any:
    made = []
    for i, text in enumerate(TEXTS):
        tone(home / "dev-clean" / "12" / "34" / f"12-34-{i:04d}.flac")
        made.append(f"12-34-{i:04d} {text}")
    (home / "dev-clean" / "12" / "34" / "12-34.trans.txt").write_text("\n".join(made), encoding="utf-8")
    return home


def mls(home: Path) -> Any:
    made = []
    for i, text in enumerate(TEXTS):
        tone(home / "mls_german" / "dev" / "audio" / "1" / "2" / f"1_2_{i:06d}.flac")
        made.append(f"1_2_{i:06d}\t{text}")
    (home / "mls_german" / "dev" / "transcripts.txt").write_text("\n".join(made), encoding="utf-8")
    return home / "mls_german"


def vox_populi(home: Path) -> Any:
    made = ["id\traw_text\tnormalized_text\tspeaker_id\tsplit\tgender\tis_gold_transcript\taccent"]
    for i, text in enumerate(TEXTS):
        tone(home / "de" / "2012" / f"2012-{i}-de_x.ogg")
        made.append(f"2012-{i}-de_x\t{text if i else ''}\t{text}\t{i}\tdev\tmale\tTrue\tNone")
    (home / "de" / "asr_dev.tsv").write_text("\n".join(made), encoding="utf-8")
    return home / "de"


def fleurs(home: Path) -> Any:
    sounds(home / "de_de" / "audio" / "train")
    made = [f"{i}\t{n}\t{t}\t{t.lower()}\tx | y\t{16_000 * (i + 1)}\tMALE"
            for i, (n, t) in enumerate(zip(NAMES, TEXTS, strict=True))]  # fmt: skip
    (home / "de_de" / "train.tsv").write_text("\n".join(made) + "\n", encoding="utf-8")
    return home / "de_de"


def audiofolder(home: Path) -> Any:
    sounds(home / "data" / "train")
    rows = [["file_name", "transcription"], *([f"train/{n}", t] for n, t in zip(NAMES, TEXTS, strict=True))]
    (home / "data" / "metadata.csv").write_text("\n".join(quoted(row, ",") for row in rows), encoding="utf-8")
    return home / "data"


def beside(home: Path) -> Any:
    for path, text in zip(sounds(home / "x" / "y"), TEXTS, strict=True):
        path.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")
    return home


def label_studio(home: Path) -> Any:
    sounds(home)
    tasks = []
    for i, (name, text) in enumerate(zip(NAMES, TEXTS, strict=True)):
        stretch = {"start": 0.25, "end": 0.75, "channel": 0}
        results = [
            {"id": "r", "type": "labels", "value": {**stretch, "labels": ["Anna"]}},
            {"id": "r", "type": "textarea", "value": {**stretch, "text": [text]}},
        ]
        spoiled = {"was_cancelled": True, "result": [{"type": "textarea", "value": {"text": ["no"]}}]}
        tasks.append({"id": i, "data": {"audio": f"/data/upload/1/0123abcd-{name}"},
                      "annotations": [{"result": results}, spoiled]})  # fmt: skip
    (home / "export.json").write_text(json.dumps(tasks), encoding="utf-8")
    shutil.move(home / "export.json", home / "project.json")
    return home / "project.json"


def stm(home: Path) -> Any:
    sounds(home)
    made = [";; a comment"]
    made += [
        f"{Path(n).stem.replace(' ', '_')} 1 anna 0.10 0.90 <o,f0,female> {t}"
        for n, t in zip(NAMES, TEXTS, strict=True)
    ]
    (home / "b 3.wav").rename(home / "b_3.wav")
    (home / "all.stm").write_text("\n".join(made), encoding="utf-8")
    return home / "all.stm"


LONG_TEXT_GRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "Anna"
        xmin = 0
        xmax = 1
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.1
            text = ""
        intervals [2]:
            xmin = 0.1
            xmax = 0.9
            text = "{}"
    item [2]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 1
            text = "Wort"
"""


def text_grid(home: Path) -> Any:
    for path, text in zip(sounds(home), TEXTS, strict=True):
        made = LONG_TEXT_GRID.replace("{}", text.replace('"', '""'))
        path.with_suffix(".TextGrid").write_text(made, encoding="utf-16")
    return home


def short_text_grid(home: Path) -> Any:
    for path, text in zip(sounds(home), TEXTS, strict=True):
        escaped = text.replace('"', '""')
        path.with_suffix(".TextGrid").write_text(
            f'"ooTextFile"\n"TextGrid"\n0\n1\n<exists>\n1\n"IntervalTier"\n"Anna"\n0\n1\n1\n0.1\n0.9\n"{escaped}"\n',
            encoding="utf-8",
        )
    return home


def srt(home: Path) -> Any:
    tone(home / "talk.wav", 10)
    made = [f"{i + 1}\n00:00:0{i},100 --> 00:00:0{i},900\n<i>{t.replace('; ', ';' + chr(10))}</i>\n"
            for i, t in enumerate(TEXTS)]  # fmt: skip
    (home / "talk.de.srt").write_text("\n".join(made), encoding="utf-8-sig")
    return home


def vtt(home: Path) -> Any:
    tone(home / "talk.mp3.wav", 10)
    made = ["WEBVTT - a title\n", "NOTE nothing\n", "STYLE\n::cue { color: red }\n"]
    made += [f"00:0{i}.100 --> 00:0{i}.900 align:start\n<v Anna>{t}\n" for i, t in enumerate(TEXTS)]
    (home / "talk.mp3.vtt").write_text("\n".join(made), encoding="utf-8")
    return home / "talk.mp3.vtt"


def parquet_by_path(home: Path) -> Any:
    import pandas as pd

    sounds(home)
    pd.DataFrame({"audio": NAMES, "sentence": TEXTS}).to_parquet(home / "t.parquet")
    return home / "t.parquet"


def parquet_of_the_hub(home: Path) -> Any:
    """As ``google/fleurs`` comes: bytes inside, class labels as numbers, raw and normalized transcripts."""
    import datasets

    files = sounds(home / "src")
    data = {
        "audio": [{"bytes": path.read_bytes(), "path": path.name} for path in files],
        "raw_transcription": TEXTS, "transcription": [t.lower() for t in TEXTS], "language": [1, 1, 1],
    }  # fmt: skip
    (home / "data").mkdir()
    made = datasets.Dataset.from_dict(data).cast_column("audio", datasets.Audio(decode=False))
    made = made.cast_column("language", datasets.ClassLabel(names=["Danish", "German"]))
    made.to_parquet(home / "data" / "train-00000-of-00001.parquet")
    shutil.rmtree(home / "src")
    return home


def frame(home: Path) -> Any:
    import pandas as pd

    return pd.DataFrame({"audio": [str(p) for p in sounds(home)], "sentence": TEXTS, "age": [1, None, 3]})


def arrow(home: Path) -> Any:
    import pyarrow as pa

    return pa.table({"path": [str(p) for p in sounds(home)], "text": TEXTS})


def dicts(home: Path) -> Any:
    return [{"path": p, "text": t} for p, t in zip(sounds(home), TEXTS, strict=True)]


def columns(home: Path) -> Any:
    return {"path": [str(p) for p in sounds(home)], "text": TEXTS}


LAYOUTS: dict[str, Callable[[Path], Any]] = {
    made.__name__: made
    for made in (
        comma, semicolon, tabs_beside_a_folder, utf16_table, excel, no_header, common_voice, kaldi, lj_speech,
        libri_speech, mls, vox_populi, fleurs, audiofolder, beside, label_studio, stm, text_grid,
        short_text_grid, srt, vtt, parquet_by_path, parquet_of_the_hub, frame, arrow, dicts, columns,
    )
}  # fmt: skip
