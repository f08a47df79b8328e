"""The first rows of a view as a table in a notebook's cell."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any

_COLUMNS = ("id", "duration", "target_lang", "accent", "speaker", "text", "status")


def preview_html(rows: Iterable[Mapping[str, Any]], title: str) -> str:
    """An HTML table of rows; every text is escaped and keeps its own direction."""
    head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    body = "".join(
        "<tr>"
        + "".join(f'<td dir="auto">{html.escape(_cell(row[name]))}</td>' for name in _COLUMNS)
        + "</tr>"
        for row in rows
    )
    caption = html.escape(title)
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    text = "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
    return text if len(text) <= 200 else text[:199] + "…"
