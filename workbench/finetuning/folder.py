"""The files of a run: state, metrics, samples, problems; whole after a kill at any instant.

``state.json`` is replaced atomically. ``*.jsonl`` grow by whole lines; a torn last line is skipped when
read, and what lies beyond the step that a resume starts from is cut off.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workbench import locks
from workbench.errors import Problem, WorkbenchError
from workbench.files import replacing, write_atomic
from workbench.reading import RESTORE, read_json

SCHEMA_VERSION = 1
ENDED = ("finished", "cancelled", "failed", "interrupted")


class RunFolder:
    """Paths of one run and the reading and writing of its small files."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self.recipe, self.plan = self.path / "recipe.yaml", self.path / "plan.parquet"
        self.job, self.provenance = self.path / "job.json", self.path / "provenance.json"
        self.state_path, self.lock = self.path / "state.json", self.path / "lock"
        self.metrics, self.samples = self.path / "metrics.jsonl", self.path / "samples.jsonl"
        self.problems, self.log = self.path / "problems.jsonl", self.path / "run.log"
        self.cancel, self.checkpoints = self.path / "cancel", self.path / "checkpoints"
        self.last = self.checkpoints / "last.ckpt"
        self.best_nemo, self.last_nemo = self.checkpoints / "best.nemo", self.checkpoints / "last.nemo"
        self.ranking = self.checkpoints / "ranking.json"
        self.writes_state = is_first_rank()

    def state(self) -> dict[str, Any]:
        """The last state that was written. Raises WorkbenchError if the folder holds no run."""
        if not self.state_path.exists():
            raise WorkbenchError("no run here", where=str(self.path))
        found = read_json(self.state_path, "state of the run", SCHEMA_VERSION)
        if not isinstance(found.get("status"), str):
            raise WorkbenchError("the state of the run is damaged", where=str(self.state_path), hint=RESTORE)
        return found

    def slots(self) -> tuple[Path, int] | None:
        """The folder of the slots that the run waits for, and how many there are; None where it need not."""
        job = read_json(self.job, "job of the run") if self.job.exists() else {}
        if not job.get("slots_folder"):
            return None
        place = Path(os.path.normpath(self.path / job["slots_folder"]))
        # Earlier versions wrote down an absolute path, which a copy of the workspace must not follow.
        own = self.path.parent.parent / "slots"
        return (own if Path(job["slots_folder"]).is_absolute() and own.is_dir() else place), int(job["slots"])

    def update_state(self, **values: Any) -> dict[str, Any]:
        """Merge values into the state and write it atomically; of several ranks only the first one does."""
        state: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
        if self.state_path.exists():
            state = self.state()
        if not self.writes_state:
            return state
        state.update(values, updated_at=now())
        write_json(self.state_path, state)
        return state

    def note_problem(self, problem: Problem) -> None:
        append(self.problems, [problem.to_dict()])


def is_first_rank() -> bool:
    """Whether this process is the only one of its run, or the first of several on all nodes.

    By the variables that Lightning's launcher, torchrun and Slurm set for each process.
    """
    names = ("RANK", "SLURM_PROCID") if "RANK" in os.environ else ("LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
    return all(os.environ.get(name, "0") == "0" for name in names)


class Clock:
    """Seconds that a run's processes have worked, all attempts together: by the wall, of the processors."""

    def __init__(self, state: dict[str, Any]) -> None:
        self._before = float(state.get("busy_s", 0)), float(state.get("processor_s", 0))
        self._began = time.monotonic()

    def read(self) -> dict[str, float]:
        busy, processor = self._before
        return {
            "busy_s": round(busy + time.monotonic() - self._began, 1),
            "processor_s": round(processor + time.process_time(), 1),
        }


def now() -> str:
    """UTC, ISO 8601, seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def as_json(value: Any) -> str:
    """As the files of a run hold it."""
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def write_json(path: Path, value: Any) -> None:
    write_atomic(path, as_json(value))


def append(path: Path, records: list[dict[str, Any]]) -> None:
    """Add whole lines with one write each call."""
    if not records:
        return
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        data = lines.encode()
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def records(path: Path) -> Iterator[dict[str, Any]]:
    """Whole records of a JSON-lines file; a torn line is left out."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if not line.endswith("\n"):
                return
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                yield value


def cut_after(path: Path, step: int) -> None:
    """Drop records of later steps: a resumed run writes them again."""
    if not path.exists():
        return
    kept = [record for record in records(path) if int(record.get("step", 0)) <= step]
    with replacing(path) as draft:
        draft.touch()
        append(draft, kept)


def take_lock(path: Path) -> int:
    """Hold the run's lock; returns the descriptor, which must stay open as long as the run lives.

    Raises:
        WorkbenchError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Whoever asks ``locks.is_held`` holds it shared for an instant.
    for _ in range(50):
        if (descriptor := locks.hold(path)) is not None:
            return descriptor
        time.sleep(0.02)
    raise WorkbenchError("the run is already going", where=str(path.parent), hint="Attach to it instead.")
