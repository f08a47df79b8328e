"""A change that the sample does not show may still be: intervals of few changes, and what passes on them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workbench.evaluation import few_changes, intervals
from workbench.evaluation import significance as sig
from workbench.release.verdicts import PASS, UNKNOWN, non_inferior

Sums = list[tuple[int, int, int]]


def sums(clusters: int, units: int, changes: tuple[int, ...] = ()) -> np.ndarray:
    """Clusters of equal size; ``changes``: errors of b minus errors of a of the first ones."""
    table = np.zeros((clusters, 3))
    table[:, 0], table[:, 1], table[:, 2] = 2, 2, units
    table[: len(changes), 1] += changes
    return table


@pytest.mark.parametrize("tail", [0.025, 0.05, 0.005])
def test_nothing_changed_is_the_rule_of_three_on_half_the_clips(tail: float) -> None:
    """By scipy's own distributions: Poisson's limit of none, a design effect of 2, Student's share for 8."""
    low, high = few_changes.change_bounds(sums(8, 16)[:, [0, 2]] * [0, 1], tail)
    student = (stats.t.ppf(tail, 7) / stats.norm.ppf(tail)) ** 2
    assert high == pytest.approx(-math.log(tail) * 2 * student / 128)
    assert low == -high


def test_exact_values_of_one_clip_that_changed() -> None:
    """One of 200 clips of 10 speakers got worse: the design effect is (1 · 0.9·10/9 + 2) / 2 = 1.5."""
    changes = np.array([[1.0, 20], *[[0, 20]] * 9])
    spread = (0.9**2 + 9 * 0.1**2) * 10 / 9
    design = (spread + 2) / 2 * (stats.t.ppf(0.025, 9) / stats.norm.ppf(0.025)) ** 2
    assert few_changes.design_effect(changes, 0.025) == pytest.approx(design)
    low_count, high_count = stats.gamma.ppf(0.025, 1 / design), stats.gamma.ppf(0.975, 1 / design + 1)
    none = -math.log(0.025) * design / 200
    low, high = few_changes.change_bounds(changes, 0.025)
    assert low == pytest.approx(0.005 - math.hypot(0.005 - low_count * design / 200, none))
    assert high == pytest.approx(0.005 + (high_count * design / 200 - 0.005))


def test_independent_clips_take_garwoods_limits() -> None:
    """Changes spread as Poisson's have no design effect but Student's, which vanishes with many clusters."""
    rng = np.random.default_rng(4)
    moved = rng.poisson(0.03, 60_000)
    changes = np.column_stack([moved, np.ones(60_000)]).astype(float)
    count = int(moved.sum())
    low, high = few_changes.change_bounds(changes, 0.025)
    none = 3.689 / 60_000
    assert high == pytest.approx(stats.chi2.ppf(0.975, 2 * count + 2) / 2 / 60_000, rel=0.01)
    assert low == pytest.approx(stats.chi2.ppf(0.025, 2 * count) / 2 / 60_000, abs=2 * none)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 40)), min_size=8, max_size=30),
    st.sampled_from([0.9, 0.95, 0.99]),
)
def test_no_interval_is_a_point(case: Sums, confidence: float) -> None:
    table = np.array(case)
    found = sig.paired_difference(table, resamples=100, confidence=confidence)
    assert found.low < found.difference < found.high
    assert found.low <= found.lower_bound <= found.difference <= found.upper_bound <= found.high
    mirrored = sig.paired_difference(table[:, [1, 0, 2]], resamples=100, confidence=confidence)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low), abs=0.02)


@given(st.integers(8, 60), st.integers(1, 40))
def test_more_speakers_say_more(clusters: int, units: int) -> None:
    fewer = sig.paired_difference(sums(clusters, units))
    more = sig.paired_difference(sums(clusters + 1, units))
    assert 0 < more.upper_bound <= fewer.upper_bound
    assert fewer.high == -fewer.low
    assert (fewer.difference, fewer.p_value) == (0, 1)


@pytest.mark.parametrize(
    ("clusters", "clips", "verdict"), [(8, 16, UNKNOWN), (8, 60, PASS), (20, 20, PASS), (12, 5, UNKNOWN)]
)
def test_equal_systems_pass_a_margin_of_two_points_only_on_enough_clips(
    clusters: int, clips: int, verdict: str
) -> None:
    found = sig.paired_difference(sums(clusters, clips))
    row = {"difference": 0.0, "lower_bound": found.lower_bound, "upper_bound": found.upper_bound}
    assert non_inferior(row, 0.02)[0] == verdict


def test_changes_of_more_than_every_word_are_bounded_too() -> None:
    """Insertions: from 20 % to 180 % wrong. The bounds lie on both sides of what was seen."""
    table = np.array([[2, 18, 10]] * 8 + [[1, 19, 10]])
    found = sig.paired_difference(table)
    assert 1 < found.lower_bound < found.difference < found.upper_bound < found.high
    low, high = few_changes.change_bounds(np.array([[16.0, 10]] * 9), 0.025)
    assert low < 1.6 < high


def test_a_single_changed_clip_does_not_pass_either() -> None:
    found = sig.paired_difference(sums(8, 16, (1,)))
    row = {"difference": found.difference, "lower_bound": found.lower_bound, "upper_bound": found.upper_bound}
    assert non_inferior(row, 0.02)[0] == UNKNOWN
    assert found.lower_bound < 0 < found.upper_bound


def test_two_slices_without_an_error_or_spread_have_no_interval_of_their_gap() -> None:
    low, high = intervals.linear_interval(0.0, np.zeros(12), 12)
    assert math.isnan(low)
    assert math.isnan(high)
    one = np.zeros(12)
    one[3] = 0.02
    assert math.isnan(intervals.linear_interval(0.02, one, 12)[0])
