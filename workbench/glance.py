"""What an object says of itself in a cell: a sentence, at most six columns, the rest behind *more*."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Protocol

MOST_COLUMNS = 6
MOST_ROWS = 12


@dataclass(frozen=True, slots=True)
class Glance:
    """What is seen at first sight.

    Attributes:
        sentence: the verdict.
        head: at most six headings.
        rows: a line each, as many cells as headings; the first :data:`MOST_ROWS` are shown.
        total: how many rows there are, where not all are given.
        figure: HTML between the sentence and the table.
        more: HTML behind *more*; ``about``: what it is, beside that word.
    """

    sentence: str
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    total: int = 0
    figure: str = ""
    more: str = ""
    about: str = ""

    def __post_init__(self) -> None:
        assert len(self.head) <= MOST_COLUMNS, "at first sight there are six columns at most"

    def __str__(self) -> str:
        lines = [self.head, *self.rows[:MOST_ROWS]] if self.rows else []
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.head))] if lines else []
        text = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        ]
        hidden = self._hidden()
        return "\n".join([self.sentence, *text, *([f"… {hidden:,} more rows"] if hidden > 0 else [])])

    def html(self, *, every: bool = False) -> str:
        """As a notebook shows it; every text is escaped. ``every``: all rows at once, where each decides."""
        shown = self.rows if every else self.rows[:MOST_ROWS]
        table = f"<table>{self._head()}<tbody>{''.join(map(_line, shown))}</tbody></table>"
        hidden = 0 if every else self._hidden()
        rest = f"<p>… {hidden:,} more rows</p>" if hidden > 0 and not self.more else ""
        about = f"More: {escape(self.about)}" if self.about else "More"
        more = f"<details><summary>{about}</summary>{self.more}</details>" if self.more else ""
        first = f"<p><b>{escape(self.sentence)}</b></p>{self.figure}"
        return first + (table if self.rows else "") + rest + more

    def _hidden(self) -> int:
        return max(self.total, len(self.rows)) - min(len(self.rows), MOST_ROWS)

    def _head(self) -> str:
        cells = "".join(f'<th scope="col" style="text-align:left">{escape(h)}</th>' for h in self.head)
        return f"<thead><tr>{cells}</tr></thead>"


class Glancing(Protocol):
    """What has a :class:`Glance`."""

    def _glance(self) -> Glance: ...


def as_text(self: Glancing) -> str:
    """``__repr__`` of what has a glance."""
    return str(self._glance())


def as_html(self: Glancing) -> str:
    """``_repr_html_`` of what has a glance."""
    return self._glance().html()


def table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """A table for behind *more*."""
    made = Glance("", head, rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}{made._head()}<tbody>{''.join(map(_line, rows))}</tbody></table>"


def preformatted(text: str) -> str:
    """A file as it is, for behind *more*."""
    return f'<pre style="overflow-x:auto">{escape(text)}</pre>'


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: "1 clip", "2,000 clips", "3 corpora"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {plural or f'{noun}s'}"


def _line(cells: Sequence[str]) -> str:
    made = "".join(f'<td dir="auto" style="text-align:left">{escape(cell)}</td>' for cell in cells)
    return f"<tr>{made}</tr>"
