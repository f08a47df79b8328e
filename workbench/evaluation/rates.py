"""Error rates of slices, each with its interval, what the interval speaks for, and whether it is enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError
from workbench.evaluation.alignment import COUNTED
from workbench.evaluation.clusters import Slicing
from workbench.evaluation.events import coordinates
from workbench.evaluation.intervals import MIN_CLUSTERS, RESAMPLES, ratio_interval
from workbench.evaluation.readings import counted
from workbench.evaluation.scored import Headline, Metric, ScoredCorpus
from workbench.evaluation.significance import holm, matched_pairs, paired_difference, segments
from workbench.evaluation.slices import Where, group, mask
from workbench.evaluation.tables import as_table
from workbench.signatures import public

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

Enough = Literal["no", "provisional", "yes"]


@public
@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a slice is too small to speak: reference words, and speakers for an interval over speakers."""

    gray_below_words: int = 100
    provisional_below_words: int = 1000
    min_speakers: int = MIN_CLUSTERS

    def enough(self, words: int) -> Enough:
        """What so many reference words allow to be said: 'no', 'provisional' or 'yes'."""
        if words < self.gray_below_words:
            return "no"
        return "provisional" if words < self.provisional_below_words else "yes"


@public
@dataclass(frozen=True, slots=True)
class Settings:
    """What every figure of an evaluation is computed with."""

    normalizer: str = "basic"
    by: tuple[str, ...] = ("target_lang", "accent")
    thresholds: Thresholds = Thresholds()
    resamples: int = RESAMPLES
    confidence: float = 0.95
    seed: int = 20260604
    traffic: tuple[tuple[str, float], ...] = ()
    """Share of the pilot's calls by locale tag; empty where nobody said."""

    def __post_init__(self) -> None:
        if not 0.5 < self.confidence < 1:
            raise WorkbenchError(
                f"a confidence of {self.confidence:g} decides on nothing",
                hint="Give more than 0.5 and less than 1: 0.99 for 99 %.",
            )


def rate_table(
    scored: ScoredCorpus,
    name: str,
    settings: Settings,
    *,
    by: str | Sequence[str],
    metric: Headline,
    normalizer: str,
    where: Where = None,
) -> pd.DataFrame:
    """One row a slice; see :meth:`Evaluation.rates` for the columns."""
    groups = group(scored.rows, by)
    keys, rows_of = groups.filled(scored.prediction(name).present & mask(scored.rows, where))
    rows_of, units, left_out = one_unit_each(scored, rows_of, metric)
    slicing = Slicing(rows_of, scored.speakers, settings.thresholds.min_speakers)
    words = slicing.totals(scored.totals(name, "wer", normalizer)[1])
    measured = {unit: _measured(scored, name, unit, normalizer, slicing) for unit in sorted(set(units))}
    records = []
    for place, (key, unit) in enumerate(zip(keys, units, strict=True)):
        sums, counts = measured[unit]
        record = dict(zip(groups.by, key, strict=True)) | _interval(sums[place], settings)
        record |= {kind: int(totals[place]) for kind, totals in counts.items()}
        record |= {"speakers": slicing.speakers[place], "interval_kind": slicing.kinds[place]}
        total = int(words[place])
        record |= {"reference_words": total, "enough": settings.thresholds.enough(total)}
        record |= {"left_out": left_out[place], "metric": unit, "normalizer": normalizer}
        records.append(record)
    columns = None if records else [*groups.by, "rate", "low", "high", "errors", "reference_units"]
    return as_table(records, columns)


def unit_of(scored: ScoredCorpus, rows: Array, metric: Headline) -> Metric:
    """The metric of a slice: characters only where all its languages are scored by them."""
    if metric == "headline":
        return "cer" if len(rows) and scored.scored_by_characters[rows].all() else "wer"
    if metric not in ("wer", "cer"):
        raise WorkbenchError(f"unknown metric {metric!r}", hint="Use wer, cer or headline.")
    return metric


def one_unit_each(
    scored: ScoredCorpus, rows_of: list[Array], metric: Headline
) -> tuple[list[Array], list[Metric], list[str | None]]:
    """Slices of one unit each: words and characters are never added.

    Returns:
        Rows of each slice, without those scored by characters where others are scored by words; the unit of
        each; and what was left out, as a phrase, else None.
    """
    units = [unit_of(scored, rows, metric) for rows in rows_of]
    kept: list[Array] = []
    left_out: list[str | None] = []
    for rows, unit in zip(rows_of, units, strict=True):
        other = scored.scored_by_characters[rows]
        mixed = metric == "headline" and unit == "wer" and bool(other.any())
        kept.append(rows[~other] if mixed else rows)
        left_out.append(f"{counted(int(other.sum()), 'utterance')} scored by characters" if mixed else None)
    return kept, units, left_out


def _measured(
    scored: ScoredCorpus, name: str, unit: Metric, normalizer: str, slicing: Slicing
) -> tuple[list[Array], dict[str, Array]]:
    """Errors and units of each cluster of each slice, and totals of each slice."""
    errors, units = scored.totals(name, unit, normalizer)
    said = units > 0
    counts = {kind: count * said for kind, count in scored.counts(name, unit, normalizer).items()}
    invented = errors * ~said
    errors = errors * said
    empty = (units > 0) & (counts["deletions"] == units) & (counts["insertions"] == 0)
    totals = {"errors": slicing.totals(errors), "reference_units": slicing.totals(units)}
    totals |= {kind: slicing.totals(counts[kind]) for kind in COUNTED}
    totals["invented"] = slicing.totals(invented)
    totals["utterances"] = np.array([len(rows) for rows in slicing.rows_of], np.int64)
    return slicing.cluster_sums(errors, units), totals | {"empty_hypotheses": slicing.totals(empty)}


def _interval(sums: Array, settings: Settings) -> dict[str, Any]:
    """``rate, low, high, no_interval`` from (clusters, 2) errors and units."""
    errors, units = (round(float(v)) for v in sums.sum(axis=0))
    found = ratio_interval(
        sums, resamples=settings.resamples, seed=settings.seed, confidence=settings.confidence
    )
    return {
        "rate": rate(errors, units),
        "low": found.low,
        "high": found.high,
        "no_interval": found.missing,
    }


def rate(errors: int, units: int) -> float:
    """Errors per reference unit; NaN where nothing was said."""
    return errors / units if units else float("nan")


def comparison_table(
    scored: ScoredCorpus,
    first: str,
    second: str,
    settings: Settings,
    *,
    by: str | Sequence[str],
    metric: Headline,
    normalizer: str,
    where: Where = None,
) -> pd.DataFrame:
    """One row a slice; see :meth:`Evaluation.compare` for the columns."""
    present = scored.prediction(first).present & scored.prediction(second).present & mask(scored.rows, where)
    groups = group(scored.rows, by)
    keys, rows_of = groups.filled(present)
    rows_of, units, left_out = one_unit_each(scored, rows_of, metric)
    slicing = Slicing(rows_of, scored.speakers, settings.thresholds.min_speakers)
    segments_of = _segment_differences(scored, first, second, normalizer, slicing)
    words = slicing.totals(scored.totals(first, "wer", normalizer)[1])
    measured = {unit: _compared(scored, (first, second), unit, normalizer, slicing) for unit in set(units)}
    changed = slicing.totals(scored.prediction(first).codes != scored.prediction(second).codes)
    records = []
    for place, (key, unit) in enumerate(zip(keys, units, strict=True)):
        sums, moved = measured[unit]
        record = dict(zip(groups.by, key, strict=True)) | _difference(sums[place], settings)
        record |= {kind: int(totals[place]) for kind, totals in moved.items()}
        record |= {"reference_units": round(float(sums[place][:, 2].sum()))}
        record |= {"changed": int(changed[place]), "utterances": len(rows_of[place])}
        record |= {"speakers": slicing.speakers[place], "interval_kind": slicing.kinds[place]}
        total = int(words[place])
        record |= {"reference_words": total, "enough": settings.thresholds.enough(total)}
        record |= {"left_out": left_out[place]}
        p_value, count = matched_pairs(segments_of[place])
        record |= {"p_matched_pairs": p_value, "segments": count, "metric": unit, "normalizer": normalizer}
        records.append(record)
    frame = as_table(records)
    if len(frame):
        place = frame.columns.get_loc("p_value") + 1
        frame.insert(place, "p_holm", holm(frame["p_value"].to_numpy(float)))
        frame.insert(place + 1, "p_matched_pairs_holm", holm(frame["p_matched_pairs"].to_numpy(float)))
    return frame


def _compared(
    scored: ScoredCorpus, names: tuple[str, str], unit: Metric, normalizer: str, slicing: Slicing
) -> tuple[list[Array], dict[str, Array]]:
    """Errors of both and units of each cluster of each slice, and how many utterances went which way."""
    (a, units), (b, _) = (scored.totals(name, unit, normalizer) for name in names)
    a, b = a * (units > 0), b * (units > 0)
    moved = {"better": slicing.totals(b < a), "worse": slicing.totals(b > a)}
    return slicing.cluster_sums(a, b, units), moved


def _difference(sums: Array, settings: Settings) -> dict[str, Any]:
    a, b, total = (round(float(v)) for v in sums.sum(axis=0))
    found = asdict(
        paired_difference(
            sums, resamples=settings.resamples, seed=settings.seed, confidence=settings.confidence
        )
    )
    found["no_interval"], found["confidence"] = found.pop("missing"), settings.confidence
    return {"rate_a": rate(a, total), "rate_b": rate(b, total)} | found


def _segment_differences(
    scored: ScoredCorpus, first: str, second: str, normalizer: str, slicing: Slicing
) -> list[Array]:
    """Errors of the first minus errors of the second in each segment of each slice."""
    table, owner = segment_errors(scored, first, second, normalizer)
    place = np.full(len(scored), -1, np.int64)
    place[slicing.slice_of_row["rows"]] = slicing.slice_of_row["slice"]
    order = np.argsort(place[owner], kind="stable")
    edges = np.searchsorted(place[owner][order], np.arange(len(slicing.rows_of) + 1))
    change = (table[:, 0] - table[:, 1])[order]
    return [change[edges[i] : edges[i + 1]] for i in range(len(slicing.rows_of))]


def segment_errors(scored: ScoredCorpus, first: str, second: str, normalizer: str) -> tuple[Array, Array]:
    """Errors of both predictions in each segment of the matched-pairs test, and the row each lies in."""
    both = np.flatnonzero(scored.prediction(first).present & scored.prediction(second).present)
    found = [coordinates(scored, name, normalizer, both) for name in (first, second)]
    side = np.repeat([0, 1], [len(row) for row, _ in found])
    row, place = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return segments(row, place, side == 0, side == 1)
