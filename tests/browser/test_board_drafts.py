"""Drafts and segments on the board in JupyterLab: real recordings in a call, keys, pointer, what is kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from labpage import Lab, Notebook
from looks import CONTRAST, CUT, NAMELESS
from playwright.sync_api import Locator, expect

RATE = 16_000
PAUSE_S = 1.5
SETUP = """
import json, pandas as pd
from pathlib import Path
from workbench.corpus.importing import import_source
from workbench.corpus.query.table import Corpus
from workbench.corpus.review.drafts import Drafts
corpus = Corpus.open("call") if Path("call/source.json").exists() else import_source(
    "segments.jsonl", "call", name="call")
corpus.predictions_folder.mkdir(exist_ok=True)
for name in ("draft", "draft-second"):
    rows = json.loads(Path(f"{name}.json").read_text())
    pd.DataFrame(rows).to_parquet(corpus.predictions_folder / f"{name}.parquet")
drafts = Drafts(corpus, "draft", "draft-second", twice=1.0)
board = drafts.board(reviewer="ana", names=["Niteroi"])
"""
TEXTS = [
    ("vamos a la plaza mayor", "vamos a la plaza mayor"),
    ("mi numero es 5551234 gracias", "mi numero es 5551234 gracias"),
    ("el tren sale de Niteroi", "el bien sale de Niteroi"),
    ("hasta luego", "hasta luego"),
]
SURE = {"tren": 0.31, "luego": 0.42}


@pytest.fixture(scope="module")
def book(lab: Lab, repo: Path) -> Notebook:
    root = lab.server.root
    lines = (repo / "data/starter/manifest.jsonl").read_text("utf-8").splitlines()
    clips = [row for row in map(json.loads, lines) if 2 < row["duration"] < 4][: len(TEXTS)]
    call, rows, at = [np.zeros(RATE, np.float32)], [], 1.0
    for n, clip in enumerate(clips):
        sound, rate = soundfile.read(repo / "data/starter" / clip["audio_filepath"], dtype="float32")
        assert rate == RATE
        length = len(sound) / RATE
        rows.append(
            {"id": f"call-{n}", "audio_filepath": "call.wav", "offset": round(at, 3), "recording": "call",
             "duration": round(length, 3), "text": None, "target_lang": "es-US", "accent": "es-MX"}
        )  # fmt: skip
        call += [sound, np.zeros(round(PAUSE_S * RATE), np.float32)]
        at += length + PAUSE_S
    soundfile.write(root / "call.wav", np.concatenate(call), RATE)
    (root / "segments.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for place, name in enumerate(("draft", "draft-second")):
        predicted = [_predicted(row, TEXTS[n][place]) for n, row in enumerate(rows)]
        (root / f"{name}.json").write_text(json.dumps(predicted))
    lab.theme("light")
    return lab.notebook("drafts.ipynb", [SETUP, "board"])


def _predicted(row: dict, text: str) -> dict:
    said = text.split()
    step = row["duration"] / len(said)
    words = [
        {"word": word, "start": n * step, "end": (n + 1) * step, "confidence": SURE.get(word, 0.95)}
        for n, word in enumerate(said)
    ]
    sure = float(np.mean([word["confidence"] for word in words]))
    return {"id": row["id"], "hypothesis": text, "confidence": sure, "words": words,
            "checkpoint_sha256": "ab" * 32}  # fmt: skip


@pytest.fixture
def board(book: Notebook) -> Locator:
    book.show()
    board = book.panel.get_by_test_id("board").first
    expect(board).to_have_attribute("data-ready", "1")
    book.page.keyboard.press("Escape")
    board.get_by_test_id("board-grid").focus()
    return board


def at(board: Locator, clip: str) -> None:
    """Wait until a clip is on screen, with its sound and its surroundings."""
    expect(board.locator(".nwb-clip-id")).to_have_text(clip)
    expect(board.locator(".nwb-player")).to_have_attribute("data-ready", "1")
    expect(board.get_by_test_id("segment")).to_be_visible()


def stretch(book: Notebook, clip: str) -> list[float]:
    return book.kernel(f"[corpus.row({clip!r})[name] for name in ('offset', 'duration')]")


def until(book: Notebook, clip: str, expected: list[float]) -> None:
    book.wait(lambda: np.allclose(stretch(book, clip), expected, atol=0.03), f"{clip} at {expected}")


def test_the_drafts_that_disagree_come_first(book: Notebook, board: Locator, picture) -> None:
    assert book.failures() == []
    at(board, "call-2")
    expect(board.get_by_test_id("board-why")).to_contain_text("drafts disagree")
    words = board.get_by_test_id("draft-words")
    expect(words).to_have_text("el tren sale de Niteroi")
    train = words.locator(".nwb-word-uncertain")
    expect(train).to_have_text("tren")
    expect(train).to_have_attribute("title", "confidence 0.31; the other draft has something else here")
    expect(board.get_by_test_id("draft-second").locator(".nwb-word-differs")).to_have_text("bien")
    expect(words.locator(".nwb-word-personal")).to_have_text("Niteroi")
    line = "1 uncertain word (confidence under 0.6: the default, not calibrated)"
    expect(board.get_by_test_id("draft-facts")).to_contain_text(line)
    expect(board.get_by_test_id("board-transcript")).to_be_hidden()
    assert board.get_by_test_id("segment-neighbor").count() == 3
    picture("board-draft", board)
    heads = board.locator(".nwb-tr").first.locator(".nwb-td:visible")
    tops = {round(box["y"]) for n in range(heads.count()) if (box := heads.nth(n).bounding_box())}
    assert max(tops) - min(tops) < 12, "the table's heads stand in one line"
    assert board.evaluate(CONTRAST) == []
    assert board.evaluate(NAMELESS) == []
    assert board.evaluate(CUT) == []


def test_an_end_is_moved_by_keys_and_undone(book: Notebook, board: Locator) -> None:
    at(board, "call-2")
    before = stretch(book, "call-2")
    keyboard = book.page.keyboard
    keyboard.press("b")
    expect(board.get_by_test_id("segment-start")).to_be_focused()
    for _ in range(4):
        keyboard.press("ArrowLeft")
    keyboard.press("Shift+ArrowLeft")
    keyboard.press("Enter")
    until(book, "call-2", [before[0] - 0.21, before[1] + 0.21])
    expect(board.locator(".nwb-player")).to_have_attribute("data-ready", "1")
    expect(board.get_by_test_id("player-time")).to_contain_text(f"{before[1] + 0.21:.2f}"[:4])
    keyboard.press("f")
    expect(board.get_by_test_id("segment-end")).to_be_focused()
    keyboard.press("ArrowRight")
    keyboard.press("Escape")  # nothing is kept
    keyboard.press("u")
    until(book, "call-2", before)
    keyboard.press("y")
    until(book, "call-2", [before[0] - 0.21, before[1] + 0.21])
    keyboard.press("u")
    until(book, "call-2", before)
    actions = book.kernel(
        "[[e.action, e.field, e.reviewer, e.stands] for e in corpus.decisions.history('call-2')]"
    )
    assert actions[:2] == [["edit", "offset", "ana", False], ["edit", "duration", "ana", False]]


def test_an_end_is_dragged_and_the_neighbor_is_one_click_away(book: Notebook, board: Locator) -> None:
    at(board, "call-2")
    before = stretch(book, "call-2")
    handle, body = board.get_by_test_id("segment-end"), board.get_by_test_id("segment-body")
    board.get_by_test_id("segment").scroll_into_view_if_needed()
    strip, box = body.bounding_box(), handle.bounding_box()
    limits = [float(handle.get_attribute(f"aria-value{name}") or 0) for name in ("min", "max")]
    by = 0.5 / (limits[1] - limits[0]) * strip["width"]
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse = book.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + by / 2, y, steps=3)
    mouse.move(x + by, y, steps=3)
    mouse.up()
    until(book, "call-2", [before[0], before[1] + 0.5])
    board.get_by_test_id("board-grid").focus()
    book.page.keyboard.press("u")
    until(book, "call-2", before)
    board.locator('.nwb-around-other[data-id="call-1"]').click()
    at(board, "call-1")
    expect(board.get_by_test_id("personal")).to_contain_text("5551234")


def test_personal_data_is_kept_or_dropped(book: Notebook, board: Locator) -> None:
    at(board, "call-1")
    keep = board.get_by_test_id("personal-keep")
    keep.click()
    expect(keep).to_have_attribute("aria-pressed", "true")
    assert book.kernel("corpus.row('call-1')['tags']") == ["not personal: 5551234"]
    board.get_by_test_id("personal-bleep").click()
    expect(keep).to_have_attribute("aria-pressed", "false")
    board.get_by_test_id("personal-drop").click()
    expect(board.get_by_test_id("personal-drop")).to_have_attribute("aria-pressed", "true")
    assert book.kernel("corpus.row('call-1')['tags']") == ["personal data: drop this clip"]


def test_accepting_and_correcting_make_the_reference(book: Notebook, board: Locator) -> None:
    keyboard = book.page.keyboard
    keyboard.press("Home")
    at(board, "call-2")
    book.page.wait_for_timeout(1500)
    keyboard.press("e")
    expect(board.get_by_test_id("board-transcript")).to_be_focused()
    keyboard.press("End")
    keyboard.type(" ahora")
    keyboard.press("Enter")
    expect(board.locator(".nwb-clip-id")).not_to_have_text("call-2")
    row = book.kernel("[corpus.row('call-2')[n] for n in ('text', 'status')]")
    assert row == ["el tren sale de Niteroi ahora", "accepted"]
    at(board, "call-3")
    book.page.wait_for_timeout(1200)
    keyboard.press("a")
    expect(board.locator(".nwb-clip-id")).not_to_have_text("call-3")
    found = {row["id"]: row for row in book.kernel("drafts.provenance().to_dict('records')")}
    assert set(found) == {"call-2", "call-3"}
    assert [found[f"call-{n}"]["corrected"] for n in (2, 3)] == [True, False]
    assert found["call-2"]["drafted_by"] == "draft"
    assert found["call-2"]["reviewer"] == "ana"
    assert 1.2 < found["call-2"]["seconds"] < 120
    assert 1.0 < found["call-3"]["seconds"] < 120
    keyboard.press("u")  # text and status go back together
    at(board, "call-3")
    assert book.kernel("[corpus.row('call-3')[n] for n in ('text', 'status')]") == [None, "pending"]
    keyboard.press("y")
    expect(board.get_by_test_id("board-status")).to_contain_text("Accepted")
    keyboard.press("Home")
    at(board, "call-2")
    expect(board.get_by_test_id("draft-made")).to_contain_text("Drafted by draft, corrected by ana")


def test_the_second_reviewer_sees_no_draft(book: Notebook, lab: Lab) -> None:
    book.kernel("len(drafts.queue(reviewer='bob', second=True))")
    second = lab.notebook("second.ipynb", [SETUP, "drafts.board(reviewer='bob', second=True)"])
    board = second.panel.get_by_test_id("board").first
    expect(board).to_have_attribute("data-ready", "1")
    expect(board.get_by_test_id("board-total")).to_contain_text("2 clips")
    expect(board.get_by_test_id("draft")).to_contain_text("no draft is shown")
    text = board.text_content() or ""
    assert "tren" not in text
    assert "luego" not in text
    board.get_by_test_id("board-grid").focus()
    second.page.keyboard.press("Home")
    expect(board.locator("[role=row][aria-selected=true]")).to_have_attribute("aria-rowindex", "2")
    second.page.wait_for_timeout(500)
    clip = board.locator(".nwb-clip-id").text_content()
    second.page.keyboard.press("a")
    expect(board.get_by_test_id("board-problem")).to_contain_text("no draft is shown")
    second.page.keyboard.press("e")
    second.page.keyboard.type("lo que oigo")
    second.page.keyboard.press("Enter")
    expect(board.locator(".nwb-clip-id")).not_to_have_text(str(clip))
    said = second.kernel(f"[e.value for e in corpus.decisions.history({clip!r}) if e.reviewer == 'bob']")
    assert said == ["lo que oigo", "accepted"]


def test_narrow(book: Notebook, lab: Lab, board: Locator, picture) -> None:
    lab.page.set_viewport_size({"width": 1000, "height": 1000})
    try:
        book.page.keyboard.press("Home")
        book.page.keyboard.press("ArrowDown")
        board.get_by_test_id("draft").scroll_into_view_if_needed()
        picture("board-draft-narrow", board)
        assert board.evaluate(CUT) == []
    finally:
        lab.page.set_viewport_size({"width": 1440, "height": 1000})
