"""Which words are lost, mistaken for which, and where in the utterance: what an explorer shows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench import text as txt
from workbench.evaluation.alignment import DELETION, INSERTION, SUBSTITUTION, AlignedWord, align_words
from workbench.evaluation.events import error_events
from workbench.evaluation.scored import Headline, ScoredCorpus
from workbench.language_tags import strip_tag
from workbench.locales import UNSPACED_LANGUAGES

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]


def aligned_words(scored: ScoredCorpus, name: str, row: int, normalizer: str) -> list[AlignedWord]:
    """The alignment of one utterance; empty where it has no prediction."""
    prediction = scored.prediction(name)
    if prediction.codes[row] < 0:
        return []
    table, language = scored.store.words(normalizer), str(scored.languages[row])
    reference = table.of(int(scored.reference_codes[row]))
    hypothesis = table.of(int(prediction.codes[row]))
    steps = align_words(reference, hypothesis)
    times = _word_times(prediction.word_list(row), hypothesis, language, normalizer)
    if not times:
        return steps
    return [replace(s, **times[s.hypothesis_position]) if s.hypothesis_position >= 0 else s for s in steps]


def _word_times(
    spoken: list[dict[str, Any]], hypothesis: list[str], language: str, normalizer: str
) -> list[dict[str, Any]]:
    """Times of each normalized word; none where the recognizer's words do not lead to the same text."""
    times, units = [], []
    # Characters are timed one by one; where the language is scored by words, they are put together again.
    for entry in spoken if language in UNSPACED_LANGUAGES else _unglued(spoken):
        normalized = txt.normalize(strip_tag(str(entry.get("word", "")))[0], language, normalizer)
        for unit in txt.words(normalized, language):
            units.append(unit)
            times.append({k: entry.get(k) for k in ("start_s", "end_s", "confidence")})
            for short, full in (("start", "start_s"), ("end", "end_s")):
                if times[-1][full] is None:
                    times[-1][full] = entry.get(short)
    return times if units == hypothesis else []


def _unglued(spoken: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Words between spaces, from entries of which some are glued to the one before."""
    found: list[dict[str, Any]] = []
    for entry in spoken:
        if not (entry.get("glued") and found):
            found.append(dict(entry))
            continue
        last = found[-1]
        sure = [c for c in (last.get("confidence"), entry.get("confidence")) if c is not None]
        found[-1] = {
            **last,
            "word": f"{last.get('word', '')}{entry.get('word', '')}",
            "end": entry.get("end"),
            "confidence": min(sure, default=None),
        }
    return found


def confusions(scored: ScoredCorpus, name: str, normalizer: str, rows: Array, limit: int) -> pd.DataFrame:
    """Substituted words, most frequent first: ``reference, hypothesis, count, spelling_only``."""
    events = error_events(scored, name, normalizer, rows)
    chosen = events.operation == SUBSTITUTION
    size = max(len(events.vocabulary), 1)
    pairs, counts = np.unique(
        events.said[chosen].astype(np.int64) * size + events.heard[chosen], return_counts=True
    )
    order = np.lexsort((pairs, -counts))[:limit]
    said, heard = pairs[order] // size, pairs[order] % size
    folded = scored.store.words(normalizer).folded
    return pd.DataFrame(
        {
            "reference": [events.vocabulary[n] for n in said],
            "hypothesis": [events.vocabulary[n] for n in heard],
            "count": counts[order],
            "spelling_only": folded[said] == folded[heard] if len(order) else np.zeros(0, bool),
        }
    )


def word_table(scored: ScoredCorpus, name: str, normalizer: str, rows: Array) -> pd.DataFrame:
    """Every word of the references and hypotheses: ``word, occurrences, hits, substituted, deleted, inserted,
    accuracy`` (hits over occurrences; NaN for words only inserted), most often lost first."""
    events = error_events(scored, name, normalizer, rows)
    size = len(events.vocabulary)
    occurrences = scored.store.words(normalizer).occurrences(scored.reference_codes[rows])
    deleted = np.bincount(events.said[events.operation == DELETION], minlength=size)
    inserted = np.bincount(events.heard[events.operation == INSERTION], minlength=size)
    substituted = np.bincount(events.said[events.operation == SUBSTITUTION], minlength=size)
    hits = occurrences - substituted - deleted
    used = np.flatnonzero(occurrences + inserted)
    order = used[np.lexsort((used, -occurrences[used], -(occurrences - hits)[used]))]
    with np.errstate(invalid="ignore"):
        accuracy = np.where(occurrences > 0, hits / occurrences, np.nan)
    return pd.DataFrame(
        {
            "word": [events.vocabulary[n] for n in order],
            "occurrences": occurrences[order],
            "hits": hits[order],
            "substituted": substituted[order],
            "deleted": deleted[order],
            "inserted": inserted[order],
            "accuracy": accuracy[order],
        }
    )


def accuracy_by_frequency(words: pd.DataFrame) -> pd.DataFrame:
    """Word accuracy in bands of how often a word occurs in these references (1, 2–3, 4–7, 8–15 …)."""
    known = words[words["occurrences"] > 0]
    band = np.floor(np.log2(known["occurrences"].to_numpy(float))).astype(int)
    table = known.groupby(band)[["occurrences", "hits"]].sum()
    distinct = known.groupby(band)["word"].size()
    starts = [2**b for b in table.index]
    return pd.DataFrame(
        {
            "occurs": [str(s) if s == 1 else f"{s}–{2 * s - 1}" for s in starts],
            "at_least": starts,
            "words": distinct.to_numpy(),
            "occurrences": table["occurrences"].to_numpy(),
            "accuracy": (table["hits"] / table["occurrences"]).to_numpy(),
        }
    )


def by_position(scored: ScoredCorpus, name: str, normalizer: str, rows: Array, bins: int) -> pd.DataFrame:
    """Errors by relative place in the utterance, in ``bins`` equal parts; an insertion counts where the word
    it stands before is (after the last word: in the last part)."""
    lengths = scored.store.words(normalizer).lengths_of(scored.reference_codes)
    # Where a word lies depends on the length alone, and lengths are few.
    sizes, times = np.unique(lengths[rows], return_counts=True)
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    part = np.floor(within / np.maximum(np.repeat(sizes, sizes), 1) * bins).astype(int)
    words = np.bincount(part, weights=np.repeat(times, sizes), minlength=bins).astype(np.int64)
    events = error_events(scored, name, normalizer, rows)
    size = np.maximum(lengths[events.row], 1)
    place = np.minimum(events.position / size * bins, bins - 1).astype(int)
    counts = {
        label: np.bincount(place[events.operation == code], minlength=bins)
        for label, code in (
            ("substitutions", SUBSTITUTION),
            ("insertions", INSERTION),
            ("deletions", DELETION),
        )
    }
    table = pd.DataFrame({"from": np.arange(bins) / bins, "to": np.arange(1, bins + 1) / bins})
    table["reference_words"] = words
    for label, values in counts.items():
        table[label] = values
    with np.errstate(invalid="ignore", divide="ignore"):
        table["rate"] = np.where(words > 0, sum(counts.values()) / words, np.nan)
    return table


def changes(
    scored: ScoredCorpus, first: str, second: str, normalizer: str, rows: Array, metric: Headline
) -> pd.DataFrame:
    """Utterances with more or fewer errors in ``second`` than in ``first``, largest change first."""
    errors_a, errors_b = (scored.own_totals(n, metric, normalizer)[0][rows] for n in (first, second))
    units = scored.own_totals(first, metric, normalizer)[1][rows]
    change = errors_b.astype(int) - errors_a
    order = np.lexsort((rows, -np.abs(change)))
    order = order[change[order] != 0]
    picked = rows[order]
    texts = {
        n: scored.store.texts.take(scored.prediction(n).codes[picked]).to_pylist() for n in (first, second)
    }
    chosen = scored.rows.iloc[picked]
    return pd.DataFrame(
        {
            "id": chosen["id"].to_numpy(),
            "text": chosen["text"].to_numpy(),
            "hypothesis_a": texts[first],
            "hypothesis_b": texts[second],
            "errors_a": errors_a[order],
            "errors_b": errors_b[order],
            "reference_units": units[order],
            "change": change[order],
            "verdict": np.where(change[order] < 0, "better", "worse"),
        }
    )
