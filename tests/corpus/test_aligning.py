"""Known transcripts laid onto long recordings: every word in order, and doubt where it was not heard."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.corpus.aligning import align


def heard(text: str, *, pause_after: tuple[int, ...] = (), at: float = 1.0) -> list[dict[str, Any]]:
    """Words of 0.4 s, one after the other, 2 s of quiet after some."""
    made = []
    for number, word in enumerate(text.split()):
        made.append({"word": word, "start": at, "end": at + 0.4, "confidence": 0.9})
        at += 0.4 + (2.0 if number in pause_after else 0.0)
    return made


def test_sentences_and_pauses_make_utterances() -> None:
    text = "Good morning. How are you today my friend? Fine."
    found = align(
        text, "en-US", heard("good morning how are you today my friend fine", pause_after=(4,)), 9.0
    )
    assert [one.text for one in found] == ["Good morning.", "How are you", "today my friend?", "Fine."]
    assert all(one.confidence == pytest.approx(0.9) for one in found)
    assert found[1].end_s == pytest.approx(3.2)
    assert found[2].start_s == pytest.approx(4.8)


def test_what_was_not_said_is_in_doubt() -> None:
    text = "Good morning. This was never said at all. Good bye."
    found = align(text, "en-US", heard("good morning good bye"), 5.0)
    assert [one.confidence > 0.5 for one in found] == [True, False, True]
    assert found[1].confidence == 0
    assert found[2].start_s >= 1.6


def test_a_long_utterance_is_cut_and_an_empty_one_is_none() -> None:
    text = " ".join(f"word{n}" for n in range(100))
    found = align(text, "en-US", heard(text), 60.0, longest_s=10.0)
    assert all(one.end_s - one.start_s <= 10.5 for one in found)
    assert " ".join(one.text for one in found) == text
    assert align(" <en-US>", "en-US", heard("a"), 3.0) == []
    assert align("nothing heard", "en-US", [], 3.0)[0].confidence == 0


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["one", "two.", "three?", "four", "five,"]), min_size=1, max_size=40), st.data()
)
def test_every_word_stays_and_times_are_in_order(text: list[str], data: st.DataObject) -> None:
    kept = data.draw(st.lists(st.booleans(), min_size=len(text), max_size=len(text)))
    words = [word for word, keep in zip(heard(" ".join(text)), kept, strict=True) if keep]
    length = 2.0 + 0.4 * len(text)
    found = align(" ".join(text), "en-US", words, length)
    assert " ".join(one.text for one in found).split() == text
    at = 0.0
    for one in found:
        assert at - 1e-3 <= one.start_s <= one.end_s <= length + 1e-3
        assert 0 <= one.confidence <= 1
        at = one.start_s
