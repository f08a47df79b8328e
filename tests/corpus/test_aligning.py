"""Transcripts whose words have times, as utterances: every word in order, and doubt where it was not said."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.corpus.aligning import SaidWord, rows_of, utterances


def said(
    text: str, *, pause_after: tuple[int, ...] = (), at: float = 1.0, sure: float = 0.9
) -> list[SaidWord]:
    """Words of 0.4 s, one after the other, 2 s of quiet after some."""
    made = []
    for number, word in enumerate(text.split()):
        made.append(SaidWord(word, at, at + 0.4, sure, lang="en-US", closes=word[-1] in ".?"))
        at += 0.4 + (2.0 if number in pause_after else 0.0)
    return made


def test_sentences_and_pauses_make_utterances() -> None:
    found = utterances(said("Good morning. How are you today my friend? Fine.", pause_after=(4,)), 9.0)
    assert [one.text for one in found] == ["Good morning.", "How are you", "today my friend?", "Fine."]
    assert all(one.confidence == pytest.approx(0.9) for one in found)
    assert found[1].end_s == pytest.approx(3.2)
    assert found[2].start_s == pytest.approx(4.8)


def test_one_word_that_was_not_said_pulls_its_utterance_down() -> None:
    words = said("Good morning my friend")
    words[2] = SaidWord("my", 1.8, 2.2, 0.0)
    assert utterances(words, 9.0)[0].confidence < 0.01
    assert utterances(said("Good morning"), 9.0)[0].confidence == pytest.approx(0.9)


def test_a_long_utterance_is_cut_and_an_empty_one_is_none() -> None:
    text = " ".join(f"word{n}" for n in range(100))
    found = utterances(said(text), 60.0, longest_s=10.0)
    assert all(one.end_s - one.start_s <= 10.5 for one in found)
    assert " ".join(one.text for one in found) == text
    assert utterances([], 3.0) == []


def test_languages_are_kept_and_characters_are_put_together() -> None:
    words = [SaidWord("Ni", 0.0, 0.2, 0.9, lang="es-US"), SaidWord("hao", 0.2, 0.4, 0.9, lang="es-US"),
             SaidWord("你", 0.5, 0.6, 0.9, lang="zh-CN"),
             SaidWord("好。", 0.6, 0.7, 0.9, True, "zh-CN", closes=True)]  # fmt: skip
    [found] = utterances(words, 1.0)
    assert found.text == "Ni hao <es-US> 你好。 <zh-CN>"
    [alone] = utterances(words[2:], 1.0)
    assert (alone.text, alone.lang) == ("你好。", "zh-CN")


def test_rows_keep_what_is_known_and_name_what_is_left_out() -> None:
    row = {"id": "a", "audio_filepath": "a.wav", "offset": 10.0, "duration": 9.0, "target_lang": "en-US",
           "speaker": "ana", "accent": float("nan")}  # fmt: skip
    words = [*said("Good morning."), *said("Never. Said.", at=1.8, sure=0.0)]
    words[3] = SaidWord("Said.", 1.8, 1.88, 0.0, lang="en-US", closes=True)
    rows, problems = rows_of(row, words, longest_s=20.0, silence_s=0.5, least_confidence=0.0)
    assert not problems
    assert len({one["id"] for one in rows}) == 3
    assert rows[0]["offset"] == pytest.approx(10.8)
    assert all(one["speaker"] == "ana" and "accent" not in one for one in rows)
    rows, problems = rows_of(row, words, longest_s=20.0, silence_s=0.5, least_confidence=0.5)
    assert (len(rows), len(problems)) == (1, 2)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["one", "two.", "three?", "four"]), st.floats(0, 3), st.floats(0, 1)),
        min_size=1, max_size=40,
    )
)  # fmt: skip
def test_every_word_stays_and_times_are_in_order(parts: list[tuple[str, float, float]]) -> None:
    at, words = 0.0, []
    for text, pause, sure in parts:
        words.append(SaidWord(text, at + pause, at + pause + 0.3, sure, closes=text[-1] in ".?"))
        at += pause + 0.3
    found = utterances(words, at + 1.0)
    assert " ".join(one.text for one in found).split() == [word.text for word in words]
    begin = 0.0
    for one in found:
        assert begin - 1e-3 <= one.start_s <= one.end_s <= at + 1.001
        assert 0 <= one.confidence <= 1
        begin = one.start_s
