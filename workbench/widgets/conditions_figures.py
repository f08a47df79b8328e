"""A sweep of conditions as a chart: errors, empty outputs and punctuation by locale, a line per band."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.errors import WorkbenchError
from workbench.widgets.figures import INK, dress, look, plain

if TYPE_CHECKING:
    import pandas as pd

    from workbench.field.conditions import ConditionSweep

_CLEAN = "none"
_SHARES = (
    ("rate", "low", "high", "Error rate"),
    ("empty_share", None, None, "Empty outputs"),
    ("mark_error_rate", "mark_low", "mark_high", "Punctuation errors"),
)


def conditions_panels(sweep: ConditionSweep, *, title: str = "") -> go.Figure:
    """Noise grows from left to right; 'none' adds none. Intervals are drawn where there are any.

    Raises:
        WorkbenchError: nothing was measured yet.
    """
    table = sweep.table
    if not len(table):
        raise WorkbenchError("nothing measured yet", where="sweep of conditions")
    locales = list(dict.fromkeys(table["locale"]))
    figure: go.Figure = make_subplots(
        rows=len(locales),
        cols=len(_SHARES),
        shared_xaxes=True,
        vertical_spacing=min(0.08, 0.4 / len(locales)),
        horizontal_spacing=0.075,
        column_titles=[heading for *_, heading in _SHARES],
        row_titles=[plain(str(tag)) for tag in locales],
    )
    for row, locale in enumerate(locales, start=1):
        for index, (band, part) in enumerate(table[table["locale"] == locale].groupby("band", sort=False)):
            for col, (value, low, high, heading) in enumerate(_SHARES, start=1):
                shown = row == 1 and col == 1
                line = _line(part, str(band), index, value, low, high, heading, shown)
                figure.add_trace(line, row=row, col=col)
    ratios = sorted({float(r) for r in table["snr_db"].dropna()}, reverse=True)
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=[_CLEAN, *map(_named, ratios)])
    figure.update_xaxes(title=f"{sweep.asked.get('noise', 'noise')}, dB below speech", row=len(locales))
    figure.update_yaxes(tickformat=".0%", rangemode="tozero")
    figure.update_annotations(font={"color": INK, "size": 12.5})
    left = "" if sweep.status == "complete" else f" ({sweep.status})"
    heading = title or f"What noise and the line cost{left}"
    figure = dress(figure, heading, height=120 + 150 * len(locales), legend=True)
    return figure.update_layout(legend={"y": 1.0, "yref": "container", "yanchor": "top"}, margin_t=70)


def _named(ratio: float) -> str:
    return _CLEAN if ratio != ratio else f"{ratio:g}"


def _line(
    part: pd.DataFrame,
    band: str,
    index: int,
    value: str,
    low: str | None,
    high: str | None,
    heading: str,
    shown: bool,
) -> go.Scatter:
    bars: dict[str, Any] = {}
    if low is not None and high is not None:
        bars = {"type": "data", "symmetric": False, "thickness": 1, "width": 3}
        bars |= {"array": part[high] - part[value], "arrayminus": part[value] - part[low]}
    return go.Scatter(
        x=[_named(ratio) for ratio in part["snr_db"]],
        y=part[value],
        error_y=bars or None,
        name=plain(band),
        legendgroup=band,
        showlegend=shown,
        mode="lines+markers",
        customdata=part["utterances"],
        hovertemplate=f"{heading}, %{{x}}: %{{y:.1%}} (%{{customdata}} clips)<extra>{plain(band)}</extra>",
        **look(index),
    )
