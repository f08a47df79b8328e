"""Every layout gives the same three sentences; what is odd in it is named, what is not understood refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sound_files import lines, tone

from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.ingest.inspect import inspect_source

Bring = Callable[..., Corpus]
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


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_its_sentences_and_sound(tmp_path: Path, bring: Bring, layout: str) -> None:
    source = LAYOUTS[layout](tmp_path / "home" if not (tmp_path / "home").mkdir() else tmp_path)
    corpus = bring(source)
    found = corpus.page(0, 9)
    assert sorted(row["text"] for row in found) == sorted(TEXTS)
    assert corpus.facts["left_out"] == 0
    for row in found:
        assert len(corpus.audio(row["id"])) == pytest.approx(row["duration"] * 16_000, abs=2)
    plan = inspect_source(source)
    assert (plan.usable, plan.rows) == (3, 3)
    assert plan.layout == corpus.facts["kind"]
    assert "Hallo Welt." in plan._repr_html_()
    again = bring(source, plan=type(plan).from_dict(json.loads(json.dumps(plan.to_dict()))))
    assert sorted(row["text"] for row in again.page(0, 9)) == sorted(TEXTS)


def of(layout: str, home: Path, bring: Bring) -> list[dict[str, Any]]:
    return list(bring(LAYOUTS[layout](home)).page(0, 9))


def test_what_layouts_know_beside_the_text(tmp_path: Path, bring: Bring) -> None:
    made = {}
    for layout in LAYOUTS:
        (tmp_path / layout).mkdir()
        made[layout] = of(layout, tmp_path / layout, bring)
    assert [row["split"] for row in made["common_voice"]] == ["train", "validation", "test"]
    assert [row["speaker"] for row in made["kaldi"]] == ["s0", "s1", "s0"]
    assert [(row["offset"], row["duration"]) for row in made["kaldi"]] == [(0.1, 0.8)] * 3
    assert {row["speaker"] for row in made["libri_speech"]} == {"12"}
    assert (
        {row["split"] for row in made["mls"]}
        == {row["split"] for row in made["libri_speech"]}
        == {"validation"}
    )
    assert {row["split"] for row in made["fleurs"]} == {"train"}
    assert {row["target_lang"] for row in made["fleurs"]} == {"de-DE"}
    assert {row["target_lang"] for row in made["parquet_of_the_hub"]} == {"German"}
    assert {row["split"] for row in made["parquet_of_the_hub"]} == {"train"}
    assert {row["split"] for row in made["audiofolder"]} == {"train"}
    assert {row["speaker"] for row in made["label_studio"]} == {"Anna"}
    assert (
        {row["speaker"] for row in made["vtt"]} == {row["speaker"] for row in made["text_grid"]} == {"Anna"}
    )
    assert [row["duration"] for row in made["tabs_beside_a_folder"]] == [1.0, 2.0, 3.0]
    assert {row["target_lang"] for row in made["srt"]} == {"de"}


def test_words_of_a_ctm_become_utterances(tmp_path: Path, bring: Bring) -> None:
    tone(tmp_path / "talk.wav", 20)
    words = [(0.0, "Guten"), (0.4, "Tag."), (5.0, "Noch"), (5.3, "einmal."), (9.0, "Ende.")]
    (tmp_path / "talk.ctm").write_text("".join(f"talk 1 {start} 0.3 {word} 0.9\n" for start, word in words))
    found = bring(tmp_path).page(0, 9)
    assert [row["text"] for row in found] == ["Guten Tag.", "Noch einmal.", "Ende."]
    assert [(row["offset"], row["duration"]) for row in found] == [(0.0, 0.7), (5.0, 0.6), (9.0, 0.3)]


def test_a_kaldi_command_is_named_and_never_run(tmp_path: Path, bring: Bring) -> None:
    data = kaldi(tmp_path)
    scp = (data / "wav.scp").read_text().splitlines()
    scp[1] = f"r1 touch {tmp_path / 'ran'}; cat {tmp_path / 'wav' / NAMES[1]} |"
    (data / "wav.scp").write_text("\n".join(scp) + "\n")
    corpus = bring(data)
    assert sorted(row["text"] for row in corpus.page(0, 9)) == sorted([TEXTS[0], TEXTS[2]])
    assert any("a command, which is never run" in problem.what for problem in corpus.problems)
    assert not (tmp_path / "ran").exists()


def test_tables_that_are_passed_over_are_named(tmp_path: Path, bring: Bring) -> None:
    corpus = bring(common_voice(tmp_path))
    (said,) = [problem.what for problem in corpus.problems if "passed over" in problem.what]
    assert said == "read: train.tsv, dev.tsv, test.tsv; passed over: other.tsv, validated.tsv"
    other = tmp_path / "other"
    comma(other)
    (other / "speakers.csv").write_text("speaker,age\ns1,30\n")
    said = " ".join(problem.what for problem in bring(other).problems)
    assert "read: data.csv" in said
    assert "speakers.csv (columns speaker, age" in said


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "a table of unknown columns": ({"daten.csv": "aufnahme;inhalt\na1.wav;Hallo\n"}, "inhalt"),
    "a table whose recordings are not here": (
        {"t.csv": "path,text\nz.wav,Hallo\n"},
        "none of its recordings",
    ),
    "XML": ({"talk.xml": "<a/>"}, "1 .xml"),
    "texts of other names": ({"text1.txt": "Hallo"}, "1 .txt"),
    "ELAN": ({"talk.eaf": "<a/>", "notes.docx": "x"}, "1 .eaf"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_that_is_not_understood_is_refused_with_what_was_seen(
    tmp_path: Path, bring: Bring, name: str
) -> None:
    files, seen = REFUSED[name]
    (tmp_path / "home").mkdir()
    sounds(tmp_path / "home")
    for file, text in files.items():
        (tmp_path / "home" / file).write_text(text)
    with pytest.raises(WorkbenchError, match="not understood") as error:
        bring(tmp_path / "home")
    assert seen in str(error.value)
    with pytest.raises(WorkbenchError, match="not understood"):
        inspect_source(tmp_path / "home")
    assert not (tmp_path / "corpora").exists() or not list((tmp_path / "corpora").iterdir())


def test_a_mapping_makes_a_table_of_unknown_columns_understood(tmp_path: Path, bring: Bring) -> None:
    sounds(tmp_path)
    (tmp_path / "daten.csv").write_text("aufnahme;inhalt\na1.wav;Hallo dort.\na2.wav;Und hier.\n")
    with pytest.raises(WorkbenchError, match="no column is known as the transcript"):
        bring(tmp_path / "daten.csv")
    plan = inspect_source(tmp_path / "daten.csv")
    assert plan.mapping == {"audio_filepath": "aufnahme", "text": "inhalt"}
    assert any("'inhalt' by what it holds: confirm" in note for note in plan.notes)
    for said in ({"plan": plan}, {"mapping": {"text": "inhalt"}}):
        corpus = bring(tmp_path / "daten.csv", **said)
        assert [row["text"] for row in corpus.page(0, 9)] == ["Hallo dort.", "Und hier."]
    corpus = bring(tmp_path, mapping={"audio_filepath": "aufnahme", "text": "inhalt"})
    assert len(corpus) == 2


def test_nothing_but_sound_comes_without_text_and_says_so(tmp_path: Path, bring: Bring) -> None:
    sounds(tmp_path / "home")
    corpus = bring(tmp_path / "home")
    assert len(corpus) == 3
    assert any("3 of 3 recordings have no transcript" in problem.what for problem in corpus.problems)


PACKED = {
    "x.zip": b"PK\3\4",
    "x.tar.gz": b"\x1f\x8b",
    "x.pkl": b"\x80",
    "x.h5": b"\x89HDF",
    "x.wav": b"RIFF",
    "x.docx": b"PK",
}


@pytest.mark.parametrize("name", PACKED)
def test_a_file_that_is_no_table_is_refused_in_one_line(tmp_path: Path, bring: Bring, name: str) -> None:
    (tmp_path / name).write_bytes(PACKED[name])
    with pytest.raises(WorkbenchError) as error:
        bring(tmp_path / name)
    assert "\n" not in str(error.value)
    assert "Hint:" in str(error.value)


@pytest.mark.parametrize("odd", [7, None, {"a": 1}, [1, 2], object(), {"a": [1], "b": [1, 2]}, []])
def test_an_object_that_is_no_table_is_refused(bring: Bring, odd: Any) -> None:
    with pytest.raises(WorkbenchError, match=r"unsupported source type|different lengths"):
        bring(odd)


def test_a_locale_is_proposed_for_a_language_and_asked_for_where_there_are_several(
    tmp_path: Path, bring: Bring
) -> None:
    for i in range(6):
        tone(tmp_path / f"{i}.wav")
    said = ["da", "Danish", "dan", "en", "el_GR", None]
    rows = [{"audio_filepath": f"{i}.wav", "text": "x", "lang": tag} for i, tag in enumerate(said)]
    plan = inspect_source(lines(tmp_path / "m.jsonl", rows))
    assert plan.tags == {"da": "da-DK", "Danish": "da-DK", "dan": "da-DK"}
    assert len(plan.questions) == 2
    assert "may be en-US, en-GB" in " ".join(plan.questions)
    plan.tags["en"] = "en-GB"
    plan.locale = "el-GR"
    found = bring(tmp_path / "m.jsonl", plan=plan).page(0, 9)
    assert [row["target_lang"] for row in found] == ["da-DK"] * 3 + ["en-GB", "el-GR", "el-GR"]
    found = bring(tmp_path / "m.jsonl", locale="da-DK").page(0, 9)
    assert [row["target_lang"] for row in found] == ["da-DK"] * 3 + ["en", "el-GR", "da-DK"]


def test_recordings_elsewhere_are_proposed_as_roots(tmp_path: Path, bring: Bring) -> None:
    files = sounds(tmp_path / "elsewhere" / "wav")
    rows = [{"audio_filepath": str(p), "text": t} for p, t in zip(files, TEXTS, strict=True)]
    path = lines(tmp_path / "lists" / "m.jsonl", rows)
    with pytest.raises(WorkbenchError, match="leaves the corpus root"):
        bring(path)
    plan = inspect_source(path)
    assert plan.usable == 3
    assert plan.audio_roots[-1] == str(tmp_path / "elsewhere" / "wav")
    assert any("confirm" in note for note in plan.notes)
    assert len(bring(path, plan=plan)) == 3


def test_a_plan_is_kept_saved_and_loaded(tmp_path: Path, bring: Bring) -> None:
    plan = inspect_source(comma(tmp_path / "home"))
    corpus = bring(tmp_path / "home", plan=plan)
    assert corpus.facts["plan"]["mapping"] == {"audio_filepath": "file", "text": "Transcript"}
    assert type(plan).load(plan.save(tmp_path / "plan.json")) == plan
    (tmp_path / "odd.json").write_text('{"layout": "x", "source": "y", "maping": {}}')
    with pytest.raises(WorkbenchError, match="no part 'maping'"):
        type(plan).load(tmp_path / "odd.json")
