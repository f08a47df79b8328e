"""Language identification apart from text, the cost of ``auto``, the look-ahead tradeoff and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.evaluation.alignment import DELETION
from workbench.evaluation.clusters import Slicing
from workbench.evaluation.delay import delay_percentiles
from workbench.evaluation.events import places
from workbench.evaluation.intervals import ratio_interval
from workbench.evaluation.rates import Settings, rate
from workbench.evaluation.scored import ScoredCorpus
from workbench.evaluation.slices import group
from workbench.evaluation.tables import as_table

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

NONE = "none"


@dataclass(frozen=True)
class LanguageScore:
    """``accuracy``: one row a locale and one for ``all``; ``confusion``: said (rows) against detected
    (columns, ``none``: no tag came out), in utterances."""

    accuracy: pd.DataFrame
    confusion: pd.DataFrame

    def __repr__(self) -> str:
        return f"{self.accuracy!r}\n\n{self.confusion}"

    def _repr_html_(self) -> str:
        """The answer, its figure and short table; what was taken for what behind it."""
        counts = pd.DataFrame(self.confusion).to_html(border=0)
        return (
            f"{self.accuracy._repr_html_()}<details><summary>What was taken for what (rows: said, columns: "
            f'detected)</summary><div style="overflow-x:auto">{counts}</div></details>'
        )


def share_table(
    scored: ScoredCorpus,
    settings: Settings,
    counted: tuple[Array, Array],
    rows: Array,
    by: str | Sequence[str],
    names: tuple[str, str],
) -> pd.DataFrame:
    """A ratio of two per-row counts for each slice, with the interval and the slice's size.

    Args:
        counted: numerator and denominator of each row of the corpus.
        names: columns for the two sums.
    """
    chosen = np.zeros(len(scored), bool)
    chosen[rows] = True
    groups = group(scored.rows, by)
    keys, rows_of = groups.filled(chosen)
    slicing = Slicing(rows_of, scored.speakers, settings.thresholds.min_speakers)
    records = []
    for place, (key, sums) in enumerate(zip(keys, slicing.cluster_sums(*counted), strict=True)):
        top, bottom = (round(float(v)) for v in sums.sum(axis=0))
        record: dict[str, Any] = dict(zip(groups.by, key, strict=True))
        found = ratio_interval(
            sums,
            resamples=settings.resamples,
            seed=settings.seed,
            confidence=settings.confidence,
            share=True,
        )
        record |= {"rate": top / bottom if bottom else float("nan"), "low": found.low, "high": found.high}
        record |= {"no_interval": found.missing}
        record |= {names[0]: top, names[1]: bottom, "utterances": len(rows_of[place])}
        records.append(record | {"speakers": slicing.speakers[place], "interval_kind": slicing.kinds[place]})
    return as_table(records)


def language_score(scored: ScoredCorpus, name: str, settings: Settings, rows: Array) -> LanguageScore:
    """Accuracy of the detected tag against ``target_lang``, and of its language part alone."""
    said, said_tags = pd.factorize(scored.rows["target_lang"])
    prediction = scored.prediction(name)
    heard, heard_tags = pd.factorize(prediction.source["detected_lang"])
    heard = np.where(prediction.present, heard[prediction.positions.clip(0)], -1)
    # Numbers of tags, not tags: a million texts would be as many Python objects.
    tags = [*dict.fromkeys([*map(str, said_tags), *map(str, heard_tags), NONE])]
    place = {tag: number for number, tag in enumerate(tags)}
    said, heard = (
        np.array([*(place[str(tag)] for tag in names), place[NONE]], np.int32)[numbers]
        for numbers, names in ((said, said_tags), (heard, heard_tags))
    )
    spoken = ~np.isin(said, [place[tag] for tag in (NONE, "auto") if tag in place])
    rows = rows[spoken[rows]]
    short = _numbered_languages(tags)
    right, same_language = said == heard, short[said] == short[heard]
    ones = np.ones(len(scored), np.int8)
    tables = []
    for by in (("target_lang",), ()):
        table = share_table(scored, settings, (right, ones), rows, by, ("correct", "total"))
        loose = share_table(scored, settings, (same_language, ones), rows, by, ("c", "t"))
        if len(table):
            table["language_accuracy"] = loose["rate"]
            table = table if by else table.assign(target_lang="all")
        tables.append(table)
    accuracy = pd.concat(tables, ignore_index=True).rename(columns={"rate": "accuracy"})
    counts = np.bincount(said[rows].astype(np.int64) * len(tags) + heard[rows], minlength=len(tags) ** 2)
    confusion = pd.DataFrame(counts.reshape(len(tags), -1), pd.Index(tags, name="said"), tags)
    confusion = confusion.rename_axis(columns="detected").sort_index().sort_index(axis=1)
    return LanguageScore(accuracy, confusion.loc[confusion.any(axis=1), confusion.any(axis=0)])


def _numbered_languages(tags: Sequence[str]) -> Array:
    """For each tag a number, the same where the language is."""
    return np.unique([tag.split("-")[0].lower() for tag in tags], return_inverse=True)[1]


def edge_losses(scored: ScoredCorpus, name: str, normalizer: str, rows: Array) -> tuple[Array, Array, Array]:
    """Which rows lost (deleted) their first word, their last word, and everything; a row that is empty counts
    only as empty."""
    table = scored.store.words(normalizer)
    codes = scored.prediction(name).codes
    length = table.lengths_of(scored.reference_codes)
    first, last = np.zeros(len(scored), bool), np.zeros(len(scored), bool)
    row, at = places(scored, name, normalizer, rows)
    edits = scored.word_edits(name, normalizer).edits
    gone = edits.operation[at] == DELETION
    row, position = row[gone], edits.reference_position[at[gone]]
    first[row[position == 0]] = True
    last[row[position == length[row] - 1]] = True
    empty = np.zeros(len(scored), bool)
    empty[rows] = (table.lengths_of(codes[rows]) == 0) & (length[rows] > 0)
    return first & ~empty, last & ~empty, empty


def tradeoff_rows(
    scored: ScoredCorpus, name: str, normalizer: str, rows: Array, by: str | Sequence[str]
) -> pd.DataFrame:
    """Lost first and last words, empty outputs and word latency of each slice; shares are of utterances with
    something said and something recognized."""
    first, last, empty = edge_losses(scored, name, normalizer, rows)
    chosen = np.zeros(len(scored), bool)
    chosen[rows] = True
    spoken = scored.store.words(normalizer).lengths_of(scored.reference_codes) > 0
    groups = group(scored.rows, by)
    records = []
    for key, part in zip(groups.keys, groups.rows_of(chosen), strict=True):
        if len(part):
            heard = int((spoken[part] & ~empty[part]).sum())
            record: dict[str, Any] = dict(zip(groups.by, key, strict=True))
            record |= {"first_word_lost": rate(int(first[part].sum()), heard) if heard else float("nan")}
            record |= {"last_word_lost": rate(int(last[part].sum()), heard) if heard else float("nan")}
            record |= delay_percentiles(scored, name, part)
            records.append(record | {"empty": int(empty[part].sum())})
    return as_table(records)


def calibration(scored: ScoredCorpus, name: str, normalizer: str, rows: Array, bins: int) -> pd.DataFrame:
    """Mean confidence against the share of right words, in bins of confidence: ``from, to, words, confidence,
    accuracy``. Words are those whose times could be matched; utterances' confidences against their word
    accuracy where there are none. Empty where the recognizer gave no confidence."""
    from workbench.evaluation.errors import aligned_words

    pairs: list[tuple[float, float, int]] = []
    prediction = scored.prediction(name)
    if "words" in prediction.source.columns:
        for row in rows.tolist():
            for step in aligned_words(scored, name, row, normalizer) if prediction.word_list(row) else []:
                if step.hypothesis_position >= 0 and step.confidence is not None:
                    pairs.append((float(step.confidence), float(step.op == "hit"), 1))
    if not pairs:
        given = pd.to_numeric(prediction.column("confidence"), errors="coerce").to_numpy(float)
        counts = scored.counts(name, "wer", normalizer)
        heard = counts["hits"] + counts["substitutions"] + counts["insertions"]
        usable = rows[~np.isnan(given[rows]) & (heard[rows] > 0)]
        pairs = [(given[r], counts["hits"][r] / heard[r], int(heard[r])) for r in usable.tolist()]
    columns = ["from", "to", "words", "confidence", "accuracy"]
    if not pairs:
        return pd.DataFrame(columns=columns)
    pairs = [pair for pair in pairs if 0 <= pair[0] <= 1]  # log-probabilities and percent are no confidence
    if not pairs:
        return pd.DataFrame(columns=columns)
    confidence, right, weight = (np.array(v, float) for v in zip(*pairs, strict=True))
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    words = np.bincount(place, weights=weight, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(place, weights=weight * confidence, minlength=bins) / words
        accuracy = np.bincount(place, weights=weight * right, minlength=bins) / words
    edges = np.arange(bins) / bins
    data = [edges, edges + 1 / bins, words.astype(int), mean, accuracy]
    table = pd.DataFrame(dict(zip(columns, data, strict=True)))
    return table[table["words"] > 0].reset_index(drop=True)
