"""Gates: hold a candidate against a policy and say pass, fail or *not enough data*, each with its evidence.

    report = gate(policy, evaluation, base="base", candidate="tuned", pilot=ws.pilot, training=rows)
    report.verdict, report.checks

The evaluation may hold more predictions than the two compared: those of the same checkpoints with other
prompts or streamed at a look-ahead are found by their run facts.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.files import write_atomic
from workbench.release import data_checks, measured_checks, rate_checks
from workbench.release.policy import CheckSpec, Policy
from workbench.release.verdicts import (
    FAIL,
    PASS,
    UNKNOWN,
    Check,
    Finding,
    Verdict,
    non_inferior,
    plain,
    worst,
)
from workbench.workspace.settings import Pilot

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from workbench.evaluation.evaluation import Evaluation
    from workbench.release.measure import Measurement

    Array = np.ndarray[Any, np.dtype[Any]]

SCHEMA_VERSION = 1
__all__ = ["FAIL", "PASS", "UNKNOWN", "Check", "Finding", "GateReport", "Policy", "Subject", "gate"]

_JUDGES: dict[str, Callable[[Subject, CheckSpec], list[Finding]]] = {
    "improves": rate_checks.improves,
    "not_worse": rate_checks.not_worse,
    "weighted_rate": rate_checks.weighted_rate,
    "formatting": rate_checks.formatting,
    "streaming": rate_checks.streaming,
    "language": data_checks.language,
    "keywords": data_checks.keywords,
    "terms": data_checks.terms,
    "leakage": data_checks.leakage,
    "erasure": data_checks.erasure,
    "latency": measured_checks.latency,
    "memory": measured_checks.memory,
}


def gate(
    policy: Policy,
    evaluation: Evaluation,
    *,
    base: str,
    candidate: str,
    pilot: Pilot | None = None,
    lookahead_ms: int = 560,
    training: pd.DataFrame | None = None,
    measurement: Measurement | None = None,
    erased: Mapping[str, Iterable[str]] | None = None,
    candidate_sha256: str | None = None,
) -> GateReport:
    """Judge a candidate.

    Args:
        base, candidate: names of predictions in the evaluation.
        pilot: target locales, guardrails and weights where the policy names none.
        lookahead_ms: operating point where the policy names none.
        training: utterance rows the candidate was trained on; without them, terms and leakage are unknown.
        measurement: latency and memory of the candidate, see ``measure``.
        erased: checkpoint hash → certificates of erasures that touched its training data; None: unknown.
        candidate_sha256: hash of the checkpoint file; default: what the predictions say. The report binds the
            verdict to it, so that another file cannot be promoted on it.

    Raises:
        WorkbenchError: a name that the evaluation lacks, or a hash that contradicts the predictions.
    """
    for name in (base, candidate):
        if name not in evaluation.names:
            raise WorkbenchError(
                f"no prediction {name!r} to gate", hint=f"The evaluation has {', '.join(evaluation.names)}."
            )
    subject = Subject(
        policy, evaluation, base, candidate, pilot or Pilot(), lookahead_ms, training, measurement,
        {k: tuple(v) for k, v in erased.items()} if erased is not None else None,
    )  # fmt: skip
    stated = subject.sha256(candidate)
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
        checks=tuple(_judge(subject, spec) for spec in policy.checks),
        utterances=len(evaluation),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


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


@dataclass(frozen=True, slots=True)
class GateReport:
    """The verdict on a candidate and what it rests on; ``to_json`` and ``report`` write it down."""

    policy: str
    policy_digest: str
    base: str
    candidate: str
    base_sha256: str | None
    candidate_sha256: str | None
    checks: tuple[Check, ...]
    utterances: int
    made_at: str
    schema_version: int = SCHEMA_VERSION

    @property
    def verdict(self) -> Verdict:
        return worst(check.verdict for check in self.checks)

    @property
    def passed(self) -> bool:
        return self.verdict == PASS

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 3 not enough data; 2 is left to commands that could not run at all."""
        return {PASS: 0, FAIL: 1, UNKNOWN: 3}[self.verdict]

    def check(self, name: str) -> Check:
        """The check of a name.

        Raises:
            WorkbenchError: there is none.
        """
        for check in self.checks:
            if check.name == name:
                return check
        raise WorkbenchError(f"no check {name!r}", hint=f"Checks: {', '.join(c.name for c in self.checks)}.")

    def to_dict(self) -> dict[str, Any]:
        names = [n for n in self.__slots__ if n != "checks"]
        checks = [check.to_dict() for check in self.checks]
        return {**{n: getattr(self, n) for n in names}, "verdict": self.verdict, "checks": checks}

    def to_json(self, path: Path | None = None) -> str:
        """The report as JSON, written to ``path`` where given."""
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        if path is not None:
            write_atomic(Path(path), text)
        return text

    @classmethod
    def from_json(cls, text: str) -> GateReport:
        """Read a report back.

        Raises:
            WorkbenchError: not a report, of another schema, or with a verdict its checks do not bear out.
        """
        try:
            raw = json.loads(text)
            made = [
                Check(**{**c, "evidence": tuple(Finding(**f) for f in c["evidence"])})
                for c in raw.pop("checks")
            ]
            verdict = raw.pop("verdict")
            report = cls(**raw, checks=tuple(made))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise WorkbenchError("not a gate report", hint="Gate the candidate again.") from error
        if report.schema_version != SCHEMA_VERSION or report.verdict != verdict:
            raise WorkbenchError(
                "gate report of another schema or with an edited verdict", hint="Gate again."
            )
        for check in report.checks:
            if check.verdict != worst(f.verdict for f in check.evidence):
                raise WorkbenchError(f"check {check.name!r} was edited", hint="Gate the candidate again.")
        return report

    def __str__(self) -> str:
        lines = [f"{self.candidate} against {self.base}, policy {self.policy}: {self.verdict}"]
        return "\n".join([*lines, *(f"  {c.verdict:16} {c.name}: {c.because}" for c in self.checks)])

    def _repr_html_(self) -> str:
        """A table; the verdict is written, never told by color alone."""
        rows = []
        for check in self.checks:
            cells = (check.verdict, check.name, check.requirement, check.because)
            rows.append("<tr>" + "".join(f'<td dir="auto">{html.escape(c)}</td>' for c in cells) + "</tr>")
        title = html.escape(f"{self.candidate} against {self.base}, policy {self.policy}: {self.verdict}")
        head = "".join(
            f'<th scope="col">{name}</th>' for name in ("verdict", "check", "requirement", "because")
        )
        body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
        return f"<table><caption>{title}</caption>{body}</table>"


@dataclass
class Subject:
    """What the checks look at; ``candidate_sha256`` is what the verdict is bound to."""

    policy: Policy
    evaluation: Evaluation
    base: str
    candidate: str
    pilot: Pilot
    lookahead_ms: int
    training: pd.DataFrame | None = None
    measurement: Measurement | None = None
    erased: dict[str, tuple[str, ...]] | None = None
    candidate_sha256: str | None = field(default=None)

    def facts(self, name: str) -> Mapping[str, Any]:
        return self.evaluation.facts(name)

    def sha256(self, name: str) -> str | None:
        value = self.facts(name).get("checkpoint_sha256")
        return value if isinstance(value, str) and value != "mixed" else None

    def too_few(self, row: Mapping[str, Any]) -> bool:
        """Whether a slice is too small to decide under this policy."""
        return row["enough"] == "no" or (row["enough"] == "provisional" and not self.policy.provisional)

    def streamed(self, lookahead_ms: int) -> tuple[str, str] | None:
        """Predictions of base and candidate streamed at a look-ahead."""
        return self._pair(streaming=True, lookahead_ms=lookahead_ms)

    def prompted(self, mode: str) -> tuple[str, str] | None:
        """Predictions of base and candidate under a prompt mode."""
        return self._pair(prompt_mode=mode)

    def hypotheses(self, name: str) -> pd.Series[Any]:
        """The texts of a prediction in the order of ``evaluation.rows``; None where missing."""
        return self.evaluation.scored.prediction(name).column("hypothesis")

    def formatting_errors(self) -> tuple[Array, Array, Array, Array]:
        """Rows both predictions have, errors of base and of candidate beyond the words, reference words."""
        scored = self.evaluation.scored
        present = scored.prediction(self.base).present & scored.prediction(self.candidate).present
        errors = []
        for name in (self.base, self.candidate):
            raw, _ = scored.totals(name, "wer", "raw")
            bare, units = scored.totals(name, "wer", "basic")
            errors.append((raw - bare)[present])
        return present.nonzero()[0], errors[0], errors[1], units[present]

    def paired(
        self,
        rows: Array,
        a: Array,
        b: Array,
        units: Array,
        by: str | None,
        wanted: list[str] | None,
        margin: float,
        minimum_units: int = 0,
    ) -> list[Finding]:
        """Non-inferiority of counted errors, slice by slice, with the evaluation's clusters and seed.

        Args:
            rows: positions in ``evaluation.rows``; ``a``, ``b``, ``units``: counts of each of them.
            by: column to slice by; None for one slice over all.
            wanted: only these slices; those without a row are not enough data.
            minimum_units: slices with fewer units are not enough data.
        """
        import numpy as np

        labels = np.full(len(rows), "all", object)
        if by is not None:
            labels = self.evaluation.rows[by].to_numpy(object)[rows]
        names = wanted or sorted({str(v) for v in labels if v is not None and v == v})
        findings = []
        for name in names:
            chosen = labels == name
            row = self._difference(rows[chosen], a[chosen], b[chosen], units[chosen])
            verdict, because = non_inferior(row, margin)
            if row["units"] < minimum_units or self.too_few(row):
                verdict, because = UNKNOWN, f"{because}; only {row['units']} units"
            findings.append(Finding(name, verdict, because, {k: plain(v) for k, v in row.items()}))
        return findings or [Finding("all", UNKNOWN, "nothing to compare")]

    def _difference(self, rows: Array, a: Array, b: Array, units: Array) -> dict[str, Any]:
        from workbench.evaluation.clusters import cluster_sums, clusters_of
        from workbench.evaluation.significance import paired_difference

        settings = self.evaluation.settings
        total = int(units.sum())
        clusters = clusters_of(self.evaluation.scored.speakers[rows], settings.thresholds.min_speakers)
        sums = cluster_sums(clusters, a, b, units)
        found = paired_difference(sums, resamples=settings.resamples, seed=settings.seed)
        rates = {"rate_a": a.sum() / total, "rate_b": b.sum() / total} if total else {}
        words = int(self.evaluation.scored.totals(self.base, "wer", "basic")[1][rows].sum())
        return {
            **rates,
            "difference": found.difference,
            "low": found.low,
            "high": found.high,
            "lower_bound": found.lower_bound,
            "upper_bound": found.upper_bound,
            "units": total,
            "utterances": len(rows),
            "speakers": clusters.speakers,
            "interval_kind": clusters.kind,
            "enough": settings.thresholds.enough(words),
        }

    def _pair(self, **facts: Any) -> tuple[str, str] | None:
        found = [self._like(name, facts) for name in (self.base, self.candidate)]
        return (found[0], found[1]) if found[0] and found[1] else None

    def _like(self, name: str, wanted: Mapping[str, Any]) -> str | None:
        """A prediction by the checkpoint of ``name`` with the wanted facts; ``name`` itself first."""
        sha256 = self.sha256(name)
        for other in (name, *self.evaluation.names):
            facts = self.facts(other)
            same = other == name or (sha256 is not None and facts.get("checkpoint_sha256") == sha256)
            if same and all(facts.get(k) == v for k, v in wanted.items()):
                return other
        return None
