"""The independent units behind an interval: speakers where there are enough, else utterances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

BY_SPEAKERS = "speakers"
THESE_VOICES = "these voices only"
SPEAKERS_UNKNOWN = "speakers unknown"
_DENSE = 8  # cells a row up to which a table of all cells is cheaper than sorting


@dataclass(frozen=True, slots=True)
class Clusters:
    """The independent units of a slice: number of each row's cluster, how many, and what they are."""

    numbers: Array
    count: int
    kind: str
    speakers: int


def kind_of(rows: int, speakers: int, unknown: int, min_speakers: int) -> str:
    """What the clusters of a slice are. Rows without a speaker count as one more speaker while they are under
    a tenth; beyond that nothing is known about voices and the interval says so."""
    if rows and unknown > rows / 10:
        return SPEAKERS_UNKNOWN
    return THESE_VOICES if speakers < min_speakers else BY_SPEAKERS


def clusters_of(speakers: Array, min_speakers: int) -> Clusters:
    """The clusters of one slice; ``speakers``: of each row, -1 where unknown."""
    known = np.unique(speakers[speakers >= 0])
    unknown = int((speakers < 0).sum())
    kind = kind_of(len(speakers), len(known), unknown, min_speakers)
    if kind != BY_SPEAKERS:
        return Clusters(np.arange(len(speakers)), len(speakers), kind, len(known))
    numbers = np.searchsorted(known, speakers)
    numbers[speakers < 0] = len(known)
    return Clusters(numbers, len(known) + (unknown > 0), kind, len(known))


def cluster_sums(clusters: Clusters, *values: Array) -> Array:
    """(clusters, values) totals; clusters without rows do not occur."""
    return np.column_stack(
        [np.bincount(clusters.numbers, weights=v, minlength=clusters.count) for v in values]
    )


class Slicing:
    """All slices of a table cut into clusters at once: sums of counts cost one pass, whatever their number.

    ``kinds``, ``speakers``: of each slice, as in :class:`Clusters`.
    """

    def __init__(self, rows_of: Sequence[Array], speakers: Array, min_speakers: int) -> None:
        self.rows_of = rows_of
        sizes = [len(rows) for rows in rows_of]
        self._rows = np.concatenate([np.zeros(0, np.int64), *rows_of]).astype(np.int64)
        self._owner = np.repeat(np.arange(len(sizes)), sizes)
        width = int(speakers.max(initial=-1)) + 2
        cells, self._cell = _distinct(self._owner * width + speakers[self._rows] + 1, len(sizes) * width)
        self._edges = np.searchsorted(cells // width, np.arange(len(sizes) + 1))
        unknown = cells % width == 0
        unsaid = np.bincount(cells[unknown] // width, np.bincount(self._cell)[unknown], len(sizes))
        voices = np.diff(self._edges) - np.bincount(cells[unknown] // width, minlength=len(sizes))
        self.speakers = [int(count) for count in voices]
        self.kinds = [
            kind_of(rows, count, int(without), min_speakers)
            for rows, count, without in zip(sizes, self.speakers, unsaid, strict=True)
        ]

    def totals(self, values: Array) -> Array:
        """Sum of counts over each slice."""
        summed = np.bincount(self._owner, weights=values[self._rows], minlength=len(self.rows_of))
        return np.rint(summed).astype(np.int64)

    def cluster_sums(self, *values: Array) -> list[Array]:
        """(clusters, values) totals of each slice."""
        cells = np.column_stack([np.bincount(self._cell, weights=v[self._rows]) for v in values])
        return [
            cells[self._edges[place] : self._edges[place + 1]]
            if kind == BY_SPEAKERS
            else np.column_stack([v[self.rows_of[place]] for v in values])
            for place, kind in enumerate(self.kinds)
        ]

    @cached_property
    def slice_of_row(self) -> dict[str, Array]:
        """``rows`` that lie in a slice and the ``slice`` of each."""
        return {"rows": self._rows, "slice": self._owner}


def _distinct(codes: Array, size: int) -> tuple[Array, Array]:
    """Distinct codes below ``size`` in order, and the place of each code among them."""
    if size > _DENSE * len(codes) + 100_000:
        return np.unique(codes, return_inverse=True)
    there = np.zeros(size, bool)
    there[codes] = True
    distinct = np.flatnonzero(there)
    place = np.cumsum(there) - 1
    return distinct, place[codes]
