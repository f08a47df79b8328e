"""Nothing typed into a field or a prompt reaches the board; two pages of it never mislead each other."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest
from labpage import Lab, Notebook
from playwright.sync_api import Locator, Page, expect

SETUP = """
import pandas as pd
from workbench.corpus.importing import import_source
from workbench.widgets.board import Board
corpus = import_source("prompts.jsonl", "prompts", name="prompts", audio_roots=[STARTER])
ids = corpus.ids()
none = pd.DataFrame(columns=["id", "rule", "severity", "reason", "hint", "value"])
heard = pd.DataFrame({"id": ids, "hypothesis": ["nothing"] * len(ids), "confidence": [0.5] * len(ids)})
board = Board(corpus, findings=none, predictions=heard, reviewer="ana")
"""
TYPED = string.ascii_letters + string.digits + "/?[]+-= '"


@pytest.fixture(scope="module")
def book(lab: Lab, repo: Path) -> Notebook:
    rows = []
    for line in (repo / "data/starter/manifest.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if 0.8 < row["duration"] < 3 and len(rows) < 8:
            rows.append(row | {"gender": "fm"[len(rows) % 2]})
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (lab.server.root / "prompts.jsonl").write_text(text, encoding="utf-8")
    return lab.notebook("prompts.ipynb", [f"STARTER = {str(repo / 'data/starter')!r}" + SETUP, "board"])


@pytest.fixture
def board(book: Notebook) -> Locator:
    book.show()
    board = book.panel.get_by_test_id("board")
    expect(board).to_have_attribute("data-ready", "1")
    board.get_by_test_id("board-grid").focus()
    chosen(board, 0)
    return board


def chosen(board: Locator, place: int) -> None:
    """Choose a row and wait until it is on screen with its sound."""
    board.page.keyboard.press("Home")
    for _ in range(place):
        board.page.keyboard.press("ArrowDown")
    row = board.locator(f"[role=row][data-place='{place}'][aria-selected=true]")
    text = row.locator(".nwb-clip-text").text_content()
    expect(board.get_by_test_id("board-transcript")).to_have_value(text or "")
    expect(board.locator(".nwb-player")).to_have_attribute("data-ready", "1")


def events(book: Notebook) -> list[list]:
    return book.kernel(
        "[[d.action, d.field, d.value, d.reason, d.reviewer] for d in corpus.decisions.events()]"
    )


def test_a_typed_reason_rejects_with_that_reason(book: Notebook, board: Locator) -> None:
    """R, words, Enter, as fast as a person can, before the prompt is even there."""
    book.page.keyboard.press("r")
    book.page.keyboard.type("bad mic, a loud fan")
    book.page.keyboard.press("Enter")
    expect(board.get_by_test_id("board-said")).to_have_text("Rejected: bad mic, a loud fan.")
    assert events(book) == [["status", "status", "rejected", "bad mic, a loud fan", "ana"]]
    book.page.keyboard.press("u")
    expect(board.get_by_test_id("board-said")).to_have_text("Undone.")


def test_every_letter_in_the_reason_is_text_and_esc_decides_nothing(book: Notebook, board: Locator) -> None:
    before = events(book)
    book.page.keyboard.press("r")
    reason = board.get_by_test_id("board-reason")
    expect(reason).to_be_focused()
    book.page.keyboard.type("x" + TYPED)
    expect(reason).to_have_value("x" + TYPED)
    # Beside the field, on a button of the prompt, letters are text too.
    board.get_by_test_id("board-reasons").get_by_role("button").first.focus()
    book.page.keyboard.type("anur")
    expect(reason).to_have_value("x" + TYPED + "anur")
    book.page.keyboard.press("Escape")
    expect(board.get_by_test_id("board-reasons")).to_be_hidden()
    assert events(book) == before


def test_every_letter_into_every_field(book: Notebook, board: Locator) -> None:
    """Each field takes every letter and leaves the decisions, the clip and the notebook as they are."""
    board.get_by_test_id("board-columns").click()
    board.get_by_test_id("board-views").locator("summary").click()
    before = events(book)
    cells = book.panel.locator(".jp-Cell").count()
    fields = board.locator("input:visible:not([type=checkbox]):not([type=number]), textarea:visible")
    names = [field.get_attribute("aria-label") for field in fields.all()]
    assert {"Search, or SQL filter", "Transcript", "Speaker", "Add a tag", "Name of this view"} <= set(names)
    for field in fields.all():
        field.focus()
        editable = field.evaluate("el => !el.readOnly")
        if not editable:
            field.dblclick()
        book.page.keyboard.press("Control+a")
        book.page.keyboard.type(TYPED)
        expect(field).to_have_value(TYPED)
        book.page.keyboard.press("Escape")
        assert events(book) == before, field.get_attribute("aria-label")
        if field.get_attribute("data-testid") == "board-filter":
            field.fill("")
    for select in board.locator("select:visible").all():
        select.focus()
        for letter in "arenuy":
            book.page.keyboard.press(letter)
        assert events(book) == before
    assert book.panel.locator(".jp-Cell").count() == cells
    board.get_by_test_id("board-views").locator("summary").click()
    board.get_by_test_id("board-columns").click()


def test_no_key_passes_an_open_sheet(book: Notebook, board: Locator) -> None:
    before = events(book)
    for opener in ("board-help", "board-bulk"):
        board.get_by_test_id(opener).click()
        dialog = board.get_by_role("dialog")
        expect(dialog).to_be_visible()
        book.page.keyboard.type("arnpuyo")
        board.get_by_test_id("board-grid").focus()  # as a late answer of the kernel might do
        book.page.keyboard.type("arnpuyo")
        dialog.get_by_role("button").first.focus()
        book.page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
    assert events(book) == before


def second_page(lab: Lab, book: Notebook) -> tuple[Page, Locator]:
    """The same notebook in another window of the browser, on the same kernel."""
    page = lab.page.context.new_page()
    page.goto(f"/doc/tree/{book.name}?token={lab.server.token}&reset")
    board = page.get_by_test_id("board")
    expect(board).to_have_attribute("data-ready", "1")
    return page, board


def test_two_pages_of_one_board_see_each_others_decisions(lab: Lab, book: Notebook, board: Locator) -> None:
    lab.command("docmanager:save")
    page, other = second_page(lab, book)
    try:
        for mine, theirs, key in ((board, other, "a"), (other, board, "a")):
            mine.page.bring_to_front()
            mine.get_by_test_id("board-grid").focus()
            chosen(mine, 1 if mine is board else 2)
            mine.page.keyboard.press(key)
            expect(mine.get_by_test_id("board-said")).to_have_text("Accepted.")
            place = "1" if mine is board else "2"
            theirs.page.bring_to_front()
            row = theirs.locator(f"[role=row][data-place='{place}']")
            expect(row).to_have_attribute("data-status", "accepted", timeout=8_000)
    finally:
        page.close()
    # The page that is left still reaches the kernel: nothing it sends goes where the closed page was.
    board.page.bring_to_front()
    chosen(board, 3)
    board.page.keyboard.press("a")
    expect(board.get_by_test_id("board-said")).to_have_text("Accepted.", timeout=8_000)
    assert len([event for event in events(book) if event[2] == "accepted"]) == 3


def test_a_clip_that_another_has_just_decided_asks(book: Notebook, board: Locator) -> None:
    """Of two kernels: the other one's decision is not yet on screen when the key is pressed."""
    chosen(board, 4)
    book.kernel("True", setup="corpus.decisions.reject(ids[4], 'cut off', reviewer='Vela')")
    board.page.keyboard.press("a")
    asked = board.get_by_test_id("board-conflict")
    expect(asked).to_contain_text("Vela has just decided this: Rejected: cut off")
    board.page.keyboard.type("anu")  # no key passes the question
    board.get_by_role("button", name="Keep theirs").click()
    expect(asked).to_be_hidden()
    assert book.kernel("corpus.row(ids[4])['status']") == "rejected"
    expect(board.get_by_test_id("board-by")).to_contain_text("Vela")
    newest = book.kernel("corpus.decisions.version()")
    expect(board.get_by_test_id("board-clip")).to_have_attribute("data-seen", str(newest))
    chosen(board, 4)
    board.page.keyboard.press("a")
    expect(board.get_by_test_id("board-said")).to_have_text("Accepted.")
    board.locator("[data-status=disputed].nwb-btn").click()
    expect(board.get_by_test_id("board-total")).to_contain_text("1 clip")
    board.get_by_test_id("board-clear").click()


def test_words_columns_facets_and_views(book: Notebook, board: Locator) -> None:
    total, box = board.get_by_test_id("board-total"), board.get_by_test_id("board-filter")
    word = book.kernel("corpus.row(ids[2])['text'].split()[0].upper()")
    box.fill(word)
    box.press("Enter")
    expect(board.get_by_test_id("board-filter-mode")).to_have_text("words")
    expect(total).not_to_contain_text("8 clips")
    board.get_by_test_id("board-view-name").evaluate("el => el.closest('details').open = true")
    board.get_by_test_id("board-view-name").fill("my word")
    board.get_by_test_id("board-view-name").press("Enter")
    expect(board.get_by_role("button", name="my word", exact=True)).to_be_visible()
    board.get_by_test_id("board-clear").click()
    expect(total).to_contain_text("8 clips")
    board.get_by_role("button", name="my word", exact=True).click()
    expect(box).to_have_value(word)
    board.get_by_test_id("board-clear").click()
    board.get_by_test_id("board-add-facet").select_option("gender")
    board.locator("[data-facet=gender][data-value=f]").click()
    expect(total).to_contain_text("4 clips")
    board.get_by_test_id("board-clear").click()
    board.get_by_test_id("board-order").select_option("wer down")
    expect(board.get_by_role("columnheader", name="WER")).to_have_attribute("aria-sort", "descending")
    board.get_by_test_id("board-order").select_option("")
    board.get_by_test_id("board-columns").click()
    field = board.get_by_test_id("board-column-duration")
    field.fill("> 100")
    field.press("Enter")
    expect(total).to_contain_text("0 clips")
    board.get_by_test_id("board-clear").click()
    expect(total).to_contain_text("8 clips")
    assert book.failures() == []
