"""The board on many clips: it holds only what is in sight, and decides on a whole view at once."""

from __future__ import annotations

import datetime
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from labpage import Lab, Notebook
from playwright.sync_api import Locator, expect

LOCALES = ("el-GR", "bg-BG", "fr-CA", "it-IT")

SETUP = """
import json
import tempfile
import pandas as pd
from pathlib import Path
from workbench.corpus.importing import import_source
from workbench.widgets.board import Board
real = [json.loads(line) for line in Path("many.jsonl").open()]
folder = Path(tempfile.mkdtemp(dir="."))
with (folder / "rows.jsonl").open("w") as out:
    for n in range(COUNT):
        row = real[n % len(real)]
        row = row | {"id": f"clip-{n:06d}", "text": f"{row['text']} {n}"}
        out.write(json.dumps(row) + "\\n")
corpus = import_source(folder / "rows.jsonl", folder / "corpus", name="many", audio_roots=[STARTER])
board = Board(corpus, findings=pd.DataFrame(columns=["id", "rule", "severity"]), reviewer="ana")
"""


@pytest.fixture(scope="module")
def real(lab: Lab, repo: Path) -> list[dict]:
    """One recording of each locale, repeated as often as a corpus is to be long."""
    found: dict[str, dict] = {}
    for line in (repo / "data/starter/manifest.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["target_lang"] in LOCALES and 0.8 < row["duration"] < 4:
            row["audio_filepath"] = str(repo / "data/starter" / row["audio_filepath"])
            found.setdefault(row["target_lang"], row)
    rows = [found[tag] for tag in LOCALES]
    (lab.server.root / "many.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows


def opened(lab: Lab, repo: Path, count: int) -> tuple[Notebook, Locator]:
    book = lab.notebook(
        f"many-{count}.ipynb", [f"COUNT, STARTER = {count}, {str(repo / 'data/starter')!r}", SETUP, "board"]
    )
    assert not book.failures(), book.failures()
    board = book.panel.get_by_test_id("board")
    expect(board).to_have_attribute("data-ready", "1")
    return book, board


def test_a_whole_view_is_decided_at_once_and_taken_back(
    lab: Lab, repo: Path, real: list[dict], picture
) -> None:
    book, board = opened(lab, repo, 2_000)
    total = board.get_by_test_id("board-total")
    board.get_by_test_id("board-filter").fill("target_lang = 'bg-BG' AND id < 'clip-001000'")
    board.get_by_test_id("board-filter").press("Enter")
    expect(total).to_contain_text("250 clips")
    board.get_by_test_id("board-grid").focus()
    book.page.keyboard.press("a")  # one of them by hand first
    expect(board.get_by_test_id("board-said")).to_have_text("Accepted.")
    bulk = board.get_by_test_id("board-bulk")
    expect(bulk).to_have_attribute("title", re.compile("249 undecided"))  # counted before it is opened
    bulk.click()
    dialog = board.get_by_role("dialog")
    expect(dialog).to_contain_text("All clips of this view at once (249 undecided)")
    picture("board-bulk", board)
    dialog.get_by_role("button", name="cannot be understood").click()
    expect(board.get_by_test_id("board-said")).to_have_text("249 clips changed. Undo takes all of it back.")
    decided = "len(corpus.where(\"status = 'rejected' AND reason = 'cannot be understood'\"))"
    assert book.kernel(decided) == 249
    minutes = 250 * real[1]["duration"] / 60
    bar = board.locator("[data-facet=target_lang][data-value='bg-BG']")
    expect(bar).to_have_attribute(
        "title", re.compile(rf"{minutes:.1f} min of {minutes:.1f} min decided · 100 %")
    )
    expect(bulk).to_have_attribute("title", re.compile("0 undecided"))  # facts can still be changed
    board.get_by_test_id("board-clear").click()
    expect(bar).to_have_attribute(
        "title", re.compile(rf"{minutes:.1f} min of {2 * minutes:.1f} min decided · 50 %")
    )
    event = book.kernel("[[e.action, e.clips, e.filter] for e in corpus.decisions.events()][-1]")
    assert event == ["status", 249, "target_lang = 'bg-BG' AND id < 'clip-001000'"]
    board.get_by_test_id("board-grid").focus()
    book.page.keyboard.press("u")
    expect(board.get_by_test_id("board-said")).to_have_text("Undone.")
    assert book.kernel(decided) == 0
    assert book.kernel("len(corpus.where(\"status = 'accepted'\"))") == 1  # the one decided by hand stays
    expect(bar).to_have_attribute("title", re.compile("· 0 %|· 0.2 %"))


@pytest.mark.soak
def test_a_hundred_thousand_clips_open_and_page(lab: Lab, repo: Path, real: list[dict], picture) -> None:
    """Writes ``docs/evidence/board_many.json``: what each step took in the browser, by the clock."""
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(step: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        seconds[step] = round(time.monotonic() - start, 2)

    with timed("notebook started, corpus written and imported, board ready"):
        book, board = opened(lab, repo, 100_000)
    grid, total = board.get_by_test_id("board-grid"), board.get_by_test_id("board-total")
    row = board.locator("[role=row][aria-selected=true]")
    expect(grid).to_have_attribute("aria-rowcount", "100001")
    expect(total).to_contain_text("100,000 clips")
    for key, place in {"End": 99_999, "PageUp": None, "Home": 0}.items():
        grid.focus()
        with timed(f"key {key}"):
            book.page.keyboard.press(key)
            expect(row).to_have_attribute("data-full", "1")
            if place is not None:
                expect(row.locator(".nwb-clip-text")).to_have_text(re.compile(rf" {place}$"))
    with timed("scroll to the middle"):
        grid.evaluate("(el) => { el.scrollTop = 34 * 50_000; }")
        expect(board.locator("[role=row][aria-rowindex='50005']")).to_contain_text("50003")
    in_page = board.locator("[role=row]").count()
    assert in_page < 60  # only what is in sight is in the page
    with timed("a bar clicked: 25,000 clips"):
        board.locator("[data-facet=target_lang][data-value='fr-CA']").click()
        expect(total).to_contain_text("25,000 clips")
    with timed("an SQL filter"):
        board.get_by_test_id("board-filter").fill("id < 'clip-050000'")
        board.get_by_test_id("board-filter").press("Enter")
        expect(total).to_contain_text("12,500 clips")
    with timed("all filters cleared"):
        board.get_by_test_id("board-clear").click()
        expect(total).to_contain_text("100,000 clips")
    with timed("the clips most worth 30 minutes"):
        board.get_by_test_id("board-minutes").fill("30")
        board.get_by_test_id("board-minutes").press("Enter")
        expect(total).to_contain_text("min to hear and decide, of your 30")
    grid.focus()
    with timed("accept, saved, next clip"):
        book.page.keyboard.press("a")
        expect(board.get_by_test_id("board-said")).to_have_text("Accepted.")
        expect(row).to_have_attribute("aria-rowindex", "3")
    with timed("undo, back at the clip"):
        book.page.keyboard.press("u")
        expect(board.get_by_test_id("board-said")).to_have_text("Undone.")
        expect(row).to_have_attribute("aria-rowindex", "2")
    expect(row).to_have_attribute("data-status", "pending")
    picture("board-100k", board)
    facts = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "clips": 100_000, "rows_in_the_page": in_page, "cores": os.cpu_count(),
        "load_1min": os.getloadavg()[0], "seconds": seconds,
    }  # fmt: skip
    (repo / "docs/evidence/board_many.json").write_text(json.dumps(facts, indent=1) + "\n")
