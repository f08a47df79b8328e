"""Small figures that stand before a table: bars with their intervals, and lines over a setting.

Plain SVG in the page's own ink with one accent, so that they read in light and dark, in print, and without
color: what rests on too little is hatched and says so in its title, lines are told apart by dash and label.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from workbench.evaluation import readings

ACCENT = "#0072B2"
"""Okabe and Ito's blue: told from ink by people of all kinds of color vision, 5.2:1 on white."""
DASHES = ("", "7 4", "2 3", "9 3 2 3", "14 4", "1 6")
_WIDTH, _ROW, _LABEL = 640, 24, 150
_PLOT = _WIDTH - _LABEL - 130


@dataclass(frozen=True, slots=True)
class Bar:
    """``value`` with ``low`` and ``high``: shares from 0 to 1, NaN where unknown; ``note``: size of evidence;
    ``enough``: whether it may be read."""

    label: str
    value: float
    low: float
    high: float
    note: str
    enough: bool = True


def bars(items: Sequence[Bar], title: str) -> str:
    """Shares as bars from 0 to 100 %, whiskers for the interval."""
    known = [item for item in items if not math.isnan(item.value)]
    if not known:
        return ""
    rows = "".join(_bar(item, 4 + place * _ROW) for place, item in enumerate(known))
    height = 8 + len(known) * _ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title, quote=True)}" '
        f'viewBox="0 0 {_WIDTH} {height}" width="100%" style="max-width:{_WIDTH}px" fill="currentColor" '
        f'font-family="system-ui,sans-serif" font-size="12"><title>{escape(title)}</title>'
        f"{_HATCH}{rows}</svg>"
    )


_HATCH = (
    '<defs><pattern id="nwb-few" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><path d="M0 0V6" stroke="currentColor" stroke-width="1.5" '
    'stroke-opacity=".55"/></pattern></defs>'
)


def _bar(item: Bar, y: int) -> str:
    width = _PLOT * min(1.0, max(0.0, item.value))
    fill = f'fill="{ACCENT}"' if item.enough else 'fill="url(#nwb-few)" stroke="currentColor"'
    said = readings.percent(item.value) if item.enough else f"{readings.percent(item.value)}, not enough data"
    whisker = ""
    if not math.isnan(item.low):
        start, end = (_LABEL + _PLOT * min(1.0, max(0.0, v)) for v in (item.low, item.high))
        middle = y + _ROW // 2 - 2
        whisker = (
            f'<path d="M{start:.1f} {middle}H{end:.1f}M{start:.1f} {middle - 4}v8M{end:.1f} {middle - 4}v8" '
            'stroke="currentColor" stroke-width="1.5" fill="none"/>'
        )
    title = f"{item.label}: {said} ({item.note})"
    return (
        f"<g><title>{escape(title)}</title>"
        f'<text x="{_LABEL - 8}" y="{y + 14}" text-anchor="end" style="unicode-bidi:isolate">'
        f"{escape(_short(item.label))}</text>"
        f'<rect x="{_LABEL}" y="{y + 3}" width="{width:.1f}" height="{_ROW - 10}" {fill}/>{whisker}'
        f'<text x="{_LABEL + _PLOT + 8}" y="{y + 14}">{escape(readings.percent(item.value))}'
        f"{'' if item.enough else ' ?'}</text></g>"
    )


@dataclass(frozen=True, slots=True)
class Line:
    """``points``: (label of the setting, value from 0 to 1) in order; NaN where unknown."""

    label: str
    points: tuple[tuple[str, float], ...]


def lines(series: Sequence[Line], title: str) -> str:
    """Shares over settings, evenly spaced; each line ends in its name, and lines differ by dash."""
    stops = list(dict.fromkeys(stop for line in series for stop, _ in line.points))
    values = [value for line in series for _, value in line.points if not math.isnan(value)]
    if len(stops) < 2 or not values:
        return ""
    height, top, foot = 210, 16, 180
    highest = max(values) * 1.1 or 1.0
    across = {stop: 60 + (_WIDTH - 230) * n / (len(stops) - 1) for n, stop in enumerate(stops)}

    def up(value: float) -> float:
        return foot - (foot - top) * value / highest

    parts = [
        f'<path d="M60 {foot}H{_WIDTH - 170}M60 {top}V{foot}" stroke="currentColor" stroke-opacity=".5"/>'
    ]
    for stop, x in across.items():
        parts.append(f'<text x="{x:.0f}" y="{foot + 18}" text-anchor="middle">{escape(stop)}</text>')
    for share in (0.0, highest / 2, highest):
        parts.append(
            f'<text x="54" y="{up(share) + 4:.0f}" text-anchor="end">{readings.percent(share)}</text>'
        )
    taken: list[float] = []
    for number, line in enumerate(series):
        known = [(across[stop], up(value), value) for stop, value in line.points if not math.isnan(value)]
        if not known:
            continue
        path = "".join(f"{'M' if not n else 'L'}{x:.1f} {y:.1f}" for n, (x, y, _) in enumerate(known))
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y, _ in known)
        said = f"{line.label}: {', '.join(readings.percent(value) for *_, value in known)}"
        place = _free(known[-1][1], taken)
        parts.append(
            f'<g fill="{ACCENT}"><title>{escape(said)}</title><path d="{path}" fill="none" stroke="{ACCENT}" '
            f'stroke-width="2" stroke-dasharray="{DASHES[number % len(DASHES)]}"/>{dots}</g>'
            f'<text x="{known[-1][0] + 10:.1f}" y="{place + 4:.1f}">{escape(_short(line.label))}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title, quote=True)}" '
        f'viewBox="0 0 {_WIDTH} {height}" width="100%" style="max-width:{_WIDTH}px" fill="currentColor" '
        f'font-family="system-ui,sans-serif" font-size="12"><title>{escape(title)}</title>'
        f"{''.join(parts)}</svg>"
    )


def _free(wanted: float, taken: list[float]) -> float:
    """A height for a name, where no other name is."""
    place = wanted
    while any(abs(place - other) < 13 for other in taken):
        place += 3
    taken.append(place)
    return place


def _short(label: str) -> str:
    return label if len(label) <= 22 else f"{label[:21]}…"
