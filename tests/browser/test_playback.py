"""Words land on the media clock, never early; seeking, look-ahead, comparing, conditions, microphone, reload.

Nothing here depends on how well the checkpoint reads: what is on screen is compared with the recorded events.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
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
from workbench.widgets.microphone import Microphone
from workbench.widgets.playback import Playback

source = Path({str(STARTER)!r})
row = next(r for r in map(json.loads, (source / "manifest.jsonl").open())
           if r["target_lang"] == "es-US" and 2.5 < r["duration"] < 4)
import shutil
file = Path("clips", row["audio_filepath"])
file.parent.mkdir(parents=True, exist_ok=True)
shutil.copy(source / row["audio_filepath"], file)
Path("clips/manifest.jsonl").write_text(json.dumps(row) + "\\n")
corpus = import_source(Path("clips/manifest.jsonl"), Path("clips-corpus"), name="clips")
checkpoint = Checkpoint.open({str(REPO / "data" / "checkpoint" / "starter.nemo")!r})
player = Playback(checkpoint, row["id"], corpus=corpus, lookahead_ms=320)
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
        [SETUP, "player", "other", EXPLORER, "mic = Microphone(checkpoint, takes='takes')\nmic"],
    )
    assert not book.failures(), book.failures()
    book.wait(lambda: ready(book, "player") and ready(book, "other"), "recognition", 180)
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
    for press in ("ArrowLeft", "ArrowLeft", "Shift+ArrowRight"):
        view.locator(".nwb-stage").click(position={"x": 400, "y": 20})
        view.evaluate("root => { root.tabIndex = -1; root.focus(); }")
        book.page.keyboard.press(press)
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
    view.get_by_role("button", name="Close this lane").last.click()
    expect(view.get_by_test_id("lane")).to_have_count(1)


def test_a_condition_is_heard_and_recognised(book: Notebook, view: Locator) -> None:
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


def test_a_voice_at_the_microphone_is_transcribed_and_kept_with_consent(
    book: Notebook, lab_root: Path, picture
) -> None:
    spoken, rate = soundfile.read(STARTER / book.kernel("row['audio_filepath']"), dtype="float32")
    speech = soxr.resample(spoken, rate, 48000)
    soundfile.write(
        lab_root / "mic.wav", np.concatenate([speech, np.zeros(24000, np.float32)]), 48000, subtype="PCM_16"
    )
    view = book.panel.get_by_test_id("microphone")
    view.get_by_test_id("mic-lookahead").select_option("560")
    view.get_by_test_id("record").click()
    expect(view).to_have_attribute("data-state", "recording", timeout=60_000)
    book.page.wait_for_timeout(int(1000 * len(spoken) / rate) + 1500)
    view.get_by_test_id("record").click()
    expect(view).to_have_attribute("data-state", "idle", timeout=60_000)
    picture("microphone", view)
    checks = (
        "from workbench.recognizer.streaming import play\npcm, rate = mic.take()\n"
        "alone = play(checkpoint, pcm, rate, 'auto', 560)[-1]"
    )
    live, alone = book.kernel("[mic._session.final_transcript, alone.final_transcript]", checks)
    assert live == alone, "live transcript differs from the same audio recognised at once"
    on_screen = "".join(view.get_by_test_id("mic-transcript").text_content().split())
    assert on_screen == "".join(live.split()) or not live
    heard = np.array(book.kernel("pcm[: rate * 12].tolist()"), dtype=np.float64)
    said = soxr.resample(spoken, rate, book.kernel("rate")).astype(np.float64)
    likeness = np.fft.irfft(np.fft.rfft(heard, 2**20) * np.conj(np.fft.rfft(said, 2**20))).max()
    assert (
        likeness > 0.7 * np.sqrt((said**2).sum() * min((heard**2).sum(), 4 * (said**2).sum() * 32768**2)) / 2
    )
    view.get_by_test_id("keep").click()
    assert book.kernel("list(mic.saved)") == []  # the box is not ticked
    view.get_by_test_id("consent").check()
    view.locator("select[name=locale]").select_option("es-US")
    view.get_by_test_id("keep").click()
    book.wait(lambda: book.kernel("len(mic.saved)") == 1, "the take")
    [line] = [json.loads(text) for text in (lab_root / "takes" / "manifest.jsonl").open()]
    assert line["consent"]
    assert line["target_lang"] == "es-US"
    assert soundfile.info(lab_root / "takes" / line["audio_filepath"]).duration == pytest.approx(
        line["duration"], abs=0.01
    )


def test_a_reload_loses_nothing(book: Notebook, lab: Lab) -> None:
    before = book.kernel("[player.lanes[0]['final'], player.lanes[0]['settings']]")
    book.reload()
    view = book.panel.get_by_test_id("playback").first
    expect(view.locator(".nwb-player")).to_have_attribute("data-ready", "1")
    assert view.get_by_test_id("lookahead").input_value() == str(before[1]["lookahead_ms"])
    assert book.kernel("player.lanes[0]['final']") == before[0]
    assert not lab.outside
