"""Intervals value for value, by formulas written out here: what a mutant would move."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from workbench.evaluation import intervals as i
from workbench.evaluation.few_changes import change_bounds


def alike(errors: int, units: int, clusters: int = 12) -> np.ndarray:
    return np.array([[errors, units]] * clusters, float)


def test_where_everything_is_wrong_neither_end_is_certain() -> None:
    sums = alike(10, 10)
    found = i.ratio_interval(sums, confidence=0.9)
    none = change_bounds(np.column_stack([np.zeros(12), sums[:, 1]]), 0.05)[1]
    assert (found.low, found.high) == (pytest.approx(1 - none), pytest.approx(1 + none))
    assert 0 < none < 0.2
    few = i.ratio_interval(alike(1, 1, 8), confidence=0.9999999)
    assert few.low == 0.0 < few.high - 1


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_rarer_of_right_and_wrong_is_counted(confidence: float) -> None:
    right = np.array([2] + [1] * 22 + [0], float)
    sums = np.column_stack([10 - right, np.full(24, 10.0)])
    mirrored = i.gamma_poisson(np.column_stack([right, sums[:, 1]]), confidence)
    found = i.ratio_interval(sums, confidence=confidence)
    assert (found.low, found.high) == (pytest.approx(1 - mirrored[1]), pytest.approx(1 - mirrored[0]))
    wrong = alike(1, 10)
    found = i.ratio_interval(wrong, confidence=confidence)
    assert (found.low, found.high) == pytest.approx(i.gamma_poisson(wrong, confidence))
    half = alike(5, 10)  # as many right as wrong: errors are counted
    found = i.ratio_interval(half, confidence=confidence)
    assert (found.low, found.high) == pytest.approx(i.gamma_poisson(half, confidence))


def test_a_cluster_with_more_errors_than_words_is_counted_as_errors() -> None:
    sums = alike(99, 100, 60)
    sums[0] = (101, 100)
    found = i.ratio_interval(sums)
    assert (found.low, found.high) == pytest.approx(i.gamma_poisson(sums))


def posterior(sums: np.ndarray, spread: float, rate: float) -> float:
    """Likelihood of the errors times the prior of the spread, by scipy's negative binomial."""
    shape = 1 / spread
    expected = rate * sums[:, 1]
    chance = stats.nbinom.pmf(sums[:, 0], shape, shape / (shape + expected))
    return float(np.prod(chance)) * math.sqrt(spread)


@pytest.mark.parametrize("tail", [0.025, 0.05])
def test_the_posterior_of_a_rare_rate_by_integration(tail: float) -> None:
    sums = np.array([[0, 90], [1, 110], [0, 100], [3, 70], [0, 40], [1, 130], [0, 75], [2, 105]], float)
    spreads = np.exp(np.linspace(math.log(0.02), math.log(20), 20))

    def density(log_rate: float) -> float:
        return sum(posterior(sums, spread, math.exp(log_rate)) for spread in spreads)

    center = math.log((sums[:, 0].sum() + 0.5) / sums[:, 1].sum())
    whole = integrate.quad(density, center - 3.2, center + 3.2, epsabs=0, epsrel=1e-9, limit=200)[0]
    low, high = i.gamma_poisson(sums, 1 - 2 * tail)
    for end, share in ((low, tail), (high, 1 - tail)):
        below = integrate.quad(density, center - 3.2, math.log(end), epsabs=0, epsrel=1e-9, limit=200)[0]
        assert below / whole == pytest.approx(share, abs=5e-4)


def test_the_jackknife_leaves_out_each_cluster_in_turn() -> None:
    sums = np.array([[3, 10], [5, 20], [1, 9], [4, 31]], float)
    kept = [np.delete(sums, place, axis=0).sum(axis=0) for place in range(4)]
    ratios = np.array([top / bottom for top, bottom in kept])
    expected = math.sqrt(3 / 4 * float(((ratios - ratios.mean()) ** 2).sum()))
    assert i.jackknife_error(sums) == pytest.approx(expected)


def spread(influences: np.ndarray, clusters: int) -> float:
    return math.sqrt(float((influences**2).sum()) * clusters / (clusters - 1))


def test_the_interval_of_a_linear_figure() -> None:
    influences = np.array([0.01, -0.02, 0.015, -0.005, 0.02, -0.01, 0.005, -0.015])
    found = i.linear_interval(0.3, influences, 8, 0.9)
    half = stats.t.ppf(0.95, 7) * spread(influences, 8)
    assert found == pytest.approx((0.3 - half, 0.3 + half))
    half = stats.t.ppf(0.975, 7) * spread(influences, 8)
    assert i.linear_interval(0.3, influences, 8) == pytest.approx((0.3 - half, 0.3 + half))
    assert all(math.isnan(end) for end in i.linear_interval(0.3, influences, 7, 0.9))
    assert all(math.isnan(end) for end in i.linear_interval(0.3, np.full(8, math.nan), 8, 0.9))
    assert all(math.isnan(end) for end in i.linear_interval(0.3, np.full(8, 1e-14), 8, 0.9))


def test_a_figure_of_few_clusters_has_no_interval() -> None:
    """Kish's number is (sum of squares)² over the sum of fourth powers: 2 equal ones are 2, 3 are 3."""
    for alive, told in ((2, False), (3, True)):
        influences = np.zeros(10)
        influences[:alive] = 0.1
        assert math.isnan(i.linear_interval(0.3, influences, 10)[0]) is not told
    influences = np.zeros(10)
    influences[:2] = 0.1
    influences[2] = 0.1 * 0.515  # Kish's number 2.5 lies between 0.515 and 0.53
    assert math.isnan(i.linear_interval(0.3, influences, 10)[0])
    influences[2] = 0.1 * 0.53
    assert not math.isnan(i.linear_interval(0.3, influences, 10)[0])


def test_how_alike_is_too_alike() -> None:
    """The chi-square quantile over its degrees of freedom."""
    for clusters in (8, 20, 300):
        quantile = 2 * special.gammaincinv((clusters - 1) / 2, i.TOO_ALIKE) / (clusters - 1)
        assert quantile == pytest.approx(stats.chi2.ppf(0.001, clusters - 1) / (clusters - 1))
        units = np.full(clusters, 1000.0)
        chance = float(i.chance_error(0.2 * 1000 * clusters, 1000 * clusters)) * math.sqrt(quantile)
        for factor, counted in ((0.999, True), (1.001, False)):
            # Errors alternate around 200 so that the standard error is the wanted multiple of chance.
            error = chance * factor * clusters * 1000
            step = error * math.sqrt((clusters - 1) / clusters) / math.sqrt(clusters)
            sums = np.column_stack([200 + step * np.where(np.arange(clusters) % 2, 1, -1), units])
            found = i.ratio_interval(sums)
            assert ((found.low, found.high) == i.gamma_poisson(sums)) is counted
