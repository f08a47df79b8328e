"""From recordings to release: which corpus, export, run, checkpoint, gate and release came from which.

Read from the folders and the ledger, not drawn by hand: an edge stands for a hash or a folder that one thing
names of another.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from workbench.release import descent, marks, promotion
from workbench.release.promotion import GATED
from workbench.workspace import WorkspaceFolder, sha256_file

KINDS = ("source", "corpus", "export", "run", "checkpoint", "prediction", "gate", "release")
_WIDTH, _HEIGHT, _ROW, _COLUMN, _MARGIN = 168, 40, 56, 216, 16


@dataclass(frozen=True, slots=True)
class Node:
    """One thing; ``facts`` are shown when it is clicked or hovered."""

    id: str
    kind: str
    label: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Edge:
    """``to`` was made from ``start``."""

    start: str
    to: str


@dataclass
class Graph:
    """Nodes and edges as plain data, with a static drawing."""

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {"nodes": [asdict(n) for n in self.nodes.values()], "edges": [asdict(e) for e in self.edges]}

    def ancestors(self, id: str) -> list[Node]:
        """Everything a node was made from, nearest first."""
        found: dict[str, Node] = {}
        waiting = [id]
        while waiting:
            at = waiting.pop(0)
            for edge in self.edges:
                if edge.to == at and edge.start not in found:
                    found[edge.start] = self.nodes[edge.start]
                    waiting.append(edge.start)
        return list(found.values())

    def svg(self) -> str:
        """The static form: a column for each kind, every box with its facts as its title."""
        columns = {k: [n for n in self.nodes.values() if n.kind == k] for k in KINDS}
        shown = {k: nodes for k, nodes in columns.items() if nodes}
        places = {
            node.id: (_MARGIN + x * _COLUMN, 2 * _MARGIN + 12 + y * _ROW)
            for x, nodes in enumerate(shown.values())
            for y, node in enumerate(nodes)
        }
        width = _MARGIN + len(shown) * _COLUMN
        height = 3 * _MARGIN + 12 + max((len(n) for n in shown.values()), default=0) * _ROW
        heads = (
            f'<text x="{_MARGIN + x * _COLUMN}" y="{_MARGIN + 6}" font-weight="600">{kind}</text>'
            for x, kind in enumerate(shown)
        )
        lines = (_line(places[e.start], places[e.to]) for e in self.edges)
        boxes = (_box(self.nodes[id], place) for id, place in places.items())
        label = f"Lineage: {len(self.nodes)} things, {len(self.edges)} steps"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" '
            f'viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            'font-family="system-ui,sans-serif" font-size="12" '
            f'fill="currentColor">{"".join(heads)}{"".join(lines)}{"".join(boxes)}</svg>'
        )

    def _repr_html_(self) -> str:
        return f'<div style="overflow-x:auto">{self.svg()}</div>'

    def _add(self, node: Node) -> str:
        self.nodes.setdefault(node.id, node)
        return node.id

    def _join(self, start: str | None, to: str) -> None:
        if start is not None and start in self.nodes and to in self.nodes and start != to:
            edge = Edge(start, to)
            if edge not in self.edges:
                self.edges.append(edge)


def graph(ws: WorkspaceFolder) -> Graph:
    """The lineage of everything in a workspace."""
    made, erased = Graph(), marks.read(ws)
    checkpoints = {sha256_file(p): p.stem for p in sorted(ws.checkpoints.glob("*.nemo"))}
    for run in descent.runs(ws):
        for digest in descent.checkpoints_of(run):
            checkpoints.setdefault(digest, run.name)
    for digest, name in checkpoints.items():
        facts = {
            "sha256": digest,
            **({"trained on data since erased": list(erased[digest])} if digest in erased else {}),
        }
        made._add(Node(f"checkpoint {digest}", "checkpoint", name, facts))
    for name in ws.corpus_names():
        _corpus(made, ws.corpora / name)
    for run in descent.runs(ws):
        _run(made, run)
    _gates(made, ws)
    _releases(made, ws)
    return made


def _corpus(made: Graph, folder: Path) -> None:
    import pyarrow.parquet as pq

    facts = json.loads((folder / "source.json").read_text(encoding="utf-8"))
    shown = {k: facts.get(k) for k in ("kind", "rows", "left_out", "source_sha256", "imported_at")}
    source = made._add(
        Node(f"source {folder.name}", "source", Path(str(facts.get("source", "?"))).name, shown)
    )
    corpus = made._add(
        Node(f"corpus {folder.name}", "corpus", folder.name, {"utterances": facts.get("rows")})
    )
    made._join(source, corpus)
    for path in sorted(folder.glob("exports/*/export.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        kept = {k: told[k] for k in ("format", "digest", "counts") if k in told}
        made._join(corpus, made._add(Node(f"export {path.parent}", "export", path.parent.name, kept)))
    for path in sorted((folder / "predictions").glob("*.parquet")):
        node = made._add(
            Node(f"prediction {folder.name}/{path.stem}", "prediction", path.stem, {"corpus": folder.name})
        )
        made._join(corpus, node)
        if "checkpoint_sha256" in pq.read_schema(path).names:
            for digest in set(
                pq.read_table(path, columns=["checkpoint_sha256"])["checkpoint_sha256"].to_pylist()
            ):
                made._join(f"checkpoint {digest}", node)


def _run(made: Graph, run: Path) -> None:
    told = descent.provenance(run)
    facts = {"created_at": told.get("created_at"), "recipe_sha256": told.get("recipe_sha256")}
    node = made._add(Node(f"run {run.name}", "run", run.name, facts))
    for path in told.get("data", {}):
        made._join(_holder(made, Path(path)), node)
    made._join(f"checkpoint {told.get('base', {}).get('sha256')}", node)
    for digest in descent.checkpoints_of(run):
        made._join(node, f"checkpoint {digest}")


def _holder(made: Graph, manifest: Path) -> str:
    """The export that a manifest lies in, else a source of its own."""
    for folder in manifest.parents:
        if f"export {folder}" in made.nodes:
            return f"export {folder}"
    return made._add(Node(f"source {manifest}", "source", manifest.name))


def _gates(made: Graph, ws: WorkspaceFolder) -> None:
    for event in ws.ledger.events(kind=GATED):
        told = event.payload
        if told is None:
            continue
        facts = {
            "at": event.at,
            "report": told.get("report"),
            "policy": told.get("policy"),
            "by": event.actor,
        }
        node = made._add(Node(f"gate {event.id}", "gate", str(told.get("verdict", "?")), facts))
        made._join(f"checkpoint {told.get('candidate')}", node)
        for name in _predictions_of(made, f"checkpoint {told.get('candidate')}"):
            made._join(name, node)


def _predictions_of(made: Graph, checkpoint: str) -> Iterator[str]:
    yield from [e.to for e in made.edges if e.start == checkpoint and made.nodes[e.to].kind == "prediction"]


def _releases(made: Graph, ws: WorkspaceFolder) -> None:
    now = promotion.pointers(ws)
    for role in ("production", "previous"):
        pointer: promotion.Pointer | None = getattr(now, role)
        if pointer is None:
            continue
        facts = {"name": pointer.name, "sha256": pointer.sha256, "since": pointer.since}
        node = made._add(Node(f"release {role}", "release", f"{role}: {pointer.name}", facts))
        gates = [n for n in made.nodes.values() if n.kind == "gate" and n.facts.get("report") == pointer.gate]
        made._join(gates[-1].id if gates and pointer.gate else f"checkpoint {pointer.sha256}", node)


def _line(start: tuple[int, int], to: tuple[int, int]) -> str:
    x1, y1, x2, y2 = start[0] + _WIDTH, start[1] + _HEIGHT // 2, to[0], to[1] + _HEIGHT // 2
    bend = max(24, abs(x2 - x1) // 2)
    path = f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    return f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity=".5"/>'


def _box(node: Node, place: tuple[int, int]) -> str:
    x, y = place
    facts = "\n".join(f"{k}: {v}" for k, v in node.facts.items() if v is not None)
    label = node.label if len(node.label) <= 22 else f"{node.label[:21]}…"
    title = html.escape(f"{node.kind} {node.label}\n{facts}")
    return (
        f'<g tabindex="0" data-node="{html.escape(node.id)}"><title>{title}</title>'
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" '
        f'fill="none" stroke="currentColor"/><text x="{x + 10}" y="{y + _HEIGHT // 2 + 4}" '
        f'style="unicode-bidi:isolate">{html.escape(label)}</text></g>'
    )
