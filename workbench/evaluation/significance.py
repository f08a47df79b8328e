"""Paired differences of error rates, their intervals and tests.

The unit is the cluster, as a rule the speaker. Under no difference the two systems could change names
speaker by speaker: the test compares the summed difference with those of flipped signs, all of them up to
:data:`EXACT_CLUSTERS` clusters, else a sample. The interval inverts the same test: its ends are percentiles
of the difference over random subsets of clusters (Hartigan's typical values). It is never narrower than
:mod:`few_changes` allows: what no clip of the sample shows may still happen, so that where few clusters
changed the interval may reach zero although the test rejects, and where none did it is not [0, 0].

A test by flipping cannot give less than ``2 / 2**clusters``, a sampled one not less than ``1 / (samples +
1)``. Where that floor is reached, Student's tail of the mean cluster difference takes over and ``p_method``
says so.

* Fisher, "The design of experiments", 1935, section 21; Hartigan, "Using subsample values as typical
  values", JASA 64, 1969.
* Gillick and Cox, "Some statistical issues in the comparison of speech recognition algorithms", ICASSP
  1989: the matched-pairs test on segments (NIST's ``mapsswe``).
* Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6, 1979.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtr

from workbench.evaluation.few_changes import change_bounds
from workbench.evaluation.intervals import (
    MANY,
    MIN_CLUSTERS,
    RESAMPLES,
    generator,
    kept,
    standard_error,
    student,
    weighted,
)

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

EXACT_CLUSTERS = 14
"""All sign flips are enumerated up to here: 16,384 of them."""
EXACT, SAMPLED, TAIL = "all sign flips", "sampled sign flips", "Student's tail"
FLOOR = "floor of the sign flips"


@dataclass(frozen=True, slots=True)
class Difference:
    """Rate of b minus rate of a on the same utterances, and how well it is known.

    ``low`` and ``high`` are the two-sided interval (95 % unless asked otherwise), ``lower_bound`` and
    ``upper_bound`` one-sided bounds for non-inferiority, ``p_value`` is two-sided. ``p_method``: 'all sign
    flips', 'sampled sign flips', "Student's tail" (the flips' floor was reached, or clusters are many),
    'floor of the sign flips' (reached, and no spread to judge a tail by), or None. ``missing``: why there
    is no interval."""

    difference: float
    low: float
    high: float
    lower_bound: float
    upper_bound: float
    p_value: float
    p_method: str | None = None
    missing: str | None = None


def paired_difference(
    sums: Array, *, resamples: int = RESAMPLES, seed: int = 0, confidence: float = 0.95
) -> Difference:
    """Test and interval of a paired difference.

    Args:
        sums: (clusters, 3) errors of a, errors of b, reference units.
        resamples: sampled sign flips where clusters are too many for all; 0: Student's test there.
        seed: of the sample.
        confidence: of the two-sided interval and of each one-sided bound.
    """
    sums = sums[sums.any(axis=1)].astype(float)
    clusters = len(sums)
    errors_a, errors_b, units = (float(v) for v in sums.sum(axis=0))
    difference = (errors_b - errors_a) / units if units else math.nan
    if clusters < MIN_CLUSTERS or not units:
        reason = f"an interval needs {MIN_CLUSTERS} independent units, there are {clusters}"
        unknown = math.nan
        return Difference(difference, unknown, unknown, unknown, unknown, unknown, None, reason)
    rest = 1 - confidence
    changes = np.column_stack([sums[:, 1] - sums[:, 0], sums[:, 2]])
    if not changes[:, 0].any():
        ends, p_value, method = (0.0, 0.0, 0.0, 0.0), 1.0, EXACT
    elif clusters > MANY or (clusters > EXACT_CLUSTERS and not resamples):
        half = [student(clusters, tail) * standard_error(changes) for tail in (rest / 2, rest)]
        ends = (difference - half[0], difference + half[0], difference - half[1], difference + half[1])
        p_value, method = tail_p_value(changes), TAIL
    else:
        subsets = _subset_sums(changes, resamples, seed)
        p_value, method = _flip_p_value(subsets[:, 0], changes, clusters <= EXACT_CLUSTERS)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = subsets[:, 0] / subsets[:, 1]
        low, lower, upper, high = np.nanquantile(ratios, [rest / 2, rest, 1 - rest, 1 - rest / 2]).tolist()
        ends = (low, high, lower, upper)
    return Difference(difference, *_at_least(changes, ends, rest), p_value, method)


def _at_least(
    changes: Array, ends: tuple[float, float, float, float], rest: float
) -> tuple[float, float, float, float]:
    """Interval and one-sided bounds, none nearer than the counts of changes allow."""
    low, high = change_bounds(changes, rest / 2)
    lower, upper = change_bounds(changes, rest)
    return min(ends[0], low), max(ends[1], high), min(ends[2], lower), max(ends[3], upper)


def _subset_sums(changes: Array, resamples: int, seed: int) -> Array:
    """(subsets, 2) sums over subsets of clusters: all but the empty one, or a sample."""
    clusters = len(changes)
    if clusters <= EXACT_CLUSTERS:
        sums = np.zeros((1, 2))
        for change in changes:
            sums = np.concatenate([sums, sums + change])
        return sums[1:]

    def draw() -> Array:
        coins = generator(seed, ("subsets", clusters)).integers(0, 2, (resamples, clusters))
        return coins.astype(np.uint8)

    return weighted(kept(("subsets", seed, clusters, resamples), draw), changes)


def _flip_p_value(subset_changes: Array, changes: Array, exact: bool) -> tuple[float, str]:
    """Two-sided p-value of flipping the signs of the clusters in each subset, and how it was found."""
    total = float(changes[:, 0].sum())
    # Flipping a subset turns the sum from t into t - 2 s; rounding: counts are whole numbers.
    flipped = np.abs(total - 2 * subset_changes)
    extreme = int(np.sum(flipped >= abs(total) - 1e-9))
    p_value = (1 + extreme) / (1 + len(subset_changes))
    # All flips: nothing flipped, and everything flipped, are always as extreme.
    if extreme > (1 if exact else 0):
        return p_value, EXACT if exact else SAMPLED
    tail = tail_p_value(changes)
    return (p_value, FLOOR) if tail == 0 else (min(p_value, tail), TAIL)


def tail_p_value(changes: Array) -> float:
    """Student's two-sided p-value of no change, with the larger of two standard errors: of the cluster
    differences and of their ratio to the units; 0 where both vanish."""
    clusters = len(changes)
    total, units = (float(v) for v in changes.sum(axis=0))
    spread = max(math.sqrt(clusters) * float(np.std(changes[:, 0], ddof=1)), standard_error(changes) * units)
    if spread <= 1e-9 * abs(total):
        return 0.0
    return float(2 * stdtr(clusters - 1, -abs(total) / spread))


def matched_pairs(segment_differences: Array) -> tuple[float, int]:
    """Matched-pairs sentence-segment word error test of the mean difference being zero.

    Args:
        segment_differences: errors of a minus errors of b in each segment (see :func:`segments`).

    Returns:
        Two-sided p-value by the normal approximation, NaN below two segments, and the number of segments.
        Where all differ by the same number the approximation has no spread: the sign test's ``2 / 2**n``.
    """
    n = len(segment_differences)
    if n < 2:
        return math.nan, n
    spread = float(np.std(segment_differences, ddof=1))
    mean = float(np.mean(segment_differences))
    if spread == 0:
        return (1.0 if mean == 0 else 2.0 ** (1 - n)), n
    return math.erfc(abs(mean) / (spread / math.sqrt(n)) / math.sqrt(2)), n


def segments(
    utterance: Array, coordinate: Array, error_a: Array, error_b: Array, good_words: int = 2
) -> tuple[Array, Array]:
    """Cut utterances into segments that ``good_words`` words both systems got right keep apart.

    Args:
        utterance, coordinate: place of each error event; word ``w`` of the reference is ``2 * w + 1`` and
            the gap before it ``2 * w``.
        error_a, error_b: 1 where the event is an error of that system.

    Returns:
        (segments, 2) errors of a and of b, and the utterance of each segment.
    """
    if len(utterance) == 0:
        return np.zeros((0, 2)), np.zeros(0, np.int64)
    order = np.lexsort((coordinate, utterance))
    utterance, coordinate = utterance[order], coordinate[order]
    new = np.ones(len(order), bool)
    # Whole words strictly between two events, hit by both systems and with nothing inserted between them.
    between = coordinate[1:] // 2 - (coordinate[:-1] + 1) // 2
    new[1:] = (utterance[1:] != utterance[:-1]) | (between >= good_words)
    number = np.cumsum(new) - 1
    totals = np.column_stack([np.bincount(number, weights=e[order]) for e in (error_a, error_b)])
    return totals, utterance[new]


def holm(p_values: Array) -> Array:
    """P-values adjusted for looking at several slices; NaN stays NaN and does not count."""
    adjusted = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p_values[order] * factors))
    return adjusted
