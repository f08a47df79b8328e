"""Speech invented in silence: words recognized where nothing was said. A figure of its own, not an error
rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.evaluation.answers_more import shown_silence
from workbench.evaluation.asked import Asked, normalizer_of, rows_of
from workbench.evaluation.language import share_table
from workbench.evaluation.scored import ScoredCorpus
from workbench.evaluation.slices import Where

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


def silence_counts(scored: ScoredCorpus, name: str, normalizer: str) -> tuple[Array, Array, Array]:
    """Of each row: whether nothing was said there (no word under the normalizer), whether words came out
    all the same, and how many."""
    errors, units = scored.totals(name, "wer", normalizer)
    silent = (units == 0) & scored.prediction(name).present
    words = errors * silent
    return silent, words > 0, words


def silence(
    self: Asked,
    name: str,
    by: str | Sequence[str] = ("target_lang",),
    where: Where = None,
    normalizer: str | None = None,
) -> pd.DataFrame:
    """Utterances without a word in the reference (empty, or punctuation only): how many of them got words.

    Args:
        name: of a prediction.
        by: columns or expressions; one row for ``all`` is added.
        where: as in :meth:`Evaluation.rates`.
        normalizer: that says what a word is; the evaluation's by default.

    Returns:
        The slice columns, ``rate, low, high`` (share of silent utterances with invented words),
        ``no_interval``, ``invented`` (utterances), ``silent`` (utterances), ``words`` invented,
        ``utterances, speakers, interval_kind``; no row where nothing is silent.
    """
    if "target_lang" not in self.scored.rows.columns and by in ("target_lang", ("target_lang",)):
        by = ()
    rules = normalizer_of(self, normalizer)
    silent, invented, words = silence_counts(self.scored, name, rules)
    rows = rows_of(self, name, where=where)
    rows = rows[silent[rows]]
    tables = []
    for columns in dict.fromkeys([tuple(_names(by)), ()]):
        shares = share_table(
            self.scored, self.settings, (invented, silent), rows, columns, ("invented", "silent")
        )
        counts = share_table(self.scored, self.settings, (words, words), rows, columns, ("words", "of"))
        if len(shares):
            shares["words"] = counts["words"]
        tables.append(
            shares if columns else shares.assign(**dict.fromkeys(_names(by) or ["target_lang"], "all"))
        )
    found = pd.concat(tables, ignore_index=True)
    if not len(found):
        found = pd.DataFrame(columns=[*_names(by), "rate", "invented", "silent", "words"])
    return shown_silence(found, name, _names(by) or ["target_lang"])


def _names(by: str | Sequence[str]) -> list[str]:
    return [by] if isinstance(by, str) else list(by)
