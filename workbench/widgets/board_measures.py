"""How a model read each clip of a board: error rates and confidence, to sort by and to show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.corpus.quality import listening_order
from workbench.errors import WorkbenchError
from workbench.evaluation.evaluation import score_predictions
from workbench.recognizer.languages import runs

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from workbench.corpus.query.table import Corpus

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
            if name == "this":
                self._take_doubts(table, number)
            # A row without a transcript has nothing to be measured against.
            written = rows["text"].map(lambda text: isinstance(text, str) and bool(text.strip()))
            frame = rows[rows["id"].isin(table["id"]) & written.astype(bool)]
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

    def _take_doubts(self, table: pd.DataFrame, number: Mapping[str, int]) -> None:
        """What was recognized and how sure it is, which needs no reference."""
        found = table[table["id"].isin(number)]
        places = [number[clip] for clip in found["id"]]
        said = found["hypothesis"].map(lambda text: text if isinstance(text, str) else "")
        self.hypotheses = dict(zip(places, said.tolist(), strict=True))
        if "spans" in found:
            held = {n: runs(spans) for n, spans in zip(places, found["spans"], strict=True)}
            self.languages = {n: spans for n, spans in held.items() if spans}
        for name in ("low_confidence", "confidence"):
            if name in found:
                self._put(name, found[name], places, len(number))

    def __bool__(self) -> bool:
        return bool(self.columns)

    def of(self, n: int) -> dict[str, float | None]:
        """The measures of one row; a rate without reference words is None."""
        return {name: _finite(column[n]) for name, column in self.columns.items()}

    def _take(self, words: pd.DataFrame, places: list[int], rows: int) -> None:
        self._put("wer", words["rate"], places, rows)
        for name in ("substitutions", "insertions", "deletions"):
            self._put(name, words[name], places, rows)
        self.hypotheses |= dict(zip(places, words["hypothesis"].tolist(), strict=True))

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


def predictions_of(
    corpus: Corpus, given: pd.DataFrame | str | None
) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Predictions as a table: those given, those of a name, or the newest of a corpus that has any; and, for
    comparison, the newest of the others.

    Raises:
        WorkbenchError: the corpus has none of that name.
    """
    if given is not None and not isinstance(given, str):
        return given, None

    folder = corpus.folder / "predictions"
    found = sorted(folder.glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    if given is not None:
        named = [path for path in found if path.stem == given]
        if not named:
            known = ", ".join(path.stem for path in found) or "none yet"
            raise WorkbenchError(
                f"no prediction {given[:40]!r}", where=corpus.name, hint=f"There is {known}."
            )
        found = [path for path in found if path.stem != given] + named
    tables = [listening_order.read_prediction(path) for path in found[-2:]]
    return (tables[-1] if tables else None), (tables[0] if len(tables) > 1 else None)
