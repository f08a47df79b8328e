"""Lineage as data, as a drawing and as a page without scripts."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

from candidates import POLICY, on_suite

from workbench.release import Release, lineage, lineage_drawing
from workbench.release.lineage import Node
from workbench.workspace.folder import WorkspaceFolder


def test_lineage_leads_from_the_release_back_to_the_recordings(home: WorkspaceFolder) -> None:
    release = Release(home, candidate="tuned", base="base")
    release.gate(POLICY, on_suite(home))
    release.promote()
    made = release.graph()
    kinds = [node.kind for node in made.ancestors("release production")]
    assert kinds[0] == "gate"
    assert {"checkpoint", "prediction", "suite", "corpus", "source"} <= set(kinds)
    # The gate rests on the suite's predictions of both, not on those that were picked by hand.
    gate = next(node.id for node in made.nodes.values() if node.kind == "gate")
    into = [made.nodes[edge.start] for edge in made.edges if edge.to == gate]
    assert sorted(node.label for node in into) == [
        "base on pilot v1",
        "pilot v1",
        "tuned",
        "tuned on pilot v1",
    ]
    suite = next(node for node in made.nodes.values() if node.kind == "suite")
    assert suite.facts["frozen"] == "yes"
    assert {edge.start for edge in made.edges if edge.to == suite.id} == {"corpus calls"}
    assert len({(node.kind, node.label) for node in made.nodes.values()}) == len(made.nodes)
    drawn = ElementTree.fromstring(made.svg())
    boxes = drawn.findall(".//{http://www.w3.org/2000/svg}g")
    assert len(boxes) == len(made.nodes)
    assert json.loads(json.dumps(made.to_dict()))["edges"]


def test_the_static_lineage_leads_from_box_to_facts_to_origin() -> None:
    made = lineage.Graph()
    for id, kind in (("s", "source"), ("c", "corpus"), ("r", "run"), ("x", "release")):
        made.nodes[id] = lineage.Node(id, kind, f"the {kind}", {"rows": 3, "unknown": None})
    made.edges = [lineage.Edge("s", "c"), lineage.Edge("c", "r")]
    page = made._repr_html_()
    ids, leads = re.findall(r'<li id="([^"]+)"', page), re.findall(r'href="#([^"]+)"', page)
    assert len(ids) == len(set(ids)) == 4
    # Each box leads to its facts, each step can be followed both ways, and no lead is dead.
    assert len(leads) == 4 + 2 * 2
    assert set(leads) == set(ids)
    assert "rows: <bdi>3</bdi>" in page
    assert "unknown" not in page
    assert [n.id for n in made.descendants("s")] == ["c", "r"]
    ElementTree.fromstring(page)


def test_lineage_draws_hostile_labels_as_text() -> None:
    made = lineage.Graph()
    made.nodes["x"] = lineage.Node("x", "corpus", '<script>"&', {"k": "<img onerror=1>"})
    for shown in (made.svg(), made._repr_html_()):
        assert "<script>" not in shown
        assert "<img" not in shown
        ElementTree.fromstring(shown)


def test_names_fit_their_boxes_and_stay_apart() -> None:
    """Cut in the middle: runs of one family differ at their ends. Wide letters take more room."""
    names = ["starter", "bulgarian-without-replay-1", "bulgarian-without-replay-2", "W" * 30, "電" * 20]
    labels = [lineage_drawing.label(Node("a", "run", name, {})) for name in names]
    assert labels[0] == "starter"
    assert len(set(labels)) == len(names)
    assert labels[1].startswith("bulgar")
    assert labels[1].endswith("-1")
    assert len(labels[3]) < len(labels[1])
    assert len(labels[4]) <= 12
