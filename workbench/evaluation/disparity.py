"""How far apart the worst and the best served slice are, and how well that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.evaluation.clusters import BY_SPEAKERS, clusters_of
from workbench.evaluation.rates import Settings
from workbench.evaluation.scored import ScoredCorpus
from workbench.evaluation.significance import expanded_percentiles, resampled_sums
from workbench.evaluation.slices import Where, group, mask

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]


def gap(
    scored: ScoredCorpus, name: str, settings: Settings, table: pd.DataFrame, by: Sequence[str], where: Where
) -> dict[str, Any]:
    """Best and worst slice with enough words, the gap between them and their ratio, with intervals.

    The two were picked after seeing the rates, so the gap is the largest of many and biased upwards; the
    intervals are those of these two slices, whose speakers are drawn apart where they share none.
    """
    import numpy as np

    fit = table[(table["enough"] != "no") & table["rate"].notna()] if len(table) else table
    if len(fit) < 2 or fit["metric"].nunique() > 1:
        return {}
    worst, best = fit.loc[fit["rate"].idxmax()], fit.loc[fit["rate"].idxmin()]
    groups = group(scored.rows, by)
    keys, rows_of = groups.filled(scored.prediction(name).present & mask(scored.rows, where))
    rows = [rows_of[_place(keys, [slice_[c] for c in by])] for slice_ in (worst, best)]
    kinds = (worst["interval_kind"], best["interval_kind"])
    errors, units = scored.totals(name, worst["metric"], worst["normalizer"])
    rates = _two_rates(scored, settings, rows, errors, units)
    enough_clusters = min(rates.clusters)
    with np.errstate(divide="ignore", invalid="ignore"):
        bounds = expanded_percentiles(rates.worst - rates.best, enough_clusters, settings.confidence)
        ratios = expanded_percentiles(rates.worst / rates.best, enough_clusters, settings.confidence)
    return {
        "worst": {c: worst[c] for c in by},
        "worst_rate": float(worst["rate"]),
        "best": {c: best[c] for c in by},
        "best_rate": float(best["rate"]),
        "gap": float(worst["rate"] - best["rate"]),
        "gap_low": bounds[0],
        "gap_high": bounds[1],
        "ratio": float(worst["rate"] / best["rate"]) if best["rate"] else float("inf"),
        "ratio_low": ratios[0],
        "ratio_high": ratios[1],
        "interval_kind": next((kind for kind in kinds if kind != BY_SPEAKERS), BY_SPEAKERS),
        "overlap": bool(worst["low"] <= best["high"]),
    }


@dataclass(frozen=True)
class _TwoRates:
    worst: Array
    best: Array
    clusters: tuple[int, int]


def _place(keys: list[tuple[Any, ...]], wanted: Sequence[Any]) -> int:
    """Where a slice stands; unknown values are None in keys and may be NaN in a table."""
    import pandas as pd

    meant = tuple(None if pd.isna(value) else value for value in wanted)
    return next(place for place, key in enumerate(keys) if key == meant)


def _two_rates(
    scored: ScoredCorpus, settings: Settings, rows: list[Array], errors: Array, units: Array
) -> _TwoRates:
    """Rates of two slices in each resample. Speakers in both are drawn once for both."""
    import numpy as np

    both = np.concatenate(rows)
    first = np.repeat([True, False], [len(part) for part in rows])
    clusters = [clusters_of(scored.speakers[part], settings.thresholds.min_speakers) for part in rows]
    counts = (errors[both], units[both])
    values = [np.where(side, v, 0) for side in (first, ~first) for v in counts]
    if all(c.kind == BY_SPEAKERS for c in clusters):
        number = np.unique(scored.speakers[both], return_inverse=True)[1]
    else:
        number = np.arange(len(both))
    sums = np.column_stack([np.bincount(number, weights=v) for v in values])
    in_worst, in_best = (np.bincount(number, weights=side) > 0 for side in (first, ~first))
    totals = np.zeros((max(settings.resamples, 1), 4))
    for seed, part in enumerate((in_worst & ~in_best, in_best & ~in_worst, in_worst & in_best)):
        if part.any():
            # A seed each: slices of as many speakers must not get the same draws here.
            totals += resampled_sums(sums[part], len(totals), settings.seed + seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _TwoRates(
            totals[:, 0] / totals[:, 1], totals[:, 2] / totals[:, 3], (clusters[0].count, clusters[1].count)
        )
