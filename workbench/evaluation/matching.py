"""Matching predictions to utterances by id: what cannot be scored is listed, never dropped in silence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from workbench.errors import Problem, WorkbenchError
from workbench.evaluation.malloc_trim import give_back
from workbench.evaluation.scored import FACTS, Prediction, ScoredCorpus
from workbench.evaluation.units import number_texts
from workbench.foldings import MARKUP, Substitution
from workbench.ingest import not_speech
from workbench.language_tags import strip_tag

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

UNSPACED = r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]{3}"
"""Three letters in a row of kana, Han, Thai, Lao, Burmese or Khmer."""
_SHOWN = 5  # ids named in a problem before "and n more"


def put_together(
    rows: pd.DataFrame,
    predictions: Mapping[str, pd.DataFrame | str | Path],
    progress: Callable[[int, int], None] | None = None,
    substitutions: tuple[Substitution, ...] = (),
) -> ScoredCorpus:
    """Match predictions to rows by ``id`` and number the distinct texts.

    Raises:
        WorkbenchError: a column is missing, no row has a reference, or a prediction shares no id with them.
    """
    problems: list[Problem] = []
    rows = _usable_rows(rows, problems)
    index = pd.Index(rows["id"])
    # The column itself may come to share the texts that are compared, which hold no tags.
    columns, found, tagged = [_texts(rows["text"])], [], rows["text"].array
    shared = [True]
    for done, (name, source) in enumerate(predictions.items()):
        frame, positions = _matched(name, _frame(name, source), index, problems)
        texts = _texts(frame["hypothesis"])
        in_order = len(texts) == len(positions) and (positions == np.arange(len(positions))).all()
        columns.append(texts if in_order else texts.take(_nullable(positions)))
        found.append((name, frame, positions.astype(np.int32)))
        shared.append(bool(in_order))
        if progress:
            progress(done + 1, len(predictions))
    languages = _languages(rows)
    _ask_for_locale(rows, languages, problems)
    store, codes = number_texts(columns, languages)
    store.substitutions = substitutions
    frames = [(rows, "text"), *((frame, "hypothesis") for _, frame, _ in found)]
    if len(store) == len(rows) * len(frames):
        for place, (frame, column) in enumerate(frames):
            _share(frame, column, store.texts[place * len(rows) : (place + 1) * len(rows)], shared[place])
    del columns
    give_back(len(rows))
    scored = {
        name: Prediction(name, codes[place + 1], frame, positions, _facts(frame))
        for place, (name, frame, positions) in enumerate(found)
    }
    return ScoredCorpus(rows, np.asarray(languages), store, codes[0], scored, problems, tagged)


def _usable_rows(rows: pd.DataFrame, problems: list[Problem]) -> pd.DataFrame:
    for column in ("id", "text"):
        if column not in rows.columns:
            raise WorkbenchError(f"the utterances have no column {column!r}", hint="Give Corpus.frame().")
    null = rows["text"].isna()
    if null.any():
        # Of clips that are declared to hold no speech, nothing said is the reference.
        columns = {name: rows[name][null] for name in ("tags", not_speech.COLUMN) if name in rows.columns}
        silent = np.fromiter(not_speech.declared(columns, int(null.sum())), bool, int(null.sum()))
        rows = rows.assign(text=rows["text"].where(~null | ~_spread(null, silent), ""))
        null = rows["text"].isna()
    translated = _translated(rows)
    if translated.any():
        hint = "Left out of every figure: recognition is scored in the language that is spoken."
        problems.append(_problem("utterances", "a translation", rows["id"][translated], hint))
        rows, null = rows[~translated], null[~translated]
    if len(rows) == 0:
        raise WorkbenchError("no utterance is left", hint="Check the filter: it leaves out every row.")
    if null.any():
        problems.append(
            _problem("utterances", "no reference text", rows["id"][null], "Left out of every figure.")
        )
        rows = rows[~null]
    twice = rows["id"].duplicated()
    if twice.any():
        hint = "The first of each is scored; give every utterance an id of its own."
        problems.append(_problem("utterances", "id occurs more than once", rows["id"][twice], hint))
        rows = rows[~twice]
    if len(rows) == 0:
        raise WorkbenchError(
            "no utterance has a reference text",
            hint="Transcribe or accept some first: the column text is empty.",
        )
    rows = rows.reset_index(drop=True)
    _list_markup("utterances", "reference", rows["text"], rows["id"], problems)
    return rows


def _spread(mask: pd.Series, values: Array) -> Array:
    """Values of the rows of a mask as values of all rows; False elsewhere."""
    found: Array = mask.to_numpy(bool).copy()
    found[found] = values
    return found


def _translated(rows: pd.DataFrame) -> Array:
    """Which rows are translations; each pair of languages is looked at once."""
    stated = ["lang", "target_lang"]
    if not set(stated) <= set(rows.columns):
        return np.zeros(len(rows), bool)
    pairs = rows[stated].drop_duplicates()
    found = [pair for pair in pairs.itertuples(index=False) if not_speech.translation(*pair)]
    mask = np.zeros(len(rows), bool)
    for lang, target in found:
        mask |= ((rows["lang"] == lang) & (rows["target_lang"] == target)).to_numpy(bool)
    return mask


def _frame(name: str, source: pd.DataFrame | str | Path) -> pd.DataFrame:
    frame = pd.read_parquet(source) if isinstance(source, str | Path) else source
    for column in ("id", "hypothesis"):
        if column not in frame.columns:
            raise WorkbenchError(
                f"no column {column!r}", where=f"predictions {name!r}", hint="See Predictions in the docs."
            )
    return frame


def _matched(
    name: str, frame: pd.DataFrame, index: pd.Index[Any], problems: list[Problem]
) -> tuple[pd.DataFrame, Array]:
    where = f"predictions {name!r}"
    empty = frame["hypothesis"].isna()
    if empty.any():
        problems.append(
            _problem(where, "null hypothesis", frame["id"][empty], "Counted as missing, not as empty.")
        )
        frame = frame[~empty]
    twice = frame["id"].duplicated()
    if twice.any():
        problems.append(
            _problem(where, "id predicted more than once", frame["id"][twice], "The first is scored.")
        )
        frame = frame[~twice]
    frame = frame.reset_index(drop=True)
    positions = pd.Index(frame["id"]).get_indexer(index)
    missing = positions < 0
    if missing.all():
        raise WorkbenchError(
            "no id in common with the utterances", where=where, hint="Transcribe this corpus first."
        )
    if missing.any():
        hint = "They are left out of its figures, and of comparisons with it; transcribe them."
        problems.append(_problem(where, "utterances without a prediction", index[missing], hint))
    _list_markup(where, "hypothesis", frame["hypothesis"], frame["id"], problems)
    unknown = ~frame["id"].isin(index)
    if unknown.any():
        problems.append(_problem(where, "predictions for unknown ids", frame["id"][unknown], "Left out."))
    return frame, positions


def _list_markup(file: str, side: str, texts: pd.Series[Any], ids: Any, problems: list[Problem]) -> None:
    """Name texts that hold tags or noise marks, and which marks."""
    suspects = texts.str.contains(r"[<\[(]", regex=True).fillna(False)
    found = texts[suspects].map(lambda text: MARKUP.findall(text))
    found = found[found.map(len) > 0]
    if len(found):
        marks = ", ".join(sorted({mark for marks in found for mark in marks})[:6])
        hint = f"Marks such as {marks} are scored as words; normalizer='basic+markup' leaves them out."
        problems.append(_problem(file, f"markup in the {side}", ids[found.index], hint))


def _ask_for_locale(rows: pd.DataFrame, languages: Any, problems: list[Problem]) -> None:
    """Ask about texts without spaces between words whose locale is unknown: they would count as single
    words."""
    unknown = np.flatnonzero(np.asarray(languages) == "")
    texts = rows["text"].iloc[unknown]
    odd = texts[texts.str.contains(UNSPACED, regex=True).fillna(False)]
    if len(odd):
        hint = "They are scored as words; set target_lang (ja-JP, th-TH …) to count characters."
        what = "locale unknown or auto, text in a script without spaces"
        problems.append(_problem("utterances", what, rows["id"].loc[odd.index], hint))


def _problem(file: str, what: str, ids: Any, hint: str) -> Problem:
    shown = ", ".join(str(i)[:40] for i in list(ids[:_SHOWN]))
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return Problem(file, f"{what} ({len(ids)}): {shown}{more}", hint, field="id")


def _texts(column: pd.Series[Any]) -> Any:
    """A text column as a chunked pyarrow array, language tags off."""
    array = pa.array(column, pa.large_string(), from_pandas=True)
    chunked = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array], pa.large_string())
    tagged = pc.match_substring_regex(chunked, r"<\|?[A-Za-z]{2,}[^<>]*>").fill_null(False)
    if pc.any(tagged).as_py():
        texts = [None if t is None else strip_tag(t)[0] for t in chunked.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.large_string())])
    return chunked


def _share(frame: pd.DataFrame, column: str, texts: Any, same: bool) -> None:
    """Let a column read the numbered texts, so that they are held once; ``frame`` is a copy of ours."""
    kind = frame[column].dtype
    if same and isinstance(kind, pd.StringDtype) and kind.storage == "pyarrow":
        frame[column] = pd.Series(kind.__from_arrow__(texts), index=frame.index)


def _nullable(positions: Array) -> Any:
    return pa.array(positions, pa.int64(), mask=positions < 0)


def _languages(rows: pd.DataFrame) -> Any:
    """Language code of each row from ``target_lang``, else ``lang``; empty where neither tells."""
    codes = np.full(len(rows), -1, np.int64)
    known: list[str] = []
    for column in ("target_lang", "lang"):
        if column in rows.columns:
            numbers, names = pd.factorize(rows[column])
            place = np.array([-1 if tag == "auto" else len(known) + n for n, tag in enumerate(names)] + [-1])
            codes = np.where(codes < 0, place[numbers], codes)
            known += [str(tag) for tag in names]
    short = np.array([*(tag.split("-")[0].lower() for tag in known), ""], dtype=object)
    return short[codes]


def _facts(frame: pd.DataFrame) -> dict[str, Any]:
    """The run facts that hold for every row of the predictions."""
    facts = {}
    for column in FACTS:
        if column in frame.columns:
            values = frame[column].drop_duplicates()
            known = [value.item() if hasattr(value, "item") else value for value in values[values.notna()]]
            facts[column] = "mixed" if len(values) > 1 else known[0] if known else None
    return facts
