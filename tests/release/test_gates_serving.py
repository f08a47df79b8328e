"""Gates on how it serves: streamed, latency, memory."""

from __future__ import annotations

from typing import Any

import pytest
from drawn import BASE, GOOD, TUNED, evaluation_of, heard, judged, rows_of

from workbench.deployment.served import ServedParity
from workbench.errors import WorkbenchError
from workbench.evaluation.evaluation import score_predictions
from workbench.release.gates import FAIL, PASS, UNKNOWN
from workbench.release.measure import Measurement
from workbench.release.policy import Policy


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


def test_a_measurement_is_told_in_a_sentence() -> None:
    told = str(measured())
    assert told.splitlines()[0] == (
        "At 560 ms a word has its final text 400 ms after its end (median), 700 ms at the 95th percentile; "
        "900 MiB while it streams."
    )
    assert TUNED not in told
    assert "500 in 60 s of audio" in measured()._repr_html_()


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


@pytest.mark.parametrize("weights_mib", [20.0, 2434.0])
@pytest.mark.parametrize(("more_mib", "verdict"), [(900.0, PASS), (1999.0, PASS), (2001.0, FAIL)])
def test_a_limit_beyond_the_weights_fits_checkpoints_of_any_size(
    weights_mib: float, more_mib: float, verdict: str
) -> None:
    found = measured(memory_mib=weights_mib + more_mib, weights_mib=weights_mib, loading_mib=9e9)
    report = judged(evaluation_of(*GOOD), "{kind: memory, beyond_weights_mib: 2000}", measurement=found)
    assert report.verdict == verdict
    both = "{kind: memory, beyond_weights_mib: 2000, maximum_mib: 100}"
    assert judged(evaluation_of(*GOOD), both, measurement=found).verdict == FAIL
    older = measured(memory_mib=weights_mib)
    assert judged(evaluation_of(*GOOD), both, measurement=older).verdict == UNKNOWN


def test_a_memory_check_names_a_limit() -> None:
    with pytest.raises(WorkbenchError, match="a memory check without a limit"):
        Policy.from_yaml("checks:\n- {kind: memory}\n")


def served(rows_rate: dict[str, float], **changes: Any) -> ServedParity:
    """What torch measured without a fault, and a package that errs by locale as told."""
    rows = rows_of()
    told = {"runtime": "torch", "streaming": True, "lookahead_ms": 560}
    measured_, package = heard(rows, GOOD[1], TUNED, 1, **told), heard(rows, rows_rate, TUNED, 1, **told)
    package = package.assign(runtime="sherpa-onnx")
    scored = score_predictions(rows, {"measured": measured_, "served": package})
    table = scored.compare("measured", "served", by="target_lang")
    facts = {"checkpoint_sha256": TUNED, "package_sha256": "p" * 64, "target": "sherpa-onnx"}
    return ServedParity(len(rows), 0, 0, 0, 0.01, table, (), **{**facts, "precision": "int8", **changes})


def test_what_is_served_is_held_against_what_was_measured() -> None:
    check, evaluation = "{kind: served, margin: 0.05}", evaluation_of(*GOOD)
    same = judged(evaluation, check, served=served(GOOD[1])).check("served")
    assert same.verdict == PASS
    assert all("sherpa-onnx int8, package pppppppppppp" in f.because for f in same.evidence)
    worse = judged(evaluation, check, served=served({tag: rate + 0.3 for tag, rate in GOOD[1].items()}))
    assert worse.check("served").verdict == FAIL
    for why, found in {
        "no package was served": None,
        "another checkpoint": served(GOOD[1], checkpoint_sha256=BASE),
    }.items():
        report = judged(evaluation, check, served=found)
        assert report.check("served").verdict == UNKNOWN
        assert why in report.check("served").because
    other = judged(evaluation, "{kind: served, target: onnx}", served=served(GOOD[1]))
    assert "a package for sherpa-onnx was served" in other.check("served").because
    lacking = judged(evaluation, "{kind: served, locales: [nl-NL]}", served=served(GOOD[1]))
    assert lacking.check("served").verdict == UNKNOWN
