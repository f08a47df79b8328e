"""A known transcript of a long recording laid onto it: utterances with times and a confidence each.

The checkpoint's own best path gives words with times; the transcript's words are aligned with them, and what
both have are anchors. Between anchors times are shared out by letters, and a segment says how much of it
rests on anchors: what was never said, or said otherwise, shows as low confidence and not as a reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rapidfuzz.distance import Levenshtein

from workbench.corpus import record
from workbench.errors import Problem
from workbench.ingest.audio import CHANNEL_COLUMNS
from workbench.language_tags import strip_tag
from workbench.reading import read_parquet
from workbench.text import normalize
from workbench.times import parse_utc

if TYPE_CHECKING:
    from workbench.corpus.query.table import Corpus

_KEPT = ("audio_filepath", "target_lang", "accent", "speaker", "domain", "source", "license", "consent",
         "recorded_at", *CHANNEL_COLUMNS)  # fmt: skip
_FINAL = ".?!…。？！؟।"


@dataclass(frozen=True, slots=True)
class Aligned:
    """A part of a transcript and when it is said, in seconds of the recording. ``confidence``: mean over its
    words of the confidence of the recognized word that each is equal to, 0 where it is equal to none."""

    text: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(slots=True)
class _Token:
    text: str
    start_s: float | None = None
    end_s: float | None = None
    confidence: float = 0.0


def align(
    text: str,
    locale: str | None,
    words: Sequence[Mapping[str, Any]],
    length_s: float,
    *,
    longest_s: float = 20.0,
    silence_s: float = 0.5,
    padding_s: float = 0.2,
) -> list[Aligned]:
    """The utterances of a transcript, in order; together they hold every word of it.

    Args:
        text: the whole transcript. locale: its tag.
        words: what was recognized: ``word, start, end`` in seconds and ``confidence``.
        length_s: of the recording.
        longest_s: of an utterance, where there is a place to cut. silence_s: a pause that ends one.
        padding_s: kept before and after, at most half of the pause.
    """
    tokens = [_Token(part) for part in strip_tag(text)[0].split()]
    if not tokens:
        return []
    _anchor(tokens, locale, words)
    _fill(tokens, length_s)
    groups: list[list[_Token]] = [[]]
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        groups[-1].append(token)
        if following is None:
            break
        pause = _time(following.start_s) - _time(token.end_s)
        lasts = _time(following.end_s) - _time(groups[-1][0].start_s)
        if pause >= silence_s or token.text.rstrip("\"'»”’)").endswith(tuple(_FINAL)) or lasts > longest_s:
            groups.append([])
    made = []
    for at, group in enumerate(groups):
        before = _time(groups[at - 1][-1].end_s) if at else 0.0
        after = _time(groups[at + 1][0].start_s) if at + 1 < len(groups) else length_s
        start, end = _time(group[0].start_s), _time(group[-1].end_s)
        start -= min(padding_s, max(0.0, start - before) / 2)
        end += min(padding_s, max(0.0, after - end) / 2)
        sure = sum(token.confidence for token in group) / len(group)
        said = " ".join(token.text for token in group)
        made.append(Aligned(said, round(start, 3), round(min(end, length_s), 3), round(sure, 4)))
    return made


def rows_of(
    row: Mapping[str, Any],
    prediction: Mapping[str, Any] | None,
    *,
    longest_s: float,
    silence_s: float,
    least_confidence: float,
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Rows of the utterances in a long recording, and what of it could not be aligned.

    Args:
        row: with ``id``, ``text``, ``offset``, ``duration`` and the rest that utterances keep.
        prediction: of it, with ``words``.
        longest_s, silence_s: as :func:`align`. least_confidence: utterances of less are left out.
    """
    id, held = str(row["id"]), None if prediction is None else prediction.get("words")
    words = [dict(word) for word in (() if held is None else held)]
    text, length = row.get("text"), row.get("duration")
    if not words or not isinstance(text, str) or not isinstance(length, float) or length != length:
        return [], [Problem(id, "no transcript, duration or word times", "Transcribe it first.")]
    kept = {name: row[name] for name in _KEPT if row.get(name) is not None and row[name] == row[name]}
    found, problems = [], []
    for one in align(text, row.get("target_lang"), words, length, longest_s=longest_s, silence_s=silence_s):
        place = f"{id}-{round(1000 * one.start_s):09d}"
        if one.confidence < least_confidence or one.end_s <= one.start_s:
            problems.append(Problem(place, f"aligned with confidence {one.confidence:.2f} only", "Listen."))
            continue
        times = {
            "offset": round(float(row.get("offset") or 0.0) + one.start_s, 4),
            "duration": round(one.end_s - one.start_s, 4),
        }
        own = {"id": place, "text": one.text, "recording": id, "alignment_confidence": one.confidence}
        found.append({**kept, **times, **own})
    return found, problems


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


def _anchor(tokens: Sequence[_Token], locale: str | None, words: Sequence[Mapping[str, Any]]) -> None:
    """Times of the words that transcript and recognition share."""
    wanted = [normalize(token.text, locale) for token in tokens]
    heard = [normalize(str(word["word"]), locale) for word in words]
    for part in Levenshtein.opcodes(wanted, heard):
        if part.tag != "equal":
            continue
        pairs = zip(range(part.src_start, part.src_end), range(part.dest_start, part.dest_end), strict=True)
        for one, other in pairs:
            if not wanted[one]:
                continue
            word, token = words[other], tokens[one]
            token.start_s, token.end_s = float(word["start"]), float(word["end"])
            token.confidence = float(word.get("confidence") or 0.0)


def _fill(tokens: Sequence[_Token], length_s: float) -> None:
    """Times of the words between anchors, shared out by their letters."""
    at, last = 0, 0.0
    while at < len(tokens):
        if tokens[at].start_s is not None:
            last = _time(tokens[at].end_s)
            at += 1
            continue
        end = at
        while end < len(tokens) and tokens[end].start_s is None:
            end += 1
        until = _time(tokens[end].start_s) if end < len(tokens) else length_s
        letters = sum(len(token.text) for token in tokens[at:end])
        # Nobody speaks slower than 5 letters a second: what is left of the room is a pause.
        room = min(max(0.0, until - last), letters / 5)
        place = last
        for token in tokens[at:end]:
            token.start_s = place
            place += room * len(token.text) / letters
            token.end_s = place
        last, at = place, end


def _time(value: float | None) -> float:
    return 0.0 if value is None else value
