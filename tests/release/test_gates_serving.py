"""Gates on how it serves: streamed, latency, memory."""

from __future__ import annotations

from typing import Any

import pytest
from drawn import BASE, GOOD, TUNED, evaluation_of, heard, judged, rows_of

from workbench.evaluation.evaluation import score_predictions
from workbench.release.gates import FAIL, PASS, UNKNOWN
from workbench.release.measure import Measurement


def test_streaming_is_judged_at_the_chosen_look_ahead() -> None:
    rows = rows_of()
    predictions = {"base": heard(rows, GOOD[0], BASE, 1), "tuned": heard(rows, GOOD[1], TUNED, 1)}
    assert judged(score_predictions(rows, predictions), "kind: streaming").verdict == UNKNOWN
    at = {"streaming": True, "lookahead_ms": 560}
    predictions["base live"] = heard(rows, GOOD[0], BASE, 1, **at)
    predictions["tuned live"] = heard(rows, {"el-GR": 0.2, "en-US": 0.5}, TUNED, 1, **at)
    report = judged(score_predictions(rows, predictions), "kind: streaming", "kind: not_worse")
    assert report.check("streaming").verdict == FAIL
    assert report.check("not_worse").verdict == PASS
    assert (
        judged(score_predictions(rows, predictions), "{kind: streaming, lookahead_ms: 80}").verdict == UNKNOWN
    )


def measured(**changes: Any) -> Measurement:
    facts: dict[str, Any] = {
        "checkpoint_sha256": TUNED, "lookahead_ms": 560, "latency_p50_ms": 400.0, "latency_p95_ms": 700.0,
        "words": 500, "audio_s": 60.0, "real_time_factor": 0.1, "memory_mib": 900.0,
        "machine": "x86_64 with 2 CPUs",
    }  # fmt: skip
    return Measurement(**{**facts, **changes})


@pytest.mark.parametrize(
    ("changes", "latency", "memory"),
    [
        ({}, PASS, PASS),
        ({"latency_p95_ms": 900.0}, FAIL, PASS),
        ({"memory_mib": 2000.0}, PASS, FAIL),
        ({"words": 5}, UNKNOWN, PASS),
        ({"lookahead_ms": 80}, UNKNOWN, PASS),
        ({"checkpoint_sha256": BASE}, UNKNOWN, UNKNOWN),
    ],
)
def test_latency_and_memory_are_judged_on_what_was_measured(changes: Any, latency: str, memory: str) -> None:
    checks = ("{kind: latency, p95_ms: 800}", "{kind: memory, maximum_mib: 1000}")
    report = judged(evaluation_of(*GOOD), *checks, measurement=measured(**changes))
    assert [c.verdict for c in report.checks] == [latency, memory]
    assert judged(evaluation_of(*GOOD), *checks).verdict == UNKNOWN
