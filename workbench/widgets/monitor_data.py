"""What the monitor shows of a run, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.locales import CHARACTER_LANGUAGES
from workbench.widgets.playback_lane import align, error_counts, units

if TYPE_CHECKING:
    import pandas as pd

    from workbench.finetuning.run import Run

MOST_POINTS = 400
MOST_SAMPLES = 24
LOG_LINES = 60
STATE = (
    "status", "step", "steps", "message", "hint", "time_left_s", "peak_memory_mb", "consumed_hours",
    "planned_hours", "effective_peak", "base_score", "best", "attempts", "left_out", "notices",
)  # fmt: skip


def stamp(run: Run) -> tuple[Any, ...]:
    """Changes whenever the run's folder has something new to show."""
    files = (run.folder.state_path, run.folder.metrics, run.folder.samples, run.folder.log, run.folder.cancel)
    facts = [(s.st_mtime_ns, s.st_size) for s in (file.stat() for file in files if file.exists())]
    return (run.alive, len(facts), *facts)


def snapshot(run: Run) -> dict[str, Any]:
    """Everything but the log: state, curves thinned to a drawable number, validation series, samples."""
    state = run.state
    metrics = run.metrics()
    validation = _validation(metrics[metrics["kind"] == "validation"]) if len(metrics) else []
    return {
        "name": run.name,
        "alive": run.alive,
        "cancelling": run.alive and run.folder.cancel.exists(),
        "state": {key: state.get(key) for key in STATE},
        "train": _curves(metrics[metrics["kind"] == "train"]) if len(metrics) else {},
        "validation": validation,
        "metric": moving_metric(validation),
        "samples": _samples(run.samples()),
    }


def log_lines(run: Run) -> str:
    return run.log_tail(LOG_LINES)


def _curves(train: pd.DataFrame) -> dict[str, list[Any]]:
    """Columns over steps; a long run is averaged over stretches, so no curve has more than MOST_POINTS."""
    names = ("loss", "learning_rate", "gradient_norm", "audio_s_per_s", "memory_mb")
    columns = [name for name in names if name in train.columns]
    frame = train[["step", *columns]].apply(lambda column: column.astype(float))
    if len(frame) > MOST_POINTS:
        stretch = (len(frame) + MOST_POINTS - 1) // MOST_POINTS
        place = (frame.reset_index(drop=True).index // stretch).to_numpy()
        frame = frame.groupby(place).agg({"step": "last"} | dict.fromkeys(columns, "mean"))
    return {name: [round(value, 6) for value in frame[name].tolist()] for name in ("step", *columns)}


def _validation(records: pd.DataFrame) -> list[dict[str, Any]]:
    """A series per locale, prompt mode and way (offline or streaming): steps and each of METRICS."""
    if not len(records):
        return []
    series = []
    keys = ["locale", "prompt_mode", "streaming"]
    for (locale, mode, streaming), part in records.groupby(keys, sort=True):
        part = part.sort_values("step")
        made: dict[str, Any] = {"locale": locale, "prompt_mode": mode, "streaming": bool(streaming)}
        made["lookahead_ms"] = part["lookahead_ms"].iloc[-1] if "lookahead_ms" in part else None
        for name in ("step", *(c for c in part.columns if c in METRICS)):
            made[name] = part[name].tolist()
        made["utterances"] = int(part["utterances"].iloc[-1]) if "utterances" in part else None
        series.append(made)
    return series


METRICS = ("wer", "cer", "tags_right")
SATURATED = 0.9
"""A word error rate that never fell below this says nothing about progress: hardly a word is right."""


def moving_metric(series: Sequence[dict[str, Any]]) -> str:
    """The metric to look at first: ``cer`` where at least half of the offline locales are scored by
    characters or have had hardly a word right so far, else ``wer``."""
    seen: dict[str, bool] = {}
    for one in series:
        rates = [rate for rate in one.get("wer", ()) if rate is not None and rate == rate]
        if rates and not one["streaming"]:
            language = str(one["locale"]).split("-")[0]
            blind = language in CHARACTER_LANGUAGES or min(rates) >= SATURATED
            seen[one["locale"]] = seen.get(one["locale"], True) and blind
    return "cer" if seen and 2 * sum(seen.values()) >= len(seen) else "wer"


def changes(series: Sequence[dict[str, Any]], metric: str) -> list[dict[str, Any]]:
    """What each offline series gained or lost since step 0, the largest loss first: ``locale, prompt_mode,
    before, now, change`` (fractions; positive is worse, but for ``tags_right``), ``utterances``. Without
    intervals: validation keeps sums, not clips."""
    found = []
    for one in series:
        rates = one.get(metric) or [None]
        if one["streaming"] or one["step"][0] != 0 or len(rates) < 2 or None in (rates[0], rates[-1]):
            continue
        ends = {"before": rates[0], "now": rates[-1], "change": rates[-1] - rates[0]}
        facts = {"locale": one["locale"], "prompt_mode": one["prompt_mode"]}
        found.append(facts | ends | {"utterances": one.get("utterances")})
    sign = -1 if metric == "tags_right" else 1
    return sorted(found, key=lambda one: -sign * one["change"])


def _samples(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Each sampled utterance once: what was recognized at the start, halfway and last, aligned."""
    if not len(frame):
        return []
    out = []
    for (locale, id, mode), part in frame.groupby(["locale", "id", "prompt_mode"], sort=True):
        part = part.sort_values("step").to_dict("records")
        reference = units(part[-1]["reference"] or "", locale)
        shown = [part[place] for place in sorted({0, len(part) // 2, len(part) - 1})]
        history = [_heard(reference, record, locale) for record in shown]
        told = {"reference": part[-1]["reference"] or "", "history": history}
        out.append({"locale": locale, "id": id, "prompt_mode": mode} | told)
        if len(out) == MOST_SAMPLES:
            break
    return out


def _heard(reference: Sequence[str], record: dict[str, Any], locale: str) -> dict[str, Any]:
    pairs = align(reference, units(record["hypothesis"] or "", locale), locale)
    counts = error_counts(pairs)
    errors = counts["substitute"] + counts["delete"] + counts["insert"]
    return {
        "step": record["step"],
        "pairs": [list(pair) for pair in pairs],
        "errors": errors,
        "words": counts["reference"],
        "lang": record.get("detected_lang"),
    }
