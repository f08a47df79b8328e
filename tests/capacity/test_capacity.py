"""Capacity on the starter checkpoint: what a sweep measures, what it keeps when it is cut off, other load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from workbench.capacity import Budget, Capacity, measure_capacity
from workbench.capacity.load_generator import generated_load
from workbench.errors import WorkbenchError
from workbench.recognizer.checkpoint import Checkpoint

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return Checkpoint.open(DATA / "checkpoint" / "starter.nemo")


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    lines = (DATA / "starter" / "manifest.jsonl").read_text("utf-8").splitlines()[::700]
    paths = [DATA / "starter" / json.loads(line)["audio_filepath"] for line in lines]
    return [soundfile.read(path, dtype="float32")[0] for path in paths]


@pytest.mark.model
def test_a_sweep_cancelled_half_way_keeps_what_it_measured(
    checkpoint: Checkpoint, clips: list[np.ndarray], tmp_path: Path
) -> None:
    out, done = tmp_path / "capacity.json", list[tuple[int, int]]()

    def progress(count: int, total: int) -> None:
        done.append((count, total))
        kept = Capacity.load(out)
        # One step is the memory line; every other one a measurement, in the file before it is reported.
        assert len(kept.measurements) + len(kept.memory) == count
        assert kept.status == "running"

    found = measure_capacity(
        checkpoint,
        clips,
        streams=(1, 3),
        lookaheads_ms=(1120,),
        budget=Budget(60_000),
        repeats=2,
        ceiling=8,
        call_s=1.5,
        memory_sessions=(8, 40, 80),
        threads=1,
        out=out,
        progress=progress,
        cancel=lambda: len(done) >= 4,
    )
    assert found.status == "cancelled"
    assert len(found.measurements) == 3
    assert Capacity.load(out) == found
    assert found.finished_at is not None
    assert [count for count, _ in done] == [1, 2, 3, 4]
    assert all(count <= total for count, total in done)
    [memory] = found.memory
    # The slope may not be less than the caches by their shapes, and not many times more.
    assert 0.8 * memory.cache_mib < memory.slope_mib < 5 * memory.cache_mib
    for measurement in found.measurements:
        assert measurement.audio_s == pytest.approx(1.5 * measurement.streams)
        assert measurement.last_token_ms["count"] == measurement.streams
        assert measurement.wall_s >= 1.5
        assert 0 < measurement.busy <= 1
        assert 0 < measurement.cpu_share <= measurement.machine_cpu_share + 0.1
        assert measurement.rss_mib > memory.base_mib * 0.5
        assert measurement.step_ms["p50"] <= measurement.step_ms["p95"] <= measurement.step_ms["p99"]


@pytest.mark.model
def test_a_measuring_process_that_dies_costs_no_finished_measurement(
    checkpoint: Checkpoint, clips: list[np.ndarray], tmp_path: Path
) -> None:
    import psutil

    out = tmp_path / "capacity.json"

    def kill(count: int, total: int) -> None:
        for child in psutil.Process().children():
            if "workbench.capacity.worker" in child.cmdline():
                child.kill()

    with pytest.raises(WorkbenchError, match="measuring process ended"):
        measure_capacity(
            checkpoint, clips, streams=(1,), lookaheads_ms=(1120,), repeats=3, call_s=1.0, memory_sessions=(),
            threads=1, out=out, progress=kill,
        )  # fmt: skip
    kept = Capacity.load(out)
    assert kept.status == "failed"
    assert len(kept.measurements) == 1


def test_asking_for_what_the_checkpoint_has_not(checkpoint: Checkpoint, clips: list[np.ndarray]) -> None:
    with pytest.raises(WorkbenchError, match="no look-ahead of 333 ms"):
        measure_capacity(checkpoint, clips, lookaheads_ms=(333,))
    with pytest.raises(WorkbenchError, match="at least 1"):
        measure_capacity(checkpoint, clips, streams=(0,))
    with pytest.raises(WorkbenchError, match="background_load=-1"):
        measure_capacity(checkpoint, clips, background_load=-1)


def test_other_load_is_real_and_ends() -> None:
    import psutil

    with generated_load(1) as [number]:
        process = psutil.Process(number)
        before = sum(process.cpu_times()[:2])
        ended = threading.Event()
        deadline = time.monotonic() + 60
        while sum(process.cpu_times()[:2]) - before < 0.2 and time.monotonic() < deadline:
            ended.wait(0.1)
        assert sum(process.cpu_times()[:2]) - before >= 0.2
    assert not psutil.pid_exists(number)
    with pytest.raises(WorkbenchError), generated_load(5 * (os.cpu_count() or 1)):
        pass


_PINNED = """
import os, time, psutil
from workbench.capacity.worker import _core_times, usable_cores
os.sched_setaffinity(0, {usable_cores()[-1]})
before, all_before = _core_times(), sum(psutil.cpu_times())
time.sleep(1)
print(len(usable_cores()), _core_times()[1] - before[1], sum(psutil.cpu_times()) - all_before)
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins no process to a core")
def test_load_on_other_cores_is_none_of_a_pinned_process() -> None:
    done = subprocess.run([sys.executable, "-c", _PINNED], capture_output=True, text=True, check=True)
    usable, ours, everyones = (float(word) for word in done.stdout.split())
    assert usable == 1
    assert ours == pytest.approx(everyones / (os.cpu_count() or 1), rel=0.3)
