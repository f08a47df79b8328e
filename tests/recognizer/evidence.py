"""Evidence files of the soak: one JSON under ``docs/evidence`` with commit, date, machine and checkpoint.

What a long proof has done so far lies under ``build/soak``, so that it may be broken off.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from workbench.ingest.audio import read_mono
from workbench.recognizer.checkpoint import Checkpoint
from workbench.starter_files import CORPUS

ROOT = Path(__file__).parents[2]
CHECKPOINT = Path(os.environ.get("WORKBENCH_SOAK_CHECKPOINT", ROOT / "data" / "checkpoint" / "starter.nemo"))
"""What the soak runs on; the variable names another file of the same kind, such as one still in training."""


def starter_rows() -> list[dict[str, Any]]:
    lines = (CORPUS / "manifest.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def heard(row: dict[str, Any]) -> np.ndarray:
    """(samples,) float32 at 16 kHz."""
    return read_mono(CORPUS / row["audio_filepath"])


def record(name: str, checkpoint: Checkpoint, result: dict[str, Any]) -> None:
    """Write ``docs/evidence/NAME.json``."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    facts = {
        "commit": commit.stdout.strip(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "checkpoint_sha256": checkpoint.sha256,
        "machine": {
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "load_1min": os.getloadavg()[0],
        },
    }
    path = ROOT / "docs" / "evidence" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**facts, **result}, indent=1) + "\n")


def earlier(name: str, checkpoint: Checkpoint) -> dict[str, Any]:
    """What ``NAME.json`` says already of this checkpoint; empty otherwise."""
    path = ROOT / "docs" / "evidence" / f"{name}.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    return found if found.get("checkpoint_sha256") == checkpoint.sha256 else {}


class Progress:
    """Results of a long proof, one a line, kept as they come: started again, it goes on where it was.

    Results of another checkpoint, of other code that decodes or of other libraries do not count.
    """

    DECODING = (
        "chunk_decoder", "clips", "decoder", "engine", "events", "frontend", "onnx_engine", "onnx_graphs",
        "onnx_modules", "stream", "stream_pipeline", "transcript", "words",
    )  # fmt: skip

    def __init__(self, name: str, checkpoint: Checkpoint, folder: Path = ROOT / "build" / "soak") -> None:
        libraries = [version(library) for library in ("torch", "nemo_toolkit", "onnxruntime")]
        state = hashlib.sha256(" ".join([checkpoint.sha256, *libraries]).encode())
        for part in self.DECODING:
            state.update((ROOT / "workbench" / "recognizer" / f"{part}.py").read_bytes())
        self.path = folder / f"{name}-{state.hexdigest()[:16]}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = self.path.read_text("utf-8").splitlines(keepends=True) if self.path.exists() else []
        # A line that was being written when the machine stopped has no end, and is done again.
        whole = [line for line in lines if line.endswith("\n")]
        if len(whole) < len(lines):
            self.path.write_text("".join(whole), "utf-8")
        self.done: dict[str, dict[str, Any]] = {entry["key"]: entry for entry in map(json.loads, whole)}

    def add(self, key: str, result: dict[str, Any]) -> None:
        self.done[key] = {"key": key, **result}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(self.done[key]) + "\n")
