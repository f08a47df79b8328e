"""How far apart the worst and the best served slice are, and how well that is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.evaluation import readings
from workbench.evaluation.clusters import BY_SPEAKERS, clusters_of
from workbench.evaluation.intervals import influence, linear_interval
from workbench.evaluation.rates import Settings, one_unit_each
from workbench.evaluation.scored import ScoredCorpus
from workbench.evaluation.slices import Where, group, mask

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class SliceDifference:
    """Rate of the second slice minus the first's, with its bounds; NaN where too few are independent."""

    rates: tuple[float, float]
    difference: float
    low: float
    high: float


def difference_of_slices(
    scored: ScoredCorpus,
    name: str,
    settings: Settings,
    rows: Sequence[Array],
    metric: str,
    normalizer: str,
    *,
    one_sided: bool = False,
) -> SliceDifference:
    """Two slices of one prediction, chosen before anybody looked at them. A speaker of both counts as one.

    Args:
        rows: places of the utterances of each slice.
        metric: 'wer' or 'cer'.
        one_sided: each bound holds the confidence by itself.
    """
    errors, units = scored.totals(name, metric, normalizer)  # type: ignore[arg-type]
    errors = errors * (units > 0)
    rates = tuple(float(errors[r].sum() / units[r].sum()) if units[r].sum() else math.nan for r in rows)
    first, second, clusters = _influences(scored, settings, list(rows), errors, units)
    confidence = 1 - 2 * (1 - settings.confidence) if one_sided else settings.confidence
    low, high = linear_interval(rates[1] - rates[0], second - first, clusters, confidence)
    return SliceDifference((rates[0], rates[1]), rates[1] - rates[0], low, high)


def gap_sentence(name: str, found: Mapping[str, Any]) -> str:
    """What :func:`disparity` found, in words."""
    if not found:
        return f"{name}: fewer than two slices have words enough to be held against each other."
    worst, best = (" · ".join(str(value) for value in found[end].values()) for end in ("worst", "best"))
    low, high = (readings.points(found[end]) for end in ("gap_low", "gap_high"))
    span = "" if math.isnan(found["gap_low"]) else f" ({low.removesuffix(' points')} to {high})"
    rates = f"{readings.percent(found['worst_rate'])} and {readings.percent(found['best_rate'])}"
    return f"{name}: {worst} against {best}, {rates}: {readings.points(found['gap'])} apart{span}."


def disparity(
    scored: ScoredCorpus, name: str, settings: Settings, table: pd.DataFrame, by: Sequence[str], where: Where
) -> dict[str, Any]:
    """Best and worst slice with enough words, the gap between them and their ratio, with intervals.

    The two were picked after seeing the rates, so the gap is the largest of many and biased upwards; the
    intervals are those of these two slices, a speaker of both counted as one.
    """
    fit = table[(table["enough"] != "no") & table["rate"].notna()] if len(table) else table
    if len(fit) < 2 or fit["metric"].nunique() > 1:
        return {}
    worst, best = fit.loc[fit["rate"].idxmax()], fit.loc[fit["rate"].idxmin()]
    groups = group(scored.rows, by)
    keys, rows_of = groups.filled(scored.prediction(name).present & mask(scored.rows, where))
    chosen = [rows_of[_place(keys, [slice_[c] for c in by])] for slice_ in (worst, best)]
    rows = one_unit_each(scored, chosen, "headline")[0] if worst["left_out"] or best["left_out"] else chosen
    kinds = (worst["interval_kind"], best["interval_kind"])
    errors, units = scored.totals(name, worst["metric"], worst["normalizer"])
    errors = errors * (units > 0)
    first, second, clusters = _influences(scored, settings, rows, errors, units)
    apart = float(worst["rate"] - best["rate"])
    bounds = linear_interval(apart, first - second, clusters, settings.confidence)
    ratio = float(worst["rate"] / best["rate"]) if best["rate"] else math.inf
    relative = (first / worst["rate"] - second / best["rate"]) if best["rate"] else first * math.nan
    # The ratio's interval is symmetric in its logarithm.
    logs = linear_interval(math.log(ratio), relative, clusters, settings.confidence)
    ratios = [math.exp(end) for end in logs]
    return {
        "worst": {c: worst[c] for c in by},
        "worst_rate": float(worst["rate"]),
        "best": {c: best[c] for c in by},
        "best_rate": float(best["rate"]),
        "gap": apart,
        "gap_low": bounds[0],
        "gap_high": bounds[1],
        "ratio": ratio,
        "ratio_low": ratios[0],
        "ratio_high": ratios[1],
        "interval_kind": next((kind for kind in kinds if kind != BY_SPEAKERS), BY_SPEAKERS),
        "overlap": bool(worst["low"] <= best["high"]),
    }


def _place(keys: list[tuple[Any, ...]], wanted: Sequence[Any]) -> int:
    """Where a slice stands; unknown values are None in keys and may be NaN in a table."""
    meant = tuple(None if pd.isna(value) else value for value in wanted)
    return next(place for place, key in enumerate(keys) if key == meant)


def _influences(
    scored: ScoredCorpus, settings: Settings, rows: list[Array], errors: Array, units: Array
) -> tuple[Array, Array, int]:
    """What each cluster adds to the error of two slices' rates, and the clusters of the smaller one: 0 where
    a slice is without errors, so that how rare they are is unknown. Speakers in both are one cluster."""
    both = np.concatenate(rows)
    first = np.repeat([True, False], [len(part) for part in rows])
    clusters = [clusters_of(scored.speakers[part], settings.thresholds.min_speakers) for part in rows]
    if all(c.kind == BY_SPEAKERS for c in clusters):
        number = np.unique(scored.speakers[both], return_inverse=True)[1]
    else:
        number = np.arange(len(both))
    sums = [
        np.bincount(number, weights=np.where(side, v[both], 0))
        for side in (first, ~first)
        for v in (errors, units)
    ]
    fewest = min(c.count for c in clusters) if sums[0].any() and sums[2].any() else 0
    return influence(*sums[:2]), influence(*sums[2:]), fewest
