"""The three verdicts, and the rules that turn a paired difference into one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from workbench.plain_values import plain

Verdict = Literal["pass", "fail", "not enough data"]
PASS: Verdict = "pass"
FAIL: Verdict = "fail"
UNKNOWN: Verdict = "not enough data"


@dataclass(frozen=True, slots=True)
class Finding:
    """One slice of a check: what was found there, in figures and in a sentence."""

    slice: str
    verdict: Verdict
    because: str
    numbers: dict[str, float | int | str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """A requirement, its verdict, and the findings it rests on."""

    name: str
    kind: str
    requirement: str
    verdict: Verdict
    because: str
    evidence: tuple[Finding, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """``fail`` beats ``not enough data`` beats ``pass``; nothing at all is not enough."""
    seen = set(verdicts)
    return FAIL if FAIL in seen else UNKNOWN if UNKNOWN in seen or not seen else PASS


def improved(row: Mapping[str, Any]) -> tuple[Verdict, str]:
    """Whether a paired difference (b minus a) is shown to lie below zero.

    Better but not shown to be is "not enough data"; no better at all, on enough words, is a failure.
    """
    difference, low, high = (float(row[k]) for k in ("difference", "low", "high"))
    text = f"changed by {points(difference)} ({level(row)} interval {points(low)} to {points(high)})"
    if math.isnan(high):
        return UNKNOWN, f"{text}: too few utterances for an interval"
    if high < 0:
        return PASS, f"{text}: better"
    if low > 0:
        return FAIL, f"{text}: worse"
    if difference >= 0:
        return FAIL, f"{text}: no better"
    return UNKNOWN, f"{text}: better here, but the interval reaches zero"


def non_inferior(row: Mapping[str, Any], margin: float) -> tuple[Verdict, str]:
    """Whether a paired difference is shown to lie below ``margin``: its one-sided upper bound does.

    Fails when the slice is shown to be worse and is estimated beyond the margin, or shown beyond it; an
    interval that merely reaches over the margin proves neither.
    """
    difference, lower, upper = (float(row[k]) for k in ("difference", "lower_bound", "upper_bound"))
    text = f"changed by {points(difference)}, at most {points(upper)} ({level(row)}), margin {points(margin)}"
    if math.isnan(upper):
        return UNKNOWN, f"changed by {points(difference)}: too few utterances for a bound"
    if upper < margin:
        return PASS, text
    if lower >= margin or (lower > 0 and difference >= margin):
        return FAIL, f"{text}: worse"
    return UNKNOWN, f"{text}: the bound does not exclude it"


def level(row: Mapping[str, Any]) -> str:
    """The confidence of a row's interval and bounds: ``95 %``."""
    return f"{100 * float(row.get('confidence', 0.95)):g} %"


def points(fraction: float) -> str:
    """A difference of rates in percentage points, signed."""
    if math.isnan(fraction):
        return "unknown"
    digits = 2 if 0 < abs(fraction) < 0.01 else 1  # a margin may be a quarter of a point
    return f"{100 * fraction:+.{digits}f} points".replace("-", "−")


def numbers_of(row: Mapping[str, Any]) -> dict[str, float | int | str | None]:
    """The figures of a comparison row that a report shows; NaN becomes None."""
    wanted = (
        "rate_a", "rate_b", "difference", "low", "high", "lower_bound", "upper_bound", "p_value", "better",
        "worse", "utterances", "speakers", "reference_words", "interval_kind", "enough", "metric",
        "normalizer",
    )  # fmt: skip
    return {name: plain(row[name]) for name in wanted if name in row}
