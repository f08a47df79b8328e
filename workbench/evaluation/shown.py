"""Tables that open with their answer: a sentence, at most six columns in plain figures, then all the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import pandas as pd

from workbench.evaluation import readings
from workbench.evaluation.confounding import WORDS
from workbench.glance import MOST_COLUMNS, MOST_ROWS, Glance

Cell = Callable[[Mapping[str, Any]], str]
_ALL_ROWS = 200
_LONG = 60
"""Letters of a text that a cell shows."""


class Shown(pd.DataFrame):  # type: ignore[misc]  # pandas comes without types
    """A data frame that shows itself as a sentence and a short table; everything else as pandas has it.

    ``sentence`` says what it comes to, ``short`` maps at most six headings to what their cells say of a row,
    ``figure`` is HTML that stands between the two.
    """

    _metadata: ClassVar[list[str]] = ["sentence", "short", "figure"]
    sentence: str
    short: Mapping[str, Cell]
    figure: str

    @property
    def _constructor(self) -> Any:
        return pd.DataFrame

    def _glance(self) -> Glance:
        rows = [
            [cell(row) for cell in self.short.values()] for row in self.head(MOST_ROWS).to_dict("records")
        ]
        first = pd.DataFrame(self).head(_ALL_ROWS)
        said = first.select_dtypes(object)
        first[said.columns] = said.where(said.notna(), "–")
        whole = first.to_html(index=False, na_rep="–", border=0, float_format="%.4f")
        more = f'<div style="overflow-x:auto">{whole}</div>'
        about = f"{len(self):,} rows, {len(self.columns)} columns"
        return Glance(self.sentence, list(self.short), rows, len(self), self.figure, more, about)

    def __repr__(self) -> str:
        hidden = len(self.columns) - len(self.short)
        rest = f"\n(a table of {len(self.columns)} columns)" if hidden > 0 else ""
        return f"{self._glance()}{rest}"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return self._glance().html()


def show(frame: pd.DataFrame, sentence: str, short: Mapping[str, Cell], figure: str = "") -> Shown:
    """A table with its answer.

    Args:
        frame: what the table holds.
        sentence: what it comes to.
        short: heading → text of a cell from the row; at most six.
        figure: HTML shown between the sentence and the table.
    """
    assert len(short) <= MOST_COLUMNS, "a table shows six columns at most"
    found = Shown(frame)
    found.sentence, found.short, found.figure = sentence, short, figure
    return found


def count_cell(column: str) -> Cell:
    """A whole number; a dash where unknown."""
    return lambda row: "–" if row[column] != row[column] else f"{int(row[column]):,}"


def share_cell(column: str) -> Cell:
    """A share as percent; a dash where there is nothing to share."""
    return lambda row: _percent(row[column])


def difference_cell(column: str) -> Cell:
    """A difference of shares in points, signed; a dash where unknown."""
    return lambda row: _points(row[column])


def text_cell(column: str) -> Cell:
    """A word as it is; a dash where there is none."""
    return lambda row: "–" if row[column] is None or row[column] != row[column] else str(row[column])


def clip_cell(column: str) -> Cell:
    """The beginning of a long text; the rest stands behind *more*."""
    whole = text_cell(column)
    return lambda row: said if len(said := whole(row)) <= _LONG else f"{said[: _LONG - 1]}…"


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
