"""A known transcript whose words have times, as utterances: rows with times and a confidence each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.corpus import record
from workbench.errors import Problem, WorkbenchError
from workbench.ingest.audio import CHANNEL_COLUMNS
from workbench.language_tags import with_tags
from workbench.reading import read_parquet
from workbench.times import parse_utc

if TYPE_CHECKING:
    from workbench.corpus.query.table import Corpus

_KEPT = ("audio_filepath", "target_lang", "accent", "speaker", "domain", "source", "license", "consent",
         "recorded_at", *CHANNEL_COLUMNS)  # fmt: skip
_LEAST = 1e-9
"""Confidence below which a word is as good as never said: the geometric mean needs a bound."""


@dataclass(frozen=True, slots=True)
class SaidWord:
    """A word of a transcript, or a character of a script without spaces, and when it is said.

    Attributes:
        start_s, end_s: in seconds of the recording. confidence: that it is said there, 0 to 1.
        glued: no space stands before it. lang: its language; None where nothing states one.
        closes: a sentence ends with it.
    """

    text: str
    start_s: float
    end_s: float
    confidence: float
    glued: bool = False
    lang: str | None = None
    closes: bool = False


@dataclass(frozen=True, slots=True)
class Utterance:
    """A part of a transcript and when it is said, in seconds of the recording.

    Attributes:
        text: with a tag at the end of each run where there are several languages.
        confidence: geometric mean over its words, 0 to 1. lang: of most words.
    """

    text: str
    start_s: float
    end_s: float
    confidence: float
    lang: str | None = None


def check_limits(longest_s: float, silence_s: float, least_confidence: float) -> None:
    """Refuse limits of utterances that cannot hold.

    Raises:
        WorkbenchError: not numbers, or out of bounds.
    """
    bounds = {
        "longest_s": (longest_s, 0.5, 600.0), "silence_s": (silence_s, 0.0, 60.0),
        "least_confidence": (least_confidence, 0.0, 1.0),
    }  # fmt: skip
    for name, (value, low, high) in bounds.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise WorkbenchError(
                f"{name} is {str(value)[:40]!r}", hint=f"Give a number from {low:g} to {high:g}."
            )


def utterances(
    words: Sequence[SaidWord],
    length_s: float,
    *,
    longest_s: float = 20.0,
    silence_s: float = 0.5,
    padding_s: float = 0.2,
) -> list[Utterance]:
    """The utterances of a transcript, in order; together they hold every word of it.

    Args:
        words: of the transcript, in order and in time.
        length_s: of the recording.
        longest_s: of an utterance, where there is a place to cut. silence_s: a pause that ends one.
        padding_s: kept before and after, at most half of the pause.
    """
    groups: list[list[SaidWord]] = []
    for word in words:
        if not groups or _cut(groups[-1], word, longest_s, silence_s):
            groups.append([])
        groups[-1].append(word)
    made = []
    for at, group in enumerate(groups):
        before = groups[at - 1][-1].end_s if at else 0.0
        after = groups[at + 1][0].start_s if at + 1 < len(groups) else length_s
        start, end = group[0].start_s, group[-1].end_s
        start -= min(padding_s, max(0.0, start - before) / 2)
        end += min(padding_s, max(0.0, after - end) / 2)
        sure = math.exp(sum(math.log(max(_LEAST, word.confidence)) for word in group) / len(group))
        text, lang = _written(group)
        made.append(Utterance(text, round(start, 3), round(min(end, length_s), 3), round(sure, 4), lang))
    return made


def rows_of(
    row: Mapping[str, Any],
    words: Sequence[SaidWord],
    *,
    longest_s: float,
    silence_s: float,
    least_confidence: float,
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Rows of the utterances in a long recording, and those left out.

    Args:
        row: with ``id``, ``offset``, ``duration`` and the rest that utterances keep.
        words: of its transcript.
        longest_s, silence_s: as :func:`utterances`. least_confidence: utterances of less are left out.
    """
    id = str(row["id"])
    kept = {name: row[name] for name in _KEPT if row.get(name) is not None and row[name] == row[name]}
    found, problems, places = [], [], set[str]()
    for one in utterances(words, row["duration"], longest_s=longest_s, silence_s=silence_s):
        place = f"{id}-{round(1000 * one.start_s):09d}"
        while place in places:  # what was never said may begin where the next does
            place += "+"
        places.add(place)
        if one.confidence < least_confidence or one.end_s <= one.start_s:
            problems.append(Problem(place, f"aligned with confidence {one.confidence:.2f} only", "Listen."))
            continue
        times = {
            "offset": round(float(row.get("offset") or 0.0) + one.start_s, 4),
            "duration": round(one.end_s - one.start_s, 4),
        }
        lang = {} if one.lang is None else {"target_lang": one.lang}
        own = {"id": place, "text": one.text, "recording": id, "alignment_confidence": one.confidence}
        found.append({**kept, **lang, **times, **own})
    return found, problems


def _cut(group: Sequence[SaidWord], word: SaidWord, longest_s: float, silence_s: float) -> bool:
    """Whether an utterance ends before a word."""
    last = group[-1]
    pause, lasts = word.start_s - last.end_s, word.end_s - group[0].start_s
    return last.closes or pause >= silence_s or lasts > longest_s


def _written(group: Sequence[SaidWord]) -> tuple[str, str | None]:
    """An utterance's text, tags in it where there are several languages, and the language of most words."""
    runs: list[tuple[str, str | None]] = []
    counts: dict[str | None, int] = {}
    for word in group:
        counts[word.lang] = counts.get(word.lang, 0) + 1
        if runs and runs[-1][1] == word.lang:
            runs[-1] = runs[-1][0] + ("" if word.glued else " ") + word.text, word.lang
        else:
            runs.append((word.text, word.lang))
    return with_tags(runs) if len(runs) > 1 else runs[0][0], max(counts, key=lambda lang: counts[lang])


def offsets_at(corpus: Corpus, at_s: float) -> dict[str, float]:
    """Where the clips whose start was moved after a time began then, in seconds of their recordings, by id.

    Args:
        at_s: the time, in seconds since 1970, as files have it.
    """
    since = datetime.fromtimestamp(at_s, UTC)
    moves = [
        (event, (parse_utc(event.at) or since) > since)
        for event in corpus.decisions.events()
        if event.field == "offset" and event.stands
    ]
    if not any(later for _, later in moves):
        return {}
    table = read_parquet(corpus.folder / record.ROWS, "rows of the corpus", ["id", "offset"])
    first = dict(zip(*table.to_pydict().values(), strict=True))
    found: dict[str, float] = {}
    moved = set[str]()
    for event, later in moves:
        for clip in corpus.decisions.iter_clips(event.seq):
            if later:
                moved.add(clip)
            else:
                found[clip] = float(event.value or 0.0)
    return {clip: found.get(clip, float(first.get(clip) or 0.0)) for clip in moved}


def moved_words(prediction: Mapping[str, Any], by_s: float) -> dict[str, Any]:
    """A prediction whose words come so many seconds later in their clip, since it begins earlier."""
    held = prediction.get("words")
    words = [{**word, "start": word["start"] + by_s, "end": word["end"] + by_s}
             for word in (() if held is None else held)]  # fmt: skip
    return {**prediction, "words": words}
