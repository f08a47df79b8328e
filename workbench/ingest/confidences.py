"""Confidences as engines write them, as shares from 0 to 1: percent and logarithms are recognized.

The scale is told from all values of a kind together, of utterances or of words; what fits none is named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from workbench.errors import Problem

if TYPE_CHECKING:
    from workbench.ingest.transcripts import Heard

_HINT = "Give shares from 0 to 1, percent, or natural logarithms; it counts as not stated."


def as_shares(heard: Sequence[Heard], problems: list[Problem]) -> list[str]:
    """Bring the confidences of transcripts to shares, in place.

    Args:
        heard: the transcripts of one engine.
        problems: gets one for each transcript with values that are no confidence; these are taken out.

    Returns:
        A sentence for each kind that was not written in shares.
    """
    said = []
    whole = _scale([one.confidence for one in heard])
    words = _scale([word["confidence"] for one in heard for word in one.words])
    for (name, change), kind in ((whole, "utterances"), (words, "words")):
        if change is not None:
            said.append(f"confidences of {kind} are {name}: taken as shares")
    for one in heard:
        odd: list[str] = []
        one.confidence = _share(one.confidence, whole[1], odd)
        for word in one.words:
            word["confidence"] = _share(word["confidence"], words[1], odd)
        if odd:
            what = f"{len(odd)} confidences are no share, such as {odd[0]}"
            problems.append(Problem(one.where, what, _HINT, field="confidence"))
    return said


def _scale(values: Sequence[float | None]) -> tuple[str, Callable[[float], float] | None]:
    """How values are written, and what brings one to a share; None where they are shares."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    above = sum(value > 1 for value in known)
    if 2 * above >= len(known) > 0 and min(known) >= 0 and 10 <= max(known) <= 100:
        return "percent", lambda value: value / 100
    if any(value < 0 for value in known) and all(value <= 0 for value in known):
        return "logarithms", lambda value: math.exp(value) if value <= 0 else math.nan
    return "shares", None


def _share(value: float | None, change: Callable[[float], float] | None, odd: list[str]) -> float | None:
    if value is None:
        return None
    share = value if change is None else change(value)
    if 0 <= share <= 1:
        return share
    odd.append(f"{value:g}")
    return None
