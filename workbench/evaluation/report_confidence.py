"""The section of the report on the recognizer's own confidence."""

from __future__ import annotations

from typing import Any

from workbench.evaluation.report_parts import number, percent, table, text


def confidence(summary: dict[str, Any]) -> str:
    """Stated confidence against the share of right words; nothing where no recognizer gave one."""
    parts = []
    for name, found in summary["predictions"].items():
        rows = found["calibration"]
        if not rows:
            continue
        words = sum(row["words"] for row in rows)
        off = sum(row["words"] * abs(row["confidence"] - row["accuracy"]) for row in rows) / words
        parts.append(
            f"<p><b>{text(name)}</b>: stated confidence and share of right words are {100 * off:.1f} points "
            "apart on average (expected calibration error over these bins).</p>"
        )
        columns = [
            ("confidence", lambda r: f"{percent(r['from'], 0)} to {percent(r['to'], 0)}", False),
            ("words", lambda r: number(r["words"]), True),
            ("stated on average", lambda r: percent(r["confidence"]), True),
            ("right", lambda r: percent(r["accuracy"]), True),
        ]
        parts.append(table(f"{name}: is its confidence earned?", rows, columns))
    return "<h2>Confidence</h2>" + "".join(parts) if parts else ""
