"""Checks on what was measured on a machine: latency and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.release.verdicts import FAIL, PASS, UNKNOWN, Finding

if TYPE_CHECKING:
    from workbench.release.measure import Measurement
    from workbench.release.policy import CheckSpec
    from workbench.release.subject import Subject


def latency(subject: Subject, spec: CheckSpec) -> list[Finding]:
    """95th percentile of the time from the end of a word to its text, at the look-ahead asked for."""
    found = _measured(subject)
    if isinstance(found, Finding):
        return [found]
    lookahead_ms = spec["lookahead_ms"] or subject.lookahead_ms
    name = f"{lookahead_ms} ms"
    if found.lookahead_ms != lookahead_ms:
        return [Finding(name, UNKNOWN, f"measured at {found.lookahead_ms} ms")]
    if found.words < spec["minimum_samples"]:
        return [Finding(name, UNKNOWN, f"{found.words} words timed, {spec['minimum_samples']} asked for")]
    verdict = PASS if found.latency_p95_ms <= spec["p95_ms"] else FAIL
    text = (
        f"p95 {found.latency_p95_ms:.0f} ms over {found.words} words on {found.machine}, "
        f"at most {spec['p95_ms']:.0f} ms"
    )
    return [Finding(name, verdict, text, {"p50_ms": found.latency_p50_ms, "p95_ms": found.latency_p95_ms})]


def memory(subject: Subject, spec: CheckSpec) -> list[Finding]:
    """Peak memory of the process while it streamed: in all, or beyond the checkpoint's own weights."""
    found = _measured(subject)
    if isinstance(found, Finding):
        return [found]
    beyond, limits = spec["beyond_weights_mib"], []
    if spec["maximum_mib"] is not None:
        limits.append(spec["maximum_mib"])
    if beyond is not None:
        if not found.weights_mib:
            return [Finding("memory", UNKNOWN, "measured without the size of its weights: measure again")]
        limits.append(found.weights_mib + beyond)
    verdict = PASS if found.memory_mib <= min(limits) else FAIL
    text = f"{found.memory_mib:.0f} MiB on {found.machine}, at most {min(limits):.0f} MiB"
    if beyond is not None:
        text += f" ({beyond:.0f} MiB beyond {found.weights_mib:.0f} MiB of weights)"
    figures = {name: getattr(found, name) for name in ("memory_mib", "loading_mib", "weights_mib")}
    return [Finding("memory", verdict, text, figures)]


def _measured(subject: Subject) -> Measurement | Finding:
    found = subject.measurement
    if found is None:
        return Finding("measurement", UNKNOWN, "not measured")
    if subject.candidate_sha256 is not None and found.checkpoint_sha256 != subject.candidate_sha256:
        return Finding("measurement", UNKNOWN, "another checkpoint was measured")
    return found
