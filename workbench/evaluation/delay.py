"""Word latency of streamed predictions: what the look-ahead makes a word wait, plus measured computing.

A prediction holds word times and the computing time of each clip, not when each event came. The wait follows
from the chunk grid: a word can come once the chunk of its last frame is complete. Computing is the clip's
time spread evenly over its chunks, one clip after the other. Paced, loaded latency is measured by the
capacity room; ``Evaluation.tradeoff(latency=…)`` takes its table instead.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from workbench.evaluation.scored import ScoredCorpus

    Array = np.ndarray[Any, np.dtype[Any]]

_SLACK = 1e-6


def word_delays(scored: ScoredCorpus, name: str, rows: Array) -> Array:
    """Seconds from each word's end to its text, for the words of ``rows``; empty for offline predictions."""
    prediction = scored.prediction(name)
    lookahead_ms = prediction.facts.get("lookahead_ms")
    if not prediction.facts.get("streaming") or not lookahead_ms or lookahead_ms != lookahead_ms:
        return np.empty(0)
    chunk_s = float(lookahead_ms) / 1000
    compute = prediction.column("compute_s")
    durations = scored.rows["duration"] if "duration" in scored.rows.columns else None
    delays: list[float] = []
    for row in rows.tolist():
        words = prediction.word_list(row)
        if not words:
            continue
        spoken_s = float(durations.iloc[row]) if durations is not None else float(words[-1]["end"])
        chunks = max(1, math.ceil(spoken_s / chunk_s))
        spent_s = float(compute.iloc[row] or 0.0) / chunks
        for word in words:
            chunk = math.ceil(float(word["end"]) / chunk_s - _SLACK)
            # The last chunk is shorter: the end of the audio completes it.
            ready_s = min(chunk * chunk_s, max(spoken_s, float(word["end"])))
            delays.append(ready_s - float(word["end"]) + spent_s)
    return np.asarray(delays)


def delay_percentiles(scored: ScoredCorpus, name: str, rows: Array) -> dict[str, float]:
    """``latency_p50_s`` and ``latency_p95_s``; NaN where nothing is known."""
    delays = word_delays(scored, name, rows)
    known = [float(v) for v in np.percentile(delays, (50, 95))] if len(delays) else [float("nan")] * 2
    return {"latency_p50_s": known[0], "latency_p95_s": known[1]}
