"""Whether a checkpoint reads today's calls worse than those it was released on: one suite, two versions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError
from workbench.evaluation import score_predictions
from workbench.evaluation.disparity import difference_of_slices
from workbench.evaluation.tables import as_table
from workbench.locales import CHARACTER_LANGUAGES
from workbench.suites.points import OperatingPoint
from workbench.suites.predictions import SuitePredictions

BEFORE, SINCE = "at release", "since"
COLUMNS = ("target_lang", "rate_before", "rate_since", "difference", "lower_bound", "clips", "because")


def since_release(
    at_release: SuitePredictions,
    today: SuitePredictions,
    checkpoint: str,
    *,
    point: str | OperatingPoint | None = None,
) -> pd.DataFrame:
    """One checkpoint on the clips it was released on and on those that came since, by locale.

    Clips of both versions (same recording) count as those of the release. The two groups are other calls, so
    nothing is paired; a speaker of both counts as one.

    Args:
        at_release, today: runs of two versions of a suite.
        checkpoint: its digest; both runs hold it.
        point: operating point; default: the first of the release's version.

    Returns:
        A row per locale: :data:`COLUMNS`. Rates are fractions; ``lower_bound`` is one-sided, 95 %;
        ``because`` says why there is none.

    Raises:
        WorkbenchError: the two are not alike (suite, version, operating point, checkpoint), or there are no
            clips since.
    """
    at = at_release.version.point(point)
    names = _alike(at_release, today, checkpoint, at)
    before, after = at_release.evaluation(at, names[:1]), today.evaluation(at, names[1:])
    old = set(at_release.clips["audio_sha256"])
    fresh = today.clips[~today.clips["audio_sha256"].isin(old)]
    if fresh.empty:
        raise WorkbenchError(
            "no clips since the release",
            where=f"suite {today.suite.name}",
            hint="Import newer calls, then ws.suite(…).renew() and run it.",
        )
    rows = pd.concat(
        [
            before.scored.rows.assign(when=BEFORE, id=[f"1/{id}" for id in before.scored.rows["id"]]),
            after.scored.rows[after.scored.rows["id"].isin(fresh["id"])].assign(when=SINCE),
        ],
        ignore_index=True,
    )
    told = at_release.frame(names[0], at), today.frame(names[1], at)
    assert told[0] is not None
    assert told[1] is not None
    earlier = told[0].assign(id=[f"1/{id}" for id in told[0]["id"]])
    columns = ["id", "hypothesis"]
    predicted = pd.concat([earlier[columns], told[1][columns]], ignore_index=True)
    lacking = {
        BEFORE: at_release.shortfalls(names[0], point=at),
        SINCE: today.shortfalls(names[1], point=at),
    }
    return _table(rows, predicted, at, lacking)


def regressed(
    at_release: SuitePredictions,
    today: SuitePredictions,
    checkpoint: str,
    by_more_than: float,
    *,
    point: str | OperatingPoint | None = None,
) -> list[str]:
    """A sentence for each locale that is shown to be read worse by more than so much (a fraction) than at the
    release. Raises WorkbenchError: as :func:`since_release`."""
    table = since_release(at_release, today, checkpoint, point=point)
    return [
        f"{row['target_lang']} regressed by {100 * row['difference']:.1f} points since the release "
        f"({100 * row['rate_before']:.1f} to {100 * row['rate_since']:.1f} % on {row['clips']} newer clips)"
        for row in table.to_dict("records")
        if row["lower_bound"] > by_more_than
    ]


def _alike(
    at_release: SuitePredictions, today: SuitePredictions, checkpoint: str, at: OperatingPoint
) -> tuple[str, str]:
    """What the checkpoint is called in each run."""
    found = []
    if at_release.suite.name != today.suite.name:
        found.append(f"suite {at_release.suite.name} against {today.suite.name}")
    elif at_release.version.digest == today.version.digest:
        found.append(f"version {today.version.version} twice: renew the suite after newer calls came in")
    names = [
        next((name for name, digest in run.checkpoints.items() if digest == checkpoint), None)
        for run in (at_release, today)
    ]
    for name, when in zip(names, ("at the release", "today"), strict=True):
        if name is None:
            found.append(f"checkpoint {checkpoint[:12]} is not in the run {when}")
    if at not in today.points:
        found.append(f"operating point {at.name} is not in version {today.version.version}")
    if found or names[0] is None or names[1] is None:
        raise WorkbenchError(
            f"not alike: {'; '.join(found)}",
            where=f"suite {today.suite.name}",
            hint="Run both versions of one suite with the checkpoint in production.",
        )
    return names[0], names[1]


def _table(
    rows: pd.DataFrame, predicted: pd.DataFrame, at: OperatingPoint, lacking: dict[str, dict[str, list[str]]]
) -> pd.DataFrame:
    evaluation = score_predictions(rows, {"production": predicted}, normalizer=at.normalizer)
    scored = evaluation.scored
    tags, when = (scored.rows[name].to_numpy(object) for name in ("target_lang", "when"))
    records: list[dict[str, Any]] = []
    for tag in sorted({tag for tag in tags if isinstance(tag, str)}):
        sides = [np.flatnonzero((tags == tag) & (when == side)) for side in (BEFORE, SINCE)]
        if not len(sides[1]):
            continue
        metric = at.metric if at.metric != "headline" else _metric(tag)
        found = difference_of_slices(
            scored, "production", evaluation.settings, sides, metric, at.normalizer, one_sided=True
        )
        why = [what for one in lacking.values() for key in ("all", tag) for what in one.get(key, ())]
        why += [] if np.isfinite(found.low) else ["too few speakers or clips for an interval"]
        records.append(
            {
                "target_lang": tag,
                "rate_before": found.rates[0],
                "rate_since": found.rates[1],
                "difference": found.difference,
                "lower_bound": float("nan") if why else found.low,
                "clips": len(sides[1]),
                "because": "; ".join(dict.fromkeys(why)),
            }
        )
    return as_table(records, COLUMNS)


def _metric(tag: str) -> str:
    return "cer" if tag.split("-")[0] in CHARACTER_LANGUAGES else "wer"
