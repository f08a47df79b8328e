"""The lineage clicked and walked through with the keyboard."""

from __future__ import annotations

import pytest
from labpage import Lab, Notebook
from playwright.sync_api import Locator, expect

GRAPH = """
from workbench.release.lineage import Edge, Graph, Node
from workbench.widgets.lineage import Lineage

made = Graph()
for id, kind, label in (
    ("s", "source", "manifest.jsonl"), ("c", "corpus", "calls"), ("e", "export", "el-GR"),
    ("r", "run", "el-GR"), ("b", "checkpoint", "starter"),
    ("k", "checkpoint", "<img src=x onerror=alert(1)>"),
    ("g", "gate", "pass"), ("p", "release", "production: el-GR"), ("q", "release", "previous: starter"),
):
    made.nodes[id] = Node(id, kind, label, {"sha256": "ab12" * 16, "unknown": None})
made.edges = [Edge(*pair) for pair in ("sc", "ce", "er", "br", "rk", "kg", "gp", "bq")]
view = Lineage(made)
"""


@pytest.fixture(scope="module")
def book(lab: Lab) -> Notebook:
    book = lab.notebook("lineage.ipynb", [GRAPH, "view"])
    assert not book.failures(), book.failures()
    return book


@pytest.fixture
def view(book: Notebook) -> Locator:
    book.show()
    view = book.panel.get_by_test_id("lineage")
    view.wait_for()
    return view


def box(view: Locator, id: str) -> Locator:
    return view.locator(f"g[data-node='{id}']")


def test_a_box_tells_its_facts_and_what_it_came_from(
    book: Notebook, view: Locator, lab: Lab, picture
) -> None:
    panel = view.get_by_test_id("lineage-panel")
    expect(panel).to_contain_text("Click a box")
    box(view, "k").click()
    expect(box(view, "k")).to_have_attribute("aria-pressed", "true")
    expect(panel).to_contain_text("ab12ab12")
    expect(panel).not_to_contain_text("unknown")
    expect(panel).to_contain_text("<img src=x onerror=alert(1)>")
    assert view.locator("img").count() == 0
    lit = {id for id in "scerbkgpq" if "nwb-before" in (box(view, id).get_attribute("class") or "")}
    assert lit == set("scerb")
    assert "nwb-after" in (box(view, "p").get_attribute("class") or "")
    assert "nwb-off" in (box(view, "q").get_attribute("class") or "")
    assert view.locator("path.nwb-on").count() == 7
    picture("lineage-light", view)
    lab.theme("dark")
    picture("lineage-dark", view)
    lab.theme("light")
    panel.get_by_role("button", name="corpus calls").click()
    expect(box(view, "c")).to_have_attribute("aria-pressed", "true")
    book.wait(lambda: book.kernel("view.chosen") == "c", "the kernel to know what is chosen")
    box(view, "c").click()
    expect(panel).to_contain_text("Click a box")


def test_the_keyboard_alone_reaches_everything(book: Notebook, view: Locator) -> None:
    box(view, "s").focus()
    ways = "Right c", "Right e", "Right b", "Right r", "Left b", "Left e"
    for way in ways:
        key, there = way.split()
        book.page.keyboard.press(f"Arrow{key}")
        assert book.page.evaluate("() => document.activeElement.dataset.node") == there
    book.page.keyboard.press("Enter")
    expect(box(view, "e")).to_have_attribute("aria-pressed", "true")
    book.page.keyboard.press("Escape")
    expect(box(view, "e")).to_have_attribute("aria-pressed", "false")
    # "d d" in a box must not delete the cell.
    cells = book.panel.locator(".jp-Cell").count()
    book.page.keyboard.press("d")
    book.page.keyboard.press("d")
    assert book.panel.locator(".jp-Cell").count() == cells
