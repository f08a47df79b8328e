"""Gates: hold a candidate against a policy and say pass, fail or *not enough data*, each with its evidence.

    report = gate(policy, evaluation, base="base", candidate="tuned", pilot=ws.pilot, training=rows)
    report.verdict, report.checks

With a suite run the verdict rests on its frozen utterances and operating points, and the report carries their
digests. Without one, two predictions picked by hand are judged only where they are alike and cover the same
utterances. The evaluation may hold more predictions than the two compared: those of the same checkpoints with
other prompts or streamed at a look-ahead are found by their run facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.release import data_checks, measured_checks, rate_checks, reference_checks, silence_checks
from workbench.release.gate_report import GateReport
from workbench.release.policy import CheckSpec, Policy
from workbench.release.subject import Subject
from workbench.release.verdicts import FAIL, PASS, UNKNOWN, Check, Finding, worst
from workbench.suites.predictions import SuitePredictions
from workbench.workspace.settings import Pilot

if TYPE_CHECKING:
    import pandas as pd

    from workbench.deployment.served import ServedParity
    from workbench.evaluation.evaluation import Evaluation
    from workbench.evaluation.rates import Settings
    from workbench.release.measure import Measurement

FEWEST_RESAMPLES = 200
"""Fewer draws place the ends of an interval by chance."""
__all__ = ["FAIL", "PASS", "UNKNOWN", "Check", "Finding", "GateReport", "Policy", "Subject", "gate"]

_JUDGES: dict[str, Callable[[Subject, CheckSpec], list[Finding]]] = {
    "improves": rate_checks.improves,
    "not_worse": rate_checks.not_worse,
    "weighted_rate": rate_checks.weighted_rate,
    "formatting": rate_checks.formatting,
    "silence": silence_checks.silence,
    "streaming": rate_checks.streaming,
    "language": data_checks.language,
    "keywords": data_checks.keywords,
    "terms": data_checks.terms,
    "leakage": data_checks.leakage,
    "erasure": data_checks.erasure,
    "references": reference_checks.references,
    "latency": measured_checks.latency,
    "served": rate_checks.served,
    "memory": measured_checks.memory,
}


def gate(
    policy: Policy,
    evaluation: Evaluation | SuitePredictions,
    *,
    base: str,
    candidate: str,
    pilot: Pilot | None = None,
    lookahead_ms: int = 560,
    training: pd.DataFrame | None = None,
    measurement: Measurement | None = None,
    served: ServedParity | None = None,
    erased: Mapping[str, Iterable[str]] | None = None,
    candidate_sha256: str | None = None,
) -> GateReport:
    """Judge a candidate.

    Args:
        evaluation: a suite run, judged at its first operating point and, where the policy asks, at others;
            or an evaluation of predictions picked by hand.
        base, candidate: engines of the run, or names of predictions in the evaluation.
        pilot: target locales, guardrails and weights where the policy names none.
        lookahead_ms: operating point where the policy names none.
        training: utterance rows the candidate was trained on; without them, terms and leakage are unknown.
        measurement: latency and memory of the candidate, see ``measure``.
        served: what callers of the candidate's package get, see ``Release.serve``.
        erased: checkpoint hash → certificates of erasures that touched its training data; None: unknown.
        candidate_sha256: hash of the checkpoint file; default: what the predictions say. The report binds the
            verdict to it, so that another file cannot be promoted on it.

    Raises:
        WorkbenchError: a name that the evaluation lacks, one checkpoint as base and candidate, settings that
            would decide on nothing, a hash that contradicts the predictions, or a suite that has changed.
    """
    run = evaluation if isinstance(evaluation, SuitePredictions) else None
    if isinstance(evaluation, SuitePredictions):
        evaluation = evaluation.at_all_points((base, candidate))
    _refuse_settings(evaluation.settings)
    for name in (base, candidate):
        if name not in evaluation.names:
            raise WorkbenchError(
                f"no prediction {name!r} to gate", hint=f"The evaluation has {', '.join(evaluation.names)}."
            )
    subject = Subject(
        policy, evaluation, base, candidate, pilot or Pilot(), lookahead_ms, training, measurement,
        served, {k: tuple(v) for k, v in erased.items()} if erased is not None else None, run=run,
    )  # fmt: skip
    stated = subject.sha256(candidate)
    if base == candidate or (stated is not None and stated == subject.sha256(base)):
        raise WorkbenchError(
            "base and candidate are one checkpoint",
            where=f"{base} against {candidate}",
            hint="Name the checkpoint that the candidate would replace.",
        )
    if candidate_sha256 and stated and candidate_sha256 != stated:
        raise WorkbenchError(
            "the predictions were made by another checkpoint than the candidate",
            where=candidate,
            hint="Transcribe with the candidate again.",
        )
    subject.candidate_sha256 = candidate_sha256 or stated
    return GateReport(
        policy=policy.name,
        policy_digest=policy.digest,
        base=base,
        candidate=candidate,
        base_sha256=subject.sha256(base),
        candidate_sha256=subject.candidate_sha256,
        checks=(*_preconditions(subject), *(_judge(subject, spec) for spec in policy.checks)),
        utterances=len(evaluation),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        suite=run.binding(base, candidate) if run is not None else None,
    )


def _refuse_settings(settings: Settings) -> None:
    """Refuse what would decide on nothing.

    Raises:
        WorkbenchError: too few resamples, thresholds without a floor.
    """
    if settings.resamples < FEWEST_RESAMPLES:
        what = f"{settings.resamples} resamples decide on nothing"
        raise WorkbenchError(what, where="evaluation", hint=f"Use {FEWEST_RESAMPLES} or more.")
    limits = settings.thresholds
    if limits.gray_below_words < 1 or limits.min_speakers < 2:
        what = "thresholds without a floor decide on nothing"
        raise WorkbenchError(what, where="evaluation", hint="Ask for 1 word and 2 speakers at least.")


def _preconditions(subject: Subject) -> list[Check]:
    """What must hold before a figure may decide: with a suite always shown, otherwise only where it fails."""
    found = []
    pair = (subject.base, subject.candidate)
    unlike = subject.unlike(pair)
    lacking = subject.lacking(pair)
    findings = [Finding(tag, UNKNOWN, "; ".join(why)) for tag, why in lacking.items()]
    if subject.run is not None and not findings:
        findings = [
            Finding("all", PASS, f"all {len(subject.run.clips)} clips transcribed by both or accounted for")
        ]
    if unlike:
        found.append(_check("alike", "facts", [Finding("all", UNKNOWN, "; ".join(unlike))]))
    if findings:
        found.append(_check("coverage", "coverage", findings))
    return found


_PRECONDITIONS = {
    "alike": "base and candidate differ in nothing but the checkpoint",
    "coverage": "both transcribed the same utterances, and every locale and accent that is required",
}


def _check(name: str, kind: str, findings: list[Finding]) -> Check:
    because = "; ".join(f"{f.slice}: {f.because}" for f in findings[:3])
    verdict = worst(f.verdict for f in findings)
    return Check(name, kind, _PRECONDITIONS[name], verdict, because, tuple(findings))


def _judge(subject: Subject, spec: CheckSpec) -> Check:
    findings = _JUDGES[spec.kind](subject, spec)
    verdict = worst(f.verdict for f in findings)
    deciding = [f for f in findings if f.verdict == verdict]
    because = "; ".join(f"{f.slice}: {f.because}" for f in deciding[:3])
    if verdict == PASS and len(findings) > 1:
        because = f"all {len(findings)} slices pass"
    elif len(deciding) > 3:
        because += f"; and {len(deciding) - 3} more"
    return Check(spec.name, spec.kind, spec.what, verdict, because, tuple(findings))
