"""One rule from tokens to words, for sessions, pools, transcriptions and every runtime.

A word begins at a token that opens with SentencePiece's mark of a space, or behind a language tag; nothing
else closes it, no pause and no chunk. Its times are those of what is spoken in it: its last letter's token,
not the full stop that the model emits after the pause. Scripts written without spaces, and Korean, are
timed by character, as they are scored.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from workbench.recognizer.events import Token, Word

BOUNDARY = "\u2581"
"""SentencePiece's mark of a space."""

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]"
)
"""Thai, Lao, Burmese, Khmer, kana, Han and Hangul."""


def is_spoken(piece: str) -> bool:
    """Whether a token's text holds anything that is said: a letter, a mark on one, a digit or a symbol."""
    return any(unicodedata.category(c)[0] in "LMNS" for c in piece.replace(BOUNDARY, ""))


def words_of(text: str, tokens: Sequence[Token], frame_s: float) -> list[Word]:
    """The word, or the characters, that one run of tokens spells.

    Args:
        text: what the tokenizer decodes the run to; "" gives no word.
        tokens: without boundary between them but before the first.
        frame_s: seconds of one encoder frame.
    """
    if not text:
        return []
    if _UNSPACED.search(text) is None:
        return [_timed(text, tokens, frame_s, glued=False)]
    owners = [token for token in tokens for _ in token.text.replace(BOUNDARY, "")]
    if "".join(token.text for token in tokens).replace(BOUNDARY, "") != text:
        # The tokenizer writes something else than its pieces: the run is timed as a whole.
        return [_timed(text, tokens, frame_s, glued=False)]
    found = []
    for start, end in unit_bounds(text):
        held = list(dict.fromkeys(owners[start:end]))
        found.append(_timed(text[start:end], held, frame_s, glued=start > 0))
    return found


def unit_bounds(text: str) -> list[tuple[int, int]]:
    """Where each timed unit begins and ends: a character with its marks, or a run of the rest."""
    cuts, last = [0], ""
    for at, character in enumerate(text):
        category = unicodedata.category(character)
        opens = category in ("Ps", "Pi")
        apart = opens or _UNSPACED.match(character) or (last and _UNSPACED.match(last))
        if last and apart and (opens or category[0] not in "MPS"):
            cuts.append(at)
            last = ""
        if is_spoken(character) and category[0] != "M":
            last = character
    return list(zip(cuts, [*cuts[1:], len(text)], strict=True))


def _timed(text: str, tokens: Sequence[Token], frame_s: float, *, glued: bool) -> Word:
    spoken = [token for token in tokens if is_spoken(token.text)] or tokens
    return Word(
        text,
        spoken[0].time_s,
        round((spoken[-1].frame + 1) * frame_s, 3),
        min(token.confidence for token in spoken),
        glued,
    )


def written_units(text: str) -> list[str]:
    """A text as :func:`words_of` cuts it: at spaces, and by character where the script has none."""
    found: list[str] = []
    for word in text.split():
        bounds = unit_bounds(word) if _UNSPACED.search(word) else [(0, len(word))]
        found += [word[start:end] for start, end in bounds]
    return found


def spaced(words: Sequence[Word]) -> list[Word]:
    """Words between spaces: characters that were timed one by one are put together again."""
    found: list[Word] = []
    for word in words:
        if not (word.glued and found):
            found.append(word)
            continue
        last = found[-1]
        sure = min(last.confidence, word.confidence)
        found[-1] = Word(last.word + word.word, last.start_s, word.end_s, sure, last.glued)
    return found


class WordClock:
    """When each word came: the moment of the last change of its letters. A full stop is not waited for.

    Words that cannot change any more are not looked at again.
    """

    def __init__(self) -> None:
        self._came: list[tuple[str, float]] = []
        self._settled = 0

    def hear(self, words: Sequence[Word], final_words: int, at_s: float) -> None:
        """Take the words of an event that came at ``at_s``; ``final_words`` of them cannot change."""
        for place in range(self._settled, len(words)):
            letters = "".join(c for c in words[place].word if is_spoken(c))
            if place == len(self._came):
                self._came.append((letters, at_s))
            elif self._came[place][0] != letters:
                self._came[place] = letters, at_s
        self._settled = final_words

    def late_s(self, words: Sequence[Word]) -> list[float]:
        """Seconds from the end of each word in the audio to its coming, for the words of the last event."""
        return [at_s - word.end_s for word, (_, at_s) in zip(words, self._came, strict=False)]


def joined(words: Sequence[Word]) -> str:
    """The text that words spell: a space before each but those glued to the word before."""
    return "".join(f"{'' if word.glued or not at else ' '}{word.word}" for at, word in enumerate(words))
