"""Latency as a caller has it, with paced audio, by ``make soak``: ``docs/evidence/latency.json``.

One stream at every look-ahead of the starter; what more streams cost is the capacity sweep's. Twice: on the
clock of an idle core (CPU seconds of this process, waiting passes at once), which other work on the machine
hardly changes, and on the wall clock, about five minutes, where ``load_1min`` says how busy the machine was.
"""

from __future__ import annotations

import itertools
import math
import os

import pytest
from evidence import CHECKPOINT, earlier, heard, record, starter_rows

from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.latency import IdleCore, measure

pytestmark = [pytest.mark.model, pytest.mark.soak, pytest.mark.timeout(3600)]
PER_LOCALE = 2
PERCENTILES = ("p50", "p95", "p99")


def spoken() -> list[dict]:
    """Test recordings of 2 to 6 s, the first ``PER_LOCALE`` of every locale."""
    rows = [row for row in starter_rows() if row["split"] == "test" and 2 <= row["duration"] <= 6]
    rows.sort(key=lambda row: row["target_lang"])
    by_locale = itertools.groupby(rows, key=lambda row: row["target_lang"])
    return [row for _, held in by_locale for row in itertools.islice(held, PER_LOCALE)]


@pytest.mark.parametrize("clock", ["idle_core", "wall"])
def test_paced_latency_at_every_lookahead(clock):
    """First token, every word and the last token of each clip, at the pace of speech."""
    import torch

    torch.set_num_threads(1)
    checkpoint, rows = Checkpoint.open(CHECKPOINT), spoken()
    clips = [heard(row) for row in rows]
    measure(checkpoint, clips[:1], lookahead_ms=checkpoint.info.lookaheads_ms[-1])  # the model is loaded
    found = {}
    for lookahead_ms in checkpoint.info.lookaheads_ms:
        idle = IdleCore()
        how = {"clock": idle.clock, "sleep": idle.sleep} if clock == "idle_core" else {}
        found[str(lookahead_ms)] = measure(checkpoint, clips, lookahead_ms=lookahead_ms, **how).to_dict()
    result = {
        "packet_ms": 20,
        "threads": 1,
        "clips": len(clips),
        "locales": sorted({row["target_lang"] for row in rows}),
        "audio_s": round(sum(map(len, clips)) / 16000, 1),
        "load_1min": os.getloadavg()[0],
        "lookaheads_ms": found,
    }
    done = earlier("latency", checkpoint).get("clocks", {})
    record("latency", checkpoint, {"clocks": {**done, clock: result}})
    for lookahead_ms, latency in found.items():
        for kind in ("first_token_ms", "word_ms", "last_token_ms"):
            assert latency[kind]["count"] > 0, (lookahead_ms, kind)
            assert all(math.isfinite(latency[kind][p]) for p in PERCENTILES)
        # The end of the audio completes the last chunk: computing alone is waited for.
        assert latency["last_token_ms"]["count"] == len(clips)
        # The causal encoder has heard a frame half a window past its start; its end is a frame later.
        heard_ms = latency["algorithmic_ms"] - int(lookahead_ms) - checkpoint.info.frame_ms
        assert latency["word_ms"]["p50"] > heard_ms
