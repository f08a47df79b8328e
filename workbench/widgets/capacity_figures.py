"""Charts of capacity and of choosing the look-ahead; plain figures like those of ``figures``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from workbench.capacity.result import PUBLISHED, PUBLISHED_AS
from workbench.widgets.figures import INK, dress, look, plain

if TYPE_CHECKING:
    from workbench.capacity import Capacity, Choice

_METRICS = {"first_token": "First token", "word": "Word", "last_token": "Last token"}


def capacity_chart(capacity: Capacity, *, title: str = "") -> go.Figure:
    """Latency and share of computing against streams at once, a line per look-ahead.

    Above: the percentile of the budget (else last token p95), the budget as a dotted line, the largest number
    that held it as a ring. Below: computing over wall clock, where 100 % is the end.
    """
    budget, frame = capacity.budget, capacity.frame()
    metric = budget.metric if budget else "last_token"
    percentile = budget.percentile if budget else "p95"
    column = f"{metric}_{percentile}_ms"
    figure: go.Figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08, row_heights=[0.62, 0.38]
    )
    for index, lookahead_ms in enumerate(sorted(set(frame["lookahead_ms"])) if len(frame) else []):
        part = frame[frame["lookahead_ms"] == lookahead_ms]
        name, style = f"{lookahead_ms} ms", look(index)
        for row, values, unit in ((1, part[column], "ms"), (2, part["busy"], "")):
            figure.add_trace(
                go.Scatter(
                    x=part["streams"],
                    y=values,
                    name=name,
                    legendgroup=name,
                    showlegend=row == 1,
                    mode="lines+markers",
                    hovertemplate=f"%{{x}} streams: %{{y:.3g}} {unit}<extra>{name}</extra>",
                    **style,
                ),
                row=row,
                col=1,
            )
        found = capacity.streams_at(int(lookahead_ms))
        at = part[part["streams"] == found.streams] if found is not None and found.streams else part[:0]
        ring = {"size": 17, "symbol": "circle-open", "line": {"width": 2.5}}
        ring["color"] = style["marker"]["color"]
        figure.add_trace(
            go.Scatter(
                x=at["streams"],
                y=at[column],
                mode="markers",
                marker=ring,
                legendgroup=name,
                showlegend=False,
                hovertemplate="largest that held: %{x}<extra>" + name + "</extra>",
            ),
            row=1,
            col=1,
        )
    if budget:
        figure.add_hline(budget.latency_ms, line={"dash": "dot", "color": INK}, row=1, col=1)
        # A logarithmic axis takes annotations at the exponent.
        place = {"x": 0, "xref": "x domain", "y": math.log10(budget.latency_ms), "yref": "y"}
        words = {"text": plain(f"budget {budget.latency_ms:g} ms"), "font": {"color": INK}}
        figure.add_annotation(**place, **words, xanchor="left", yanchor="bottom", showarrow=False)
    figure.add_hline(1.0, line={"dash": "dot", "color": INK}, row=2, col=1)
    counts = _ticks(frame["streams"] if len(frame) else [], [found.streams for found in capacity.largest])
    figure.update_xaxes(type="log", tickvals=counts, ticktext=[f"{n:g}" for n in counts], tickangle=0)
    figure.update_xaxes(title="Streams at once", row=2, col=1)
    # Past the limit latency grows without end: on a straight scale nothing else could be read.
    stops = [m * 10**e for e in range(5) for m in (1, 2, 5)]
    figure.update_yaxes(title=f"{_METRICS[metric]} {percentile}, ms", type="log", row=1, col=1)
    figure.update_yaxes(tickvals=stops, ticktext=[f"{stop:,}" for stop in stops], row=1, col=1)
    figure.update_yaxes(title="Computing", tickformat=".0%", range=[0, 1.08], row=2, col=1)
    dress(figure, title or _title(capacity), height=520, legend=True)
    # Below the axis, in two lines: one would not fit a narrow notebook.
    note = {"text": _published(), "font": {"size": 11, "color": INK}, "align": "left", "showarrow": False}
    place = {"xref": "paper", "yref": "paper", "x": 0, "y": 0, "yshift": -58, "xanchor": "left"}
    figure.add_annotation(**note, **place, yanchor="top")
    return figure.update_layout(margin_b=98)


def _ticks(measured: Iterable[int], largest: Iterable[int]) -> list[int]:
    """Numbers to write below a logarithmic axis: those that held the budget first, none upon another."""
    chosen: list[int] = []
    # Powers of two before what the search tried between them.
    for count in [*largest, *sorted({int(n) for n in measured}, key=lambda n: (n & (n - 1) > 0, n))]:
        if count > 0 and all(max(count, other) / min(count, other) > 1.2 for other in chosen):
            chosen.append(count)
    return sorted(chosen)


def _published() -> str:
    """What others published, for scale beside what was measured here."""
    figures = " · ".join(f"{entry['streams']:,} streams at {entry['lookahead_ms']} ms" for entry in PUBLISHED)
    return f"{plain(PUBLISHED_AS)}:<br>{plain(figures)}"


def choice_chart(choice: Choice, *, title: str = "") -> go.Figure:
    """Error rate against word latency, a line per locale, a point per look-ahead; streams beside the points.

    Recommended settings are stars; points that another setting beats in everything are hollow.
    """
    figure = go.Figure()
    for index, (locale, part) in enumerate(choice.table.groupby("locale", sort=True)):
        part = part.sort_values("latency_p95_s")
        style = look(index)
        color = style["line"]["color"]
        streams = ["" if n is None else f", {n} streams" for n in part["streams"]]
        labels = [f"{ms} ms{s}" for ms, s in zip(part["lookahead_ms"], streams, strict=True)]
        bars = {"type": "data", "symmetric": False, "thickness": 1, "width": 3}
        bars |= {"array": part["high"] - part["rate"], "arrayminus": part["rate"] - part["low"]}
        marker: dict[str, Any] = {"color": color, "size": [16 if r else 9 for r in part["recommended"]]}
        marker["symbol"] = [
            "star" if best else style["marker"]["symbol"] + ("" if edge else "-open")
            for best, edge in zip(part["recommended"], part["on_tradeoff"], strict=True)
        ]
        figure.add_trace(
            go.Scatter(
                x=part["latency_p95_s"],
                y=part["rate"],
                error_y=bars,
                name=plain(str(locale)),
                mode="lines+markers+text",
                text=labels,
                textposition="top right",
                cliponaxis=False,
                textfont={"size": 10.5, "color": color},
                line=style["line"],
                marker=marker,
                hovertemplate="%{text}: %{y:.1%} at %{x:.2f} s<extra>" + plain(str(locale)) + "</extra>",
            )
        )
    if choice.latency_p95_s is not None:
        budget = {"text": "budget", "font": {"color": INK}}
        figure.add_vline(choice.latency_p95_s, line={"dash": "dot", "color": INK}, annotation=budget)
    slowest = choice.table["latency_p95_s"].max()
    figure.update_xaxes(title="Word latency, 95th percentile, s", rangemode="tozero")
    if slowest > 0:  # room for the label of the slowest
        figure.update_xaxes(range=[0, 1.1 * max(slowest, choice.latency_p95_s or 0)])
    figure.update_yaxes(title="Error rate", tickformat=".0%", rangemode="tozero")
    return dress(figure, title or f"★ recommended: {choice.budget_line()}", height=430, legend=True)


def _title(capacity: Capacity) -> str:
    other = f", beside {capacity.background_load} of other load" if capacity.background_load else ""
    left = "" if capacity.status == "complete" else f" ({capacity.status})"
    return f"{capacity.checkpoint} on {capacity.machine_line()}{other}{left}"
