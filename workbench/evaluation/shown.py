"""What the short tables of an evaluation say: their headings and the words of their cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workbench.evaluation import readings
from workbench.evaluation.confounding import WORDS
from workbench.shown import Cell


def share_cell(column: str) -> Cell:
    """A share as percent; a dash where there is nothing to share."""
    return lambda row: _percent(row[column])


def difference_cell(column: str) -> Cell:
    """A difference of shares in points, signed; a dash where unknown."""
    return lambda row: _points(row[column])


def enough_cell(row: Mapping[str, Any]) -> str:
    """Whether a slice has data enough to speak."""
    return {"no": "not enough", "provisional": "few words", "yes": "enough"}[row["enough"]]


def slice_cell(by: Sequence[str]) -> Cell:
    """What a slice is called."""

    def cell(row: Mapping[str, Any]) -> str:
        named = ("not stated" if row[c] is None or row[c] != row[c] else str(row[c]) for c in by)
        return " · ".join(named) or "everything"

    return cell


def heading(by: Sequence[str]) -> str:
    """What the slices are cut by, in a reader's words."""
    return " × ".join(HEADINGS.get(column, column) for column in by) or "slice"


HEADINGS = {**WORDS, "duration_band": "duration", "snr_band": "signal to noise"}


def rate_columns(by: Sequence[str]) -> dict[str, Cell]:
    """The short columns of a table of rates."""
    return {
        heading(by): slice_cell(by),
        "error rate": lambda r: _percent(r["rate"]) + (" of characters" if r["metric"] == "cer" else ""),
        "interval": lambda r: _span(r["low"], r["high"], _percent),
        "words": lambda r: f"{r['reference_words']:,}",
        "speakers": lambda r: f"{r['speakers']:,}",
        "reading": lambda r: {"no": "not enough data", "provisional": "few words: provisional", "yes": ""}[
            r["enough"]
        ],
    }


def comparison_columns(by: Sequence[str]) -> dict[str, Cell]:
    """The short columns of a comparison."""
    return {
        heading(by): slice_cell(by),
        "from": lambda r: _percent(r["rate_a"]),
        "to": lambda r: _percent(r["rate_b"]),
        "difference": lambda r: _points(r["difference"]),
        "interval": lambda r: _span(r["low"], r["high"], _points),
        "reading": _reading_cell,
    }


def _reading_cell(row: Mapping[str, Any]) -> str:
    said, because = readings.direction(row), row.get("because")
    if said == readings.UNCLEAR and not row["low"] <= 0 <= row["high"]:
        return f"{said}, corrected for many slices"
    return f"{said}: {because}" if because else said


def share_columns(
    first: Mapping[str, Cell], figure: str, low: str, high: str, of: Mapping[str, Cell]
) -> dict[str, Cell]:
    """The short columns of a table of shares: what, the share, its interval, and out of how many."""
    return {
        **first,
        figure: lambda r: _percent(r[figure]),
        "interval": lambda r: _span(r[low], r[high], _percent),
        **of,
    }


def _percent(value: float) -> str:
    return "–" if value != value else readings.percent(value)


def _points(value: float) -> str:
    return "–" if value != value else readings.points(value).removesuffix(" points")


def span_cell(low: float, high: float) -> str:
    """Both ends of an interval of shares; "none" where there is none."""
    return _span(low, high, _percent)


def _span(low: float, high: float, say: Callable[[float], str]) -> str:
    return "none" if low != low else f"{say(low).removesuffix(' %')} to {say(high)}"
