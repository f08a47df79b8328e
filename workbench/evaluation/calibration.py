"""Fitting what a checkpoint's confidence is worth on validation clips: temperature, and where the line is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from workbench.errors import WorkbenchError
from workbench.evaluation.confidence import confidence_of
from workbench.plain_values import plain
from workbench.times import utc_now
from workbench.workspace.calibration import Calibration

if TYPE_CHECKING:
    from workbench.evaluation.evaluation import Evaluation

FEWEST_WORDS, FEWEST_WRONG, FEWEST_UTTERANCES = 200, 20, 50
"""Less than so many, and a line would be drawn by chance."""
ACCEPTABLE = 0.2
"""Error rate up to which an utterance counts as right: a draft that is quicker corrected than typed anew."""


def calibrate(evaluation: Evaluation, name: str, corpus: str, where: str) -> Calibration:
    """Fit the confidence of a prediction on all rows of an evaluation.

    Args:
        evaluation: of validation clips, not of those that figures are made from.
        name: of the prediction.
        corpus, where: what the rows are, to be kept with the figures.

    Raises:
        WorkbenchError: no checkpoint made the prediction, or there is not enough data.
    """
    facts = evaluation.facts(name)
    sha256 = facts.get("checkpoint_sha256")
    if not isinstance(sha256, str):
        raise WorkbenchError(
            "not made by one checkpoint",
            where=name,
            hint="A calibration belongs to a checkpoint: transcribe.",
        )
    scored, rules, rows = evaluation.scored, evaluation.normalizer, np.arange(len(evaluation.scored))
    plainly = confidence_of(scored, name, rules, rows, 1.0)
    wrong = round(plainly.words * (1 - plainly.right))
    if plainly.words < FEWEST_WORDS or wrong < FEWEST_WRONG or plainly.line is None or plainly.auc is None:
        raise WorkbenchError(
            f"not enough data: {plainly.words:,} words with a confidence, {wrong:,} of them wrong",
            where=name,
            hint=f"At least {FEWEST_WORDS} and {FEWEST_WRONG} are needed: more validation clips.",
        )
    fitted = confidence_of(scored, name, rules, rows, None)
    whole = confidence_of(scored, name, rules, rows, 1.0, "utterance", ACCEPTABLE)
    return Calibration(
        checkpoint_sha256=sha256,
        corpus=corpus,
        where=where,
        prediction=name,
        words=plainly.words,
        right=plainly.right,
        temperature=fitted.temperature,
        word_line=plainly.line,
        utterance_line=whole.line if whole.words >= FEWEST_UTTERANCES else None,
        auc=plainly.auc,
        normalized_cross_entropy=plainly.normalized_cross_entropy,
        calibration_error=plainly.calibration_error,
        tempered_error=fitted.calibration_error,
        thresholds=tuple(plain(plainly.thresholds.to_dict("records"))),
        lookahead_ms=facts.get("lookahead_ms"),
        prompt_mode=facts.get("prompt_mode"),
        streaming=facts.get("streaming"),
        made_at=utc_now(),
    )
