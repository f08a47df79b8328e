"""The explorer with more locales and accents than fit: none vanishes, a cell opens in sight."""

from __future__ import annotations

import pytest
from labpage import Lab, Notebook
from playwright.sync_api import Locator, expect

LOCALES, ACCENTS, ROWS = 100, 50, 4000
SETUP = f"""
import numpy as np, pandas as pd
from workbench.evaluation.evaluation import score_predictions
from workbench.locales import LOCALES
from workbench.widgets.explorer import Explorer

draw = np.random.default_rng(0)
made_up = [f"q{{chr(97 + i // 26)}}{{chr(97 + i % 26)}}-XX" for i in range({LOCALES})]
tags = [*list(LOCALES)[:40], *made_up][:{LOCALES}]
words = "one two three four five six seven eight nine ten".split()
rows = pd.DataFrame([
    {{"id": f"u{{i}}", "text": " ".join(draw.choice(words, 6)), "duration": 2.0, "speaker": f"s{{i % 90}}",
      "target_lang": tags[i % {LOCALES}] if i < 400 else tags[int({LOCALES} * draw.random() ** 1.6)],
      "accent": f"accent {{(i if i < 400 else int({ACCENTS} * draw.random())) % {ACCENTS}:02d}}"}}
    for i in range({ROWS})])
wrong = [" ".join(w if draw.random() > 0.15 else "zero" for w in text.split()) for text in rows.text]
explorer = Explorer(score_predictions(rows, {{"base": rows[["id"]].assign(hypothesis=wrong)}}))
"""


@pytest.fixture(scope="module")
def book(lab: Lab) -> Notebook:
    book = lab.notebook("many.ipynb", [SETUP, "explorer"])
    assert book.failures() == []
    return book


@pytest.fixture
def view(book: Notebook) -> Locator:
    book.show()
    view = book.panel.get_by_test_id("explorer")
    expect(view.locator("tbody tr").first).to_be_visible()
    return view


def test_both_dimensions_are_kept_and_the_largest_shown(view: Locator, picture) -> None:
    labels = view.locator(".nwb-head select").evaluate_all("all => all.map(s => s.value)")
    assert {"target_lang", "accent"} <= set(labels)
    assert view.locator("tbody tr").count() == 1 + 24
    assert view.locator("thead th").count() == 1 + 12
    expect(view.get_by_test_id("map-all-row")).to_contain_text(f"and {LOCALES - 24} others")
    expect(view.get_by_test_id("map-all-column")).to_contain_text(f"and {ACCENTS - 12} others")
    picture("explorer-many-locales", view)


def test_any_locale_is_found_and_all_can_be_shown(view: Locator) -> None:
    find = view.get_by_test_id("map-find-row")
    find.fill("greek")
    expect(view.locator("tbody th")).to_have_count(2)
    expect(view.locator("tbody th").last).to_contain_text("el-GR")
    find.fill("")
    view.get_by_test_id("map-all-row").click()
    expect(view.locator("tbody tr")).to_have_count(1 + LOCALES)
    # Heads stay in sight while the map is scrolled.
    scroller = view.locator(".nwb-map-scroll")
    scroller.evaluate("box => { box.scrollTop = box.scrollHeight; box.scrollLeft = box.scrollWidth; }")
    tops = view.evaluate(
        """root => { const box = root.querySelector(".nwb-map-scroll").getBoundingClientRect();
            const head = root.querySelector("thead th:last-child").getBoundingClientRect();
            const row = root.querySelector("tbody tr:last-child th").getBoundingClientRect();
            return [head.top - box.top, row.left - box.left]; }"""
    )
    assert max(map(abs, tops)) < 8


def test_a_cell_opens_in_sight(view: Locator) -> None:
    view.locator("tbody tr:last-child .nwb-cell").first.click()
    expect(view.get_by_test_id("utterance").first).to_be_visible()
    inside = (
        "el => { const { top } = el.getBoundingClientRect(); return top > 0 && top < 0.7 * innerHeight; }"
    )
    panel = view.get_by_test_id("cell-panel")
    view.page.wait_for_timeout(500)
    assert panel.evaluate(inside)
