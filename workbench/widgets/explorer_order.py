"""The order of a cell's utterances in the explorer: a rate, a kind of error, a difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.widgets.explorer_data import Choice

if TYPE_CHECKING:
    import pandas as pd

    from workbench.evaluation import Evaluation
    from workbench.evaluation.scored import Headline

WORST = "worst"
"""The map's own metric, worst first; what a cell opens with."""
_LOWEST_FIRST = ("best", "confidence", "gained")
_RATES: dict[str, Headline] = {"wer": "wer", "cer": "cer"}


def orders(evaluation: Evaluation, choice: Choice) -> list[str]:
    """The orders that these predictions allow, ``WORST`` first."""
    found = [WORST, "best", "wer", "cer", "substitutions", "insertions", "deletions"]
    if choice.against:
        found += ["lost", "gained"]
    if "confidence" in evaluation.scored.prediction(choice.name).source.columns:
        found.append("confidence")
    return [*found, "duration"] if "duration" in evaluation.rows.columns else found


def ordered(evaluation: Evaluation, choice: Choice, frame: pd.DataFrame, order: str) -> pd.DataFrame:
    """Utterances of a cell in an order; ties stay worst first, and what has no figure comes last.

    Args:
        frame: of ``evaluation.utterances``, worst first.
        order: one of :func:`orders`.

    Raises:
        WorkbenchError: an order that these predictions do not allow.
    """
    known = orders(evaluation, choice)
    if order not in known:
        raise WorkbenchError(f"no order {order[:40]!r}", hint=f"Choose from {', '.join(known)}.")
    if order == WORST:
        return frame
    by = _figures(evaluation, choice, frame, order)
    places = by.sort_values(ascending=order in _LOWEST_FIRST, kind="stable", na_position="last").index
    return frame.loc[places].reset_index(drop=True)


def _figures(evaluation: Evaluation, choice: Choice, frame: pd.DataFrame, order: str) -> pd.Series[Any]:
    if order == "best":
        return frame["rate"]
    if order in _RATES:
        return _rates(evaluation, choice.name, choice, frame, _RATES[order])
    if order in ("lost", "gained"):
        return frame["rate"] - _rates(evaluation, choice.against, choice, frame, choice.metric)
    if order == "confidence":
        held = evaluation.scored.prediction(choice.name).column("confidence").astype(float)
        return _of(frame, held.set_axis(evaluation.rows["id"]))
    return frame[order]


def _rates(
    evaluation: Evaluation, name: str, choice: Choice, frame: pd.DataFrame, metric: Headline
) -> pd.Series[Any]:
    every = evaluation.utterances(name, metric=metric, normalizer=choice.normalizer)
    return _of(frame, every.set_index("id")["rate"])


def _of(frame: pd.DataFrame, figures: pd.Series[Any]) -> pd.Series[Any]:
    """Figures by id for the rows of a frame; not ``map``, which makes text of them where ids are text."""
    found: pd.Series[Any] = figures.reindex(frame["id"]).set_axis(frame.index)
    return found
