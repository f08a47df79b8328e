"""What a figure may be said to mean: direction, size of the evidence, and one sentence.

One rule for colors and words everywhere: a direction (better, worse; above, below) only where the interval
excludes zero and there are words enough; the size of the evidence is told by something else, never by the
color.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

Direction = Literal["fewer errors", "more errors", "no clear difference", "not enough data"]
BETTER: Direction = "fewer errors"
WORSE: Direction = "more errors"
UNCLEAR: Direction = "no clear difference"
TOO_FEW: Direction = "not enough data"
LEVEL = 0.05


def direction(row: Mapping[str, Any]) -> Direction:
    """Which way a row of :meth:`Evaluation.compare` points.

    Only where its interval excludes zero and its p-value, corrected over the slices of its table where
    there are several, is below 5 %.
    """
    low, high = _number(row.get("low")), _number(row.get("high"))
    if row.get("enough") == "no" or math.isnan(low) or math.isnan(high):
        return TOO_FEW
    p_value = _number(row["p_holm"] if row.get("p_holm") is not None else row.get("p_value"))
    if not p_value < LEVEL or low <= 0 <= high:
        return UNCLEAR
    return BETTER if high < 0 else WORSE


def difference_sentence(row: Mapping[str, Any]) -> str:
    """A row of :meth:`Evaluation.compare` in words: "−46 points, not enough data (85 words)"."""
    difference = _number(row.get("difference"))
    if math.isnan(difference):
        because = row.get("because")
        return f"{TOO_FEW} ({because})" if because else "no words in common to compare"
    said = direction(row)
    unlike = f"; not like with like: {row['unlike']}" if row.get("unlike") else ""
    if said == TOO_FEW:
        why = row.get("no_interval") if row.get("enough") != "no" else None
        reason = why or f"{row.get('reference_words', 0):,} words"
        return f"{points(difference)}, not enough data ({reason}){unlike}"
    span = f"{points(row['low']).removesuffix(' points')} to {points(row['high'])}"
    return f"{said}: {points(difference)} ({span}){_voices(row)}{unlike}"


def rate_sentence(row: Mapping[str, Any]) -> str:
    """A row of :meth:`Evaluation.rates` in words."""
    value = _number(row.get("rate"))
    if math.isnan(value):
        return "nothing was said here"
    unit = "characters" if row.get("metric") == "cer" else "words"
    if row.get("enough") == "no":
        return f"not enough data ({row.get('reference_words', 0):,} words)"
    figure = f"{percent(value)} of {unit} wrong"
    if math.isnan(_number(row.get("low"))):
        return f"{figure}, no interval ({row.get('no_interval') or 'not computed'}){_voices(row)}"
    return f"{figure} ({percent(row['low'])} to {percent(row['high'])}){_voices(row)}"


def evidence(row: Mapping[str, Any]) -> str:
    """The size of the evidence behind a row, for what stands beside the color."""
    return f"{row.get('reference_words', 0):,} words, {counted(int(row.get('speakers') or 0), 'speaker')}"


def percent(value: float) -> str:
    """A fraction as a percentage: two digits below 1 %, one below 100 %."""
    digits = 2 if 0 < abs(value) < 0.01 else 1
    return f"{100 * value:.{digits}f} %"


def points(value: float) -> str:
    """A difference of fractions in percentage points, signed."""
    return f"{100 * value:+.1f} points".replace("-", "−")


def _voices(row: Mapping[str, Any]) -> str:
    kind = row.get("interval_kind")
    return "" if kind in (None, "speakers") else f", {kind}"


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 speaker", "1,200 speakers"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
