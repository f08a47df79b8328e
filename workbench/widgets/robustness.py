"""What is left of words, marks and capitals as conditions worsen.

The predictions of an evaluation are the same clips under one condition each, in order: see
``recognizer.conditions.ladder`` for the conditions and ``field.in_conditions`` for the predictions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from workbench.glance import counted
from workbench.shown import show_rows
from workbench.signatures import public

if TYPE_CHECKING:
    from workbench.evaluation import Evaluation


@public
def robustness(evaluation: Evaluation) -> pd.DataFrame:
    """How much is left under each condition.

    Returns:
        a row per prediction: ``condition`` (its name), ``error_rate`` with ``low`` and ``high``; ``marks``,
        how many the references hold, and ``marks_kept``, the share recognized at its place; ``capitals``,
        words both sides have that can differ in case, and ``capitals_kept``, the share in the reference's
        case. Fractions; NaN where there is nothing to keep.
    """
    rows = []
    for name in evaluation.scored.predictions:
        rate = evaluation.overall(name)
        marks = evaluation.punctuation(name).set_index("mark").loc["all"]
        case = evaluation.case(name).iloc[0]
        rows.append(
            {
                "condition": name,
                "error_rate": float(rate["rate"]),
                "low": float(rate["low"]),
                "high": float(rate["high"]),
                "marks": int(marks["reference"]),
                "marks_kept": float(marks["recall"]),
                "capitals": int(case["words"]),
                "capitals_kept": 1 - float(case["rate"]),
            }
        )
    said = f"What is left under {counted(len(rows), 'condition')}."
    return show_rows(
        pd.DataFrame(rows), said, ("condition", "error_rate", "low", "high", "marks_kept", "capitals_kept")
    )
