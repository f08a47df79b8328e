"""Look-ahead, locale, checkpoint and condition are chosen in the page; two lanes are compared."""

from __future__ import annotations

import numpy as np
import pytest
from labpage import Lab, Notebook
from looks import CONTRAST
from playback_page import events, ready, settings, to_the_end
from playwright.sync_api import Locator, expect

pytestmark = pytest.mark.model


def test_the_look_ahead_is_switched(played: Notebook, player: Locator) -> None:
    before = len(events(played))
    player.get_by_test_id("lookahead").select_option("1120")
    played.wait(lambda: ready(played, "player") and len(events(played)) < before, "fewer, longer chunks", 60)
    whole = [event for event in events(played)][:-1]
    assert all(round(event[1] - event[0], 2) <= 1.2 for event in whole)
    player.get_by_test_id("lookahead").select_option("320")
    played.wait(lambda: ready(played, "player") and len(events(played)) == before, "back again", 60)


def test_two_lanes_are_compared(played: Notebook, lab: Lab, player: Locator, picture) -> None:
    player.get_by_test_id("compare").click()
    played.wait(
        lambda: played.kernel("len(player.lanes)") == 2 and ready(played, "player"), "a second lane", 60
    )
    expect(player.get_by_test_id("lane")).to_have_count(2)
    expect(player.get_by_test_id("strip")).to_have_count(2)
    differ = played.kernel("player.differences['words']")
    finals = played.kernel("[lane['final'] for lane in player.lanes]")
    style = played.kernel("player.differences['style']")
    assert (differ + style > 0) == (finals[0] != finals[1])
    expect(player.get_by_test_id("differences")).to_contain_text(str(differ) if differ else "A and B")
    picture("playback-light", player)
    lab.theme("dark")
    picture("playback-dark", player)
    lab.theme("light")
    lane = player.get_by_test_id("lane").last
    lane.get_by_test_id("locale").select_option("el-GR")
    played.wait(lambda: ready(played, "player") and settings(played)["locale"] == "el-GR", "another locale")
    assert settings(played) == {"checkpoint": "base", "locale": "el-GR", "lookahead_ms": 1120}
    differences_are_marked(played, player)
    picture("playback-locales", player)
    player.get_by_role("button", name="Close this lane").last.click()
    expect(player.get_by_test_id("lane")).to_have_count(1)


def test_two_checkpoints_are_compared(played: Notebook, lab: Lab, player: Locator, picture) -> None:
    """Two files of different weights on the same audio, each lane with its own file's words."""
    assert played.kernel("both['base'].sha256 != both['tuned'].sha256")
    player.get_by_test_id("compare").click()
    played.wait(lambda: played.kernel("len(player.lanes)") == 2, "a second lane")
    lane = player.get_by_test_id("lane").last
    lane.get_by_test_id("checkpoint").select_option("tuned")
    played.wait(lambda: settings(played)["checkpoint"] == "tuned", "the other checkpoint")
    lane.get_by_test_id("lookahead").select_option("320")
    played.wait(lambda: ready(played, "player") and settings(played)["lookahead_ms"] == 320, "320 ms")
    one, other = settings(played, 0), settings(played, 1)
    assert {name for name in one if one[name] != other[name]} == {"checkpoint"}
    own = """
from workbench.recognizer.streaming import play
own = [play(both[name], corpus.audio(row["id"]), 16000, row["target_lang"], 320)[-1].final_transcript
       for name in ("base", "tuned")]
"""
    shown = played.kernel("[lane['final'] for lane in player.lanes]")
    assert shown == played.kernel("own", own)
    count = played.kernel("player.differences['words']")
    assert count > 0
    assert differences_are_marked(played, player) > 0
    expect(player.get_by_test_id("differences")).to_contain_text(f"A and B differ in {count} word")
    picture("playback-checkpoints-light", player)
    lab.theme("dark")
    picture("playback-checkpoints-dark", player)
    assert player.evaluate(CONTRAST) == []
    lab.theme("light")
    static = played.kernel("player.static_html()")
    assert "base · " in static
    assert "tuned · " in static
    # The first lane goes, the second takes its place.
    player.get_by_role("button", name="Close this lane").first.click()
    played.wait(
        lambda: settings(played, 0)["checkpoint"] == "tuned" and ready(played, "player"), "the other alone"
    )
    expect(player.get_by_test_id("lane")).to_have_count(1)
    expect(player.get_by_test_id("checkpoint")).to_be_visible()


def differences_are_marked(played: Notebook, player: Locator) -> int:
    """At the end of the recording just the words that differ are marked, in both lanes; returns how many."""
    to_the_end(player)
    marked = 0
    for index, side in enumerate(("left", "right")):
        marks = played.kernel(f"player.differences['{side}']")
        words = player.get_by_test_id("lane").nth(index).locator("[data-word]")
        expect(words).to_have_count(len(marks))
        differ = [n for n, mark in enumerate(marks) if mark not in ("equal", "style")]
        lane = player.get_by_test_id("lane").nth(index)
        expect(lane.locator(".nwb-differs")).to_have_count(len(differ))
        expect(lane.locator(".nwb-differs-style")).to_have_count(marks.count("style"))
        marked += len(differ)
    return marked


def test_a_condition_is_heard_and_recognized(played: Notebook, player: Locator, picture) -> None:
    clean = played.kernel("player.load_audio('')[0].tolist()")
    player.get_by_test_id("line").select_option("true")
    player.get_by_test_id("noise").select_option("5")
    played.wait(
        lambda: played.kernel("player.condition['snr_db']") == 5 and ready(played, "player"), "recognized", 60
    )
    noisy = np.array(played.kernel("player.load_audio('')[0].tolist()"))
    spectrum = np.abs(np.fft.rfft(noisy)) ** 2
    hz = np.fft.rfftfreq(len(noisy), 1 / 16000)
    assert spectrum[hz > 4500].sum() < 0.01 * spectrum.sum()
    assert not np.allclose(noisy, clean)
    expect(player.locator(".nwb-player")).to_have_attribute("data-ready", "1")
    kept = played.kernel("player.lanes[0]['style']")
    assert kept["capitals"][1] > 0
    shown = {"marks": "punctuation", "capitals": "capitalization"}
    for kind, (there, of) in kept.items():
        if of:
            expect(player.locator(".nwb-figures")).to_contain_text(f"{shown[kind]} kept {there} / {of}")
    picture("playback-condition", player)
    player.get_by_test_id("line").select_option("false")
    player.get_by_test_id("noise").select_option("")
    played.wait(
        lambda: played.kernel("player.condition['snr_db']") is None and ready(played, "player"),
        "clean again",
        60,
    )
