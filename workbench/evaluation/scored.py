"""References and predictions put side by side, row by row, with the counts of every utterance.

Rows that cannot be scored are listed as problems; nothing is dropped in silence and no missing prediction is
read as an empty one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from workbench import text as txt
from workbench.errors import Problem, WorkbenchError
from workbench.evaluation.alignment import SUBSTITUTION, Edits, align
from workbench.evaluation.units import CHUNK, TextStore

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

Metric = Literal["wer", "cer"]
COUNTED = ("hits", "substitutions", "insertions", "deletions")
FACTS = ("checkpoint_sha256", "lookahead_ms", "prompt_mode", "streaming")


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
        if metric == "cer" and (name, normaliser, metric) not in self._counts:
            return self._character_totals(name, normaliser)
        c = self.counts(name, metric, normaliser)
        return (
            c["substitutions"] + c["insertions"] + c["deletions"],
            c["hits"] + c["substitutions"] + c["deletions"],
        )

    def _character_totals(self, name: str, normaliser: str) -> tuple[Array, Array]:
        """Character errors without their kinds: a distance is several times cheaper than an alignment."""
        import numpy as np
        from rapidfuzz.distance.Levenshtein import distance
        from rapidfuzz.process import cpdist

        key = ("character totals", name, normaliser)
        if key not in self.kept:
            codes = self.prediction(name).codes
            errors, units = np.zeros(len(self), np.int32), np.zeros(len(self), np.int32)
            rows = np.flatnonzero(codes >= 0)
            for start in range(0, len(rows), CHUNK):
                part = rows[start : start + CHUNK]
                said = self.store.characters(normaliser, self.reference_codes[part])
                heard = self.store.characters(normaliser, codes[part])
                errors[part] = cpdist(said, heard, scorer=distance, dtype=np.int32)
                units[part] = np.fromiter(map(len, said), np.int32, len(said))
            self.kept[key] = errors, units
        found: tuple[Array, Array] = self.kept[key]
        return found

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
