"""A busy kernel is no fault: widgets live through long cells, before, during and after their first draw."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from labpage import Lab
from playback_page import CHECKPOINT, STARTER
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.timeout(900)
LONG_S = float(os.environ.get("WORKBENCH_LONG_CELL_S", "20"))
"""Seconds that a long cell holds the kernel; 120 in the soak."""

SETUP = f"""
import json, time, pandas as pd
from pathlib import Path
from workbench.corpus.importing import import_source
from workbench.evaluation.evaluation import score_predictions
from workbench.finetuning.run import Run
from workbench.recognizer.checkpoint import Checkpoint
from workbench.widgets.board import Board
from workbench.widgets.explorer import Explorer
from workbench.widgets.microphone import Microphone
from workbench.widgets.playback import Playback

def hold(seconds):
    Path("held").write_text("1")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.05)
    Path("held").unlink()

corpus = import_source("busy.jsonl", "busy", name="busy", audio_roots=[{str(STARTER)!r}])
ids = corpus.ids()
none = pd.DataFrame(columns=["id", "rule", "severity", "reason", "hint", "value"])
checkpoint = Checkpoint.open({str(CHECKPOINT)!r})
heard = pd.DataFrame([{{"id": ids[0], "hypothesis": "nada", "lookahead_ms": 560, "prompt_mode": "langID"}}])
evaluation = score_predictions(corpus.pick(ids[:1]).frame(), {{"base": heard}})
"""
BOARD = "board = Board(corpus, findings=none, reviewer='ana')\nboard"
PLAYER = "player = Playback(checkpoint, ids[0], corpus=corpus)\nplayer"
EXPLORER = "explorer = Explorer(evaluation, corpus, checkpoint)\nexplorer"
MICROPHONE = "microphone = Microphone(checkpoint)\nmicrophone"


@pytest.fixture(scope="module", autouse=True)
def manifest(lab: Lab, repo: Path) -> None:
    rows = []
    for line in (repo / "data/starter/manifest.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if 1 < row["duration"] < 3:
            rows.append(row)
        if len(rows) == 12:
            break
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (lab.server.root / "busy.jsonl").write_text(text, encoding="utf-8")


def subshells(page: Page, mode: str) -> None:
    """How JupyterLab sends widget messages from now on: ``perCommTarget`` (its default) or ``disabled``."""
    page.evaluate("mode => { window.jupyterapp.serviceManager.kernels.commsOverSubshells = mode; }", mode)


def held(lab: Lab) -> bool:
    return (lab.server.root / "held").exists()


def test_widgets_drawn_while_a_cell_runs_are_alive_before_it_ends(lab: Lab) -> None:
    """*Run All* with long cells between: each widget's first draw falls into the next cell's run."""
    hold = f"hold({LONG_S})"
    book = lab.notebook("during.ipynb", [SETUP, BOARD, PLAYER, EXPLORER, MICROPHONE, hold], wait=False)
    book.wait(lambda: held(lab), "the long cell runs", 120)
    expect(book.panel.locator("[data-testid=board][data-ready='1']")).to_be_visible()
    expect(book.panel.get_by_test_id("playback").get_by_role("button", name="Play")).to_be_enabled()
    book.panel.get_by_test_id("board-accept").click()
    expect(book.panel.get_by_test_id("board-saved")).to_contain_text("All saved ·")
    assert held(lab), "the decision was saved while the cell still ran"
    book.wait(lambda: not held(lab), "the long cell ends", LONG_S + 60)
    assert book.kernel("[d.action for d in corpus.decisions.events()]") == ["status"]
    assert book.failures() == []


def test_where_no_message_passes_a_cell_all_is_kept_and_goes_through_by_itself(lab: Lab) -> None:
    """Without kernel subshells: every widget says that it waits, and for how long, and then does it."""
    subshells(lab.page, "disabled")
    try:
        hold = f"hold({LONG_S})"
        cells = [SETUP.replace('"busy",', '"busy-off",'), BOARD, PLAYER, EXPLORER, MICROPHONE, hold]
        book = lab.notebook("off.ipynb", cells, wait=False)
        book.wait(lambda: held(lab), "the long cell runs", 120)
        waits = {
            name: book.panel.get_by_test_id(name).get_by_test_id("waiting") for name in ("board", "playback")
        }
        for name, wait in waits.items():
            expect(wait, name).to_contain_text("Waiting for the kernel", timeout=10_000)
            expect(wait, name).to_contain_text(":0")
        book.panel.get_by_test_id("explorer").locator(".nwb-cell").first.click()
        expect(book.panel.get_by_test_id("explorer").get_by_test_id("waiting")).to_be_visible()
        assert held(lab)
        book.wait(lambda: not held(lab), "the long cell ends", LONG_S + 60)
        expect(book.panel.locator("[data-testid=board][data-ready='1']")).to_be_visible()
        expect(book.panel.get_by_test_id("playback").locator(".nwb-player")).to_have_attribute(
            "data-ready", "1"
        )
        expect(book.panel.get_by_test_id("utterance").first).to_be_visible()
        for wait in waits.values():
            expect(wait).to_be_hidden()

        # Once more, now that all is drawn: a decision made while a cell runs is saved once, when it ends.
        book.page.evaluate(
            """code => { void window.jupyterapp.shell.currentWidget.sessionContext.session.kernel
                .requestExecute({ code }).done; }""",
            hold,
        )
        book.wait(lambda: held(lab), "a cell runs", 60)
        book.panel.get_by_test_id("board-accept").click()
        expect(waits["board"]).to_be_visible(timeout=5_000)
        microphone = book.panel.get_by_test_id("microphone")
        microphone.get_by_test_id("record").click()
        expect(microphone).to_have_attribute("data-state", "preparing")
        microphone.get_by_test_id("record").click()  # now it says Cancel
        expect(microphone).to_have_attribute("data-state", "idle")
        expect(microphone.get_by_test_id("mic-note")).to_contain_text("nothing was kept")
        book.wait(lambda: not held(lab), "it ends", LONG_S + 60)
        expect(book.panel.get_by_test_id("board-saved")).to_contain_text("All saved ·")
        expect(waits["board"]).to_be_hidden()
        assert book.kernel("len(corpus.decisions.events())") == 1
        assert book.failures() == []
    finally:
        subshells(lab.page, "perCommTarget")


def test_a_page_loaded_anew_while_a_cell_runs_comes_back(lab: Lab) -> None:
    book = lab.notebook("reload.ipynb", [SETUP.replace('"busy",', '"busy-again",'), BOARD])
    expect(book.panel.locator("[data-testid=board][data-ready='1']")).to_be_visible()
    book.page.evaluate(
        """code => { void window.jupyterapp.shell.currentWidget.sessionContext.session.kernel
            .requestExecute({ code }).done; }""",
        f"hold({LONG_S})",
    )
    book.wait(lambda: held(lab), "a cell runs", 60)
    book.reload()
    board = book.panel.locator("[data-testid=board][data-ready='1']")
    expect(board).to_be_visible(timeout=(LONG_S + 60) * 1000)
    board.get_by_test_id("board-accept").click()
    expect(board.get_by_test_id("board-saved")).to_contain_text("All saved ·")
    book.wait(lambda: not held(lab), "it ends", LONG_S + 60)
