"""The baseline of a release from the suite it was gated on: a field log can be judged from its first week.

A suite has no weeks. Its clips are put into groups of whole speakers, each as large as the smallest week that
is judged; how much more groups differ than by chance is the dispersion. Volume and latency are of calls, not
of clips: they are not in such a baseline, and only weeks of the log itself can give them.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError
from workbench.field.baseline import Baseline
from workbench.field.charts import SMALLEST
from workbench.field.log import count_units
from workbench.field.weekly import weekly
from workbench.suites.points import OperatingPoint
from workbench.suites.predictions import SuitePredictions

_FIRST = pd.Timestamp("2001-01-01", tz="UTC")
"""A Monday: groups of speakers are counted as weeks from here on."""


def suite_baseline(
    run: SuitePredictions, engine: str, release: str, *, point: str | OperatingPoint | None = None
) -> Baseline:
    """Levels and spread of what an engine wrote on a suite.

    Args:
        run: with the checkpoint that the release serves.
        engine: its name in the run.
        release: what the log calls that release.
        point: operating point that callers get; default: the first.

    Raises:
        WorkbenchError: not run there, clips are missing, or no locale has enough clips.
    """
    at = run.version.point(point)
    made = run.frame(engine, at)
    where = f"suite {run.suite.name} v{run.version.version}, {engine}"
    if made is None:
        hint = f"Run it: ws.run_suite({run.suite.name!r}, {engine!r})."
        raise WorkbenchError(f"not run at {at.name}", where=where, hint=hint)
    if lacking := run.shortfalls(engine, point=at):
        raise WorkbenchError("; ".join(itertools.chain(*lacking.values())), where=where)
    rows = _as_calls(run.rows(), made, at)
    baseline = Baseline(
        release,
        [],
        {},
        suite=f"{run.suite.name} v{run.version.version} at {at.name}",
        prompt_mode=at.prompt_mode,
    )
    table = weekly(rows)
    baseline.fit(table[table["calls"] > 0], len(table))
    baseline.levels["volume"] = {}
    baseline.dispersion.pop("volume", None)
    if not any(baseline.levels.values()):
        raise WorkbenchError(
            f"no locale has {SMALLEST} clips", where=where, hint="A larger suite, or weeks of the log itself."
        )
    return baseline


def _as_calls(clips: pd.DataFrame, made: pd.DataFrame, at: OperatingPoint) -> pd.DataFrame:
    """Clips as rows of a field log; a group of speakers is a week."""
    columns = ["id", "hypothesis", *(c for c in ("detected_lang", "confidence") if c in made)]
    joined = clips[["id", "target_lang", "speaker"]].merge(made[columns], on="id")
    tags = joined["target_lang"].fillna("unknown")
    heard = joined["detected_lang"] if "detected_lang" in joined else pd.Series(None, joined.index, object)
    counted = [count_units(text or "", tag) for text, tag in zip(joined["hypothesis"], tags, strict=True)]
    return pd.DataFrame(
        {
            "time": _FIRST + pd.to_timedelta(7 * _groups(tags, joined["speaker"]), unit="D"),
            # Locales of the baseline are those that were spoken, whatever the prompt.
            "requested_lang": tags,
            "detected_lang": heard,
            "words": [float(words) for words, _ in counted],
            "marks": [float(marks) for _, marks in counted],
            "confidence": joined["confidence"].astype(float) if "confidence" in joined else np.nan,
            "latency_ms": np.nan,
        }
    )


def _groups(tags: pd.Series[str], speakers: pd.Series[str]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Number of each clip's group: whole speakers of a locale, until there are as many clips as a week needs.
    Clips without a speaker are speakers of their own."""
    found = np.zeros(len(tags), np.int64)
    voices = speakers.fillna(pd.Series([f"\0{i}" for i in range(len(tags))], index=speakers.index))
    for tag in tags.unique():
        own = np.flatnonzero((tags == tag).to_numpy())
        number = clips = 0
        for _, places in pd.Series(own).groupby(voices.to_numpy()[own], sort=True):
            if clips >= SMALLEST:
                number, clips = number + 1, 0
            found[places] = number
            clips += len(places)
        if number and clips < SMALLEST:  # the rest is too small to be a group
            found[own[found[own] == number]] = number - 1
    return found
