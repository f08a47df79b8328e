"""From recordings to release: which corpus, export, run, checkpoint, gate and release came from which.

Read from the folders and the ledger, not drawn by hand: an edge stands for a hash or a folder that one thing
names of another.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from workbench.corpus import predictions, record
from workbench.errors import WorkbenchError
from workbench.files import sha256_file
from workbench.finetuning import ancestry
from workbench.glance import Glance, as_text, counted
from workbench.privacy import tainted_checkpoints
from workbench.reading import read_json
from workbench.release import lineage_drawing, promotion
from workbench.release.lineage_graph import Edge, Node
from workbench.release.promotion import GATED
from workbench.suites.store import Suite, suite_names
from workbench.suites.suite import SuiteVersion
from workbench.workspace.folder import WorkspaceFolder


@dataclass
class Graph:
    """Nodes and edges as plain data, with a static drawing."""

    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)

    def _glance(self) -> Glance:
        many = f"{counted(len(self.nodes), 'thing')} and {counted(len(self.edges), 'step')} between them"
        rows = [(node.kind, node.label) for node in self.nodes.values()]
        return Glance(f"Lineage: {many}.", ("kind", "what"), rows)

    __repr__ = as_text

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

    def descendants(self, id: str) -> list[Node]:
        """Everything that was made from a node, nearest first."""
        turned = Graph(self.nodes, [Edge(edge.to, edge.start) for edge in self.edges])
        return turned.ancestors(id)

    def svg(self) -> str:
        """The drawing alone, every box with its facts as its title."""
        return lineage_drawing.svg(self)

    def _repr_html_(self) -> str:
        """The static form: the drawing, whose boxes lead to a list of everything with its facts."""
        return lineage_drawing.page(self)

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
    made, erased = Graph(), tainted_checkpoints.read(ws)
    checkpoints = {sha256_file(p): p.stem for p in sorted(ws.checkpoints.glob("*.nemo"))}
    files: dict[str, str] = {}
    for run in ancestry.runs(ws):
        for path in sorted((run / "checkpoints").glob("*.nemo")):
            digest = sha256_file(path)
            checkpoints.setdefault(digest, run.name)
            files.setdefault(digest, path.name)
    for digest, name in checkpoints.items():
        facts = {
            "sha256": digest,
            **({"file": files[digest]} if digest in files else {}),
            **({"trained on data since erased": list(erased[digest])} if digest in erased else {}),
        }
        made._add(Node(f"checkpoint {digest}", "checkpoint", name, facts))
    for name in ws.corpus_names():
        _corpus(made, ws.corpora / name)
    for path in sorted((ws.path / "exports").rglob("export.json")):
        _export(made, path)
    for run in ancestry.runs(ws):
        _run(made, run)
    for name in suite_names(ws):
        _suite(made, Suite(ws, name))
    _gates(made, ws)
    _releases(made, ws)
    _tell_apart(made)
    return made


def _tell_apart(made: Graph) -> None:
    """Things of one kind and name get what differs between them behind it: file, folder, time or digest."""
    named: dict[tuple[str, str], list[Node]] = {}
    for node in made.nodes.values():
        named.setdefault((node.kind, node.label), []).append(node)
    for nodes in named.values():
        if len(nodes) < 2:
            continue
        for fact in ("file", "folder", "at", "sha256"):
            told = [str(node.facts.get(fact) or "") for node in nodes]
            if all(told) and len(set(told)) == len(told):
                break
        else:
            told = [hashlib.sha256(node.id.encode()).hexdigest() for node in nodes]
        for node, more in zip(nodes, told, strict=True):
            short = more[:8] if len(more) == 64 else more
            made.nodes[node.id] = replace(node, label=f"{node.label} · {short}")


def _corpus(made: Graph, folder: Path) -> None:
    facts = record.read(folder)
    shown = {k: facts.get(k) for k in ("kind", "rows", "left_out", "source_sha256", "imported_at")}
    source = made._add(
        Node(f"source {folder.name}", "source", Path(str(facts.get("source", "?"))).name, shown)
    )
    corpus = made._add(
        Node(f"corpus {folder.name}", "corpus", folder.name, {"utterances": facts.get("rows")})
    )
    made._join(source, corpus)
    for path in sorted(folder.glob("exports/*/export.json")):
        _export(made, path, folder.name)
    for path in sorted((folder / "predictions").glob("*.parquet")):
        node = made._add(
            Node(f"prediction {folder.name}/{path.stem}", "prediction", path.stem, {"corpus": folder.name})
        )
        made._join(corpus, node)
        for digest in predictions.made_by(path):
            made._join(f"checkpoint {digest}", node)


def _export(made: Graph, record_path: Path, corpus: str | None = None) -> None:
    """An export, from its corpus: the one whose folder it lies in, or that it names."""
    told = read_json(record_path, "record of the export")
    kept: dict[str, Any] = {k: told[k] for k in ("format", "digest", "counts") if k in told}
    folder = record_path.parent
    node = made._add(Node(f"export {folder}", "export", folder.name, {**kept, "folder": folder.parent.name}))
    made._join(f"corpus {corpus or told.get('corpus')}", node)


def _run(made: Graph, run: Path) -> None:
    told = ancestry.provenance(run)
    facts = {"created_at": told.get("created_at"), "recipe_sha256": told.get("recipe_sha256")}
    node = made._add(Node(f"run {run.name}", "run", run.name, facts))
    for path in told.get("data", {}):
        made._join(_holder(made, Path(path)), node)
    made._join(f"checkpoint {told.get('base', {}).get('sha256')}", node)
    for digest in ancestry.checkpoints_of(run):
        made._join(node, f"checkpoint {digest}")


def _holder(made: Graph, manifest: Path) -> str:
    """The export that a manifest lies in, else a source of its own."""
    for folder in manifest.parents:
        if f"export {folder}" in made.nodes:
            return f"export {folder}"
    return made._add(Node(f"source {manifest}", "source", manifest.name, {"folder": manifest.parent.name}))


def _suite(made: Graph, suite: Suite) -> None:
    """Each version of a suite, from its corpora, and what each checkpoint or engine made of it."""
    for number in suite.versions:
        try:
            version = suite.version(number)
        except WorkbenchError as error:  # edited after it was run: it is shown, and what is wrong with it
            made._add(
                Node(
                    f"suite {suite.name} v{number}", "suite", f"{suite.name} v{number}", {"fault": error.what}
                )
            )
            continue
        facts = {
            "sha256": version.digest,
            "utterances": version.utterances,
            "operating points": ", ".join(point.name for point in version.points),
            "frozen": "yes" if suite.path(number).with_suffix(".run").exists() else "not run yet",
        }
        node = made._add(Node(_suite_id(version.digest), "suite", f"{suite.name} v{number}", facts))
        for corpus in version.corpora:
            made._join(f"corpus {corpus}", node)
        for folder in _made_of(suite.workspace, version):
            _suite_prediction(made, node, f"{suite.name} v{number}", folder)


def _suite_id(digest: str) -> str:
    return f"suite {digest[:16]}"


def _made_of(ws: WorkspaceFolder, version: SuiteVersion) -> list[Path]:
    """Folders of predictions of a version, one a corpus and checkpoint."""
    places = [ws.corpus_folder(name) / "predictions" / "suites" for name in version.corpora]
    return sorted(
        found for place in places for found in place.glob(f"{version.digest[:16]}/*") if found.is_dir()
    )


def _suite_prediction(made: Graph, suite: str, label: str, folder: Path) -> None:
    """One thing for all corpora and operating points that a checkpoint or engine was run at."""
    read = sorted(folder.glob("*.parquet"))
    if not read:
        return
    by = sorted({digest for path in read for digest in predictions.made_by(path)})
    known = [
        made.nodes[f"checkpoint {digest}"].label for digest in by if f"checkpoint {digest}" in made.nodes
    ]
    name = ", ".join(known) or f"imported {folder.name[:8]}"
    id = f"prediction {suite} {folder.name}"
    before = made.nodes[id].facts["operating points"].split(", ") if id in made.nodes else []
    points = sorted({*before, *(path.stem for path in read)})
    facts = {"of": label, "operating points": ", ".join(points)}
    made.nodes[id] = Node(id, "prediction", f"{name} on {label}", facts)
    made._join(suite, id)
    for digest in by:
        made._join(f"checkpoint {digest}", id)


def _gates(made: Graph, ws: WorkspaceFolder) -> None:
    for event in ws.ledger.events(kind=GATED):
        told = event.payload
        if told is None:
            continue
        suite = told.get("suite")
        facts = {
            "at": event.at,
            "report": told.get("report"),
            "policy": told.get("policy"),
            "suite": suite,
            "by": event.actor,
        }
        node = made._add(Node(f"gate {event.id}", "gate", str(told.get("verdict", "?")), facts))
        made._join(f"checkpoint {told.get('candidate')}", node)
        if suite is None:
            for name in _predictions_of(made, f"checkpoint {told.get('candidate')}"):
                made._join(name, node)
            continue
        made._join(_suite_id(str(suite)), node)
        for role in ("base", "candidate"):
            made._join(f"prediction {_suite_id(str(suite))} {str(told.get(role))[:16]}", node)


def _predictions_of(made: Graph, checkpoint: str) -> list[str]:
    """Predictions picked by hand that a checkpoint made; those of suites are named by their gates."""
    from_it = [edge.to for edge in made.edges if edge.start == checkpoint]
    return [id for id in from_it if made.nodes[id].kind == "prediction" and "corpus" in made.nodes[id].facts]


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
