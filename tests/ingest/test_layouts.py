"""Every layout gives the same three sentences; what is odd in it is named, what is not understood refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_layouts import LAYOUTS, NAMES, TEXTS, comma, common_voice, kaldi, sounds
from sound_files import lines, tone

from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.ingest.inspect import inspect_source

Bring = Callable[..., Corpus]


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
    os.mkfifo(tmp_path / "pipe")  # nobody writes: reading it would wait for ever
    with pytest.raises(WorkbenchError, match="a pipe"):
        type(plan).load(tmp_path / "pipe")
