"""A control chart as a small SVG: limits as a band, weeks as points, alarms as filled diamonds."""

from __future__ import annotations

from html import escape
from typing import Any

from workbench.field.charts import Quantity
from workbench.field.drift import shown

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 420, 120, 62, 12, 10, 22


def control_chart(quantity: Quantity, locale: str, rows: list[dict[str, Any]]) -> str:
    """One chart of one locale; rows in the order of weeks. Everything it shows stands in its label too."""
    rows = [row for row in rows if row["value"] == row["value"]]
    if not rows:
        return ""
    values = [row[name] for row in rows for name in ("value", "usual")]
    values += [row[name] for row in rows for name in ("low", "high") if row["judged"]]
    low, high = min(values), max(values)
    margin = (high - low) * 0.08 or 0.5
    low, high = low - margin, high + margin

    def x(place: int) -> float:
        return _LEFT + (place + 0.5) * (_WIDTH - _LEFT - _RIGHT) / len(rows)

    def y(value: float) -> float:
        return float(_TOP + (high - value) / (high - low) * (_HEIGHT - _TOP - _BOTTOM))

    parts = [_band(rows, x, y)]
    usual = y(rows[0]["usual"])
    parts.append(
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{usual:.1f}" y2="{usual:.1f}" '
        'stroke-dasharray="4 3"/>'
    )
    line = " ".join(f"{x(i):.1f},{y(row['value']):.1f}" for i, row in enumerate(rows))
    parts.append(f'<polyline points="{line}" fill="none" stroke="currentColor" stroke-width="1.3"/>')
    parts += [_point(row, x(i), y(row["value"])) for i, row in enumerate(rows)]
    for value in (high - margin, low + margin):
        label = escape(shown(quantity, value))
        parts.append(f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{label}</text>')
    for place in sorted({0, len(rows) - 1}):
        anchor = "start" if place == 0 else "end"
        at = _LEFT if place == 0 else _WIDTH - _RIGHT
        week = escape(str(rows[place]["week"]))
        parts.append(f'<text x="{at}" y="{_HEIGHT - 5}" text-anchor="{anchor}">{week}</text>')
    raised = [str(row["week"]) for row in rows if row["alarm"]]
    title = f"{locale}: {quantity.label}"
    said = f"{title}; {'drift in ' + ', '.join(raised) if raised else 'within limits'}"
    return (
        f"<figure><figcaption>{escape(title)}{' — drift' if raised else ''}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" style="max-width:{_WIDTH}px" role="img" '
        f'aria-label="{escape(said)}">{"".join(parts)}</svg></figure>'
    )


def _band(rows: list[dict[str, Any]], x: Any, y: Any) -> str:
    judged = [(i, row) for i, row in enumerate(rows) if row["judged"]]
    if not judged:
        return ""
    above = " ".join(f"{x(i):.1f},{y(row['high']):.1f}" for i, row in judged)
    below = " ".join(f"{x(i):.1f},{y(row['low']):.1f}" for i, row in reversed(judged))
    return f'<polygon points="{above} {below}" fill="currentColor" fill-opacity="0.12" stroke="none"/>'


def _point(row: dict[str, Any], x: float, y: float) -> str:
    if row["alarm"]:
        corners = f"{x},{y - 6:.1f} {x + 6:.1f},{y:.1f} {x},{y + 6:.1f} {x - 6:.1f},{y:.1f}"
        return f'<polygon points="{corners}" fill="#D55E00" stroke="currentColor"/>'
    fill = "currentColor" if row["judged"] else "none"
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.8" fill="{fill}" stroke="currentColor"/>'
