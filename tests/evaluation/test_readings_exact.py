"""What a figure may be said to mean, word for word and at its borders: what a mutant would move."""

from __future__ import annotations

import math
from typing import Any

import pytest

from workbench.evaluation import readings as r

KNOWN: dict[str, Any] = {
    "difference": -0.02, "low": -0.03, "high": -0.01, "p_value": 0.01, "enough": "yes",
    "reference_words": 1234, "interval_kind": "speakers", "speakers": 9,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, r.BETTER),
        ({"low": 0.01, "high": 0.03}, r.WORSE),
        ({"high": 0.0}, r.UNCLEAR),
        ({"low": 0.0, "high": 0.03}, r.UNCLEAR),
        ({"high": -1e-9}, r.BETTER),
        ({"low": 1e-9, "high": 0.03}, r.WORSE),
        ({"p_value": 0.05}, r.UNCLEAR),
        ({"p_value": 0.0499}, r.BETTER),
        ({"p_value": None}, r.UNCLEAR),
        ({"p_holm": 0.2}, r.UNCLEAR),
        ({"p_value": 0.2, "p_holm": 0.01}, r.BETTER),
        ({"p_holm": None}, r.BETTER),
        ({"p_holm": math.nan}, r.UNCLEAR),
        ({"enough": "no"}, r.TOO_FEW),
        ({"enough": "provisional"}, r.BETTER),
        ({"low": math.nan}, r.TOO_FEW),
        ({"high": None}, r.TOO_FEW),
    ],
)
def test_direction_at_its_borders(changes: dict[str, Any], said: str) -> None:
    assert r.direction(KNOWN | changes) == said


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "fewer errors: −2.0 points (−3.0 to −1.0 points)"),
        ({"low": -0.03, "high": 0.01}, "no clear difference: −2.0 points (−3.0 to +1.0 points)"),
        (
            {"interval_kind": "these voices only"},
            "fewer errors: −2.0 points (−3.0 to −1.0 points), these voices only",
        ),
        (
            {"unlike": "look-ahead 80 ms and 560 ms"},
            "fewer errors: −2.0 points (−3.0 to −1.0 points); "
            "not like with like: look-ahead 80 ms and 560 ms",
        ),
        ({"enough": "no"}, "−2.0 points, not enough data (1,234 words)"),
        ({"enough": "no", "no_interval": "too few"}, "−2.0 points, not enough data (1,234 words)"),
        (
            {"low": math.nan, "high": math.nan, "no_interval": "there are 3 independent units"},
            "−2.0 points, not enough data (there are 3 independent units)",
        ),
        ({"low": math.nan}, "−2.0 points, not enough data (1,234 words)"),
        (
            {"enough": "no", "unlike": "engine torch and onnx"},
            "−2.0 points, not enough data (1,234 words); not like with like: engine torch and onnx",
        ),
        ({"difference": None}, "no words in common to compare"),
        ({"difference": math.nan}, "no words in common to compare"),
    ],
)
def test_a_difference_in_words(changes: dict[str, Any], sentence: str) -> None:
    assert r.difference_sentence(KNOWN | changes) == sentence


def test_a_difference_of_which_nothing_else_is_known() -> None:
    assert r.difference_sentence({"difference": 0.01}) == "+1.0 points, not enough data (0 words)"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "25.0 % of words wrong (20.0 % to 31.0 %)"),
        ({"metric": "cer"}, "25.0 % of characters wrong (20.0 % to 31.0 %)"),
        (
            {"interval_kind": "speakers unknown"},
            "25.0 % of words wrong (20.0 % to 31.0 %), speakers unknown",
        ),
        ({"interval_kind": None}, "25.0 % of words wrong (20.0 % to 31.0 %)"),
        ({"low": math.nan}, "25.0 % of words wrong, no interval (not computed)"),
        (
            {"low": None, "no_interval": "too few", "interval_kind": "these voices only"},
            "25.0 % of words wrong, no interval (too few), these voices only",
        ),
        ({"enough": "no"}, "not enough data (1,234 words)"),
        ({"rate": math.nan}, "nothing was said here"),
        ({"rate": None, "enough": "no"}, "nothing was said here"),
    ],
)
def test_a_rate_in_words(changes: dict[str, Any], sentence: str) -> None:
    known = KNOWN | {"rate": 0.25, "low": 0.2, "high": 0.31, "metric": "wer"}
    assert r.rate_sentence(known | changes) == sentence


def test_a_rate_of_which_nothing_else_is_known() -> None:
    assert r.rate_sentence({"rate": 0.5, "enough": "no"}) == "not enough data (0 words)"


def test_the_size_of_the_evidence() -> None:
    assert r.evidence(KNOWN) == "1,234 words, 9 speakers"
    assert r.evidence({"reference_words": 12, "speakers": 1}) == "12 words, 1 speaker"
    assert r.evidence({"speakers": 1200}) == "0 words, 1,200 speakers"
    assert r.evidence({"speakers": None}) == "0 words, 0 speakers"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0 %"),
        (0.0099, "0.99 %"),
        (0.01, "1.0 %"),
        (-0.005, "-0.50 %"),
        (0.456, "45.6 %"),
        (1.2, "120.0 %"),
    ],
)
def test_percent(value: float, text: str) -> None:
    assert r.percent(value) == text


def test_points() -> None:
    assert [r.points(v) for v in (0.0123, -0.46, 0.0)] == ["+1.2 points", "−46.0 points", "+0.0 points"]
