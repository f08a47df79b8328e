"""Model card and data card: what a release is, for whom, from what, how well by slice, and its limits.

Sections follow Mitchell et al., "Model Cards for Model Reporting" (2019), and Gebru et al., "Datasheets for
Datasets" (2021). Figures come with their intervals; a slice without enough data says so instead of a figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from huggingface_hub import EvalResult

from workbench.cards import Card, Table, languages, license_fields, size_category
from workbench.evaluation import readings
from workbench.evaluation.calibration import ACCEPTABLE
from workbench.evaluation.confidence import confidence_of
from workbench.evaluation.confounding import WORDS

if TYPE_CHECKING:
    import pandas as pd

    from workbench.evaluation.evaluation import Evaluation
    from workbench.release.gates import GateReport
    from workbench.release.measure import Measurement
    from workbench.workspace.calibration import Calibration


@dataclass(frozen=True, slots=True)
class Purpose:
    """What only people know: use, users, what it must not be used for, license of the checkpoint."""

    use: str = "Transcription of calls in the locales below."
    users: str = ""
    not_for: str = "Identifying speakers, or decisions about people without a human who listens."
    license: str = ""
    contact: str = ""


def model_card(
    name: str,
    facts: Mapping[str, Any],
    *,
    purpose: Purpose | None = None,
    evaluation: Evaluation | None = None,
    prediction: str | None = None,
    base: str | None = None,
    gate: GateReport | None = None,
    training: pd.DataFrame | None = None,
    measurement: Measurement | None = None,
    capacity: Sequence[str] = (),
    changes: Sequence[str] = (),
    calibration: Calibration | None = None,
) -> Card:
    """The card of a checkpoint.

    Args:
        facts: ``sha256``, ``base_sha256``, ``class``, ``parameters``, ``recipe`` …: shown as they are.
        evaluation, prediction, base: figures of ``prediction``, and the change against ``base``.
        capacity: sentences about streams at once, see ``Capacity.lines``.
        training: rows trained on, summed up by locale and license, never listed.
        changes: since the last release, one sentence each.
        calibration: what was fitted of its confidence on validation clips.
    """
    purpose = purpose or Purpose()
    card = Card(f"Model card: {name}", "model", _model_metadata(name, facts, purpose, evaluation, prediction))
    card.add(
        "What it is", Table(("fact", "value"), [(k, _short(v)) for k, v in facts.items() if v is not None])
    )
    card.add(
        "Use",
        f"For: {purpose.use}",
        purpose.users and f"Users: {purpose.users}",
        f"Not for: {purpose.not_for}",
        purpose.contact and f"Contact: {purpose.contact}",
    )
    if evaluation is not None and prediction is not None:
        card.add("Error rates by slice", _figures(evaluation, prediction), _reading(evaluation))
        if base is not None:
            card.add("Change against the base", _differences(evaluation, base, prediction))
        card.add("Confidence", *_confidence(evaluation, prediction, calibration))
    elif calibration is not None:
        card.add("Confidence", *_fitted(calibration))
    if measurement is not None:
        card.add("Latency and memory", _measured(measurement))
    card.add("Capacity", *capacity)
    if training is not None and len(training):
        card.add("Training data", *_data(training))
    if gate is not None:
        rows = [(c.verdict, c.name, c.because) for c in gate.checks]
        card.add(
            "Gate",
            f"Policy {gate.policy}: {gate.verdict}, {gate.basis}.",
            Table(("verdict", "check", "because"), rows),
        )
    card.add("Changed since the last release", *changes)
    card.add("Limits", *limits(evaluation, prediction, training))
    card.add("License", *_licenses(purpose, training))
    return card


_JUDGED = 2_000
"""Utterances that confidence is judged on at most, drawn from a seed."""


def _confidence(evaluation: Evaluation, prediction: str, calibration: Calibration | None) -> list[Any]:
    """What the words' confidence is worth: judged as it comes, and with the temperature that was fitted on
    validation clips, or is on those that the evaluation holds; a table of where to put the line."""
    scored, rules = evaluation.scored, evaluation.normalizer
    drawn = np.sort(np.random.default_rng(26).permutation(len(scored))[:_JUDGED])
    splits = evaluation.rows["split"].iloc[drawn] if "split" in evaluation.rows else None
    fitted_on = splits.eq("validation").fillna(False).to_numpy(bool) if splits is not None else drawn < 0
    judged = confidence_of(scored, prediction, rules, drawn[~fitted_on], 1.0)
    found: list[Any] = [str(judged)]
    if judged.auc is not None:
        if calibration is not None or fitted_on.any():
            fitted = (
                calibration.temperature
                if calibration is not None
                else confidence_of(scored, prediction, rules, drawn[fitted_on]).temperature
            )
            after = confidence_of(scored, prediction, rules, drawn[~fitted_on], fitted)
            found.append(
                f"Temperature {fitted:.2f}, fitted on validation rows: its distance from the share that is "
                f"right goes from {judged.calibration_error:.3f} to {after.calibration_error:.3f}."
            )
        else:
            found.append("No temperature: it was not calibrated, and no validation rows were evaluated.")
        lines = [
            (f"{row['below']:g}", *(f"{100 * row[key]:.0f} %" for key in ("flagged", "wrong_found")))
            for row in judged.thresholds.to_dict("records")
        ]
        found.append(Table(("confidence below", "of all words", "of the wrong words"), lines))
    if calibration is not None:
        found.append(str(calibration))
    whole = confidence_of(scored, prediction, rules, drawn[~fitted_on], 1.0, "utterance", ACCEPTABLE)
    if whole.words:
        found.append(f"Whole utterances, right with at most {ACCEPTABLE:.0%} of errors: {whole}")
    return found


def _fitted(calibration: Calibration) -> list[Any]:
    """The same where there is no evaluation: what was fitted, with its table."""
    lines = [
        (f"{row['below']:g}", *(_share(row[key]) for key in ("flagged", "wrong_found")))
        for row in calibration.thresholds
    ]
    return [str(calibration), Table(("confidence below", "of all words", "of the wrong words"), lines)]


def _model_metadata(
    name: str,
    facts: Mapping[str, Any],
    purpose: Purpose,
    evaluation: Evaluation | None,
    prediction: str | None,
) -> dict[str, Any]:
    """The front matter that the hub reads; figures only where there is enough data to state them."""
    found: dict[str, Any] = {
        "library_name": "nemo",
        "pipeline_tag": "automatic-speech-recognition",
        "tags": ["nemotron", "streaming", "rnnt"],
        "language": languages(facts.get("locales") or []),
        **license_fields([purpose.license]),
    }
    if evaluation is None or prediction is None or "target_lang" not in evaluation.rows:
        return found
    results = [
        EvalResult(
            task_type="automatic-speech-recognition",
            dataset_type="private",
            dataset_name=f"test rows of {record['target_lang']}",
            metric_type=str(record["metric"]),
            metric_value=round(100 * float(record["rate"]), 2),
        )
        for record in evaluation.rates(prediction, by="target_lang").to_dict("records")
        if record["enough"] != "no"
    ]
    return {**found, "model_name": name, "eval_results": results} if results else found


def data_card(name: str, rows: pd.DataFrame, terms: Mapping[str, Any] | None = None) -> Card:
    """The card of a data set: counts by locale, source, license and consent; no transcript, no speaker."""
    metadata = {
        "language": languages(rows.get("target_lang", [])),
        "pretty_name": name,
        "task_categories": ["automatic-speech-recognition"],
        "size_categories": [size_category(len(rows))],
        **license_fields(rows["license"].dropna() if "license" in rows else []),
    }
    card = Card(f"Data card: {name}", "dataset", metadata)
    card.add("What is in it", *_data(rows))
    for column, heading in (("source", "Sources"), ("consent", "Consent"), ("domain", "Domains")):
        if column in rows and rows[column].notna().any():
            card.add(heading, Table((column, "utterances", "hours"), _sums(rows, [column])))
    if terms:
        card.add("Terms", Table(("source", "terms"), [(k, _short(v)) for k, v in terms.items()]))
    return card


def limits(evaluation: Evaluation | None, prediction: str | None, training: pd.DataFrame | None) -> list[str]:
    """What the figures do not say, in sentences made from the data."""
    found = []
    if evaluation is not None and prediction is not None:
        table = evaluation.rates(prediction, by="target_lang") if "target_lang" in evaluation.rows else None
        records = table.to_dict("records") if table is not None else []
        thin = [str(r["target_lang"]) for r in records if r["enough"] == "no"]
        few = [
            f"{r['target_lang']} ({r['speakers']})"
            for r in records
            if r["interval_kind"] == "these voices only"
        ]
        if thin:
            found.append(f"Too little test data to say anything: {', '.join(thin)}.")
        if few:
            found.append(
                f"Figures hold for the tested voices only, too few to speak for others: {', '.join(few)}."
            )
        if training is not None and "target_lang" in training:
            tested = {str(r["target_lang"]) for r in records}
            untested = sorted(set(training["target_lang"].dropna()) - tested)
            if untested:
                found.append(f"Trained on but not tested: {', '.join(untested)}.")
        found += [str(text) for text in _sentences(evaluation)]
    return found or ["Not evaluated: nothing is known about how well it transcribes."]


def _sentences(evaluation: Evaluation) -> Iterable[str]:
    table = evaluation.confounded(
        [c for c in ("accent", "speaker", "source", "domain") if c in evaluation.rows]
    )
    column = next((c for c in ("sentence", "what", "text") if c in table), None)
    return [] if column is None else table[column].tolist()[:5]


def _figures(evaluation: Evaluation, name: str) -> Table:
    rows = []
    for record in evaluation.rates(name).to_dict("records"):
        known = record["enough"] != "no"
        figure = _percent(record["rate"]) if known else "not enough data"
        known = known and record["no_interval"] is None
        interval = f"{_percent(record['low'])} to {_percent(record['high'])}" if known else "–"
        slices = [record[column] for column in evaluation.by]
        rows.append((*slices, record["metric"], figure, interval, record["utterances"], record["speakers"]))
    heads = tuple(WORDS.get(column, column) for column in evaluation.by)
    return Table((*heads, "metric", "error rate", _level(evaluation), "utterances", "speakers"), rows)


def _level(evaluation: Evaluation) -> str:
    return f"{100 * evaluation.settings.confidence:g} % interval"


def _differences(evaluation: Evaluation, base: str, name: str) -> Table:
    rows = []
    for r in evaluation.compare(base, name, by="target_lang").to_dict("records"):
        known = r["no_interval"] is None
        interval = f"{_points(r['low'])} to {_points(r['high'])}" if known else "no interval"
        rows.append(
            (
                r["target_lang"],
                _percent(r["rate_a"]),
                _percent(r["rate_b"]),
                _points(r["difference"]),
                interval,
                r["reading"],
            )
        )
    heads = ("locale", "base", "this", "change in points", _level(evaluation), "reading")
    return Table(heads, rows)


def _points(value: float) -> str:
    return readings.points(value).removesuffix(" points")


def _reading(evaluation: Evaluation) -> str:
    return (
        f"Normalizer {evaluation.normalizer}; intervals over speakers where there are enough, "
        "else over utterances of these voices."
    )


def _measured(found: Measurement) -> Table:
    rows = [
        ("look-ahead", f"{found.lookahead_ms} ms"),
        ("word latency p50", f"{found.latency_p50_ms:.0f} ms"),
        ("word latency p95", f"{found.latency_p95_ms:.0f} ms over {found.words} words"),
        ("compute per second of audio", f"{found.real_time_factor:.3f} s"),
        ("peak memory while it streams", f"{found.memory_mib:.0f} MiB"),
        ("peak memory while it loads", f"{found.loading_mib:.0f} MiB"),
        ("machine", found.machine),
    ]
    return Table(("measured", "value"), rows)


def _data(rows: pd.DataFrame) -> list[str | Table]:
    blocks: list[str | Table] = [f"{len(rows):,} utterances, {_hours(rows)} h."]
    for column, heading in (("target_lang", "locale"), ("license", "license")):
        if column in rows:
            blocks.append(Table((heading, "utterances", "hours"), _sums(rows, [column])))
    if "speaker" in rows:
        blocks.append(f"{rows['speaker'].nunique()} speakers, not named here.")
    return blocks


def _sums(rows: pd.DataFrame, columns: list[str]) -> list[tuple[Any, ...]]:
    found = []
    for key, group in rows.groupby(columns, dropna=False, sort=True):
        known = [value if isinstance(value, str) else "not known" for value in key]
        found.append((*known, len(group), _hours(group)))
    return found


def _hours(rows: pd.DataFrame) -> str:
    return f"{rows['duration'].sum() / 3600:.2f}" if "duration" in rows else "–"


def _licenses(purpose: Purpose, training: pd.DataFrame | None) -> list[str]:
    lines = [purpose.license or "The license of the checkpoint has not been stated."]
    if training is not None and "license" in training:
        names = sorted({str(v) for v in training["license"].dropna()})
        unknown = int(training["license"].isna().sum())
        lines.append(f"Training data under: {', '.join(names) or 'no stated license'}.")
        if unknown:
            lines.append(f"{unknown} training utterances have no stated license.")
    return lines


def _percent(rate: float) -> str:
    return "–" if rate != rate else f"{100 * rate:.2f} %"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k}: {_short(v)}" for k, v in value.items() if v not in (None, "", [], ()))
    if isinstance(value, list | tuple):
        return ", ".join(map(_short, value))
    return str(value)
