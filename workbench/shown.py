"""Tables and mappings that open with their answer: a sentence, six columns at most, the rest behind *more*.

They are pandas' and Python's own in everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from workbench.glance import MOST_COLUMNS, MOST_ROWS, Glance

Cell = Callable[[Mapping[str, Any]], str]
_ALL_ROWS = 200
_LONG = 60
"""Letters of a text that a cell shows."""
_SHARES = {
    "wer", "cer", "rate", "low", "high", "error_rate", "error_rate_within", "error_rate_around", "marks_kept",
    "capitals_kept", "best_score", "base_score", "clipping_ratio",
}  # fmt: skip
"""What is kept as a fraction and read in percent."""


class Shown(pd.DataFrame):  # type: ignore[misc]  # pandas comes without types
    """A data frame that shows itself as a sentence and a short table; everything else as pandas has it.

    ``sentence`` says what it comes to, ``short`` maps at most six headings to what their cells say of a row,
    ``figure`` is HTML that stands between the two; ``of`` is how many rows there were before some were
    chosen, ``seen`` the columns then. Rows that are chosen of it show themselves likewise; without all of
    those columns, as pandas does. Other processes get a plain data frame.
    """

    _metadata: ClassVar[list[str]] = ["sentence", "short", "figure", "of", "seen"]
    sentence: str
    short: Mapping[str, Cell]
    figure: str
    of: int
    seen: frozenset[str]

    @property
    def _constructor(self) -> Any:
        return Shown

    def __finalize__(self, other: Any, method: str | None = None, **how: Any) -> Self:
        if isinstance(other, Shown) and "short" in other.__dict__ and other.columns.equals(self.columns):
            self.sentence, self.short, self.figure = "", other.short, ""
            self.of, self.seen = other.of, other.seen
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return pd.DataFrame, (pd.DataFrame(self),)

    def _glance(self) -> Glance | None:
        """None where columns are gone that it was made to show."""
        if "short" not in self.__dict__ or not self.seen.issubset(self.columns):
            return None
        first = pd.DataFrame(self).head(_ALL_ROWS)
        rows = [
            [cell(row) for cell in self.short.values()] for row in first.head(MOST_ROWS).to_dict("records")
        ]
        said = first.select_dtypes(object)
        first[said.columns] = said.where(said.notna(), "–")
        whole = first.to_html(index=False, na_rep="–", border=0, float_format="{:.4f}".format)
        more = f'<div style="overflow-x:auto">{whole}</div>'
        about = f"{len(self):,} rows, {len(self.columns)} columns"
        sentence = self.sentence or f"{len(self):,} of {self.of:,} rows."
        return Glance(sentence, list(self.short), rows, len(self), self.figure, more, about)

    def __repr__(self) -> str:
        if (glance := self._glance()) is None:
            return repr(pd.DataFrame(self))
        hidden = len(self.columns) - len(self.short)
        rest = f"\n(a table of {len(self.columns)} columns)" if hidden > 0 else ""
        return f"{glance}{rest}"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        glance = self._glance()
        return str(pd.DataFrame(self)._repr_html_()) if glance is None else glance.html()


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
    found.of, found.seen = len(frame), frozenset(frame.columns)
    found.attrs = dict(frame.attrs)
    return found


def show_rows(frame: pd.DataFrame, sentence: str, columns: Iterable[str]) -> Shown:
    """A table whose columns are too many to be seen: those of ``columns`` that it has, six at most."""
    wanted = [name for name in columns if name in frame.columns] or list(frame.columns)
    return show(frame, sentence, {_in_words(name): value_cell(name) for name in wanted[:MOST_COLUMNS]})


def value_cell(column: str) -> Cell:
    """A value in plain figures, error rates in percent, a long text cut; a dash where there is none."""
    return lambda row: _told_as(column, row[column])


def _in_words(column: str) -> str:
    known = {"target_lang": "locale", "duration": "seconds", "duration_s": "seconds"}
    return known.get(str(column), str(column).replace("_", " "))


def count_cell(column: str) -> Cell:
    """A whole number; a dash where unknown."""
    return lambda row: "–" if row[column] != row[column] else f"{int(row[column]):,}"


def number_cell(column: str, digits: int, unit: str = "") -> Cell:
    """A number with so many digits behind the point, and its unit; a dash where unknown."""
    after = f" {unit}" if unit else ""
    return lambda row: "–" if row[column] != row[column] else f"{row[column]:,.{digits}f}{after}"


def text_cell(column: str) -> Cell:
    """A word as it is; a dash where there is none."""
    return lambda row: "–" if row[column] is None or row[column] != row[column] else str(row[column])


def clip_cell(column: str) -> Cell:
    """The beginning of a long text; the rest stands behind *more*."""
    whole = text_cell(column)
    return lambda row: said if len(said := whole(row)) <= _LONG else f"{said[: _LONG - 1]}…"


class Facts(dict[str, Any]):
    """A mapping that shows itself as a sentence and a line for each entry."""

    def __init__(self, entries: Mapping[str, Any], sentence: str) -> None:
        super().__init__(entries)
        self.sentence = sentence

    def _glance(self) -> Glance:
        rows = [(_in_words(name), _told_as(name, value)) for name, value in self.items()]
        return Glance(self.sentence, ("what", "value"), rows)

    def __repr__(self) -> str:
        return str(self._glance())

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return self._glance().html(every=True)


def _told_as(name: str, value: Any) -> str:
    if name in _SHARES and isinstance(value, float | np.floating) and value == value:
        return f"{100 * value:.1f} %"
    if name == "hours" and isinstance(value, float | np.floating) and value == value:
        return f"{value:,.2f}"
    return _told(value)


def _told(value: Any) -> str:
    if isinstance(value, Mapping | list | tuple | np.ndarray) and not len(value):
        return "–"
    if value is None or value is pd.NaT or value is pd.NA or value == "":
        return "–"
    if isinstance(value, float) and value != value:
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        return f"{value:,.4g}"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, Mapping):
        said = ", ".join(f"{name}: {_told(one)}" for name, one in value.items())
    elif isinstance(value, list | tuple | np.ndarray):
        said = ", ".join(map(_told, value))
    else:
        said = str(value)
    return said if len(said) <= 2 * _LONG else f"{said[: 2 * _LONG - 1]}…"
