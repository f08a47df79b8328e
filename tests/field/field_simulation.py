"""Synthetic field logs with known truth: unchanged, or with a drift planted in one locale."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from workbench.field.baseline import Baseline
from workbench.field.drift import alarms, points
from workbench.field.log import FieldLog
from workbench.field.weekly import weekly

MONDAY = pd.Timestamp("2026-01-05", tz="UTC")


@dataclass(frozen=True)
class Locale:
    """How calls of one locale are. ``weekly``: mean calls a week; ``spread``: standard deviation of the
    weeks' own effects (0: nothing but chance; 0.1: rates move by a tenth from week to week)."""

    tag: str
    weekly: float = 250
    empty: float = 0.03
    wrong: float = 0.04
    confidence: float = 0.8
    latency_ms: float = 400
    marks: float = 0.12
    spread: float = 0.1


USUAL = (
    Locale("en-US", 500),
    Locale("el-GR", 160, empty=0.06, confidence=0.7),
    Locale("fr-CA", 220),
    Locale("it-IT", 300, marks=0.15),
)


def calls(rng: np.random.Generator, week: int, locale: Locale) -> pd.DataFrame:
    effect = np.exp(rng.normal(0, locale.spread, 5))
    n = rng.poisson(locale.weekly * effect[0])
    empty = rng.random(n) < locale.empty * effect[1]
    words = np.where(empty, 0, 1 + rng.poisson(8, n))
    others = [tag for tag in ("en-US", "el-GR", "fr-CA", "it-IT") if tag != locale.tag]
    wrong = rng.random(n) < locale.wrong * effect[2]
    sure = locale.confidence + 0.02 * np.log(effect[3]) / max(locale.spread, 1e-9) * (locale.spread > 0)
    return pd.DataFrame(
        {
            "time": MONDAY + pd.to_timedelta(week * 7 * 86400 + rng.random(n) * 7 * 86400, unit="s"),
            "requested_lang": locale.tag,
            "detected_lang": np.where(wrong, rng.choice(others, n), locale.tag),
            "words": words.astype(float),
            "marks": rng.binomial(words, locale.marks).astype(float),
            "confidence": np.clip(rng.normal(sure, 0.12, n), 0, 1),
            "latency_ms": locale.latency_ms * rng.lognormal(0, 0.4, n) * effect[4] ** 0.3,
        }
    )


def log(
    seed: int,
    weeks: int = 14,
    locales: tuple[Locale, ...] = USUAL,
    changed: dict[str, dict[str, float]] | None = None,
    since: int = 99,
) -> pd.DataFrame:
    """Rows as ``read_log`` gives them. ``changed``: tag → fields from week ``since`` on."""
    rng = np.random.default_rng(seed)
    parts = []
    for week in range(weeks):
        for locale in locales:
            fields = (changed or {}).get(locale.tag, {}) if week >= since else {}
            parts.append(calls(rng, week, replace(locale, **fields)))
    rows = pd.concat(parts, ignore_index=True).sort_values("time").reset_index(drop=True)
    unknown = ("release", "text", "audio_filepath", "consent")
    return rows.assign(**{name: None for name in unknown})


def judged(rows: pd.DataFrame, baseline_weeks: int) -> pd.DataFrame:
    """The alarms on a log whose first weeks are the baseline: reader left out, all else as in production."""
    baseline = Baseline.of(FieldLog(rows), baseline_weeks)
    return alarms(points(weekly(rows, baseline.slow_limits), baseline))
