"""Speech that switches languages: are its spans and switches recognized, and what do the words around cost?

A reference that switches holds a tag at the end of each sentence, ``Gracias. <es-US> Thank you. <en-US>``;
predictions hold spans of languages. Both are put side by side word by word, each span normalized by the
rules of its own language.

* A span of the reference is right where most of its words were recognized inside a span of its language.
* A switch is found where the prediction switches between the same two languages at most ``TOLERANCE`` words
  away; a switch of the prediction that is none of the reference's is invented.
* Words at most ``TOLERANCE`` words from a switch of the reference are *around* it, the others *within*.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.evaluation.alignment import AlignedWord, align_words
from workbench.evaluation.asked import Asked, normalizer_of, rows_of
from workbench.evaluation.language import share_table
from workbench.evaluation.scored import ScoredCorpus
from workbench.evaluation.slices import Where
from workbench.evaluation.tables import as_table
from workbench.language_tags import split_spans
from workbench.shown import show_rows
from workbench.text import normalize, words

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

TOLERANCE = 2
COUNTS = (
    "spans", "spans_right", "switches", "found", "invented", "words_within", "errors_within", "words_around",
    "errors_around",
)  # fmt: skip
Run = tuple[list[str], str | None]
"""Normalized words, and their language."""


@dataclass(frozen=True)
class CodeSwitching:
    """How a prediction did on speech that switches languages.

    Attributes:
        name: of the prediction.
        table: ``slice`` ('code-switched', 'one language', or a pair such as ``en-US → es-ES``),
            ``utterances``, and the counts of :data:`COUNTS`; ``spans_right_share``, ``found_share``,
            ``error_rate_within``, ``error_rate_around``.
        intervals: of the code-switched rows: ``figure, rate, low, high, no_interval, speakers``.
    """

    name: str
    table: pd.DataFrame
    intervals: pd.DataFrame

    def __str__(self) -> str:
        mixed = self.table[self.table["slice"] == "code-switched"].to_dict("records")
        if not mixed:
            return f"{self.name}: no reference switches languages: none holds two tags."
        row = mixed[0]
        within, around = (100 * row[f"error_rate_{side}"] for side in ("within", "around"))
        return (
            f"{self.name}: {row['spans_right']} of {row['spans']} spans in the right language, "
            f"{row['found']} of {row['switches']} switches found, {row['invented']} invented; word errors "
            f"{within:.1f} % within a language, {around:.1f} % around a switch "
            f"({row['utterances']} utterances)."
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        shown = ("slice", "utterances", "spans_right", "spans", "error_rate_within", "error_rate_around")
        return show_rows(self.table, str(self), shown)._repr_html_()


def code_switching(
    self: Asked, name: str, where: Where = None, normalizer: str | None = None
) -> CodeSwitching:
    """How ``auto`` did where callers switch languages: spans, switches, and words within and around them.

    Args:
        name: of a prediction with ``spans``, as this package makes them.
        where: as in :meth:`Evaluation.rates`.
        normalizer: that says what a word is; the evaluation's by default.
    """
    scored, rules = self.scored, normalizer_of(self, normalizer)
    rows = rows_of(self, name, where=where)
    counted = {count: np.zeros(len(scored), np.int64) for count in COUNTS}
    slices: dict[str, list[int]] = {"code-switched": [], "one language": []}
    for row in rows.tolist():
        reference = reference_runs(scored, row, rules)
        if not reference:
            continue
        found = counts_of(reference, predicted_runs(scored, name, row, rules))
        for count, value in found.items():
            counted[count][row] = value
        languages = list(dict.fromkeys(language for _, language in reference))
        pairs = list(dict.fromkeys(_switches(reference)))
        for slice_ in ["code-switched" if len(languages) > 1 else "one language", *pairs]:
            slices.setdefault(slice_, []).append(row)
    table = as_table(_record(key, held, counted) for key, held in slices.items() if held)
    mixed = np.array(slices["code-switched"], np.int64)
    shares = []
    for figure, top, bottom in (
        ("spans right", "spans_right", "spans"),
        ("switches found", "found", "switches"),
        ("word errors within a language", "errors_within", "words_within"),
        ("word errors around a switch", "errors_around", "words_around"),
    ):
        if len(mixed):
            sums = counted[top], counted[bottom]
            one = share_table(scored, self.settings, sums, mixed, (), ("errors", "of"))
            shares.append(one.assign(figure=figure))
    columns = ["figure", "rate", "low", "high", "no_interval", "speakers"]
    intervals = pd.concat(shares, ignore_index=True)[columns] if shares else pd.DataFrame(columns=columns)
    return CodeSwitching(name, table, intervals)


def reference_runs(scored: ScoredCorpus, row: int, rules: str) -> list[Run]:
    """The reference of a row by language: each run that a tag closes; the rest in the row's language."""
    own = scored.rows["target_lang"].iloc[row] if "target_lang" in scored.rows.columns else None
    text = str(scored.tagged[row])
    runs = [_run(said, tag or own, rules) for said, tag in split_spans(text)]
    return _merged([run for run in runs if run[0]])


def predicted_runs(scored: ScoredCorpus, name: str, row: int, rules: str) -> list[Run]:
    """The same of a prediction; one run in ``detected_lang`` where it holds no spans."""
    prediction = scored.prediction(name)
    at = int(prediction.positions[row])
    source = prediction.source
    spoken = prediction.word_list(row)
    spans = source["spans"].iloc[at] if "spans" in source.columns else None
    if spans is None or not hasattr(spans, "__len__") or not spoken:
        tag = source["detected_lang"].iloc[at] if "detected_lang" in source.columns else None
        return [_run(str(source["hypothesis"].iloc[at] or ""), tag, rules)]
    runs = []
    for span in spans:
        held = spoken[int(span["start_word"]) : int(span["end_word"])]
        text = "".join(f"{'' if word.get('glued') else ' '}{word['word']}" for word in held)
        runs.append(_run(text, span["lang"], rules))
    return _merged([run for run in runs if run[0]])


def counts_of(reference: Sequence[Run], predicted: Sequence[Run]) -> dict[str, int]:
    """The counts of one utterance, by :data:`COUNTS`."""
    said, heard = _words(reference), _words(predicted)
    steps = align_words([word for word, _ in said], [word for word, _ in heard])
    found = Counter(spans=len(reference), switches=len(reference) - 1)
    found["spans_right"] = _right_spans(reference, heard, steps)
    edges = _edges(reference)
    expected = list(zip(edges, _switches(reference), strict=True))
    moved = [_in_reference(edge, steps) for edge in _edges(predicted)]
    for at, pair in zip(moved, _switches(predicted), strict=True):
        near = [one for one in expected if one[1] == pair and abs(one[0] - at) <= TOLERANCE]
        if near:
            expected.remove(min(near, key=lambda one: abs(one[0] - at)))
        else:
            found["invented"] += 1
    found["found"] = found["switches"] - len(expected)
    place = 0
    for step in steps:
        # An inserted word counts where the next word of the reference stands.
        at = step.reference_position if step.reference_position >= 0 else min(place, len(said) - 1)
        place = max(place, at + (step.reference_position >= 0))
        side = "around" if any(edge - TOLERANCE <= at < edge + TOLERANCE for edge in edges) else "within"
        found[f"words_{side}"] += step.reference_position >= 0
        found[f"errors_{side}"] += step.op != "hit"
    return {count: found[count] for count in COUNTS}


def _run(text: str, tag: Any, rules: str) -> Run:
    language = tag if isinstance(tag, str) else None
    return words(normalize(text, language, rules), language), language


def _merged(runs: Sequence[Run]) -> list[Run]:
    """Neighbors of one language as one run: two sentences of it are no switch."""
    found: list[Run] = []
    for held, language in runs:
        if found and found[-1][1] == language:
            found[-1] = [*found[-1][0], *held], language
        else:
            found.append((held, language))
    return found


def _words(runs: Sequence[Run]) -> list[tuple[str, str | None]]:
    return [(word, language) for held, language in runs for word in held]


def _edges(runs: Sequence[Run]) -> list[int]:
    """How many words stand before each switch."""
    return [int(end) for end in np.cumsum([len(held) for held, _ in runs])[:-1]]


def _switches(runs: Sequence[Run]) -> list[str]:
    return [f"{one[1]} → {two[1]}" for one, two in itertools.pairwise(runs)]


def _in_reference(edge: int, steps: Sequence[AlignedWord]) -> int:
    """Where a switch of the prediction falls in the reference: behind the last word said before it."""
    before = [
        step.reference_position
        for step in steps
        if 0 <= step.hypothesis_position < edge and step.reference_position >= 0
    ]
    return max(before, default=-1) + 1


def _right_spans(
    reference: Sequence[Run], heard: Sequence[tuple[str, str | None]], steps: Sequence[AlignedWord]
) -> int:
    languages: Mapping[int, str | None] = {
        step.reference_position: heard[step.hypothesis_position][1]
        for step in steps
        if step.reference_position >= 0 and step.hypothesis_position >= 0
    }
    right, start = 0, 0
    for held, language in reference:
        here = sum(languages.get(at) == language for at in range(start, start + len(held)))
        right += 2 * here > len(held)
        start += len(held)
    return right


def _record(slice_: str, rows: Sequence[int], counted: Mapping[str, Array]) -> dict[str, Any]:
    sums = {count: int(values[rows].sum()) for count, values in counted.items()}

    def share(top: str, bottom: str) -> float:
        return sums[top] / sums[bottom] if sums[bottom] else float("nan")

    return {
        "slice": slice_,
        "utterances": len(rows),
        **sums,
        "spans_right_share": share("spans_right", "spans"),
        "found_share": share("found", "switches"),
        "error_rate_within": share("errors_within", "words_within"),
        "error_rate_around": share("errors_around", "words_around"),
    }
