"""Hours of proof, run by ``make soak``: every clip at every look-ahead, and an hour in one session.

Results are written to ``docs/evidence/streaming-*.json`` with commit and date.
"""

from __future__ import annotations

import datetime
import json
import subprocess
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile
from offline import decision_gap

from workbench.recognizer.checkpoint import Checkpoint
from workbench.starter import CORPUS as STARTER

pytestmark = [pytest.mark.model, pytest.mark.soak, pytest.mark.timeout(12 * 3600)]
ROOT = Path(__file__).parents[2]
CHECKPOINT = ROOT / "data" / "checkpoint" / "starter.nemo"
BATCH = 16
TOLERANCE = 1e-3


def heard(row: dict) -> np.ndarray:
    return soundfile.read(STARTER / row["audio_filepath"], dtype="float32")[0]


def record(name: str, result: dict) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    stamp = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    path = ROOT / "docs" / "evidence" / f"streaming-{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"commit": head.stdout.strip(), "date": stamp, **result}, indent=1) + "\n")


def test_every_clip_at_every_lookahead():
    """Streamed tokens and frames equal offline ones; exceptions only where a decision hung on 1e-3."""
    from workbench.recognizer.clips import Clip, decode_offline, stream_together

    checkpoint = Checkpoint.open(CHECKPOINT)
    engine = checkpoint.engine("cpu")
    rows = [json.loads(line) for line in (STARTER / "manifest.jsonl").read_text("utf-8").splitlines()]
    rows.sort(key=lambda row: row["duration"])
    counts, ties, faults = {}, [], []
    for lookahead_ms in checkpoint.info.lookaheads_ms:
        right, tokens = checkpoint.right_context(lookahead_ms), 0
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            clips = [Clip(heard(row), checkpoint.slot("auto")) for row in batch]
            whole_clips = decode_offline(engine, clips, right)
            streams = stream_together(engine, clips, right)
            pairs = zip(batch, clips, whole_clips, streams, strict=True)
            for row, clip, whole, streamed in pairs:
                tokens += len(whole.ids)
                if (whole.ids, whole.frames) == (streamed.ids, streamed.frames):
                    continue
                gap = decision_gap(checkpoint, clip.pcm, lookahead_ms, streamed)
                (ties if gap <= TOLERANCE else faults).append(
                    {"id": row["id"], "lookahead_ms": lookahead_ms, "gap": gap}
                )
        counts[lookahead_ms] = {"clips": len(rows), "tokens": tokens}
    record(
        "parity",
        {"checkpoint_sha256": checkpoint.sha256, "counts": counts, "ties": ties, "mismatches": faults},
    )
    assert not faults


def test_an_hour_in_one_session():
    """Memory of the process and of the session is flat over an hour of speech."""
    checkpoint = Checkpoint.open(CHECKPOINT)
    rows = [json.loads(line) for line in (STARTER / "manifest.jsonl").read_text("utf-8").splitlines()]
    session, process = checkpoint.session("auto", 560), psutil.Process()
    heard_s, held, resident = 0.0, [], []
    for row in rows * 2:
        pcm = heard(row)
        events = session.feed(np.concatenate([pcm, np.zeros(8000, np.float32)]), 16000)
        heard_s += len(pcm) / 16000 + 0.5
        held += [event.cache_bytes for event in events]
        resident.append(process.memory_info().rss)
        if heard_s > 3600:
            break
    session.finish()
    settled = resident[len(resident) // 4]
    result = {
        "audio_s": round(heard_s, 1),
        "words": len(session.words),
        "cache_bytes": max(held),
        "rss_growth_mib": round((resident[-1] - settled) / 2**20, 1),
    }
    record("hour", result)
    assert heard_s > 3600
    assert max(held[len(held) // 4 :]) <= max(held[: len(held) // 4])
    assert resident[-1] - settled < 64 * 2**20
