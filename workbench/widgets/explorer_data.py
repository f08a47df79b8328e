"""What the explorer shows, as plain data: the heat map, a cell's utterances and what lies beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.evaluation import readings
from workbench.evaluation.slices import BANDS, group
from workbench.locales import LOCALES
from workbench.text import NORMALIZERS

if TYPE_CHECKING:
    import pandas as pd

    from workbench.evaluation import Evaluation
    from workbench.evaluation.scored import Headline

PAGE = 20
MOST_VALUES = 500
"""More of one column is no slice to look at; of fewer, the map shows the largest and finds the others."""
METRICS = {"headline": "error rate", "wer": "word error rate", "cer": "character error rate"}
SPANS = ("target_lang", "accent", "speaker", "domain", "source", "duration_band", "snr_band", "split")
ALL = "\u2211"
"""Key of the margin: over all values of a column. Not a value that data hold."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What spans the heat map and what is counted in it. ``against``: a base to compare ``name`` with."""

    name: str
    against: str = ""
    metric: Headline = "headline"
    normalizer: str = "basic"
    row: str = "target_lang"
    column: str = "accent"

    def changed(self, evaluation: Evaluation, body: Mapping[str, Any]) -> Choice:
        """With the browser's collection_requests.

        Raises:
            WorkbenchError: a prediction, metric, normalizer or column that there is not.
        """
        known: dict[str, Any] = {key: str(body[key] or "") for key in asdict(self) if key in body}
        made = replace(self, **known)
        if "lookahead" in body:
            made = made.at_lookahead(evaluation, str(body["lookahead"]))
        allowed: dict[str, Sequence[str]] = {
            "name": evaluation.names,
            "against": ["", *evaluation.names],
            "metric": list(METRICS),
            "normalizer": list(NORMALIZERS),
            "row": spans(evaluation),
            "column": spans(evaluation),
        }
        for key, values in allowed.items():
            if getattr(made, key) not in values:
                raise WorkbenchError(
                    f"no {key} '{getattr(made, key)[:60]}'", hint=f"Choose from {', '.join(values)}."
                )
        return replace(made, against="") if made.against == made.name else made

    def at_lookahead(self, evaluation: Evaluation, lookahead: str) -> Choice:
        """The prediction that differs in the look-ahead only; a base at the same look-ahead goes with it.

        Raises:
            WorkbenchError: nothing was predicted with that look-ahead.
        """
        known = lookaheads(evaluation, self.name)
        if lookahead not in known:
            raise WorkbenchError(
                f"no prediction like {self.name} with look-ahead {lookahead[:20]}",
                hint=f"There is {', '.join(known)}; transcribe with lookahead_ms={lookahead[:20]} first.",
            )
        against, now = self.against, lookahead_of(evaluation, self.name)
        if against and lookahead_of(evaluation, against) == now:
            against = lookaheads(evaluation, against).get(lookahead, against)
        return replace(self, name=known[lookahead], against=against)


OFFLINE = "offline"


def lookaheads(evaluation: Evaluation, name: str) -> dict[str, str]:
    """Look-ahead (ms, or ``offline``) → the prediction of the same checkpoint and prompt mode that has it,
    shortest first. ``name`` stands for its own; where a checkpoint is not known, it stands alone."""

    def family(other: str) -> tuple[Any, ...]:
        facts = evaluation.facts(other)
        checkpoint = facts.get("checkpoint_sha256")
        return (checkpoint or other, facts.get("prompt_mode"))

    alike = [other for other in evaluation.names if family(other) == family(name)]
    found = {lookahead_of(evaluation, other): other for other in (*reversed(alike), name)}
    order = sorted(found, key=lambda key: float("inf") if key == OFFLINE else float(key))
    return {key: found[key] for key in order}


def fitting_first(evaluation: Evaluation, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Checkpoints by prediction name, that of ``name`` first; one of another look-ahead will do."""
    alike = (name, *lookaheads(evaluation, name).values())
    first = [other for other in alike if other in given][:1]
    return {other: given[other] for other in (*first, *given)}


def lookahead_of(evaluation: Evaluation, name: str) -> str:
    """Of a prediction, in ms as text; ``offline`` where it has none, or none that holds for all its rows."""
    ahead = evaluation.facts(name).get("lookahead_ms")
    return OFFLINE if not isinstance(ahead, int | float) or ahead != ahead else str(int(ahead))


def spans(evaluation: Evaluation) -> list[str]:
    """Columns that can span the map: with some, but not too many, values."""
    rows, found = evaluation.rows, []
    for name in SPANS:
        source = BANDS[name][0] if name in BANDS else name
        stated = source in rows.columns and rows[source].notna().any()
        if stated and (name in BANDS or rows[source].nunique() <= MOST_VALUES):
            found.append(name)
    return found


def first_choice(evaluation: Evaluation, name: str = "", against: str = "") -> Choice:
    """Locale by accent where accents are stated; else by what varies within a locale."""
    known = spans(evaluation)
    if not known:
        raise WorkbenchError(
            "no column to span the map", hint="The rows need target_lang, accent or duration."
        )
    row = "target_lang" if "target_lang" in known else known[0]
    others = [
        column for column in ("accent", "duration_band", "domain", "speaker", "split") if column in known
    ]
    column = next((column for column in others if column != row), row)
    return Choice(
        name or evaluation.names[-1], against, normalizer=evaluation.normalizer, row=row, column=column
    )


def heat_map(evaluation: Evaluation, choice: Choice) -> dict[str, Any]:
    """Cells with margins, findings on confounding, and the choice they belong to."""
    pair = (choice.row,) if choice.row == choice.column else (choice.row, choice.column)
    cells: dict[str, dict[str, Any]] = {}
    for by in dict.fromkeys([pair, (choice.row,), (choice.column,), ()]):
        for record in _table(evaluation, choice, by).to_dict("records"):
            row = _plain(record[choice.row]) if choice.row in by else ALL
            column = _plain(record[choice.column]) if choice.column in by else ALL
            if choice.row != choice.column or len(by) != 1 or row == column:
                cells[f"{_key(row)}\n{_key(column)}"] = _cell(record, choice, row, column)
    columns = [ALL] if choice.row == choice.column else [ALL, *_values(evaluation, choice.column)]
    findings = _findings(evaluation, choice)
    for cell in cells.values():
        bears = [f["sentence"] for f in findings if f["where"] in (cell["row"], "all locales")]
        cell["confounded"] = bears[:2] if cell["column"] not in (ALL, None) else []
    return {
        "choice": asdict(choice),
        "rows": [ALL, *_values(evaluation, choice.row)],
        "columns": columns,
        "names": {tag: LOCALES[tag].name for tag in _values(evaluation, choice.row) if tag in LOCALES},
        "cells": cells,
        "findings": [f["sentence"] for f in findings],
        "choices": {
            "names": [[name, prediction_label(evaluation, name)] for name in evaluation.names],
            "metrics": list(METRICS.items()),
            "normalizers": list(NORMALIZERS),
            "spans": spans(evaluation),
            "lookaheads": list(lookaheads(evaluation, choice.name)),
        },
        "lookahead": lookahead_of(evaluation, choice.name),
        "confidence": evaluation.settings.confidence,
    }


def prediction_label(evaluation: Evaluation, name: str) -> str:
    """``base · 560 ms · langID``: the facts that two predictions may differ in."""
    facts, ahead = evaluation.facts(name), lookahead_of(evaluation, name)
    parts = [name, "" if ahead == OFFLINE else f"{ahead} ms", facts.get("prompt_mode") or ""]
    return " · ".join(str(part) for part in parts if part)


def _table(evaluation: Evaluation, choice: Choice, by: tuple[str, ...]) -> pd.DataFrame:
    options: dict[str, Any] = {"metric": choice.metric, "normalizer": choice.normalizer}
    if choice.against:
        return evaluation.compare(choice.against, choice.name, by, **options)
    return evaluation.rates(choice.name, by, **options)


_WAYS = {readings.BETTER: "good", readings.WORSE: "bad"}


def _cell(record: Mapping[str, Any], choice: Choice, row: Any, column: Any) -> dict[str, Any]:
    cell: dict[str, Any] = {
        key: _number(record.get(key))
        for key in ("rate", "low", "high", "difference", "p_holm", "rate_a", "rate_b")
    }
    for key in ("utterances", "speakers", "reference_words", "reference_units", "errors", "better", "worse"):
        value = _number(record.get(key))
        cell[key] = None if value is None else int(value)
    cell["enough"] = str(record.get("enough", "yes"))
    cell["interval_kind"] = str(record.get("interval_kind", ""))
    cell["row"], cell["column"] = row, column
    # Direction only where the interval excludes zero, in color and in words.
    cell["way"] = _WAYS.get(readings.direction(record), "gray") if choice.against else "heat"
    cell["sentence"] = sentence(cell, choice)
    return cell


def sentence(cell: Mapping[str, Any], choice: Choice) -> str:
    """A cell as a screen reader should say it."""
    place = (
        ", ".join(dict.fromkeys(_said(value) for value in (cell["row"], cell["column"]) if value != ALL))
        or "everything"
    )
    size = f"{cell['utterances'] or 0} utterances, {cell['reference_words'] or 0} words"
    if choice.against:
        if cell["difference"] is None:
            return f"{place}: nothing to compare; {size}"
        way = {"good": "better", "bad": "worse"}.get(cell["way"], "")
        span = (
            f", between {_points(cell['low'])} and {_points(cell['high'])} points"
            if cell["low"] is not None
            else ""
        )
        if not way:
            few = cell["enough"] == "no" or cell["low"] is None
            said = "not enough data to compare" if few else "no clear difference between"
            shown = readings.points(cell["difference"])
            return f"{place}: {said} {choice.name} and {choice.against} ({shown}{span}); {size}"
        by = _points(abs(cell["difference"]))
        return f"{place}: {choice.name} is {by} points {way} than {choice.against}{span}; {size}"
    if cell["rate"] is None:
        return f"{place}: no reference words; {size}"
    span = f", between {_points(cell['low'])} and {_points(cell['high'])}" if cell["low"] is not None else ""
    trust = {"no": "; not enough data", "provisional": "; provisional"}.get(cell["enough"], "")
    return f"{place}: {METRICS[choice.metric]} {_points(cell['rate'])} percent{span}; {size}{trust}"


def _points(value: Any) -> str:
    return "unknown" if value is None else f"{100 * value:.1f}"


def _said(value: Any) -> str:
    return "not stated" if value is None else str(value)


def _findings(evaluation: Evaluation, choice: Choice) -> list[dict[str, Any]]:
    """Findings that bear on what spans the map: an effect of a column that another one may explain."""
    found = evaluation.confounded().to_dict("records")
    return [f for f in found if f["kind"] == "coincide" and {choice.row, choice.column} & set(f["columns"])]


def _values(evaluation: Evaluation, name: str) -> list[Any]:
    return [_plain(key[0]) for key in group(evaluation.rows, name).keys]


def _key(value: Any) -> str:
    return "" if value is None else str(value)


def _plain(value: Any) -> Any:
    return None if value is None or value != value else str(value)


def _number(value: Any) -> float | None:
    return None if value is None or value != value or abs(float(value)) == float("inf") else float(value)


def where_of(choice: Choice, row: str | None, column: str | None) -> dict[str, Any] | None:
    """The rows of a cell as evaluation methods take them; margins leave a column free."""
    where = {name: value for name, value in ((choice.row, row), (choice.column, column)) if value != ALL}
    return where or None
