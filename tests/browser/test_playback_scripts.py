"""Scripts in the player: right to left, Greek, and text that would be markup."""

from __future__ import annotations

import re

import pytest
from labpage import Lab, Notebook
from looks import CONTRAST, NAMELESS
from playback_page import to_the_end
from playwright.sync_api import Locator, expect

pytestmark = pytest.mark.model
HEBREW = "שלום, הרכבת יוצאת בשעה 17:45."
RIGHT_TO_LEFT = f"""
from workbench.recognizer.events import StreamEvent, Word
from workbench.plain_values import plain
from workbench.widgets.playback_lane import lane_data
said, made, words = {HEBREW!r}.split(), [], []
for n, word in enumerate(said):
    words.append(Word(word, n * 0.5, n * 0.5 + 0.4, 0.9))
    at, tag = n * 0.56, "he-IL" if n > 2 else None
    made.append(StreamEvent(n, at, at + 0.56, 0.02, at + 0.58, " ".join(said[: n + 1]), "", (), tuple(words),
                            tag, 0, n == len(said) - 1))
lane = lane_data(made, "he-IL", "שלום הרכבת יצאה בשעה 17:45.")
other.lanes = [{{**other.lanes[0], **plain(lane)}}]
"""
UNSPACED = """
from workbench.recognizer.events import StreamEvent, Word
from workbench.plain_values import plain
from workbench.widgets.playback_lane import lane_data
said = ["天", "気", "い", "い。"]
words = tuple(Word(c, n * 0.5, n * 0.5 + 0.4, 0.9, n > 0) for n, c in enumerate(said))
made = [StreamEvent(n, n * 0.56, n * 0.56 + 0.56, 0.02, n * 0.56 + 0.58, "".join(said[: n + 1]), "", (),
                    words[: n + 1], "ja-JP", 0, n == 3) for n in range(4)]
other.lanes = [{**other.lanes[0], **plain(lane_data(made, "ja-JP", "天気よい。"))}]
"""
# Where the last letter of a word stands beside the first.
LAST_LETTER = """(el) => {
    const text = document.createTreeWalker(el, NodeFilter.SHOW_TEXT).nextNode();
    const at = (start) => {
        const range = document.createRange();
        range.setStart(text, start);
        range.setEnd(text, start + 1);
        return range.getBoundingClientRect().left;
    };
    return at(text.length - 1) < at(0) ? "left" : "right";
}"""
# The same for the last word of an exported page, in its line and in its table.
STATIC_LAST = f"""(html) => {{
    const box = document.createElement("div");
    box.innerHTML = html;
    document.body.append(box);
    box.querySelector("details").open = true;
    const last = "p span[dir=rtl] bdi:last-child, tr:last-child td:first-child bdi";
    const found = [...box.querySelectorAll(last)];
    const sides = found.map({LAST_LETTER});
    box.remove();
    return sides;
}}"""


def test_two_players_keep_apart_and_hostile_right_to_left_text_stays_text(
    played: Notebook, player: Locator
) -> None:
    second = played.panel.get_by_test_id("playback").nth(1)
    assert second.get_by_test_id("lookahead").input_value() == "1120"
    assert player.get_by_test_id("lookahead").input_value() == "320"
    expect(second.locator(".nwb-pair-ref", has_text=re.compile("^<img$"))).to_have_count(1)
    assert second.locator("img").count() == 0
    assert not played.page.evaluate("window.hacked")
    hebrew = second.locator(".nwb-pair-ref", has_text="שלום")
    assert hebrew.evaluate("el => getComputedStyle(el).unicodeBidi") == "isolate"
    exported = played.kernel("other.static_html()")
    assert "<img" not in exported
    assert "&lt;img" in exported


def test_right_to_left_words_stand_in_their_order(played: Notebook, lab: Lab, picture) -> None:
    """A made-up Hebrew reading of a real recording (no checkpoint here reads Hebrew): order, numbers, tag."""
    second = played.panel.get_by_test_id("playback").nth(1)
    played.kernel("len(other.lanes[0]['words'])", RIGHT_TO_LEFT)
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
    assert 'dir="rtl"' in played.kernel("other.static_html()")
    # The full stop behind the time stands at its left, above and below in the pairs as in the line.
    time = words.last
    assert time.evaluate(LAST_LETTER) == "left"
    assert second.locator(".nwb-pair-hyp").last.evaluate(LAST_LETTER) == "left"
    assert second.locator(".nwb-pair-ref").last.evaluate(LAST_LETTER) == "left"
    assert played.page.evaluate(STATIC_LAST, played.kernel("other.static_html()")) == ["left", "left"]
    picture("playback-rtl-light", second)
    lab.theme("dark")
    picture("playback-rtl-dark", second)
    assert second.evaluate(CONTRAST) == []
    lab.theme("light")


def test_a_script_without_spaces_is_marked_by_character(played: Notebook) -> None:
    """A made-up Japanese reading: each character is a word with its own times, and no gap before it."""
    second = played.panel.get_by_test_id("playback").nth(1)
    played.kernel("len(other.lanes[0]['words'])", UNSPACED)
    to_the_end(second)
    words = second.get_by_test_id("transcript").locator("[data-word]")
    expect(words).to_have_count(4)
    assert words.all_text_contents() == ["天", "気", "い", "い。"]
    expect(second.get_by_test_id("transcript")).to_have_text("天気いい。")
    assert words.nth(1).get_attribute("title").startswith("気: spoken 0.50–0.90 s")
    assert second.locator(".nwb-pair-hyp").all_text_contents() == ["天", "気", "い", "い。"]


def test_greek_reads_as_it_is_written(played: Notebook, lab: Lab, picture) -> None:
    third = played.panel.get_by_test_id("playback").nth(2)
    third.scroll_into_view_if_needed()
    expect(third.locator(".nwb-player")).to_have_attribute("data-ready", "1")
    to_the_end(third)
    said, reference = played.kernel("[greek.lanes[0]['final'].split(), greek_row['text'].split()]")
    words = third.get_by_test_id("transcript").locator("[data-word]")
    expect(words).to_have_count(len(said))
    assert words.all_text_contents() == said
    expect(third.get_by_test_id("transcript")).to_have_attribute("dir", "ltr")
    above = third.locator(".nwb-pair-ref").all_text_contents()
    assert [word for word in above if word != "∅"] == reference
    assert third.evaluate(NAMELESS) == []
    picture("playback-greek-light", third)
    assert third.evaluate(CONTRAST) == []
    lab.theme("dark")
    picture("playback-greek-dark", third)
    assert third.evaluate(CONTRAST) == []
    lab.theme("light")
