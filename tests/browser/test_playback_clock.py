"""Words land on the media clock, in order and never early; seeking shows the state at that moment."""

from __future__ import annotations

import pytest
from labpage import Notebook
from playback_page import MEDIA, RECORD, events, press, ready
from playwright.sync_api import Locator, expect

pytestmark = pytest.mark.model


def expected(events: list[list], index: int) -> str:
    """Final and partial transcript after an event, from what was recorded, without spaces."""
    final = ""
    for event in events[: index + 1]:
        final = final[: event[4]] + event[5]
    return "".join((final + events[index][6]).split()) if index >= 0 else ""


def test_words_land_in_order_and_never_early(played: Notebook, player: Locator) -> None:
    page, recorded = played.page, events(played)
    page.evaluate(MEDIA)
    player.get_by_test_id("transcript").evaluate(RECORD)
    player.get_by_test_id("player-play").click()
    last = len(recorded) - 1
    played.wait(lambda: page.evaluate("window.landed.at(-1)?.event") == last, "the last word", 40)
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


def test_seeking_shows_the_state_at_that_moment(played: Notebook, player: Locator) -> None:
    recorded = events(played)
    if player.locator(".nwb-player").get_attribute("data-playing") == "1":
        player.get_by_test_id("player-play").click()
    expect(player.locator(".nwb-player")).to_have_attribute("data-playing", "0")
    for key in ("ArrowLeft", "ArrowLeft", "Shift+ArrowRight"):
        player.locator(".nwb-stage").click(position={"x": 400, "y": 20})
        played.page.keyboard.press(key)
        played.page.wait_for_timeout(150)
        time_s = float(player.get_attribute("data-time"))
        index = max((i for i, event in enumerate(recorded) if event[3] <= time_s + 1e-3), default=-1)
        expect(player.get_by_test_id("transcript")).to_have_attribute("data-event", str(index))


def test_the_last_of_many_seeks_lands(played: Notebook, player: Locator) -> None:
    """Of seeks that follow each other at once the last one counts, on screen and in the sound."""
    played.page.evaluate(MEDIA)
    for _ in range(2):
        player.get_by_test_id("player-play").click()  # so that the media element is known
    for _ in range(6):
        press(player, *["ArrowLeft"] * 9, *["Shift+ArrowRight"] * 7)
        played.page.wait_for_timeout(400)
        assert float(player.get_attribute("data-time")) == pytest.approx(0.7, abs=0.03)
        assert played.page.evaluate("window.heardMedia.at(-1).currentTime") == pytest.approx(0.7, abs=0.03)


def test_a_new_recording_opens_where_the_cursor_stood(played: Notebook, player: Locator) -> None:
    """Another condition loads other audio: the first seek comes right after loading, and used to be lost."""
    press(player, *["ArrowLeft"] * 9, *["Shift+ArrowRight"] * 7)
    before = float(player.get_attribute("data-time"))
    assert before > 0.3
    for gain in ("12", "0", "-12", "0"):
        player.get_by_test_id("gain").select_option(gain)
        played.wait(
            lambda g=gain: (
                played.kernel("player.condition['gain_db']") == float(g) and ready(played, "player")
            ),
            "level",
        )
        expect(player.locator(".nwb-player")).to_have_attribute("data-ready", "1")
        played.page.wait_for_timeout(400)
        assert float(player.get_attribute("data-time")) == pytest.approx(before, abs=0.03)
