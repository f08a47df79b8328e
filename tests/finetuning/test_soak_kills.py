"""A 60-step run killed at 20 random moments ends like an unbroken one: docs/evidence/kills.json."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from workbench.files import write_atomic
from workbench.finetuning import folder as files
from workbench.finetuning import provenance
from workbench.finetuning.run import prepare

pytestmark = [pytest.mark.model, pytest.mark.soak, pytest.mark.timeout(4 * 3600)]
STEPS, KILLS, EARLY = 60, 20, 4
EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence" / "kills.json"


def attempt(folder):
    """The worker's main, in a process group of its own with its own log, as ``Run.resume`` starts it."""
    os.setsid()
    log = os.open(folder.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    from workbench.finetuning.worker import main

    os._exit(main([str(folder.path)]))


def begin(run, context):
    """One more attempt: a real process, forked from a server that has loaded NeMo (loading takes long)."""
    process = context.Process(target=attempt, args=(run.folder,))
    process.start()
    began = time.monotonic()
    while not run.alive and process.is_alive() and time.monotonic() - began < 300:
        time.sleep(0.005)
    return process


def kill(process, run):
    """As the system kills: at once."""
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not run.alive
    assert run.state["status"] == "interrupted"


def step_of(run):
    steps = [record["step"] for record in files.records(run.folder.metrics) if record["kind"] == "train"]
    return max(steps, default=0)


def moments(rng):
    """(step to wait for, seconds after it), sorted, and among them kills while the process still starts."""
    steps = sorted(int(s) for s in rng.integers(0, STEPS - 4, KILLS - EARLY))
    found = [(step, float(rng.uniform(0, 0.15))) for step in steps]
    for place in rng.integers(0, len(found), EARLY):
        found.insert(int(place), (-1, float(rng.uniform(0, 2))))
    return found


def test_twenty_random_kills(recipe, tmp_path):
    import torch

    from workbench.finetuning.worker import _run

    long = recipe.changed(steps=STEPS, validate_every=20, save_every=3, average_best=2)
    whole = prepare(long, tmp_path / "whole", check=False)
    assert _run(whole.folder) == "finished"

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nemo.collections.asr.models", "workbench.finetuning.callbacks"])
    broken, kills = prepare(long, tmp_path / "broken", check=False), []
    process = begin(broken, context)
    for step, delay_s in moments(np.random.default_rng(20)):
        began = time.monotonic()
        while process.is_alive() and step_of(broken) < step and time.monotonic() - began < 1800:
            time.sleep(0.005)
        time.sleep(delay_s)
        assert process.is_alive(), broken.log_tail()
        kill(process, broken)
        kills.append({"step": step_of(broken), "status": broken.folder.state()["status"]})
        process = begin(broken, context)
    process.join(1800)
    assert broken.state["status"] == "finished", broken.log_tail()

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
