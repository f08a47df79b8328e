"""The released model's size, with random weights: made, loaded, streamed and compared, by ``make soak``.

``docs/evidence/true-size.json``. ``WORKBENCH_TRUE_SIZE`` names a checkpoint that is there already.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import true_size

pytestmark = [pytest.mark.model, pytest.mark.soak, pytest.mark.timeout(3 * 3600)]
ROOT = Path(__file__).parents[2]


def test_the_true_size_loads_streams_and_says_what_offline_decoding_says(tmp_path: Path) -> None:
    path = Path(os.environ.get("WORKBENCH_TRUE_SIZE", tmp_path / "true-size.nemo"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if not path.is_file():
        made = [sys.executable, "-m", "tooling.true_size", "--out", str(path)]
        subprocess.run(made, check=True, cwd=ROOT, env=environment)
    subprocess.run(
        [sys.executable, "-m", "benchmarks.true_size", str(path)], check=True, cwd=ROOT, env=environment
    )
    found = json.loads(true_size.EVIDENCE.read_text())
    load = found["load"]
    assert load["load_cpu_s"] <= 10
    assert load["used_peak_mib"] <= 1.35 * load["weights_mib"]
    for row in found["equal"].values():
        assert row["equal"] == row["clips"]
        assert row["tokens"] > 5
    for row in found["transformers"].values():
        assert row["equal"] == row["clips"]
        assert row["tokens"] > 5
    nemo, torch, onnx = (found["speed"][kind] for kind in ("nemo layers", "torch", "onnx"))
    for ms in map(str, true_size.LOOKAHEADS):
        assert torch[ms] < nemo[ms]
        assert torch[f"{ms} says the same"]
        assert onnx[f"{ms} says the same"]
