"""Words land on the media clock, never early; seeking, look-ahead, comparing, conditions, reload, restart.

Nothing here depends on how well the checkpoint reads: what is on screen is compared with the recorded events.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from labpage import REPO, Lab, Notebook
from playwright.sync_api import Locator, expect

pytestmark = pytest.mark.model
STARTER = REPO / "data" / "starter"
HOSTILE = '<img src=x onerror="window.hacked=1"> שלום, מה שלומך היום'

SETUP = f"""
import json
from pathlib import Path
from workbench.corpus.sources import import_source
from workbench.evaluation import evaluate
from workbench.recognizer.checkpoint import Checkpoint
from workbench.widgets.explorer import Explorer
from workbench.widgets.playback import Playback

source = Path({str(STARTER)!r})
row = next(r for r in map(json.loads, (source / "manifest.jsonl").open())
           if r["target_lang"] == "es-US" and 2.5 < r["duration"] < 4)
import shutil
file = Path("clips", row["audio_filepath"])
file.parent.mkdir(parents=True, exist_ok=True)
shutil.copy(source / row["audio_filepath"], file)
Path("clips/manifest.jsonl").write_text(json.dumps(row) + "\\n")
shutil.rmtree("clips-corpus", ignore_errors=True)
corpus = import_source(Path("clips/manifest.jsonl"), Path("clips-corpus"), name="clips")
checkpoint = Checkpoint.open({str(REPO / "data" / "checkpoint" / "starter.nemo")!r})
both = {{"base": checkpoint, "tuned": Checkpoint.open(checkpoint.path)}}
player = Playback(both, row["id"], corpus=corpus, lookahead_ms=320)
other = Playback(checkpoint, corpus.audio(row["id"]), reference={HOSTILE!r}, locale="auto", lookahead_ms=1120)
"""
EXPLORER = """
import pandas as pd
said = [{"word": "nada", "start": 1.5, "end": 1.9, "confidence": 0.5}]
facts = {"lookahead_ms": 560, "prompt_mode": "langID"}
heard = pd.DataFrame([{"id": row["id"], "hypothesis": "nada", "words": said, **facts}])
explorer = Explorer(evaluate(corpus.frame(), {"base": heard}), corpus, checkpoint)
explorer
"""
HEBREW = "שלום, הרכבת יוצאת בשעה 17:45."
RIGHT_TO_LEFT = f"""
from workbench.recognizer.events import StreamEvent, Word
from workbench.widgets.channel import plain
from workbench.widgets.lanes import lane_data
said, made, words = {HEBREW!r}.split(), [], []
for n, word in enumerate(said):
    words.append(Word(word, n * 0.5, n * 0.5 + 0.4, 0.9))
    at, tag = n * 0.56, "he-IL" if n > 2 else None
    made.append(StreamEvent(n, at, at + 0.56, 0.02, at + 0.58, " ".join(said[: n + 1]), "", (), tuple(words),
                            tag, 0, n == len(said) - 1))
lane = lane_data(made, "he-IL", "שלום הרכבת יצאה בשעה 17:45")
other.lanes = [{{**other.lanes[0], **plain(lane)}}]
"""
MEDIA = """() => {
    if (window.heardMedia) return;
    window.heardMedia = [];
    const play = HTMLMediaElement.prototype.play;
    HTMLMediaElement.prototype.play = function () {
        window.heardMedia.push(this);
        return play.apply(this, arguments);
    };
}"""
RECORD = """(transcript) => {
    window.landed = [];
    new MutationObserver(() => window.landed.push({
        event: Number(transcript.dataset.event), text: transcript.textContent,
        media_s: window.heardMedia.at(-1)?.currentTime ?? 0 }))
        .observe(transcript, { attributes: true, attributeFilter: ["data-event"] });
}"""


def expected(events: list[list], index: int) -> str:
    """Final and partial transcript after an event, from what was recorded, without spaces."""
    final = ""
    for event in events[: index + 1]:
        final = final[: event[4]] + event[5]
    return "".join((final + events[index][6]).split()) if index >= 0 else ""


@pytest.fixture(scope="module")
def book(lab: Lab) -> Notebook:
    book = lab.notebook(
        "playback.ipynb",
        [SETUP, "player", "other", EXPLORER],
    )
    assert not book.failures(), book.failures()
    book.wait(lambda: ready(book, "player") and ready(book, "other"), "recognition", 600)
    return book


def ready(book: Notebook, name: str) -> bool:
    states = book.kernel(f"[lane['state'] for lane in {name}.lanes]")
    assert "failed" not in states, book.kernel(f"[lane['message'] for lane in {name}.lanes]")
    return set(states) == {"ready"}


@pytest.fixture
def view(book: Notebook) -> Locator:
    book.show()
    view = book.panel.get_by_test_id("playback").first
    expect(view.locator(".nwb-player")).to_have_attribute("data-ready", "1")
    return view


def settings(book: Notebook, lane: int = 1) -> dict:
    return book.kernel(f"player.lanes[{lane}]['settings']")


def press(view: Locator, *keys: str) -> None:
    """Keys pressed one after the other, at once."""
    view.evaluate(
        """(root, keys) => { for (const key of keys) root.dispatchEvent(new KeyboardEvent("keydown", {
            key: key.replace("Shift+", ""), shiftKey: key.startsWith("Shift+"), bubbles: true })); }""",
        list(keys),
    )


def to_the_end(view: Locator) -> None:
    press(view, *["ArrowRight"] * 12)


def events(book: Notebook, lane: int = 0) -> list[list]:
    return book.kernel(f"player.lanes[{lane}]['events']")


def test_words_land_in_order_and_never_early(book: Notebook, view: Locator) -> None:
    page, recorded = book.page, events(book)
    page.evaluate(MEDIA)
    view.get_by_test_id("transcript").evaluate(RECORD)
    view.get_by_test_id("player-play").click()
    last = len(recorded) - 1
    book.wait(lambda: page.evaluate("window.landed.at(-1)?.event") == last, "the last word", 40)
    landed = page.evaluate("window.landed")
    shown = [entry["event"] for entry in landed]
    assert shown == sorted(shown)
    for entry in landed:
        if entry["event"] >= 0:
            assert entry["media_s"] >= recorded[entry["event"]][3] - 0.02, (
                "a word was shown before its emission"
            )
            assert "".join(entry["text"].split()) == expected(recorded, entry["event"]) or not expected(
                recorded, entry["event"]
            )
    assert [event[3] for event in recorded] == sorted(event[3] for event in recorded)
    assert all(event[3] >= event[1] for event in recorded)


def test_seeking_shows_the_state_at_that_moment(book: Notebook, view: Locator) -> None:
    recorded = events(book)
    if view.locator(".nwb-player").get_attribute("data-playing") == "1":
        view.get_by_test_id("player-play").click()
    expect(view.locator(".nwb-player")).to_have_attribute("data-playing", "0")
    for key in ("ArrowLeft", "ArrowLeft", "Shift+ArrowRight"):
        view.locator(".nwb-stage").click(position={"x": 400, "y": 20})
        view.evaluate("root => { root.tabIndex = -1; root.focus(); }")
        book.page.keyboard.press(key)
        book.page.wait_for_timeout(150)
        time_s = float(view.get_attribute("data-time"))
        index = max((i for i, event in enumerate(recorded) if event[3] <= time_s + 1e-3), default=-1)
        expect(view.get_by_test_id("transcript")).to_have_attribute("data-event", str(index))


def test_the_look_ahead_is_switched(book: Notebook, view: Locator) -> None:
    before = len(events(book))
    view.get_by_test_id("lookahead").select_option("1120")
    book.wait(lambda: ready(book, "player") and len(events(book)) < before, "fewer, longer chunks", 60)
    whole = [event for event in events(book)][:-1]
    assert all(round(event[1] - event[0], 2) <= 1.2 for event in whole)
    view.get_by_test_id("lookahead").select_option("320")
    book.wait(lambda: ready(book, "player") and len(events(book)) == before, "back again", 60)


def test_two_lanes_are_compared(book: Notebook, lab: Lab, view: Locator, picture) -> None:
    view.get_by_test_id("compare").click()
    book.wait(lambda: book.kernel("len(player.lanes)") == 2 and ready(book, "player"), "a second lane", 60)
    expect(view.get_by_test_id("lane")).to_have_count(2)
    expect(view.get_by_test_id("strip")).to_have_count(2)
    differ = book.kernel("player.differences['words']")
    finals = book.kernel("[lane['final'] for lane in player.lanes]")
    assert (differ > 0) == (finals[0].casefold() != finals[1].casefold()) or book.kernel(
        "player.differences['style']"
    )
    expect(view.get_by_test_id("differences")).to_contain_text(str(differ) if differ else "A and B")
    picture("playback-light", view)
    lab.theme("dark")
    picture("playback-dark", view)
    lab.theme("light")
    lane = view.get_by_test_id("lane").last
    lane.get_by_test_id("checkpoint").select_option("tuned")
    book.wait(lambda: ready(book, "player") and settings(book)["checkpoint"] == "tuned", "other checkpoint")
    lane.get_by_test_id("locale").select_option("el-GR")
    book.wait(lambda: ready(book, "player") and settings(book)["locale"] == "el-GR", "another locale")
    assert settings(book) == {"checkpoint": "tuned", "locale": "el-GR", "lookahead_ms": 1120}
    to_the_end(view)
    for index, side in enumerate(("left", "right")):
        marks = book.kernel(f"player.differences['{side}']")
        words = view.get_by_test_id("lane").nth(index).locator("[data-word]")
        expect(words).to_have_count(len(marks))
        differ = [n for n, mark in enumerate(marks) if mark not in ("equal", "style")]
        lane = view.get_by_test_id("lane").nth(index)
        expect(lane.locator(".nwb-differs")).to_have_count(len(differ))
        expect(lane.locator(".nwb-differs-style")).to_have_count(marks.count("style"))
    picture("playback-locales", view)
    view.get_by_role("button", name="Close this lane").last.click()
    expect(view.get_by_test_id("lane")).to_have_count(1)


def test_a_condition_is_heard_and_recognised(book: Notebook, view: Locator, picture) -> None:
    clean = book.kernel("player.load_audio('')[0].tolist()")
    view.get_by_test_id("line").select_option("true")
    view.get_by_test_id("noise").select_option("5")
    book.wait(
        lambda: book.kernel("player.condition['snr_db']") == 5 and ready(book, "player"), "recognised", 60
    )
    noisy = np.array(book.kernel("player.load_audio('')[0].tolist()"))
    spectrum = np.abs(np.fft.rfft(noisy)) ** 2
    hz = np.fft.rfftfreq(len(noisy), 1 / 16000)
    assert spectrum[hz > 4500].sum() < 0.01 * spectrum.sum()
    assert not np.allclose(noisy, clean)
    expect(view.locator(".nwb-player")).to_have_attribute("data-ready", "1")
    kept = book.kernel("player.lanes[0]['style']")
    assert kept["capitals"][1] > 0
    for kind, (there, of) in kept.items():
        if of:
            expect(view.locator(".nwb-figures")).to_contain_text(f"{kind} kept {there} / {of}")
    picture("playback-condition", view)
    view.get_by_test_id("line").select_option("false")
    view.get_by_test_id("noise").select_option("")
    book.wait(
        lambda: book.kernel("player.condition['snr_db']") is None and ready(book, "player"), "clean again", 60
    )


def test_two_players_keep_apart_and_hostile_right_to_left_text_stays_text(
    book: Notebook, view: Locator
) -> None:
    second = book.panel.get_by_test_id("playback").nth(1)
    assert second.get_by_test_id("lookahead").input_value() == "1120"
    assert view.get_by_test_id("lookahead").input_value() == "320"
    expect(second.locator(".nwb-pair-ref").first).to_have_text("<img")
    assert second.locator("img").count() == 0
    assert not book.page.evaluate("window.hacked")
    hebrew = second.locator(".nwb-pair-ref", has_text="שלום")
    assert hebrew.evaluate("el => getComputedStyle(el).unicodeBidi") == "isolate"
    exported = book.kernel("other.static_html()")
    assert "<img" not in exported
    assert "&lt;img" in exported


def test_the_last_of_many_seeks_lands(book: Notebook, view: Locator) -> None:
    """Of seeks that follow each other at once the last one counts, on screen and in the sound."""
    book.page.evaluate(MEDIA)
    for _ in range(2):
        view.get_by_test_id("player-play").click()  # so that the media element is known
    for _ in range(6):
        press(view, *["ArrowLeft"] * 9, *["Shift+ArrowRight"] * 7)
        book.page.wait_for_timeout(400)
        assert float(view.get_attribute("data-time")) == pytest.approx(0.7, abs=0.03)
        assert book.page.evaluate("window.heardMedia.at(-1).currentTime") == pytest.approx(0.7, abs=0.03)


def test_a_new_recording_opens_where_the_cursor_stood(book: Notebook, view: Locator) -> None:
    """Another condition loads other audio: the first seek comes right after loading, and used to be lost."""
    before = float(view.get_attribute("data-time"))
    assert before > 0.3
    for gain in ("12", "0", "-12", "0"):
        view.get_by_test_id("gain").select_option(gain)
        book.wait(
            lambda g=gain: book.kernel("player.condition['gain_db']") == float(g) and ready(book, "player"),
            "level",
        )
        expect(view.locator(".nwb-player")).to_have_attribute("data-ready", "1")
        book.page.wait_for_timeout(400)
        assert float(view.get_attribute("data-time")) == pytest.approx(before, abs=0.03)


def test_right_to_left_words_stand_in_their_order(book: Notebook, lab: Lab, picture) -> None:
    """A made-up Hebrew reading of a real recording (no checkpoint here reads Hebrew): order, numbers, tag."""
    second = book.panel.get_by_test_id("playback").nth(1)
    book.kernel("len(other.lanes[0]['words'])", RIGHT_TO_LEFT)
    expect(second.get_by_test_id("transcript")).to_have_attribute("dir", "rtl")
    to_the_end(second)
    words = second.get_by_test_id("transcript").locator("[data-word]")
    expect(words).to_have_count(5)
    assert words.all_text_contents() == HEBREW.split()
    lefts = [words.nth(i).bounding_box()["x"] for i in range(5)]
    assert lefts == sorted(lefts, reverse=True), "the first word stands at the right"
    refs = second.locator(".nwb-pair-ref")
    boxes = [refs.nth(i).bounding_box() for i in range(refs.count())]
    row = [box["x"] for box in boxes if abs(box["y"] - boxes[0]["y"]) < 5]
    assert row == sorted(row, reverse=True)
    expect(second.get_by_test_id("language")).to_contain_text("he-IL")
    assert 'dir="rtl"' in book.kernel("other.static_html()")
    picture("playback-rtl-light", second)
    lab.theme("dark")
    picture("playback-rtl-dark", second)
    lab.theme("light")


def test_stream_this_opens_playback_at_the_error(book: Notebook, view: Locator) -> None:
    explorer = book.panel.get_by_test_id("explorer")
    explorer.get_by_test_id("cell").first.click()
    explorer.get_by_test_id("stream").first.click()
    inner = explorer.get_by_test_id("playback")
    expect(inner.locator(".nwb-player")).to_have_attribute("data-ready", "1")
    book.wait(lambda: ready(book, "explorer.playback"), "recognition", 60)
    at_s = book.kernel("explorer.playback.start_s")
    book.wait(lambda: abs(float(inner.get_attribute("data-time")) - at_s) < 0.05, "the moment of the error")
    assert book.kernel("explorer.playback.lanes[0]['settings']['lookahead_ms']") == 560
    explorer.get_by_test_id("stream-panel").get_by_role("button", name="Close").first.click()
    expect(inner).to_have_count(0)


def test_a_reload_loses_nothing(book: Notebook, lab: Lab) -> None:
    before = book.kernel("[player.lanes[0]['final'], player.lanes[0]['settings']]")
    book.reload()
    view = book.panel.get_by_test_id("playback").first
    expect(view.locator(".nwb-player")).to_have_attribute("data-ready", "1")
    assert view.get_by_test_id("lookahead").input_value() == str(before[1]["lookahead_ms"])
    assert book.kernel("player.lanes[0]['final']") == before[0]
    assert not lab.outside


def test_questions_are_answered_while_a_cell_runs(book: Notebook, view: Locator) -> None:
    """The kernel is busy until the look-ahead chosen meanwhile has been recognised and is on screen."""
    wait = """
import time
begin = time.monotonic()
while player.lanes[0]["state"] != "ready" or player.lanes[0]["settings"]["lookahead_ms"] != 80:
    assert time.monotonic() - begin < 60, "nothing was answered while this cell ran"
    time.sleep(0.05)
"""
    book.page.evaluate(
        """(code) => {
            const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            window.running = kernel.requestExecute({ code, store_history: false }).done;
        }""",
        wait,
    )
    view.get_by_test_id("lookahead").select_option("80")
    assert book.page.evaluate("window.running.then((reply) => reply.content.status)") == "ok"
    assert ready(book, "player")
    view.get_by_test_id("lookahead").select_option("320")
    book.wait(lambda: ready(book, "player") and settings(book, 0)["lookahead_ms"] == 320, "back again")


def test_the_static_form_has_a_picture_and_the_transcript_with_its_times(book: Notebook) -> None:
    final, words = book.kernel("[player.lanes[0]['final'], player.lanes[0]['words']]")
    read = book.page.evaluate(
        """(html) => {
            const page = new DOMParser().parseFromString(html, "text/html");
            const all = (where) => [...page.querySelectorAll(where)];
            return { bars: all("svg rect").length, wave: all("svg path").length,
                said: all("p[dir=auto] bdi").map((word) => word.textContent).join(""),
                rows: all("tbody tr").map((row) => [...row.cells].map((cell) => cell.textContent)) };
        }""",
        book.kernel("player.static_html()"),
    )
    assert read["bars"] == 2 * len(events(book)), "each chunk and its computing"
    assert read["wave"] >= 1
    assert read["said"] == "".join(final.split())
    assert [row[0] for row in read["rows"]] == [word[0] for word in words]
    timed = [(row, word) for row, word in zip(read["rows"], words, strict=True) if word[1] is not None]
    assert all(row[3] == f"{word[3]:.2f} s" for row, word in timed)


def test_the_kernel_restarts_and_what_was_heard_still_plays(book: Notebook, view: Locator) -> None:
    final = book.kernel("player.lanes[0]['final']")
    book.restart()
    expect(view.get_by_text("The kernel was restarted or has stopped.")).to_be_visible()
    expect(view.get_by_test_id("lookahead")).to_be_disabled()
    to_the_end(view)
    expect(view.get_by_test_id("transcript")).to_have_text(" ".join(final.split()) or re.compile(""))
    press(view, *["ArrowLeft"] * 12)
    view.get_by_test_id("player-play").click()
    expect(view.locator(".nwb-player")).to_have_attribute("data-playing", "1")
    view.get_by_test_id("player-play").click()
    book.run_all()
    assert not book.failures(), book.failures()
    fresh = book.panel.get_by_test_id("playback").first
    expect(fresh.locator(".nwb-player")).to_have_attribute("data-ready", "1")
    expect(fresh.get_by_test_id("lookahead")).to_be_enabled()
    book.wait(lambda: ready(book, "player"), "recognition", 600)
    assert book.kernel("player.lanes[0]['final']") == final
