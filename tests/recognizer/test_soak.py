"""Long proofs of streaming, run by ``make soak``: every recording at every look-ahead, an hour of audio.

Results are written to ``docs/evidence/streaming-*.json``. One look-ahead at a time:
``pytest -m soak tests/recognizer/test_soak.py -k 560``; the figures of the others stay in the file.
``WORKBENCH_SOAK_CLIPS=200`` takes so many test recordings, evenly over their lengths, instead of all of both
splits; the file says how many there were.
"""

from __future__ import annotations

import itertools
import math
import os
import time

import numpy as np
import psutil
import pytest
from evidence import CHECKPOINT, earlier, heard, record, starter_rows
from offline import decision_gap

from workbench.recognizer.checkpoint import Checkpoint

pytestmark = [pytest.mark.model, pytest.mark.soak, pytest.mark.timeout(12 * 3600)]
BATCH_S, MOST = 240.0, 64
TOLERANCE = 1e-3
HOUR_LOOKAHEADS = (1120,)


def recordings() -> list[dict]:
    """Rows of the starter corpus, shortest first; one of those that share a recording."""
    few = int(os.environ.get("WORKBENCH_SOAK_CLIPS", "0"))
    rows = {r["source_sha256"]: r for r in starter_rows() if not few or r["split"] == "test"}
    ordered = sorted(rows.values(), key=lambda row: row["duration"])
    few = min(few, len(ordered)) or len(ordered)
    return [ordered[i * len(ordered) // few] for i in range(few)]


def batches(rows: list[dict]) -> list[list[dict]]:
    """Neighbours in length, so that little is padding: that is what makes all recordings affordable."""
    found: list[list[dict]] = [[]]
    for row in rows:
        if len(found[-1]) == MOST or (len(found[-1]) + 1) * row["duration"] > BATCH_S:
            found.append([])
        found[-1].append(row)
    return [batch for batch in found if batch]


@pytest.mark.parametrize("lookahead_ms", [80, 160, 320, 560, 1120])
def test_every_recording_streams_as_it_decodes_offline(lookahead_ms):
    """Tokens and frames are equal; exceptions only where a decision hung on 1e-3, and those are listed."""
    from workbench.recognizer.clips import Clip, decode_offline, stream_together

    checkpoint = Checkpoint.open(CHECKPOINT)
    engine, right = checkpoint.engine("cpu"), checkpoint.right_context(lookahead_ms)
    rows, begin, tokens = recordings(), time.process_time(), 0
    ties, faults = [], []
    for batch in batches(rows):
        clips = [Clip(heard(row), checkpoint.slot("auto")) for row in batch]
        whole_clips, streams = decode_offline(engine, clips, right), stream_together(engine, clips, right)
        for row, clip, whole, streamed in zip(batch, clips, whole_clips, streams, strict=True):
            tokens += len(whole.ids)
            if (whole.ids, whole.frames) == (streamed.ids, streamed.frames):
                continue
            # Against the clip decoded alone: either of the two batches may have tipped a tie.
            gaps = [decision_gap(checkpoint, clip.pcm, lookahead_ms, found) for found in (whole, streamed)]
            gap = max(gap for gap in gaps if math.isfinite(gap))
            (ties if gap <= TOLERANCE else faults).append({"id": row["id"], "gap": gap})
    found = {
        "recordings": len(rows),
        "audio_h": round(sum(row["duration"] for row in rows) / 3600, 3),
        "tokens": tokens,
        "ties": ties,
        "mismatches": faults,
        "cpu_s": round(time.process_time() - begin, 1),
    }
    done = earlier("streaming-parity", checkpoint).get("lookaheads_ms", {})
    record("streaming-parity", checkpoint, {"lookaheads_ms": {**done, str(lookahead_ms): found}})
    assert tokens > len(rows)
    assert not faults


@pytest.mark.parametrize("lookahead_ms", HOUR_LOOKAHEADS)
def test_an_hour_in_one_session(lookahead_ms):
    """Memory of process and session is flat over an hour of speech; the work per second is recorded."""
    checkpoint = Checkpoint.open(CHECKPOINT)
    session, process = checkpoint.session("auto", lookahead_ms, device="cpu"), psutil.Process()
    heard_s, held, resident, work = 0.0, [], [], []
    pause = np.zeros(8000, np.float32)
    for row in itertools.cycle(starter_rows()):
        pcm, begin = heard(row), time.process_time()
        events = session.feed(np.concatenate([pcm, pause]), 16000)
        work.append((time.process_time() - begin) / (len(pcm) + len(pause)) * 16000)
        heard_s += (len(pcm) + len(pause)) / 16000
        held += [event.cache_bytes for event in events]
        resident.append(process.memory_info().rss)
        if heard_s > 3600:
            break
    session.finish()
    quarter = len(resident) // 4
    growth_mib = (resident[-1] - resident[quarter]) / 2**20
    result = {
        "lookahead_ms": lookahead_ms,
        "audio_s": round(heard_s, 1),
        "words": len(session.words),
        "cache_bytes": max(held),
        "rss_growth_mib": round(growth_mib, 1),
        "cpu_per_audio_s": {
            "first_quarter": round(float(np.median(work[:quarter])), 4),
            "last_quarter": round(float(np.median(work[-quarter:])), 4),
        },
    }
    record("streaming-hour", checkpoint, result)
    assert max(held[len(held) // 4 :]) <= max(held[: len(held) // 4])
    assert growth_mib < 64
