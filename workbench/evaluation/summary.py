"""Every figure of the report as plain data: what the HTML shows and the JSON holds are the same."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any

from workbench.evaluation.recommendations import what_next

if TYPE_CHECKING:
    import pandas as pd

    from workbench.evaluation.evaluation import Evaluation

SCHEMA_VERSION = 1
SLICE_COLUMNS = ("target_lang", "accent", "speaker", "domain", "source", "split", "duration_band", "snr_band")
_MOST_GROUPS = 60


def summarize(
    evaluation: Evaluation,
    *,
    slices: Sequence[str] | None = None,
    base: str | None = None,
    examples: int = 12,
) -> dict[str, Any]:
    """Headline, heat map, slices, comparisons, marks, language, look-aheads, words, advice and methods.

    Args:
        slices: further columns or expressions to cut by; by default every usual one with 2 to 60 values.
        base: prediction the others are compared with; the first by default.
        examples: words and confusions listed for each prediction. These are transcript text: 0 leaves them
            out of a report that travels.
    """
    names = evaluation.names
    base = base or (names[0] if names else None)
    cuts = _usual_slices(evaluation) if slices is None else list(slices)
    summary: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "utterances": len(evaluation),
        "by": list(evaluation.by),
        "problems": [problem.to_dict() for problem in evaluation.problems],
        "confounded": records(evaluation.confounded()),
        "predictions": {name: _prediction(evaluation, name, cuts, examples) for name in names},
        "comparisons": [_comparison(evaluation, str(base), n, cuts) for n in names if n != base],
        "stability": records(evaluation.stability()) if len(names) > 1 else [],
        "auto_cost": records(evaluation.auto_cost(())),
        "tradeoff": records(evaluation.tradeoff()),
        "methods": _methods(evaluation),
    }
    return summary


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain Python values; NaN and infinities become None."""
    return [{str(k): plain(v) for k, v in row.items()} for row in frame.to_dict("records")]


def plain(value: Any) -> Any:
    """A value JSON can hold."""
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def as_json(summary: dict[str, Any]) -> str:
    return json.dumps(plain(summary), ensure_ascii=False, indent=1, allow_nan=False)


def _usual_slices(evaluation: Evaluation) -> list[str]:
    from workbench.errors import WorkbenchError
    from workbench.evaluation.slices import column

    found = []
    for name in SLICE_COLUMNS:
        try:
            values = column(evaluation.rows, name)
        except WorkbenchError:
            continue
        if 2 <= values.nunique() <= _MOST_GROUPS and (name,) != evaluation.by:
            found.append(name)
    return found


def _prediction(evaluation: Evaluation, name: str, cuts: Sequence[str], examples: int) -> dict[str, Any]:
    table = evaluation.rates(name)
    overall = evaluation.overall(name)
    found: dict[str, Any] = {
        "facts": plain(evaluation.facts(name)),
        "overall": plain(overall),
        "overall_raw": plain(evaluation.overall(name, normalizer="raw")),
        "spelling_only": int(evaluation.scored.spelling_only(name, "raw").sum()),
        "slices": records(table),
        "gap": plain(evaluation.gap(name)),
        "cuts": {cut: records(evaluation.rates(name, cut)) for cut in cuts},
        "characters": plain(evaluation.overall(name, metric="cer")),
        "punctuation": records(evaluation.punctuation(name)),
        "punctuation_rate": first(records(evaluation.punctuation_rates(name))),
        "case": first(records(evaluation.case(name))),
        "positions": records(evaluation.errors_by_position(name)),
        "calibration": records(evaluation.calibration(name)),
        "collect": plain(what_next(table, evaluation.by, overall["rate"], evaluation.settings.thresholds)),
    }
    if (
        "detected_lang" in evaluation.scored.prediction(name).source.columns
        and "target_lang" in evaluation.rows
    ):
        found["language"] = _language(evaluation, name)
    if examples:
        found["lost_words"] = records(evaluation.lost_words(name, limit=examples))
        found["confusions"] = records(evaluation.confusions(name, limit=examples))
    return found


def first(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return rows[0] if rows else {}


def _language(evaluation: Evaluation, name: str) -> dict[str, Any]:
    score = evaluation.language(name)
    confusion = {
        str(said): {str(heard): int(count) for heard, count in row.items() if count}
        for said, row in score.confusion.to_dict("index").items()
    }
    return {"accuracy": records(score.accuracy), "confusion": confusion}


def _comparison(evaluation: Evaluation, base: str, other: str, cuts: Sequence[str]) -> dict[str, Any]:
    return {
        "base": base,
        "other": other,
        "overall": first(records(evaluation.compare(base, other, ()))),
        "slices": records(evaluation.compare(base, other)),
        "cuts": {cut: records(evaluation.compare(base, other, cut)) for cut in cuts},
    }


def _methods(evaluation: Evaluation) -> dict[str, Any]:
    settings = evaluation.settings
    versions = {}
    for package in ("rapidfuzz", "numpy", "whisper-normalizer"):
        versions[package] = metadata.version(package)
    return {
        "normalizer": settings.normalizer,
        "resamples": settings.resamples,
        "confidence": settings.confidence,
        "seed": settings.seed,
        "thresholds": asdict(settings.thresholds),
        "versions": versions,
    }
