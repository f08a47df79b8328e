"""New words in the voices of real people: letters cut out of a voice's own clips and set in a new order.

Alignments say when each letter of a clip is spoken. A word that a voice never said is put together from the
longest runs of letters that the voice did say, preferably after the same letter, so that vowels keep what
their neighbors did to them (unit selection, in log-mel frames). For training only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tooling.starter.alignment import Alignment
from tooling.starter.batches import Span
from tooling.starter.emissions import spelling
from tooling.starter.made import texts

LONGEST_RUN = 6
CLOSE, BREATH = 6, 5  # log-mel frames: neighbors that touch; what is kept around a run at a pause
RUNS_A_LETTER = 0.6  # of a phrase at most: more pieces sound like nothing
RARE_VOICE = 150  # clips; a voice with fewer has too few runs


@dataclass(frozen=True, slots=True)
class _Clip:
    """First frame and the one past the last of each letter of a spelling, -1: not spoken."""

    spelled: str
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    frames: int


class Composer:
    """Composes phrases for every voice of ``rows`` that has clips enough.

    Args:
        rows: real clips, in the order of ``alignment``.
        alignment: when their letters are spoken.
        said: phrases are drawn from the words of a language; voices of others are left alone.
    """

    def __init__(
        self, rows: Sequence[dict[str, Any]], alignment: Alignment, said: dict[str, texts.Material]
    ) -> None:
        self.said = said
        self.weights = {k: texts.rank_weights(len(v.words)) for k, v in said.items()}
        counts: dict[str, int] = defaultdict(int)
        for row in rows:
            counts[row["source"]] += 1
        self.language: dict[str, str] = {}
        self.clips: dict[int, _Clip] = {}
        self.runs: dict[str, dict[str, list[tuple[int, int]]]] = {}
        for index, row in enumerate(rows):
            language = row["target_lang"].split("-")[0]
            if counts[row["source"]] < RARE_VOICE or language not in said or row.get("made"):
                continue
            self.language[row["source"]] = language
            self.clips[index] = _clip(row["text"], alignment.own(index))
            self._index(self.runs.setdefault(row["source"], defaultdict(list)), index)

    def _index(self, runs: dict[str, list[tuple[int, int]]], index: int) -> None:
        """Every run of letters under its own name and under the name with what comes before it."""
        clip = self.clips[index]
        spoken = [first >= 0 for first in clip.first]
        for at in range(len(clip.spelled)):
            before = clip.spelled[at - 1] if at else " "
            for end in range(at + 1, min(at + LONGEST_RUN, len(clip.spelled)) + 1):
                if spoken[at] and spoken[end - 1]:  # a space between words is not spoken
                    run = clip.spelled[at:end]
                    runs[run].append((index, at))
                    runs[f"{before}|{run}"].append((index, at))

    def phrase(self, voice: str, rng: np.random.Generator) -> list[Span]:
        """Spans of one to five common words that fall into the train split, said by ``voice``; none where
        the voice has no runs for them or is left alone."""
        if voice not in self.runs:
            return []
        language = self.language[voice]
        for _ in range(8):
            text = texts.phrase(self.said[language], self.weights[language], rng)
            if texts.allowed(text):
                spans = self.spell(voice, spelling(text), rng)
                if spans:
                    return spans
        return []

    def spell(self, voice: str, spelled: str, rng: np.random.Generator) -> list[Span]:
        """Spans that say ``spelled`` (lower case, single spaces); none where that takes too many pieces."""
        spans: list[Span] = []
        at = 0
        while at < len(spelled):
            if spelled[at] == " ":
                at += 1
                continue
            before = spelled[at - 1] if at else " "
            places, size = self._longest(self.runs[voice], spelled, at, before)
            if not size:
                return []
            index, place = places[int(rng.integers(len(places)))]
            spans.append(self._span(index, place, size, glued=before != " "))
            at += size
        return spans if len(spans) <= max(2, RUNS_A_LETTER * len(spelled)) else []

    @staticmethod
    def _longest(
        runs: dict[str, list[tuple[int, int]]], spelled: str, at: int, before: str
    ) -> tuple[list[tuple[int, int]], int]:
        """Places of the longest run from ``at`` that follows ``before``, else of the longest at all."""
        for size in range(min(LONGEST_RUN, len(spelled) - at), 0, -1):
            run = spelled[at : at + size]
            for name in (f"{before}|{run}", run):
                if name in runs:
                    return runs[name], size
        return [], 0

    def _span(self, index: int, place: int, size: int, *, glued: bool) -> Span:
        """Frames of ``size`` letters from ``place``, from the end of the one before or a breath earlier."""
        clip = self.clips[index]
        first, last = int(clip.first[place]), int(clip.last[place + size - 1])
        earlier = clip.last[:place].max(initial=-1)
        first = int(earlier) if earlier >= 0 and first - earlier <= CLOSE else max(0, first - BREATH)
        later = clip.first[place + size :]
        following = int(later[later >= last].min(initial=clip.frames))
        last = following if following - last <= CLOSE else min(last + BREATH, clip.frames)
        return Span(index, first, max(last, first + 1), clip.spelled[place : place + size], glued)


def _clip(text: str, spoken: npt.NDArray[np.int16]) -> _Clip:
    """The clip's letters with their frames."""
    spelled = spelling(text)
    first, last = (np.full(len(spelled), -1, np.int64) for _ in range(2))
    for place in range(len(spelled)):
        at = np.flatnonzero(spoken == place)
        if len(at):
            first[place], last[place] = at[0], at[-1] + 1
    return _Clip(spelled, first, last, len(spoken))
