"""Views of an evaluation on single words and utterances, which :class:`Evaluation` takes as methods.

``where``: a dict of column and value (a cell of the heat map; None: unknown), or an SQL condition over the
columns of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.evaluation import errors
from workbench.evaluation.answers_more import shown_confusions, shown_words
from workbench.evaluation.answers_of_clips import (
    shown_by_frequency,
    shown_by_position,
    shown_changes,
    shown_utterances,
)
from workbench.evaluation.asked import Asked, normalizer_of, rows_of
from workbench.evaluation.scored import Headline
from workbench.evaluation.slices import Where

if TYPE_CHECKING:
    import pandas as pd

    from workbench.evaluation.alignment import AlignedWord


def alignment(self: Asked, name: str, id: str, normalizer: str | None = None) -> list[AlignedWord]:
    """The words of one utterance side by side, with times where the recognizer gave them."""
    return errors.aligned_words(self.scored, name, position(self, id), normalizer_of(self, normalizer))


def utterances(
    self: Asked,
    name: str,
    where: Where = None,
    metric: Headline = "headline",
    normalizer: str | None = None,
    limit: int | None = None,
) -> pd.DataFrame:
    """Utterances with their counts, most errors per reference unit first.

    Returns:
        The columns of the rows with ``hypothesis`` beside ``text``, then ``hits, substitutions,
        insertions, deletions, errors, reference_units, rate, metric``; the rate of an utterance without
        reference units is infinite if anything was recognized.
    """
    scored, normalizer = self.scored, normalizer_of(self, normalizer)
    chosen = rows_of(self, name, where=where)
    by_characters = scored.by_characters(metric)
    counts = scored.own_counts(name, metric, normalizer)
    errors_, units = (v[chosen] for v in scored.own_totals(name, metric, normalizer))
    worst = np.where(units > 0, errors_ / np.maximum(units, 1), np.where(errors_ > 0, np.inf, 0.0))
    order = np.lexsort((chosen, -errors_, -worst))[:limit]
    picked = chosen[order]
    frame = scored.rows.iloc[picked].reset_index(drop=True)
    texts = scored.store.texts.take(scored.prediction(name).codes[picked]).to_pylist()
    added: dict[str, Any] = {k: v[picked] for k, v in counts.items()}
    added |= {
        "errors": errors_[order],
        "reference_units": units[order],
        "rate": worst[order],
        "metric": np.where(by_characters[picked], "cer", "wer"),
    }
    frame = frame.drop(columns=[c for c in ("hypothesis", *added) if c in frame.columns])
    frame.insert(frame.columns.get_loc("text") + 1, "hypothesis", texts)
    return shown_utterances(frame.assign(**added), name, len(chosen))


def confusions(
    self: Asked, name: str, where: Where = None, normalizer: str | None = None, limit: int = 200
) -> pd.DataFrame:
    """Words mistaken for others, most frequent first: ``reference, hypothesis, count, spelling_only``."""
    rows = rows_of(self, name, where=where)
    table = errors.confusions(self.scored, name, normalizer_of(self, normalizer), rows, limit)
    return shown_confusions(table, name)


def words(self: Asked, name: str, where: Where = None, normalizer: str | None = None) -> pd.DataFrame:
    """Every word with ``occurrences, hits, substituted, deleted, inserted, accuracy``; most often lost
    first."""
    rows = rows_of(self, name, where=where)
    return shown_words(errors.word_table(self.scored, name, normalizer_of(self, normalizer), rows), name)


def lost_words(
    self: Asked, name: str, where: Where = None, normalizer: str | None = None, limit: int = 100
) -> pd.DataFrame:
    """The head of :meth:`words`: words most often deleted or replaced, with ``lost``."""
    table = words(self, name, where, normalizer)
    table = table[table["occurrences"] > table["hits"]].head(limit)
    return shown_words(table.assign(lost=table["occurrences"] - table["hits"]).reset_index(drop=True), name)


def accuracy_by_frequency(
    self: Asked, name: str, where: Where = None, normalizer: str | None = None
) -> pd.DataFrame:
    """Word accuracy in bands of how often a word occurs: ``occurs, at_least, words, occurrences,
    accuracy``."""
    return shown_by_frequency(errors.accuracy_by_frequency(words(self, name, where, normalizer)), name)


def errors_by_position(
    self: Asked, name: str, where: Where = None, bins: int = 10, normalizer: str | None = None
) -> pd.DataFrame:
    """Errors by relative place in the utterance: ``from, to, reference_words, substitutions, insertions,
    deletions, rate``."""
    rows = rows_of(self, name, where=where)
    table = errors.by_position(self.scored, name, normalizer_of(self, normalizer), rows, bins)
    return shown_by_position(table, name)


def errors_by_duration(
    self: Asked,
    name: str,
    where: Where = None,
    metric: Headline = "headline",
    normalizer: str | None = None,
) -> pd.DataFrame:
    """:meth:`Evaluation.rates` by ``duration_band``."""
    return self.rates(name, ("duration_band",), metric, normalizer, where)


def changes(
    self: Asked,
    a: str,
    b: str,
    where: Where = None,
    metric: Headline = "headline",
    normalizer: str | None = None,
) -> pd.DataFrame:
    """Utterances with more or fewer errors in ``b`` than in ``a``, largest change first: ``id, text,
    hypothesis_a, hypothesis_b, errors_a, errors_b, reference_units, change, verdict``."""
    rows = rows_of(self, a, b, where=where)
    table = errors.changes(self.scored, a, b, normalizer_of(self, normalizer), rows, metric)
    return shown_changes(table, a, b, len(rows))


def heatmap(
    self: Asked,
    name: str,
    row: str = "target_lang",
    column: str = "accent",
    where: Where = None,
    metric: Headline = "headline",
    normalizer: str | None = None,
) -> pd.DataFrame:
    """:meth:`Evaluation.rates` of every cell of two columns, with ``row`` and ``column`` as first columns
    (None: unknown)."""
    by: Sequence[str] = (row,) if row == column else (row, column)
    return self.rates(name, by, metric, normalizer, where)


def position(self: Asked, id: str) -> int:
    """Row number of an utterance.

    Raises:
        WorkbenchError: no such id.
    """
    try:
        return self.scored.positions[id]
    except KeyError:
        raise WorkbenchError(
            f"no utterance {str(id)[:60]!r} in this evaluation", hint="Ids are those of evaluation.rows."
        ) from None
