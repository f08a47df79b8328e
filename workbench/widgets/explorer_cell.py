"""One cell of the explorer: utterances worst first, aligned, and the errors they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.widgets.explorer_data import PAGE, Choice, where_of

if TYPE_CHECKING:
    import pandas as pd

    from workbench.evaluation import Evaluation

OPERATIONS = {"hit": "equal", "substitution": "substitute", "insertion": "insert", "deletion": "delete"}
SHOWN = ("duration", "speaker", "accent", "target_lang", "domain", "snr_db")


def utterances(
    evaluation: Evaluation,
    choice: Choice,
    row: str | None,
    column: str | None,
    chosen: Mapping[str, Any],
    offset: int = 0,
) -> dict[str, Any]:
    """A page of the cell's utterances. ``chosen``: a filter of :func:`ids_of`, or empty."""
    where = where_of(choice, row, column)
    options: dict[str, Any] = {"where": where, "metric": choice.metric, "normaliser": choice.normaliser}
    if chosen:
        wanted = ids_of(evaluation, choice, where, chosen)
        frame = evaluation.utterances(choice.name, **options)
        frame = frame[frame["id"].isin(wanted)]
        total = len(frame)
    else:
        frame = evaluation.utterances(choice.name, limit=offset + PAGE, **options)
        total = int(evaluation.rates(choice.name, (), **options)["utterances"].sum())
    page = frame.iloc[offset : offset + PAGE].to_dict("records")
    return {
        "total": total,
        "offset": offset,
        "utterances": [_utterance(evaluation, choice, record) for record in page],
    }


def _utterance(evaluation: Evaluation, choice: Choice, record: Mapping[str, Any]) -> dict[str, Any]:
    known = {key: record[key] for key in SHOWN if key in record and record[key] == record[key]}
    rate = float(record["rate"])
    made = {
        "id": record["id"],
        "text": record["text"],
        "hypothesis": record["hypothesis"],
        "errors": int(record["errors"]),
        "units": int(record["reference_units"]),
        "rate": None if rate == float("inf") else rate,
        "metric": record["metric"],
        "words": aligned(evaluation, choice.name, record["id"], choice.normaliser),
        **known,
    }
    if choice.against:
        made["against"] = aligned(evaluation, choice.against, record["id"], choice.normaliser)
    return made


def aligned(evaluation: Evaluation, name: str, id: str, normaliser: str) -> list[list[Any]]:
    """[operation, reference, hypothesis, start s, end s] per word; a lost word takes its gap's time."""
    out: list[list[Any]] = []
    last_end: float | None = None
    for step in evaluation.alignment(name, id, normaliser):
        operation = "style" if step.spelling_only and step.op == "substitution" else OPERATIONS[step.op]
        start = step.start_s if step.start_s is not None else last_end
        out.append([operation, step.reference, step.hypothesis, start, step.end_s])
        last_end = step.end_s if step.end_s is not None else last_end
    return out


def ids_of(evaluation: Evaluation, choice: Choice, where: Any, chosen: Mapping[str, Any]) -> set[str]:
    """Ids of the cell's utterances that hold one confusion, lost word, position, duration band or change.

    Raises:
        WorkbenchError: a filter of another kind.
    """
    kind = chosen.get("kind")
    if kind == "changed":
        if not choice.against:
            raise WorkbenchError("nothing to compare with", mend="Choose a second prediction first.")
        frame = evaluation.changes(choice.against, choice.name, where, choice.metric, choice.normaliser)
        return set(frame.loc[frame["verdict"] == chosen["verdict"], "id"])
    if kind == "duration":
        extra = {**(where or {}), "duration_band": chosen["band"]}
        return set(evaluation.utterances(choice.name, extra, choice.metric, choice.normaliser)["id"])
    if kind in ("confusion", "word", "position"):
        return _by_errors(evaluation, choice, where, chosen)
    raise WorkbenchError(f"unknown filter {str(kind)[:40]!r}")


def _by_errors(evaluation: Evaluation, choice: Choice, where: Any, chosen: Mapping[str, Any]) -> set[str]:
    import numpy as np

    from workbench.evaluation.alignment import INSERTION
    from workbench.evaluation.events import error_events
    from workbench.evaluation.slices import mask

    scored = evaluation.scored
    rows = np.flatnonzero(mask(evaluation.rows, where) & scored.prediction(choice.name).present)
    events = error_events(scored, choice.name, choice.normaliser, rows)
    number = {word: place for place, word in enumerate(events.vocabulary)}
    if chosen["kind"] == "confusion":
        hit = (events.said == number.get(chosen["reference"], -2)) & (
            events.heard == number.get(chosen["hypothesis"], -2)
        )
    elif chosen["kind"] == "word":
        hit = (events.said == number.get(chosen["word"], -2)) & (events.operation != INSERTION)
    else:
        lengths = scored.store.words(choice.normaliser).lengths[scored.reference_codes]
        part = np.floor(events.position / np.maximum(lengths[events.row], 1) * int(chosen["bins"]))
        hit = np.minimum(part, int(chosen["bins"]) - 1) == int(chosen["part"])
    return set(evaluation.rows["id"].to_numpy()[np.unique(events.row[hit])])


def beside(evaluation: Evaluation, choice: Choice, row: str | None, column: str | None) -> dict[str, Any]:
    """What lies beside a cell's utterances: confusions, lost words, errors by position, length, frequency."""
    where = where_of(choice, row, column)
    shared: dict[str, Any] = {"where": where, "normaliser": choice.normaliser}
    out: dict[str, Any] = {
        "confusions": _records(evaluation.confusions(choice.name, limit=14, **shared)),
        "lost": _records(evaluation.lost_words(choice.name, limit=14, **shared)),
        "position": _records(evaluation.errors_by_position(choice.name, **shared)),
        "frequency": _records(evaluation.accuracy_by_frequency(choice.name, **shared)),
    }
    if "duration" in evaluation.rows.columns:
        out["duration"] = _records(evaluation.errors_by_duration(choice.name, metric=choice.metric, **shared))
    out["marks"] = _records(
        evaluation.punctuation(choice.name, where).query("mark != 'all' and reference > 0")
    )
    out["case"] = _records(evaluation.case(choice.name, (), where))
    out["heard_as"] = _heard_as(evaluation, choice, where)
    if choice.against:
        changes = evaluation.changes(choice.against, choice.name, where, choice.metric, choice.normaliser)
        out["changes"] = {
            verdict: int((changes["verdict"] == verdict).sum()) for verdict in ("better", "worse")
        }
    return out


def _heard_as(evaluation: Evaluation, choice: Choice, where: Any) -> list[dict[str, Any]]:
    """Languages that were detected in place of the one spoken, most frequent first."""
    try:
        confusion = evaluation.language(choice.name, where).confusion
    except WorkbenchError:  # a prediction without detected languages
        return []
    counts = confusion.stack()
    wrong = [(said, heard, int(n)) for (said, heard), n in counts.items() if n and said != heard]
    return [
        dict(zip(("said", "heard", "count"), pair, strict=True))
        for pair in sorted(wrong, key=lambda p: -p[2])[:8]
    ]


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = frame.to_dict("records")
    return records
