"""A short document of headings, paragraphs and tables, written once and read as Markdown or as HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #8888;padding:.25rem .5rem}"
    "td,th{text-align:start}"
    "caption{text-align:start;font-weight:600}:root{color-scheme:light dark}"
)


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows of plain values; None is shown as a dash."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass
class Document:
    """Sections in order; everything in them is text, whatever it looks like."""

    title: str
    sections: list[tuple[str, list[str | Table]]] = field(default_factory=list)

    def add(self, heading: str, *blocks: str | Table) -> None:
        """Add a section; empty tables and texts are left out."""
        kept = [b for b in blocks if (b.rows if isinstance(b, Table) else b)]
        if kept:
            self.sections.append((heading, kept))

    def markdown(self) -> str:
        """CommonMark with pipe tables; text cannot become markup."""
        lines = [f"# {_plain(self.title)}", ""]
        for heading, blocks in self.sections:
            lines += [f"## {_plain(heading)}", ""]
            for block in blocks:
                lines += [*_pipes(block), ""] if isinstance(block, Table) else [_plain(block), ""]
        return "\n".join(lines)

    def html(self) -> str:
        """A page of its own, without scripts or anything fetched."""
        parts = [f"<h1>{html.escape(self.title)}</h1>"]
        for heading, blocks in self.sections:
            parts.append(f"<h2>{html.escape(heading)}</h2>")
            parts += [
                _grid(b) if isinstance(b, Table) else f'<p dir="auto">{html.escape(b)}</p>' for b in blocks
            ]
        title = html.escape(self.title)
        head = f'<meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'

    def _repr_html_(self) -> str:
        return self.html().partition("<body>")[2].partition("</body>")[0]


def cell(value: Any) -> str:
    """A value as text: a dash for nothing, floats with three digits."""
    if value is None or value != value:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _pipes(table: Table) -> Iterable[str]:
    yield "| " + " | ".join(map(_plain, table.columns)) + " |"
    yield "|" + " --- |" * len(table.columns)
    for row in table.rows:
        yield "| " + " | ".join(_plain(cell(value)) for value in row) + " |"


def _grid(table: Table) -> str:
    head = "".join(f'<th scope="col">{html.escape(c)}</th>' for c in table.columns)
    rows = ("".join(f'<td dir="auto">{html.escape(cell(v))}</td>' for v in row) for row in table.rows)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _plain(text: str) -> str:
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in flat)
