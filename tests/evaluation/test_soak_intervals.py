"""The long proof: intervals cover the true rate, tests err as often as they say. Writes the evidence."""

from __future__ import annotations

import datetime
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import simulation
from simulation import ACCENTS, RARE, Cell

EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence" / "intervals.json"
REPLICATIONS, RESAMPLES = 4000, 1000


def _commit() -> str:
    command = ["git", "rev-parse", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent)
    return found.stdout.strip()


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_intervals_and_tests_keep_their_promises() -> None:
    options = (REPLICATIONS, RESAMPLES)
    cells = {
        name: {
            "true_rate": cell.rate,
            "speakers": cell.speakers,
            **simulation.coverage(cell, *options, seed),
        }
        for seed, (name, cell) in enumerate(ACCENTS.items())
    }
    ordinary = {
        f"{cell.rate:.0%}, {n} speakers": simulation.coverage(replace(cell, speakers=n), *options, 100 + n)
        for cell in ACCENTS.values()
        for n in (8, 10, 12, 20, 50, 120)
    }
    alike = {
        f"{rate:.0%}, {n} speakers": simulation.coverage(Cell(rate, 0.002, n), *options, 150 + n)
        for rate in (0.08, 0.2, 0.6, 0.9)
        for n in (8, 12, 30)
    }
    rare = {
        f"{name}, {n} speakers": simulation.coverage(replace(cell, speakers=n), *options, 200 + n)
        for name, cell in RARE.items()
        for n in (8, 12, 20, 50)
    }
    few = {str(n): simulation.coverage(Cell(0.15, 0.06, n), 100, RESAMPLES, n)["given"] for n in (2, 5, 7)}
    differences = {
        f"{name}, {n} speakers": simulation.difference_rejections(
            replace(ACCENTS[cell], speakers=n), change, interaction, *options, 21 + n
        )
        for name, cell, change, interaction in (
            ("no difference", "B", 0.0, 0.0),
            ("no difference, voices differ in gain", "B", 0.0, 0.03),
            ("two points better", "C", -0.02, 0.03),
        )
        for n in (8, 12, 30)
    }
    family = {
        f"{slices} slices of {n} speakers": simulation.family_errors(
            replace(ACCENTS["B"], speakers=n), slices, 1000, RESAMPLES, 24
        )
        for slices, n in ((10, 30), (8, 10), (40, 10), (40, 50))
    }
    matched = {
        "no difference": simulation.matched_pairs_rejections(400, 0.15, 0.15, REPLICATIONS, 25),
        "two points better": simulation.matched_pairs_rejections(400, 0.15, 0.13, 1000, 26),
    }
    evidence = {
        "what": "Shares of simulated corpora: that get a 95 % interval (given), and of these, whose interval "
        "held the true rate, whose truth lay above and below it; and shares of rejections at 5 %.",
        "commit": _commit(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "numpy": np.__version__,
        "replications": REPLICATIONS,
        "resamples": RESAMPLES,
        "coverage_of_cells": cells,
        "coverage_of_ordinary_speakers": ordinary,
        "coverage_of_speakers_who_hardly_differ": alike,
        "coverage_of_rare_errors": rare,
        "share_with_an_interval_below_8_speakers": few,
        "paired_differences": differences,
        "any_rejection_over_null_slices": family,
        "matched_pairs_rejections": matched,
    }
    EVIDENCE.parent.mkdir(parents=True, exist_ok=True)
    EVIDENCE.write_text(json.dumps(evidence, indent=1) + "\n", encoding="utf-8")
    for found in (*cells.values(), *ordinary.values(), *alike.values()):
        assert found["given"] == 1
        assert 0.93 <= found["held"] <= 0.975
        assert max(found["above"], found["below"]) <= 0.04
    for found in rare.values():
        assert 0.93 <= found["held"] <= 0.99
    assert set(few.values()) == {0}
    for name, found in differences.items():
        assert found["interval_missed"] <= 0.07
        assert found["wrongly_non_inferior"] <= 0.07
        assert found["rejected"] <= 0.065 or "better" in name
    for found in family.values():
        assert found["holm"] <= 0.07 < found["uncorrected"]
    assert 0.035 <= matched["no difference"] <= 0.065
