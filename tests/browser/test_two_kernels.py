"""Two reviewers, each with a kernel and a browser of their own, one of them on a laptop that sleeps.

Also a third who settles what they differ on, and a fourth who reviews blind.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from labpage import Lab, Notebook
from looks import CONTRAST, NAMELESS
from playwright.sync_api import Browser, Locator, expect
from sleepy import Sleepy, laptop, offline

# Two kernels and two JupyterLabs are dear; limits only end a test that hangs.
pytestmark = pytest.mark.timeout(600)
SETUP = """
import pandas as pd
from pathlib import Path
from workbench.corpus.importing import import_source
from workbench.corpus.query.table import Corpus
from workbench.widgets.board import Board
if Path("shared/source.json").exists():
    corpus = Corpus.open("shared")
else:
    corpus = import_source("shared.jsonl", "shared", name="shared", audio_roots=[STARTER])
ids = corpus.ids()
none = pd.DataFrame(columns=["id", "rule", "severity", "reason", "hint", "value"])
"""
BOARD = "Board(corpus, findings=none, reviewer={!r}, blind={!r})"


@pytest.fixture(scope="module")
def away(browser: Browser, lab: Lab, repo: Path) -> Iterator[tuple[Lab, Sleepy]]:
    rows = []
    for line in (repo / "data/starter/manifest.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if 1 < row["duration"] < 3 and len(rows) < 6:
            rows.append(row)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (lab.server.root / "shared.jsonl").write_text(text, encoding="utf-8")
    with laptop(browser, lab.server) as made:
        yield made


@pytest.fixture(scope="module")
def books(lab: Lab, repo: Path, away: tuple[Lab, Sleepy]) -> tuple[Notebook, Notebook]:
    """Ana's notebook, with the boards of the third and of the blind one, and Ben's."""
    setup = f"STARTER = {str(repo / 'data/starter')!r}" + SETUP
    cells = [setup, *(BOARD.format(*who) for who in (("ana", False), ("eva", False), ("dan", True)))]
    ana = lab.notebook("ana.ipynb", cells)
    ben = away[0].notebook("ben.ipynb", [setup, BOARD.format("ben", False)])
    assert ana.failures() + ben.failures() == []
    return ana, ben


def board(book: Notebook, number: int = 0) -> Locator:
    found = book.panel.get_by_test_id("board").nth(number)
    expect(found).to_have_attribute("data-ready", "1")
    return found


def choose(view: Locator, place: int) -> None:
    """Choose a clip by mouse and wait until it is on screen with its sound."""
    row = view.locator(f"[role=row][data-place='{place}']")
    row.click()
    expect(row).to_have_attribute("aria-selected", "true")
    expect(view.get_by_test_id("board-transcript")).to_have_value(
        row.locator(".nwb-clip-text").text_content() or ""
    )
    expect(view.locator(".nwb-player")).to_have_attribute("data-ready", "1")


def status(view: Locator, place: int, value: str) -> None:
    expect(view.locator(f"[role=row][data-place='{place}']")).to_have_attribute("data-status", value)


def test_decisions_cross_between_kernels_and_a_dispute_is_settled_by_a_third(
    books: tuple[Notebook, Notebook], lab: Lab, picture
) -> None:
    ana, ben = board(books[0]), board(books[1])
    choose(ana, 0)
    ana.page.keyboard.press("a")
    expect(ana.get_by_test_id("board-said")).to_have_text("Accepted.")
    made = time.monotonic()
    status(ben, 0, "accepted")
    took_s = time.monotonic() - made
    print(f"\na decision crossed to the other kernel's page in {took_s:.1f} s")
    expect(ben.locator("[role=row][data-place='0']")).to_contain_text("ana")
    choose(ben, 0)
    expect(ben.locator("[data-seen]")).not_to_have_attribute("data-seen", "0")  # long enough on screen
    ben.page.keyboard.press("r")
    ben.page.keyboard.type("1")
    expect(ben.get_by_test_id("board-said")).to_contain_text("Rejected")
    status(ana, 0, "rejected")

    third, blind = board(books[0], 1), board(books[0], 2)
    third.locator("[data-status=disputed].nwb-btn").click()
    expect(third.get_by_test_id("board-total")).to_contain_text("1 clip")
    expect(third.get_by_test_id("board-agreement")).to_have_text("reviewers agree on 0 of 1 clip")
    expect(third.get_by_test_id("board-dispute")).to_contain_text("Your choice settles it")
    for theme in ("dark", "light"):
        lab.theme(theme)
        picture(f"board-dispute-{theme}", third)
        assert third.evaluate(CONTRAST) == []
    assert third.evaluate(NAMELESS) == []
    # Those who differ may give in, and cannot make their own word hold.
    choose(ana, 0)
    expect(ana.get_by_test_id("board-dispute")).to_contain_text("A third reviewer decides")
    expect(ana.get_by_test_id("board-take")).to_have_count(1)
    # The blind one sees nothing of it.
    expect(blind.get_by_test_id("board-blind")).to_be_visible()
    status(blind, 0, "pending")
    assert "ana" not in blind.inner_text()
    assert "ben" not in blind.inner_text()
    picture("board-blind", blind)
    third.get_by_test_id("board-take").first.click()  # Ana's word
    expect(third.get_by_test_id("board-said")).to_have_text("Settled.")
    status(ben, 0, "accepted")
    expect(ben.get_by_test_id("board-dispute")).to_have_count(0)
    assert books[1].kernel("len(corpus.decisions.conflicts())") == 0


def test_a_length_is_set_right(books: tuple[Notebook, Notebook]) -> None:
    ana = board(books[0])
    choose(ana, 1)
    ana.get_by_test_id("board-field-duration").fill("0.8")
    ana.get_by_test_id("board-field-duration").press("Enter")
    expect(ana.get_by_test_id("board-said")).to_have_text("Length saved.")
    expect(ana.get_by_test_id("player-time")).to_contain_text("0:00.80")
    ana.page.keyboard.press("u")
    expect(ana.get_by_test_id("board-said")).to_have_text("Undone.")
    expect(ana.get_by_test_id("player-time")).not_to_contain_text("0:00.80")


def test_a_laptop_sleeps_in_the_middle_of_a_review(
    books: tuple[Notebook, Notebook], away: tuple[Lab, Sleepy], picture
) -> None:
    """What was pressed then is kept and done once; what others did is shown; sound plays on."""
    ana, ben = board(books[0]), board(books[1])
    choose(ben, 2)
    ben.page.keyboard.press("l")  # loop, so that it plays for as long as it takes
    ben.page.keyboard.press("Space")
    expect(ben.locator(".nwb-player")).to_have_attribute("data-playing", "1")
    away[1].sleep()
    books[1].wait(lambda: offline(ben.page), "the connection is gone")
    expect(ben.locator(".nwb-player")).to_have_attribute("data-playing", "1")
    ben.page.keyboard.press("a")
    expect(ben.get_by_test_id("waiting")).to_contain_text("No connection to the server")
    picture("board-offline", ben)
    choose(ana, 3)
    ana.page.keyboard.press("a")
    expect(ana.get_by_test_id("board-said")).to_have_text("Accepted.")
    away[1].wake()
    expect(ben.get_by_test_id("board-said")).to_contain_text("Accepted.", timeout=120_000)
    expect(ben.get_by_test_id("waiting")).to_be_hidden()
    status(ben, 2, "accepted")
    status(ben, 3, "accepted")
    status(ana, 2, "accepted")
    assert books[0].kernel("[[e.reviewer, e.action] for e in corpus.decisions.history(ids[2])]") == [
        ["ben", "status"]
    ], "decided once"
    assert not away[0].outside
