"""An hour of sessions opened, fed, finished or left: memory, threads and open files stay as they were."""

from __future__ import annotations

import gc
import itertools
import os
import random
import time

import psutil
import pytest
from evidence import CHECKPOINT, heard, record, starter_rows

from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.pool import Pool

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3 * 3600)]

MINUTES = float(os.environ.get("WORKBENCH_SOAK_MINUTES", "60"))
LONGEST = 20 * 16_000
"""Samples of a clip: a pool refuses more than half a minute in one piece."""
GROWTH_MIB = 48
"""Between the first tenth and the end: what an allocator's pieces come to, far below a session a second."""


def test_opening_and_closing_sessions_keeps_nothing() -> None:
    """One of three is left in the middle of its clip, one of four runs in a pool, at any look-ahead."""
    checkpoint, process, chance = Checkpoint.open(CHECKPOINT), psutil.Process(), random.Random(7)
    rows, lookaheads = starter_rows(), checkpoint.info.lookaheads_ms
    pools = {runtime: Pool(checkpoint, device="cpu", runtime=runtime) for runtime in ("torch", "onnx")}
    begin, seen, counts = time.monotonic(), [], {"finished": 0, "left": 0, "in a pool": 0}

    def look() -> None:
        gc.collect()
        seen.append(
            {
                "minute": (time.monotonic() - begin) / 60,
                "rss_mib": process.memory_info().rss / 2**20,
                "threads": process.num_threads(),
                "files": process.num_fds(),
            }
        )

    for number in itertools.count():
        pcm, lookahead_ms = heard(chance.choice(rows))[:LONGEST], chance.choice(lookaheads)
        runtime, left = chance.choice(list(pools)), number % 3 == 0
        pooled = number % 4 == 0
        if pooled:
            one = pools[runtime].join("auto", lookahead_ms)
        else:
            one = checkpoint.session("auto", lookahead_ms, device="cpu", runtime=runtime)
        one.feed(pcm[: len(pcm) // 2] if left else pcm, 16_000)
        if not left:
            one.finish()
        if pooled:
            pools[runtime].drain()
            one.leave()
        counts["left" if left else "finished"] += 1
        counts["in a pool"] += pooled
        minutes = (time.monotonic() - begin) / 60
        if minutes >= MINUTES * (len(seen) + 1) / 40:
            look()
        if minutes >= MINUTES:
            break
    first, last = seen[4:8], seen[-4:]
    result = {
        "minutes": round(MINUTES, 1),
        "sessions": counts,
        "rss_mib": {
            "after_a_tenth": round(max(one["rss_mib"] for one in first), 1),
            "at_the_end": round(max(one["rss_mib"] for one in last), 1),
            "most": round(max(one["rss_mib"] for one in seen), 1),
        },
        "threads": sorted({one["threads"] for one in seen[4:]}),
        "open_files": sorted({one["files"] for one in seen[4:]}),
        "members_left_in_pools": sum(pool.load().members for pool in pools.values()),
    }
    record("sessions-hour", checkpoint, result)
    assert result["members_left_in_pools"] == 0
    assert result["rss_mib"]["at_the_end"] - result["rss_mib"]["after_a_tenth"] < GROWTH_MIB
    assert len(result["threads"]) == 1
    assert max(result["open_files"]) - min(result["open_files"]) <= 2
