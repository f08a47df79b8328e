"""From token numbers to text as they come: words with times, spans of languages, the end of an utterance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from workbench.recognizer.events import LanguageSpan, Token, Word
from workbench.recognizer.words import BOUNDARY, words_of

__all__ = ["BOUNDARY", "PAUSE_S", "Transcript", "main_language"]

_TAG = re.compile(r"^\u2581?<([a-z]{2,3}-[A-Z]{2}|auto)>$")
PAUSE_S = 0.8


class Transcript:
    """Collects the tokens of one session. Greedy transducer decoding only appends, so words before the last
    never change; work per chunk depends on its own tokens, not on the length of the session.

    The text is the same whatever the chunks were: a pause is reported, and closes no word.
    """

    def __init__(self, tokenizer: Any, frame_s: float, pause_s: float = PAUSE_S) -> None:
        self._tokenizer, self._frame_s, self._pause_frames = tokenizer, frame_s, round(pause_s / frame_s)
        self._closed: list[Word] = []
        self._open: list[Token] = []
        self._final: list[str] = []
        self._last_frame: int | None = None
        self._words: tuple[Word, ...] | None = None
        self._text: str | None = ""
        self._spelled: str | None = ""
        self._pieces: dict[int, tuple[str, str | None]] = {}
        self._spans: list[LanguageSpan] = []
        self.detected_lang: str | None = None
        self.end_of_utterance = False

    def add(
        self, ids: Sequence[int], frames: Sequence[int], confidences: Sequence[float], upto: int
    ) -> tuple[Token, ...]:
        """Take the tokens of one chunk; ``upto`` is the number of encoder frames decoded so far."""
        self.end_of_utterance = False
        tokens = []
        for number, frame, confidence in zip(ids, frames, confidences, strict=True):
            piece, tag = self._pieces.get(number) or self._piece(number)
            token = Token(piece, frame, round(frame * self._frame_s, 3), round(confidence, 4), number)
            tokens.append(token)
            self._take(token, tag)
        if self._last_frame is not None and upto - 1 - self._last_frame >= self._pause_frames:
            self._last_frame, self.end_of_utterance = None, True
        return tuple(tokens)

    def end(self) -> None:
        """Close the open word: nothing more will come."""
        self._close()
        self._last_frame = None
        self.end_of_utterance = True

    @property
    def final(self) -> str:
        if self._text is None:
            self._text = " ".join(self._final)
            self._final = [self._text]
        return self._text

    @property
    def partial(self) -> str:
        return self._spell()

    @property
    def words(self) -> tuple[Word, ...]:
        if self._words is None:
            self._words = (*self._closed, *words_of(self._spell(), self._open, self._frame_s))
        return self._words

    @property
    def final_words(self) -> int:
        """How many of the words cannot change any more."""
        return len(self._closed)

    @property
    def spans(self) -> tuple[LanguageSpan, ...]:
        """Runs of words by language, in order; words behind the last tag make a span without one."""
        begin = self._spans[-1].end_word if self._spans else 0
        rest = _span(None, self.words, begin)
        return (*self._spans, rest) if rest else tuple(self._spans)

    @property
    def main_lang(self) -> str | None:
        """The language of most words; where no tagged span has any, the last tag."""
        return main_language(self.spans) or self.detected_lang

    def _piece(self, number: int) -> tuple[str, str | None]:
        """A token's text, and its language where it is a tag; kept, since a session repeats few pieces."""
        text = str(self._tokenizer.id_to_piece(number))
        found = _TAG.match(text)
        self._pieces[number] = text, found[1] if found else None
        return self._pieces[number]

    def _take(self, token: Token, tag: str | None) -> None:
        if tag:
            self.detected_lang = tag
            self.end()
            begin = self._spans[-1].end_word if self._spans else 0
            if span := _span(tag, self._closed, begin):
                self._spans.append(span)
            return
        if token.text.startswith(BOUNDARY):
            self._close()
        self._open.append(token)
        self._words = self._spelled = None
        self._last_frame = token.frame

    def _close(self) -> None:
        if text := self._spell():
            self._closed += words_of(text, self._open, self._frame_s)
            self._final.append(text)
            self._text = self._words = None
        self._open, self._spelled = [], ""

    def _spell(self) -> str:
        if self._spelled is None:
            self._spelled = str(self._tokenizer.decode([token.id for token in self._open])).strip()
        return self._spelled


def main_language(spans: Sequence[LanguageSpan]) -> str | None:
    """The tag of most words, the earlier one where two have as many; None where no span has a tag."""
    counts: dict[str, int] = {}
    for span in spans:
        if span.lang is not None:
            counts[span.lang] = counts.get(span.lang, 0) + span.end_word - span.start_word
    return max(counts, key=counts.__getitem__) if counts else None


def _span(lang: str | None, words: Sequence[Word], begin: int) -> LanguageSpan | None:
    if begin >= len(words):
        return None
    return LanguageSpan(lang, begin, len(words), words[begin].start_s, words[-1].end_s)
