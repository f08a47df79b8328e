"""The rules of verdicts at their borders, value for value: what a mutant would move."""

from __future__ import annotations

import math
from typing import Any

import pytest

from workbench.release import verdicts as v
from workbench.release.verdicts import FAIL, PASS, UNKNOWN

SHOWN = (
    "rate_a", "rate_b", "difference", "low", "high", "lower_bound", "upper_bound", "p_value", "better",
    "worse", "utterances", "speakers", "reference_words", "interval_kind", "enough", "metric", "normalizer",
)  # fmt: skip


def row(
    difference: float, low: float, high: float, lower: float | None = None, upper: float | None = None
) -> dict[str, Any]:
    return {
        "difference": difference, "low": low, "high": high,
        "lower_bound": low if lower is None else lower, "upper_bound": high if upper is None else upper,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("found", "verdict", "ends"),
    [
        (row(-0.02, -0.03, -0.01), PASS, "better"),
        (row(-0.02, -0.04, 0.0), UNKNOWN, "better here, but the interval reaches zero"),
        (row(0.02, 0.01, 0.03), FAIL, "worse"),
        (row(0.0, -0.01, 0.01), FAIL, "no better"),
        (row(0.02, 0.0, 0.03), FAIL, "no better"),
        (row(-0.02, math.nan, math.nan), UNKNOWN, "too few utterances for an interval"),
    ],
)
def test_improved_at_its_borders(found: dict[str, Any], verdict: str, ends: str) -> None:
    said = v.improved(found)
    assert said[0] == verdict
    assert said[1].endswith(f": {ends}")
    assert said[1].startswith(f"changed by {v.points(found['difference'])}")


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (row(0.0, -0.01, 0.02, -0.005, 0.0099), PASS),
        (row(0.0, -0.01, 0.02, -0.005, 0.01), UNKNOWN),  # the bound touches the margin
        (row(0.02, 0.01, 0.03, 0.01, 0.03), FAIL),  # shown beyond the margin
        (row(0.009, 0.01, 0.03, 0.01, 0.03), FAIL),  # shown at the margin, wherever the estimate
        (row(0.01, 0.0, 0.03, 0.001, 0.03), FAIL),  # shown worse, estimated at the margin
        (row(0.0099, 0.0, 0.03, 0.001, 0.03), UNKNOWN),  # shown worse, within the margin
        (row(0.02, -0.01, 0.05, 0.0, 0.05), UNKNOWN),  # beyond the margin, not shown worse
        (row(0.02, math.nan, math.nan, math.nan, math.nan), UNKNOWN),
    ],
)
def test_non_inferior_at_its_borders(found: dict[str, Any], verdict: str) -> None:
    said, because = v.non_inferior(found, 0.01)
    assert said == verdict
    assert because.endswith(": worse") == (verdict == FAIL)
    if math.isnan(found["upper_bound"]):
        assert because == "changed by +2.0 points: too few utterances for a bound"
    else:
        assert f"at most {v.points(found['upper_bound'])}" in because
        assert "margin +1.0 points" in because


def test_the_worst_verdict_wins() -> None:
    assert v.worst([PASS, UNKNOWN, FAIL]) == FAIL
    assert v.worst([PASS, UNKNOWN]) == UNKNOWN
    assert v.worst([PASS, PASS]) == PASS
    assert v.worst([]) == UNKNOWN


def test_figures_as_plain_values() -> None:
    assert v.points(-0.01234) == "−1.2 points"
    assert v.points(0.0025) == "+0.25 points"
    assert v.points(math.nan) == "unknown"
    assert [v.plain(x) for x in (None, "a", True, 3, 0.5, math.nan, math.inf)] == [
        None,
        "a",
        1,
        3,
        0.5,
        None,
        None,
    ]
    given = {name: place for place, name in enumerate(SHOWN)}
    assert v.numbers_of({**given, "other": 1}) == given
    assert v.numbers_of({"p_value": math.nan}) == {"p_value": None}


@pytest.mark.parametrize(("confidence", "said"), [({}, "95 %"), ({"confidence": 0.9}, "90 %")])
def test_the_level_is_said(confidence: dict[str, float], said: str) -> None:
    assert f"at most +1.0 points ({said})" in v.non_inferior(row(0.0, -0.01, 0.01) | confidence, 0.02)[1]
    assert (
        f"({said} interval −1.0 points to +1.0 points)"
        in v.improved(row(-0.005, -0.01, 0.01) | confidence)[1]
    )
