"""Views of an evaluation on marks, capitals, language, keywords and delay, which :class:`Evaluation` takes as
methods; ``by`` and ``where`` as in :meth:`Evaluation.rates`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.errors import WorkbenchError
from workbench.evaluation import keywords as kw
from workbench.evaluation import language as lid
from workbench.evaluation import punctuation as marks
from workbench.evaluation.answers_more import (
    shown_calibration,
    shown_keywords,
    shown_language,
    shown_punctuation,
    shown_tradeoff,
)
from workbench.evaluation.answers_of_clips import shown_shares, shown_stability
from workbench.evaluation.asked import Asked, kept, normalizer_of, rows_of
from workbench.evaluation.confidence import Confidence, Unit, confidence_of
from workbench.evaluation.scored import Headline
from workbench.evaluation.shown import comparison_columns
from workbench.evaluation.slices import Where
from workbench.evaluation.tables import as_table
from workbench.glance import counted
from workbench.shown import show

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]


def punctuation(self: Asked, name: str, where: Where = None) -> pd.DataFrame:
    """Each mark, and ``all``: ``mark, reference, hypothesis, correct, substitutions, deletions,
    insertions, precision, recall, f1, error_rate`` (wrong over wrong and correct). Raw text, NFKC."""
    events = mark_events(self, name)
    table = marks.mark_table(events, rows_of(self, name, where=where), len(self.scored))
    return shown_punctuation(table, name)


def punctuation_rates(
    self: Asked, name: str, by: str | Sequence[str] = (), where: Where = None
) -> pd.DataFrame:
    """Punctuation error rate of slices with its interval: ``rate, low, high, wrong_marks, marks, …``."""
    counted = kept(
        self, ("marks", name), lambda: marks.mark_counts(mark_events(self, name), len(self.scored))
    )
    return _shares(self, name, counted, by, where, ("wrong_marks", "marks"), "punctuation")


def case(self: Asked, name: str, by: str | Sequence[str] = (), where: Where = None) -> pd.DataFrame:
    """Case error on words both sides have: ``rate, low, high, wrong_case, words``. NaN, not zero, where
    the language has no case."""
    return _shares(self, name, case_errors(self, name), by, where, ("wrong_case", "words"), "capitals")


def stability(self: Asked, names: Sequence[str] | None = None, where: Where = None) -> pd.DataFrame:
    """How marks and capitals move between predictions whose words agree, against the first name.

    Returns:
        ``a, b, utterances, same_words, punctuation_changed, case_changed`` and the two as shares of
        ``same_words``.
    """
    chosen = list(names or self.scored.predictions)
    records = []
    for other in chosen[1:]:
        rows = rows_of(self, chosen[0], other, where=where)
        sides = [self.scored.prediction(n).codes[rows] for n in (chosen[0], other)]

        store = self.scored.store
        a, b = sides
        same = ~store.words("basic").differ(a, b)
        marked = store.words("raw").differ(a, b, str.lower)
        cased = store.words("cased").differ(a, b)
        store.forget("cased")
        record: dict[str, Any] = {"a": chosen[0], "b": other, "utterances": len(rows)}
        record["same_words"] = int(same.sum())
        record["punctuation_changed"] = int((same & marked).sum())
        record["case_changed"] = int((same & cased).sum())
        for kind in ("punctuation_changed", "case_changed"):
            share = record[kind] / record["same_words"] if record["same_words"] else float("nan")
            record[f"{kind}_share"] = share
        records.append(record)
    return shown_stability(as_table(records))


def language(self: Asked, name: str, where: Where = None) -> lid.LanguageScore:
    """Accuracy of the detected language per locale, with intervals, and the confusion matrix.

    Raises:
        WorkbenchError: the rows have no ``target_lang`` or the predictions no ``detected_lang``.
    """
    _needs_column(self, "target_lang")
    if "detected_lang" not in self.scored.prediction(name).source.columns:
        raise WorkbenchError(
            "no column 'detected_lang'",
            where=f"predictions {name!r}",
            hint="Transcribe with this package.",
        )
    rows = rows_of(self, name, where=where)
    found = lid.language_score(self.scored, name, self.settings, rows)
    return replace(found, accuracy=shown_language(found.accuracy, found.confusion, name))


def auto_cost(
    self: Asked,
    by: str | Sequence[str] | None = None,
    metric: Headline = "headline",
    normalizer: str | None = None,
    where: Where = None,
) -> pd.DataFrame:
    """What ``auto`` costs against the given locale: :meth:`Evaluation.compare` of every pair of
    predictions that differ in the prompt mode only; empty if there is none."""
    facts = {name: p.facts for name, p in self.scored.predictions.items()}
    same = ("checkpoint_sha256", "lookahead_ms", "streaming")
    tables = []
    for given, g in facts.items():
        for auto, a in facts.items():
            modes = (g.get("prompt_mode"), a.get("prompt_mode"))
            if modes == ("langID", "auto") and all(g.get(k) == a.get(k) for k in same):
                table = self.compare(given, auto, by, metric, normalizer, where)
                table.insert(0, "given", given)
                table.insert(1, "auto", auto)
                tables.append(table)
    if not tables:
        said = "No two of these predictions differ in the prompt alone: make one with prompt_mode='auto'."
        return show(pd.DataFrame(columns=["given", "auto"]), said, {})
    sliced = {n: c for n, c in comparison_columns(_columns(self, by)).items() if n != "interval"}
    pair = {"predictions": lambda row: f"{row['given']} → {row['auto']}"}
    said = f"What auto costs against the given locale, in {counted(len(tables), 'pair')} of predictions."
    return show(pd.concat(tables, ignore_index=True), said, {**pair, **sliced})


def _columns(self: Asked, by: str | Sequence[str] | None) -> tuple[str, ...]:
    return self.settings.by if by is None else (by,) if isinstance(by, str) else tuple(by)


def keywords(
    self: Asked,
    name: str,
    keywords: str | Path | Iterable[str | kw.Keyword],
    where: Where = None,
    normalizer: str | None = None,
) -> pd.DataFrame:
    """Recall, precision and F1 of keywords or entities: a list, or a CSV file with a column ``keyword``
    and perhaps ``domain`` and ``target_lang``, each with its interval. NaN where a keyword does not occur."""
    found = kw.read_keywords(keywords)
    rows = rows_of(self, name, where=where)
    rules = normalizer_of(self, normalizer)
    return shown_keywords(kw.keyword_table(self.scored, name, rules, rows, found, self.settings), name)


def tradeoff(
    self: Asked,
    names: Sequence[str] | None = None,
    by: str | Sequence[str] = (),
    latency: pd.DataFrame | None = None,
    metric: Headline = "headline",
    normalizer: str | None = None,
    where: Where = None,
) -> pd.DataFrame:
    """Accuracy against delay: :meth:`Evaluation.rates` of predictions of several look-aheads, shortest
    first, with ``first_word_lost``, ``last_word_lost`` (shares of utterances where anything was
    recognized) and ``empty`` outputs counted apart. ``lookahead_ms`` is null offline.

    ``latency_p50_s`` and ``latency_p95_s`` are from the end of a word to its text: chunk grid plus
    measured computing, unloaded (see ``evaluation.delay``), or those of ``latency``, a table of
    ``lookahead_ms`` and the two columns such as ``Capacity.latency_table()``. NaN offline."""
    tables = []
    rules = normalizer_of(self, normalizer)
    for name in names or self.scored.predictions:
        table = self.rates(name, by, metric, normalizer, where)
        edges = lid.tradeoff_rows(self.scored, name, rules, rows_of(self, name, where=where), by)
        for column in ("first_word_lost", "last_word_lost", "empty", "latency_p50_s", "latency_p95_s"):
            table[column] = edges[column] if len(edges) else []
        facts = self.scored.prediction(name).facts
        table.insert(0, "name", name)
        for place, fact in enumerate(("checkpoint_sha256", "lookahead_ms", "prompt_mode", "streaming"), 1):
            table.insert(place, fact, facts.get(fact))
        tables.append(table)
    joined = pd.concat(tables, ignore_index=True)
    delay = pd.to_numeric(joined["lookahead_ms"], errors="coerce").fillna(float("inf"))
    if latency is not None:
        measured = latency.set_index("lookahead_ms")
        for column in ("latency_p50_s", "latency_p95_s"):
            joined[column] = joined["lookahead_ms"].map(measured[column])
    ordered = joined.iloc[delay.argsort(kind="stable")].reset_index(drop=True)
    return shown_tradeoff(ordered, (by,) if isinstance(by, str) else tuple(by)) if len(ordered) else ordered


def calibration(
    self: Asked, name: str, where: Where = None, bins: int = 10, normalizer: str | None = None
) -> pd.DataFrame:
    """Mean confidence against the share of right words in bins: ``from, to, words, confidence,
    accuracy``; empty where the recognizer gave no confidence."""
    rows = rows_of(self, name, where=where)
    table = lid.calibration(self.scored, name, normalizer_of(self, normalizer), rows, bins)
    return shown_calibration(table, name)


def confidence(
    self: Asked,
    name: str,
    where: Where = None,
    temperature: float | None = 1.0,
    normalizer: str | None = None,
    unit: Unit = "word",
    acceptable: float = 0.0,
) -> Confidence:
    """What the confidence of a prediction's words, or of its utterances, is worth: AUC, normalized cross
    entropy, calibration, and how many wrong ones lie below a line.

    Args:
        unit: 'word', or 'utterance': the confidence that drafts and listening orders go by.
        acceptable: the error rate up to which an utterance counts as right; 0: without any error.
        temperature: divides the log-odds of the confidences; None fits it on these rows, for instance on
            validation clips, to be given where test clips are judged.
    """
    rows = rows_of(self, name, where=where)
    rules = normalizer_of(self, normalizer)
    return confidence_of(self.scored, name, rules, rows, temperature, unit, acceptable)


def mark_events(self: Asked, name: str) -> marks.MarkEvents:
    """Punctuation marks of a prediction, aligned once."""
    return kept(self, ("events", name), lambda: marks.mark_events(self.scored, name))


def case_errors(self: Asked, name: str) -> tuple[Array, Array]:
    """Words in other capitals and words compared, of each row."""
    return kept(self, ("case", name), lambda: marks.case_counts(self.scored, name))


def _shares(
    self: Asked,
    name: str,
    counted: tuple[Array, Array],
    by: str | Sequence[str],
    where: Where,
    names: tuple[str, str],
    what: str,
) -> pd.DataFrame:
    rows = rows_of(self, name, where=where)
    table = lid.share_table(self.scored, self.settings, counted, rows, by, names)
    return shown_shares(table, name, what, names, (by,) if isinstance(by, str) else tuple(by))


def _needs_column(self: Asked, column: str) -> None:
    if column not in self.scored.rows.columns:
        raise WorkbenchError(f"the utterances have no column {column!r}", hint="Add it to the corpus.")
