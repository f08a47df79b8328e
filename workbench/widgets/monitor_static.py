"""The static form of the monitor: where each run stands, its loss and validation curves, its last samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.widgets.figures import COLORS
from workbench.widgets.monitor_data import changes
from workbench.widgets.static import MUTED, Markup, box, escape, marked, percent, svg, table

WIDTH, HEIGHT = 400, 190
LEFT, BOTTOM, TOP = 46, 24, 10
METRICS = {"wer": "Word error rate", "cer": "Character error rate"}


def monitor_html(runs: Sequence[Mapping[str, Any]]) -> str:
    return box(*(_run(run) for run in runs), label="Fine-tuning")


def _run(run: Mapping[str, Any]) -> str:
    state = run["state"]
    about = f"{state['status']}, step {state['step'] or 0} of {state['steps'] or '?'}"
    said = [*(state.get("notices") or []), *filter(None, [state.get("message")])]
    trouble = "".join(f'<p style="color:#b3261e;margin:2px 0">{escape(line)}</p>' for line in said)
    train, validation = run["train"], [s for s in run["validation"] if not s["streaming"]]
    metric = run.get("metric", "wer")
    rates = [(f"{s['locale']} {s['prompt_mode']}", s["step"], s[metric]) for s in validation if metric in s]
    pictures = []
    if train:
        pictures.append(_chart("Loss", [("loss", train["step"], train["loss"])]))
    if rates:
        pictures.append(_chart(METRICS[metric], rates))
        pictures.append(_forgetting(changes(validation, metric)))
    flow = f'<div style="display:flex;flex-wrap:wrap;gap:18px">{"".join(pictures)}</div>'
    rows = [(sample["locale"], sample["reference"], _last(sample)) for sample in run["samples"][:8]]
    samples = table(("locale", "reference", "recognized last"), rows) if rows else ""
    head = (
        f'<p style="margin:0"><b>{escape(run["name"])}</b> <span style="{MUTED}">{escape(about)}</span></p>'
    )
    return head + trouble + flow + samples


def _forgetting(found: Sequence[Mapping[str, Any]]) -> str:
    """What each locale gained or lost since step 0, in points."""
    rows = [
        (
            f"{one['locale']} {one['prompt_mode']}",
            percent(one["before"]),
            percent(one["now"]),
            f"{100 * one['change']:+.1f}".replace("-", "\N{MINUS SIGN}"),
        )
        for one in found
    ]
    return table(("validation", "step 0", "now", "points"), rows) if rows else ""


def _last(sample: Mapping[str, Any]) -> Markup:
    spans: list[tuple[str, str]] = []
    for operation, reference, hypothesis in sample["history"][-1]["pairs"]:
        spans += [("delete", reference)] if operation in ("substitute", "delete") else []
        spans += [(operation, hypothesis)] if operation != "delete" else []
    return marked(spans)


def _chart(title: str, series: Sequence[tuple[str, Sequence[float], Sequence[float]]]) -> str:
    points = [(x, y) for _, xs, ys in series for x, y in zip(xs, ys, strict=True) if y is not None]
    if not points:
        return ""
    right, top = max(x for x, _ in points) or 1, max(y for _, y in points) or 1

    def place(x: float, y: float) -> str:
        across = LEFT + x / right * (WIDTH - LEFT - 8)
        return f"{across:.1f} {HEIGHT - BOTTOM - y / top * (HEIGHT - BOTTOM - TOP):.1f}"

    ink = 'font-size="11" fill="#6b7484" font-family="system-ui, sans-serif"'
    parts = [f'<text x="{LEFT}" y="{HEIGHT - 6}" {ink}>0</text>']
    parts.append(f'<text x="{WIDTH - 8}" y="{HEIGHT - 6}" text-anchor="end" {ink}>step {right:g}</text>')
    for value in (0.0, top / 2, top):
        y = place(0, value).split()[1]
        parts.append(f'<path d="M{LEFT} {y}H{WIDTH - 8}" stroke="#7d859038"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{float(y) + 4:.1f}" text-anchor="end" {ink}>{value:.3g}</text>'
        )
    for index, (name, xs, ys) in enumerate(series):
        line = " ".join(place(x, y) for x, y in zip(xs, ys, strict=True) if y is not None)
        color = COLORS[index % len(COLORS)]
        dash = f' stroke-dasharray="{index // len(COLORS) * 3 + 4} 3"' if index >= len(COLORS) else ""
        drawn = f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="1.8"{dash}>'
        parts.append(f"{drawn}<title>{escape(name)}</title></polyline>")
    names = "" if len(series) == 1 else _legend([name for name, _, _ in series])
    return f'<figure style="margin:8px 0;flex:1 1 {WIDTH}px"><figcaption>{escape(title)}</figcaption>' + (
        svg(parts, WIDTH, HEIGHT, title) + names + "</figure>"
    )


def _legend(names: Sequence[str]) -> str:
    dot = '<span style="color:{}">●</span>'
    items = (f"{dot.format(COLORS[i % len(COLORS)])} {escape(name)} &ensp;" for i, name in enumerate(names))
    return f'<div style="{MUTED};font-size:11px">{"".join(items)}</div>'
