"""Every error of the chosen utterances as one row of flat arrays: where, what was said, what was heard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.evaluation.alignment import DELETION, INSERTION
from workbench.evaluation.malloc_trim import give_back
from workbench.evaluation.scored import ScoredCorpus

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Events:
    """``row``: of the corpus; ``operation``: codes of :mod:`alignment`; ``position``: reference word (for an
    insertion the word it stands before); ``said``, ``heard``: numbers in ``vocabulary``, -1 where none."""

    row: Array
    operation: Array
    position: Array
    said: Array
    heard: Array
    vocabulary: list[str]


def places(scored: ScoredCorpus, name: str, normalizer: str, rows: Array) -> tuple[Array, Array]:
    """Row of each error of ``rows`` and its place in the flat arrays of the alignment."""
    paired = scored.word_edits(name, normalizer)
    pair, offsets = paired.pair[rows], paired.edits.offsets
    sizes = (offsets[pair + 1] - offsets[pair]).astype(np.int64)
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if len(ends) else 0
    kind = np.int32 if len(paired.edits.operation) < 2**31 else np.int64
    at = np.repeat((offsets[pair] - (ends - sizes)).astype(kind), sizes)
    at += np.arange(total, dtype=kind)
    return np.repeat(rows.astype(np.int32), sizes), at


def error_events(scored: ScoredCorpus, name: str, normalizer: str, rows: Array) -> Events:
    """All errors of ``rows``, each of which must have a prediction."""
    row, at = places(scored, name, normalizer, rows)
    edits, table = scored.word_edits(name, normalizer).edits, scored.store.words(normalizer)
    operation, position = edits.operation[at], edits.reference_position[at]
    said, heard = np.full(len(at), -1, np.int32), np.full(len(at), -1, np.int32)
    has = operation != INSERTION
    said[has] = table.numbers[table.offsets[scored.reference_codes[row[has]]] + position[has]]
    has = operation != DELETION
    codes = scored.prediction(name).codes
    heard[has] = table.numbers[table.offsets[codes[row[has]]] + edits.hypothesis_position[at[has]]]
    give_back(len(scored))
    return Events(row, operation, position, said, heard, table.vocabulary)


def coordinates(scored: ScoredCorpus, name: str, normalizer: str, rows: Array) -> tuple[Array, Array]:
    """Row and coordinate (word ``w``: ``2 w + 1``, the gap before it: ``2 w``) of every error."""
    row, at = places(scored, name, normalizer, rows)
    edits = scored.word_edits(name, normalizer).edits
    word = 2 * edits.reference_position[at].astype(np.int64)
    return row, np.where(edits.operation[at] == INSERTION, word, word + 1)


def hit_words(scored: ScoredCorpus, name: str, normalizer: str, rows: Array) -> tuple[Array, Array, Array]:
    """Reference words of ``rows`` one after the other: (numbers, whether hit, offsets of each row)."""
    numbers, offsets = scored.store.words(normalizer).flat(scored.reference_codes[rows])
    hit = np.ones(len(numbers), bool)
    start = np.zeros(len(scored), np.int64)
    start[rows] = offsets[:-1]
    row, at = places(scored, name, normalizer, rows)
    edits = scored.word_edits(name, normalizer).edits
    lost = edits.operation[at] != INSERTION
    hit[start[row[lost]] + edits.reference_position[at[lost]]] = False
    return numbers, hit, offsets
