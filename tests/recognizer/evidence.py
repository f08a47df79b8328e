"""Evidence files of the soak: one JSON under ``docs/evidence`` with commit, date, machine and checkpoint."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from workbench.recognizer.checkpoint import Checkpoint
from workbench.starter import CORPUS

ROOT = Path(__file__).parents[2]
CHECKPOINT = Path(os.environ.get("WORKBENCH_SOAK_CHECKPOINT", ROOT / "data" / "checkpoint" / "starter.nemo"))
"""What the soak runs on; the variable names another file of the same kind, such as one still in training."""


def starter_rows() -> list[dict[str, Any]]:
    lines = (CORPUS / "manifest.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def heard(row: dict[str, Any]) -> np.ndarray:
    """(samples,) float32 at 16 kHz."""
    return soundfile.read(CORPUS / row["audio_filepath"], dtype="float32")[0]


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
