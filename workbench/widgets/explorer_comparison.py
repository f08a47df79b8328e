"""Beside a cell of the explorer: the errors its utterances share. Each one is a filter of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError
from workbench.evaluation.alignment import INSERTION
from workbench.evaluation.errors import accuracy_by_frequency
from workbench.evaluation.events import error_events, hit_words
from workbench.evaluation.language import NONE
from workbench.evaluation.punctuation import CORRECT
from workbench.evaluation.quality_views import case_errors, mark_events
from workbench.evaluation.slices import BANDS as KNOWN
from workbench.evaluation.slices import mask
from workbench.widgets.explorer_data import Choice, where_of
from workbench.widgets.explorer_scatter import scatter

if TYPE_CHECKING:
    from workbench.evaluation import Evaluation

    Array = np.ndarray[Any, np.dtype[Any]]

SHOWN = 14
BANDS = {"duration": "duration_band", "snr": "snr_band"}
"""Charts by a measured number: what they are called here → the band of :mod:`workbench.evaluation.slices`."""


def quick(evaluation: Evaluation) -> Evaluation:
    """The same alignments without resampling, where no interval is shown."""
    return evaluation.with_settings(resamples=0)


def side_panel(evaluation: Evaluation, choice: Choice, row: str | None, column: str | None) -> dict[str, Any]:
    """Confused and lost words, errors by position, duration, SNR and frequency, languages, changes."""
    where = where_of(choice, row, column)
    shared: dict[str, Any] = {"where": where, "normalizer": choice.normalizer}
    scored = quick(evaluation)
    words = scored.words(choice.name, **shared)
    lost = words[words["occurrences"] > words["hits"]].head(SHOWN)
    out: dict[str, Any] = {
        "confusions": _records(scored.confusions(choice.name, limit=SHOWN, **shared)),
        "lost": _records(lost.assign(lost=lost["occurrences"] - lost["hits"])),
        "position": _records(scored.errors_by_position(choice.name, **shared)),
        "frequency": _records(accuracy_by_frequency(words)),
        "heard_as": _heard_as(evaluation, choice, where),
    }
    for name, band in BANDS.items():
        if _measured(evaluation, band):
            out[name] = _records(scored.rates(choice.name, (band,), metric=choice.metric, **shared))
    if choice.against:
        out["scatter"] = scatter(scored, choice.against, choice.name, where, choice.normalizer)
        changes = scored.changes(choice.against, choice.name, where, choice.metric, choice.normalizer)
        out["changes"] = {
            verdict: int((changes["verdict"] == verdict).sum()) for verdict in ("better", "worse")
        }
    return out


def marks(evaluation: Evaluation, choice: Choice, row: str | None, column: str | None) -> dict[str, Any]:
    """Punctuation marks and capitals; the first time, every text is aligned once more with its marks."""
    where, scored = where_of(choice, row, column), quick(evaluation)
    return {
        "marks": _records(scored.punctuation(choice.name, where).query("mark != 'all' and reference > 0")),
        "case": _records(scored.case(choice.name, (), where)),
    }


def ids_of(evaluation: Evaluation, choice: Choice, where: Any, chosen: Mapping[str, Any]) -> set[str]:
    """Ids of the cell's utterances that ``chosen`` means: a dict with ``kind`` (a name of :data:`FILTERS`,
    ``changed``, ``duration`` or ``snr``) and what belongs to it.

    Raises:
        WorkbenchError: a filter of another kind.
    """
    kind = str(chosen.get("kind"))
    if kind == "changed":
        if not choice.against:
            raise WorkbenchError("nothing to compare with", hint="Choose a second prediction first.")
        frame = evaluation.changes(choice.against, choice.name, where, choice.metric, choice.normalizer)
        return set(frame.loc[frame["verdict"] == chosen["verdict"], "id"])
    ids = evaluation.rows["id"].to_numpy()
    if kind in BANDS:
        return set(ids[_rows(evaluation, choice, {**(where or {}), BANDS[kind]: chosen["band"]})])
    if kind not in FILTERS:
        raise WorkbenchError(f"unknown filter {kind[:40]!r}")
    return set(ids[FILTERS[kind](evaluation, choice, _rows(evaluation, choice, where), chosen)])


def _rows(evaluation: Evaluation, choice: Choice, where: Any) -> Array:
    return np.flatnonzero(mask(evaluation.rows, where) & evaluation.scored.prediction(choice.name).present)


def _by_word(evaluation: Evaluation, choice: Choice, rows: Array, chosen: Mapping[str, Any]) -> Array:
    """Rows with one word mistaken for another (``confusion``), lost in any way (``word``), or an error in
    one part of the utterance (``position``)."""
    scored = evaluation.scored
    events = error_events(scored, choice.name, choice.normalizer, rows)
    number = {word: place for place, word in enumerate(events.vocabulary)}
    if chosen["kind"] == "confusion":
        hit = (events.said == number.get(chosen["reference"], -2)) & (
            events.heard == number.get(chosen["hypothesis"], -2)
        )
    elif chosen["kind"] == "word":
        hit = (events.said == number.get(chosen["word"], -2)) & (events.operation != INSERTION)
    else:
        lengths = scored.store.words(choice.normalizer).lengths[scored.reference_codes]
        part = np.floor(events.position / np.maximum(lengths[events.row], 1) * int(chosen["bins"]))
        hit = np.minimum(part, int(chosen["bins"]) - 1) == int(chosen["part"])
    return np.unique(events.row[hit])


def _by_said(evaluation: Evaluation, choice: Choice, rows: Array, chosen: Mapping[str, Any]) -> Array:
    """Rows whose reference holds one of ``words``."""
    numbers, _, offsets = hit_words(evaluation.scored, choice.name, choice.normalizer, rows)
    wanted = {str(word) for word in chosen.get("words") or ()}
    vocabulary = evaluation.scored.store.words(choice.normalizer).vocabulary
    held = np.isin(numbers, [place for place, word in enumerate(vocabulary) if word in wanted])
    return np.unique(np.repeat(rows, np.diff(offsets))[held])


def _by_frequency(evaluation: Evaluation, choice: Choice, rows: Array, chosen: Mapping[str, Any]) -> Array:
    """Rows that lost a word that occurs ``at_least`` times in these rows, but not twice as often."""
    numbers, hit, offsets = hit_words(evaluation.scored, choice.name, choice.normalizer, rows)
    occurs = np.bincount(numbers)[numbers] if len(numbers) else numbers
    low = int(chosen["at_least"])
    wanted = ~hit & (occurs >= low) & (occurs < 2 * low)
    return np.unique(np.repeat(rows, np.diff(offsets))[wanted])


def _by_language(evaluation: Evaluation, choice: Choice, rows: Array, chosen: Mapping[str, Any]) -> Array:
    """Rows of one locale (``said``) that were taken for another (``heard``; ``none``: no tag came out)."""
    said = evaluation.rows["target_lang"].astype(object)
    heard = evaluation.scored.prediction(choice.name).column("detected_lang").fillna(NONE)
    wanted: Array = ((said == chosen["said"]) & (heard == chosen["heard"])).to_numpy(dtype=bool)
    return rows[wanted[rows]]


def _by_mark(evaluation: Evaluation, choice: Choice, rows: Array, chosen: Mapping[str, Any]) -> Array:
    """Rows in which a mark is missing, added or another one."""
    events = mark_events(evaluation, choice.name)
    place = events.marks.index(chosen["mark"]) if chosen["mark"] in events.marks else -2
    wrong = (events.kind != CORRECT) & ((events.said == place) | (events.heard == place))
    return np.intersect1d(np.unique(events.row[wrong]), rows)


def _by_case(evaluation: Evaluation, choice: Choice, rows: Array, _: Mapping[str, Any]) -> Array:
    """Rows in which a word that is right came in other capitals."""
    wrong, _there = case_errors(evaluation, choice.name)
    found: Array = rows[wrong[rows] > 0]
    return found


FILTERS: Mapping[str, Callable[[Any, Choice, Any, Mapping[str, Any]], Any]] = {
    "confusion": _by_word,
    "word": _by_word,
    "said": _by_said,
    "position": _by_word,
    "frequency": _by_frequency,
    "language": _by_language,
    "mark": _by_mark,
    "case": _by_case,
}


def _measured(evaluation: Evaluation, band: str) -> bool:
    column = KNOWN[band][0]
    return column in evaluation.rows.columns and bool(evaluation.rows[column].notna().any())


def _heard_as(evaluation: Evaluation, choice: Choice, where: Any) -> list[dict[str, Any]]:
    """Languages that were detected in place of the one spoken, most frequent first."""
    rows, prediction = evaluation.rows, evaluation.scored.prediction(choice.name)
    if "target_lang" not in rows.columns or "detected_lang" not in prediction.source.columns:
        return []
    chosen = _rows(evaluation, choice, where)
    heard = prediction.column("detected_lang").fillna(NONE).iloc[chosen].reset_index(drop=True)
    said = rows["target_lang"].astype(object).iloc[chosen].reset_index(drop=True)
    wrong = said.notna() & (said != "auto") & (said != heard)
    counts = pd.DataFrame({"said": said[wrong], "heard": heard[wrong]}).value_counts().head(8)
    return [{"said": a, "heard": b, "count": int(n)} for (a, b), n in counts.items()]


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = frame.to_dict("records")
    return records
