"""Intervals hold on real errors too, drawn by another generator than the one their method was chosen on."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import real_population as real

from workbench.evaluation.significance import paired_difference

EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence" / "intervals-real.json"
SIZES = (8, 12, 20, 40)


@pytest.mark.parametrize("name", real.POPULATIONS)
def test_intervals_hold_on_real_errors(name: str) -> None:
    """A look at 200 samples: 95 % ± 3.1 points by chance (two standard errors)."""
    found = real.coverage(name, 12, 200, 200, 5)
    assert found["held"] >= 0.90, found
    assert found["above"] <= 0.07, found


def test_a_change_that_is_none_is_rarely_seen() -> None:
    found = real.differences("adapted against base", 12, 200, 200, 6)
    assert found["rejected_without_change"] <= 0.09
    assert found["interval_missed"] <= 0.10


@pytest.mark.parametrize("size", [8, 12])
def test_a_rare_change_is_inside_the_interval(size: int) -> None:
    """Where two clips in a hundred change, many samples of few speakers hold none: a fifth were missed."""
    assert real.differences("tags, adapted against base", size, 200, 200, 7)["interval_missed"] <= 0.03


@pytest.mark.parametrize(("hit", "shown"), [(3, False), (4, False), (5, True), (8, True)])
def test_what_a_few_hard_hit_speakers_prove(hit: int, shown: bool) -> None:
    """Of twelve speakers some lose every tag. Three or four may be chance (a coin each: 1 in 8, 1 in 16),
    and the bound says neither harmed nor unharmed; five (1 in 32) are proof. Either way nothing passes."""
    sums = np.array([[0, 10 * (n < hit), 10] for n in range(12)], float)
    found = paired_difference(sums)
    assert (found.lower_bound > 0) == shown
    assert found.upper_bound > 0.02


def proof(samples: int, resamples: int) -> dict[str, Any]:
    """Coverage of every population and pair by number of speakers, as the evidence keeps it."""
    options = (samples, resamples)
    return {
        "what": "Samples of speakers made of real errors (tests/evaluation/real_population.py): shares with "
        "a 95 % interval (given), whose interval held the true rate, whose truth lay above and below it; "
        "paired: intervals that missed the true change, tests that reject at 5 % where there is none.",
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "samples": samples,
        "resamples": resamples,
        "rates": {
            f"{name}, {n} speakers": real.coverage(name, n, *options, 100 + n)
            for name in real.POPULATIONS
            for n in SIZES
        },
        "changes": {
            f"{name}, {n} speakers": real.differences(name, n, *options, 300 + n)
            for name in real.PAIRS
            for n in SIZES
        },
    }


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_promises_hold_on_real_errors() -> None:
    """2,000 samples a row; writes the evidence."""
    evidence = proof(2000, 1000)
    EVIDENCE.write_text(json.dumps(evidence, indent=1) + "\n", encoding="utf-8")
    for name, found in evidence["rates"].items():
        if found["given"] > 0.5:
            assert 0.93 <= found["held"] <= 0.99, (name, found)
    for name, found in evidence["changes"].items():
        assert found["rejected_without_change"] <= 0.065, (name, found)
        assert found["interval_missed"] <= 0.065, (name, found)
