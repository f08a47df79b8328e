"""The released model's size, with random weights: made, loaded, streamed, compared, trained and judged.

By ``make soak``; ``docs/evidence/true-size.json`` and ``preflight.json``. ``WORKBENCH_TRUE_SIZE`` names a
checkpoint that is there already.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import true_size, true_size_chain
from tooling import preflight_accuracy

pytestmark = [pytest.mark.model, pytest.mark.soak, pytest.mark.timeout(3 * 3600)]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = Path(os.environ.get("WORKBENCH_TRUE_SIZE", tmp_path_factory.mktemp("true") / "true-size.nemo"))
    if not path.is_file():
        _run("tooling.true_size", "--out", path)
    return path


def _run(module: str, *arguments: object) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", module, *map(str, arguments)]
    subprocess.run(command, check=True, cwd=ROOT, env=environment)


def test_the_true_size_loads_streams_and_says_what_offline_decoding_says(made: Path) -> None:
    _run("benchmarks.true_size", made)
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
    int8 = found["speed"]["onnx-int8"]
    assert all(int8[str(ms)] < 1.0 for ms in true_size.LOOKAHEADS), "not real time on one core"


def test_an_adapter_is_trained_cancelled_resumed_measured_and_gated(made: Path) -> None:
    _run("benchmarks.true_size_chain", made)
    found = json.loads(true_size.EVIDENCE.read_text())["chain"]
    assert found["run"]["cancelled"] == "cancelled"
    assert found["run"]["resumed"] == "finished"
    assert found["run"]["steps"] == list(range(1, true_size_chain.STEPS + 1))
    assert found["run"]["folder_when_cancelled_mb"] < 500, "the base is kept with every state"
    assert found["memory check of the shipped policy"]["verdict"] == "pass"


@pytest.mark.parametrize("trains", ["adapter", "encoder_frozen", "lora", "full"])
def test_the_pre_flight_tells_what_a_run_takes(made: Path, trains: str, tmp_path: Path) -> None:
    arguments = ("--true-size", made, "--folder", tmp_path, "--steps", 8, "--only", trains)
    _run("tooling.preflight_accuracy", *arguments)
    runs = json.loads(preflight_accuracy.EVIDENCE.read_text())["runs"]
    [run] = [one for one in runs if (one["base"], one["trains"]) == (made.stem, trains)]
    assert run["status"] == "finished"
    for what in ("memory_by_sizes", "memory_probed", "time"):
        assert abs(run["off"][what]) <= 0.25, what
