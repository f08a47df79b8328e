"""How a model read each clip of a board: error rates and confidence, to sort by and to show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.evaluation.evaluation import score_predictions
from workbench.recognizer.languages import runs

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

MEASURES = (
    "wer", "cer", "substitutions", "insertions", "deletions", "confidence", "low_confidence", "difference",
)  # fmt: skip
"""``low_confidence``: share of words whose confidence is so low that wrong ones are looked for there;
``difference``: word error rate of this prediction minus that of the other one, where there is one."""


class Measures:
    """Columns of one prediction by row number of the board; NaN where a clip has none.

    Args:
        rows: ``id``, ``text``, ``target_lang`` as they stand when the board opens. A reference edited later
            keeps the measures of the one it had.
        predictions: ``id``, ``hypothesis`` and, where known, ``confidence``, ``low_confidence``, ``spans``.
        number: id → row number.
        other: a second prediction, to compare with.
    """

    def __init__(
        self,
        rows: pd.DataFrame,
        predictions: pd.DataFrame,
        number: Mapping[str, int],
        other: pd.DataFrame | None = None,
    ) -> None:
        self.columns: dict[str, NDArray[np.float64]] = {}
        self.hypotheses: dict[int, str] = {}
        self.languages: dict[int, list[list[Any]]] = {}
        if "hypothesis" not in predictions:
            return
        given = {"this": _once(predictions)} | ({} if other is None else {"other": _once(other)})
        for name, table in given.items():
            frame = rows[rows["id"].isin(table["id"])]
            if not len(frame):
                continue
            evaluation = score_predictions(frame, {name: table[table["id"].isin(frame["id"])]})
            words = evaluation.utterances(name, metric="wer")
            places = [number[clip] for clip in words["id"]]
            if name == "other":
                self._compare(words["rate"].to_numpy(float), places, len(number))
                continue
            self._take(words, places, len(number))
            letters = evaluation.utterances(name, metric="cer")
            self._put("cer", letters["rate"], [number[clip] for clip in letters["id"]], len(number))
            if "spans" in table:
                said = zip(table["id"], table["spans"], strict=True)
                found = {number[clip]: runs(spans) for clip, spans in said if clip in number}
                self.languages = {n: held for n, held in found.items() if held}
            if "low_confidence" in table:
                sure = table[table["id"].isin(number)]
                self._put(
                    "low_confidence", sure["low_confidence"], [number[c] for c in sure["id"]], len(number)
                )
            if "confidence" in table:
                sure = table[table["id"].isin(number)]
                self._put("confidence", sure["confidence"], [number[c] for c in sure["id"]], len(number))

    def __bool__(self) -> bool:
        return bool(self.columns)

    def of(self, n: int) -> dict[str, float | None]:
        """The measures of one row; a rate without reference words is None."""
        return {name: _finite(column[n]) for name, column in self.columns.items()}

    def _take(self, words: pd.DataFrame, places: list[int], rows: int) -> None:
        self._put("wer", words["rate"], places, rows)
        for name in ("substitutions", "insertions", "deletions"):
            self._put(name, words[name], places, rows)
        self.hypotheses = dict(zip(places, words["hypothesis"].tolist(), strict=True))

    def _put(self, name: str, values: Any, places: list[int], rows: int) -> None:
        column = np.full(rows, np.nan)
        column[places] = np.asarray(values, dtype=float)
        if not np.isnan(column).all():
            self.columns[name] = column

    def _compare(self, rates: NDArray[np.float64], places: list[int], rows: int) -> None:
        theirs = np.full(rows, np.nan)
        theirs[places] = rates
        if "wer" in self.columns:
            with np.errstate(invalid="ignore"):
                self.columns["difference"] = self.columns["wer"] - theirs


def _once(predictions: pd.DataFrame) -> pd.DataFrame:
    """One line a clip: where several settings were transcribed, the first."""
    return predictions.drop_duplicates("id")


def _finite(value: float) -> float | None:
    return float(value) if value - value == 0 else None
