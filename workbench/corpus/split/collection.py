"""What to record next: minutes and speakers that each locale and accent still lacks."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.corpus.split.splits import LEAST_SPEAKERS
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.corpus.query.view import View

WISHES = "collection_plan.json"
"""In the corpus's folder: what the error explorer was told to collect."""

TARGET_HOURS = 10.0
"""Per locale. Published adaptations of this model start from 7 to 40 hours; choose your own."""


def plan(
    corpus: View,
    *,
    target_hours: float | Mapping[str, float] = TARGET_HOURS,
    target_speakers: int = LEAST_SPEAKERS,
    error_rates: Mapping[Any, float] | None = None,
    minutes: float | None = None,
) -> pd.DataFrame:
    """Rank what to collect.

    Args:
        corpus: what there is; rejected rows do not count.
        target_hours: per locale × accent, one number or by locale.
        target_speakers: known speakers wanted per locale × accent.
        error_rates: (locale, accent) or locale → error rate of the model now; cells with more errors come
            first. Without it, only counts rank.
        minutes: what can be recorded; spread over the cells by need where given.

    Minutes that the error explorer was told to collect (:func:`collection_requests`) are missing too, where
    the target asks for less; a request for a locale alone is shared out over its accents.

    Returns:
        DataFrame, most needed first: ``target_lang``, ``accent``, ``hours``, ``speakers``,
        ``missing_minutes``, ``requested_minutes``, ``missing_speakers``, ``error_rate``, ``need`` (0 to 1,
        twice that where errors are many) and ``minutes``.
    """
    kept = corpus.where("status <> 'rejected'")
    select = "SELECT target_lang, accent, sum(duration) / 3600 AS hours, count(DISTINCT speaker) AS speakers"
    table = kept._engine.read(select, kept._where(), "GROUP BY ALL ORDER BY ALL").to_pandas()
    table, requested = _with_requests(table, collection_requests(corpus))
    goals = [_goal(target_hours, locale) for locale in table["target_lang"]]
    missing = [max(0.0, g - h) * 60 for g, h in zip(goals, table["hours"], strict=True)]
    table["missing_minutes"] = [max(pair) for pair in zip(missing, requested, strict=True)]
    table["requested_minutes"] = requested
    table["missing_speakers"] = (target_speakers - table["speakers"]).clip(lower=0)
    cells = list(zip(table["target_lang"], table["accent"], strict=True))
    rates = [_rate(error_rates, *cell) for cell in cells]
    table["error_rate"] = rates
    known = [rate for rate in rates if rate is not None]
    typical = math.fsum(known) / len(known) if known else 1.0
    table["need"] = [
        _need(
            min(1.0, missing / 60 / goal) if goal else float(missing > 0),
            lacking / max(target_speakers, 1),
            rate,
            typical,
        )
        for missing, lacking, goal, rate in zip(
            table["missing_minutes"], table["missing_speakers"], goals, rates, strict=True
        )
    ]
    total = table["need"].sum()
    table["minutes"] = table["need"] / total * minutes if minutes and total else table["missing_minutes"]
    return table.sort_values(["need", "target_lang"], ascending=[False, True]).reset_index(drop=True)


def collection_requests(corpus: View) -> list[dict[str, Any]]:
    """What is to be collected: ``target_lang``, ``accent`` (either may be null), ``minutes`` each.

    Raises:
        WorkbenchError: the file beside the corpus is not a list of these.
    """
    file = corpus.folder / WISHES
    if not file.exists():
        return []
    try:
        found = json.loads(file.read_text("utf-8"))
        return [{**one, "minutes": float(one["minutes"])} for one in found]
    except (ValueError, TypeError, KeyError) as error:
        hint = "Fix or delete it; the error explorer writes it anew."
        raise WorkbenchError(
            f"cannot read the collection_requests: {error}", where=str(file), hint=hint
        ) from None


def _with_requests(table: pd.DataFrame, requested: list[dict[str, Any]]) -> tuple[pd.DataFrame, list[float]]:
    """The cells, with those that only a request names, and the minutes requested for each."""
    cells = [tuple(cell) for cell in table[["target_lang", "accent"]].astype(object).to_numpy()]
    cells = [tuple(None if pd.isna(part) else part for part in cell) for cell in cells]
    minutes = [0.0] * len(cells)
    for one in requested:
        asked = (one.get("target_lang"), one.get("accent"))
        meant = [n for n, cell in enumerate(cells) if asked == cell]
        if not meant and None in asked:
            meant = [
                n for n, cell in enumerate(cells)
                if all(part in (None, of) for part, of in zip(asked, cell, strict=True))
            ]  # fmt: skip
        if not meant:
            meant, cells, minutes = [len(cells)], [*cells, asked], [*minutes, 0.0]
        for place in meant:
            minutes[place] += one["minutes"] / len(meant)
    new = pd.DataFrame(cells[len(table) :], columns=["target_lang", "accent"])
    new["hours"], new["speakers"] = 0.0, 0
    return (pd.concat([table, new], ignore_index=True) if len(new) else table), minutes


def _need(hours: float, speakers: float, rate: float | None, typical: float) -> float:
    """Share of hours and speakers that is missing, weighted by the errors made there (capped at twofold)."""
    weight = 1.0 if rate is None or typical <= 0 else min(2.0, rate / typical)
    return weight * (hours + speakers) / 2


def _goal(target: float | Mapping[str, float], locale: Any) -> float:
    return float(target.get(locale, TARGET_HOURS)) if isinstance(target, Mapping) else float(target)


def _rate(rates: Mapping[Any, float] | None, locale: Any, accent: Any) -> float | None:
    if rates is None:
        return None
    found = rates.get((locale, accent), rates.get(locale))
    return None if found is None else float(found)
