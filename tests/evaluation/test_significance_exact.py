"""Paired differences value for value, by formulas written out here: what a mutant would move."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from workbench.evaluation import intervals
from workbench.evaluation import significance as s
from workbench.evaluation.few_changes import change_bounds
from workbench.evaluation.intervals import MANY, MIN_CLUSTERS, RESAMPLES


@pytest.fixture(autouse=True)
def _no_draws_of_before() -> None:
    intervals._kept.clear()


def drawn(clusters: int, seed: int = 3) -> np.ndarray:
    """(clusters, 3): many errors of both, changes in both directions, uneven sizes."""
    rng = np.random.default_rng(seed)
    units = rng.integers(40, 160, clusters)
    a = rng.binomial(units, 0.3)
    return np.column_stack([a, np.maximum(0, a + rng.integers(-9, 7, clusters)), units])


def ratio_error(sums: np.ndarray) -> float:
    """Linearized standard error of a ratio of sums, from clusters."""
    change, units = (sums[:, 1] - sums[:, 0]).astype(float), sums[:, 2].astype(float)
    rest = change - change.sum() / units.sum() * units
    n = len(sums)
    return math.sqrt(n / (n - 1) * float((rest**2).sum())) / float(units.sum())


def too_few(clusters: int) -> str:
    return f"an interval needs {MIN_CLUSTERS} independent units, there are {clusters}"


def test_too_few_clusters_have_a_difference_and_a_reason() -> None:
    found = s.paired_difference(np.array([[2, 1, 10]] * (MIN_CLUSTERS - 1)))
    assert found.difference == pytest.approx(-0.1)
    for value in (found.low, found.high, found.lower_bound, found.upper_bound, found.p_value):
        assert isinstance(value, float)
        assert math.isnan(value)
    assert found.p_method is None
    assert found.missing == too_few(MIN_CLUSTERS - 1)
    known = s.paired_difference(np.array([[2, 1, 10], *[[2, 2, 10]] * (MIN_CLUSTERS - 1)]))
    assert known.missing is None
    assert not math.isnan(known.low)


def test_clusters_in_which_nothing_happened_do_not_count() -> None:
    sums = np.array([[2, 1, 10]] * 3 + [[0, 0, 0]] * 9)
    assert s.paired_difference(sums).missing == too_few(3)


def test_errors_without_reference_units_have_no_difference() -> None:
    found = s.paired_difference(np.array([[1, 2, 0]] * 10))
    assert math.isnan(found.difference)
    assert math.isnan(found.low)
    assert found.missing is not None


def test_no_change_anywhere() -> None:
    sums = np.array([[3, 3, 100]] * 12)
    found = s.paired_difference(sums, confidence=0.9)
    changes = np.column_stack([np.zeros(12), sums[:, 2]])
    (low, high), (lower, upper) = change_bounds(changes, 0.05), change_bounds(changes, 0.1)
    assert (found.difference, found.p_value, found.p_method) == (0.0, 1.0, s.EXACT)
    assert found.low == pytest.approx(low)
    assert found.high == pytest.approx(high)
    assert found.lower_bound == pytest.approx(lower)
    assert found.upper_bound == pytest.approx(upper)
    assert low < lower < 0 < upper < high


def test_a_change_that_no_error_shows() -> None:
    """Clusters without words that one prediction wrote in: there is a change, though their units are none."""
    sums = np.array([[0, 1, 0]] * 2 + [[3, 3, 100]] * 10)
    found = s.paired_difference(sums)
    assert found.difference == pytest.approx(2 / 1000)
    assert found.p_value > 0


def test_all_flips_and_all_subsets_by_hand() -> None:
    """Ten clusters: 1,023 subsets and 1,024 flips, counted here one by one."""
    sums = drawn(10)
    change, units = sums[:, 1] - sums[:, 0], sums[:, 2]
    signs = np.array(list(itertools.product((1, -1), repeat=10)))
    flips = np.abs(signs @ change)
    subsets = [list(subset) for size in range(1, 11) for subset in itertools.combinations(range(10), size)]
    ratios = [change[subset].sum() / units[subset].sum() for subset in subsets]
    found = s.paired_difference(sums, confidence=0.9)
    assert found.p_method == s.EXACT
    assert found.p_value == pytest.approx(float(np.mean(flips >= abs(change.sum()))))
    changes = np.column_stack([change, units])
    bounds = change_bounds(changes, 0.05), change_bounds(changes, 0.1)
    low, lower, upper, high = np.quantile(ratios, [0.05, 0.1, 0.9, 0.95])
    assert found.low == pytest.approx(min(low, bounds[0][0]))
    assert found.high == pytest.approx(max(high, bounds[0][1]))
    assert found.lower_bound == pytest.approx(min(lower, bounds[1][0]))
    assert found.upper_bound == pytest.approx(max(upper, bounds[1][1]))


def test_ties_of_the_flips_count_as_extreme() -> None:
    """Eight clusters of +1 and two of -1: the sum 6 comes again by every flip that keeps six more up."""
    sums = np.array([[1, 2, 50]] * 8 + [[2, 1, 50]] * 2)
    ups = sum(math.comb(10, k) for k in range(11) if abs(2 * k - 10) >= 6)
    assert s.paired_difference(sums).p_value == pytest.approx(ups / 1024)


@pytest.mark.parametrize(("clusters", "resamples"), [(MANY + 1, RESAMPLES), (s.EXACT_CLUSTERS + 1, 0)])
def test_students_interval_where_clusters_are_many_or_nothing_is_drawn(clusters: int, resamples: int) -> None:
    sums = drawn(clusters)
    difference, error = (sums[:, 1] - sums[:, 0]).sum() / sums[:, 2].sum(), ratio_error(sums)
    found = s.paired_difference(sums, resamples=resamples, confidence=0.9)
    half = [stats.t.ppf(1 - tail, clusters - 1) * error for tail in (0.05, 0.1)]
    changes = np.column_stack([sums[:, 1] - sums[:, 0], sums[:, 2]])
    wide, narrow = change_bounds(changes, 0.05), change_bounds(changes, 0.1)
    assert found.p_method == s.TAIL
    assert found.low == pytest.approx(min(difference - half[0], wide[0]), rel=1e-6)
    assert found.high == pytest.approx(max(difference + half[0], wide[1]), rel=1e-6)
    assert found.lower_bound == pytest.approx(min(difference - half[1], narrow[0]), rel=1e-6)
    assert found.upper_bound == pytest.approx(max(difference + half[1], narrow[1]), rel=1e-6)
    # What is asserted above is Student's, not the bounds of few changes.
    assert difference - half[0] < wide[0]
    assert difference + half[0] > wide[1]
    assert difference - half[1] < narrow[0]
    assert difference + half[1] > narrow[1]


def test_where_drawing_ends_and_enumerating_begins() -> None:
    last, beyond = drawn(MANY), drawn(MANY + 1)
    assert s.paired_difference(last, resamples=50, seed=1) != s.paired_difference(last, resamples=50, seed=2)
    assert s.paired_difference(beyond, seed=1) == s.paired_difference(beyond, seed=2)
    some = drawn(s.EXACT_CLUSTERS)
    assert s.paired_difference(some, resamples=0) == s.paired_difference(some, resamples=70, seed=9)
    assert s.paired_difference(some).p_method == s.EXACT
    more = drawn(s.EXACT_CLUSTERS + 1)
    assert s.paired_difference(more).p_method == s.SAMPLED
    assert s.paired_difference(more) == s.paired_difference(more, seed=0, resamples=RESAMPLES)
    assert s.paired_difference(more) != s.paired_difference(more, seed=1)


def tail_by_hand(sums: np.ndarray) -> float:
    change, n = (sums[:, 1] - sums[:, 0]).astype(float), len(sums)
    spread = max(math.sqrt(n) * float(np.std(change, ddof=1)), ratio_error(sums) * float(sums[:, 2].sum()))
    return float(2 * stats.t.sf(abs(change.sum()) / spread, n - 1))


def test_students_tail_takes_over_at_the_floor_of_the_flips() -> None:
    """Every cluster gains: only nothing flipped and all flipped are as extreme."""
    rng = np.random.default_rng(2)
    gains = rng.integers(8, 11, 10)
    sums = np.column_stack([gains + 20, np.full(10, 20), np.full(10, 100)])
    found = s.paired_difference(sums)
    assert found.p_method == s.TAIL
    assert found.p_value == pytest.approx(min(2 / 1024, tail_by_hand(sums)))
    assert found.p_value < 2 / 1024
    # One flip more is as extreme: the floor is not reached, and the count of flips stands.
    sums[0] = (20, 20, 100)
    found = s.paired_difference(sums)
    assert (found.p_method, found.p_value) == (s.EXACT, pytest.approx(4 / 1024))


def test_the_floor_without_spread_is_said() -> None:
    found = s.paired_difference(np.array([[5, 3, 50]] * 10))
    assert (found.p_method, found.p_value) == (s.FLOOR, pytest.approx(2 / 1024))


def test_the_floor_of_sampled_flips() -> None:
    rng = np.random.default_rng(4)
    gains = rng.integers(6, 12, 30)
    sums = np.column_stack([gains + 20, np.full(30, 20), np.full(30, 100)])
    found = s.paired_difference(sums, resamples=200)
    assert found.p_method == s.TAIL
    assert found.p_value == pytest.approx(tail_by_hand(sums))


@pytest.mark.parametrize("seed", range(4))
def test_the_tail_by_its_formula(seed: int) -> None:
    sums = drawn(9, seed)
    changes = np.column_stack([sums[:, 1] - sums[:, 0], sums[:, 2]])
    assert s.tail_p_value(changes.astype(float)) == pytest.approx(tail_by_hand(sums))


def test_the_tail_without_spread() -> None:
    same = np.column_stack([np.full(9, -2.0), np.full(9, 50.0)])
    assert s.tail_p_value(same) == 0.0
    assert s.tail_p_value(np.column_stack([np.zeros(9), np.full(9, 50.0)])) == 0.0


def test_segments_of_nothing() -> None:
    nothing = np.zeros(0, np.int64)
    totals, of = s.segments(nothing, nothing, nothing, nothing)
    assert totals.shape == (0, 2)
    assert of.dtype == np.int64


def test_segments_by_hand() -> None:
    """Words 0, 1 and 4 of an utterance: two good words part them, one does not; an insertion after word 4."""
    utterance = np.array([0, 0, 0, 0, 1, 1])
    coordinate = np.array([1, 3, 9, 10, 1, 7])  # words 0, 1, 4, the gap after 4; words 0 and 3 of the next
    a, b = np.array([1, 0, 1, 1, 0, 1]), np.array([0, 1, 0, 1, 1, 1])
    totals, of = s.segments(utterance, coordinate, a, b)
    assert totals.tolist() == [[1, 1], [2, 1], [0, 1], [1, 1]]
    assert of.tolist() == [0, 0, 1, 1]
    totals, of = s.segments(utterance, coordinate, a, b, good_words=3)
    assert totals.tolist() == [[3, 2], [1, 2]]
    # One good word between does not part: words 0 and 2, and a gap and the word two further on.
    assert len(s.segments(np.zeros(2, int), np.array([1, 5]), np.ones(2), np.ones(2))[0]) == 1
    assert len(s.segments(np.zeros(2, int), np.array([2, 5]), np.ones(2), np.ones(2))[0]) == 1
    assert len(s.segments(np.zeros(2, int), np.array([2, 7]), np.ones(2), np.ones(2))[0]) == 2


def test_matched_pairs_by_hand() -> None:
    differences = np.array([1, 0, 2, -1, 1, 3])
    z = differences.mean() / (differences.std(ddof=1) / math.sqrt(6))
    assert s.matched_pairs(differences) == (pytest.approx(2 * stats.norm.sf(abs(z))), 6)
    assert s.matched_pairs(np.array([1, 0])) == (pytest.approx(2 * stats.norm.sf(1)), 2)
    assert s.matched_pairs(np.array([2, 2, 2])) == (pytest.approx(0.25), 3)
    assert s.matched_pairs(np.array([0, 0])) == (1.0, 2)
    alone, count = s.matched_pairs(np.array([1]))
    assert (math.isnan(alone), count) == (True, 1)


def test_one_sampled_flip_as_extreme_is_no_floor() -> None:
    sums = np.array([[2, 1, 50]] * 6 + [[1, 1, 50]] * 9)
    found = s.paired_difference(sums, resamples=40, seed=0)
    assert (found.p_method, found.p_value) == (s.SAMPLED, pytest.approx(2 / 41))


def test_coins_of_subsets_are_fair_and_kept_small() -> None:
    changes = np.column_stack([np.ones(20), np.full(20, 10.0)])
    sums = s._subset_sums(changes, 4000, 3)
    assert sums.shape == (4000, 2)
    assert sums[:, 0].mean() == pytest.approx(10, abs=0.2)
    assert (sums[:, 1] == 10 * sums[:, 0]).all()
    [key] = intervals._kept
    assert key == ("subsets", 3, 20, 4000)
    assert intervals._kept[key].dtype == np.uint8
    expected = intervals.generator(3, ("subsets", 20)).integers(0, 2, (4000, 20))
    assert (intervals._kept[key] == expected).all()


def test_holm_by_hand() -> None:
    found = s.holm(np.array([0.01, math.nan, 0.04, 0.03, 0.5]))
    assert found[[0, 2, 3, 4]] == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert math.isnan(found[1])
    assert s.holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
