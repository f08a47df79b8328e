"""Predictions of a suite with known shares of wrong words, written where a run would keep them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd

from workbench.suites.points import OperatingPoint
from workbench.suites.run import SuiteRun
from workbench.suites.store import Suite

BASE, TUNED = "a" * 64, "b" * 64
OFFLINE = OperatingPoint()
WORSE = {"da-DK": 0.5, "en-US": 0.2, "it-IT": 0.2}
BETTER = {"da-DK": 0.1, "en-US": 0.2, "it-IT": 0.2}


def tone(key: str) -> np.ndarray[Any, Any]:
    """A tenth of a second of noise, another for each key."""
    return 0.1 * np.random.default_rng(crc32(key.encode())).standard_normal(1600).astype(np.float32)


def open_run(suite: Suite, **engines: str) -> SuiteRun:
    """A run of the newest version, with engines whose predictions a test plants."""
    suite.freeze(suite.latest)
    return SuiteRun(suite, suite.latest, engines or {"base": BASE, "tuned": TUNED})


def plant(
    run: SuiteRun,
    engine: str,
    wrong: Mapping[str, float],
    *,
    point: OperatingPoint = OFFLINE,
    without: Collection[str] = (),
    seed: int = 1,
    **facts: Any,
) -> None:
    """Write a prediction: a share of each locale's words is wrong; a lower share errs on a subset of them.

    Args:
        without: ids (as in ``run.clips``) that are left out.
        facts: columns in place of the true ones.
    """
    for corpus in run.version.corpora:
        rows = pd.DataFrame(run.rows_of(corpus))
        texts = [_wrong(row, wrong.get(row["target_lang"], 0.0), seed) for row in rows.to_dict("records")]
        known = {
            "checkpoint_sha256": run.checkpoints[engine],
            "lookahead_ms": point.lookahead_ms,
            "prompt_mode": point.prompt_mode,
            "streaming": point.streaming,
            "runtime": point.runtime,
            "precision": "fp32",
            "schema_version": 2,
        }
        table = pd.DataFrame({"id": rows["id"].astype(str), "hypothesis": texts})
        table["detected_lang"], table["audio_sha256"] = rows["target_lang"], rows["audio_sha256"]
        table = table.assign(**{**known, **facts})
        qualified = [i if len(run.version.views) == 1 else f"{corpus}/{i}" for i in table["id"]]
        table = table[[i not in without for i in qualified]]
        path = run.path(corpus, run.checkpoints[engine], point)
        path.parent.mkdir(parents=True, exist_ok=True)
        table.to_parquet(path, index=False)


def errors_of(run: SuiteRun, engine: str) -> pd.Series[Any]:
    """Wrong words of each clip of an engine, by id."""
    scored = run.evaluation(engines=[engine]).scored
    return pd.Series(scored.totals(engine, "wer", "basic")[0], scored.rows["id"].tolist())


def _wrong(row: Mapping[str, Any], share: float, seed: int) -> str:
    rng = np.random.default_rng([seed, crc32(f"{row['target_lang']}{row['id']}".encode())])
    words = str(row["text"]).split()
    return " ".join("zulu" if d < share else w for d, w in zip(rng.random(len(words)), words, strict=True))
