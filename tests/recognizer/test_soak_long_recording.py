"""A recording of three hours is transcribed as one of ten minutes is: memory does not grow with it."""

from __future__ import annotations

import datetime
import json
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from workbench.ingest.audio import read_row
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.transcribe import transcribe
from workbench.starter_files import CHECKPOINT, MANIFEST

ROOT = Path(__file__).parents[2]
RATE = 8_000
SHORT_S, LONG_S = 11 * 60.0, 3 * 3600.0
GROWTH = 1.15
"""The most that the peak of the long one may be of that of the short one; its text is 16 times as long."""


def recorded(path: Path, seconds: float) -> None:
    """Clips of the starter one behind the other, at telephone rate, until so many seconds are full."""
    rows = [json.loads(line) for line in MANIFEST.read_text("utf-8").splitlines()[:40]]
    clips = [read_row(row, [str(MANIFEST.parent)], RATE)[0] for row in rows]
    clip = np.concatenate([np.concatenate([one, np.zeros(RATE // 2, np.float32)]) for one in clips])
    left = round(seconds * RATE)
    with soundfile.SoundFile(path, "w", RATE, 1, subtype="PCM_16") as target:
        while left > 0:
            target.write(clip[:left])
            left -= len(clip)


def _child(path: str, seconds: str, out: str) -> None:
    """Transcribe, and print the peak of this process in MB, its processor seconds, and the words."""
    row = {"id": "a", "audio_filepath": path, "offset": 0.0, "duration": float(seconds)}
    checkpoint = Checkpoint.open(CHECKPOINT)
    made = transcribe(
        checkpoint, [{**row, "target_lang": "en-US"}], str(Path(path).parent), Path(out), streaming=True,
        lookahead_ms=1120, runtime="onnx-int8",
    )  # fmt: skip
    used = resource.getrusage(resource.RUSAGE_SELF)
    words = len(pq.read_table(made).to_pylist()[0]["words"])
    print(json.dumps([used.ru_maxrss / 1024, used.ru_utime + used.ru_stime, words]))


def measured(folder: Path, seconds: float) -> dict[str, Any]:
    """Transcribe so many seconds in a process of its own."""
    path = folder / f"{seconds:.0f}.wav"
    recorded(path, seconds)
    code = "import sys, test_soak_long_recording as t; t._child(*sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(seconds), str(folder / f"{seconds:.0f}.parquet")],
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": f"{ROOT}:{Path(__file__).parent}", "OMP_NUM_THREADS": "1", "PATH": "/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    peak_mb, cpu_s, words = json.loads(done.stdout.strip().splitlines()[-1])
    return {"seconds": seconds, "peak_mb": round(peak_mb), "cpu_s": round(cpu_s, 1), "words": words}


@pytest.mark.soak
def test_three_hours_are_transcribed_in_the_memory_of_ten_minutes(tmp_path: Path) -> None:
    """Writes ``docs/evidence/long-recording.json``."""
    short, long = measured(tmp_path, SHORT_S), measured(tmp_path, LONG_S)
    assert long["words"] > 10 * short["words"]
    assert long["peak_mb"] <= GROWTH * short["peak_mb"], (short, long)
    facts = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": platform.machine(),
        "how": "one row, streamed at 1120 ms by ONNX Runtime in int8, 8 kHz WAV, one thread",
        "recordings": [short, long],
    }
    path = ROOT / "docs" / "evidence" / "long-recording.json"
    path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
