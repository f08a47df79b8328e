"""Intervals and tests for ratios of sums (errors over reference units).

The unit of resampling is the speaker: words of one voice are not independent. Resampling works on the sums of
each cluster, never on its utterances: how often each cluster was drawn times its sums, one matrix product a
slice. The draws depend on the number of clusters alone, so slices share them; each interval is as good for
itself. Where many clusters have equal sums (every utterance its own cluster), how often each distinct sum was
drawn is a multinomial count.

* Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP 2004.
* Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69(4), 2015: the
  percentiles are taken wider by ``sqrt(n / (n - 1)) * t / z``, without which 30 clusters cover about 93 %.
* Gillick and Cox, "Some statistical issues in the comparison of speech recognition algorithms", ICASSP 1989:
  the matched-pairs test on segments.
* Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6, 1979.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any
from zlib import crc32

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

RESAMPLES = 1000
_CELLS = 2_000_000  # draws held at once: 16 MB
_BLOCK = 200_000  # draws turned into floats at once: what a processor's cache holds
_SHARED = 4096  # clusters; draws for more are made anew
_KEPT_BYTES = 32_000_000
_kept: OrderedDict[tuple[int, int, int], Array] = OrderedDict()
_lock = Lock()
_BINOMIAL_COST = 12  # a multinomial entry costs as much as this many drawn indices (measured)


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval; NaN where it cannot be computed. ``clusters``: independent units behind it."""

    low: float
    high: float
    clusters: int


def generator(seed: int, key: object) -> np.random.Generator:
    """Random numbers for one slice: the same whatever else is computed, before or after."""
    import numpy as np

    return np.random.default_rng([seed, crc32(repr(key).encode())])


def resampled_sums(sums: Array, resamples: int, rng: np.random.Generator | int) -> Array:
    """Totals of ``resamples`` bootstrap samples of clusters.

    Args:
        sums: (clusters, values) totals of each cluster.
        rng: random numbers, or a seed: then slices with as many clusters share their draws.

    Returns:
        (resamples, values).
    """
    import numpy as np

    clusters = len(sums)
    if isinstance(rng, int):
        if clusters <= _SHARED:
            return _weighted(shared_draws(rng, clusters, resamples), sums)
        rng = generator(rng, clusters)
    distinct, repeats = _distinct_rows(sums)
    totals = np.empty((resamples, sums.shape[1]))
    by_index = clusters < _BINOMIAL_COST * len(distinct)
    step = max(1, _CELLS // (clusters if by_index else len(distinct)))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        if by_index:
            totals[start : start + size] = _weighted(_drawn(rng, clusters, size), sums)
        else:
            draws = rng.multinomial(clusters, repeats / clusters, size=size)
            totals[start : start + size] = draws.astype(np.float64) @ distinct
    return totals


def shared_draws(seed: int, clusters: int, resamples: int) -> Array:
    """How often each cluster is in each resample, (resamples, clusters); kept, so do not change it."""
    key = (seed, clusters, resamples)
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    draws = _drawn(generator(seed, ("draws", clusters)), clusters, resamples)
    with _lock:
        _kept[key] = draws
        while sum(kept.nbytes for kept in _kept.values()) > _KEPT_BYTES and len(_kept) > 1:
            _kept.popitem(last=False)
    return draws


def _drawn(rng: np.random.Generator, clusters: int, resamples: int) -> Array:
    import numpy as np

    drawn = rng.integers(clusters, size=(resamples, clusters), dtype=np.int32)
    drawn += np.arange(0, resamples * clusters, clusters, dtype=np.int32)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * clusters)
    # A cluster drawn 256 times where once is expected does not happen; a wrong count must not either.
    small = np.uint8 if counts.max() < 256 else np.int64
    return counts.astype(small).reshape(resamples, clusters)


def _weighted(draws: Array, sums: Array) -> Array:
    import numpy as np

    step = max(1, _BLOCK // max(draws.shape[1], 1))
    totals = np.empty((len(draws), sums.shape[1]))
    values = sums.astype(np.float64)
    for start in range(0, len(draws), step):
        totals[start : start + step] = draws[start : start + step].astype(np.float64) @ values
    return totals


def _distinct_rows(sums: Array) -> tuple[Array, Array]:
    """Distinct rows in a fixed order and how often each occurs (faster than ``np.unique(axis=0)``)."""
    import numpy as np

    rows = np.ascontiguousarray(sums)
    order = np.lexsort(rows.T[::-1])
    ordered = rows[order]
    first = np.ones(len(rows), bool)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    starts = np.flatnonzero(first)
    return ordered[starts].astype(np.float64), np.diff(np.append(starts, len(rows)))


def expanded_percentiles(
    values: Array, clusters: int, confidence: float = 0.95, sides: int = 2
) -> tuple[float, float]:
    """Percentile interval of bootstrap values, widened for few clusters (Hesterberg 2015, section 5.3).

    With ``sides=1`` each end is a one-sided bound at ``confidence``.
    """
    import numpy as np
    from scipy.special import ndtr, stdtrit

    values = values[np.isfinite(values)]
    if clusters < 2 or len(values) == 0:
        return math.nan, math.nan
    tail = (1 - confidence) / sides
    shifted = float(ndtr(math.sqrt(clusters / (clusters - 1)) * stdtrit(clusters - 1, tail)))
    low, high = np.quantile(values, [shifted, 1 - shifted])
    return float(low), float(high)


def ratio_interval(
    sums: Array, *, resamples: int, rng: np.random.Generator | int, confidence: float = 0.95
) -> Interval:
    """Interval of ``sum(errors) / sum(units)`` from per-cluster sums (clusters, 2)."""
    totals = resampled_sums(sums, resamples, rng)
    low, high = expanded_percentiles(_ratio(totals[:, 0], totals[:, 1]), len(sums), confidence)
    return Interval(low, high, len(sums))


@dataclass(frozen=True, slots=True)
class Difference:
    """Rate of b minus rate of a on the same utterances. ``lower_bound`` and ``upper_bound`` are one-sided
    95 % bounds for non-inferiority; ``p_value`` is two-sided and agrees with the interval."""

    difference: float
    low: float
    high: float
    lower_bound: float
    upper_bound: float
    p_value: float


def paired_difference(sums: Array, *, resamples: int, rng: np.random.Generator | int) -> Difference:
    """Paired bootstrap over clusters.

    Args:
        sums: (clusters, 3) errors of a, errors of b, reference units.
    """
    import numpy as np

    errors_a, errors_b, units = (float(v) for v in sums.sum(axis=0))
    difference = (errors_b - errors_a) / units if units else math.nan
    if len(sums) < 2 or not units:
        return Difference(difference, *[math.nan] * 5)
    if not np.any(sums[:, 0] != sums[:, 1]):
        return Difference(0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    totals = resampled_sums(sums, resamples, rng)
    values = _ratio(totals[:, 1] - totals[:, 0], totals[:, 2])
    low, high = expanded_percentiles(values, len(sums))
    lower, upper = expanded_percentiles(values, len(sums), sides=1)
    return Difference(difference, low, high, lower, upper, _p_value(values, len(sums)))


def _p_value(values: Array, clusters: int) -> float:
    """The level at which the expanded percentile interval just touches zero."""
    import numpy as np
    from scipy.special import ndtri, stdtr

    values = values[np.isfinite(values)]
    below = (np.sum(values < 0) + 0.5 * np.sum(values == 0) + 0.5) / (len(values) + 1)
    z = abs(float(ndtri(below)))
    return float(min(1.0, 2 * stdtr(clusters - 1, -z * math.sqrt((clusters - 1) / clusters))))


def matched_pairs(segment_differences: Array) -> tuple[float, int]:
    """Matched-pairs sentence-segment word error test of the mean difference being zero.

    Args:
        segment_differences: errors of a minus errors of b in each segment (see :func:`segments`).

    Returns:
        Two-sided p-value by the normal approximation, NaN below two segments, and the number of segments.
    """
    import numpy as np

    n = len(segment_differences)
    if n < 2:
        return math.nan, n
    spread = float(np.std(segment_differences, ddof=1))
    mean = float(np.mean(segment_differences))
    if spread == 0:
        return (1.0 if mean == 0 else 0.0), n
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
    import numpy as np

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
    import numpy as np

    adjusted = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    order = known[np.argsort(p_values[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p_values[order] * factors))
    return adjusted


def _ratio(numerator: Array, denominator: Array) -> Array:
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        result: Array = np.where(denominator > 0, numerator / denominator, np.nan)
    return result
