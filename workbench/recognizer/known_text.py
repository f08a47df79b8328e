"""A known transcript in the parts that are timed, and those of them that a transcription has recognized."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rapidfuzz.distance import Levenshtein

from workbench.language_tags import split_spans
from workbench.recognizer.words import written_units
from workbench.text import normalize

FINAL = ".?!…。？！؟।"
_CLOSING = "\"'»”’)」』"
SURE_PARTS, SURE_LETTERS = 3, 10
"""A run of so many equal parts, of so many letters, makes anchors; a part counts as two letters at least."""


@dataclass(frozen=True, slots=True)
class Part:
    """A word, or a character of a script without spaces, with its punctuation.

    Attributes:
        text: without tags.
        glued: no space stands before it.
        lang: the language that its tag, or the row, states; None where neither does.
        closes: a sentence ends with it, or what a tag closes.
    """

    text: str
    glued: bool = False
    lang: str | None = None
    closes: bool = False


@dataclass(frozen=True, slots=True)
class Anchor:
    """A part of the text, by its number, and about when it is said, in seconds of the recording."""

    part: int
    start_s: float
    end_s: float


def parts_of(text: str, locale: str | None) -> list[Part]:
    """The parts of a transcript, in order, each in the language of the tag behind it; else in ``locale``."""
    found: list[Part] = []
    for run, tag in split_spans(text):
        lang = tag or locale
        first = len(found)
        for word in run.split():
            for place, unit in enumerate(written_units(word)):
                found.append(Part(unit, place > 0, lang, ends_sentence(unit)))
        if len(found) > first:
            found[-1] = Part(found[-1].text, found[-1].glued, lang, True)
    return found


def ends_sentence(text: str) -> bool:
    """Whether a word ends in a final mark, within quotes or not."""
    return text.rstrip(_CLOSING).endswith(tuple(FINAL))


def anchors_of(parts: Sequence[Part], locale: str | None, words: Sequence[Mapping[str, Any]]) -> list[Anchor]:
    """Parts that were recognized in runs long enough not to be equal by chance.

    Args:
        words: what was recognized: ``word``, ``start`` and ``end`` in seconds.
    """
    wanted = [normalize(part.text, locale) for part in parts]
    heard = [normalize(str(word["word"]), locale) for word in words]
    found: list[Anchor] = []
    for run in Levenshtein.opcodes(wanted, heard):
        if run.tag != "equal":
            continue
        length = run.src_end - run.src_start
        letters = sum(max(2, len(one)) for one in wanted[run.src_start : run.src_end] if one)
        if length < SURE_PARTS or letters < SURE_LETTERS:
            continue
        for part, word in zip(range(run.src_start, run.src_end), words[run.dest_start :], strict=False):
            found.append(Anchor(part, float(word["start"]), float(word["end"])))
    return found
