"""Every figure of the report as plain data: what the HTML shows and the JSON holds are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any, Protocol

from workbench.errors import Problem, WorkbenchError
from workbench.evaluation import answers, error_views, quality_views, silence
from workbench.evaluation.asked import Asked
from workbench.evaluation.findings import findings
from workbench.evaluation.recommendations import what_next
from workbench.evaluation.scored import Headline
from workbench.evaluation.slices import column
from workbench.plain_values import first, plain, records

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 2
SLICE_COLUMNS = ("target_lang", "accent", "speaker", "domain", "source", "split", "duration_band", "snr_band")
_MOST_GROUPS = 60


class Summarized(Asked, Protocol):
    """The part of :class:`workbench.evaluation.Evaluation` that the summary asks."""

    @property
    def names(self) -> list[str]: ...
    @property
    def by(self) -> tuple[str, ...]: ...
    @property
    def problems(self) -> list[Problem]: ...
    @property
    def rows(self) -> pd.DataFrame: ...
    def __len__(self) -> int: ...
    def facts(self, name: str) -> dict[str, Any]: ...
    def confounded(self) -> pd.DataFrame: ...
    def overall(
        self, name: str, metric: Headline = "headline", normalizer: str | None = None
    ) -> dict[str, Any]: ...
    def disparity(self, name: str) -> dict[str, Any]: ...


def summarize(
    evaluation: Summarized,
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
        "stability": records(quality_views.stability(evaluation)) if len(names) > 1 else [],
        "auto_cost": records(quality_views.auto_cost(evaluation, ())),
        "tradeoff": records(quality_views.tradeoff(evaluation)),
        "methods": _methods(evaluation),
    }
    summary["findings"] = [asdict(item) for item in findings(summary, dict(evaluation.settings.traffic))]
    return summary


def _usual_slices(evaluation: Summarized) -> list[str]:
    found = []
    for name in SLICE_COLUMNS:
        try:
            values = column(evaluation.rows, name)
        except WorkbenchError:
            continue
        if 2 <= values.nunique() <= _MOST_GROUPS and (name,) != evaluation.by:
            found.append(name)
    return found


def _prediction(evaluation: Summarized, name: str, cuts: Sequence[str], examples: int) -> dict[str, Any]:
    table = evaluation.rates(name)
    overall = evaluation.overall(name)
    found: dict[str, Any] = {
        "facts": plain(evaluation.facts(name)),
        "overall": plain(overall),
        **_whole(evaluation, name),
        "overall_raw": plain(evaluation.overall(name, normalizer="raw")),
        "spelling_only": int(evaluation.scored.spelling_only(name, "raw").sum()),
        "slices": records(table),
        "gap": plain(evaluation.disparity(name)),
        "cuts": {cut: records(evaluation.rates(name, cut)) for cut in cuts},
        "characters": plain(evaluation.overall(name, metric="cer")),
        "punctuation": records(quality_views.punctuation(evaluation, name)),
        "punctuation_rate": first(records(quality_views.punctuation_rates(evaluation, name))),
        "case": first(records(quality_views.case(evaluation, name))),
        "positions": records(error_views.errors_by_position(evaluation, name)),
        "calibration": records(quality_views.calibration(evaluation, name)),
        "collect": plain(what_next(table, evaluation.by, overall["rate"], evaluation.settings.thresholds)),
    }
    if (
        "detected_lang" in evaluation.scored.prediction(name).source.columns
        and "target_lang" in evaluation.rows
    ):
        found["language"] = _language(evaluation, name)
    if examples:
        found["lost_words"] = records(error_views.lost_words(evaluation, name, limit=examples))
        found["confusions"] = records(error_views.confusions(evaluation, name, limit=examples))
    return found


def headlines(evaluation: Summarized) -> dict[str, Any]:
    """The part of :func:`summarize` that a notebook shows at once."""
    found: dict[str, Any] = {
        "by": list(evaluation.by),
        "utterances": len(evaluation),
        "problems": [problem.to_dict() for problem in evaluation.problems],
        "confounded": records(evaluation.confounded()),
        "predictions": {},
        "comparisons": [],
    }
    for name in evaluation.names:
        found["predictions"][name] = {
            **_whole(evaluation, name),
            "overall": plain(evaluation.overall(name)),
            "overall_raw": plain(evaluation.overall(name, normalizer="raw")),
            "gap": plain(evaluation.disparity(name)),
            "slices": records(evaluation.rates(name)),
            "facts": plain(evaluation.facts(name)),
        }
    for other in evaluation.names[1:]:
        found["comparisons"].append(_compared(evaluation, evaluation.names[0], other))
    found["findings"] = [asdict(item) for item in findings(found, dict(evaluation.settings.traffic))]
    return found


def _whole(evaluation: Summarized, name: str) -> dict[str, Any]:
    """What the findings and the headline rest on, and the headline in one sentence."""
    headline = answers.headline(evaluation, name)
    return {
        "sentence": headline.sentence,
        "headlines": records(headline),
        "by_locale": _by_locale(evaluation, evaluation.rates(name, _locale(evaluation))),
        "silence": records(silence.silence(evaluation, name, _locale(evaluation) or "target_lang")),
    }


def _compared(evaluation: Summarized, base: str, other: str) -> dict[str, Any]:
    return {
        "base": base,
        "other": other,
        "overall": first(records(evaluation.compare(base, other, ()))),
        "by_locale": _by_locale(evaluation, evaluation.compare(base, other, _locale(evaluation))),
    }


def _locale(evaluation: Summarized) -> tuple[str, ...]:
    return ("target_lang",) if "target_lang" in evaluation.rows.columns else ()


def _by_locale(evaluation: Summarized, table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{"target_lang": None, **row} for row in records(table)]


def _language(evaluation: Summarized, name: str) -> dict[str, Any]:
    score = quality_views.language(evaluation, name)
    confusion = {
        str(said): {str(heard): int(count) for heard, count in row.items() if count}
        for said, row in score.confusion.to_dict("index").items()
    }
    return {"accuracy": records(score.accuracy), "confusion": confusion}


def _comparison(evaluation: Summarized, base: str, other: str, cuts: Sequence[str]) -> dict[str, Any]:
    return {
        **_compared(evaluation, base, other),
        "slices": records(evaluation.compare(base, other)),
        "cuts": {cut: records(evaluation.compare(base, other, cut)) for cut in cuts},
    }


def _methods(evaluation: Summarized) -> dict[str, Any]:
    settings = evaluation.settings
    versions = {}
    spoken = ["num2words"] if "numerals" in settings.normalizer.split("+") else []
    for package in ("rapidfuzz", "numpy", "whisper-normalizer", *spoken):
        versions[package] = metadata.version(package)
    return {
        "normalizer": settings.normalizer,
        "resamples": settings.resamples,
        "confidence": settings.confidence,
        "seed": settings.seed,
        "thresholds": asdict(settings.thresholds),
        "versions": versions,
        "substitutions": [asdict(item) for item in evaluation.scored.store.substitutions],
    }
