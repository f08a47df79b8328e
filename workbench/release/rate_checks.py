"""Checks on error rates: improvement, non-inferiority, the weighted rate, streaming, formatting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from workbench.release.verdicts import (
    FAIL,
    PASS,
    UNKNOWN,
    Finding,
    Verdict,
    improved,
    non_inferior,
    numbers_of,
    points,
)

if TYPE_CHECKING:
    from workbench.release.policy import CheckSpec
    from workbench.release.subject import Subject


def improves(subject: Subject, spec: CheckSpec) -> list[Finding]:
    """Every target locale better, shown."""
    wanted = spec["locales"] or subject.targets()
    if not wanted:
        return [Finding("targets", UNKNOWN, "no target locale is named, in the policy or the pilot plan")]
    return _each(subject, spec, wanted, improved, (subject.base, subject.candidate))


def not_worse(subject: Subject, spec: CheckSpec) -> list[Finding]:
    """No slice worse by the margin. Without ``locales``: the pilot's guardrails and what training replayed;
    else all, of which one must be another than the targets."""
    judge, pair = _within(spec["margin"]), (subject.base, subject.candidate)
    if spec["locales"] or spec["by"] != ["target_lang"]:
        return _each(subject, spec, spec["locales"], judge, pair)
    guarded = subject.guarded()
    findings = _each(subject, spec, guarded or None, judge, pair)
    tested, targets = {f.slice for f in findings if f.numbers}, set(subject.targets())
    if not guarded and (not tested - targets or (not targets and len(tested) < 2)):
        what = "no locale besides the adapted one was tested, so nothing says that none was harmed"
        findings.append(Finding("other locales", UNKNOWN, what))
    return findings


def streaming(subject: Subject, spec: CheckSpec) -> list[Finding]:
    """Streaming at the chosen look-ahead: candidate against base, both streamed at it."""
    lookahead_ms = spec["lookahead_ms"] or subject.lookahead_ms
    pair = subject.streamed(lookahead_ms)
    if pair is None:
        needed = f"needs predictions of base and candidate streamed at {lookahead_ms} ms"
        return [Finding(f"{lookahead_ms} ms", UNKNOWN, needed)]
    return _each(subject, spec, spec["locales"], _within(spec["margin"]), pair)


def formatting(subject: Subject, spec: CheckSpec) -> list[Finding]:
    """Punctuation and capitals: what the error rate of the written text has beyond that of the bare words.

    Paired per utterance: errors with the ``raw`` normalizer less errors with ``basic``, over the reference
    words, so that words merely recognized better or worse do not count as formatting.
    """
    rows, a, b, units = subject.formatting_errors()
    return subject.paired(rows, a, b, units, "target_lang", spec["locales"], spec["margin"])


def weighted_rate(subject: Subject, spec: CheckSpec) -> list[Finding]:
    """The rate weighted by traffic share and risk, over the pilot's locales.

    The bounds of the weighted sum are recovered from those of its independent parts (MOVER, Zou and Donner
    2008): upper = sum + sqrt(sum of (w · (upper_i - d_i))²).
    """
    weights = spec["weights"] or subject.pilot.weights()
    if not weights:
        return [Finding("weighted", UNKNOWN, "the pilot plan gives no traffic shares")]
    total = sum(weights.values())
    table = _table(subject, spec, ["target_lang"], (subject.base, subject.candidate))
    rows = {row["target_lang"]: row for row in table}
    missing = [tag for tag in weights if tag not in rows or subject.too_few(rows[tag])]
    if missing:
        return [Finding("weighted", UNKNOWN, f"not enough test data for {', '.join(sorted(missing))}")]
    pair = (subject.base, subject.candidate)
    if why := "; ".join(dict.fromkeys(why for tag in weights if (why := subject.open(pair, tag)))):
        return [Finding("weighted", UNKNOWN, why)]
    parts = [(weights[tag] / total, rows[tag]) for tag in weights]
    difference = sum(w * float(r["difference"]) for w, r in parts)
    bounds = {}
    for name, sign in (("lower_bound", -1), ("upper_bound", 1)):
        squares = sum((w * (float(r[name]) - float(r["difference"]))) ** 2 for w, r in parts)
        bounds[name] = difference + sign * math.sqrt(squares)
    summed = {"difference": difference, "confidence": subject.evaluation.settings.confidence, **bounds}
    for side in ("rate_a", "rate_b"):
        summed[side] = sum(w * float(r[side]) for w, r in parts)
    verdict, because = non_inferior(summed, spec["margin"])
    shares = ", ".join(f"{tag} {weights[tag] / total:.0%}" for tag in sorted(weights))
    return [Finding("weighted", verdict, f"{because}; weights {shares}", numbers_of(summed))]


def served(subject: Subject, spec: CheckSpec) -> list[Finding]:
    """What callers of the package get against what was measured in torch, on the same rows, by locale."""
    found = subject.served
    if found is None:
        return [Finding("package", UNKNOWN, "no package was served: release.serve(PACKAGE, corpus)")]
    if subject.candidate_sha256 is not None and found.checkpoint_sha256 != subject.candidate_sha256:
        return [Finding("package", UNKNOWN, "the package was made of another checkpoint")]
    if spec["target"] is not None and spec["target"] != found.target:
        return [Finding("package", UNKNOWN, f"a package for {found.target} was served")]
    judge, wanted = _within(spec["margin"]), spec["locales"]
    rows = {str(row["target_lang"]): row for row in found.table.to_dict("records")}
    made = [
        _finding(subject, spec, tag, row, judge, "")
        for tag, row in rows.items()
        if wanted is None or tag in wanted
    ]
    made += [Finding(tag, UNKNOWN, "nothing of it was served") for tag in wanted or () if tag not in rows]
    what = f"{found.target} {found.precision}, package {found.package_sha256[:12]}"
    return [replace(one, because=f"{one.because}; {what}") for one in made] or [
        Finding("package", UNKNOWN, "no row was served")
    ]


def _within(margin: float) -> Any:
    return lambda row: non_inferior(row, margin)


def _table(
    subject: Subject, spec: CheckSpec, by: Sequence[str], pair: tuple[str, str]
) -> list[Mapping[str, Any]]:
    evaluation = subject.evaluation
    columns = [name for name in by if name in evaluation.rows.columns]
    if len(columns) < len(by):
        return []
    table = evaluation.compare(
        *pair, by=columns, metric=spec["metric"], normalizer=spec["normalizer"], where=spec["where"]
    )
    records: list[Mapping[str, Any]] = table.to_dict("records")
    return records


def _each(
    subject: Subject, spec: CheckSpec, wanted: Sequence[str] | None, judge: Any, pair: tuple[str, str]
) -> list[Finding]:
    by: list[str] = spec.options.get("by", ["target_lang"])
    records = _table(subject, spec, by, pair)
    findings: list[Finding] = []
    seen: set[str] = set()
    for row in records:
        key = [row[column] for column in by]
        tag = str(row.get("target_lang", key[0]))
        seen.add(tag)
        if wanted is not None and tag not in wanted:
            continue
        if any(value is None or value != value for value in key):
            continue  # a slice of unknown accent is no accent; its utterances count in their locale
        why = subject.open(pair, tag if "target_lang" in by else None)
        findings.append(_finding(subject, spec, " · ".join(map(str, key)), row, judge, why))
    findings += [Finding(tag, UNKNOWN, "no test utterances") for tag in wanted or () if tag not in seen]
    if not findings and wanted is None and not spec.options.get("required", True):
        return [Finding("all", PASS, f"no known {' and '.join(by)} to compare, and none is required")]
    return findings or [Finding("all", UNKNOWN, f"no known {' and '.join(by)} to compare")]


def _finding(
    subject: Subject, spec: CheckSpec, name: str, row: Mapping[str, Any], judge: Any, why_open: str
) -> Finding:
    verdict: Verdict
    verdict, because = judge(row)
    if why_open:
        return Finding(name, UNKNOWN, f"{why_open}; on what there is: {because}", numbers_of(row))
    if subject.too_few(row):
        # Too small to pass; a failure on such a slice is not proved either.
        verdict = UNKNOWN
        because = f"{because}; only {int(row['reference_words'])} reference words"
    elif spec.options.get("voices") == "speakers" and row["interval_kind"] != "speakers" and verdict != FAIL:
        verdict = UNKNOWN
        because = f"{because}; only {int(row['speakers'])} voices, so nothing is said about other speakers"
    elif row["interval_kind"] == "these voices only":
        because = f"{because}; holds for the tested voices only ({int(row['speakers'])})"
    return Finding(name, verdict, because, numbers_of(row))


__all__ = ["formatting", "improves", "not_worse", "points", "served", "streaming", "weighted_rate"]
