"""Error rates of slices, each with its interval, what the interval speaks for, and whether it is enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import WorkbenchError
from workbench.evaluation.events import coordinates
from workbench.evaluation.scored import COUNTED, Metric, ScoredCorpus
from workbench.evaluation.significance import (
    RESAMPLES,
    generator,
    holm,
    matched_pairs,
    paired_difference,
    ratio_interval,
    segments,
)
from workbench.evaluation.slices import Groups, Where, group, mask

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

Headline = Literal["wer", "cer", "headline"]
Enough = Literal["no", "provisional", "yes"]
BY_SPEAKERS = "speakers"
THESE_VOICES = "these voices only"
SPEAKERS_UNKNOWN = "speakers unknown"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a slice is too small to speak: reference words, and speakers for an interval over speakers."""

    grey_below_words: int = 100
    provisional_below_words: int = 1000
    min_speakers: int = 5

    def enough(self, words: int) -> Enough:
        if words < self.grey_below_words:
            return "no"
        return "provisional" if words < self.provisional_below_words else "yes"


@dataclass(frozen=True, slots=True)
class Settings:
    """What every figure of an evaluation is computed with."""

    normaliser: str = "basic"
    by: tuple[str, ...] = ("target_lang", "accent")
    thresholds: Thresholds = Thresholds()
    resamples: int = RESAMPLES
    confidence: float = 0.95
    seed: int = 20260604


@dataclass(frozen=True, slots=True)
class Clusters:
    """The independent units of a slice: number of each row's cluster, how many, and what they are."""

    numbers: Array
    count: int
    kind: str
    speakers: int


def clusters_of(speakers: Array, min_speakers: int) -> Clusters:
    """Speakers where there are enough, else utterances; ``speakers``: -1 where unknown.

    Rows without a speaker count as one more speaker while they are under a tenth; beyond that nothing is
    known about voices and the interval says so.
    """
    import numpy as np

    known = np.unique(speakers[speakers >= 0])
    unknown = int((speakers < 0).sum())
    if len(speakers) and unknown > len(speakers) / 10:
        return Clusters(np.arange(len(speakers)), len(speakers), SPEAKERS_UNKNOWN, len(known))
    if len(known) < min_speakers:
        return Clusters(np.arange(len(speakers)), len(speakers), THESE_VOICES, len(known))
    numbers = np.searchsorted(known, speakers)
    numbers[speakers < 0] = len(known)
    return Clusters(numbers, len(known) + (unknown > 0), BY_SPEAKERS, len(known))


def cluster_sums(clusters: Clusters, *values: Array) -> Array:
    """(clusters, values) totals; clusters without rows do not occur."""
    import numpy as np

    return np.column_stack(
        [np.bincount(clusters.numbers, weights=v, minlength=clusters.count) for v in values]
    )


def rate_table(
    scored: ScoredCorpus,
    name: str,
    settings: Settings,
    *,
    by: str | Sequence[str],
    metric: Headline,
    normaliser: str,
    where: Where = None,
) -> pd.DataFrame:
    """One row a slice; see :meth:`Evaluation.rates` for the columns."""
    import pandas as pd

    present = scored.prediction(name).present & mask(scored.rows, where)
    groups = group(scored.rows, by)
    words = scored.counts(name, "wer", normaliser)
    reference_words = words["hits"] + words["substitutions"] + words["deletions"]
    records = []
    for key, rows in zip(groups.keys, groups.rows_of(present), strict=True):
        if len(rows):
            unit = unit_of(scored, rows, metric)
            record = dict(zip(groups.by, key, strict=True))
            record |= _slice_rate(scored, name, unit, normaliser, rows, key, settings)
            total = int(reference_words[rows].sum())
            record |= {"reference_words": total, "enough": settings.thresholds.enough(total)}
            record |= {"metric": unit, "normaliser": normaliser}
            records.append(record)
    columns = None if records else [*groups.by, "rate", "low", "high", "errors", "reference_units"]
    return pd.DataFrame(records, columns=columns)


def unit_of(scored: ScoredCorpus, rows: Array, metric: Headline) -> Metric:
    """The metric of a slice: characters only where all its languages are scored by them, never a mixture."""
    if metric == "headline":
        return "cer" if len(rows) and scored.scored_by_characters[rows].all() else "wer"
    if metric not in ("wer", "cer"):
        raise WorkbenchError(f"unknown metric {metric!r}", mend="Use wer, cer or headline.")
    return metric


def _slice_rate(
    scored: ScoredCorpus,
    name: str,
    unit: Metric,
    normaliser: str,
    rows: Array,
    key: object,
    settings: Settings,
) -> dict[str, Any]:
    errors, units = scored.totals(name, unit, normaliser)
    clusters = clusters_of(scored.speakers[rows], settings.thresholds.min_speakers)
    sums = cluster_sums(clusters, errors[rows], units[rows])
    total_errors, total_units = (int(v) for v in sums.sum(axis=0))
    record: dict[str, Any] = {"rate": rate(total_errors, total_units)}
    if settings.resamples and total_units:
        rng = generator(settings.seed, (name, unit, normaliser, key))
        interval = ratio_interval(sums, resamples=settings.resamples, rng=rng, confidence=settings.confidence)
        record |= {"low": interval.low, "high": interval.high}
    else:
        record |= {"low": float("nan"), "high": float("nan")}
    counts = scored.counts(name, unit, normaliser)
    record |= {"errors": total_errors, "reference_units": total_units}
    record |= {kind: int(counts[kind][rows].sum()) for kind in COUNTED}
    empty = (units[rows] > 0) & (counts["deletions"][rows] == units[rows]) & (counts["insertions"][rows] == 0)
    record |= {"utterances": len(rows), "empty_hypotheses": int(empty.sum()), "speakers": clusters.speakers}
    return record | {"interval_kind": clusters.kind}


def rate(errors: int, units: int) -> float:
    """Errors per reference unit: 0 when nothing was said and nothing recognised, NaN when only the reference
    is empty."""
    if units:
        return errors / units
    return 0.0 if errors == 0 else float("nan")


def comparison_table(
    scored: ScoredCorpus,
    first: str,
    second: str,
    settings: Settings,
    *,
    by: str | Sequence[str],
    metric: Headline,
    normaliser: str,
    where: Where = None,
) -> pd.DataFrame:
    """One row a slice; see :meth:`Evaluation.compare` for the columns."""
    import numpy as np
    import pandas as pd

    present = scored.prediction(first).present & scored.prediction(second).present & mask(scored.rows, where)
    groups = group(scored.rows, by)
    table, owner = segment_errors(scored, first, second, normaliser)
    records = []
    for key, rows in zip(groups.keys, groups.rows_of(present), strict=True):
        if not len(rows):
            continue
        unit = unit_of(scored, rows, metric)
        record = dict(zip(groups.by, key, strict=True))
        record |= _slice_difference(scored, first, second, unit, normaliser, rows, key, settings)
        inside = np.zeros(len(scored), bool)
        inside[rows] = True
        chosen = table[inside[owner]]
        p_value, count = matched_pairs(chosen[:, 0] - chosen[:, 1])
        record |= {"p_matched_pairs": p_value, "segments": count, "metric": unit, "normaliser": normaliser}
        records.append(record)
    frame = pd.DataFrame(records)
    if len(frame):
        place = frame.columns.get_loc("p_value") + 1
        frame.insert(place, "p_holm", holm(frame["p_value"].to_numpy(float)))
        frame.insert(place + 1, "p_matched_pairs_holm", holm(frame["p_matched_pairs"].to_numpy(float)))
    return frame


def _slice_difference(
    scored: ScoredCorpus,
    first: str,
    second: str,
    unit: Metric,
    normaliser: str,
    rows: Array,
    key: object,
    settings: Settings,
) -> dict[str, Any]:
    errors_a, units = scored.totals(first, unit, normaliser)
    errors_b, _ = scored.totals(second, unit, normaliser)
    a, b = errors_a[rows], errors_b[rows]
    clusters = clusters_of(scored.speakers[rows], settings.thresholds.min_speakers)
    sums = cluster_sums(clusters, a, b, units[rows])
    rng = generator(settings.seed, (first, second, unit, normaliser, key))
    found = paired_difference(sums, resamples=max(settings.resamples, 1), rng=rng)
    words = int(scored.totals(first, "wer", normaliser)[1][rows].sum())
    total = int(sums[:, 2].sum())
    return {
        "rate_a": rate(int(a.sum()), total),
        "rate_b": rate(int(b.sum()), total),
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "lower_bound": found.lower_bound,
        "upper_bound": found.upper_bound,
        "p_value": found.p_value,
        "better": int((b < a).sum()),
        "worse": int((b > a).sum()),
        "changed": int((scored.prediction(first).codes[rows] != scored.prediction(second).codes[rows]).sum()),
        "utterances": len(rows),
        "speakers": clusters.speakers,
        "interval_kind": clusters.kind,
        "reference_words": words,
        "enough": settings.thresholds.enough(words),
    }


def segment_errors(scored: ScoredCorpus, first: str, second: str, normaliser: str) -> tuple[Array, Array]:
    """Errors of both predictions in each segment of the matched-pairs test, and the row each lies in."""
    import numpy as np

    both = np.flatnonzero(scored.prediction(first).present & scored.prediction(second).present)
    found = [coordinates(scored, name, normaliser, both) for name in (first, second)]
    side = np.repeat([0, 1], [len(row) for row, _ in found])
    row, place = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return segments(row, place, side == 0, side == 1)


def gap(table: pd.DataFrame, groups: Groups | Sequence[str]) -> dict[str, Any]:
    """Best and worst slice with enough words, the gap between them and their ratio.

    The two were picked after seeing the rates, so the gap is the largest of many and biased upwards.
    """
    by = list(groups.by if isinstance(groups, Groups) else groups)
    fit = table[(table["enough"] != "no") & table["rate"].notna()] if len(table) else table
    if len(fit) < 2 or fit["metric"].nunique() > 1:
        return {}
    worst, best = fit.loc[fit["rate"].idxmax()], fit.loc[fit["rate"].idxmin()]
    return {
        "worst": {c: worst[c] for c in by},
        "worst_rate": float(worst["rate"]),
        "best": {c: best[c] for c in by},
        "best_rate": float(best["rate"]),
        "gap": float(worst["rate"] - best["rate"]),
        "ratio": float(worst["rate"] / best["rate"]) if best["rate"] else float("inf"),
        "overlap": bool(worst["low"] <= best["high"]),
    }
