"""What to collect or fix next, from what the intervals cannot say yet and what they say clearly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from workbench.evaluation.clusters import BY_SPEAKERS, THESE_VOICES
from workbench.evaluation.rates import Thresholds

if TYPE_CHECKING:
    import pandas as pd

TARGET_HALF_WIDTH = 0.02
"""Two points either way: wide enough to reach, narrow enough to rank slices by."""


def what_next(
    table: pd.DataFrame, by: tuple[str, ...], overall: float, thresholds: Thresholds
) -> list[dict[str, Any]]:
    """Advice for each slice that needs it, most urgent first.

    Args:
        table: rates of the slices.
        overall: rate over everything.

    Returns:
        One dict for each such slice: its columns, ``advice`` (what it needs, most urgent first) and
        ``urgency`` (the higher the sooner).
    """
    found = []
    for row in table.to_dict("records"):
        if own := sorted(_advice(row, overall, thresholds), key=lambda item: -item[0]):
            said = "; ".join(advice for _, advice in own)
            found.append({**{c: row[c] for c in by}, "advice": said, "urgency": own[0][0]})
    return sorted(found, key=lambda item: -item["urgency"])


def _advice(row: dict[str, Any], overall: float, thresholds: Thresholds) -> list[tuple[float, str]]:
    advice: list[tuple[float, str]] = []
    words = row["reference_words"]
    if row["interval_kind"] == THESE_VOICES and row["speakers"] < thresholds.min_speakers:
        more = thresholds.min_speakers - row["speakers"]
        text = f"{_count(more, 'more voice')} ({row['speakers']} so far) before it speaks for other speakers"
        advice.append((3.0, text))
    if row["enough"] != "yes":
        needed = thresholds.provisional_below_words - words
        advice.append(
            (
                2.0 if row["enough"] == "no" else 1.5,
                f"about {needed:,} more words ({words:,} so far) to judge it",
            )
        )
    half = (row["high"] - row["low"]) / 2 if not math.isnan(row["low"]) else math.nan
    if row["interval_kind"] == BY_SPEAKERS and half > TARGET_HALF_WIDTH and row["enough"] == "yes":
        # The half width of a mean shrinks with the square root of the number of independent voices.
        more = math.ceil(row["speakers"] * ((half / TARGET_HALF_WIDTH) ** 2 - 1))
        text = f"about {_count(more, 'more voice')} for ±2 points (known to ±{100 * half:.1f} now)"
        advice.append((1.0 + half, text))
    if not math.isnan(row["low"]) and row["low"] > overall and row["enough"] != "no":
        text = f"error clearly above the whole ({100 * row['rate']:.1f} % against {100 * overall:.1f} %): "
        advice.append((2.5 + row["rate"], text + "listen to its worst utterances, then add training speech"))
    return advice


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
