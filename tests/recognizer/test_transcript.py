"""Tokens to text, without a model: words, tags, pauses."""

from __future__ import annotations

from workbench.recognizer.transcript import BOUNDARY, Transcript

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


def test_a_pause_ends_an_utterance_once():
    t = Transcript(Tokenizer(), 0.08, pause_s=0.8)
    add(t, (0, 0), (1, 1), upto=10)
    assert not t.end_of_utterance
    assert t.partial == "Hello"
    add(t, upto=12)
    assert t.end_of_utterance
    assert (t.final, t.partial) == ("Hello", "")
    add(t, upto=30)
    assert not t.end_of_utterance
