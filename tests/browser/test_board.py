"""The board in JupyterLab, driven by keyboard on real recordings; the export is compared to the decisions."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from labpage import Lab, Notebook
from looks import CONTRAST, NAMELESS
from playwright.sync_api import Locator, expect

HTML = "<img src=x onerror=\"document.title='owned'\"><b>bold</b> & <script>1</script>"
ARABIC = "السلام عليكم ورحمة الله"
PER_LOCALE = 6

SETUP = """
import json, pandas as pd
from pathlib import Path
from workbench.corpus.importing import import_source
from workbench.corpus.query.table import Corpus
from workbench.widgets.board import Board
if Path("talks/source.json").exists():
    corpus = Corpus.open("talks")
else:
    corpus = import_source("board.jsonl", "talks", name="talks", audio_roots=[STARTER])
ids = corpus.ids()
findings = pd.DataFrame(
    [(ids[1], "text_digits", "warning", "digits: 42", "Write them out.", 1.0),
     (ids[2], "clipping", "error", "3 % of samples clipped", "Reject it.", 0.03)],
    columns=["id", "rule", "severity", "reason", "hint", "value"])
heard = pd.DataFrame([(ids[7], 0.9, 0.1)], columns=["id", "error_rate", "confidence"])
board = Board(corpus, findings=findings, predictions=heard, reviewer="ana")
"""


@pytest.fixture(scope="module")
def rows(repo: Path) -> list[dict]:
    """A few real recordings of each locale, one transcript of HTML and one written from right to left."""
    found: dict[str, list[dict]] = {}
    for line in (repo / "data/starter/manifest.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        some = found.setdefault(row["target_lang"], [])
        if len(some) < PER_LOCALE and 0.8 < row["duration"] < 4:
            row["audio_filepath"] = str(repo / "data/starter" / row["audio_filepath"])
            some.append(row)
    rows = [row for some in found.values() for row in some]
    rows[3]["text"], rows[4]["text"] = HTML, ARABIC
    return rows


@pytest.fixture(scope="module")
def book(lab: Lab, repo: Path, rows: list[dict]) -> Notebook:
    manifest = lab.server.root / "board.jsonl"
    manifest.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    lab.theme("light")
    starter = f"STARTER = {str(repo / 'data/starter')!r}"
    return lab.notebook("board.ipynb", [starter + SETUP, "board"])


@pytest.fixture
def board(book: Notebook) -> Locator:
    """The board with the grid focused, no filter and nothing open."""
    book.show()
    board = book.panel.get_by_test_id("board")
    expect(board).to_have_attribute("data-ready", "1")
    book.page.keyboard.press("Escape")
    if board.get_by_test_id("board-clear").is_visible():
        board.get_by_test_id("board-clear").click()
        expect(board.get_by_test_id("board-clear")).to_be_hidden()
    board.get_by_test_id("board-grid").focus()
    book.page.keyboard.press("Home")
    at(board, 1)
    return board


def at(board: Locator, number: int) -> None:
    """Wait until row ``number`` (from 1) is chosen and its transcript and recording are there."""
    row = board.locator("[role=row][aria-selected=true]")
    expect(row).to_have_attribute("aria-rowindex", str(number + 1))
    box = board.get_by_test_id("board-transcript")
    for _ in range(240):  # the row itself may change while a filter's page is on its way
        text = " ".join((row.locator(".nwb-clip-text").text_content() or "").split())
        if box.input_value() == text:
            break
        board.page.wait_for_timeout(250)
    expect(box).to_have_value(text)
    expect(board.locator(".nwb-player")).to_have_attribute("data-ready", "1")


def decisions(book: Notebook) -> list[list]:
    """What stands in the file of decisions: clip, action, field, value, reviewer; oldest first."""
    return book.kernel(
        "[[d.clips_of(e.seq)[0], e.action, e.field, e.value, e.reason, e.reviewer] "
        "for e in d.events() if e.stands and e.action not in ('undo', 'redo')]",
        setup="d = corpus.decisions",
    )


def press(book: Notebook, *keys: str) -> None:
    for key in keys:
        book.page.keyboard.press(key)


def test_opens_with_every_clip_and_their_findings(
    book: Notebook, board: Locator, rows: list[dict], picture
) -> None:
    assert book.failures() == []
    expect(board.get_by_test_id("board-grid")).to_have_attribute("aria-rowcount", str(len(rows) + 1))
    expect(board.get_by_test_id("board-total")).to_contain_text(f"{len(rows)} clips")
    expect(board.locator("[data-facet=rule][data-value=clipping]")).to_contain_text("1")
    picture("board-light", board)


def test_html_stays_text_and_arabic_runs_right_to_left(book: Notebook, board: Locator) -> None:
    press(book, "ArrowDown", "ArrowDown", "ArrowDown")
    at(board, 4)
    expect(board.get_by_test_id("board-transcript")).to_have_value(HTML)
    assert board.locator("img, script, b").count() == 0
    assert book.page.title() != "owned"
    press(book, "ArrowDown")
    at(board, 5)
    direction = "e => getComputedStyle(e).direction"
    assert board.get_by_text(ARABIC, exact=True).first.evaluate(direction) == "rtl"
    assert board.get_by_test_id("board-transcript").evaluate(direction) == "rtl"


def test_keys_stay_in_the_board(book: Notebook, board: Locator) -> None:
    cells = book.panel.locator(".jp-Cell").count()
    press(book, "b", "d", "d", "m", "?")
    dialog = board.get_by_role("dialog")
    expect(dialog).to_contain_text("accept")
    press(book, "Escape")
    expect(dialog).to_have_count(0)
    assert book.panel.locator(".jp-Cell").count() == cells


def test_player_plays_loops_and_slows_by_key(book: Notebook, board: Locator) -> None:
    player, time = board.locator(".nwb-player"), board.get_by_test_id("player-time")
    press(book, "l")
    expect(board.get_by_test_id("player-loop")).to_have_attribute("aria-pressed", "true")
    press(book, "Space")
    expect(player).to_have_attribute("data-playing", "1")
    expect(time).not_to_have_text(re.compile(r"^0:00\.00"))
    press(book, "Space")
    expect(player).to_have_attribute("data-playing", "0")
    press(book, "l", "[", "s")
    expect(board.get_by_label("Playback speed")).to_have_value("0.75")
    expect(board.locator("canvas.spectrogram")).to_have_count(1)
    width = board.locator("canvas.spectrogram").evaluate(
        "c => c.getContext('2d').getImageData(0,0,c.width,c.height).data"
        ".reduce((seen, v) => seen.add(v), new Set()).size"
    )
    assert width > 50  # a picture, not one color
    axes = board.locator(".spectrogram-box").evaluate("box => box.textContent")
    assert "kHz" in axes
    assert "0 dB" in axes
    assert re.search(r"\d s", axes)
    press(book, "]", "s")
    expect(board.locator("canvas.spectrogram")).to_have_count(0)


def test_curates_by_keyboard_and_the_export_agrees(book: Notebook, board: Locator, rows: list[dict]) -> None:
    say = board.get_by_test_id("board-said")
    press(book, "a")  # accepts 1, goes to 2
    at(board, 2)
    press(book, "r", "3")  # rejects 2, goes to 3
    at(board, 3)
    press(book, "e")
    expect(board.get_by_test_id("board-transcript")).to_be_editable()
    press(book, "Control+a")
    book.page.keyboard.type("A new transcript.")
    press(book, "Enter")
    expect(say).to_have_text("Transcript saved.")
    press(book, "a")
    at(board, 4)
    press(book, "a")
    at(board, 5)
    press(book, "u")  # takes back the acceptance of 4, returns there
    at(board, 4)
    expect(say).to_have_text("Undone.")
    expect(board.get_by_test_id("board-saved")).to_contain_text("All saved")
    ids = [row["id"] for row in rows]
    assert decisions(book) == [
        [ids[0], "status", "status", "accepted", None, "ana"],
        [ids[1], "status", "status", "rejected", "cannot be understood", "ana"],
        [ids[2], "edit", "text", "A new transcript.", None, "ana"],
        [ids[2], "status", "status", "accepted", None, "ana"],
    ]
    written = book.kernel(
        "{r['id']: r['text'] for f in e.files.values() for r in map(json.loads, open(e.path / f))}",
        setup="e = corpus.export('exported', append_tag=False, only='accepted')",
    )
    assert written == {ids[0]: rows[0]["text"], ids[2]: "A new transcript."}
    expect(board.get_by_test_id("board-progress")).to_contain_text("decided")


def test_a_filter_narrows_and_a_wrong_one_says_why(book: Notebook, board: Locator, rows: list[dict]) -> None:
    total = board.get_by_test_id("board-total")
    press(book, "/")
    book.page.keyboard.type("durration > 1")
    press(book, "Enter")
    problem = board.get_by_test_id("board-filter-problem")
    expect(problem).to_contain_text("Did you mean duration")
    expect(total).to_contain_text(f"{len(rows)} clips")
    press(book, "Control+a")
    book.page.keyboard.type("duration > 2")
    press(book, "Enter")
    expect(total).to_contain_text(f"{sum(row['duration'] > 2 for row in rows)} clips")
    expect(problem).to_be_hidden()
    board.locator("[data-status=rejected].nwb-btn").click()
    rejected = book.kernel("len(corpus.where(\"status = 'rejected' and duration > 2\"))")
    expect(total).to_contain_text(f"{rejected} clip")


def test_a_bar_filters_when_clicked(book: Notebook, board: Locator) -> None:
    total = board.get_by_test_id("board-total")
    bar = board.locator("[data-facet=target_lang][data-value=el-GR]")
    bar.click()
    expect(total).to_contain_text(f"{PER_LOCALE} clips")
    expect(bar).to_have_attribute("aria-pressed", "true")
    expect(board.locator(".nwb-td-target_lang bdi")).to_have_text(["el-GR"] * PER_LOCALE)
    board.locator("[data-facet=target_lang][data-value=it-IT]").click(modifiers=["Control"])
    expect(total).to_contain_text(f"{2 * PER_LOCALE} clips")
    head = board.get_by_role("columnheader", name="Length")
    for order in ("ascending", "descending", "none"):
        head.get_by_role("button").click()
        expect(head).to_have_attribute("aria-sort", order)
        lengths = board.locator("[role=row][data-full='1'] .nwb-td-duration")
        expect(lengths).to_have_count(2 * PER_LOCALE)
        shown = [float(text.split(":")[1]) for text in lengths.all_text_contents()]
        assert order == "none" or sorted(shown, reverse=order == "descending") == shown


def test_doubtful_clips_come_first_when_asked(book: Notebook, board: Locator) -> None:
    """In the listening order, whatever was decided before; and back to the corpus's own."""
    button, own = board.get_by_test_id("board-priority"), book.kernel("board.view.ids()")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    wanted = book.kernel(
        "listening.order(corpus, findings, heard, 10_000)['id'].tolist()",
        setup="from workbench.corpus.quality import listening_order as listening",
    )
    at(board, 1)
    doubtful = book.kernel("board.view.ids()")
    assert doubtful[: len(wanted)] == wanted
    assert doubtful != own
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    at(board, 1)
    assert book.kernel("board.view.ids()") == own


def test_a_reviewers_minutes_are_spent_on_the_most_doubtful(
    lab: Lab, book: Notebook, board: Locator, picture
) -> None:
    """The rows within two minutes are those of ``listening.order``, by keyboard, and say why."""
    minutes, total = board.get_by_test_id("board-minutes"), board.get_by_test_id("board-total")
    minutes.focus()
    book.page.keyboard.type("2")
    press(book, "Enter")
    wanted = book.kernel(
        "[[row['id'], row['why']] for row in listening.order(corpus, findings, heard, 2).to_dict('records')]",
        setup="from workbench.corpus.quality import listening_order as listening",
    )
    assert 3 < len(wanted) < 20
    expect(total).to_contain_text(f"{len(wanted)} clips")
    expect(total).to_contain_text("min to hear and decide, of your 2")
    expect(board.get_by_test_id("board-priority")).to_have_attribute("aria-pressed", "true")
    expect(board.get_by_test_id("board-grid")).to_have_attribute("aria-rowcount", str(len(wanted) + 1))
    assert book.kernel("board.view.ids()") == [row[0] for row in wanted]
    press(book, "Escape")
    at(board, 1)
    expect(board.get_by_test_id("board-why")).to_contain_text(wanted[0][1].split(",")[0])
    picture("board-minutes-light", board)
    lab.theme("dark")
    try:
        picture("board-minutes-dark", board)
    finally:
        lab.theme("light")
    # Cleared, it is the whole corpus in that order; pressed again, the source's.
    minutes.fill("")
    minutes.press("Enter")
    expect(total).not_to_contain_text("of your")
    board.get_by_test_id("board-priority").click()
    expect(total).not_to_contain_text("to hear and decide")


def test_another_reviewers_word_appears(book: Notebook, board: Locator) -> None:
    book.kernel("True", setup="corpus.decisions.reject(ids[0], 'cut off', reviewer='Vela')")
    expect(board.locator("[role=row][aria-rowindex='2']")).to_contain_text("Vela")
    expect(board.get_by_test_id("board-clip")).to_contain_text("Rejected: cut off")
    expect(board.get_by_test_id("board-said")).to_contain_text("decided elsewhere")
    expect(board.get_by_test_id("board-dispute")).to_contain_text("A third reviewer decides")
    board.get_by_test_id("board-take").click()  # one of the two may give in
    expect(board.get_by_test_id("board-said")).to_have_text("Settled.")
    expect(board.get_by_test_id("board-status")).to_have_text("Rejected")
    expect(board.get_by_test_id("board-dispute")).to_have_count(0)
    assert book.kernel("len(corpus.decisions.conflicts())") == 0


def test_every_control_has_a_name_and_focus_shows(book: Notebook, board: Locator) -> None:
    assert board.evaluate(NAMELESS) == []
    press(book, "Tab")
    width = book.page.evaluate(
        "() => { const s = getComputedStyle(document.activeElement);"
        " return parseFloat(s.outlineWidth) * (s.outlineStyle !== 'none'); }"
    )
    assert width >= 2


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast_in_both_themes(
    lab: Lab, book: Notebook, board: Locator, theme: str, picture
) -> None:
    lab.theme(theme)
    try:
        press(book, "s", "r")
        expect(board.get_by_test_id("board-reasons")).to_be_visible()
        assert board.evaluate(CONTRAST) == []
        picture(f"board-{theme}-reasons", board)
        press(book, "Escape", "s", "?")
        assert board.get_by_role("dialog").evaluate(CONTRAST) == []
        picture(f"board-{theme}-keys", board)
        press(book, "Escape")
    finally:
        lab.theme("light")


def test_stands_as_a_table_in_exported_html(book: Notebook, lab: Lab, board: Locator) -> None:
    lab.command("docmanager:save")
    root = lab.server.root
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "html", "--template", "basic"]
    subprocess.run([*command, book.name], cwd=root, check=True, capture_output=True)
    page = (root / book.name).with_suffix(".html").read_text(encoding="utf-8")
    assert "<strong>talks</strong>" in page
    assert "&lt;img src=x" in page
    assert "<img src=x" not in page


def remembered(book: Notebook, board: Locator) -> None:
    """Wait until the kernel knows which clip is chosen: it is told after a short rest."""
    clip = board.locator(".nwb-clip-id").get_attribute("title")
    book.wait(lambda: book.kernel("board._ui.get('selected')") == clip, "the choice is remembered")


def test_comes_back_after_the_page_is_loaded_anew(book: Notebook, board: Locator) -> None:
    board.locator("[data-facet=target_lang][data-value=fr-CA]").click()
    at(board, 1)
    press(book, "ArrowDown")
    at(board, 2)
    remembered(book, board)
    chosen = board.get_by_test_id("board-transcript").input_value()
    book.reload()
    board = book.panel.get_by_test_id("board")
    expect(board).to_have_attribute("data-ready", "1")
    at(board, 2)
    expect(board.get_by_test_id("board-transcript")).to_have_value(chosen)
    expect(board.get_by_test_id("board-total")).to_contain_text(f"{PER_LOCALE} clips")


def test_says_that_the_kernel_is_gone_and_goes_on_where_it_was(book: Notebook, board: Locator) -> None:
    board.locator("[data-facet=target_lang][data-value=el-GR]").click()
    at(board, 1)
    press(book, "ArrowDown", "ArrowDown")
    at(board, 3)
    remembered(book, board)
    book.restart()
    lost = board.get_by_test_id("board-lost")
    expect(lost).to_contain_text("Nothing decided is lost")
    expect(board.get_by_test_id("board-accept")).to_be_disabled()
    book.run_all()
    board = book.panel.get_by_test_id("board")
    expect(board).to_have_attribute("data-ready", "1")
    at(board, 3)
    expect(board.get_by_test_id("board-total")).to_contain_text(f"{PER_LOCALE} clips")
    assert len(decisions(book)) == 6
    assert book.failures() == []


def test_nothing_left_the_machine(lab: Lab) -> None:
    assert lab.outside == []
    assert [line for line in lab.console if "nemotron-workbench" in line or "page error" in line] == []
