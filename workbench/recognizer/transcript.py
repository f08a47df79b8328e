"""From token numbers to text: words with times, the language tag apart, the end of an utterance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from workbench.recognizer.events import Token, Word

BOUNDARY = "\u2581"  # SentencePiece's mark of a space
_TAG = re.compile(r"^\u2581?<([a-z]{2,3}-[A-Z]{2}|auto)>$")
PAUSE_S = 0.8


class Transcript:
    """Collects the tokens of one session. Greedy transducer decoding only appends, so words before the last
    never change; work per chunk depends on its own tokens, not on the length of the session."""

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
            self.end()
        return tuple(tokens)

    def end(self) -> None:
        """Close the open word: the utterance has ended."""
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
            last = self._word()
            self._words = (*self._closed, last) if last else tuple(self._closed)
        return self._words

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
            return
        if token.text.startswith(BOUNDARY):
            self._close()
        self._open.append(token)
        self._words = self._spelled = None
        self._last_frame = token.frame

    def _word(self) -> Word | None:
        text = self._spell()
        if not text:
            return None
        first, last = self._open[0], self._open[-1]
        confidence = min(token.confidence for token in self._open)
        return Word(text, first.time_s, round((last.frame + 1) * self._frame_s, 3), confidence)

    def _close(self) -> None:
        if word := self._word():
            self._closed.append(word)
            self._final.append(word.word)
            self._text = self._words = None
        self._open, self._spelled = [], ""

    def _spell(self) -> str:
        if self._spelled is None:
            self._spelled = str(self._tokenizer.decode([token.id for token in self._open])).strip()
        return self._spelled
