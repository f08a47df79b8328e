"""The lineage to click through: a box shows its facts, lights up what it came from and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from workbench.plain_values import plain
from workbench.release import lineage_drawing
from workbench.signatures import public
from workbench.widgets import assets
from workbench.widgets.channel import LiveWidget

if TYPE_CHECKING:
    from workbench.release.lineage import Graph


@public
class Lineage(LiveWidget):
    """A lineage graph in the notebook; ``graph`` holds it as data, ``chosen`` the id of the chosen box."""

    _esm = assets.module("lineage.js")
    _css = assets.style("lineage.css")

    drawing = traitlets.Dict().tag(sync=True)
    chosen = traitlets.Unicode("").tag(sync=True)

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        super().__init__(drawing=plain(_drawing(graph)))

    def static_html(self) -> str:
        return self.graph._repr_html_()


def _drawing(graph: Graph) -> dict[str, Any]:
    """What the browser draws: places are chosen here, so that both forms look the same."""
    made = lineage_drawing.layout(graph)
    nodes = [
        {
            "id": id,
            "kind": graph.nodes[id].kind,
            "label": graph.nodes[id].label,
            "short": lineage_drawing.label(graph.nodes[id]),
            "x": place[0],
            "y": place[1],
            "facts": lineage_drawing.facts(graph.nodes[id]),
            "before": [node.id for node in graph.ancestors(id)],
            "after": [node.id for node in graph.descendants(id)],
        }
        for id, place in made.places.items()
    ]
    edges = [
        {"start": e.start, "to": e.to, "path": lineage_drawing.curve(made.places[e.start], made.places[e.to])}
        for e in graph.edges
    ]
    heads = [{"kind": kind, "x": x, "y": y} for kind, (x, y) in made.heads.items()]
    size = {"width": made.width, "height": made.height}
    box = {"boxWidth": lineage_drawing.WIDTH, "boxHeight": lineage_drawing.HEIGHT}
    return {"nodes": nodes, "edges": edges, "heads": heads, **size, **box}
