"""Punctuation marks and capitals.

Marks follow NeMo's ``DatasetPunctuationErrorRate``: words and marks are tokens, marks are masked as one token
while aligning, and each mark is then correct, substituted, deleted or inserted; its alignment is a Python
loop over the whole matrix, ours is the one every rate here uses. Where several alignments are equally short
the two may pick different ones. Both sides are taken under NFKC, because the tokenizer writes it: ``，`` is
scored as ``,``. Capitals are compared on words both sides have, so a wrong word is no case error.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.evaluation.alignment import DELETION, INSERTION, Edits, Side, align_sides
from workbench.evaluation.scored import ScoredCorpus
from workbench.evaluation.units import flattened, marks_of, split_words
from workbench.locales import LOCALES, UNSPACED_LANGUAGES

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

CORRECT, SUBSTITUTED, DELETED, INSERTED = range(4)
_CHUNK = 50_000
# Vowel signs and accents that Python's \w leaves out of words.
_SIGNS = "\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c7\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f"
_SIGNS += "\u0962\u0963\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u3099\u309a"


@dataclass(frozen=True)
class MarkEvents:
    """Every mark of references and hypotheses. ``kind``: one of the four above; ``said``, ``heard``: place in
    ``marks``, -1 where none."""

    row: Array
    kind: Array
    said: Array
    heard: Array
    marks: list[str]


@cache
def _pattern(language: str) -> re.Pattern[str]:
    marks = f"|[{re.escape(marks_of(language))}]" if marks_of(language) else ""
    word = rf"\w[{_SIGNS}]*" if language in UNSPACED_LANGUAGES else rf"[\w'{_SIGNS}]+"
    latin = r"[A-Za-z0-9']+|" if language in UNSPACED_LANGUAGES else ""
    return re.compile(latin + word + marks)


def tokens(text: str, language: str) -> list[str]:
    """Words and scored marks of a text; other signs separate words and are no tokens."""
    return _pattern(language).findall(unicodedata.normalize("NFKC", text))


def mark_events(scored: ScoredCorpus, name: str) -> MarkEvents:
    """Align words and marks of a prediction and tell what became of each mark."""
    languages = scored.store.languages
    marks = list(dict.fromkeys("".join(marks_of(language) for language in languages)))
    # Marks come first in the vocabulary. Tokens are many: they are written out for a chunk at a time.
    units = scored.store.piece_units("raw", _split_tokens, marks)
    codes = scored.prediction(name).codes
    present = np.flatnonzero(codes >= 0)
    parts = []
    for start in range(0, len(present), _CHUNK):
        rows = present[start : start + _CHUNK]
        sides = units.flat(scored.reference_codes[rows]), units.flat(codes[rows])
        masked = [_masked(*side, len(marks)) for side in sides]
        edits = align_sides(masked[0], masked[1], len(units.vocabulary))
        parts.append(_chunk_events(len(marks), rows, *sides, edits))
    row, kind, said, heard = (np.concatenate(column) for column in zip(*parts, strict=True))
    return MarkEvents(row, kind, said, heard, marks)


def _masked(numbers: Array, offsets: Array, marks: int) -> Side:
    """Texts with every mark as the same token."""
    return Side(np.where(numbers < marks, 0, numbers), offsets[:-1], offsets[1:])


def _split_tokens(pieces: list[str], language: str) -> tuple[list[str], list[int]]:
    return flattened(tokens(piece, language) for piece in pieces)


def kept_pairs(edits: Edits, lengths: tuple[Array, Array]) -> tuple[Array, Array]:
    """Places, in the flat words of both sides, that an alignment puts opposite each other (hits and
    substitutions), in order: what is left of one side when deletions, of the other when insertions go."""
    owner = np.repeat(np.arange(len(lengths[0])), np.diff(edits.offsets))
    kept = []
    for size, position, code in (
        (lengths[0], edits.reference_position, DELETION),
        (lengths[1], edits.hypothesis_position, INSERTION),
    ):
        starts = np.cumsum(size, dtype=np.int64) - size
        keep = np.ones(int(size.sum()), bool)
        gone = edits.operation == code
        keep[starts[owner[gone]] + position[gone]] = False
        kept.append(np.flatnonzero(keep))
    return kept[0], kept[1]


def _chunk_events(
    marks: int, rows: Array, reference: tuple[Array, Array], hypothesis: tuple[Array, Array], edits: Edits
) -> tuple[Array, Array, Array, Array]:
    said, heard = reference[0], hypothesis[0]
    lengths = np.diff(reference[1]), np.diff(hypothesis[1])
    row_said, row_heard = (np.repeat(rows, size) for size in lengths)
    at_said, at_heard = kept_pairs(edits, lengths)
    both = (said[at_said] < marks) & (heard[at_heard] < marks)
    at_said, at_heard = at_said[both], at_heard[both]
    matched_said, matched_heard = np.zeros(len(said), bool), np.zeros(len(heard), bool)
    matched_said[at_said], matched_heard[at_heard] = True, True
    lost = np.flatnonzero((said < marks) & ~matched_said)
    added = np.flatnonzero((heard < marks) & ~matched_heard)
    same = said[at_said] == heard[at_heard]
    kind = np.concatenate(
        [np.where(same, CORRECT, SUBSTITUTED), np.full(len(lost), DELETED), np.full(len(added), INSERTED)]
    )
    return (
        np.concatenate([row_said[at_said], row_said[lost], row_heard[added]]).astype(np.int32),
        kind.astype(np.int8),
        np.concatenate([said[at_said], said[lost], np.full(len(added), -1)]).astype(np.int16),
        np.concatenate([heard[at_heard], np.full(len(lost), -1), heard[added]]).astype(np.int16),
    )


def mark_table(events: MarkEvents, rows: Array, total: int) -> pd.DataFrame:
    """Per mark and for all: ``mark, reference, hypothesis, correct, substitutions, deletions, insertions,
    precision, recall, f1, error_rate``; NaN where nothing is there to be right about."""
    chosen = np.zeros(total, bool)
    chosen[rows] = True
    inside = chosen[events.row]
    kind, said, heard = events.kind[inside], events.said[inside], events.heard[inside]
    size = len(events.marks)

    def per_mark(marks: Array) -> Array:
        counts: Array = np.bincount(marks[marks >= 0], minlength=size)
        return np.append(counts, counts.sum())

    table = pd.DataFrame({"mark": [*events.marks, "all"]})
    table["reference"], table["hypothesis"] = per_mark(said), per_mark(heard)
    table["correct"] = per_mark(said[kind == CORRECT])
    table["substitutions"] = per_mark(said[kind == SUBSTITUTED])
    table["deletions"], table["insertions"] = (
        per_mark(said[kind == DELETED]),
        per_mark(heard[kind == INSERTED]),
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        table["precision"] = table["correct"] / table["hypothesis"].where(table["hypothesis"] > 0)
        table["recall"] = table["correct"] / table["reference"].where(table["reference"] > 0)
        both = table["reference"] + table["hypothesis"]
        table["f1"] = 2 * table["correct"] / both.where(both > 0)
        wrong = table["substitutions"] + table["deletions"] + table["insertions"]
        occurring = wrong + table["correct"]
        table["error_rate"] = wrong / occurring.where(occurring > 0)
    used = (table["reference"] + table["hypothesis"] > 0) | (table["mark"] == "all")
    return table[used].reset_index(drop=True)


def mark_counts(events: MarkEvents, total: int) -> tuple[Array, Array]:
    """Wrong marks and all marks of each row; their ratio is the punctuation error rate."""
    wrong = np.bincount(events.row[events.kind != CORRECT], minlength=total)
    return wrong.astype(np.int32), np.bincount(events.row, minlength=total).astype(np.int32)


def case_counts(scored: ScoredCorpus, name: str) -> tuple[Array, Array]:
    """Words both sides have but in different case, and words both sides have that can differ in case, of each
    row; both 0 where the language has no case."""
    basic = scored.store.words("basic")
    cased = scored.store.piece_units("cased", partial(split_words, "cased"))
    paired = scored.word_edits(name, "basic")
    codes = scored.pair_codes(name)
    can_differ = np.array([word.lower() != word.upper() for word in cased.vocabulary], bool)
    wrong, there = np.zeros(len(codes[0]), np.int32), np.zeros(len(codes[0]), np.int32)
    for start in range(0, len(codes[0]), _CHUNK):
        pairs = np.arange(start, min(start + _CHUNK, len(codes[0])))
        # A text whose words part differently once in lower case cannot be compared word by word.
        for side in codes:
            alike = np.diff(cased.flat(side[pairs])[1]) == basic.lengths_of(side[pairs])
            pairs = pairs if alike.all() else pairs[alike]
        sides = codes[0][pairs], codes[1][pairs]
        plain, forms = [basic.flat(side) for side in sides], [cased.flat(side)[0] for side in sides]
        said, heard = kept_pairs(paired.edits.of(pairs), (np.diff(plain[0][1]), np.diff(plain[1][1])))
        said_form, heard_form = forms[0][said], forms[1][heard]
        hit = (plain[0][0][said] == plain[1][0][heard]) & can_differ[said_form]
        pair = np.repeat(np.arange(len(pairs)), np.diff(plain[0][1]))[said]
        there[pairs] = np.bincount(pair[hit], minlength=len(pairs))
        wrong[pairs] = np.bincount(pair[hit & (said_form != heard_form)], minlength=len(pairs))
    caseless = np.isin(scored.languages, sorted({row.language for row in LOCALES.values() if not row.cased}))
    return np.where(caseless, 0, paired.spread(wrong)), np.where(caseless, 0, paired.spread(there))
