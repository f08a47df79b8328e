"""One cell of the explorer: its utterances, worst first, each aligned word by word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.recognizer.languages import runs
from workbench.widgets.explorer_comparison import ids_of, quick
from workbench.widgets.explorer_data import PAGE, Choice, where_of
from workbench.widgets.explorer_order import WORST, ordered, orders

if TYPE_CHECKING:
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
    order: str = WORST,
) -> dict[str, Any]:
    """A page of the cell's utterances. ``chosen``: a filter of :func:`ids_of`, or empty; ``order``: see
    :func:`workbench.widgets.explorer_order.orders`."""
    where = where_of(choice, row, column)
    options: dict[str, Any] = {"where": where, "metric": choice.metric, "normalizer": choice.normalizer}
    if chosen or order != WORST:
        frame = evaluation.utterances(choice.name, **options)
    if chosen:
        wanted = ids_of(evaluation, choice, where, chosen)
        frame = frame[frame["id"].isin(wanted)]
        total = len(frame)
    elif order != WORST:
        total = len(frame)
    else:
        frame = evaluation.utterances(choice.name, limit=offset + PAGE, **options)
        found = quick(evaluation).rates(choice.name, (), **options)
        total = int(found["utterances"].sum()) if len(found) else 0
    frame = ordered(evaluation, choice, frame, order)
    page = frame.iloc[offset : offset + PAGE].to_dict("records")
    return {
        "total": total,
        "order": order,
        "orders": orders(evaluation, choice),
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
        "words": aligned(evaluation, choice.name, record["id"], choice.normalizer),
        "languages": _languages(evaluation, choice.name, record["id"]),
        **known,
    }
    if choice.against:
        made["against"] = aligned(evaluation, choice.against, record["id"], choice.normalizer)
    return made


def _languages(evaluation: Evaluation, name: str, id: str) -> list[list[Any]]:
    """[tag, words] of each run of a language that was recognized, where there are two."""
    prediction = evaluation.scored.prediction(name)
    at = int(prediction.positions[evaluation.scored.positions[id]])
    held = prediction.source["spans"].iloc[at] if at >= 0 and "spans" in prediction.source.columns else None
    return runs(held) if hasattr(held, "__len__") else []


def aligned(evaluation: Evaluation, name: str, id: str, normalizer: str) -> list[list[Any]]:
    """[operation, reference, hypothesis, start s, end s] per word; a lost word takes its gap's time."""
    out: list[list[Any]] = []
    last_end: float | None = None
    for step in evaluation.alignment(name, id, normalizer):
        operation = "style" if step.spelling_only and step.op == "substitution" else OPERATIONS[step.op]
        start = step.start_s if step.start_s is not None else last_end
        out.append([operation, step.reference, step.hypothesis, start, step.end_s])
        last_end = step.end_s if step.end_s is not None else last_end
    return out
