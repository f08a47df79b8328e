"""Intervals and tests against other implementations, and against simulated truth."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import kaldialign
import numpy as np
import pytest
import simulation
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from simulation import Cell

from workbench.evaluation import intervals
from workbench.evaluation import significance as sig
from workbench.evaluation.alignment import count
from workbench.evaluation.few_changes import change_bounds


def test_small_simulation_covers_the_true_rate() -> None:
    cells = [*simulation.ACCENTS.values(), *(replace(c, speakers=8) for c in simulation.ACCENTS.values())]
    held = [simulation.coverage(cell, 150, 300, seed)["held"] for seed, cell in enumerate(cells)]
    assert 0.93 <= np.mean(held) <= 0.975


@pytest.mark.parametrize("cell", simulation.RARE.values(), ids=simulation.RARE)
def test_rare_errors_of_uneven_speakers_are_covered(cell: Cell) -> None:
    """The percentile bootstrap covered 53 to 88 % of these."""
    found = simulation.coverage(cell, 300, 300, 5)
    assert found["held"] >= 0.92
    assert found["above"] <= 0.06


def test_small_simulation_rejects_at_its_level() -> None:
    null = simulation.difference_rejections(simulation.ACCENTS["B"], 0.0, 0.02, 300, 300, 1)
    assert 0.02 <= null["rejected"] <= 0.085
    assert 0.02 <= null["wrongly_non_inferior"] <= 0.085
    real = simulation.difference_rejections(simulation.ACCENTS["C"], -0.06, 0.02, 40, 300, 2)
    assert real["rejected"] > 0.9
    assert 0.03 <= simulation.matched_pairs_rejections(200, 0.15, 0.15, 400, 3) <= 0.075
    assert simulation.matched_pairs_rejections(400, 0.15, 0.11, 60, 4) > 0.9


def test_draws_are_a_bootstrap_kept_whole_and_few() -> None:
    values = np.random.default_rng(6).integers(0, 10_000, (7, 2))
    draws = intervals.bootstrap_draws(11, 7, 20_000)
    totals = intervals.weighted(draws, values)
    spread = np.sqrt(7) * values.std(axis=0)
    assert np.allclose(totals.mean(axis=0), values.sum(axis=0), atol=5 * spread.max() / math.sqrt(20_000))
    assert np.allclose(totals.std(axis=0), spread, rtol=0.05)
    assert np.cov(totals.T)[0, 1] == pytest.approx(
        7 * np.cov(values.T, ddof=0)[0, 1], abs=0.05 * spread.prod()
    )
    for clusters in range(200, 1000, 25):
        assert (intervals.bootstrap_draws(3, clusters, 1000).sum(axis=1) == clusters).all()
    assert sum(kept.nbytes for kept in intervals._kept.values()) <= intervals._KEPT_BYTES
    assert intervals.bootstrap_draws(11, 7, 20_000) is not draws  # the oldest was given up
    assert np.array_equal(intervals.bootstrap_draws(11, 7, 20_000), draws)


def test_the_wider_of_student_and_bootstrap_t_by_hand() -> None:
    """Student's limits from the textbook: t(7, 0.975) = 2.364624."""
    sums = np.array([[12, 100], [20, 110], [9, 90], [30, 120], [14, 100], [18, 105], [25, 95], [10, 80]])
    found = intervals.ratio_interval(sums, resamples=0)
    ratio = 138 / 800
    residuals = [e - ratio * u for e, u in sums.tolist()]
    spread = math.sqrt(8 / 7 * sum(r * r for r in residuals)) / 800 / ratio
    assert found.low == pytest.approx(ratio * math.exp(-2.364624 * spread), rel=1e-6)
    assert found.high == pytest.approx(ratio * math.exp(2.364624 * spread), rel=1e-6)
    wider = intervals.ratio_interval(sums, resamples=2000, seed=3)
    assert wider.low <= found.low
    assert wider.high >= found.high
    assert (wider.low, wider.high) != (found.low, found.high)
    narrower = intervals.ratio_interval(sums, resamples=0, confidence=0.9)
    assert narrower.high == pytest.approx(ratio * math.exp(1.894579 * spread), rel=1e-6)


def test_the_gamma_poisson_interval_against_integration_by_scipy() -> None:
    sums = np.array([[0, 100], [3, 120], [0, 90], [1, 110], [4, 100], [0, 95], [2, 130], [1, 105]])
    low, high = intervals.gamma_poisson(sums)

    def density(log_rate: float, log_spread: float) -> float:
        shape = math.exp(-log_spread)
        mean = math.exp(log_rate) * sums[:, 1]
        return float(np.prod(stats.nbinom.pmf(sums[:, 0], shape, shape / (shape + mean)))) * math.exp(
            0.5 * log_spread
        )

    spreads = np.linspace(math.log(0.02), math.log(20), 60)
    rates = np.linspace(math.log(0.0005), math.log(0.4), 400)
    posterior = np.array([sum(density(r, s) for s in spreads) for r in rates])
    cumulated = np.cumsum(posterior) / posterior.sum()
    assert low == pytest.approx(math.exp(np.interp(0.025, cumulated, rates)), rel=0.05)
    assert high == pytest.approx(math.exp(np.interp(0.975, cumulated, rates)), rel=0.05)
    assert low < 11 / 850 < high


@pytest.mark.parametrize(
    ("sums", "why"),
    [
        ([[5, 50]] * 7, "needs 8 independent units, there are 7"),
        ([[5, 50]] * 5, "there are 5"),
        ([[0, 50]] * 20, "nothing went wrong"),
        ([[40, 50], *[[0, 50]] * 19], "nearly all errors come from 1 of 20"),
        ([[1, 0]] * 9, "no reference units"),
    ],
)
def test_where_no_interval_can_be_had_a_sentence_stands(sums: list[list[int]], why: str) -> None:
    found = intervals.ratio_interval(np.array(sums))
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.missing is not None
    assert why in found.missing


ALIKE = {
    "equal": [[10, 50]] * 12,
    "one word more": [[10, 50]] * 11 + [[10, 51]],
    "equal in rate, not in size": [[2 * n, 10 * n] for n in range(1, 13)],
    "many": [[1, 5]] * 900,
}


@pytest.mark.parametrize("case", ALIKE.values(), ids=ALIKE)
def test_clusters_that_are_all_alike_are_still_a_sample(case: list[list[int]]) -> None:
    """At least Garwood's exact limits of the count, which differ by chance alone; not much more than them."""
    sums = np.array(case)
    errors, units = sums.sum(axis=0)
    found = intervals.ratio_interval(sums)
    low, high = (stats.chi2.ppf([0.025, 0.975], [2 * errors, 2 * errors + 2]) / 2 / units).tolist()
    assert found.low < low * 1.01
    assert found.high > high * 0.99
    assert found.high - found.low < 1.5 * (high - low)


def test_words_right_are_counted_where_they_are_the_rarer() -> None:
    found = intervals.ratio_interval(np.array([[48, 50]] * 12))
    low, high = (stats.chi2.ppf([0.025, 0.975], [48, 50]) / 2 / 600).tolist()
    assert 1 - 1.4 * high < found.low < 1 - high
    assert 1 - low < found.high < 1


@pytest.mark.parametrize("odd", [[40, 50], [20, 50], [0, 50]])
def test_resamples_without_the_one_that_differs_do_not_explode(odd: list[int]) -> None:
    """Their own spread is nearly none: divided by it, the upper end passed what a float holds."""
    found = intervals.ratio_interval(np.array([[10, 50]] * 10 + [[10, 51], odd]))
    assert 0.05 < found.low < found.high < 0.6


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 60)), min_size=8, max_size=20))
def test_an_interval_is_never_a_point_nor_without_end(case: list[tuple[int, int]]) -> None:
    found = intervals.ratio_interval(np.array(case), resamples=200)
    rate = sum(e for e, _ in case) / sum(u for _, u in case)
    assert found.missing or 0 <= found.low < rate < found.high < 100 * max(rate, 1)


@pytest.mark.parametrize(("errors", "units"), [(1, 49), (3, 7), (0, 5)])
def test_rounding_is_no_spread(errors: int, units: int) -> None:
    alike = np.full((12, 2), [errors, units], float)
    moved = intervals.influence(alike[:, 0], alike[:, 1])
    assert math.isnan(intervals.linear_interval(errors / units, moved, 12)[0])


def test_a_share_near_one_is_the_mirror_of_rare_failures() -> None:
    failed = np.array([[0, 100], [3, 120], [0, 90], [1, 110], [4, 100], [0, 95], [2, 130], [1, 105]])
    right = np.column_stack([failed[:, 1] - failed[:, 0], failed[:, 1]])
    few, many = intervals.ratio_interval(failed), intervals.ratio_interval(right, share=True)
    assert (many.low, many.high) == pytest.approx((1 - few.high, 1 - few.low))
    assert many.high < 1


def test_intervals_over_utterances_agree_with_kaldialign() -> None:
    rng = np.random.default_rng(9)
    references = [[f"w{n}" for n in rng.integers(0, 50, rng.integers(3, 15))] for _ in range(400)]
    hypotheses = [[w if rng.random() > 0.2 else "x" for w in r if rng.random() > 0.05] for r in references]
    second = [[w if rng.random() > 0.15 else "x" for w in r] for r in references]
    theirs = kaldialign.bootstrap_wer_ci(references, hypotheses, second, replications=4000, seed=1)
    counts = [
        (count(r, h).errors, count(r, s).errors, len(r))
        for r, h, s in zip(references, hypotheses, second, strict=True)
    ]
    sums = np.array(counts)
    for column, system in ((0, "system1"), (1, "system2")):
        found = intervals.ratio_interval(sums[:, [column, 2]], resamples=4000, seed=2)
        assert found.low == pytest.approx(theirs[system]["ci95min"], abs=0.004)
        assert found.high == pytest.approx(theirs[system]["ci95max"], abs=0.004)
    difference = sig.paired_difference(sums, resamples=4000, seed=3)
    improved = theirs["p_s2_improv_over_s1"]
    assert (improved > 0.975) == (difference.p_value < 0.05 and difference.difference < 0)


changes = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 40)), min_size=8, max_size=11
)


@settings(max_examples=60, deadline=None)
@given(changes)
def test_small_cases_are_exact_enumeration(case: list[tuple[int, int, int]]) -> None:
    """Oracle: every way to swap the two systems' names, one at a time."""
    found = sig.paired_difference(np.array(case))
    moved = [b - a for a, b, _ in case]
    least = [
        change_bounds(np.array([[b - a, units] for a, b, units in case]), tail) for tail in (0.025, 0.05)
    ]
    if not any(moved):
        assert found.p_value == 1
        assert (found.low, found.high) == pytest.approx(least[0])
        assert (found.lower_bound, found.upper_bound) == pytest.approx(least[1])
        return
    flips = [
        sum(s * d for s, d in zip(signs, moved, strict=True)) for signs in product((1, -1), repeat=len(case))
    ]
    exact = sum(abs(flip) >= abs(sum(moved)) for flip in flips) / len(flips)
    if found.p_method == sig.EXACT:
        assert found.p_value == pytest.approx(exact)
    else:
        assert exact == pytest.approx(2 / 2 ** len(case))
        assert found.p_value <= exact
    members = np.array(list(product((0, 1), repeat=len(case))))[1:]
    ratios = (members @ moved) / (members @ [units for _, _, units in case])
    ends = [(*np.quantile(ratios, [tail, 1 - tail]), *least[n]) for n, tail in enumerate((0.025, 0.05))]
    assert (found.low, found.high) == pytest.approx((min(ends[0]), max(ends[0])))
    assert (found.lower_bound, found.upper_bound) == pytest.approx((min(ends[1]), max(ends[1])))


def test_one_sided_bounds_are_at_the_one_sided_level() -> None:
    """By hand: sums over subsets of eight clusters of 100 words that changed by 1, 2, 4 … 128 are 1 … 255."""
    sums = np.array([[0, 2**n, 100] for n in range(8)])
    ratios = np.array(
        [sum(2**n for n in range(8) if k >> n & 1) / (100 * k.bit_count()) for k in range(1, 256)]
    )
    found = sig.paired_difference(sums)
    counted = {tail: change_bounds(sums[:, 1:], tail)[1] for tail in (0.05, 0.025)}
    assert found.upper_bound == pytest.approx(max(np.quantile(ratios, 0.95), counted[0.05]))
    assert found.high == pytest.approx(max(np.quantile(ratios, 0.975), counted[0.025]))
    assert found.upper_bound < found.high
    assert found.lower_bound > found.low


def test_a_great_difference_has_a_small_p_value_whatever_the_resamples() -> None:
    """From 60 % to 5 % wrong in every one of ten voices: Holm over 40 slices still says yes."""
    rng = np.random.default_rng(1)
    units = rng.integers(80, 200, 10)
    sums = np.column_stack([rng.binomial(units, 0.6), rng.binomial(units, 0.05), units])
    for resamples in (0, 100, 1000):
        found = sig.paired_difference(sums, resamples=resamples)
        assert found.p_value * 40 < 0.001
        assert found.p_method == sig.TAIL
        assert found.high < -0.4
    many = np.tile(sums, (5, 1))
    sampled = sig.paired_difference(many, resamples=1000)
    assert (sampled.p_value < 1e-6, sampled.p_method) == (True, sig.TAIL)
    d = (many[:, 1] - many[:, 0]).astype(float)
    d_rate = d - d.sum() / many[:, 2].sum() * many[:, 2]
    spread = max(d.std(ddof=1), math.sqrt((d_rate**2).sum() / 49)) * math.sqrt(50)
    assert sampled.p_value == pytest.approx(2 * stats.t.sf(abs(d.sum()) / spread, 49))


def test_the_floor_is_said_where_no_tail_can_be_had() -> None:
    found = sig.paired_difference(np.array([[10, 5, 100]] * 9))
    assert (found.p_value, found.p_method) == (2 / 2**9, sig.FLOOR)
    assert found.low < -0.05 < found.high < 0


def test_sampled_flips_agree_with_all_flips() -> None:
    rng = np.random.default_rng(8)
    sums = np.column_stack([rng.integers(5, 20, 14), rng.integers(5, 18, 14), rng.integers(80, 120, 14)])
    exact = sig.paired_difference(sums)
    subsets = sig._subset_sums(np.column_stack([sums[:, 1] - sums[:, 0], sums[:, 2]]).astype(float), 0, 0)
    assert len(subsets) == 2**14 - 1
    padded = np.vstack([sums, [[0, 0, 1]]])  # a fifteenth voice, of one word
    sampled = sig.paired_difference(padded, resamples=20_000, seed=4)
    assert sampled.p_method == sig.SAMPLED
    assert sampled.p_value == pytest.approx(exact.p_value, abs=0.015)
    assert sampled.low == pytest.approx(exact.low, abs=0.002)


def test_many_clusters_take_the_normal_test() -> None:
    rng = np.random.default_rng(3)
    sums = np.column_stack([rng.integers(0, 3, 3000), rng.integers(0, 3, 3000), rng.integers(5, 9, 3000)])
    found = sig.paired_difference(sums)
    assert found.p_method == sig.TAIL
    assert found.p_value == pytest.approx(
        sig.matched_pairs((sums[:, 0] - sums[:, 1]).astype(float))[0], abs=0.002
    )
    assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(
            st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=2, max_size=2),
            st.lists(st.lists(st.integers(0, 2), min_size=n + 1, max_size=n + 1), min_size=2, max_size=2),
        )
    )
)
def test_segments_agree_with_a_word_by_word_walk(case: tuple[list[list[bool]], list[list[int]]]) -> None:
    hits, inserted = case
    rows, places, sides = [], [], []
    for side in (0, 1):
        for place, hit in enumerate(hits[side]):
            places += [2 * place + 1] * (not hit)
            sides += [side] * (not hit)
        for place, number in enumerate(inserted[side]):
            places += [2 * place] * number
            sides += [side] * number
    rows = [0] * len(places)
    side = np.array(sides, int)
    table, owner = sig.segments(np.array(rows, int), np.array(places, int), side == 0, side == 1)
    assert [tuple(int(v) for v in line) for line in table] == simulation.naive_segments(hits, inserted)
    assert len(owner) == len(table)


def test_matched_pairs_is_the_z_test_of_the_segment_differences() -> None:
    differences = np.array([1, 0, 2, -1, 0, 1, 1, 3, 0, -1, 2, 1], float)
    mean = sum(differences) / 12
    variance = sum((d - mean) ** 2 for d in differences) / 11
    z = mean / math.sqrt(variance / 12)
    expected = 2 * (1 - 0.5 * (1 + math.erf(z / math.sqrt(2))))
    assert sig.matched_pairs(differences)[0] == pytest.approx(expected)
    assert math.isnan(sig.matched_pairs(np.array([1.0]))[0])
    assert sig.matched_pairs(np.zeros(5))[0] == 1.0
    assert sig.matched_pairs(np.ones(5))[0] == 2 / 2**5
    assert sig.matched_pairs(np.array([1.0, -1.0])) == (1.0, 2)


def test_holm_by_hand() -> None:
    adjusted = sig.holm(np.array([0.01, 0.04, np.nan, 0.03, 0.005]))
    assert adjusted[[0, 1, 3, 4]] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert np.isnan(adjusted[2])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_and_keeps_the_order(p_values: list[float]) -> None:
    p = np.array(p_values)
    adjusted = sig.holm(p)
    assert (adjusted >= p - 1e-15).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_identical_systems_differ_by_nothing() -> None:
    sums = np.array([[3, 3, 10], [1, 1, 8], [0, 0, 5]])
    sums = np.tile(sums, (3, 1))
    found = sig.paired_difference(sums, resamples=100)
    assert (found.difference, found.p_value) == (0, 1)
    assert -found.low == found.high == change_bounds(sums[:, [0, 2]] * [0, 1], 0.025)[1] > 0


def test_seeds_do_not_depend_on_what_else_is_computed() -> None:
    first = intervals.generator(1, ("a", "b")).random()
    intervals.generator(1, ("c",)).random()
    assert intervals.generator(1, ("a", "b")).random() == first != intervals.generator(1, ("a", "c")).random()
