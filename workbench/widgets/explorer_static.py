"""The static form of the explorer: the heat map, the worst utterances and the confusions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.widgets.explorer_cell import aligned
from workbench.widgets.explorer_data import ALL, METRICS, Choice
from workbench.widgets.static import MUTED, Markup, box, escape, marked, table

if TYPE_CHECKING:
    from workbench.evaluation import Evaluation

WORST = 12
CONFOUNDED = "⇄"
HATCHED = "repeating-linear-gradient(-45deg,#7d859066 0 1.5px,transparent 1.5px 7px)"
WIDE, TALL, LEFT, TOP, FOOT = 118, 44, 110, 34, 24
"""Of the picture, in pixels: a cell, what stands left of and above the cells, and a line below."""


def explorer_html(evaluation: Evaluation, choice: Choice, shown: Mapping[str, Any]) -> str:
    options: dict[str, Any] = {"normalizer": choice.normalizer}
    worst = evaluation.utterances(choice.name, metric=choice.metric, limit=WORST, **options).to_dict(
        "records"
    )
    rows = [(_rate(record), record["id"], _words(evaluation, choice, record["id"])) for record in worst]
    pairs = evaluation.confusions(choice.name, limit=15, **options).to_dict("records")
    confused = [(pair["reference"], pair["hypothesis"], int(pair["count"])) for pair in pairs]
    what = f"{choice.name} against {choice.against}" if choice.against else choice.name
    heading = f"{METRICS[choice.metric].capitalize()} of {what}, normalizer {choice.normalizer}"
    notes = "".join(f'<p style="{MUTED};margin:2px 0">{escape(note)}.</p>' for note in shown["findings"][:4])
    return box(
        f'<p style="margin:0 0 8px"><b>{escape(heading)}</b></p>',
        _map(shown),
        f'<p style="{MUTED};margin:2px 0">{escape(legend(shown))}</p>',
        notes,
        table(("wrong", "utterance", "reference → recognized"), rows, "Worst utterances"),
        table(("reference", "recognized", "times"), confused, "Confusions"),
        label="Error explorer",
    )


def legend(shown: Mapping[str, Any]) -> str:
    """What colors and signs of the map mean."""
    level = f"{100 * shown['confidence']:g} %"
    compared = bool(shown["choice"]["against"])
    colors = (
        "blue: better, red: worse, gray: no clear difference" if compared else "stronger color: higher rate"
    )
    return (
        f"Percent, ± half-width of the {level} CI; {colors}; hatched: not enough data; {CONFOUNDED} "
        "confounded: another column explains it as well."
    )


def _words(evaluation: Evaluation, choice: Choice, id: str) -> Markup:
    spans: list[tuple[str, str]] = []
    for operation, reference, hypothesis, *_ in aligned(evaluation, choice.name, id, choice.normalizer):
        spans += [("delete", reference)] if operation in ("substitute", "delete") else []
        spans += [(operation, hypothesis)] if operation != "delete" else []
    return marked(spans)


def _rate(record: Mapping[str, Any]) -> str:
    return f"{int(record['errors'])} of {int(record['reference_units'])}"


def strength(cell: Mapping[str, Any], compared: bool) -> tuple[float, str]:
    """How deep a cell is colored (0 to 1) and in which of heat, good, bad and gray (nothing to tell)."""
    value = cell.get("difference" if compared else "rate")
    if value is None or cell["enough"] == "no":
        return 0.0, "gray"
    if compared:
        return min(1.0, abs(value) / 0.2), str(cell["way"])
    return min(1.0, value), "heat"


def cell_text(cell: Mapping[str, Any], compared: bool) -> str:
    value = cell.get("difference") if compared else cell.get("rate")
    if value is None:
        return "–"
    half = None if cell["low"] is None else 50 * (cell["high"] - cell["low"])
    number = f"{100 * value:+.1f}".replace("-", "−") if compared else f"{100 * value:.1f}"
    mark = f" {CONFOUNDED}" if cell["confounded"] else ""
    return number + (f" ±{half:.1f}" if half is not None else "") + mark


def few(cell: Mapping[str, Any], compared: bool) -> bool:
    """Whether a cell is hatched: not enough data."""
    return cell["enough"] == "no" or cell.get("difference" if compared else "rate") is None


def _map(shown: Mapping[str, Any]) -> str:
    compared = bool(shown["choice"]["against"])
    edge = "padding:4px 10px;text-align:left;border:1px solid #7d859038"
    head = "".join(
        f'<th scope="col" style="{edge}">{escape(_name(value))}</th>' for value in shown["columns"]
    )
    body = []
    for row in shown["rows"]:
        line = f'<th scope="row" style="{edge}">{escape(_name(row))}</th>'
        for column in shown["columns"]:
            cell = shown["cells"].get(f"{row or ''}\n{column or ''}")
            line += f'<td style="{edge}"></td>' if cell is None else _cell(cell, compared, edge)
        body.append(f"<tr>{line}</tr>")
    return (
        f'<table style="border-collapse:collapse;margin:4px 0"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>"
    )


def _cell(cell: Mapping[str, Any], compared: bool, edge: str) -> str:
    depth, kind = strength(cell, compared)
    color = {"heat": "214,98,20", "good": "11,98,168", "bad": "179,38,30"}.get(kind)
    ground = f"rgba({color},{0.08 + 0.5 * depth:.2f})" if color else "#7d859022"
    hatch = f";background-image:{HATCHED}" if few(cell, compared) else ""
    small = f'<br><small style="{MUTED}">{cell["utterances"] or 0} utterances</small>'
    title = escape("\n".join([cell["sentence"], *cell["confounded"]]))
    text = escape(cell_text(cell, compared)) + small
    return f'<td style="{edge};background-color:{ground}{hatch}" title="{title}">{text}</td>'


def _name(value: Any) -> str:
    return "all" if value == ALL else "not stated" if value is None else str(value)


def svg_size(shown: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height of :func:`heat_svg`, in pixels."""
    return LEFT + WIDE * len(shown["columns"]), TOP + TALL * len(shown["rows"]) + FOOT


def heat_svg(shown: Mapping[str, Any]) -> str:
    """The heat map as a picture for a document; a line below says what was measured of which prediction."""
    choice = shown["choice"]
    compared = bool(choice["against"])
    width, height = svg_size(shown)
    font = 'font-family="system-ui, sans-serif" fill="#1a2230"'
    parts = [
        f'<defs><pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><path d="M0 0V7" stroke="#1a2230" stroke-opacity=".28" '
        f'stroke-width="2"/></pattern></defs><rect width="{width}" height="{height}" fill="#ffffff"/>'
    ]
    for place, column in enumerate(shown["columns"]):
        x = LEFT + WIDE * place + 8
        parts.append(
            f'<text x="{x}" y="22" font-size="12" {font}>{escape(_fitting(_name(column), 17))}</text>'
        )
    for down, row in enumerate(shown["rows"]):
        y = TOP + TALL * down
        parts.append(
            f'<text x="6" y="{y + 26}" font-size="12" {font}>{escape(_fitting(_name(row), 16))}</text>'
        )
        for place, column in enumerate(shown["columns"]):
            cell = shown["cells"].get(f"{row or ''}\n{column or ''}")
            if cell is not None:
                parts.append(_svg_cell(cell, compared, LEFT + WIDE * place, y, font))
    what = f"{choice['name']} against {choice['against']}" if compared else choice["name"]
    foot = f"{METRICS[choice['metric']]} of {what}, normalizer {choice['normalizer']}, ± half of the interval"
    foot = _fitting(foot, width // 6)
    parts.append(f'<text x="6" y="{height - 8}" font-size="11" {font}>{escape(foot)}</text>')
    # Width and height stand in so many words: without them some browsers cannot draw it on a canvas.
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="Error rates by slice">{"".join(parts)}</svg>'
    )


def _fitting(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1] + "…"


def _svg_cell(cell: Mapping[str, Any], compared: bool, x: int, y: int, font: str) -> str:
    depth, kind = strength(cell, compared)
    color = {"heat": "#d66214", "good": "#0b62a8", "bad": "#b3261e"}.get(kind)
    fill, opacity = (color, 0.08 + 0.5 * depth) if color else ("#8a93a3", 0.18)
    place = f'x="{x}" y="{y}" width="{WIDE - 2}" height="{TALL - 2}"'
    shape = f'<rect {place} fill="{fill}" fill-opacity="{opacity:.2f}"/>'
    hatch = f'<rect {place} fill="url(#hatch)"/>' if few(cell, compared) else ""
    text = f'<text x="{x + 8}" y="{y + 19}" font-size="13" {font}>{escape(cell_text(cell, compared))}</text>'
    small = (
        f'<text x="{x + 8}" y="{y + 34}" font-size="10" {font}>{cell["utterances"] or 0} utterances</text>'
    )
    return shape + hatch + text + small
