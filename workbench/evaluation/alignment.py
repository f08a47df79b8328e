"""Which reference word became which hypothesis word, and the counts every rate is a sum of.

Minimum edit distance with unit costs. Where several alignments are equally short, the one rapidfuzz gives is
taken, so substitutions, insertions and deletions agree with jiwer. Many pairs go through one call of
:mod:`alignment_kernels`; pairs too long for its tables go to rapidfuzz itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from rapidfuzz.distance.Levenshtein import editops, opcodes

from workbench.errors import WorkbenchError
from workbench.text import fold_spelling

if TYPE_CHECKING:
    IntArray = np.ndarray[Any, np.dtype[Any]]

Operation = Literal["hit", "substitution", "insertion", "deletion"]
SUBSTITUTION, INSERTION, DELETION = 0, 1, 2
COUNTED = ("hits", "substitutions", "insertions", "deletions")
_CHUNK = 20_000  # pairs a call: small enough for threads to share and for tables to stay small
_CELLS = 4_000_000  # of one pair; rapidfuzz halves the problem from here on, and may pick another alignment
_LONGEST = 4096
_THREADS = 4
_CODE = {"replace": SUBSTITUTION, "insert": INSERTION, "delete": DELETION}
OPERATIONS: tuple[Operation, ...] = ("substitution", "insertion", "deletion")


@dataclass(frozen=True, slots=True)
class Counts:
    """Hits, substitutions, insertions and deletions of one text or the sum of many; never averaged.

    Raises:
        WorkbenchError: a negative count.
    """

    hits: int = 0
    substitutions: int = 0
    insertions: int = 0
    deletions: int = 0

    def __post_init__(self) -> None:
        if min(self.hits, self.substitutions, self.insertions, self.deletions) < 0:
            raise WorkbenchError(f"a count below zero in {self}", hint="Counts come from an alignment.")

    @property
    def errors(self) -> int:
        return self.substitutions + self.insertions + self.deletions

    @property
    def reference_units(self) -> int:
        return self.hits + self.substitutions + self.deletions

    @property
    def hypothesis_units(self) -> int:
        return self.hits + self.substitutions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per reference unit; 0 when both sides are empty, NaN when only the reference is."""
        if self.reference_units:
            return self.errors / self.reference_units
        return 0.0 if self.errors == 0 else float("nan")

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
        )


@dataclass(frozen=True, slots=True)
class AlignedWord:
    """One step of an alignment. A missing side is empty; positions count words from 0, -1 where missing.

    ``spelling_only``: the two differ only in Unicode form, apostrophe or ё/е. ``start_s``, ``end_s`` and
    ``confidence`` are the recognizer's for the hypothesis word, None where it gave none.
    """

    op: Operation
    reference: str
    hypothesis: str
    reference_position: int
    hypothesis_position: int
    spelling_only: bool = False
    start_s: float | None = None
    end_s: float | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class Edits:
    """The alignments of many pairs in flat arrays.

    ``operation``, ``reference_position``, ``hypothesis_position``: one entry an edit, pair by pair in order;
    ``offsets`` (pairs + 1,): where a pair's edits start; ``reference_units``, ``hypothesis_units`` (pairs,).
    """

    offsets: IntArray
    operation: IntArray
    reference_position: IntArray
    hypothesis_position: IntArray
    reference_units: IntArray
    hypothesis_units: IntArray

    def of(self, pairs: IntArray) -> Edits:
        """The alignments of some pairs only."""
        sizes = np.diff(self.offsets)[pairs]
        offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        at = np.repeat(self.offsets[pairs] - offsets[:-1], sizes) + np.arange(offsets[-1])
        return Edits(
            offsets,
            self.operation[at],
            self.reference_position[at],
            self.hypothesis_position[at],
            self.reference_units[pairs],
            self.hypothesis_units[pairs],
        )

    def per_pair(self) -> dict[str, IntArray]:
        """Counts of each pair; checks itself against the lengths of both sides.

        Raises:
            WorkbenchError: the alignment does not account for every unit.
        """
        pairs = len(self.reference_units)
        owner = np.repeat(np.arange(pairs), np.diff(self.offsets))
        kinds = [np.bincount(owner[self.operation == code], minlength=pairs) for code in range(3)]
        return checked_counts(kinds, self.reference_units, self.hypothesis_units)


def checked_counts(
    kinds: Sequence[IntArray], reference_units: IntArray, hypothesis_units: IntArray
) -> dict[str, IntArray]:
    """``hits, substitutions, insertions, deletions`` of each pair from the last three.

    Raises:
        WorkbenchError: they do not account for every unit of both sides.
    """
    substitutions, insertions, deletions = (kind.astype(np.int32) for kind in kinds)
    hits = (reference_units - substitutions - deletions).astype(np.int32)
    if (hits < 0).any() or not np.array_equal(hits + substitutions + insertions, hypothesis_units):
        raise WorkbenchError("an alignment does not account for every word", hint="Report this as a bug.")
    return {"hits": hits, "substitutions": substitutions, "insertions": insertions, "deletions": deletions}


@dataclass(frozen=True)
class Side:
    """Sequences of numbers one after the other: sequence ``i`` is ``symbols[starts[i]:stops[i]]``."""

    symbols: IntArray
    starts: IntArray
    stops: IntArray

    @property
    def lengths(self) -> IntArray:
        return (self.stops - self.starts).astype(np.int32)


def align_sides(references: Side, hypotheses: Side, alphabet: int) -> Edits:
    """Align many pairs of sequences of numbers below ``alphabet``."""
    parts = _in_chunks(references, hypotheses, alphabet, keep=True)
    counts = np.concatenate([np.zeros((0, 3), np.int32), *(part[0] for part in parts)])
    offsets = np.concatenate([[0], np.cumsum(counts.sum(axis=1, dtype=np.int64))])
    longest = max(references.lengths.max(initial=0), hypotheses.lengths.max(initial=0))
    narrow = np.int16 if longest < 1 << 14 else np.int32
    operation, source, destination = (
        np.concatenate([np.zeros(0, kind), *(part[place].astype(kind) for part in parts)])
        for place, kind in ((1, np.uint8), (2, narrow), (3, narrow))
    )
    return Edits(offsets, operation, source, destination, references.lengths, hypotheses.lengths)


def count_sides(references: Side, hypotheses: Side, alphabet: int) -> dict[str, IntArray]:
    """The counts of :meth:`Edits.per_pair` without the edits."""
    parts = _in_chunks(references, hypotheses, alphabet, keep=False)
    counts = np.concatenate([np.zeros((0, 3), np.int32), *(part[0] for part in parts)])
    return checked_counts(list(counts.T), references.lengths, hypotheses.lengths)


def _in_chunks(references: Side, hypotheses: Side, alphabet: int, keep: bool) -> list[tuple[IntArray, ...]]:
    """Counts (pairs, 3), operations, sources and destinations of consecutive runs of pairs."""
    spans = np.column_stack([references.starts, references.stops, hypotheses.starts, hypotheses.stops])
    spans = spans.astype(np.int64).reshape(-1, 4)
    n, m = spans[:, 1] - spans[:, 0], spans[:, 3] - spans[:, 2]
    alone = np.flatnonzero((n > _LONGEST) | (m > _LONGEST) | (n * m > _CELLS))
    edges = np.unique(np.concatenate([np.arange(0, len(spans), _CHUNK), [len(spans)], alone, alone + 1]))
    large = set(alone.tolist())

    def run(low: int, high: int) -> tuple[IntArray, ...]:
        part = spans[low:high]
        if low in large:
            return _by_rapidfuzz(references.symbols, hypotheses.symbols, part[0])
        return _by_kernel(references.symbols, hypotheses.symbols, part, alphabet, keep)

    pieces = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    if len(pieces) < 2:
        return [run(*piece) for piece in pieces]
    with ThreadPoolExecutor(min(_THREADS, os.cpu_count() or 1)) as pool:
        return list(pool.map(lambda piece: run(*piece), pieces))


def _by_kernel(
    left: IntArray, right: IntArray, spans: IntArray, alphabet: int, keep: bool
) -> tuple[IntArray, ...]:
    from workbench.evaluation import alignment_kernels

    most = int(np.maximum(spans[:, 1] - spans[:, 0], spans[:, 3] - spans[:, 2]).sum()) if keep else 0
    counts = np.zeros((len(spans), 3), np.int32)
    edits = np.empty(most, np.uint8), np.empty(most, np.int32), np.empty(most, np.int32)
    filled = alignment_kernels.align_pairs(left, right, spans, max(alphabet, 1), counts, keep, *edits)
    # Copies, so that the room left over goes back.
    return counts, *(column[: filled if keep else 0].copy() for column in edits)


def _by_rapidfuzz(left: IntArray, right: IntArray, span: IntArray) -> tuple[IntArray, ...]:
    pair = left[span[0] : span[1]].tolist(), right[span[2] : span[3]].tolist()
    found: Any = editops(*pair).as_list()
    operation = np.array([_CODE[tag] for tag, _, _ in found], np.uint8)
    places = (np.array([edit[side] for edit in found], np.int32) for side in (1, 2))
    return np.bincount(operation, minlength=3).astype(np.int32)[None, :], operation, *places


def align(references: Sequence[Sequence[Any]], hypotheses: Sequence[Sequence[Any]]) -> Edits:
    """Align pairs of sequences of any hashable units (a string: its characters)."""
    numbers: dict[Any, int] = {}
    sides = []
    for texts in (references, hypotheses):
        flat = [numbers.setdefault(unit, len(numbers)) for text in texts for unit in text]
        stops = np.cumsum([len(text) for text in texts], dtype=np.int64)
        starts = stops - np.array([len(text) for text in texts], np.int64)
        sides.append(Side(np.array(flat, np.int32), starts, stops))
    if len(sides[0].starts) != len(sides[1].starts):
        raise WorkbenchError("references and hypotheses differ in number", hint="Give one of each a pair.")
    return align_sides(sides[0], sides[1], len(numbers))


def count(reference: Sequence[Any], hypothesis: Sequence[Any]) -> Counts:
    """The counts of one pair of sequences of units."""
    one = align([reference], [hypothesis]).per_pair()
    return Counts(*(int(one[field][0]) for field in COUNTED))


def align_words(reference: Sequence[str], hypothesis: Sequence[str]) -> list[AlignedWord]:
    """One pair of word lists, step by step, hits included."""
    steps: list[AlignedWord] = []
    for block in opcodes(list(reference), list(hypothesis)):
        tag, r_start, r_end = block.tag, block.src_start, block.src_end
        h_start, h_end = block.dest_start, block.dest_end
        for step in range(max(r_end - r_start, h_end - h_start)):
            r = r_start + step if tag != "insert" else -1
            h = h_start + step if tag != "delete" else -1
            ref, hyp = reference[r] if r >= 0 else "", hypothesis[h] if h >= 0 else ""
            op: Operation = "hit" if tag == "equal" else OPERATIONS[_CODE[tag]]
            variant = op == "substitution" and fold_spelling(ref) == fold_spelling(hyp)
            steps.append(AlignedWord(op, ref, hyp, r, h, variant))
    return steps
