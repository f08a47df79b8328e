"""Control charts of a field log: has this week left what the release did in its first weeks?

Every quantity is compared with the release's own baseline. Its distance is a standardized residual: for
shares and counts the signed root of the likelihood ratio with a continuity correction, for means the
difference over its standard error; both count the baseline's own uncertainty, since a few weeks are no known
rate. Production varies more from week to week than drawing at random does (callers call twice, Mondays
differ), so residuals are divided by the root of a dispersion that the baseline weeks themselves show, pooled
over locales, never below 1: Laney's p′ chart (D. B. Laney, "Improved Control Charts for Attributes", Quality
Engineering 14(4), 2002), in the quasi-likelihood form of McCullagh and Nelder (1989), with Student's t for
the weeks it rests on.

Two rules look at each chart: the week alone (Shewhart) and an exponentially weighted mean of the weeks since
the baseline (S. W. Roberts, Technometrics 1(3), 1959), which finds slow drift; its limit accounts for the
baseline that all its weeks share. The chance of any false alarm in a week, over all locales, quantities and
both rules, is held at ``false_alarms_per_week`` by Bonferroni's inequality.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

Kind = Literal["share", "count", "mean", "ratio"]
LAMBDA = 0.25
SMALLEST = 30
FEWEST_WEEKS = 4


@dataclass(frozen=True, slots=True)
class Quantity:
    """One thing that is watched. ``hits`` of ``size`` for shares; ``size`` alone for counts and means."""

    name: str
    kind: Kind
    label: str
    size: str
    hits: str = ""


QUANTITIES: tuple[Quantity, ...] = (
    Quantity("volume", "count", "calls", "calls"),
    Quantity("empty", "share", "empty outputs", "read", "empty"),
    Quantity("other_language", "share", "language other than asked for", "compared", "other_language"),
    Quantity("confidence", "mean", "confidence", "rated"),
    Quantity("slow", "share", "calls slower than the baseline's 95th percentile", "timed", "slow"),
    Quantity("punctuation", "ratio", "punctuation marks per word", "marked"),
)  # fmt: skip


def parts(quantity: Quantity, table: pd.DataFrame) -> dict[str, Array]:
    """What a chart needs of weekly rows: ``n``, ``value``, and ``variance`` of one call (means)."""
    n = table[quantity.size].to_numpy(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        if quantity.kind == "count":
            return {"n": n, "value": n, "variance": np.full(len(n), np.nan)}
        if quantity.kind == "share":
            value = table[quantity.hits].to_numpy(float) / n
            return {"n": n, "value": value, "variance": np.full(len(n), np.nan)}
        if quantity.kind == "mean":
            variance = table["confidence_variance"].to_numpy(float)
            return {"n": n, "value": table["confidence"].to_numpy(float), "variance": variance}
        words, marks = table["words"].to_numpy(float), table["marks"].to_numpy(float)
        ratio, squared = marks / words, table["words_squared"].to_numpy(float)
        left = table["marks_squared"].to_numpy(float) + ratio**2 * squared
        left = left - 2 * ratio * table["words_marks"].to_numpy(float)
        # Linearized: a ratio of sums varies as the mean of (marks − ratio × words) over mean words.
        return {"n": n, "value": ratio, "variance": left / np.maximum(n - 1, 1) / (words / n) ** 2}


def together(quantity: Quantity, held: dict[str, Array]) -> tuple[float, float, float]:
    """(n, value, variance) of several weeks as one; of counts: the number of weeks and their mean."""
    n, value, variance = held["n"], held["value"], held["variance"]
    if quantity.kind == "count":
        return float(len(n)), float(n.mean()), float("nan")
    usable = (n > 0) & np.isfinite(value)
    n, value, variance = n[usable], value[usable], variance[usable]
    total = float(n.sum())
    if total == 0:
        return 0.0, float("nan"), float("nan")
    pooled = np.average(np.nan_to_num(variance), weights=np.maximum(n - 1, 0) + 1e-9)
    return total, float(np.average(value, weights=n)), float(pooled)


def residual(kind: Kind, n: Array, value: Array, variance: Array, base: tuple[Array, Array, Array]) -> Array:
    """Standardized distance of weeks from a baseline, positive above; arrays of one shape.

    Args:
        n, value, variance: of each week. ``base``: the same of what it is compared with.
    """
    base_n, base_value, base_variance = base
    with np.errstate(invalid="ignore", divide="ignore"):
        if kind in ("mean", "ratio"):
            both = np.maximum(variance, 1e-12) / n + np.maximum(base_variance, 1e-12) / base_n
            return np.asarray((value - base_value) / np.sqrt(both))
        if kind == "count":
            total = value + base_value * base_n
            expected = total / (base_n + 1)
            x = _corrected(value, expected)
            return _root(x, expected, total - x, total - expected)
        hits, base_hits = value * n, base_value * base_n
        pooled = (hits + base_hits) / (n + base_n)
        expected = pooled * n
        x = _corrected(hits, expected)
        moved = hits - x
        y = base_hits + moved
        sign_root = _root(x, expected, n - x, n - expected)
        back = _root(y, pooled * base_n, base_n - y, base_n - pooled * base_n)
        return np.asarray(np.sign(sign_root) * np.sqrt(sign_root**2 + back**2))


def _corrected(x: Array, expected: Array) -> Array:
    """Half a call nearer to what is expected: the continuity correction."""
    return np.asarray(x - np.clip(x - expected, -0.5, 0.5))


def _root(x: Array, expected: Array, rest: Array, expected_rest: Array) -> Array:
    """Signed root of twice the log likelihood ratio of a binomial count."""
    with np.errstate(invalid="ignore", divide="ignore"):
        first = np.where(x > 0, x * np.log(np.where(x > 0, x, 1) / expected), 0.0)
        second = np.where(rest > 0, rest * np.log(np.where(rest > 0, rest, 1) / expected_rest), 0.0)
    deviance = np.maximum(2 * (first + second), 0.0)
    return np.asarray(np.where(expected > 0, np.sign(x - expected) * np.sqrt(deviance), 0.0))


def limits(
    kind: Kind, n: Array, variance: Array, base: tuple[Array, Array, Array], reach: Array
) -> tuple[Array, Array]:
    """(low, high): the values at which the residual of a week of ``n`` calls equals ∓ ``reach``."""
    base_n, base_value, base_variance = base
    if kind in ("mean", "ratio"):
        with np.errstate(invalid="ignore", divide="ignore"):
            both = np.maximum(variance, 1e-12) / n + np.maximum(base_variance, 1e-12) / base_n
            half = reach * np.sqrt(both)
        return np.maximum(base_value - half, 0.0), base_value + half
    top = np.ones_like(base_value) if kind == "share" else base_value * 20 + 200
    found = []
    for sign, low, high in ((-1, np.zeros_like(base_value), base_value), (1, base_value, top)):
        near, far = (high.copy(), low.copy()) if sign < 0 else (low.copy(), high.copy())
        for _ in range(40):
            middle = (near + far) / 2
            beyond = sign * residual(kind, n, middle, variance, base) > reach
            near, far = np.where(beyond, near, middle), np.where(beyond, middle, far)
        found.append((near + far) / 2)
    return found[0], found[1]


def smoothed(z: Array, shared: Array) -> tuple[Array, Array]:
    """EWMA of residuals of successive weeks and its standard deviation.

    Args:
        z: residuals with variance 1. ``shared``: the part of each one's variance that comes from the
            baseline, which is the same in all weeks.
    """
    values, deviations = np.empty(len(z)), np.empty(len(z))
    level = own = common = 0.0
    for i, (residual_, part) in enumerate(zip(z, shared, strict=True)):
        known = bool(np.isfinite(residual_))
        weight = LAMBDA if known else 0.0
        level = (1 - weight) * level + (weight * residual_ if known else 0.0)
        own = (1 - weight) ** 2 * own + weight**2 * (1 - part if known else 0.0)
        common = (1 - weight) * common + weight * float(np.sqrt(part) if known else 0.0)
        values[i], deviations[i] = level, float(np.sqrt(own + common**2))
    return values, deviations
