"""Simulated corpora whose true error rates are known, to test intervals and tests against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from workbench.evaluation import intervals
from workbench.evaluation import significance as sig
from workbench.evaluation.rates import Settings

Array = np.ndarray[Any, np.dtype[Any]]

DRAWS = Settings().seed
"""All replications share their draws, as all slices of an evaluation do."""


@dataclass(frozen=True)
class Cell:
    """An accent: its true rate, how much speakers differ (standard deviation of their rates), how many."""

    rate: float
    spread: float
    speakers: int


ACCENTS = {
    "A": Cell(0.08, 0.03, 30),
    "B": Cell(0.15, 0.06, 30),
    "C": Cell(0.30, 0.10, 40),
    "D": Cell(0.60, 0.15, 60),
}


def speaker_rates(cell: Cell, rng: np.random.Generator) -> Array:
    """Beta distributed with the cell's mean and spread."""
    size = cell.rate * (1 - cell.rate) / cell.spread**2 - 1
    return rng.beta(cell.rate * size, (1 - cell.rate) * size, cell.speakers)


def speaker_units(cell: Cell, rng: np.random.Generator) -> Array:
    """Words of each speaker: 8 to 24 utterances of 3 to 18 words."""
    utterances = rng.integers(8, 25, cell.speakers)
    words = rng.integers(3, 19, int(utterances.sum()))
    starts = np.cumsum(utterances) - utterances
    return np.add.reduceat(words, starts)


def sums(cell: Cell, rng: np.random.Generator) -> Array:
    """(speakers, 2) errors and words of one simulated cell."""
    units = speaker_units(cell, rng)
    return np.column_stack([rng.binomial(units, speaker_rates(cell, rng)), units])


def paired_sums(cell: Cell, change: float, interaction: float, rng: np.random.Generator) -> Array:
    """(speakers, 3) errors of a, errors of b and words.

    Args:
        change: true rate of b minus true rate of a.
        interaction: standard deviation over speakers of what they gain.
    """
    units, rates = speaker_units(cell, rng), speaker_rates(cell, rng)
    gain = rng.uniform(-1, 1, cell.speakers) * interaction * np.sqrt(3)
    second = np.clip(rates + change + gain, 0, 1)
    return np.column_stack([rng.binomial(units, rates), rng.binomial(units, second), units])


RARE = {
    "even": Cell(0.02, 0.01, 8),
    "uneven": Cell(0.02, 0.02, 8),
    "very uneven": Cell(0.02, 0.04, 8),
    "half a percent": Cell(0.005, 0.01, 8),
}
"""Two words in a hundred, or fewer, wrong; standard deviations up to twice the mean."""


def coverage(cell: Cell, replications: int, resamples: int, seed: int) -> dict[str, float]:
    """Shares of replications: that have an interval (``given``); and of these, whose interval ``held`` the
    true rate, whose truth lies ``above`` and ``below`` it."""
    rng = np.random.default_rng(seed)
    ends = np.array(
        [
            (found.low, found.high)
            for found in (
                intervals.ratio_interval(sums(cell, rng), resamples=resamples, seed=DRAWS)
                for _ in range(replications)
            )
        ]
    )
    given = ends[~np.isnan(ends[:, 0])]
    if not len(given):
        return {"given": 0.0}
    above, below = float((given[:, 1] < cell.rate).mean()), float((given[:, 0] > cell.rate).mean())
    return {
        "given": len(given) / replications,
        "held": round(1 - above - below, 5),
        "above": above,
        "below": below,
    }


def difference_rejections(
    cell: Cell, change: float, interaction: float, replications: int, resamples: int, seed: int
) -> dict[str, float]:
    """Shares of replications: the two-sided test rejects at 5 %, the interval misses the true change, the
    one-sided bound calls b non-inferior at a margin that equals the true change."""
    rng = np.random.default_rng(seed)
    rejected = missed = non_inferior = 0
    for _ in range(replications):
        found = sig.paired_difference(
            paired_sums(cell, change, interaction, rng), resamples=resamples, seed=DRAWS
        )
        rejected += found.p_value < 0.05
        missed += not found.low <= change <= found.high
        non_inferior += found.upper_bound < change
    return {
        "rejected": rejected / replications,
        "interval_missed": missed / replications,
        "wrongly_non_inferior": non_inferior / replications,
    }


def family_errors(cell: Cell, slices: int, replications: int, resamples: int, seed: int) -> dict[str, float]:
    """Share of replications with any rejection over slices without any difference, with Holm and without."""
    rng = np.random.default_rng(seed)
    plain = corrected = 0
    for _ in range(replications):
        p_values = np.array(
            [
                sig.paired_difference(
                    paired_sums(cell, 0.0, 0.02, rng), resamples=resamples, seed=DRAWS
                ).p_value
                for _ in range(slices)
            ]
        )
        plain += (p_values < 0.05).any()
        corrected += (sig.holm(p_values) < 0.05).any()
    return {"uncorrected": plain / replications, "holm": corrected / replications}


def matched_pairs_rejections(
    utterances: int, rate_a: float, rate_b: float, replications: int, seed: int
) -> float:
    """Share of replications in which the matched-pairs test rejects at 5 %; words fail independently."""
    rng = np.random.default_rng(seed)
    rejected = 0
    for _ in range(replications):
        words = rng.integers(3, 19, utterances)
        row = np.repeat(np.arange(utterances), words)
        word = np.arange(len(row)) - np.repeat(np.cumsum(words) - words, words)
        wrong = [np.flatnonzero(rng.random(len(row)) < rate) for rate in (rate_a, rate_b)]
        at = np.concatenate(wrong)
        side = np.repeat([0, 1], [len(w) for w in wrong])
        table, _ = sig.segments(row[at], 2 * word[at] + 1, side == 0, side == 1)
        rejected += sig.matched_pairs(table[:, 0] - table[:, 1])[0] < 0.05
    return rejected / replications


def naive_segments(reference_ok: list[list[bool]], inserted: list[list[int]]) -> list[tuple[int, int]]:
    """Errors of two systems in each segment, one word at a time: an independent account of the rule.

    Args:
        reference_ok: for each system, whether each reference word is a hit.
        inserted: for each system, words inserted before each reference word and after the last.
    """
    words = len(reference_ok[0])
    found: list[tuple[int, int]] = []
    current: list[int] | None = None
    good = 0
    for place in range(words + 1):
        before = [inserted[s][place] for s in (0, 1)]
        if any(before):
            if current is None or good >= 2:
                if current is not None:
                    found.append((current[0], current[1]))
                current = [0, 0]
            current = [current[0] + before[0], current[1] + before[1]]
            good = 0
        if place == words:
            break
        wrong = [not reference_ok[s][place] for s in (0, 1)]
        if any(wrong):
            if current is None or good >= 2:
                if current is not None:
                    found.append((current[0], current[1]))
                current = [0, 0]
            current = [current[0] + wrong[0], current[1] + wrong[1]]
            good = 0
        else:
            good += 1
    if current is not None:
        found.append((current[0], current[1]))
    return found
