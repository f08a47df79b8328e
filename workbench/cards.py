"""Model and data cards: headings, paragraphs and tables, with the front matter that the hub reads.

The front matter is ``huggingface_hub``'s (``ModelCardData``, ``DatasetCardData``); the page is the same
Markdown rendered with HTML switched off, so text from data can become neither markup nor script.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from huggingface_hub import DatasetCardData, ModelCardData
from markdown_it import MarkdownIt

from workbench.pages import page

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #8888;padding:.25rem .5rem}"
    "td,th{text-align:start}:root{color-scheme:light dark}"
)
_HUB_LICENSES = {
    "apache-2.0", "mit", "cc0-1.0", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0",
    "cc-by-nc-4.0", "gpl-2.0", "gpl-3.0", "bsd-3-clause",
}  # fmt: skip
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows of plain values; None is shown as a dash."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass
class Card:
    """A card of a model or a data set: sections in order; everything in them is text, whatever it looks like.

    Attributes:
        title: heading of the page.
        kind: which front matter the hub expects.
        metadata: its fields, of ``huggingface_hub.ModelCardData`` or ``DatasetCardData``.
        sections: (heading, paragraphs and tables), see :meth:`add`.
    """

    title: str
    kind: Literal["model", "dataset"] = "model"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    sections: list[tuple[str, list[str | Table]]] = field(default_factory=list)

    def add(self, heading: str, *blocks: str | Table) -> None:
        """Add a section; empty tables and texts are left out."""
        kept = [b for b in blocks if (b.rows if isinstance(b, Table) else b)]
        if kept:
            self.sections.append((heading, kept))

    def markdown(self) -> str:
        """CommonMark with pipe tables below the hub's front matter; text cannot become markup."""
        data = (ModelCardData if self.kind == "model" else DatasetCardData)(**self.metadata)
        return f"---\n{data.to_yaml()}\n---\n\n{self._body()}" if self.metadata else self._body()

    def html(self) -> str:
        """A page of its own, without scripts or anything fetched."""
        return page(self.title, _STYLE, self._rendered())

    def __repr__(self) -> str:
        """Its title and headings; :meth:`markdown` is the text."""
        return f"{self.title}: {', '.join(heading for heading, _ in self.sections) or 'empty'}."

    def _repr_html_(self) -> str:
        return self._rendered()

    def _rendered(self) -> str:
        parser = (
            MarkdownIt("commonmark", {"html": False}).enable("table").disable(["link", "image", "autolink"])
        )
        # Each text finds its own direction: a right-to-left value must not turn the figures beside it around.
        for tag in ("td", "p", "li"):
            parser.add_render_rule(f"{_TOKENS[tag]}_open", _auto_direction)
        return str(parser.render(self._body()))

    def _body(self) -> str:
        lines = [f"# {_plain(self.title)}", ""]
        for heading, blocks in self.sections:
            lines += [f"## {_plain(heading)}", ""]
            for block in blocks:
                lines += [*_pipes(block), ""] if isinstance(block, Table) else [_plain(block), ""]
        return "\n".join(lines)


_TOKENS = {"td": "td", "p": "paragraph", "li": "list_item"}


def _auto_direction(renderer: Any, tokens: Any, index: int, options: Any, environment: Any) -> str:
    tokens[index].attrSet("dir", "auto")
    return str(renderer.renderToken(tokens, index, options, environment))


def languages(tags: Iterable[Any]) -> list[str]:
    """Languages of locale tags as the hub writes them: ``en`` for ``en-US``; what is no tag is left out."""
    return sorted({tag.split("-")[0].lower() for tag in tags if isinstance(tag, str) and "-" in tag})


def license_fields(names: Iterable[Any]) -> dict[str, Any]:
    """``license`` for the front matter: the hub's names where it knows all stated, else ``other``."""
    stated = sorted({str(name) for name in names if name})
    known = [n.lower() if n.lower() in _HUB_LICENSES else f"{n.lower()}.0" for n in stated]
    if stated and set(known) <= _HUB_LICENSES:
        return {"license": known[0] if len(known) == 1 else known}
    return {"license": "other"} if stated else {"license": "unknown"}


def size_category(rows: int) -> str:
    """The hub's name for so many rows."""
    return next((name for limit, name in _SIZES if rows < limit), "n>1M")


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


def _plain(text: str) -> str:
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#&" else c for c in flat)
