"""Confidences on any scale: recognized from all of them, or a problem of their row."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import workbench as wb
from workbench.errors import Problem
from workbench.ingest.confidences import as_shares
from workbench.ingest.transcripts import Heard


def transcripts(values: list[float | None]) -> list[Heard]:
    return [Heard("so", f"m:{n}", confidence=value, words=[{"word": "so", "confidence": value}])
            for n, value in enumerate(values)]  # fmt: skip


@pytest.mark.parametrize(
    ("given_", "wanted", "name"),
    [
        ([0.2, 1.0, None], [0.2, 1.0, None], None),
        ([20.0, 99.5, 0.0, None], [0.2, 0.995, 0.0, None], "percent"),
        ([-0.5, 0.0, -20.0], [math.exp(-0.5), 1.0, math.exp(-20)], "logarithms"),
    ],
)
def test_scales_are_recognized(given_: list[Any], wanted: list[Any], name: str | None) -> None:
    heard, problems = transcripts(given_), list[Problem]()
    said = as_shares(heard, problems)
    assert [one.confidence for one in heard] == pytest.approx(wanted)
    assert [one.words[0]["confidence"] for one in heard] == pytest.approx(wanted)
    assert problems == []
    assert len(said) == (0 if name is None else 2)
    assert name is None or all(name in sentence for sentence in said)


@pytest.mark.parametrize("odd", [87.0, -0.3, 1.5, math.nan, math.inf])
def test_one_value_off_the_scale_is_a_problem_of_its_row(odd: float) -> None:
    heard, problems = transcripts([0.5, odd, 0.9, 0.4]), list[Problem]()
    assert as_shares(heard, problems) == []
    assert [one.confidence for one in heard] == [0.5, None, 0.9, 0.4]
    assert [problem.file for problem in problems] == ["m:1"]
    assert "no share" in str(problems[0])


@given(st.lists(st.one_of(st.none(), st.floats()), max_size=12))
def test_whatever_comes_is_a_share_or_nothing(values: list[float | None]) -> None:
    heard, problems = transcripts(values), list[Problem]()
    as_shares(heard, problems)
    assert all(one.confidence is None or 0 <= one.confidence <= 1 for one in heard)
    lost = sum(value is not None and one.confidence is None for value, one in zip(values, heard, strict=True))
    assert len(problems) == lost


def test_an_imported_prediction_tells_what_became_of_them(tmp_path: Path) -> None:
    lines = []
    for n in range(3):
        soundfile.write(tmp_path / f"{n}.wav", 0.1 * np.ones(8000, np.float32), 8000)
        lines.append({"id": f"{n}", "audio_filepath": f"{n}.wav", "duration": 1.0, "text": "so it is",
                      "target_lang": "en-US"})  # fmt: skip
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    ws = wb.Workspace(tmp_path / "ws")
    corpus = ws.import_corpus("c", tmp_path / "m.jsonl")
    stated: list[Any] = [87, "high", 12]
    heard = [{"id": f"{n}", "text": "so it is", "confidence": sure} for n, sure in enumerate(stated)]
    report = ws.import_prediction(corpus, heard, "engine", engine="x")
    assert "confidences of utterances are percent" in str(report)
    assert [problem.field for problem in report.problems] == ["confidence"]
    kept = corpus.prediction("engine")["confidence"].tolist()
    assert kept[0] == pytest.approx(0.87)
    assert kept[1] != kept[1] or kept[1] is None
    assert wb.evaluate(corpus, "engine").confidence("engine", unit="utterance").left_out == 0
