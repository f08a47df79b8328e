"""Charts as plain ``plotly.graph_objects.Figure``: offline, safe against a reload, kept in exports.

Backgrounds are transparent and ink is mid-gray, so one figure reads on JupyterLab's light and dark themes
alike. Series differ by color, dash and marker, never by color alone. plotly loads inside functions.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.errors import WorkbenchError
from workbench.signatures import public

__all__ = ["conditions_chart", "counts_by_locale", "rate_and_latency", "training_curves"]

# Okabe and Ito's colors for all kinds of color vision, without those that fail on white or on dark.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "cross")
INK = "#7d8590"
GRID = "rgba(125,133,144,0.22)"


@public
def rate_and_latency(points: pd.DataFrame, *, series: str | None = None, title: str = "") -> go.Figure:
    """Error rate and latency against look-ahead, one above the other on the same axis.

    Args:
        points: a row per look-ahead (and series): ``lookahead_ms``, ``rate`` with ``low`` and ``high``
            (fractions), and, where measured, ``latency_p50_s`` and ``latency_p95_s``.
        series: the column that names the lines, such as ``target_lang`` or ``prediction``.

    Raises:
        WorkbenchError: a column is missing.
    """
    _need(points, ["lookahead_ms", "rate"], "rate_and_latency")
    timed = "latency_p50_s" in points.columns and bool(points["latency_p50_s"].notna().any())
    figure: go.Figure = make_subplots(
        rows=2 if timed else 1,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.09,
        row_heights=[0.62, 0.38] if timed else None,
    )
    for index, (name, part) in enumerate(_by_series(points, series)):
        part = part.sort_values("lookahead_ms")
        style = look(index)
        figure.add_trace(_rate_line(part, name, style), row=1, col=1)
        if timed:
            for trace in _latency_lines(part, name, style):
                figure.add_trace(trace, row=2, col=1)
    stops = sorted({float(value) for value in points["lookahead_ms"].dropna()})
    ticks = {"type": "log", "tickvals": stops, "ticktext": [f"{stop:g}" for stop in stops]}
    figure.update_xaxes(**ticks)
    figure.update_xaxes(title="Look-ahead, ms of audio per chunk", row=2 if timed else 1, col=1)
    figure.update_yaxes(title="Error rate", tickformat=".0%", rangemode="tozero", row=1, col=1)
    if timed:
        dashes = "" if series is None else "<br>dotted: 95 % of words"
        figure.update_yaxes(title=f"Word latency, s{dashes}", rangemode="tozero", row=2, col=1)
    return dress(figure, title, height=460 if timed else 340, legend=series is not None or timed)


def _rate_line(part: pd.DataFrame, name: str, style: dict[str, Any]) -> go.Scatter:
    bars = None
    if {"low", "high"} <= set(part.columns):
        bars = {
            "type": "data",
            "symmetric": False,
            "array": part["high"] - part["rate"],
            "arrayminus": part["rate"] - part["low"],
            "thickness": 1.2,
            "width": 4,
        }
    return go.Scatter(
        x=part["lookahead_ms"],
        y=part["rate"],
        error_y=bars,
        name=name or "error rate",
        legendgroup=name,
        mode="lines+markers",
        hovertemplate="%{x} ms: %{y:.1%}<extra>" + plain(name) + "</extra>",
        **style,
    )


def _latency_lines(part: pd.DataFrame, name: str, style: dict[str, Any]) -> list[go.Scatter]:
    lines = []
    for column, label, dash in (
        ("latency_p50_s", "latency, median", "solid"),
        ("latency_p95_s", "latency, 95th percentile", "dot"),
    ):
        if column in part.columns:
            lines.append(
                go.Scatter(
                    x=part["lookahead_ms"],
                    y=part[column],
                    name=f"{name} {label}".strip(),
                    legendgroup=name,
                    showlegend=not name,
                    mode="lines+markers",
                    line={"color": style["line"]["color"], "dash": dash},
                    marker=style["marker"],
                    hovertemplate="%{x} ms: %{y:.2f} s<extra>" + plain(f"{name} {label}") + "</extra>",
                )
            )
    return lines


@public
def training_curves(
    runs: Mapping[str, pd.DataFrame], *, columns: Sequence[str] = ("loss",), title: str = ""
) -> go.Figure:
    """Metrics of one or several runs over the steps, a panel per column.

    Args:
        runs: name → metrics: ``step`` and the columns to draw; rows without a value are left out of the line.

    Raises:
        WorkbenchError: none of the runs holds one of the columns.
    """
    for column in columns:
        if not any(column in frame.columns for frame in runs.values()):
            known = sorted({name for frame in runs.values() for name in frame.columns})
            raise WorkbenchError(
                f"no run holds '{column}'", hint=f"Choose from {', '.join(known) or 'nothing yet'}."
            )
    figure: go.Figure = make_subplots(rows=len(columns), cols=1, shared_xaxes=True, vertical_spacing=0.08)
    for index, (name, frame) in enumerate(runs.items()):
        for row, column in enumerate(columns, start=1):
            if column not in frame.columns:
                continue
            part = frame[["step", column]].dropna()
            sparse = len(part) <= 60
            trace = go.Scatter(
                x=part["step"],
                y=part[column],
                name=name,
                legendgroup=name,
                showlegend=row == 1,
                mode="lines+markers" if sparse else "lines",
                hovertemplate="step %{x}: %{y:.4g}<extra>" + plain(name) + "</extra>",
                **look(index),
            )
            figure.add_trace(trace, row=row, col=1)
            figure.update_yaxes(title=column, row=row, col=1)
    figure.update_xaxes(title="Step", row=len(columns), col=1)
    return dress(figure, title, height=120 + 220 * len(columns), legend=len(runs) > 1)


@public
def counts_by_locale(
    groups: pd.DataFrame,
    *,
    value: str = "hours",
    locale: str = "target_lang",
    split_by: str | None = None,
    title: str = "",
) -> go.Figure:
    """Hours or utterances by locale, bars stacked by another column; the largest locale on top.

    Args:
        groups: what ``Corpus.groups(locale, split_by)`` returns: those columns, ``utterances`` and ``hours``.
    """
    _need(groups, [locale, value] + ([split_by] if split_by else []), "counts_by_locale")
    frame = groups.copy()
    frame[locale] = frame[locale].astype(object).where(frame[locale].notna(), "not stated")
    order = frame.groupby(locale)[value].sum().sort_values().index.tolist()
    figure = go.Figure()
    for index, (name, part) in enumerate(_by_series(frame, split_by)):
        # Nothing is 0: after a gap plotly would draw the next piece from the axis, over the others.
        totals = part.groupby(locale)[value].sum().reindex(order).fillna(0)
        figure.add_trace(
            go.Bar(
                x=totals.to_numpy(),
                y=[plain(str(tag)) for tag in order],
                name=name or value,
                orientation="h",
                marker={
                    "color": COLORS[index % len(COLORS)],
                    "pattern": {"shape": ("", "/", ".", "x", "-", "+")[index % 6]},
                },
                hovertemplate="%{y}: %{x:,.2f} " + value + "<extra>" + plain(name) + "</extra>",
            )
        )
    figure.update_layout(barmode="stack", bargap=0.28)
    figure.update_xaxes(title=value.capitalize(), rangemode="tozero")
    return dress(figure, title, height=max(220, 90 + 30 * len(order)), legend=split_by is not None)


@public
def conditions_chart(table: pd.DataFrame, *, apart: Collection[str] = (), title: str = "") -> go.Figure:
    """Error rate, and marks and capitals kept, as conditions worsen from left to right.

    Args:
        table: from ``widgets.robustness.robustness``.
        apart: conditions that are no step of the ladder: no line leads to them.

    Raises:
        WorkbenchError: a column is missing.
    """
    _need(table, ["condition", "error_rate", "marks_kept", "capitals_kept"], "conditions_chart")
    figure = go.Figure()
    lines = (
        ("error_rate", "error rate", None),
        ("marks_kept", "punctuation kept", "marks"),
        ("capitals_kept", "capitalization kept", "capitals"),
    )
    for index, (column, name, of) in enumerate(lines):
        if table[column].isna().all():
            continue
        rows: list[tuple[str, Any, Any]] = []
        for row in table.to_dict("records"):
            condition = plain(str(row["condition"]))
            if row["condition"] in apart:
                rows.append((condition, None, None))  # a point without a value breaks the line
            rows.append((condition, row[column], row.get(of)))
        x, y, counts = zip(*rows, strict=True)
        figure.add_trace(
            go.Scatter(
                x=x,
                y=y,
                name=name,
                mode="lines+markers",
                customdata=counts if of in table.columns else None,
                hovertemplate="%{x}: %{y:.0%}"
                + (" of %{customdata}" if of in table.columns else "")
                + f"<extra>{name}</extra>",
                **look(index),
            )
        )
    figure.update_yaxes(title="Share", tickformat=".0%", rangemode="tozero")
    return dress(figure, title, height=340, legend=True)


def _by_series(frame: pd.DataFrame, series: str | None) -> list[tuple[str, pd.DataFrame]]:
    if series is None:
        return [("", frame)]
    if series not in frame.columns:
        raise WorkbenchError(
            f"no column '{series}'", hint=f"Choose from {', '.join(map(str, frame.columns))}."
        )
    groups = frame.groupby(series, sort=False, dropna=False, observed=True)
    found = [("not stated" if name != name or name is None else str(name), part) for name, part in groups]
    return found if isinstance(frame[series].dtype, pd.CategoricalDtype) else sorted(found, key=_in_order)


def _in_order(named: tuple[str, Any]) -> tuple[bool, int, float, str]:
    """Names by alphabet, bands of numbers ("< 2 s", "2–5 s", "≥ 5 s") by their numbers, what is not stated
    last."""
    name = named[0]
    band = re.match(r"([<≥>≤]?)\s*(-?\d+(?:\.\d+)?)", name)
    below = -1 if band and band[1] in ("<", "≤") else 1 if band and band[1] else 0
    return name == "not stated", 0 if band is None else below, float(band[2]) if band else 0.0, name


def look(index: int) -> dict[str, Any]:
    """Color, dash and marker of the n-th series: together they repeat after 36."""
    color, turn = COLORS[index % len(COLORS)], index + index // len(COLORS)
    return {
        "line": {"color": color, "width": 2, "dash": DASHES[turn % len(DASHES)]},
        "marker": {"color": color, "size": 8, "symbol": MARKERS[turn % len(MARKERS)]},
    }


def plain(text: str) -> str:
    """Names come from data: plotly reads a few HTML tags in labels, so its brackets are escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _need(frame: pd.DataFrame, columns: Sequence[str], who: str) -> None:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise WorkbenchError(
            f"{who} needs the columns {', '.join(missing)}",
            hint=f"Have: {', '.join(map(str, frame.columns))}.",
        )


def _legend(figure: go.Figure) -> dict[str, Any]:
    """Above the plot and beside the title where a few short names fit into a line; else at the right."""
    names = {str(trace.name) for trace in figure.data if trace.showlegend is not False and trace.name}
    if sum(len(name) + 6 for name in names) <= 80:
        line = {"orientation": "h", "yanchor": "bottom", "y": 1.01, "xanchor": "right", "x": 1}
        return {**line, "traceorder": "normal"}
    column = {"orientation": "v", "yanchor": "top", "y": 1, "xanchor": "left", "x": 1.01}
    return {**column, "traceorder": "normal"}


def dress(figure: go.Figure, title: str, height: int, legend: bool) -> go.Figure:
    """Font, ink, grid and legend that every chart has."""
    figure.update_layout(
        title={"text": plain(title), "x": 0, "xref": "paper", "xanchor": "left", "font": {"size": 15}}
        if title
        else None,
        height=height,
        showlegend=legend,
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={
            "family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
            "size": 12.5,
            "color": INK,
        },
        margin={"l": 68, "r": 18, "t": 48 if title else 22, "b": 52},
        legend=_legend(figure),
        hoverlabel={"font": {"size": 12.5}},
    )
    figure.update_xaxes(gridcolor=GRID, zerolinecolor=GRID, linecolor=GRID, ticks="outside", tickcolor=GRID)
    figure.update_yaxes(
        gridcolor=GRID, zerolinecolor=GRID, linecolor=GRID, title_standoff=10, automargin=True
    )
    return figure
