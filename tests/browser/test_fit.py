"""Every widget at 1440 and 1000 px, at 200 % zoom and on a phone: nothing cut off, nothing covered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from labpage import Lab, Notebook
from looks import CONTRAST, CUT, NAMELESS, OVERLAPPING
from playback_page import CHECKPOINT, STARTER
from playwright.sync_api import Browser, Locator, expect

pytestmark = pytest.mark.timeout(1800)  # limits only end a test that hangs
SIZES = {  # 1440 × 900 at 200 % is 720 × 450 in the page's own pixels
    "1440": ({"width": 1440, "height": 900}, 1),
    "1000": ({"width": 1000, "height": 800}, 1),
    "zoom-200": ({"width": 720, "height": 450}, 2),
    "phone": ({"width": 412, "height": 880}, 2),
}
SETUP = f"""
import pandas as pd
from workbench.corpus.importing import import_source
from workbench.evaluation.evaluation import score_predictions
from workbench.recognizer.checkpoint import Checkpoint
from workbench.widgets.board import Board
from workbench.widgets.explorer import Explorer
from workbench.widgets.microphone import Microphone
from workbench.widgets.playback import Playback

corpus = import_source("fit.jsonl", "fit", name="fit", audio_roots=[{str(STARTER)!r}])
rows = corpus.frame()

def read(every):
    return ["" if n % every == 0 else " ".join(word for k, word in enumerate(text.split()) if (n + k) % every)
            for n, text in enumerate(rows["text"])]

facts = {{"lookahead_ms": 560, "prompt_mode": "langID"}}
one, two = (rows[["id"]].assign(hypothesis=read(n), confidence=0.5, **facts) for n in (3, 5))
evaluation = score_predictions(rows, {{"base": one, "tuned": two}}, resamples=100)
checkpoint = Checkpoint.open({str(CHECKPOINT)!r})
tagged = [(i, "leading_silence", "warning", "1.2 s of silence", "Trim it.", 1.2) for i in rows["id"][:3]]
found = pd.DataFrame(tagged, columns=["id", "rule", "severity", "reason", "hint", "value"])
"""
BOARD = "Board(corpus, findings=found, predictions=one, reviewer='ana')"
EXPLORER = "Explorer(evaluation, corpus, checkpoint, name='tuned', against='base')"
OTHERS = ("Playback(checkpoint, rows['id'][0], corpus=corpus)", "Microphone(checkpoint, corpus=corpus)")


@pytest.fixture(scope="module")
def fit(browser: Browser, lab: Lab, repo: Path) -> Iterator[Notebook]:
    """A page of its own, whose size may change."""
    rows, seen = [], set()
    for line in (repo / "data/starter/manifest.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if 1 < row["duration"] < 5 and (row["target_lang"], len(rows) % 3) not in seen:
            seen.add((row["target_lang"], len(rows) % 3))
            rows.append(row | {"accent": f"accent {len(rows) % 3}"})
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (lab.server.root / "fit.jsonl").write_text(text, encoding="utf-8")
    own = Lab(browser, lab.server)
    book = own.notebook("fit.ipynb", [SETUP, BOARD, EXPLORER, *OTHERS])
    assert book.failures() == []
    yield book
    own.page.context.close()


def resized(fit: Notebook, name: str) -> list[Locator]:
    """The widgets at a size, with what can be opened opened."""
    fit.page.set_viewport_size(SIZES[name][0])
    board = fit.panel.get_by_test_id("board")
    expect(board).to_have_attribute("data-ready", "1")
    explorer = fit.panel.get_by_test_id("explorer")
    if explorer.get_by_test_id("cell-panel").is_hidden():
        explorer.locator(".nwb-cell").first.click()
    expect(explorer.get_by_test_id("utterance").first).to_be_visible()
    expect(explorer.get_by_test_id("scatter")).to_be_visible()
    fit.page.wait_for_timeout(400)  # sizes settle
    return [board, explorer, *(fit.panel.get_by_test_id(n) for n in ("playback", "microphone"))]


@pytest.mark.parametrize("name", SIZES)
def test_nothing_is_cut_or_covered(fit: Notebook, name: str, picture) -> None:
    faults = {}
    for widget in resized(fit, name):
        widget.scroll_into_view_if_needed()
        which = widget.get_attribute("data-testid")
        picture(f"fit-{name}-{which}", widget)
        bad = [*widget.evaluate(CUT), *widget.evaluate(OVERLAPPING)]
        if bad:
            faults[which] = bad
    assert faults == {}


def test_a_point_of_the_scatter_opens_its_clips_and_the_order_is_chosen(fit: Notebook, picture) -> None:
    _, explorer, *_ = resized(fit, "1440")
    scatter, total = explorer.get_by_test_id("scatter"), explorer.get_by_test_id("total")
    expect(scatter).to_contain_text("words better")
    every = total.inner_text()
    point = scatter.locator("circle").last
    label = point.get_attribute("aria-label") or ""
    point.focus()
    fit.page.keyboard.press("Enter")
    expect(total).not_to_have_text(every)
    expect(total).to_contain_text(label.split("”")[0].strip("“"))
    expect(scatter.locator("[aria-pressed=true]")).to_have_count(1)
    for theme in ("dark", "light"):
        fit.lab.theme(theme)
        picture(f"explorer-scatter-{theme}", explorer)
        assert explorer.evaluate(CONTRAST) == []
    assert explorer.evaluate(NAMELESS) == []
    explorer.get_by_test_id("clear-filter").click()
    expect(total).to_have_text(every)
    explorer.get_by_test_id("order").select_option("duration")
    longest = fit.kernel("corpus.frame().sort_values('duration')['id'].iloc[-1]")
    expect(explorer.get_by_test_id("utterance").first).to_have_attribute("data-id", longest)
    explorer.get_by_test_id("order").select_option("worst")
    expect(explorer.get_by_test_id("utterance").first).not_to_have_attribute("data-id", longest)
