"""From a cell of the heat map to the sound of a word, and on to curation; hostile transcripts stay text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from labpage import REPO, Lab, Notebook
from playwright.sync_api import Locator, expect

HOSTILE = '<img src=x onerror="window.hacked=1"> </script> עברית'

# Rows and recordings are the starter's own. The predictions are written by rule, so every count is known:
# 'base' loses the first word of each utterance and says "wrong" for the last, 'tuned' only loses the first.
SETUP = f"""
import json, shutil
import pandas as pd
from pathlib import Path
from workbench.corpus.sources import import_source
from workbench.evaluation import evaluate
from workbench.widgets.board import Board
from workbench.widgets.explorer import Explorer

source = Path({str(REPO / "data" / "starter")!r})
rows = [json.loads(line) for line in (source / "manifest.jsonl").open()]
def plain(row):
    words = row["text"].lower().replace(",", "").replace(".", "").split()
    return len(set(words)) == len(words) >= 3 and all(w.isalpha() for w in words) and row["duration"] > 1

picked = [r for tag in ("es-US", "el-GR", "fr-CA") for r in
          [r for r in rows if r["target_lang"] == tag and plain(r)][:12]]
picked[0] = picked[0] | {{"text": {HOSTILE!r} + " fin", "speaker": "<b>voz</b>"}}
for row in picked:
    Path("explored", row["audio_filepath"]).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / row["audio_filepath"], Path("explored", row["audio_filepath"]))
manifest = Path("explored/manifest.jsonl")
manifest.write_text("".join(json.dumps(row) + "\\n" for row in picked))
corpus = import_source(manifest, Path("explorer-corpus"), name="explored")
frame = corpus.frame()

def predict(heard):
    made = []
    for row in frame.to_dict("records"):
        words, step = row["text"].split(), row["duration"] / len(row["text"].split())
        kept = [(w, i * step, (i + 1) * step) for i, w in enumerate(words)][1:]
        said = [{{"word": heard(w, i == len(words) - 2), "start": a, "end": b, "confidence": 0.9}}
                for i, (w, a, b) in enumerate(kept)]
        made.append({{"id": row["id"], "hypothesis": " ".join(s["word"] for s in said), "words": said,
                     "detected_lang": row["target_lang"], "lookahead_ms": 560, "prompt_mode": "langID"}})
    return pd.DataFrame(made)

base = predict(lambda word, last: "wrong" if last else word)
tuned = predict(lambda word, last: word)
explorer = Explorer(evaluate(frame, {{"base": base, "tuned": tuned}}), corpus, name="base")
"""


@pytest.fixture(scope="module")
def book(lab: Lab) -> Notebook:
    book = lab.notebook("explorer.ipynb", [SETUP, "explorer", "Board(corpus)"])
    assert not book.failures(), book.failures()
    return book


@pytest.fixture
def view(book: Notebook) -> Locator:
    book.show()
    view = book.panel.get_by_test_id("explorer")
    view.wait_for()
    return view


def cell(view: Locator, row: str) -> Locator:
    return view.locator(f"[data-testid=cell][data-row='{row}']").first


def open_cell(view: Locator, row: str) -> Locator:
    cell(view, row).click()
    expect(view.get_by_test_id("utterance").first).to_be_visible()
    return view.get_by_test_id("cell-panel")


def test_a_cell_says_rate_interval_and_size_as_a_sentence(book: Notebook, view: Locator) -> None:
    said = cell(view, "el-GR").get_attribute("aria-label")
    rate = book.kernel(
        "float(explorer.evaluation.rates('base', 'target_lang').set_index('target_lang').rate['el-GR'])"
    )
    assert said.startswith(f"el-GR: error rate {100 * rate:.1f} percent, between ")
    assert "12 utterances" in said
    assert cell(view, "el-GR").get_by_text(f"{100 * rate:.1f}").count() == 1
    assert view.locator("table thead th[scope=col]").count() == len(book.kernel("explorer.map['columns']"))
    assert view.locator("table tbody th[scope=row]").count() == 4  # all, and three locales


def test_the_map_is_walked_with_the_keyboard(view: Locator) -> None:
    cell(view, "el-GR").focus()
    view.page.keyboard.press("ArrowDown")
    assert view.page.evaluate("document.activeElement.dataset.row") == "es-US"
    view.page.keyboard.press("Enter")
    expect(cell(view, "es-US")).to_have_attribute("aria-pressed", "true")


def test_utterances_come_worst_first_with_each_word_marked(book: Notebook, view: Locator) -> None:
    open_cell(view, "el-GR")
    shown = view.get_by_test_id("utterance").evaluate_all("items => items.map((item) => item.dataset.id)")
    worst = book.kernel("explorer.evaluation.utterances('base', {'target_lang': 'el-GR'})['id'].tolist()")
    assert shown == worst
    first = view.get_by_test_id("utterance").first.locator("button.nwb-pair")
    marks = first.evaluate_all("words => words.map((word) => word.dataset.operation)")
    assert marks[0] == "delete"
    assert marks[-1] == "substitute"
    assert set(marks[1:-1]) <= {"equal"}
    assert "lost" in first.first.get_attribute("aria-label")


def test_a_word_plays_from_its_place(book: Notebook, view: Locator) -> None:
    open_cell(view, "fr-CA")
    item = view.get_by_test_id("utterance").first
    id = item.get_attribute("data-id")
    item.locator("button.nwb-pair").last.click()
    book.wait(lambda: view.locator(".nwb-dock .nwb-player").get_attribute("data-playing") == "1", "sound")
    start_s = book.kernel(f"base.set_index('id').words[{id!r}][-1]['start']")
    label = view.get_by_test_id("player-time")
    book.wait(lambda: float(label.text_content().split("/")[0].split(":")[1]) >= start_s - 0.2, "the word")
    expect(item).to_have_class("nwb-utterance nwb-current")


def test_a_confusion_filters_the_utterances(book: Notebook, view: Locator) -> None:
    open_cell(view, "el-GR")
    bar = view.get_by_test_id("confusions").locator("button").first
    bar.wait_for()
    pair = book.kernel(
        "explorer.evaluation.confusions('base', {'target_lang': 'el-GR'}).iloc[0].to_dict()['reference']"
    )
    bar.click()
    expect(view.get_by_test_id("total")).to_contain_text(f"“{pair}” heard as “wrong”")
    expect(view.locator("ol.nwb-utterances")).to_have_attribute("aria-busy", "false")
    texts = view.get_by_test_id("utterance").all_text_contents()
    assert texts
    assert all(pair in text.lower() for text in texts)
    view.get_by_test_id("clear-filter").click()
    expect(view.get_by_test_id("utterance")).to_have_count(12)


def test_two_predictions_show_the_difference(book: Notebook, view: Locator) -> None:
    view.get_by_test_id("choose-against").select_option("tuned")
    expect(cell(view, "el-GR")).to_contain_text("▲")
    expect(cell(view, "el-GR")).to_have_attribute(
        "aria-label", re.compile("base is .* points worse than tuned")
    )
    panel = open_cell(view, "el-GR")
    expect(panel.get_by_role("button", name="12 got worse")).to_be_visible()
    view.get_by_test_id("choose-against").select_option("")
    expect(cell(view, "el-GR")).not_to_contain_text("▲")


def test_sent_to_curation_the_board_shows_it(book: Notebook, view: Locator) -> None:
    open_cell(view, "el-GR")
    item = view.get_by_test_id("utterance").nth(1)
    id = item.get_attribute("data-id")
    item.get_by_test_id("send").click()
    item.get_by_test_id("reason").fill("last word is clipped")
    item.get_by_test_id("send-go").click()
    expect(view.get_by_text("tagged “check: last word is clipped”")).to_be_visible()
    assert book.kernel(f"list(corpus.row({id!r})['tags'])") == ["check: last word is clipped"]
    assert book.kernel("corpus.where(\"list_contains(tags, 'check: last word is clipped')\").ids()") == [id]
    history = book.kernel(f"[d.action for d in corpus.decisions.history({id!r})]")
    assert history == ["tag"]


def test_hostile_text_stays_text(book: Notebook, view: Locator) -> None:
    view.get_by_test_id("choose-normaliser").select_option("raw")  # the others take brackets away
    book.wait(lambda: book.kernel("explorer.map['choice']['normaliser']") == "raw", "raw")
    open_cell(view, "es-US")
    mine = view.get_by_test_id("utterance").filter(has_text="<img")
    expect(mine).to_have_count(1)
    expect(mine).to_contain_text("<b>voz</b>")
    assert view.locator("img, script, b:has-text('voz')").count() == 0
    assert not view.page.evaluate("window.hacked")
    assert mine.locator("bdi").evaluate_all("all => all.some((e) => e.textContent.includes('onerror='))")
    assert "<img" not in book.kernel("explorer.static_html()")
    view.get_by_test_id("choose-normaliser").select_option("basic")


def test_a_reload_keeps_map_and_cell_in_light_and_dark(
    book: Notebook, lab: Lab, picture, view: Locator
) -> None:
    open_cell(view, "fr-CA")
    picture("explorer-light", view)
    book.reload()
    again = book.panel.get_by_test_id("explorer")
    expect(again.get_by_test_id("utterance").first).to_be_visible()
    expect(cell(again, "fr-CA")).to_have_attribute("aria-pressed", "true")
    lab.theme("dark")
    picture("explorer-dark", again)
    lab.theme("light")
    assert not lab.outside


def test_exports_name_what_they_hold(book: Notebook, view: Locator, tmp_path: Path) -> None:
    open_cell(view, "el-GR")
    with view.page.expect_download() as svg:
        view.get_by_test_id("export-svg").click()
    assert svg.value.path().read_text("utf-8").startswith("<svg")
    view.get_by_test_id("sql").click()
    expect(view.get_by_text("target_lang = 'el-GR'")).to_be_visible()
    with view.page.expect_download() as csv:
        view.get_by_test_id("export-csv").click()
    lines = csv.value.path().read_text("utf-8").splitlines()
    assert lines[0].startswith("id,")
    assert len(json.dumps(lines)) > 500
