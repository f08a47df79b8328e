"""A take that its speaker lets go: it joins the open corpus, the board shows it, and it can be taken back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
from labpage import Lab, Notebook
from looks import CONTRAST, NAMELESS
from microphone_page import OPEN, STARTER, WARM, record, short_recording, speak
from playwright.sync_api import Locator, expect

pytestmark = pytest.mark.model
CLIPS = 3
SETUP = f"""
import itertools, json, shutil
from pathlib import Path
import workbench as wb
{OPEN}
source = Path({str(STARTER)!r})
lines = (source / "manifest.jsonl").open(encoding="utf-8")
rows = [json.loads(line) for line in itertools.islice(lines, {CLIPS})]
for row in rows:
    file = Path("own", row["audio_filepath"])
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / row["audio_filepath"], file)
Path("own/manifest.jsonl").write_text("".join(json.dumps(row) + chr(10) for row in rows), encoding="utf-8")
shutil.rmtree("takes-workspace", ignore_errors=True)
ws = wb.Workspace("takes-workspace")
corpus = ws.import_corpus("calls", "own/manifest.jsonl")
mic = Microphone(checkpoint, corpus=corpus.where("duration > 0"), lookahead_ms=560)
mic
"""
WRITTEN = "sorted(str(path) for path in ws.path.rglob('*') if path.is_file())"


@pytest.fixture(scope="module")
def book(lab: Lab, lab_root: Path) -> Notebook:
    speak(lab_root / "mic.wav", short_recording())
    book = lab.notebook("takes.ipynb", [SETUP, WARM, "corpus.board()"])
    assert not book.failures(), book.failures()
    return book


@pytest.fixture
def view(book: Notebook) -> Locator:
    book.show()
    view = book.panel.get_by_test_id("microphone")
    expect(view).to_have_attribute("data-state", "idle")
    return view


def rows_on_the_board(book: Notebook) -> Locator:
    """The rows of the board that has been open all along: takes come to it and leave it by themselves."""
    return book.panel.get_by_test_id("board").locator("[role=row][aria-selected]")


def test_without_consent_nothing_is_written(book: Notebook, view: Locator) -> None:
    before = book.kernel(WRITTEN)
    record(book, view, 1.0)
    view.get_by_test_id("purpose").select_option("training")
    view.get_by_test_id("keep").click()
    assert view.get_by_test_id("consent").evaluate("box => box.validity.valueMissing")
    expect(view.get_by_test_id("keep")).to_be_visible()
    assert book.kernel("list(mic.saved)") == []
    assert book.kernel("len(mic.take()[0])") > 0
    assert book.kernel(WRITTEN) == before
    view.get_by_test_id("discard").click()
    expect(view.get_by_test_id("mic-note")).to_contain_text("nothing was written")
    assert book.kernel("len(mic.take()[0])") == 0
    assert book.kernel(WRITTEN) == before
    assert book.kernel("[len(corpus), [event.kind for event in ws.ledger.events()]]") == [CLIPS, ["import"]]


def test_a_take_joins_the_corpus_with_consent_and_can_be_taken_back(
    book: Notebook, lab: Lab, view: Locator, picture
) -> None:
    expect(rows_on_the_board(book)).to_have_count(CLIPS)
    take = record(book, view, 1.0)
    view.get_by_label("What was said").fill("Vamos, pues.")
    view.locator("select[name=locale]").select_option("es-US")
    view.get_by_label("Speaker, a code name").fill("voice-7")
    view.get_by_test_id("purpose").select_option("training testing")
    view.get_by_test_id("consent").check()
    assert view.evaluate(NAMELESS) == []
    for theme in ("dark", "light"):
        lab.theme(theme)
        picture(f"microphone-keep-{theme}", view)
        assert view.evaluate(CONTRAST) == []
    view.get_by_test_id("keep").click()
    expect(view.get_by_test_id("mic-note")).to_contain_text("is now an utterance of the corpus calls")
    picture("microphone-kept", view)
    [row] = book.kernel(f"corpus.page({CLIPS}, 10)")
    assert (row["text"], row["target_lang"], row["speaker"]) == ("Vamos, pues.", "es-US", "voice-7")
    assert (row["source"], row["purpose"]) == ("microphone takes", "training testing")
    assert row["status"] == "pending"
    assert row["consent"]
    path = Path(book.kernel(f"str(corpus.audio_path({row['id']!r}))"))
    assert soundfile.read(path, dtype="int16")[0].tolist() == take.tolist()
    shown = rows_on_the_board(book)
    expect(shown).to_have_count(CLIPS + 1)
    expect(shown.last).to_contain_text("Vamos, pues.")
    board = book.panel.get_by_test_id("board")
    shown.last.click()
    expect(board.locator(".nwb-player")).to_have_attribute("data-ready", "1")
    picture("board-with-a-take", board)
    events = book.kernel("[[event.kind, event.payload] for event in ws.ledger.events()]")
    assert [kind for kind, _ in events] == ["import", "corpus.take"]
    assert "voice-7" not in json.dumps(events)
    view.get_by_test_id("withdraw").click()
    expect(view.get_by_test_id("mic-note")).to_contain_text("was taken back")
    assert not path.exists()
    assert book.kernel("[len(corpus), list(mic.saved)]") == [CLIPS, []]
    expect(rows_on_the_board(book)).to_have_count(CLIPS)
    assert book.kernel("[event.kind for event in ws.ledger.events()][-1]") == "corpus.take.withdrawn"
