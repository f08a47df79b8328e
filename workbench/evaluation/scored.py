"""References and predictions put side by side, row by row, with the counts of every utterance.

Rows that cannot be scored are listed as problems; nothing is dropped in silence and no missing prediction is
read as an empty one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from workbench.errors import Problem, WorkbenchError
from workbench.evaluation.alignment import COUNTED, SUBSTITUTION, Edits, align_sides
from workbench.evaluation.characters import character_counts
from workbench.evaluation.malloc_trim import give_back
from workbench.evaluation.units import TextStore
from workbench.locales import CHARACTER_LANGUAGES

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

Metric = Literal["wer", "cer"]
Headline = Literal["wer", "cer", "headline"]
"""``headline``: characters in languages scored by them, words in the others."""
FACTS = (
    "checkpoint_sha256", "lookahead_ms", "prompt_mode", "streaming", "runtime", "precision", "suite_sha256",
)  # fmt: skip


@dataclass(frozen=True)
class PairedEdits:
    """Alignments of distinct pairs, and which pair each utterance is (-1: no prediction)."""

    edits: Edits
    pair: Array

    def spread(self, per_pair: Array) -> Array:
        """A value of each pair as a value of each utterance; 0 where there is no prediction."""
        return spread(self.pair, per_pair)


def spread(pair: Array, per_pair: Array) -> Array:
    """A value of each distinct pair as a value of each utterance; 0 where ``pair`` is -1."""
    if len(per_pair) == 0:
        return np.zeros(len(pair), np.int32)
    result: Array = np.where(pair >= 0, per_pair[pair], 0)
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
        if name not in self.source.columns:
            return pd.Series([None] * len(self.codes), dtype=object)
        taken = self.source[name].astype(object).take(self.positions.clip(0)).reset_index(drop=True)
        return taken.where(self.present & taken.notna().to_numpy(), None)

    def word_list(self, row: int) -> list[dict[str, Any]]:
        """Words with times of one utterance; empty where the recognizer gave none."""
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
    tagged: Sequence[str] = ()
    """References with the language tags that are written in them, one a row."""
    kept: dict[Any, Any] = field(default_factory=dict)
    """Results of the other views, kept for the next question."""
    _pairs: dict[str, tuple[Array, Array, Array]] = field(default_factory=dict)
    _edits: dict[tuple[str, str], PairedEdits] = field(default_factory=dict)
    _counts: dict[tuple[str, str, Metric], dict[str, Array]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def scored_by_characters(self) -> Array:
        """Where the headline figure is the character error rate."""
        return np.isin(self.languages, sorted(CHARACTER_LANGUAGES))

    @cached_property
    def speakers(self) -> Array:
        """Number of each row's speaker, -1 where unknown."""
        if "speaker" not in self.rows.columns:
            return np.full(len(self), -1)
        numbers: Array = pd.factorize(self.rows["speaker"])[0].astype(np.int32)
        return numbers

    @cached_property
    def positions(self) -> dict[Any, int]:
        """Row number of each id."""
        return {id: place for place, id in enumerate(self.rows["id"].tolist())}

    def prediction(self, name: str) -> Prediction:
        try:
            return self.predictions[name]
        except KeyError:
            known = ", ".join(self.predictions) or "none"
            raise WorkbenchError(f"no predictions named {name!r}", hint=f"There are: {known}.") from None

    def word_edits(self, name: str, normalizer: str) -> PairedEdits:
        """Word alignments of a prediction."""
        key = (name, normalizer)
        if key not in self._edits:
            left, right, pair = self._distinct_pairs(name)
            table = self.store.words(normalizer)
            edits = align_sides(table.side(left), table.side(right), len(table.vocabulary))
            self._edits[key] = PairedEdits(edits, pair)
            give_back(len(self))
        return self._edits[key]

    def counts(self, name: str, metric: Metric, normalizer: str) -> dict[str, Array]:
        """Hits, substitutions, insertions, deletions of each utterance; 0 where there is no prediction."""
        key = (name, normalizer, metric)
        if key not in self._counts:
            if metric == "wer":
                per_pair = self.word_edits(name, normalizer).edits.per_pair()
            else:
                per_pair = character_counts(self.store, normalizer, *self.pair_codes(name))
            pair = self._distinct_pairs(name)[2]
            self._counts[key] = {kind: spread(pair, per_pair[kind]) for kind in COUNTED}
            give_back(len(self))
        return self._counts[key]

    def keep_edits(self, key: tuple[str, str], edits: PairedEdits) -> None:
        """Take over what :meth:`word_edits` of (name, normalizer) would make, made elsewhere."""
        self._edits[key] = edits

    def keep_counts(self, key: tuple[str, str, Metric], counts: dict[str, Array]) -> None:
        """Take over what :meth:`counts` of (name, normalizer, metric) would make, made elsewhere."""
        self._counts[key] = counts

    def totals(self, name: str, metric: Metric, normalizer: str) -> tuple[Array, Array]:
        """Errors and reference units of each utterance."""
        return _totals(self.counts(name, metric, normalizer))

    def by_characters(self, metric: Headline) -> Array:
        """Which rows a metric counts by characters.

        Raises:
            WorkbenchError: no such metric.
        """
        if metric == "headline":
            return self.scored_by_characters
        if metric not in ("wer", "cer"):
            raise WorkbenchError(f"unknown metric {metric!r}", hint="Use wer, cer or headline.")
        return np.full(len(self), metric == "cer")

    def own_counts(self, name: str, metric: Headline, normalizer: str) -> dict[str, Array]:
        """:meth:`counts` of each utterance in its own unit; never to be added over words and characters."""
        by = self.by_characters(metric)
        if by.all() or not by.any():
            return self.counts(name, "cer" if by.any() else "wer", normalizer)
        words, characters = (self.counts(name, unit, normalizer) for unit in ("wer", "cer"))
        return {kind: np.where(by, characters[kind], words[kind]) for kind in words}

    def own_totals(self, name: str, metric: Headline, normalizer: str) -> tuple[Array, Array]:
        """:meth:`totals` of each utterance in its own unit."""
        return _totals(self.own_counts(name, metric, normalizer))

    def spelling_only(self, name: str, normalizer: str) -> Array:
        """Substitutions of each utterance that vanish when encoding and habit (’, ё) are folded."""
        paired = self.word_edits(name, normalizer)
        edits, table = paired.edits, self.store.words(normalizer)
        reference, hypothesis = self.pair_codes(name)
        owner = np.repeat(np.arange(len(reference)), np.diff(edits.offsets))
        at = np.flatnonzero(edits.operation == SUBSTITUTION)
        said = table.numbers[table.offsets[reference[owner[at]]] + edits.reference_position[at]]
        heard = table.numbers[table.offsets[hypothesis[owner[at]]] + edits.hypothesis_position[at]]
        same = table.folded[said] == table.folded[heard]
        return paired.spread(np.bincount(owner[at][same], minlength=len(reference)).astype(np.int32))

    def pair_codes(self, name: str) -> tuple[Array, Array]:
        """Numbers of the reference and hypothesis text of each distinct pair of :meth:`word_edits`."""
        return self._distinct_pairs(name)[:2]

    def pairs_of_rows(self, name: str) -> Array:
        """The distinct pair that each utterance is; -1 where there is no prediction."""
        return self._distinct_pairs(name)[2]

    def _distinct_pairs(self, name: str) -> tuple[Array, Array, Array]:
        """Reference and hypothesis text of each distinct pair, and the pair of each utterance (-1: none)."""
        if name not in self._pairs:
            codes = self.prediction(name).codes
            there = np.flatnonzero(codes >= 0)
            size = max(len(self.store), 1)
            joint = self.reference_codes[there].astype(np.int64) * size + codes[there]
            distinct, inverse = np.unique(joint, return_inverse=True)
            pair = np.full(len(self), -1, np.int32)
            pair[there] = inverse
            left, right = (side.astype(np.int32) for side in (distinct // size, distinct % size))
            self._pairs[name] = (left, right, pair)
        return self._pairs[name]


def _totals(counts: dict[str, Array]) -> tuple[Array, Array]:
    return (
        counts["substitutions"] + counts["insertions"] + counts["deletions"],
        counts["hits"] + counts["substitutions"] + counts["deletions"],
    )
