"""The import plan in the browser: heard, corrected and imported with the mouse alone, clicks counted."""

from __future__ import annotations

import pytest
from labpage import Lab, Notebook
from playwright.sync_api import Locator, expect

SETUP = """
import pathlib, shutil
import numpy as np, soundfile
import workbench as wb

home = pathlib.Path("plan-editor").resolve()
shutil.rmtree(home, ignore_errors=True)
(home / "calls").mkdir(parents=True)
lines = ["Recording;Wortlaut;Language"]
for i in range(30):
    tone = 0.2 * np.sin(2 * np.pi * (200 + 20 * i) * np.arange(16000) / 16000)
    soundfile.write(home / "calls" / f"{i}.wav", tone, 16000)
    lines.append(f"{i}.wav;Buenos d\u00edas <img src=x onerror=alert(1)> {i};Spanish")
(home / "calls" / "table.csv").write_text(chr(10).join(lines), encoding="utf-8")
ws = wb.Workspace(home / "workspace")
view = ws.plan_import("calls", home / "calls" / "table.csv")
"""


@pytest.fixture(scope="module")
def book(lab: Lab) -> Notebook:
    book = lab.notebook("import_plan.ipynb", [SETUP, "view"])
    errors = [f for f in book.failures() if f["output_type"] == "error"]
    assert not errors, errors
    return book


@pytest.fixture
def view(book: Notebook) -> Locator:
    book.show()
    view = book.panel.get_by_test_id("plan")
    view.wait_for()
    return view


def test_from_the_table_to_the_corpus_in_four_clicks(
    book: Notebook, view: Locator, lab: Lab, picture
) -> None:
    expect(view.get_by_test_id("rows")).to_contain_text("30 of 30 rows come in")
    expect(view.get_by_test_id("notes")).to_contain_text("Spanish")
    clicks = 0
    column = view.locator("tr[data-column='Wortlaut'] select")
    if column.input_value() != "text":
        column.select_option("text")
        clicks += 1
    book.wait(lambda: book.kernel("view.plan.mapping.get('text')") == "Wortlaut", "the kernel to look again")
    expect(view).to_contain_text("<img src=x onerror=alert(1)>")
    assert view.locator("img").count() == 0
    view.locator("tr[data-locale='Spanish'] select").select_option("es-US")
    clicks += 1
    book.wait(lambda: book.kernel("view.plan.questions") == [], "no question to be open")
    view.get_by_role("button", name="Play row 1", exact=True).click()
    clicks += 1
    expect(view.locator(".nwb-player")).to_be_visible()
    expect(view.get_by_role("alert")).to_have_count(0)
    picture("import-plan-light", view)
    lab.theme("dark")
    picture("import-plan-dark", view)
    lab.theme("light")
    view.get_by_test_id("import").click()
    clicks += 1
    expect(view).to_have_attribute("data-step", "imported", timeout=60_000)
    expect(view.get_by_test_id("told")).to_contain_text("30 utterances")
    assert book.kernel("len(ws.corpus('calls'))") == 30
    assert book.kernel("sorted({r['target_lang'] for r in ws.corpus('calls').page(0, 30)})") == ["es-US"]
    assert clicks <= 4


def test_a_refusal_is_said_and_nothing_is_written(book: Notebook, view: Locator) -> None:
    book.kernel("None", "view = ws.plan_import('second', home / 'calls' / 'table.csv')")
    view.get_by_label("Folder that recordings are read from").fill("/no/such/folder")
    view.get_by_test_id("look-again").click()
    expect(view.get_by_role("alert")).to_contain_text("no such folder")
    assert book.kernel("ws.corpus_names()") == ["calls"]
