"""The field log as a chart: a quantity by week, a panel per locale, limits as a band, alarms as diamonds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.errors import WorkbenchError
from workbench.field.charts import QUANTITIES
from workbench.widgets.figures import COLORS, INK, dress, plain

if TYPE_CHECKING:
    import pandas as pd

    from workbench.field import FieldReport


def field_chart(report: FieldReport, quantity: str = "empty", *, title: str = "") -> go.Figure:
    """Control charts of one quantity.

    Args:
        quantity: 'volume', 'empty', 'other_language', 'confidence', 'slow' or 'punctuation'.

    Raises:
        WorkbenchError: the log has no such figures; those it has are named.
    """
    found = report.points[report.points["quantity"] == quantity]
    if not len(found):
        known = ", ".join(sorted(set(report.points["quantity"]))) or "none"
        raise WorkbenchError(f"no chart of {quantity!r}", where="field log", hint=f"There are: {known}.")
    locales = sorted(set(found["locale"]))
    figure: go.Figure = make_subplots(
        rows=len(locales),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=min(0.14, 0.5 / len(locales)),
        subplot_titles=[plain(tag) for tag in locales],
    )
    for row, locale in enumerate(locales, start=1):
        for trace in _traces(found[found["locale"] == locale].sort_values("week")):
            figure.add_trace(trace, row=row, col=1)
        if quantity in ("empty", "other_language", "slow"):
            figure.update_yaxes(tickformat=".0%", row=row, col=1)
    figure.update_annotations(font={"color": INK, "size": 12})

    label = next(q.label for q in QUANTITIES if q.name == quantity)
    heading = title or f"{label.capitalize()} by week; shaded: limits against the baseline"
    return dress(figure, heading, height=110 + 120 * len(locales), legend=False)


def _traces(part: pd.DataFrame) -> list[go.Scatter]:
    judged, raised = part[part["judged"]], part[part["alarm"]]
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    band = {"fill": "tonexty", "fillcolor": "rgba(125,133,144,0.22)"}
    usual = {"color": INK, "width": 1, "dash": "dash"}
    points = {"color": COLORS[0], "size": 6}
    points["symbol"] = ["circle" if j else "circle-open" for j in part["judged"]]  # type: ignore[assignment]
    shown = "week of %{x}: %{y:.3g}<extra></extra>"
    diamond = {"color": COLORS[1], "size": 13, "symbol": "diamond", "line": {"width": 1, "color": INK}}
    return [
        go.Scatter(x=judged["week"], y=judged["low"], **edge),
        go.Scatter(x=judged["week"], y=judged["high"], **edge, **band),
        go.Scatter(x=part["week"], y=part["usual"], mode="lines", line=usual, hoverinfo="skip"),
        go.Scatter(
            x=part["week"],
            y=part["value"],
            mode="lines+markers",
            line={"color": COLORS[0], "width": 1.6},
            marker=points,
            hovertemplate=shown,
        ),
        go.Scatter(x=raised["week"], y=raised["value"], mode="markers", marker=diamond, hovertemplate=shown),
    ]
