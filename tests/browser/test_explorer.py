"""From a cell of the heat map to the sound of a word, and on to curation; hostile transcripts stay text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from labpage import REPO, Lab, Notebook
from looks import CONTRAST, NAMELESS
from playwright.sync_api import Locator, expect

ARABIC = "السلام عليكم ورحمة الله"
HOSTILE = '<img src=x onerror="window.hacked=1"> </script> עברית'

# Rows and recordings are the starter's own. The predictions are written by rule, so every count is known:
# 'base' loses the first word of each utterance and says "wrong" for the last, 'tuned' only loses the first.
# 'base-80' is 'base' with a shorter look-ahead, which loses the last word too.
SETUP = f"""
import json, shutil
import pandas as pd
from pathlib import Path
from workbench.corpus.importing import import_source
from workbench.corpus.query.table import Corpus
from workbench.evaluation import score_predictions
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
picked[1] = picked[1] | {{"text": {ARABIC!r}}}
for row in picked:
    Path("explored", row["audio_filepath"]).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / row["audio_filepath"], Path("explored", row["audio_filepath"]))
manifest = Path("explored/manifest.jsonl")
manifest.write_text("".join(json.dumps(row) + "\\n" for row in picked))
kept = Path("explorer-corpus")
corpus = Corpus.open(kept) if kept.exists() else import_source(manifest, kept, name="explored")
frame = corpus.frame().assign(snr_db=[4.0 + row for row in range(36)])

def predict(heard, checkpoint, lookahead_ms=560):
    made = []
    for row in frame.to_dict("records"):
        words, step = row["text"].split(), row["duration"] / len(row["text"].split())
        kept = [(w, i * step, (i + 1) * step) for i, w in enumerate(words)][1:]
        said = [{{"word": heard(w, i == len(words) - 2), "start": a, "end": b, "confidence": 0.9}}
                for i, (w, a, b) in enumerate(kept)]
        said = [word for word in said if word["word"]]
        made.append({{"id": row["id"], "hypothesis": " ".join(s["word"] for s in said), "words": said,
                     "detected_lang": "es-ES" if row["target_lang"] == "es-US" else row["target_lang"],
                     "checkpoint_sha256": checkpoint, "lookahead_ms": lookahead_ms, "prompt_mode": "langID"}})
    return pd.DataFrame(made)

base = predict(lambda word, last: "wrong" if last else word, "a")
short = predict(lambda word, last: "" if last else word, "a", 80)
tuned = predict(lambda word, last: word, "b")
evaluation = score_predictions(frame, {{"base": base, "base-80": short, "tuned": tuned}})
explorer = Explorer(evaluation, corpus, name="base")
"""


@pytest.fixture(scope="module")
def book(lab: Lab) -> Notebook:
    book = lab.notebook("explorer.ipynb", [SETUP, "explorer", "Board(corpus, reviewer='ana')"])
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
    assert "missed" in first.first.get_attribute("aria-label")


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
    expect(view.get_by_test_id("total")).to_contain_text(f"“{pair}” recognized as “wrong”")
    expect(view.locator("ol.nwb-utterances")).to_have_attribute("aria-busy", "false")
    texts = view.get_by_test_id("utterance").all_text_contents()
    assert texts
    assert all(pair in text.lower() for text in texts)
    view.get_by_test_id("clear-filter").click()
    expect(view.get_by_test_id("utterance")).to_have_count(12)


def test_two_predictions_show_the_difference(book: Notebook, view: Locator) -> None:
    view.get_by_test_id("choose-against").select_option("tuned")
    # Twelve clips: the figure has its sign, and no color or arrow claims a direction.
    expect(cell(view, "el-GR")).to_contain_text("+")
    expect(cell(view, "el-GR")).not_to_contain_text("▲")
    expect(cell(view, "el-GR")).to_have_attribute(
        "aria-label", re.compile("not enough data to compare base and tuned")
    )
    panel = open_cell(view, "el-GR")
    expect(panel.get_by_role("button", name="12 got worse")).to_be_visible()
    view.get_by_test_id("choose-against").select_option("")
    expect(cell(view, "el-GR")).not_to_contain_text("+")


def test_a_lookahead_shows_its_own_predictions(book: Notebook, view: Locator) -> None:
    open_cell(view, "el-GR")
    ahead = view.get_by_test_id("choose-lookahead")
    assert ahead.locator("option").all_text_contents() == ["80 ms", "560 ms"]
    ahead.select_option("80")
    first = view.get_by_test_id("utterance").first.locator("button.nwb-pair").last
    expect(first).to_have_attribute("data-operation", "delete")  # the cell stays open
    assert book.kernel("explorer.map['choice']['name']") == "base-80"
    expect(view.get_by_test_id("choose-name")).to_have_value("base-80")
    ahead.select_option("560")
    expect(first).to_have_attribute("data-operation", "substitute")


def test_snr_and_language_filter_the_utterances(book: Notebook, view: Locator) -> None:
    open_cell(view, "es-US")
    view.get_by_test_id("heard-as").get_by_role("button", name="es-US recognized as es-ES").click()
    expect(view.get_by_test_id("total")).to_contain_text("12 utterances with es-US recognized as es-ES")
    bars = view.get_by_test_id("snr").get_by_role("button")
    said = bars.first.get_attribute("aria-label")
    bars.first.click()
    wanted = re.search(r"in (\d+ utterances?)", said)[1]
    expect(view.get_by_test_id("total")).to_contain_text(f"{wanted} with an SNR of")
    expect(bars.first).to_be_focused()  # what was clicked keeps the focus when the bars are drawn anew
    view.get_by_test_id("clear-filter").click()


def test_words_go_to_the_keyword_list(book: Notebook, view: Locator) -> None:
    open_cell(view, "el-GR")
    view.get_by_test_id("lost").get_by_role("button", name=re.compile("^Add “")).first.click()
    expect(view.get_by_text("keywords.csv of the corpus holds 1 keyword.")).to_be_visible()
    item = view.get_by_test_id("utterance").first
    item.get_by_test_id("keyword").click()
    words = item.get_by_test_id("keyword-words").input_value().split(", ")
    assert len(words) == 2  # the first and the last
    item.get_by_test_id("keyword-words").press("Enter")
    expect(item.get_by_test_id("keyword-words")).to_be_hidden()
    expect(item.get_by_test_id("keyword")).to_be_focused()
    listed = book.kernel(
        "[[k.text, k.target_lang] for k in read_keywords(explorer.keyword_file)]",
        setup="from workbench.evaluation.keywords import read_keywords",
    )
    assert {word.lower() for word, _ in listed} >= {word.lower() for word in words}
    assert {tag for _, tag in listed} == {"el-GR"}
    found = book.kernel("int(evaluation.keywords('base', explorer.keyword_file)['reference'].iloc[0])")
    assert found >= 1


def test_minutes_go_to_the_collection_plan(book: Notebook, view: Locator) -> None:
    open_cell(view, "fr-CA")
    view.get_by_test_id("plan-minutes").fill("45")
    view.get_by_test_id("plan").click()
    expect(
        view.get_by_text("45 minutes of fr-CA added: the collection plan now holds 1 request")
    ).to_be_visible()
    plan = book.kernel("explorer.collection_plan")
    assert plan == [{"target_lang": "fr-CA", "accent": None, "minutes": 45}]
    open_cell(view, "∑")
    view.get_by_test_id("plan").click()
    expect(view.get_by_text("names no locale and no accent")).to_be_visible()


def test_everything_is_reached_with_keys(book: Notebook, view: Locator) -> None:
    keys = view.page.keyboard
    cell(view, "el-GR").focus()
    keys.press("Enter")
    expect(view.get_by_test_id("utterance")).to_have_count(12)
    view.get_by_test_id("utterance").first.locator("button.nwb-pair").first.focus()
    keys.press("ArrowRight")
    keys.press("ArrowRight")
    place = "[...document.activeElement.parentElement.children].indexOf(document.activeElement)"
    assert view.page.evaluate(place) == 2
    keys.press("ArrowDown")
    expect(view.get_by_test_id("utterance").nth(1).locator("button.nwb-pair").first).to_be_focused()
    keys.press("End")
    keys.press("Enter")
    playing = view.locator(".nwb-dock .nwb-player")
    book.wait(lambda: playing.get_attribute("data-playing") == "1", "sound")
    stops = "(list) => list.querySelectorAll('.nwb-pair[tabindex=\"0\"]').length"
    assert view.locator("ol.nwb-utterances").evaluate(stops) == 12  # one stop of Tab a line
    keys.press("Escape")
    expect(view.get_by_test_id("cell-panel")).to_be_hidden()
    expect(cell(view, "el-GR")).to_be_focused()
    assert view.evaluate(NAMELESS) == []


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
    board = book.panel.get_by_test_id("board")
    board.locator("[data-facet=tag]").click()  # it looks for others' decisions every few seconds
    expect(board.get_by_test_id("board-total")).to_contain_text("1 clip")
    row = board.locator("[role=row][aria-rowindex='2']")
    expect(row).to_contain_text(book.kernel(f"corpus.row({id!r})['text']"))
    expect(row.get_by_test_id("board-row-tag")).to_have_text("check: last word is clipped")
    expect(board.get_by_test_id("board-tag")).to_contain_text("check: last word is clipped")
    board.get_by_test_id("board-tag").get_by_role("button").click()  # dealt with
    expect(board.get_by_test_id("board-tag")).to_have_count(0)
    assert book.kernel(f"list(corpus.row({id!r})['tags'])") == []


def test_hostile_text_stays_text(book: Notebook, view: Locator) -> None:
    view.get_by_test_id("choose-normalizer").select_option("raw")  # the others take brackets away
    book.wait(lambda: book.kernel("explorer.map['choice']['normalizer']") == "raw", "raw")
    open_cell(view, "es-US")
    mine = view.get_by_test_id("utterance").filter(has_text="<img")
    expect(mine).to_have_count(1)
    expect(mine).to_contain_text("<b>voz</b>")
    assert view.locator("img, script, b:has-text('voz')").count() == 0
    assert not view.page.evaluate("window.hacked")
    assert mine.locator("bdi").evaluate_all("all => all.some((e) => e.textContent.includes('onerror='))")
    assert "<img" not in book.kernel("explorer.static_html()")
    view.get_by_test_id("choose-normalizer").select_option("basic")


def test_a_right_to_left_script_runs_from_the_right(book: Notebook, view: Locator, picture) -> None:
    open_cell(view, "es-US")
    mine = view.get_by_test_id("utterance").filter(has_text=ARABIC.split()[1])
    places = mine.locator("button.nwb-pair").evaluate_all(
        "all => all.map((e) => e.getBoundingClientRect().x)"
    )
    assert len(places) == 4
    assert places == sorted(places, reverse=True)
    mine.locator("button.nwb-pair").first.focus()
    view.page.keyboard.press("ArrowLeft")
    expect(mine.locator("button.nwb-pair").nth(1)).to_be_focused()
    picture("explorer-rtl", mine)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast_in_both_themes(lab: Lab, view: Locator, theme: str, picture) -> None:
    lab.theme(theme)
    view.page.set_viewport_size({"width": 1440, "height": 2600})  # so that a picture shows all of it
    try:
        open_cell(view, "fr-CA")
        expect(view.get_by_test_id("marks")).to_be_visible()
        item = view.get_by_test_id("utterance").first
        item.get_by_test_id("keyword").click()
        assert view.evaluate(CONTRAST) == []
        picture(f"explorer-{theme}-keywords", view)
        item.get_by_test_id("keyword").click()
        view.get_by_test_id("choose-against").select_option("tuned")
        expect(cell(view, "fr-CA")).to_contain_text("+")
        expect(view.get_by_role("button", name="12 got worse")).to_be_visible()
        assert view.evaluate(CONTRAST) == []
        picture(f"explorer-{theme}-compared", view)
    finally:
        view.get_by_test_id("choose-against").select_option("")
        expect(cell(view, "fr-CA")).not_to_contain_text("+")
        view.page.set_viewport_size({"width": 1440, "height": 1000})
        lab.theme("light")


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
    assert len(lines) == 13
    with view.page.expect_download() as png:
        view.get_by_test_id("export-png").click()
    picture = png.value.path().read_bytes()
    width, height = (int.from_bytes(picture[at : at + 4], "big") for at in (16, 20))
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert [width, height] == book.kernel(
        "[2 * side for side in svg_size(explorer.map)]",
        setup="from workbench.widgets.explorer_static import svg_size",
    )
    drawn = view.page.evaluate(
        """async (bytes) => {
            const image = await createImageBitmap(new Blob([new Uint8Array(bytes)], { type: "image/png" }));
            const canvas = new OffscreenCanvas(image.width, image.height);
            canvas.getContext("2d").drawImage(image, 0, 0);
            const seen = new Uint32Array(
                canvas.getContext("2d").getImageData(0, 0, image.width, image.height).data.buffer);
            return new Set(seen).size;
        }""",
        list(picture),
    )
    assert drawn > 20  # cells and letters, not one color


def test_says_that_the_kernel_is_gone_and_comes_back_to_the_cell(book: Notebook, view: Locator) -> None:
    open_cell(view, "fr-CA")
    view.get_by_test_id("choose-lookahead").select_option("80")
    expect(view.get_by_test_id("choose-name")).to_have_value("base-80")
    expect(cell(view, "fr-CA")).to_have_attribute("aria-pressed", "true")
    book.restart()
    expect(view.get_by_text("The kernel was restarted or has stopped.")).to_be_visible()
    expect(cell(view, "fr-CA")).to_be_disabled()
    book.run_all()
    again = book.panel.get_by_test_id("explorer")
    expect(again.get_by_text("Back where you were.")).to_be_visible()
    expect(again.get_by_test_id("choose-name")).to_have_value("base-80")
    expect(cell(again, "fr-CA")).to_have_attribute("aria-pressed", "true")
    expect(again.get_by_test_id("utterance").first).to_be_visible()
    assert book.failures() == []
