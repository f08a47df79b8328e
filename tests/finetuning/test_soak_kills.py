"""A 60-step run killed at 20 random moments ends like an unbroken one: docs/evidence/kills.json."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from workbench.finetuning import Run, provenance, start
from workbench.finetuning import folder as files
from workbench.finetuning.run import _prepare
from workbench.workspace import write_atomic

pytestmark = [pytest.mark.model, pytest.mark.soak, pytest.mark.timeout(4 * 3600)]
STEPS, KILLS, EARLY = 60, 20, 4
EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence" / "kills.json"


def kill(run):
    """As the system kills: at once, and the whole process group."""
    os.killpg(run._process.pid, signal.SIGKILL)
    run._process.wait()
    assert not run.alive
    assert run.state["status"] in ("interrupted", "finished")


def step_of(run):
    steps = [record["step"] for record in files.records(run.folder.metrics) if record["kind"] == "train"]
    return max(steps, default=0)


def moments(rng):
    """(step to wait for, seconds after it), sorted, and among them kills while the process still starts."""
    steps = sorted(int(s) for s in rng.integers(0, STEPS - 4, KILLS - EARLY))
    found = [(step, float(rng.uniform(0, 0.15))) for step in steps]
    for place in rng.integers(0, len(found), EARLY):
        found.insert(int(place), (-1, float(rng.uniform(0, 8))))
    return found


def test_twenty_random_kills(recipe, tmp_path):
    import torch

    from workbench.finetuning.worker import _run

    long = recipe.changed(steps=STEPS, validate_every=20, save_every=3, average_best=2)
    whole = Run(tmp_path / "whole")
    _prepare(whole.folder, long)
    assert _run(whole.folder) == "finished"

    rng = np.random.default_rng(20)
    broken, kills = start(long, tmp_path / "broken"), []
    for step, delay_s in moments(rng):
        began = time.monotonic()
        while broken.alive and step_of(broken) < step and time.monotonic() - began < 1800:
            time.sleep(0.01)
        time.sleep(delay_s)
        assert broken.alive, broken.log_tail()
        kill(broken)
        kills.append({"step": step_of(broken), "status": broken.folder.state()["status"]})
        broken.resume()
    assert broken.wait(1800)["status"] == "finished", broken.log_tail()

    first, second = (run.metrics("train").set_index("step")["loss"] for run in (whole, broken))
    assert list(second.index) == list(range(1, STEPS + 1))
    apart = float((first - second).abs().max())
    assert apart < 1e-3
    keys = ["step", "locale", "prompt_mode", "streaming", "cer", "wer", "utterances"]
    assert whole.metrics("validation")[keys].equals(broken.metrics("validation")[keys])
    weights = [torch.load(run.folder.last, weights_only=True)["state_dict"] for run in (whole, broken)]
    gap = max(float((weights[0][name].float() - weights[1][name].float()).abs().max()) for name in weights[0])
    assert gap < 1e-4
    figures = {
        "schema_version": 1,
        "made_at": files.now(),
        "git": provenance.git_state(Path(__file__).parent),
        "steps": STEPS,
        "kills": kills,
        "largest_difference_of_a_loss": apart,
        "largest_difference_of_a_weight": gap,
        "validation_equal": True,
    }
    write_atomic(EVIDENCE, json.dumps(figures, indent=1) + "\n", mode=0o644)
