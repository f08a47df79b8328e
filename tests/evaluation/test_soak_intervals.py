"""The long proof: intervals cover the true rate, tests err as often as they say. Writes the evidence."""

from __future__ import annotations

import datetime
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import simulation
from simulation import ACCENTS, Cell

EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence" / "intervals.json"
REPLICATIONS, RESAMPLES = 4000, 1000


def _commit() -> str:
    command = ["git", "rev-parse", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent)
    return found.stdout.strip()


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_intervals_and_tests_keep_their_promises() -> None:
    cells = {
        name: {
            "true_rate": cell.rate,
            "speakers": cell.speakers,
            "coverage": simulation.coverage(cell, REPLICATIONS, RESAMPLES, seed),
        }
        for seed, (name, cell) in enumerate(ACCENTS.items())
    }
    by_speakers = {
        str(n): simulation.coverage(Cell(0.15, 0.06, n), REPLICATIONS, RESAMPLES, 100 + n)
        for n in (5, 10, 20, 30, 60, 120)
    }
    options = (REPLICATIONS, RESAMPLES)
    differences = {
        "no difference": simulation.difference_rejections(ACCENTS["B"], 0.0, 0.0, *options, 21),
        "no difference, voices differ in gain": simulation.difference_rejections(
            ACCENTS["B"], 0.0, 0.03, *options, 22
        ),
        "two points better": simulation.difference_rejections(ACCENTS["C"], -0.02, 0.03, *options, 23),
    }
    family = simulation.family_errors(10, 1000, RESAMPLES, 24)
    matched = {
        "no difference": simulation.matched_pairs_rejections(400, 0.15, 0.15, REPLICATIONS, 25),
        "two points better": simulation.matched_pairs_rejections(400, 0.15, 0.13, 1000, 26),
    }
    evidence = {
        "what": "Share of replications whose 95 % interval holds the true rate; share of rejections at 5 %.",
        "commit": _commit(),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "numpy": np.__version__,
        "replications": REPLICATIONS,
        "resamples": RESAMPLES,
        "coverage_of_cells": cells,
        "coverage_by_number_of_speakers": by_speakers,
        "paired_bootstrap": differences,
        "any_rejection_over_10_null_slices": family,
        "matched_pairs_rejections": matched,
    }
    EVIDENCE.parent.mkdir(parents=True, exist_ok=True)
    EVIDENCE.write_text(json.dumps(evidence, indent=1) + "\n", encoding="utf-8")
    assert all(0.93 <= cell["coverage"] <= 0.97 for cell in cells.values())
    assert all(0.93 <= by_speakers[n] <= 0.97 for n in ("30", "60", "120"))
    for name in ("no difference", "no difference, voices differ in gain"):
        assert 0.035 <= differences[name]["rejected"] <= 0.065
        assert differences[name]["wrongly_non_inferior"] <= 0.065
    assert 0.03 <= differences["two points better"]["interval_missed"] <= 0.07
    assert family["holm"] <= 0.07 < family["uncorrected"]
    assert 0.035 <= matched["no difference"] <= 0.065
