"""Board and explorer as wide as in JupyterLab at 1440 and 1000 px, at 200 % zoom and on a phone.

Nothing cut off, nothing covered; several reviewers on one board; words of two models as points.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pandas as pd
import pytest
from labpage import REPO
from looks import CONTRAST, CUT, NAMELESS, OVERLAPPING
from plain_page import PlainPages
from playwright.sync_api import Browser, Locator, expect

from workbench.corpus.importing import import_source
from workbench.evaluation.evaluation import score_predictions
from workbench.widgets.board import Board
from workbench.widgets.explorer import Explorer

pytestmark = pytest.mark.timeout(600)  # ends only a test that hangs
STARTER = REPO / "data" / "starter"
SIZES = {"1440": (1330, 900, 1), "1000": (890, 800, 1), "zoom-200": (610, 450, 2), "phone": (340, 800, 2)}
"""What JupyterLab leaves to a widget: width and height in the page's own pixels, device pixels of each."""
FACTS = {"lookahead_ms": 560, "prompt_mode": "langID", "confidence": 0.5}


def read(texts: list[str], every: int) -> list[str]:
    """Transcripts that miss a word now and then, and some whole."""
    heard = [[w for k, w in enumerate(text.split()) if (n + k) % every] for n, text in enumerate(texts)]
    return [" ".join(words) if n % every else "" for n, words in enumerate(heard)]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlainPages]:
    folder = tmp_path_factory.mktemp("fit")
    rows, seen = [], dict[str, int]()
    for line in (STARTER / "manifest.jsonl").open(encoding="utf-8"):
        row = json.loads(line)
        if 1 < row["duration"] < 5 and seen.setdefault(row["target_lang"], 0) < 4:
            seen[row["target_lang"]] += 1
            rows.append(row | {"accent": f"accent {len(rows) % 3}"})
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(text, encoding="utf-8")
    corpus = import_source(folder / "rows.jsonl", folder / "fit", name="fit", audio_roots=[STARTER])
    frame, ids = corpus.frame(), corpus.ids()
    one, two = (frame[["id"]].assign(hypothesis=read(list(frame["text"]), n), **FACTS) for n in (3, 5))
    silent = [(clip, "leading_silence", "warning", "1.2 s of silence", "Trim it.", 1.2) for clip in ids[:3]]
    found = pd.DataFrame(silent, columns=["id", "rule", "severity", "reason", "hint", "value"])
    corpus.decisions.accept(ids[:3], reviewer="ana")
    corpus.decisions.reject(ids[0], "cut off", reviewer="ben")
    corpus.decisions.accept(ids[1], reviewer="ben")
    for who in ("ana", "ben"):
        corpus.decisions.edit(ids[2], "text", f"The words of {who}.", reviewer=who)
    evaluation = score_predictions(frame, {"base": one, "tuned": two}, resamples=100)
    made = PlainPages(
        {
            "board": Board(corpus, findings=found, predictions=one, reviewer="eva"),
            "blind": Board(corpus, findings=found, reviewer="dan", blind=True),
            "explorer": Explorer(evaluation, corpus, name="tuned", against="base"),
        },
        {"explorer": ("map", "opened", "can", "playback")},
    )
    yield made
    made.close()


def opened(browser: Browser, pages: PlainPages, name: str, size: str, *, light: bool = True) -> Locator:
    """A widget at a size, with what can be opened opened; a fault of its page fails the test."""
    width, height, scale = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.goto(pages.url(name, light=light))
    widget = page.get_by_test_id("explorer" if name == "explorer" else "board")
    if name == "explorer":
        widget.locator(".nwb-cell").first.click()
        expect(widget.get_by_test_id("utterance").first).to_be_visible()
        expect(widget.get_by_test_id("scatter")).to_be_visible()
    else:
        expect(widget).to_have_attribute("data-ready", "1")
        expect(widget.locator(".nwb-player")).to_have_attribute("data-ready", "1")
    page.evaluate("() => document.fonts.ready")
    return widget


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_cut_or_covered(browser: Browser, pages: PlainPages, size: str, picture) -> None:
    faults = {}
    for name in ("board", "explorer"):
        widget = opened(browser, pages, name, size)
        picture(f"fit-{name}-{size}", widget)
        if bad := [*widget.evaluate(CUT), *widget.evaluate(OVERLAPPING)]:
            faults[name] = bad
        widget.page.close()
    assert faults == {}


@pytest.mark.parametrize("light", [False, True])
def test_a_third_settles_what_two_differ_on(
    browser: Browser, pages: PlainPages, light: bool, picture
) -> None:
    board = opened(browser, pages, "board", "1440", light=light)
    board.locator("[data-status=disputed].nwb-btn").click()
    expect(board.get_by_test_id("board-total")).to_contain_text("2 clips")
    # The board opens where a reviewer was, and the other theme's test was at the second.
    board.locator("[role=row][aria-rowindex='2']").click()
    expect(board.get_by_test_id("board-agreement")).to_have_text("reviewers agree on 1 of 2 clips")
    expect(board.get_by_test_id("board-dispute")).to_contain_text("Your choice settles it")
    picture(f"board-dispute-{'light' if light else 'dark'}", board)
    assert board.evaluate(CONTRAST) == []
    assert board.evaluate(NAMELESS) == []
    if light:
        board.get_by_test_id("board-take").first.click()  # Ana's word
        expect(board.get_by_test_id("board-said")).to_have_text("Settled.")
        expect(board.get_by_test_id("board-dispute")).to_have_count(0)
        expect(board.get_by_test_id("board-status")).to_have_text("Accepted")
    board.locator("[role=row][aria-rowindex='3']").click()
    expect(board.get_by_test_id("board-dispute")).to_contain_text("The words of ben.")
    picture(f"board-dispute-text-{'light' if light else 'dark'}", board)
    board.get_by_test_id("board-clear").click()
    board.page.close()


def test_a_blind_reviewer_sees_nothing_of_the_others(browser: Browser, pages: PlainPages, picture) -> None:
    board = opened(browser, pages, "blind", "1000")
    expect(board.get_by_test_id("board-blind")).to_be_visible()
    expect(board.locator("[role=row][data-status=pending]").first).to_be_visible()
    assert board.locator("[role=row]:is([data-status=accepted], [data-status=rejected])").count() == 0
    for name in ("ana", "ben", "eva"):
        assert board.get_by_text(name, exact=True).count() == 0
    length = board.get_by_test_id("board-field-duration")
    length.fill("0,8")
    length.press("Enter")
    expect(board.get_by_test_id("board-said")).to_have_text("Length saved.")
    expect(board.get_by_test_id("player-time")).to_contain_text("0:00.80")
    picture("board-blind", board)
    board.page.close()


@pytest.mark.parametrize("light", [False, True])
def test_a_point_of_the_scatter_opens_its_clips_and_the_order_is_chosen(
    browser: Browser, pages: PlainPages, light: bool, picture
) -> None:
    explorer = opened(browser, pages, "explorer", "1440", light=light)
    scatter, total = explorer.get_by_test_id("scatter"), explorer.get_by_test_id("total")
    every, page = total.inner_text(), explorer.page
    point = scatter.locator("circle").last
    word = (point.get_attribute("aria-label") or "").split("”")[0].strip("“")
    point.focus()
    page.keyboard.press("Enter")
    expect(total).to_contain_text(word)
    expect(scatter.locator("[aria-pressed=true]")).to_have_count(1)
    picture(f"explorer-scatter-{'light' if light else 'dark'}", explorer)
    assert explorer.evaluate(CONTRAST) == []
    assert explorer.evaluate(NAMELESS) == []
    explorer.get_by_test_id("clear-filter").click()
    expect(total).to_have_text(every)
    frame = pages.widgets["explorer"].corpus.frame()
    explorer.get_by_test_id("order").select_option("duration")
    longest = frame.sort_values("duration")["id"].iloc[-1]
    expect(explorer.get_by_test_id("utterance").first).to_have_attribute("data-id", longest)
    page.close()
