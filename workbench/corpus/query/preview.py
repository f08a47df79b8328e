"""The first rows of a view in a notebook's cell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from workbench.glance import Glance, table

_SHOWN = {
    "id": "id", "locale": "target_lang", "seconds": "duration", "speaker": "speaker", "text": "text",
    "status": "status",
}  # fmt: skip
_MORE = ("id", "accent", "domain", "source", "split", "recorded_at")


def preview_html(rows: Iterable[Mapping[str, Any]], title: str, total: int) -> str:
    """Six columns of rows, further ones behind *more*; every text is escaped and keeps its own direction.

    Args:
        rows: the first ones, plain values. ``total``: how many there are.
    """
    held = list(rows)
    lines = [[_cell(row.get(name)) for name in _SHOWN.values()] for row in held]
    rest = table(_MORE, [[_cell(row.get(name)) for name in _MORE] for row in held])
    about = f"accent, domain, source, split of the first {len(held)} of {total:,} rows"
    return Glance(title, tuple(_SHOWN), lines, more=rest, about=about).html()


def _cell(value: Any) -> str:
    text = "–" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
    return text if len(text) <= 200 else text[:199] + "…"
