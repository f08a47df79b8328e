"""The check on references that a model drafted: that a person accepted each, and read them at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.ingest.drafted import ACCEPTED_BY, CORRECTED_BY, DRAFT_FIELDS, DRAFTED_BY, only_drafted, said
from workbench.release.verdicts import FAIL, PASS, UNKNOWN, Finding

if TYPE_CHECKING:
    import pandas as pd

    from workbench.release.policy import CheckSpec
    from workbench.release.subject import Subject


def references(subject: Subject, spec: CheckSpec) -> list[Finding]:
    """Of what was trained on and tested on: no draft that nobody accepted.

    With ``maximum_unchanged``, no larger share (0 to 1) of drafts that were accepted as they were: where
    nearly all were, nobody read them.
    """
    maximum = spec["maximum_unchanged"]
    training = subject.training
    found = [_judged("test data", subject.evaluation.rows, maximum)]
    if training is None or not len(training):
        why = "the rows the candidate was trained on are not known"
        return [*found, Finding("training data", UNKNOWN, why)]
    return [*found, _judged("training data", training, maximum)]


def _judged(where: str, rows: pd.DataFrame, maximum: float | None) -> Finding:
    if DRAFTED_BY not in rows:
        return Finding(where, PASS, "no reference was drafted")
    given = rows.reindex(columns=list(DRAFT_FIELDS)).to_dict("records")
    drafted = [row for row in given if said(row[DRAFTED_BY])]
    alone = sum(only_drafted(row) for row in drafted)
    unchanged = sum(said(row[ACCEPTED_BY]) and not said(row[CORRECTED_BY]) for row in drafted)
    share = unchanged / len(drafted) if drafted else 0.0
    numbers: dict[str, float | int | str | None] = {
        "references": len(rows), "drafted": len(drafted), "unaccepted": alone, "unchanged": unchanged,
    }  # fmt: skip
    if alone:
        what = f"{alone:,} of {len(drafted):,} drafted references were accepted by nobody"
        return Finding(where, FAIL, what, numbers)
    if maximum is not None and share > maximum:
        what = f"{share:.0%} of {len(drafted):,} drafts were accepted unchanged, {maximum:.0%} allowed"
        return Finding(where, FAIL, what, numbers)
    what = f"{len(drafted):,} of {len(rows):,} references were drafted, all of them accepted by a person"
    return Finding(where, PASS, what, numbers)
