"""The check on speech invented in silence: words where nothing was said are no part of any error rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.evaluation.silence import silence_counts
from workbench.release.verdicts import FAIL, PASS, UNKNOWN, Finding

if TYPE_CHECKING:
    from workbench.release.policy import CheckSpec
    from workbench.release.subject import Subject


def silence(subject: Subject, spec: CheckSpec) -> list[Finding]:
    """Share of silent clips (reference empty, or punctuation only) in which words were invented, candidate
    against base, per locale; and the candidate's own share where ``maximum`` is asked for."""
    scored, rules = subject.evaluation.scored, subject.evaluation.settings.normalizer
    silent, before, _ = silence_counts(scored, subject.base, rules)
    also, after, words = silence_counts(scored, subject.candidate, rules)
    rows = np.flatnonzero(silent & also)
    if not len(rows):
        needed = "no test clip is silent, so nothing was looked at: add clips with an empty reference"
        return [Finding("silence", UNKNOWN, needed)]
    a, b = (invented[rows].astype(np.int64) for invented in (before, after))
    by = "target_lang" if "target_lang" in subject.evaluation.rows else None
    found = subject.paired(
        rows, a, b, np.ones(len(rows), np.int64), by, spec["locales"], spec["margin"],
        minimum_units=spec["minimum_clips"], words=False,
    )  # fmt: skip
    found = [
        Finding(
            f.slice,
            f.verdict,
            f"words in silence {f.because}; {f.numbers.get('units')} silent clips",
            f.numbers,
        )
        for f in found
    ]
    if spec["maximum"] is not None:
        share, count = float(b.mean()), int(words[rows].sum())
        said = f"words in {int(b.sum())} of {len(rows)} silent clips ({share:.1%}, {count} words)"
        verdict = PASS if share <= spec["maximum"] else FAIL
        if len(rows) < spec["minimum_clips"] and verdict == PASS:
            verdict, said = UNKNOWN, f"{said}: {spec['minimum_clips']} clips are asked for"
        found.append(Finding("candidate", verdict, f"{said}, at most {spec['maximum']:.1%} asked for"))
    return found
