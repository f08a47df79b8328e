"""Clips declared to hold no speech, and translations: checked, exported, trained and scored as such."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from workbench.corpus.quality.checks import run_checks
from workbench.errors import Problem, WorkbenchError
from workbench.evaluation import score_predictions
from workbench.finetuning import Source
from workbench.finetuning.rows import read_source
from workbench.ingest.not_speech import is_declared, translation

SPOKEN = [{"text": f"Sentence number {n}."} for n in range(18)]


@pytest.mark.parametrize("value", [True, "true", "Yes", 1, "1"])
def test_a_row_is_declared_by_its_column_or_by_a_tag(value: Any) -> None:
    assert is_declared(value)
    assert is_declared(None, ["noisy", "no_speech"])
    assert is_declared(False, ["No speech"])
    assert not is_declared(None, ["speech"])
    assert not is_declared("no", None)


@pytest.mark.parametrize(
    ("lang", "target", "found"),
    [
        ("en", "de-DE", "en to de"),
        ("es-US", "es-ES", None),
        ("no", "nb-NO", None),
        ("auto", "de-DE", None),
        (None, "de-DE", None),
        ("en-US", "auto", None),
        ("elvish", "de-DE", None),
    ],
)
def test_a_translation_is_named_by_its_languages(lang: Any, target: str, found: str | None) -> None:
    assert translation(lang, target) == found


def test_declared_clips_leave_with_their_tag_alone_and_are_counted(make: Any, tmp_path: Path) -> None:
    corpus = make(
        [*SPOKEN, {"text": "", "no_speech": True}, {"text": ""}, {"text": "Oh.", "no_speech": True}]
    )
    ids = corpus.ids()
    rules = run_checks(corpus).groupby("id")["rule"].agg(set).to_dict()
    assert "no_speech" in rules[ids[18]]
    assert "text_empty" not in rules[ids[18]]
    assert "text_empty" in rules[ids[19]]
    assert "no_speech_text" in rules[ids[20]]
    made = corpus.export(tmp_path / "x", only="not_rejected")
    rows = [json.loads(line) for f in made.files.values() for line in (made.path / f).open(encoding="utf-8")]
    assert {row["text"] for row in rows if row["id"] == ids[18]} == {"<en-US>"}
    card = json.loads((made.path / "data_card.json").read_text())
    assert card["declared_without_speech"] == 1
    left = {"declared without speech, and has a transcript": 1, "no transcript": 1}
    assert card["left_out"] == left
    # The tag of a reviewer declares as the column does.
    corpus.pick([ids[19]]).tag("no speech", reviewer="ann")
    again = corpus.export(tmp_path / "y", only="not_rejected", silence_limit=0.2)
    assert again.counts["utterances"] == 20
    with pytest.raises(WorkbenchError, match=r"2 of 20 rows .* more than 5 %"):
        corpus.export(tmp_path / "z", only="not_rejected", silence_limit=0.05)


def test_a_translation_is_found_and_stays_behind(make: Any, tmp_path: Path) -> None:
    corpus = make([*SPOKEN[:2], {"text": "Guten Tag.", "lang": "en", "target_lang": "de-DE"}])
    found = run_checks(corpus)
    assert found.loc[found["rule"] == "translation", "value"].tolist() == ["en to de"]
    made = corpus.export(tmp_path / "x", only="not_rejected")
    card = json.loads((made.path / "data_card.json").read_text())
    assert card["left_out"] == {"a translation": 1}


def test_training_takes_declared_clips_up_to_a_tenth(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    base = {"audio_filepath": "a.wav", "duration": 2.0, "target_lang": "en-US"}
    rows = [{**base, "text": f"Word {n}. <en-US>", "id": str(n)} for n in range(18)]
    rows += [{**base, "text": "<en-US>", "no_speech": True, "id": "s1"}]
    rows += [{**base, "text": "", "tags": ["no speech"], "id": "s2"}]
    rows += [{**base, "text": "", "id": "undeclared"}]
    rows += [{**base, "text": "Hallo.", "lang": "de", "id": "translated"}]

    def read(lines: list[dict[str, Any]]) -> tuple[list[Any], list[Problem]]:
        (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        problems: list[Problem] = []
        return read_source(Source(str(tmp_path / "m.jsonl")), ["en-US", "auto"], problems, (0, 9)), problems

    found, problems = read(rows)
    assert [row.id for row in found if not row.text] == ["s1", "s2"]
    assert [problem.what for problem in problems] == ["no text", "a translation, de to en"]
    few, problems = read(rows[8:20])
    assert [row.id for row in few if not row.text] == ["s1"]
    assert [p.what for p in problems] == ["1 of 2 rows without speech are beyond a tenth of the rows"]


def test_declared_clips_are_scored_as_speech_invented_in_silence() -> None:
    rows = pd.DataFrame(
        {
            "id": ["a", "b", "c", "d"],
            "text": ["Good day.", None, None, "Guten Tag."],
            "no_speech": [None, True, None, None],
            "lang": ["en-US", "en-US", "en-US", "en-US"],
            "target_lang": ["en-US", "en-US", "en-US", "de-DE"],
        }
    )
    heard = pd.DataFrame({"id": ["a", "b", "c", "d"], "hypothesis": ["good day", "oh no", "well", "hi"]})
    found = score_predictions(rows, {"p": heard}, by=())
    assert found.rows["id"].tolist() == ["a", "b"]
    whole = found.silence("p").iloc[-1]
    assert (whole["silent"], whole["invented"], whole["words"]) == (1, 1, 2)
    assert found.overall("p")["errors"] == 2 or found.overall("p")["reference_units"] == 2
    told = [problem.what for problem in found.problems]
    assert any("translation" in what for what in told)
    assert any("no reference text" in what for what in told)
