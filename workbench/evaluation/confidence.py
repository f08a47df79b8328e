"""What a recognizer's confidence is worth: does it find the wrong words, is it earned, where to put the line.

The same of whole utterances, which drafts and listening orders go by: one is right where its error rate is at
most what the caller accepts.

* AUC: the chance that a right word has a higher confidence than a wrong one; 0.5 says nothing.
* Normalized cross entropy: the part of the uncertainty about right and wrong that the confidence takes away
  (Siu and Gish, *Computer Speech and Language* 13, 1999, as NIST scores it); below 0 it misleads.
* Calibration by one temperature on the log-odds (Guo et al., ICML 2017), fitted on other data than it is
  judged on: fit it on validation clips, give it where test clips are judged.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.stats import rankdata

from workbench.evaluation.errors import aligned_words
from workbench.evaluation.tables import as_table

if TYPE_CHECKING:
    from workbench.evaluation.scored import ScoredCorpus

    Array = np.ndarray[Any, np.dtype[Any]]

Unit = Literal["word", "utterance"]
LIMITS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_EPSILON = 1e-6
_SLOPES = (0.05, 20.0)


@dataclass(frozen=True)
class Confidence:
    """The confidence of a prediction's words, or of its utterances.

    Attributes:
        name: of the prediction.
        words: how many words (utterances) with a confidence were compared.
        right: share of them that is right.
        auc: 0 to 1; None where all are right, or all wrong.
        normalized_cross_entropy: at most 1; None likewise.
        calibration_error: mean distance of confidence and share of right words over ten bins, 0 to 1.
        temperature: what the log-odds were divided by before all figures here; 1 leaves them.
        thresholds: ``below, flagged, wrong_found, wrong_among_flagged``, shares of words: who listens to what
            is below a confidence listens to so many words and finds so many of the wrong ones.
        left_out: words whose confidence is no number from 0 to 1.
        unit: what is counted: 'word' or 'utterance'.
    """

    name: str
    words: int
    right: float
    auc: float | None
    normalized_cross_entropy: float | None
    calibration_error: float
    temperature: float
    thresholds: pd.DataFrame
    left_out: int
    unit: Unit = "word"

    @property
    def line(self) -> float | None:
        """The confidence that parts right from wrong best (Youden), as the recognizer gave it; None where
        nothing could be told. Of words: what to give ``ws.drafts(uncertain=…)``, which marks words. Of
        utterances: the clips below it are those to listen to first; no threshold of words."""
        if self.auc is None:
            return None
        return round(float(tempered(np.array([self._working_point()["below"]]), 1 / self.temperature)[0]), 3)

    def __str__(self) -> str:
        if not self.words:
            return f"{self.name}: no {self.unit} has a confidence."
        if self.auc is None:
            same = "right" if self.right else "wrong"
            return f"{self.name}: all {self.words:,} {self.unit}s are {same}: nothing to find."
        best, many = self._working_point(), f"{self.unit}s"
        left = f" {self.left_out:,} {many} have no usable confidence." if self.left_out else ""
        return (
            f"{self.name}: below {best['below']:.2f} stand {100 * best['flagged']:.0f} % of the {many} and "
            f"{100 * best['wrong_found']:.0f} % of the wrong ones (AUC {self.auc:.2f}, "
            f"normalized cross entropy {self.normalized_cross_entropy:+.2f}, {self.words:,} {many}).{left}"
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        if self.auc is None:
            return f"<p>{html.escape(str(self))}</p>"
        shown = self.thresholds.rename(
            columns={
                "below": "confidence below",
                "flagged": f"of all {self.unit}s",
                "wrong_found": f"of the wrong {self.unit}s",
                "wrong_among_flagged": "wrong among them",
            }
        )
        percent = {name: lambda share: f"{100 * share:.0f} %" for name in shown.columns[1:]}
        table = shown.to_html(index=False, border=0, formatters=percent, na_rep="–")
        return f"<p>{html.escape(str(self))}</p>{table}"

    def _working_point(self) -> dict[str, Any]:
        """The line that parts right from wrong best (Youden): wrong words found less right words flagged."""
        table = self.thresholds
        share = max(self.right, _EPSILON)
        right_flagged = (table["flagged"] - table["wrong_found"] * (1 - self.right)) / share
        return dict(table.iloc[int((table["wrong_found"] - right_flagged).argmax())])


def confidence_of(
    scored: ScoredCorpus,
    name: str,
    normalizer: str,
    rows: Array,
    temperature: float | None = None,
    unit: Unit = "word",
    acceptable: float = 0.0,
) -> Confidence:
    """Judge the confidences of a prediction's words, or utterances, on ``rows``.

    Args:
        acceptable: the error rate up to which an utterance is right; its own metric (characters in ja, zh).
        temperature: divides the log-odds; None: the one that fits these very words best, which flatters the
            calibration error and nothing else (neither AUC nor thresholds change their order).
    """
    if unit == "utterance":
        sure, right, left_out = utterance_outcomes(scored, name, normalizer, rows, acceptable)
    else:
        sure, right, left_out = outcomes(scored, name, normalizer, rows)
    if not len(sure):
        columns = ["below", "flagged", "wrong_found", "wrong_among_flagged"]
        return Confidence(name, 0, 0.0, None, None, 0.0, 1.0, pd.DataFrame(columns=columns), left_out, unit)
    used = fit_temperature(sure, right) if temperature is None else temperature
    sure = tempered(sure, used)
    return Confidence(
        name, len(sure), float(right.mean()), area_under_curve(sure, right),
        normalized_cross_entropy(sure, right), expected_calibration_error(sure, right), used,
        thresholds(sure, right), left_out, unit,
    )  # fmt: skip


def utterance_outcomes(
    scored: ScoredCorpus, name: str, normalizer: str, rows: Array, acceptable: float
) -> tuple[Array, Array, int]:
    """(utterances,) confidences and whether each is right, of ``rows`` with a reference; and how many have a
    confidence that is no number from 0 to 1."""
    prediction = scored.prediction(name)
    errors, units = (counted[rows] for counted in scored.own_totals(name, "headline", normalizer))
    given = pd.to_numeric(prediction.column("confidence"), errors="coerce").to_numpy(float)[rows]
    stated = prediction.column("confidence").notna().to_numpy(bool)[rows] & (units > 0)
    usable = stated & (given >= 0) & (given <= 1)
    right = errors[usable] <= acceptable * units[usable]
    return given[usable], right, int((stated & ~usable).sum())


def outcomes(scored: ScoredCorpus, name: str, normalizer: str, rows: Array) -> tuple[Array, Array, int]:
    """(words,) confidences and (words,) whether each is right, for words that could be matched in time; and
    how many have a confidence that is no number from 0 to 1."""
    sure: list[float] = []
    right: list[bool] = []
    left_out = 0
    prediction = scored.prediction(name)
    for row in rows.tolist():
        if not prediction.word_list(row):
            continue
        for step in aligned_words(scored, name, row, normalizer):
            if step.hypothesis_position < 0 or step.confidence is None:
                continue
            if not 0 <= float(step.confidence) <= 1:
                left_out += 1
                continue
            sure.append(float(step.confidence))
            right.append(step.op == "hit")
    return np.array(sure, float), np.array(right, bool), left_out


def area_under_curve(sure: Array, right: Array) -> float | None:
    """The chance that a right word is surer than a wrong one, ties counted half (Mann and Whitney)."""
    good = int(right.sum())
    bad = len(right) - good
    if not good or not bad:
        return None
    ranks = rankdata(sure)
    return float((ranks[right].sum() - good * (good + 1) / 2) / (good * bad))


def normalized_cross_entropy(sure: Array, right: Array) -> float | None:
    """1 less the cross entropy of the confidences over that of the share of right words alone."""
    share = float(right.mean()) if len(right) else 0.0
    if share in (0.0, 1.0):
        return None
    safe = np.clip(sure, _EPSILON, 1 - _EPSILON)
    base = -(share * np.log2(share) + (1 - share) * np.log2(1 - share))
    return float(1 + np.where(right, np.log2(safe), np.log2(1 - safe)).mean() / base)


def expected_calibration_error(sure: Array, right: Array, bins: int = 10) -> float:
    """Distance of mean confidence and share of right words, averaged over bins by their words."""
    place = np.minimum((sure * bins).astype(int), bins - 1)
    apart = np.bincount(place, weights=sure - right, minlength=bins)
    return float(np.abs(apart).sum() / len(sure))


def tempered(sure: Array, temperature: float) -> Array:
    """Confidences with their log-odds divided by a temperature: above 1 less sure, below 1 surer."""
    safe = np.clip(sure, _EPSILON, 1 - _EPSILON)
    found: Array = 1 / (1 + np.exp(-np.log(safe / (1 - safe)) / temperature))
    return found


def fit_temperature(sure: Array, right: Array) -> float:
    """The temperature under which these words are likeliest; 1 where all are right or all wrong."""
    if not len(right) or right.all() or not right.any():
        return 1.0

    def loss(logarithm: float) -> float:
        safe = np.clip(tempered(sure, float(np.exp(logarithm))), _EPSILON, 1 - _EPSILON)
        return float(-np.where(right, np.log(safe), np.log(1 - safe)).mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(_SLOPES)), method="bounded")
    return float(np.exp(found.x))


def thresholds(sure: Array, right: Array) -> pd.DataFrame:
    """What lies below each of ten lines, as shares of words."""
    wrong = ~right
    records = []
    for limit in LIMITS:
        flagged = sure < limit
        records.append(
            {
                "below": limit,
                "flagged": float(flagged.mean()),
                "wrong_found": float(flagged[wrong].mean()) if wrong.any() else float("nan"),
                "wrong_among_flagged": float(wrong[flagged].mean()) if flagged.any() else float("nan"),
            }
        )
    return as_table(records)
