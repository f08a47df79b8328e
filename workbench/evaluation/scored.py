"""References and predictions put side by side, row by row, with the counts of every utterance.

Rows that cannot be scored are listed as problems; nothing is dropped in silence and no missing prediction is
read as an empty one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench import text as txt
from workbench.errors import Problem, WorkbenchError
from workbench.evaluation.alignment import SUBSTITUTION, Edits, align
from workbench.evaluation.units import TextStore, number_texts

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

Metric = Literal["wer", "cer"]
COUNTED = ("hits", "substitutions", "insertions", "deletions")
FACTS = ("checkpoint_sha256", "lookahead_ms", "prompt_mode", "streaming")
_MARKUP = re.compile(r"<(?![a-z]{2,3}-[A-Z]{2}>|auto>)[^<>\s\d][^<>]{0,60}>|\[[A-Za-z _-]{2,30}\]")
_SHOWN = 20  # ids named in a problem before "and n more"


@dataclass(frozen=True)
class PairedEdits:
    """Alignments of distinct pairs, and which pair each utterance is (-1: no prediction)."""

    edits: Edits
    pair: Array

    def spread(self, per_pair: Array) -> Array:
        """A value of each pair as a value of each utterance; 0 where there is no prediction."""
        import numpy as np

        if len(per_pair) == 0:
            return np.zeros(len(self.pair), np.int32)
        result: Array = np.where(self.pair >= 0, per_pair[self.pair], 0)
        return result


@dataclass
class Prediction:
    """One set of hypotheses in the order of the rows."""

    name: str
    codes: Array  # number of the hypothesis text; -1: no prediction
    source: pd.DataFrame
    positions: Array  # row in ``source``; -1: no prediction
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def present(self) -> Array:
        present: Array = self.codes >= 0
        return present

    def column(self, name: str) -> pd.Series[Any]:
        """A column of the predictions in the order of the rows; null where missing."""
        import pandas as pd

        if name not in self.source.columns:
            return pd.Series([None] * len(self.codes), dtype=object)
        taken = self.source[name].astype(object).take(self.positions.clip(0)).reset_index(drop=True)
        return taken.where(self.present & taken.notna().to_numpy(), None)

    def word_list(self, row: int) -> list[dict[str, Any]]:
        """Words with times of one utterance; empty where the recogniser gave none."""
        if "words" not in self.source.columns or self.positions[row] < 0:
            return []
        words = self.source["words"].iloc[int(self.positions[row])]
        return [dict(w) for w in words] if words is not None and hasattr(words, "__len__") else []


@dataclass
class ScoredCorpus:
    """``rows``: utterances with a reference, one each; ``languages``: a language code each."""

    rows: pd.DataFrame
    languages: Array
    store: TextStore
    reference_codes: Array
    predictions: dict[str, Prediction]
    problems: list[Problem]
    kept: dict[Any, Any] = field(default_factory=dict)
    """Results of the other views, kept for the next question."""
    _edits: dict[tuple[str, str, Metric], PairedEdits] = field(default_factory=dict)
    _counts: dict[tuple[str, str, Metric], dict[str, Array]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def scored_by_characters(self) -> Array:
        """Where the headline figure is the character error rate."""
        import numpy as np

        return np.isin(self.languages, sorted(txt.CHARACTER_LANGUAGES))

    @cached_property
    def speakers(self) -> Array:
        """Number of each row's speaker, -1 where unknown."""
        import numpy as np
        import pandas as pd

        if "speaker" not in self.rows.columns:
            return np.full(len(self), -1)
        numbers: Array = pd.factorize(self.rows["speaker"])[0]
        return numbers

    def prediction(self, name: str) -> Prediction:
        try:
            return self.predictions[name]
        except KeyError:
            known = ", ".join(self.predictions) or "none"
            raise WorkbenchError(f"no predictions named {name!r}", mend=f"There are: {known}.") from None

    def word_edits(self, name: str, normaliser: str) -> PairedEdits:
        """Word alignments of a prediction."""
        return self._paired(name, normaliser, "wer")

    def counts(self, name: str, metric: Metric, normaliser: str) -> dict[str, Array]:
        """Hits, substitutions, insertions, deletions of each utterance; 0 where there is no prediction."""
        key = (name, normaliser, metric)
        if key not in self._counts:
            paired = self._paired(name, normaliser, metric)
            per_pair = paired.edits.per_pair()
            self._counts[key] = {kind: paired.spread(per_pair[kind]) for kind in COUNTED}
            if metric == "cer":
                del self._edits[key]  # the positions of character edits are of no use and many
        return self._counts[key]

    def totals(self, name: str, metric: Metric, normaliser: str) -> tuple[Array, Array]:
        """Errors and reference units of each utterance."""
        c = self.counts(name, metric, normaliser)
        return (
            c["substitutions"] + c["insertions"] + c["deletions"],
            c["hits"] + c["substitutions"] + c["deletions"],
        )

    def spelling_only(self, name: str, normaliser: str) -> Array:
        """Substitutions of each utterance that vanish when encoding and habit (’, ё) are folded."""
        import numpy as np

        paired = self.word_edits(name, normaliser)
        edits, table = paired.edits, self.store.words(normaliser)
        reference, hypothesis = self.pair_codes(name, normaliser)
        owner = np.repeat(np.arange(len(reference)), np.diff(edits.offsets))
        at = np.flatnonzero(edits.operation == SUBSTITUTION)
        said = table.numbers[table.offsets[reference[owner[at]]] + edits.reference_position[at]]
        heard = table.numbers[table.offsets[hypothesis[owner[at]]] + edits.hypothesis_position[at]]
        same = table.folded[said] == table.folded[heard]
        return paired.spread(np.bincount(owner[at][same], minlength=len(reference)).astype(np.int32))

    def pair_codes(self, name: str, normaliser: str) -> tuple[Array, Array]:
        """Numbers of the reference and hypothesis text of each distinct pair of :meth:`word_edits`."""
        import numpy as np

        paired = self.word_edits(name, normaliser)
        reference = np.zeros(len(paired.edits.reference_units), np.int64)
        hypothesis = np.zeros_like(reference)
        there = paired.pair >= 0
        reference[paired.pair[there]] = self.reference_codes[there]
        hypothesis[paired.pair[there]] = self.prediction(name).codes[there]
        return reference, hypothesis

    def _paired(self, name: str, normaliser: str, metric: Metric) -> PairedEdits:
        import numpy as np

        key = (name, normaliser, metric)
        if key not in self._edits:
            codes = self.prediction(name).codes
            there = np.flatnonzero(codes >= 0)
            joint = self.reference_codes[there].astype(np.int64) * len(self.store) + codes[there]
            distinct, inverse = np.unique(joint, return_inverse=True)
            pair = np.full(len(self), -1, np.int32)
            pair[there] = inverse
            left, right = distinct // max(len(self.store), 1), distinct % max(len(self.store), 1)
            self._edits[key] = PairedEdits(self._align(left, right, normaliser, metric), pair)
        return self._edits[key]

    def _align(self, left: Array, right: Array, normaliser: str, metric: Metric) -> Edits:
        if metric == "cer":
            return align(self.store.characters(normaliser, left), self.store.characters(normaliser, right))
        table = self.store.words(normaliser)
        return align(table.sequences(left), table.sequences(right))


def put_together(
    rows: pd.DataFrame,
    predictions: Mapping[str, pd.DataFrame | str | Path],
    progress: Callable[[int, int], None] | None = None,
) -> ScoredCorpus:
    """Match predictions to rows by ``id`` and number the distinct texts.

    Raises:
        WorkbenchError: a column is missing, no row has a reference, or a prediction shares no id with them.
    """
    import numpy as np
    import pandas as pd

    problems: list[Problem] = []
    rows = _usable_rows(rows, problems)
    index = pd.Index(rows["id"])
    columns, found = [_texts(rows["text"])], []
    for done, (name, source) in enumerate(predictions.items()):
        frame, positions = _matched(name, _frame(name, source), index, problems)
        texts = _texts(frame["hypothesis"])
        columns.append(texts.take(_nullable(positions)))
        found.append((name, frame, positions))
        if progress:
            progress(done + 1, len(predictions))
    languages = _languages(rows)
    store, codes = number_texts(columns, languages)
    scored = {
        name: Prediction(name, codes[place + 1], frame, positions, _facts(frame))
        for place, (name, frame, positions) in enumerate(found)
    }
    return ScoredCorpus(rows, np.asarray(languages), store, codes[0], scored, problems)


def _usable_rows(rows: pd.DataFrame, problems: list[Problem]) -> pd.DataFrame:
    for column in ("id", "text"):
        if column not in rows.columns:
            raise WorkbenchError(f"the utterances have no column {column!r}", mend="Give Corpus.frame().")
    null = rows["text"].isna()
    if null.any():
        problems.append(
            _problem("utterances", "no reference text", rows["id"][null], "Left out of every figure.")
        )
        rows = rows[~null]
    twice = rows["id"].duplicated()
    if twice.any():
        mend = "The first of each is scored; give every utterance an id of its own."
        problems.append(_problem("utterances", "id occurs more than once", rows["id"][twice], mend))
        rows = rows[~twice]
    if len(rows) == 0:
        raise WorkbenchError(
            "no utterance has a reference text", mend="Check the filter and the column text."
        )
    rows = rows.reset_index(drop=True)
    found = rows["text"].str.contains(_MARKUP, regex=True)
    if found.any():
        mend = "It is scored as it stands: take tags and noise marks out of the references first."
        problems.append(_problem("utterances", "markup in the reference", rows["id"][found], mend))
    return rows


def _frame(name: str, source: pd.DataFrame | str | Path) -> pd.DataFrame:
    import pandas as pd

    frame = pd.read_parquet(source) if isinstance(source, str | Path) else source
    for column in ("id", "hypothesis"):
        if column not in frame.columns:
            raise WorkbenchError(
                f"no column {column!r}", where=f"predictions {name!r}", mend="See Predictions in the docs."
            )
    return frame


def _matched(
    name: str, frame: pd.DataFrame, index: pd.Index[Any], problems: list[Problem]
) -> tuple[pd.DataFrame, Array]:
    import pandas as pd

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
            "no id in common with the utterances", where=where, mend="Transcribe this corpus first."
        )
    if missing.any():
        mend = "They are left out of its figures, and of comparisons with it; transcribe them."
        problems.append(_problem(where, "utterances without a prediction", index[missing], mend))
    unknown = ~frame["id"].isin(index)
    if unknown.any():
        problems.append(_problem(where, "predictions for unknown ids", frame["id"][unknown], "Left out."))
    return frame, positions


def _problem(file: str, what: str, ids: Any, mend: str) -> Problem:
    shown = ", ".join(str(i)[:40] for i in list(ids[:_SHOWN]))
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return Problem(file, f"{what} ({len(ids)}): {shown}{more}", mend, field="id")


def _texts(column: pd.Series[Any]) -> Any:
    """A text column as one pyarrow array, language tags off."""
    import pyarrow as pa
    import pyarrow.compute as pc

    array = pa.array(column, pa.large_string(), from_pandas=True)
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    tagged = pc.match_substring_regex(array, r"<([a-z]{2,3}-[A-Z]{2}|auto)>").fill_null(False)
    if pc.any(tagged).as_py():
        return pa.array(
            [None if t is None else txt.strip_tag(t)[0] for t in array.to_pylist()], pa.large_string()
        )
    return array


def _nullable(positions: Array) -> Any:
    import pyarrow as pa

    return pa.array(positions, pa.int64(), mask=positions < 0)


def _languages(rows: pd.DataFrame) -> Any:
    """Language code of each row from ``target_lang``, else ``lang``; empty where neither tells."""
    import numpy as np
    import pandas as pd

    tags = pd.Series([None] * len(rows), dtype=object, index=rows.index)
    for column in ("target_lang", "lang"):
        if column in rows.columns:
            known = rows[column].astype(object).where(rows[column].notna() & (rows[column] != "auto"), None)
            tags = tags.where(tags.notna(), known)
    numbers, names = pd.factorize(tags)
    short = np.array([*(str(tag).split("-")[0].lower() for tag in names), ""], dtype=object)
    return short[numbers]


def _facts(frame: pd.DataFrame) -> dict[str, Any]:
    """The run facts that hold for every row of the predictions."""
    facts = {}
    for column in FACTS:
        if column in frame.columns:
            values = frame[column].astype(object).unique().tolist()
            known = None if len(values) != 1 or values[0] is None or values[0] != values[0] else values[0]
            facts[column] = "mixed" if len(values) > 1 else known
    return facts
