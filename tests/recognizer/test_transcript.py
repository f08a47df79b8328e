"""Tokens to text, without a model: words, tags, pauses."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.recognizer.events import Token, Word
from workbench.recognizer.transcript import BOUNDARY, Transcript
from workbench.recognizer.words import WordClock, joined, spaced, words_of, written_units

PIECES = [f"{BOUNDARY}Hel", "lo", f"{BOUNDARY}you", ".", "<el-GR>", f"{BOUNDARY}<en-US>", BOUNDARY, "<b>"]


class Tokenizer:
    """Pieces joined as SentencePiece joins them."""

    def id_to_piece(self, number: int) -> str:
        return PIECES[number]

    def decode(self, numbers: list[int]) -> str:
        return "".join(PIECES[n] for n in numbers).replace(BOUNDARY, " ").strip()


def add(transcript: Transcript, *pairs: tuple[int, int], upto: int = 0) -> None:
    numbers, frames = zip(*pairs, strict=True) if pairs else ((), ())
    transcript.add(numbers, frames, [0.9 - 0.1 * i for i in range(len(numbers))], upto)


def test_the_last_word_is_partial_until_it_cannot_grow():
    t = Transcript(Tokenizer(), 0.08)
    add(t, (0, 3), upto=4)
    assert (t.final, t.partial) == ("", "Hel")
    add(t, (1, 5), (2, 7), upto=8)
    assert (t.final, t.partial) == ("Hello", "you")
    first, last = t.words
    assert (first.word, first.start_s, first.end_s, first.confidence) == ("Hello", 0.24, 0.48, 0.9)
    assert last.word == "you"
    add(t, (3, 9), (4, 9), upto=10)
    assert (t.final, t.partial, t.detected_lang) == ("Hello you.", "", "el-GR")
    assert t.end_of_utterance


def test_a_word_is_as_sure_as_its_least_sure_token():
    t = Transcript(Tokenizer(), 0.08)
    add(t, (0, 0), (1, 1), upto=2)
    assert t.words[0].confidence == 0.8


def test_tags_are_kept_apart_wherever_they_stand():
    t = Transcript(Tokenizer(), 0.08)
    add(t, (5, 0), (0, 1), (1, 2), (6, 3), (4, 3), (2, 5), upto=6)
    t.end()
    assert (t.final, t.detected_lang) == ("Hello you", "el-GR")


def test_what_looks_like_markup_stays_text():
    t = Transcript(Tokenizer(), 0.08)
    add(t, (0, 0), (7, 1), upto=2)
    t.end()
    assert (t.final, t.detected_lang) == ("Hel<b>", None)


def test_a_pause_is_reported_once_and_closes_no_word():
    t = Transcript(Tokenizer(), 0.08, pause_s=0.8)
    add(t, (0, 0), upto=10)
    assert not t.end_of_utterance
    add(t, upto=12)
    assert t.end_of_utterance
    assert (t.final, t.partial) == ("", "Hel")
    add(t, (1, 40), (3, 60), upto=61)
    assert (t.final, t.partial) == ("", "Hello.")
    add(t, upto=80)
    assert t.end_of_utterance
    add(t, upto=99)
    assert not t.end_of_utterance


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(PIECES) - 1), st.integers(0, 30)), max_size=30),
    st.lists(st.integers(0, 30), max_size=6),
)
def test_chunks_and_pauses_never_change_text_words_or_spans(steps, cuts):
    """The same tokens in one piece and in any chunks, with any silence between them."""
    numbers, frame = [], 0
    for number, gap in steps:
        frame += gap
        numbers.append((number, frame))
    whole = Transcript(Tokenizer(), 0.08)
    add(whole, *numbers)
    whole.end()
    live, places = (
        Transcript(Tokenizer(), 0.08),
        sorted({0, len(numbers), *(min(c, len(numbers)) for c in cuts)}),
    )
    for begin, end in itertools.pairwise(places):
        ids, frames = zip(*numbers[begin:end], strict=True)
        live.add(ids, frames, [0.9 - 0.1 * i for i in range(begin, end)], frames[-1] + 1)
        live.add((), (), (), frames[-1] + 20)
        assert " ".join(p for p in (live.final, live.partial) if p) == joined(live.words).strip()
    live.end()
    assert (live.final, live.detected_lang, live.main_lang) == (
        whole.final,
        whole.detected_lang,
        whole.main_lang,
    )
    assert [(w.word, w.start_s, w.end_s) for w in live.words] == [
        (w.word, w.start_s, w.end_s) for w in whole.words
    ]
    assert live.spans == whole.spans


def test_a_word_ends_with_its_last_letter_not_with_its_mark():
    t = Transcript(Tokenizer(), 0.08)
    add(t, (0, 0), (1, 2), (3, 30), upto=31)
    [word] = t.words
    assert (word.word, word.end_s, word.confidence) == ("Hello.", 0.24, 0.8)


def test_spans_of_languages_and_the_language_of_most_words():
    t = Transcript(Tokenizer(), 0.08)
    add(t, (0, 0), (1, 1), (2, 2), (4, 3), (2, 9), (5, 10), (0, 20), upto=21)
    t.end()
    assert [(s.lang, s.start_word, s.end_word) for s in t.spans] == [
        ("el-GR", 0, 2),
        ("en-US", 2, 3),
        (None, 3, 4),
    ]
    assert (t.spans[1].start_s, t.spans[1].end_s) == (0.72, 0.8)
    assert (t.detected_lang, t.main_lang) == ("en-US", "el-GR")


TEXTS = ["你好，世界。", "สวัสดี", "안녕 하세요", "iPhone's好", "「你」ok", "héllo don't", "かんが", "3月4日"]
UNITS = [
    ["你", "好，", "世", "界。"], ["ส", "วั", "ส", "ดี"], ["안", "녕", "하", "세", "요"], ["iPhone's", "好"],
    ["「你」", "ok"], ["héllo", "don't"], ["か", "ん", "が"], ["3", "月", "4", "日"],
]  # fmt: skip


@pytest.mark.parametrize(("text", "units"), zip(TEXTS, UNITS, strict=True))
def test_scripts_without_spaces_are_timed_by_character(text, units):
    assert written_units(text) == units
    frame, words = 0, []
    for run in text.split():
        tokens = [Token(c, frame + i, round((frame + i) * 0.08, 3), 0.9) for i, c in enumerate(run)]
        frame += len(run)
        words += words_of(run, tokens, 0.08)
    assert [word.word for word in words] == units
    assert joined(words) == text
    assert [word.word for word in spaced(words)] == text.split()
    assert all(a.end_s <= b.start_s + 1e-9 for a, b in itertools.pairwise(words))


def test_the_clock_keeps_the_last_change_of_a_words_letters():
    clock = WordClock()
    clock.hear([Word("Hel", 0.0, 0.08, 0.9)], 0, 0.1)
    clock.hear([Word("Hello", 0.0, 0.16, 0.9)], 0, 0.3)
    clock.hear([Word("Hello.", 0.0, 0.16, 0.9), Word("you", 0.5, 0.6, 0.9)], 1, 0.9)
    last = [Word("Hello.", 0.0, 0.16, 0.9), Word("yours", 0.5, 0.7, 0.9)]
    clock.hear(last, 2, 1.0)
    assert clock.late_s(last) == pytest.approx([0.14, 0.3])
