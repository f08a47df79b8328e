"""The board where no widget can run: progress and the first rows as a plain table."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from workbench.widgets import static

if TYPE_CHECKING:
    from workbench.widgets.board_view import BoardView

log = logging.getLogger("workbench.widgets")
ROWS = 12
MARKS = {"accepted": "✓ accepted", "rejected": "✗ rejected", "pending": "○ pending"}


def board_html(name: str, view: BoardView) -> str:
    """Progress per locale and the first rows of the view; every text is escaped."""
    progress = view.table.progress()
    decided = progress["accepted"]["minutes"] + progress["rejected"]["minutes"]
    lines = [
        (
            tally["value"] or "not known",
            f"{tally['clips']:,}",
            f"{tally['minutes']:.1f}",
            f"{tally['accepted']['minutes']:.1f}",
            f"{tally['rejected']['minutes']:.1f}",
        )
        for tally in progress["locales"]
    ]
    rows = [
        (
            MARKS.get(str(row["status"]), ""),
            row["text"] or "",
            row["target_lang"] or "",
            row["accent"] or "",
            f"{row['duration'] or 0:.2f}",
            ", ".join([*(row["tags"] or []), *(str(finding["rule"]) for finding in row["findings"])]),
        )
        for row in view.rows(0, ROWS)
    ]
    head = (
        f"<strong>{static.escape(name)}</strong> · {len(view.table):,} clips · "
        f"{progress['minutes']:.1f} min · {decided:.1f} min decided"
    )
    more = f"First {len(rows)} of {len(view):,} clips" if len(view) > len(rows) else f"{len(rows)} clips"
    return static.box(
        f'<p style="margin:0 0 8px">{head}</p>',
        static.table(("locale", "clips", "minutes", "accepted min", "rejected min"), lines, "Progress"),
        static.table(("status", "transcript", "locale", "accent", "s", "findings"), rows, more),
        label=f"Corpus {name}",
    )
