"""Distinct texts cut into pieces, words and characters; Python sees each distinct piece once.

References recur across predictions, prompts across speakers, words across texts: texts and their pieces (what
spaces part) are numbered first, and everything that is slow per character (normalizing, splitting) happens
once per distinct piece. All normalizers but one allow it (:data:`workbench.text.PIECEWISE`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from workbench import text as txt
from workbench.evaluation.alignment import Side
from workbench.foldings import Substitution
from workbench.locales import LATIN_MARKS, LOCALES, UNSPACED_LANGUAGES

if TYPE_CHECKING:
    IntArray = np.ndarray[Any, np.dtype[Any]]

Splitter = Callable[[list[str], str], tuple[list[str], list[int]]]
"""From texts and a language code to their units, one after the other, and how many each has."""
_CHUNK = 50_000
_RECURRING = 0.75  # share of distinct texts from which all are kept


@cache
def marks_of(language: str) -> str:
    """The marks scored in a language, under NFKC; empty where it writes none (Thai)."""
    for row in LOCALES.values():
        if row.language == language:
            return "".join(dict.fromkeys(unicodedata.normalize("NFKC", row.marks)))
    return LATIN_MARKS


@dataclass
class Pieces:
    """What spaces part: pieces of text ``t`` are ``numbers[offsets[t]:offsets[t + 1]]``, numbers into the
    vocabulary."""

    numbers: IntArray
    offsets: IntArray
    vocabulary: list[str]


@dataclass
class TextStore:
    """The texts of an evaluation. ``groups``: the rules each is treated by, a place in ``languages``, which
    holds one language code of those with these rules."""

    texts: Any  # pyarrow large_string array: a tenth of the memory of Python strings
    groups: IntArray
    languages: list[str]
    substitutions: tuple[Substitution, ...] = ()
    """What the folding ``list`` replaces."""
    _pieces: dict[str, Pieces] = field(default_factory=dict)
    _words: dict[str, WordTable] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.texts)

    def words(self, normalizer: str) -> WordTable:
        """The words of every text under a normalizer."""
        if normalizer not in self._words:
            self._words[normalizer] = self._made_words(normalizer)
        return self._words[normalizer]

    def forget(self, normalizer: str) -> None:
        """Give back the memory of the words under a normalizer that will hardly be asked for again."""
        self._words.pop(normalizer, None)

    def _made_words(self, normalizer: str) -> WordTable:
        if normalizer == "raw" and not UNSPACED_LANGUAGES & set(self.languages):
            pieces = self.pieces(normalizer)
            return WordTable(pieces.numbers, pieces.offsets, pieces.vocabulary)
        return self.derived(normalizer, partial(split_words, normalizer))

    def derived(self, normalizer: str, split: Splitter, known: Sequence[str] = ()) -> WordTable:
        """:meth:`piece_units` of every text, kept together."""
        units = self.piece_units(normalizer, split, known)
        numbers, offsets = units.flat(np.arange(len(self)))
        return WordTable(numbers, _same(offsets, units.pieces.offsets), units.vocabulary)

    def piece_units(self, normalizer: str, split: Splitter, known: Sequence[str] = ()) -> PieceUnits:
        """Units that each distinct piece is split into; the vocabulary starts with ``known``."""
        pieces = self.pieces(normalizer)
        # Flat lists of text: a list a piece would wake the garbage collector, which costs more than the work.
        units, lengths = [], []
        form_of = self.form_numbers(pieces)
        for group, language in enumerate(self.languages):
            found, counts = split(of_group(pieces, form_of, group), language)
            units += found
            lengths += counts
        flat, vocabulary = _numbered(units, known)
        bounds = np.concatenate([[0], np.cumsum(np.array(lengths, np.int64))])
        return PieceUnits(pieces, self.groups, form_of, flat, bounds, vocabulary)

    def form_numbers(self, pieces: Pieces) -> IntArray:
        """(groups, pieces): number of the form of a piece under a group's rules, group after group; -1 where
        the piece does not occur under them."""
        from workbench.evaluation import kernels

        there = np.zeros((len(self.languages), len(pieces.vocabulary)), bool)
        kernels.mark_present(pieces.numbers, pieces.offsets, self.groups, there)
        numbers: IntArray = np.where(there.ravel(), np.cumsum(there, dtype=np.int32) - 1, -1)
        return numbers.reshape(there.shape)

    def pieces(self, normalizer: str) -> Pieces:
        """Pieces of the raw texts, or of the normalized ones where a normalizer needs the whole text."""
        base = "raw" if txt.is_piecewise(normalizer) else normalizer
        if base not in self._pieces:
            self._pieces[base] = _cut(self._whole(base))
        return self._pieces[base]

    def _whole(self, normalizer: str) -> Any:
        """All texts under a normalizer; left as they are where only runs of spaces would change."""
        parts, changed = [], False
        for low in range(0, len(self), _CHUNK):
            part = self.texts[low : low + _CHUNK]
            if normalizer != "raw" or not txt.is_raw(_decoded(part)):
                lines = self._normalized(part.to_pylist(), self.groups[low : low + _CHUNK], normalizer)
                part, changed = pa.array(lines, pa.large_string()), True
            parts.append(part)
        return pa.concat_arrays(parts) if changed else self.texts

    def _normalized(self, lines: list[str], groups: IntArray, normalizer: str) -> list[str]:
        for group, language in enumerate(self.languages):
            places = np.flatnonzero(groups == group).tolist()
            rules = (language, normalizer, self.substitutions)
            done = txt.normalize_many([lines[place] for place in places], *rules)
            for place, line in zip(places, done, strict=True):
                lines[place] = line
        return lines


@dataclass(frozen=True)
class PieceUnits:
    """Units of pieces, from which those of texts are written out when asked for."""

    pieces: Pieces
    groups: IntArray
    form_of: IntArray
    units: IntArray
    bounds: IntArray
    vocabulary: list[str]

    def flat(self, codes: IntArray) -> tuple[IntArray, IntArray]:
        """As :meth:`WordTable.flat`."""
        from workbench.evaluation import kernels

        spans = self.pieces.offsets[codes], self.pieces.offsets[codes + 1]
        texts = self.pieces.numbers, *spans, self.groups[codes], self.form_of
        plain = np.zeros(len(codes), bool)
        offsets = kernels.expanded_sizes(*texts, self.bounds, plain)
        numbers = np.empty(int(offsets[-1]), np.int32)
        kernels.expand(*texts, self.units, self.bounds, plain, -1, numbers)
        return numbers, offsets


@dataclass
class WordTable:
    """Words of every distinct text: those of text ``t`` are ``numbers[offsets[t]:offsets[t + 1]]``, numbers
    into the vocabulary."""

    numbers: IntArray
    offsets: IntArray
    vocabulary: list[str]

    @property
    def lengths(self) -> IntArray:
        return np.diff(self.offsets).astype(np.int32)

    def lengths_of(self, codes: IntArray) -> IntArray:
        """Words of some texts."""
        lengths: IntArray = self.offsets[codes + 1] - self.offsets[codes]
        return lengths

    def of(self, code: int) -> list[str]:
        return [self.vocabulary[n] for n in self.numbers[self.offsets[code] : self.offsets[code + 1]]]

    def side(self, codes: IntArray) -> Side:
        """Some texts as sequences to align."""
        return Side(self.numbers, self.offsets[codes], self.offsets[codes + 1])

    @cached_property
    def folded(self) -> IntArray:
        """For each word the number of its spelling class: equal where only encoding or habit differ."""
        return self.alike(txt.fold_spelling)

    def alike(self, by: Callable[[str], str]) -> IntArray:
        """For each word of the vocabulary a number, the same where ``by`` makes words equal."""
        return _numbered([by(word) for word in self.vocabulary])[0]

    def differ(self, left: IntArray, right: IntArray, by: Callable[[str], str] | None = None) -> IntArray:
        """Which pairs of texts differ in their words; with ``by``, in what it makes of them."""
        from workbench.evaluation import kernels

        same = np.arange(len(self.vocabulary), dtype=np.int32) if by is None else self.alike(by)
        codes = left.astype(np.int64), right.astype(np.int64)
        unequal: IntArray = kernels.unequal_sequences(self.numbers, self.offsets, same, *codes)
        return unequal

    def flat(self, codes: IntArray) -> tuple[IntArray, IntArray]:
        """The words of many texts one after the other: (word numbers, offsets of each text)."""
        from workbench.evaluation import kernels

        sizes = self.offsets[codes + 1] - self.offsets[codes]
        offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        numbers = np.empty(int(offsets[-1]), np.int32)
        kernels.gather(self.numbers, self.offsets, codes.astype(np.int64), numbers)
        return numbers, offsets

    def occurrences(self, codes: IntArray) -> IntArray:
        """How often each word of the vocabulary occurs in some texts."""
        from workbench.evaluation import kernels

        counts = np.zeros(len(self.vocabulary), np.int64)
        kernels.tally(self.numbers, self.offsets, codes.astype(np.int64), counts)
        return counts


def number_texts(columns: Sequence[Any], languages: Any) -> tuple[TextStore, list[IntArray]]:
    """Number the distinct texts of several columns of the same length.

    Args:
        columns: chunked pyarrow large_string arrays; a null text gets the number -1.
        languages: one language code a row; the same words under other rules are another text.
    """
    from workbench.evaluation import kernels

    rows_of, names = pd.factorize(languages)
    rules, kinds = pd.factorize(np.array([_rules_of(str(name)) for name in names], dtype=object))
    groups = np.tile(rules[rows_of].astype(np.int32), len(columns))
    joined = pa.concat_arrays([chunk for column in columns for chunk in column.chunks])
    data, starts, stops = _spans(joined)
    if joined.null_count:
        starts = np.where(joined.is_valid().to_numpy(zero_copy_only=False), starts, -1)
    codes = np.empty(len(starts), np.int32)
    _, _, kind = kernels.number_spans(data, starts, stops, groups, True, codes)
    there = np.flatnonzero(codes >= 0)[::-1]
    first = np.empty(len(kind), np.int64)
    first[codes[there]] = there
    if joined.null_count or len(kind) < _RECURRING * len(codes):
        joined, groups = joined.take(first), kind.astype(np.int32)
    else:  # hardly any text recurs: a copy of those that do not would only take memory
        codes = first[codes].astype(np.int32)
    spoken = [str(names[np.flatnonzero(rules == rule)[0]]) for rule in range(len(kinds))]
    return TextStore(joined, groups, spoken), np.split(codes, len(columns))


@cache
def _rules_of(language: str) -> str:
    """Equal for languages whose texts are treated alike everywhere here."""
    return f"{txt.rules_of(language)} {marks_of(language)}"


def _spans(texts: Any) -> tuple[IntArray, IntArray, IntArray]:
    """Bytes of a large_string array, and where each text starts and stops in them."""
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    content = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    return content, bounds[:-1], bounds[1:]


def _decoded(texts: Any) -> str:
    data, starts, stops = _spans(texts)
    return bytes(data[starts[0] : stops[-1]]).decode() if len(texts) else ""


def _cut(texts: Any) -> Pieces:
    from workbench.evaluation import kernels

    data, starts, stops = _spans(texts)
    offsets = kernels.count_pieces(data, starts, stops)
    numbers = np.empty(int(offsets[-1]), np.int32)
    groups = np.zeros(len(starts), np.int32)
    begin, end, _ = kernels.number_spans(data, starts, stops, groups, False, numbers)
    vocabulary = kernels.copied_spans(data, begin, end).tobytes().decode().split(" ")[:-1]
    return Pieces(numbers, offsets, vocabulary)


def of_group(pieces: Pieces, form_of: IntArray, group: int) -> list[str]:
    there = form_of[group] >= 0
    if there.all():
        return pieces.vocabulary
    return [pieces.vocabulary[number] for number in np.flatnonzero(there).tolist()]


def _same(offsets: IntArray, known: IntArray) -> IntArray:
    """The array known already where the two are equal."""
    return known if np.array_equal(offsets, known) else offsets


def forms_of(pieces: list[str], language: str, normalizer: str) -> list[str]:
    """Normalized pieces; those of a normalizer that needs the whole text are normalized already."""
    done = normalizer == "raw" or not txt.is_piecewise(normalizer)
    return pieces if done else txt.normalize_many(pieces, language, normalizer)


def split_words(normalizer: str, pieces: list[str], language: str) -> tuple[list[str], list[int]]:
    """Words of pieces under a normalizer."""
    forms = forms_of(pieces, language, normalizer)
    if language in UNSPACED_LANGUAGES:
        return flattened(txt.words(form, language) for form in forms)
    # Normalized pieces hold single spaces only.
    return " ".join(forms).split(), [form.count(" ") + 1 if form else 0 for form in forms]


def flattened(lists: Iterable[list[str]]) -> tuple[list[str], list[int]]:
    """Entries one after the other, and how many each list has."""
    flat: list[str] = []
    sizes = []
    for entries in lists:
        flat += entries
        sizes.append(len(entries))
    return flat, sizes


def _numbered(units: list[str], known: Sequence[str] = ()) -> tuple[IntArray, list[str]]:
    """Number of each unit, and the distinct ones in order of first sight after those ``known``."""
    vocabulary = list(dict.fromkeys([*known, *units]))
    number = dict(zip(vocabulary, range(len(vocabulary)), strict=True))
    return np.fromiter(map(number.__getitem__, units), np.int32, len(units)), vocabulary
