"""The player among other things: opened from an error, reload, a busy kernel, a restart, the static form."""

from __future__ import annotations

import re

import pytest
from labpage import Lab, Notebook
from playback_page import events, press, ready, settings, to_the_end
from playwright.sync_api import Locator, expect

pytestmark = pytest.mark.model


def test_stream_this_opens_playback_at_the_error(played: Notebook, player: Locator) -> None:
    explorer = played.panel.get_by_test_id("explorer")
    explorer.get_by_test_id("cell").first.click()
    explorer.get_by_test_id("stream").first.click()
    inner = explorer.get_by_test_id("playback")
    expect(inner.locator(".nwb-player")).to_have_attribute("data-ready", "1")
    played.wait(lambda: ready(played, "explorer.playback"), "recognition", 60)
    at_s = played.kernel("explorer.playback.start_s")
    played.wait(lambda: abs(float(inner.get_attribute("data-time")) - at_s) < 0.05, "the moment of the error")
    assert played.kernel("explorer.playback.lanes[0]['settings']['lookahead_ms']") == 560
    explorer.get_by_test_id("stream-panel").get_by_role("button", name="Close").first.click()
    expect(inner).to_have_count(0)


def test_a_reload_loses_nothing(played: Notebook, lab: Lab) -> None:
    before = played.kernel("[player.lanes[0]['final'], player.lanes[0]['settings']]")
    played.reload()
    player = played.panel.get_by_test_id("playback").first
    expect(player.locator(".nwb-player")).to_have_attribute("data-ready", "1")
    assert player.get_by_test_id("lookahead").input_value() == str(before[1]["lookahead_ms"])
    assert played.kernel("player.lanes[0]['final']") == before[0]
    assert not lab.outside


def test_questions_are_answered_while_a_cell_runs(played: Notebook, player: Locator) -> None:
    """The kernel is busy until the look-ahead chosen meanwhile has been recognized and is on screen."""
    wait = """
import time
begin = time.monotonic()
while player.lanes[0]["state"] != "ready" or player.lanes[0]["settings"]["lookahead_ms"] != 80:
    assert time.monotonic() - begin < 60, "nothing was answered while this cell ran"
    time.sleep(0.05)
"""
    played.page.evaluate(
        """(code) => {
            const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            window.running = kernel.requestExecute({ code, store_history: false }).done;
        }""",
        wait,
    )
    player.get_by_test_id("lookahead").select_option("80")
    assert played.page.evaluate("window.running.then((reply) => reply.content.status)") == "ok"
    assert ready(played, "player")
    player.get_by_test_id("lookahead").select_option("320")
    played.wait(lambda: ready(played, "player") and settings(played, 0)["lookahead_ms"] == 320, "back again")


def test_the_static_form_has_a_picture_and_the_transcript_with_its_times(played: Notebook) -> None:
    final, words = played.kernel("[player.lanes[0]['final'], player.lanes[0]['words']]")
    read = played.page.evaluate(
        """(html) => {
            const page = new DOMParser().parseFromString(html, "text/html");
            const all = (where) => [...page.querySelectorAll(where)];
            return { bars: all("svg rect").length, wave: all("svg path").length,
                said: all("p[dir=auto] bdi").map((word) => word.textContent).join(""),
                rows: all("tbody tr").map((row) => [...row.cells].map((cell) => cell.textContent)) };
        }""",
        played.kernel("player.static_html()"),
    )
    assert read["bars"] == 2 * len(events(played)), "each chunk and its computing"
    assert read["wave"] >= 1
    assert read["said"] == "".join(final.split())
    assert [row[0] for row in read["rows"]] == [word[0] for word in words]
    timed = [(row, word) for row, word in zip(read["rows"], words, strict=True) if word[1] is not None]
    assert all(row[3] == f"{word[3]:.2f} s" for row, word in timed)


def test_the_kernel_restarts_and_what_was_heard_still_plays(played: Notebook, player: Locator) -> None:
    final = played.kernel("player.lanes[0]['final']")
    played.restart()
    expect(player.get_by_text("The kernel was restarted or has stopped.")).to_be_visible()
    expect(player.get_by_test_id("lookahead")).to_be_disabled()
    to_the_end(player)
    expect(player.get_by_test_id("transcript")).to_have_text(" ".join(final.split()) or re.compile(""))
    press(player, *["ArrowLeft"] * 12)
    player.get_by_test_id("player-play").click()
    expect(player.locator(".nwb-player")).to_have_attribute("data-playing", "1")
    player.get_by_test_id("player-play").click()
    played.run_all()
    assert not played.failures(), played.failures()
    fresh = played.panel.get_by_test_id("playback").first
    expect(fresh.locator(".nwb-player")).to_have_attribute("data-ready", "1")
    expect(fresh.get_by_test_id("lookahead")).to_be_enabled()
    played.wait(lambda: ready(played, "player"), "recognition", 600)
    assert played.kernel("player.lanes[0]['final']") == final
