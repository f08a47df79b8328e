"""Intervals and tests against other implementations, and against simulated truth."""

from __future__ import annotations

import math

import kaldialign
import numpy as np
import pytest
import simulation
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.evaluation import significance as sig
from workbench.evaluation.alignment import count


def test_small_simulation_covers_the_true_rate() -> None:
    held = [
        simulation.coverage(cell, 200, 300, seed) for seed, cell in enumerate(simulation.ACCENTS.values())
    ]
    assert 0.93 <= np.mean(held) <= 0.97


def test_small_simulation_rejects_at_its_level() -> None:
    null = simulation.difference_rejections(simulation.ACCENTS["B"], 0.0, 0.02, 300, 300, 1)
    assert 0.02 <= null["rejected"] <= 0.085
    assert 0.02 <= null["wrongly_non_inferior"] <= 0.085
    real = simulation.difference_rejections(simulation.ACCENTS["C"], -0.06, 0.02, 40, 300, 2)
    assert real["rejected"] > 0.9
    assert 0.03 <= simulation.matched_pairs_rejections(200, 0.15, 0.15, 400, 3) <= 0.075
    assert simulation.matched_pairs_rejections(400, 0.15, 0.11, 60, 4) > 0.9


@pytest.mark.parametrize("clusters", [7, 400])
def test_resampling_has_the_moments_of_a_bootstrap(clusters: int) -> None:
    """Both ways of drawing; few distinct sums take the multinomial, distinct ones the drawn numbers."""
    rng = np.random.default_rng(5)
    for values in (rng.integers(0, 3, (clusters, 2)), rng.integers(0, 10_000, (clusters, 2))):
        totals = sig.resampled_sums(values, 20_000, rng)
        expected = values.sum(axis=0)
        spread = np.sqrt(clusters) * values.std(axis=0)
        assert np.allclose(totals.mean(axis=0), expected, atol=4 * spread.max() / math.sqrt(20_000))
        assert np.allclose(totals.std(axis=0), spread, rtol=0.05)
        ours = np.cov(totals.T)[0, 1]
        assert ours == pytest.approx(clusters * np.cov(values.T, ddof=0)[0, 1], abs=0.05 * spread.prod())


@pytest.mark.parametrize("clusters", [7, 400, 5000])
def test_shared_draws_are_a_bootstrap_too(clusters: int) -> None:
    """A seed instead of random numbers: the same draws for all slices of as many clusters."""
    values = np.random.default_rng(6).integers(0, 10_000, (clusters, 2))
    totals = sig.resampled_sums(values, 4000 if clusters < 1000 else 1000, 11)
    spread = np.sqrt(clusters) * values.std(axis=0)
    assert np.allclose(
        totals.mean(axis=0), values.sum(axis=0), atol=5 * spread.max() / math.sqrt(len(totals))
    )
    assert np.allclose(totals.std(axis=0), spread, rtol=0.1)
    assert np.array_equal(totals, sig.resampled_sums(values, len(totals), 11))
    assert not np.array_equal(totals, sig.resampled_sums(values, len(totals), 12))
    assert np.array_equal(sig.resampled_sums(2 * values, len(totals), 11), 2 * totals)


def test_draws_kept_are_whole_samples_and_few() -> None:
    for clusters in range(1000, 4000, 100):
        draws = sig.shared_draws(3, clusters, 1000)
        assert (draws.sum(axis=1) == clusters).all()
    assert sum(kept.nbytes for kept in sig._kept.values()) <= sig._KEPT_BYTES


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
        found = sig.ratio_interval(sums[:, [column, 2]], resamples=4000, rng=np.random.default_rng(2))
        assert found.low == pytest.approx(theirs[system]["ci95min"], abs=0.003)
        assert found.high == pytest.approx(theirs[system]["ci95max"], abs=0.003)
    difference = sig.paired_difference(sums, resamples=4000, rng=np.random.default_rng(3))
    improved = theirs["p_s2_improv_over_s1"]
    assert (improved > 0.975) == (difference.p_value < 0.05 and difference.difference < 0)


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
    found = sig.paired_difference(sums, resamples=100, rng=np.random.default_rng(0))
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_one_cluster_has_no_interval() -> None:
    found = sig.ratio_interval(np.array([[1, 10]]), resamples=100, rng=np.random.default_rng(0))
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_seeds_do_not_depend_on_what_else_is_computed() -> None:
    first = sig.generator(1, ("a", "b")).random()
    sig.generator(1, ("c",)).random()
    assert sig.generator(1, ("a", "b")).random() == first != sig.generator(1, ("a", "c")).random()
