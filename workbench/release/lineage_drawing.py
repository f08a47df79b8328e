"""The lineage drawn: a column for each kind of thing, and the static form that works without a kernel."""

from __future__ import annotations

import hashlib
import html
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.release.lineage_graph import Linked, Node

KINDS = ("source", "corpus", "export", "base", "run", "checkpoint", "suite", "prediction", "gate", "release")
"""Columns; ``base``: checkpoints that no run here made and that runs began with."""
WIDTH, HEIGHT = 168, 40
_ROW, _COLUMN, _MARGIN = 56, 216, 16
_ROOM = WIDTH - 20
_PRINT = "@media print{.nwb-lineage div{overflow:visible!important}.nwb-lineage svg{width:100%;height:auto}}"


@dataclass(frozen=True)
class Layout:
    """Where everything stands, in pixels: boxes by their upper left corner, heads by their baseline."""

    places: dict[str, tuple[int, int]]
    heads: dict[str, tuple[int, int]]
    width: int
    height: int


def layout(graph: Linked) -> Layout:
    """A place for every node. Within a column, boxes stand near what they were made from, so that lines are
    short: in the order of the mean height of their parents."""
    columns: dict[str, list[Node]] = {kind: [] for kind in KINDS}
    for node in graph.nodes.values():
        columns["base" if _is_base(graph, node) else node.kind].append(node)
    parents: dict[str, list[str]] = {}
    for edge in graph.edges:
        parents.setdefault(edge.to, []).append(edge.start)
    places: dict[str, tuple[int, int]] = {}
    shown = [kind for kind in KINDS if columns[kind]]
    for x, kind in enumerate(shown):

        def height(node: Node) -> float:
            above = [places[p][1] for p in parents.get(node.id, ()) if p in places]
            return sum(above) / len(above) if above else float("inf")

        for y, node in enumerate(sorted(columns[kind], key=height)):
            places[node.id] = (_MARGIN + x * _COLUMN, 2 * _MARGIN + 12 + y * _ROW)
    tallest = max((len(columns[kind]) for kind in shown), default=0)
    heads = {kind: (_MARGIN + x * _COLUMN, _MARGIN + 6) for x, kind in enumerate(shown)}
    return Layout(places, heads, _MARGIN + len(shown) * _COLUMN, 3 * _MARGIN + 12 + tallest * _ROW)


def _is_base(graph: Linked, node: Node) -> bool:
    """A checkpoint that a run began with and none made: it stands before the runs, so that lines go on."""
    if node.kind != "checkpoint" or any(edge.to == node.id for edge in graph.edges):
        return False
    after = (graph.nodes[edge.to].kind for edge in graph.edges if edge.start == node.id)
    return "run" in after


def label(node: Node) -> str:
    """A node's name as it fits its box: cut in its middle, for names of one family differ at their ends."""
    if _wide(node.label) <= _ROOM:
        return node.label
    for length in range(len(node.label) - 1, 1, -1):
        cut = f"{node.label[: (length + 1) // 2]}…{node.label[-(length // 2) :]}"
        if _wide(cut) <= _ROOM:
            return cut
    return "…"


def _wide(text: str) -> float:
    """Pixels that a text takes at the drawing's size, rather too many than too few."""
    return sum(
        12.5 if unicodedata.east_asian_width(letter) in "WF" else
        11.5 if letter in "mwMW@%…" else
        8.8 if letter.isupper() else
        7.4
        for letter in text
    )  # fmt: skip


def facts(node: Node) -> list[tuple[str, str]]:
    """What is known of a node, as text."""
    return [(name, str(value)) for name, value in node.facts.items() if value is not None]


def curve(start: tuple[int, int], to: tuple[int, int]) -> str:
    """An SVG path from a box's right side to another one's left side."""
    x1, y1, x2, y2 = start[0] + WIDTH, start[1] + HEIGHT // 2, to[0], to[1] + HEIGHT // 2
    bend = max(24, abs(x2 - x1) // 2)
    return f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"


def svg(graph: Linked, anchors: dict[str, str] | None = None) -> str:
    """The drawing; ``anchors``: node → fragment that its box leads to."""
    made = layout(graph)
    heads = (f'<text x="{x}" y="{y}" font-weight="600">{kind}</text>' for kind, (x, y) in made.heads.items())
    lines = (
        f'<path d="{curve(made.places[e.start], made.places[e.to])}" fill="none" stroke="currentColor" '
        'stroke-opacity=".5"/>'
        for e in graph.edges
    )
    boxes = (_box(graph.nodes[id], place, (anchors or {}).get(id)) for id, place in made.places.items())
    name = f"Lineage: {len(graph.nodes)} things, {len(graph.edges)} steps"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="{"group" if anchors else "img"}" aria-label="{name}" '
        f'viewBox="0 0 {made.width} {made.height}" width="{made.width}" height="{made.height}" '
        'font-family="system-ui,sans-serif" font-size="12" '
        f'fill="currentColor">{"".join(heads)}{"".join(lines)}{"".join(boxes)}</svg>'
    )


def page(graph: Linked) -> str:
    """Drawing and list; boxes lead to the list, and the list from one thing to what it came from."""
    known = hashlib.sha256("\0".join(graph.nodes).encode()).hexdigest()[:8]
    anchors = {id: f"lineage-{known}-{number}" for number, id in enumerate(graph.nodes)}
    items = "".join(_item(graph, node, anchors) for node in graph.nodes.values())
    summary = f"Everything, one by one ({len(graph.nodes)})"
    return (
        f'<section aria-label="Lineage" class="nwb-lineage"><style>{_PRINT}</style>'
        f'<div style="overflow-x:auto">{svg(graph, anchors)}</div>'
        f'<details open=""><summary>{summary}</summary><ul>{items}</ul></details></section>'
    )


def _box(node: Node, place: tuple[int, int], anchor: str | None) -> str:
    x, y = place
    told = "\n".join(f"{name}: {value}" for name, value in facts(node))
    inside = (
        f"<title>{html.escape(f'{node.kind} {node.label}')}\n{html.escape(told)}</title>"
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
        f'style="fill:var(--jp-layout-color0,Canvas)" pointer-events="all" stroke="currentColor"/>'
        f'<text x="{x + 10}" y="{y + HEIGHT // 2 + 4}" '
        f'style="unicode-bidi:isolate">{html.escape(label(node))}</text>'
    )
    group = f'<g data-node="{html.escape(node.id)}">{inside}</g>'
    return group if anchor is None else f'<a href="#{anchor}">{group}</a>'


def _item(graph: Linked, node: Node, anchors: dict[str, str]) -> str:
    def links(nodes: list[Any]) -> str:
        names = ((anchors[n.id], html.escape(n.kind), html.escape(n.label)) for n in nodes)
        return ", ".join(f'<a href="#{a}">{kind} <bdi>{name}</bdi></a>' for a, kind, name in names)

    near = [graph.nodes[e.start] for e in graph.edges if e.to == node.id]
    after = [graph.nodes[e.to] for e in graph.edges if e.start == node.id]
    rows = [f"{html.escape(name)}: <bdi>{html.escape(value)}</bdi>" for name, value in facts(node)]
    rows += [f"made from {links(near)}"] if near else []
    rows += [f"went into {links(after)}"] if after else []
    told = "".join(f"<li>{row}</li>" for row in rows)
    name = f"<b>{html.escape(node.kind)} <bdi>{html.escape(node.label)}</bdi></b>"
    return f'<li id="{anchors[node.id]}">{name}<ul>{told}</ul></li>'
