"""Every kind of source becomes the same kind of corpus, its audio untouched and its extra fields kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workbench.corpus.importing import import_source
from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.ingest.inspect import inspect_source
from workbench.ingest.schema import guess_mapping


@pytest.fixture
def three(clips: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in clips.open(encoding="utf-8")][:3]
    return [{**row, "path": str(clips.parent / row["audio_filepath"])} for row in rows]


def heard(corpus: Corpus) -> None:
    """The audio of every row decodes to its stated length."""
    for row in corpus.page(0, 100):
        assert abs(len(corpus.audio(row["id"])) / 16_000 - row["duration"]) < 0.02


def in_memory(rows: list[dict[str, Any]], folder: Path) -> Any:
    import datasets

    columns: dict[str, list[Any]] = {
        "audio": [{"bytes": Path(r["path"]).read_bytes(), "path": "x.ogg"} for r in rows],
        "sentence": [r["text"] for r in rows],
        "locale": [r["target_lang"] for r in rows],
        "duration": [r["duration"] for r in rows],
        "mood": ["calm"] * 3,
    }
    return datasets.Dataset.from_dict(columns).cast_column("audio", datasets.Audio(decode=False))


def saved(rows: list[dict[str, Any]], folder: Path) -> Path:
    import datasets

    datasets.DatasetDict(train=in_memory(rows, folder)).save_to_disk(str(folder / "saved"))
    return folder / "saved"


def audiofolder(rows: list[dict[str, Any]], folder: Path) -> Path:
    target = folder / "audiofolder"
    target.mkdir()
    lines = ["file_name,transcription,locale,mood"]
    for i, row in enumerate(rows):
        shutil.copy(row["path"], target / f"{i}.ogg")
        lines.append(f'{i}.ogg,"{row["text"]}",{row["target_lang"]},calm')
    (target / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target


def common_voice(rows: list[dict[str, Any]], folder: Path) -> Path:
    target = folder / "cv" / "clips"
    target.mkdir(parents=True)
    lines, lengths = ["client_id\tpath\tsentence\taccents\tlocale\tmood"], ["clip\tduration[ms]"]
    for i, row in enumerate(rows):
        shutil.copy(row["path"], target / f"{i}.ogg")
        lines.append(f"spk{i}\t{i}.ogg\t{row['text']}\t\t{row['target_lang']}\tcalm")
        lengths.append(f"{i}.ogg\t{round(row['duration'] * 1000)}")
    (folder / "cv" / "dev.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "cv" / "clip_durations.tsv").write_text("\n".join(lengths) + "\n")
    return folder / "cv" / "dev.tsv"


def table(rows: list[dict[str, Any]], folder: Path, kind: str) -> Path:
    import pandas as pd

    path = folder / f"rows.{kind}"
    for i, row in enumerate(rows):
        shutil.copy(row["path"], folder / f"{i}.ogg")
    frame = pd.DataFrame(
        {"wav": [f"{i}.ogg" for i in range(3)], "transcript": [r["text"] for r in rows],
         "language": [r["target_lang"] for r in rows], "mood": "calm"}
    )  # fmt: skip
    frame.to_parquet(path) if kind == "parquet" else frame.to_csv(path, index=False)
    return path


def audio_and_text(rows: list[dict[str, Any]], folder: Path) -> Path:
    target = folder / "plain"
    (target / "deep").mkdir(parents=True)
    for i, row in enumerate(rows):
        shutil.copy(row["path"], target / "deep" / f"{i}.ogg")
        (target / "deep" / f"{i}.txt").write_text(row["text"], encoding="utf-8-sig")
    return target


def cuts(rows: list[dict[str, Any]], folder: Path) -> Any:
    import lhotse

    made = []
    for row in rows:
        cut = lhotse.Recording.from_file(row["path"], recording_id=row["id"]).to_cut()
        cut.id = row["id"]
        cut.supervisions = [
            lhotse.SupervisionSegment(
                id=row["id"], recording_id=row["id"], start=0, duration=cut.duration, text=row["text"],
                language=row["target_lang"], speaker=row["speaker"], custom={"mood": "calm"},
            )
        ]  # fmt: skip
        made.append(cut)
    return lhotse.CutSet.from_cuts(made)


def cuts_file(rows: list[dict[str, Any]], folder: Path) -> Path:
    cuts(rows, folder).to_file(folder / "cuts.jsonl.gz")
    return folder / "cuts.jsonl.gz"


def shar(rows: list[dict[str, Any]], folder: Path) -> Path:
    (folder / "shar").mkdir()
    cuts(rows, folder).to_shar(folder / "shar", fields={"recording": "flac"})
    return folder / "shar"


KINDS: dict[str, Callable[[list[dict[str, Any]], Path], Any]] = {
    "data set in memory": in_memory,
    "saved data set": saved,
    "audiofolder": audiofolder,
    "Common Voice": common_voice,
    "CSV": lambda rows, folder: table(rows, folder, "csv"),
    "Parquet": lambda rows, folder: table(rows, folder, "parquet"),
    "folder of audio": audio_and_text,
    "cuts": cuts,
    "cuts file": cuts_file,
    "Shar": shar,
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_source_gives_text_locale_and_sound(
    three: list[dict[str, Any]], tmp_path: Path, kind: str
) -> None:
    source = KINDS[kind](three, tmp_path)
    defaults = {} if kind != "folder of audio" else {"target_lang": "bg-BG"}
    shown = inspect_source(source, defaults=defaults)
    assert "audio_filepath" in shown.mapping
    assert (shown.usable, shown.rows, shown.left_out) == (3, 3, {})
    # A file of cuts names recordings anywhere on the machine: which may be read is the user's word.
    roots = [Path(three[0]["path"]).parent] if kind == "cuts file" else None
    corpus = import_source(source, tmp_path / "corpora" / "c", name="c", defaults=defaults, audio_roots=roots)
    assert not corpus.problems
    found = corpus.page(0, 9)
    assert sorted(row["text"] for row in found) == sorted(row["text"] for row in three)
    wanted = sorted(row["target_lang"] for row in three) if not defaults else ["bg-BG"] * 3
    assert sorted(row["target_lang"] for row in found) == wanted
    if kind != "folder of audio":
        assert [row["mood"] for row in found] == ["calm"] * 3
    if kind == "Common Voice":
        assert {row["split"] for row in found} == {"validation"}
        assert {row["speaker"] for row in found} == {"spk0", "spk1", "spk2"}
    heard(corpus)


SIX = "audio_filepath text target_lang speaker accent duration"


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        ("Dateiname;Transkript;Sprache;Sprecher;Dialekt;Länge", SIX),
        ("FICHIER;Transcription;Langue;Locuteur;Accent;Durée", SIX),
        ("archivo;transcripción;idioma;hablante;acento;duración", SIX),
        ("percorso;trascrizione;lingua;parlante;accento;durata", SIX),
        ("lydfil;sætning;sprog;taler;varighed", "audio_filepath text target_lang speaker duration"),
        ("Файл;Текст;Язык;Диктор;Начало;Конец", "audio_filepath text target_lang speaker offset end"),
        ("αρχείο;κείμενο;γλώσσα;ομιλητής;διάρκεια", "audio_filepath text target_lang speaker duration"),
        ("path;sentence;Satz;client_id", "audio_filepath text - speaker"),
    ],
)
def test_headings_in_other_languages_are_understood_after_the_usual_ones(header: str, meant: str) -> None:
    columns = header.split(";")
    wanted = {field: c for field, c in zip(meant.split(), columns, strict=True) if field != "-"}
    assert guess_mapping(columns) == wanted


def test_a_mapping_is_guessed_shown_and_overruled(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(
        json.dumps({"file": "a.wav", "words": "Hi", "note": "Other", "seconds": 2, "lang": "en-US"}) + "\n"
    )
    assert inspect_source(path).mapping == {
        "audio_filepath": "file", "duration": "seconds", "target_lang": "lang", "lang": "lang"
    }  # fmt: skip
    corpus = import_source(path, tmp_path / "c", name="c", mapping={"text": "note"})
    assert corpus.row(corpus.ids()[0])["text"] == "Other"
    with pytest.raises(WorkbenchError, match="no column 'nota'"):
        inspect_source(path, mapping={"text": "nota"})
    assert guess_mapping(["Audio_FilePath", "Duration"]) == {
        "audio_filepath": "Audio_FilePath",
        "duration": "Duration",
    }


def test_a_language_without_region_is_asked_about(make: Callable[..., Corpus]) -> None:
    rows = [{"target_lang": "el"}, {"target_lang": "EL_gr"}, {"target_lang": "unknown"}]
    corpus = make(rows)
    assert [row["target_lang"] for row in corpus.page(0, 9)] == ["el", "el-GR", None]
    (problem,) = corpus.problems
    assert "el-GR" in problem.hint
    answered = make(rows, tags={"el": "el-GR"})
    assert [row["target_lang"] for row in answered.page(0, 9)] == ["el-GR", "el-GR", None]
    assert not answered.problems


def test_a_link_out_of_the_root_is_refused(make: Callable[..., Corpus], tmp_path: Path) -> None:
    (tmp_path / "secret.wav").write_bytes(b"RIFF")
    corpus = make([{"audio_filepath": "link.wav"}, {"audio_filepath": "sub/../../../secret.wav", "id": "up"}])
    (corpus.audio_root / "link.wav").symlink_to(tmp_path / "secret.wav")
    (id_,) = corpus.ids()
    with pytest.raises(WorkbenchError, match="outside"):
        corpus.audio_path(id_)
    assert [p.field for p in corpus.problems] == ["audio_filepath"]


def test_another_root_is_read_only_if_allowed(clips: Path, tmp_path: Path) -> None:
    row = {**json.loads(clips.open(encoding="utf-8").readline())}
    row["audio_filepath"] = str(clips.parent / row["audio_filepath"])
    path = tmp_path / "elsewhere" / "m.jsonl"
    path.parent.mkdir()
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    with pytest.raises(WorkbenchError, match="leaves the corpus root"):
        import_source(path, tmp_path / "a", name="a")
    corpus = import_source(path, tmp_path / "b", name="b", audio_roots=[clips.parent])
    heard(corpus)


def test_damaged_tables_keep_their_good_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'path,text,duration\na.wav,"one, two",1\nb.wav,x\nc.wav,\xff,1\nd.wav,<script>,1\n')
    corpus = import_source(path, tmp_path / "c", name="c")
    assert [row["text"] for row in corpus.page(0, 9)] == ["one, two", "<script>"]
    assert [p.line for p in corpus.problems] == [3, 4]
    assert "<script>" not in corpus._repr_html_()


def test_columns_that_clash_are_renamed_and_change_nothing(make: Callable[..., Corpus]) -> None:
    odd = {
        "path": "/etc/passwd",
        "_path": "x",
        "_fault": "y",
        "A": 1,
        "a": 2,
        "Text": "T",
        "words": 3,
        "_row": 4,
    }
    corpus = make([{"id": "u", **odd}])
    row = corpus.row("u")
    assert (row["audio_filepath"], row["text"]) == ("0.wav", "Hello.")
    assert row["path"] == "/etc/passwd"
    renamed = {
        "source_path": "x",
        "source_fault": "y",
        "A": 1,
        "source_a": 2,
        "source_Text": "T",
        "source_row": 4,
    }
    assert {name: row[name] for name in renamed} == renamed
    assert (row["words"], row["source_words"]) == (1, 3)


def test_tarred_nemo_comes_back_as_it_left(clips: Path, tmp_path: Path) -> None:
    import tarfile

    first = import_source(clips, tmp_path / "first", name="first").where("split = 'train'")
    made = first.export(tmp_path / "x", "tarred", only="not_rejected", shard_size=15, append_tag=False)
    source = made.manifest("train")
    again = import_source(source, tmp_path / "again", name="again")
    assert again.facts["kind"] == "tarred NeMo manifest of the workbench"
    assert not again.problems
    assert sorted(again.ids()) == sorted(first.ids())
    for id_ in first.ids()[:5]:
        assert again.row(id_)["text"] == first.row(id_)["text"]
        assert again.audio_path(id_).read_bytes() == first.audio_path(id_).read_bytes()
        assert again.audio_path(id_).is_relative_to(again.folder / "audio")
    folder = source.parent
    lines = (folder / "manifest_0.json").read_text(encoding="utf-8").splitlines()
    row = json.loads(lines[0])
    part = row["audio_filepath"].replace(".ogg", "-sub1.ogg")
    lines += [json.dumps({**row, "id": "part", "audio_filepath": part, "offset": 0.2, "duration": 0.3})]
    lines += [json.dumps({**row, "id": "lost", "audio_filepath": "../../etc/passwd"})]
    (folder / "manifest_0.json").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "audio_1.tar").write_bytes((folder / "audio_1.tar").read_bytes()[:5_000])
    damaged = import_source(source, tmp_path / "damaged", name="damaged")
    assert len(damaged.audio("part")) == pytest.approx(0.3 * 16_000, abs=2)
    assert damaged.audio_path("part").read_bytes() == again.audio_path(row["id"]).read_bytes()
    assert "lost" not in damaged.ids()
    assert any("damaged" in p.what and p.file == "audio_1.tar" for p in damaged.problems)
    assert len(damaged) < len(first)
    with tarfile.open(folder / "audio_0.tar") as archive:
        assert row["audio_filepath"] in archive.getnames()
