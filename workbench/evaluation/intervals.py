"""Intervals of ratios of sums (errors over reference units) that hold their level with few speakers.

The unit is the cluster, as a rule the speaker: words of one voice are not independent. Coverage by
simulation, nominal 95 %: see ``docs/evidence/intervals.json`` and, on real errors, ``intervals-real.json``.
Differences where few clips changed: :mod:`few_changes`.

Usual rates: on the logarithmic scale, the wider on each side of Student's interval with the cluster-robust
standard error of a ratio and of the bootstrap-t, whose draws are of clusters. Either alone covers 92 to 94
% for 8 to 12 ordinary speakers.

Rare errors (below 5 %): resampling cannot draw the unlucky speaker who is not in the sample, so that the
truth lies above in up to a quarter of the cases. Errors of a speaker are taken as Poisson with a rate that
is gamma-distributed over speakers; the interval is that of the posterior of the mean rate, flat in its
logarithm, over a grid of the spread.

No less than chance: words that fail independently of each other, at one rate everywhere, still differ from
cluster to cluster. Where clusters lie closer together than in one of a thousand such samples, their spread
says nothing of how far the truth may be, and the interval is the gamma-Poisson one, of what is right where
that is rarer than what is wrong. A resample's spread counts as that of chance at least: else those that miss
the one cluster that differs divide by nearly nothing.

No interval is given where none holds its level: below :data:`MIN_CLUSTERS` clusters, or where the errors
come, in effect, from fewer than :data:`MIN_EFFECTIVE` of them.

* Cochran, "Sampling techniques", 3rd edition 1977, chapter 6: the standard error of a ratio.
* Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 12; DiCiccio and Efron, "Bootstrap
  confidence intervals", Statistical Science 11(3), 1996: the bootstrap-t on a transformed scale.
* Bisani and Ney, "Bootstrap estimates for confidence intervals in ASR performance evaluation", ICASSP 2004.
* Hilbe, "Negative binomial regression", 2nd edition 2011, chapter 8: the gamma-Poisson mixture.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from scipy.special import gammaincinv, gammaln, stdtrit

from workbench.evaluation.few_changes import change_bounds

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

RESAMPLES = 1000
MIN_CLUSTERS = 8
"""Fewer independent units than this have no interval: nominal 95 % would cover 85 to 92 %."""
MIN_EFFECTIVE = 2.5
"""Kish's effective number of clusters that the errors come from, below which they have no interval."""
RARE = 0.05
"""Rates below this take the gamma-Poisson interval."""
HIGH = 0.5
"""Rates above this lean the other way (few speakers with little wrong): the lower end is the lower one of
Student's on the logarithmic and on the plain scale, there with the jackknife's standard error and as many
degrees of freedom as speakers of one size would have (Kish's effective number)."""
MANY = 1000
"""Clusters above which resampling adds nothing: Student's interval alone."""

TOO_ALIKE = 0.001
"""Share of samples of independent words whose clusters lie as close together or closer."""
NO_SPREAD = 1e-12
"""A spread of rates up to this is the rounding of equal ones."""

_BLOCK = 200_000  # draws turned into floats at once: what a processor's cache holds
_KEPT_BYTES = 32_000_000
_kept: OrderedDict[tuple[str, int, int, int], Array] = OrderedDict()
_lock = Lock()


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval; NaN where it cannot be had, with the reason in ``missing``. ``clusters``:
    independent units behind it."""

    low: float
    high: float
    clusters: int
    missing: str | None = None


def ratio_interval(
    sums: Array,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    confidence: float = 0.95,
    share: bool = False,
) -> Interval:
    """Interval of ``sum(errors) / sum(units)``.

    Args:
        sums: (clusters, 2) errors and units of each cluster.
        resamples: bootstrap samples; 0: Student's interval alone.
        seed: of the draws, which slices with as many clusters share.
        share: errors are a part of the units (an accuracy, a recall), so that a ratio near 1 is treated as
            rare failures.
    """
    sums = sums[sums.any(axis=1)].astype(np.float64)
    clusters = len(sums)
    if share and 2 * sums[:, 0].sum() > sums[:, 1].sum():
        found = ratio_interval(
            np.column_stack([sums[:, 1] - sums[:, 0], sums[:, 1]]),
            resamples=resamples,
            seed=seed,
            confidence=confidence,
        )
        low = 1 - found.high if math.isnan(found.high) else max(0.0, 1 - found.high)
        return Interval(low, 1 - found.low, found.clusters, found.missing)
    missing = _why_missing(sums)
    if missing:
        return Interval(math.nan, math.nan, clusters, missing)
    errors, units = (float(total) for total in sums.sum(axis=0))
    chance = float(chance_error(errors, units)) * math.sqrt(_least(clusters))
    if standard_error(sums) <= max(chance, NO_SPREAD):
        low, high = _counted(sums, confidence)
    elif errors < RARE * units and (clusters <= MANY or errors < 100):
        low, high = gamma_poisson(sums, confidence)
    else:
        low, high = _log_interval(sums, resamples, seed, confidence)
    return Interval(low, min(high, 1.0) if share else high, clusters)


def _why_missing(sums: Array) -> str | None:
    clusters = len(sums)
    errors = sums[:, 0].astype(float)
    if clusters < MIN_CLUSTERS:
        return f"an interval needs {MIN_CLUSTERS} independent units, there are {clusters}"
    if not sums[:, 1].sum():
        return "no reference units"
    if not errors.any():
        return "nothing went wrong here, so how rare it is cannot be told"
    effective = errors.sum() ** 2 / (errors**2).sum()
    if effective < MIN_EFFECTIVE:
        return f"nearly all errors come from {round(effective)} of {clusters} independent units"
    return None


def _least(clusters: int) -> float:
    """Variance over clusters below which one sample of a thousand lies, 1 being the true one (chi-square)."""
    return 2 * float(gammaincinv((clusters - 1) / 2, TOO_ALIKE)) / (clusters - 1)


def _counted(sums: Array, confidence: float) -> tuple[float, float]:
    """Where clusters differ by less than chance: errors as counts, or what is right if that is rarer."""
    right = sums[:, 1] - sums[:, 0]
    if not right.any():  # as where nothing is read right: neither a right word nor one too many was seen
        none = change_bounds(sums * [0, 1], (1 - confidence) / 2)[1]
        return max(0.0, 1 - none), 1 + none
    if right.min() >= 0 and 0 < right.sum() < sums[:, 0].sum():
        low, high = gamma_poisson(np.column_stack([right, sums[:, 1]]), confidence)
        return max(0.0, 1 - high), 1 - low
    return gamma_poisson(sums, confidence)


def student(clusters: float, tail: float) -> float:
    """Student's quantile, positive, that cuts off ``tail`` on one side, with ``clusters - 1`` degrees."""
    return -float(stdtrit(max(clusters - 1, 1), tail))


def standard_error(sums: Array) -> float:
    """Cluster-robust standard error of a ratio from (clusters, 2) numerators and denominators."""
    return _spread(influence(sums[:, 0], sums[:, 1]), len(sums))


def chance_error(errors: Array | float, units: Array | float) -> Array:
    """Standard error of a ratio whose units fail independently, all at one rate: the binomial's."""
    found: Array = np.sqrt(np.abs(errors * (1 - errors / units))) / units
    return found


def jackknife_error(sums: Array) -> float:
    """Standard error of a ratio from its values without each cluster in turn: a little larger than
    :func:`standard_error` where clusters differ in size. (clusters, 2) numerators and denominators, no
    cluster holding all units."""
    top, bottom = (sums[:, n].sum() - sums[:, n] for n in (0, 1))
    without = top / bottom
    clusters = len(sums)
    return float(np.sqrt((clusters - 1) / clusters * ((without - without.mean()) ** 2).sum()))


def influence(top: Array, bottom: Array) -> Array:
    """What each cluster adds to the error of ``sum(top) / sum(bottom)``, to first order."""
    whole = float(bottom.sum())
    if not whole:
        return np.full(len(top), math.nan)
    found: Array = (top - float(top.sum()) / whole * bottom) / whole
    return found


def linear_interval(
    estimate: float, influences: Array, clusters: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Student's interval of a figure made of several ratios over the same clusters.

    Args:
        influences: (clusters,) sum of what each ratio's :func:`influence` adds, signs included.
        clusters: how many count as independent: where two groups are compared, the smaller number.

    Returns:
        Both ends; NaN below :data:`MIN_CLUSTERS`, where a ratio is unknown, where the spread is none but
        rounding, and where it comes, in effect, from fewer than :data:`MIN_EFFECTIVE` clusters.
    """
    if clusters < MIN_CLUSTERS or not _spread(influences, clusters) > NO_SPREAD:
        return math.nan, math.nan
    squares = influences**2
    if float(squares.sum()) ** 2 < MIN_EFFECTIVE * float((squares**2).sum()):
        return math.nan, math.nan
    half = student(clusters, (1 - confidence) / 2) * _spread(influences, clusters)
    return estimate - half, estimate + half


def _spread(influences: Array, clusters: int) -> float:
    return float(np.sqrt((influences**2).sum() * clusters / (clusters - 1)))


def _log_interval(sums: Array, resamples: int, seed: int, confidence: float) -> tuple[float, float]:
    clusters, tail = len(sums), (1 - confidence) / 2
    ratio = float(sums[:, 0].sum() / sums[:, 1].sum())
    spread = standard_error(sums) / ratio
    low = high = student(clusters, tail) * spread
    if resamples and clusters <= MANY:
        studentized = _studentized(sums, ratio, resamples, seed)
        if len(studentized) >= resamples / 2:
            below, above = np.quantile(studentized, [tail, 1 - tail]).tolist()
            low, high = max(low, above * spread), max(high, -below * spread)
    floor = ratio * math.exp(-low)
    if ratio > HIGH:
        effective = float(sums[:, 1].sum() ** 2 / (sums[:, 1] ** 2).sum())
        floor = min(floor, max(0.0, ratio - student(effective, tail) * jackknife_error(sums)))
    return floor, ratio * math.exp(high)


def _studentized(sums: Array, ratio: float, resamples: int, seed: int) -> Array:
    """log of each resample's ratio over the ratio, in units of the resample's own standard error, which is at
    least that of chance."""
    top, bottom = sums[:, 0].astype(float), sums[:, 1].astype(float)
    moments = np.column_stack([top, bottom, top * top, top * bottom, bottom * bottom])
    t, b, tt, tb, bb = weighted(bootstrap_draws(seed, len(sums), resamples), moments).T
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = t / b
        variance = (tt - 2 * drawn * tb + drawn**2 * bb) * len(sums) / (len(sums) - 1)
        spread = np.maximum(np.sqrt(np.maximum(variance, 0)) / b, chance_error(t, b)) / drawn
        values = (np.log(drawn) - math.log(ratio)) / spread
    usable: Array = values[np.isfinite(values) & (spread > 1e-9)]
    return usable


def gamma_poisson(sums: Array, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of a rare rate whose clusters differ: errors Poisson, rates gamma over clusters.

    Args:
        sums: (clusters, 2) errors and units.

    Returns:
        Quantiles of the posterior of the mean rate, flat in its logarithm; the prior of the squared
        coefficient of variation ``v`` over clusters is proportional to its root (0.02 to 20), so that few
        errors do not pass for proof that clusters are alike.
    """
    rows, repeats = np.unique(sums.astype(np.int64), axis=0, return_counts=True)
    center = (sums[:, 0].sum() + 0.5) / sums[:, 1].sum()
    tail = (1 - confidence) / 2
    steps = np.linspace(-3.2, 3.2, 81)
    for _ in range(2):  # once more, finely, where the first look found the rate
        cumulated = _posterior(rows, repeats, center, steps)
        inside = np.flatnonzero((cumulated > tail / 1000) & (cumulated < 1 - tail / 1000))
        looked, first, last = steps, max(inside[0] - 1, 0), min(inside[-1] + 1, len(steps) - 1)
        steps = np.linspace(steps[first], steps[last], 81)
    low, high = np.interp([tail, 1 - tail], cumulated, looked)
    return float(center * math.exp(low)), float(center * math.exp(high))


def _posterior(rows: Array, repeats: Array, center: float, steps: Array) -> Array:
    """Cumulated posterior of the logarithm of the mean rate over ``center``, at ``steps``."""
    errors, units = rows[:, 0].astype(float), rows[:, 1].astype(float)
    expected = center * np.exp(steps)[:, None] * units
    log_expected = np.log(np.maximum(expected, 1e-300))
    spreads = np.exp(np.linspace(math.log(0.02), math.log(20), 20))
    likelihood = np.empty((len(spreads), len(steps)))
    for place, spread in enumerate(spreads):
        shape = 1 / spread
        constant = repeats @ (gammaln(errors + shape) - gammaln(shape) + shape * math.log(shape))
        varying = errors * log_expected - (errors + shape) * np.log(shape + expected)
        likelihood[place] = constant + varying @ repeats + 0.5 * math.log(spread)
    posterior = np.exp(likelihood - likelihood.max()).sum(axis=0)
    found: Array = (np.cumsum(posterior) - posterior / 2) / posterior.sum()
    return found


def generator(seed: int, key: object) -> np.random.Generator:
    """Random numbers for one purpose: the same whatever else is computed, before or after."""
    return np.random.default_rng([seed, crc32(repr(key).encode())])


def bootstrap_draws(seed: int, clusters: int, resamples: int) -> Array:
    """How often each cluster is in each bootstrap sample, (resamples, clusters); kept, do not change it."""

    def draw() -> Array:
        drawn = generator(seed, ("draws", clusters)).integers(clusters, size=(resamples, clusters))
        drawn += np.arange(0, resamples * clusters, clusters)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=resamples * clusters)
        return counts.astype(np.uint16).reshape(resamples, clusters)

    return kept(("draws", seed, clusters, resamples), draw)


def kept(key: tuple[str, int, int, int], make: Any) -> Array:
    """Draws that all slices with as many clusters share, the last used 32 MB of them."""
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    draws: Array = make()
    with _lock:
        _kept[key] = draws
        while sum(held.nbytes for held in _kept.values()) > _KEPT_BYTES and len(_kept) > 1:
            _kept.popitem(last=False)
    return draws


def weighted(draws: Array, values: Array) -> Array:
    """``draws @ values`` in blocks of floats; draws are (resamples, clusters) of small integers."""
    step = max(1, _BLOCK // max(draws.shape[1], 1))
    totals = np.empty((len(draws), values.shape[1]))
    for start in range(0, len(draws), step):
        totals[start : start + step] = draws[start : start + step].astype(np.float64) @ values
    return totals
