"""Distinct texts of an evaluation, normalised once, cut into words and characters.

References recur across predictions and prompts across speakers: texts are numbered first, and everything
that is slow per text (normalising, splitting, aligning) happens once per distinct text or pair of texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from workbench import text as txt

if TYPE_CHECKING:
    import numpy as np

    IntArray = np.ndarray[Any, np.dtype[Any]]

CHUNK = 50_000
_HIGHEST_CHARACTER = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


class Vocabulary(dict[str, int]):
    """Word → number, handed out in order of first sight."""

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number


@dataclass
class TextStore:
    """Distinct (language, text) pairs in blocks of one language; ``blocks``: (language code, start, stop)."""

    texts: Any  # pyarrow large_string array: a tenth of the memory of Python strings
    blocks: list[tuple[str, int, int]]
    _normalised: dict[str, Any] = field(default_factory=dict)
    _words: dict[str, WordTable] = field(default_factory=dict)
    tokens: tuple[WordTable, list[str]] | None = None
    """Words and marks, made and used by :mod:`punctuation`."""

    def __len__(self) -> int:
        return len(self.texts)

    def normalised(self, normaliser: str) -> Any:
        """All texts under a normaliser, as a pyarrow array of the same order."""
        import pyarrow as pa

        if normaliser not in self._normalised:
            parts = []
            for language, start, stop in self.chunks():
                lines = txt.normalise_many(self.texts[start:stop].to_pylist(), language, normaliser)
                parts.append(pa.array(lines, pa.large_string()))
            self._normalised[normaliser] = (
                pa.chunked_array(parts, pa.large_string()).combine_chunks() if parts else self.texts
            )
        return self._normalised[normaliser]

    def words(self, normaliser: str) -> WordTable:
        """The words of every text under a normaliser."""
        import numpy as np

        if normaliser not in self._words:
            normalised, vocabulary = self.normalised(normaliser), Vocabulary()
            lengths, numbers = [], []
            for language, start, stop in self.chunks():
                units, sizes = _split(normalised[start:stop], language)
                lengths.append(sizes)
                numbers.append(_numbered(units, vocabulary))
            empty = [np.zeros(0, np.int32)]
            offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths or empty), dtype=np.int64)])
            self._words[normaliser] = WordTable(np.concatenate(numbers or empty), offsets, list(vocabulary))
        return self._words[normaliser]

    def characters(self, normaliser: str, codes: IntArray) -> list[str]:
        """The units of the character error rate of some texts."""
        import numpy as np

        wanted: list[str] = self.normalised(normaliser).take(codes).to_pylist()
        for language, start, stop in self.blocks:
            if language in txt.CHARACTER_LANGUAGES:
                for place in np.flatnonzero((codes >= start) & (codes < stop)):
                    wanted[place] = txt.characters(wanted[place], language)
        return wanted

    def chunks(self) -> list[tuple[str, int, int]]:
        """The blocks in pieces small enough to hold as Python strings."""
        return [
            (language, low, min(low + CHUNK, stop))
            for language, start, stop in self.blocks
            for low in range(start, stop, CHUNK)
        ]


@dataclass
class WordTable:
    """Words of every distinct text: those of text ``t`` are ``numbers[offsets[t]:offsets[t + 1]]``, numbers
    into the vocabulary."""

    numbers: IntArray
    offsets: IntArray
    vocabulary: list[str]

    @cached_property
    def lengths(self) -> IntArray:
        import numpy as np

        return np.diff(self.offsets).astype(np.int32)

    def of(self, code: int) -> list[str]:
        return [self.vocabulary[n] for n in self.numbers[self.offsets[code] : self.offsets[code + 1]]]

    def sequences(self, codes: IntArray) -> list[Any]:
        """One sequence a text for :func:`alignment.align`: a string with one character a word where the
        vocabulary allows it, since strings align several times faster than lists; else lists of numbers."""
        starts, stops = self.offsets[codes].tolist(), self.offsets[codes + 1].tolist()
        if len(self.vocabulary) <= _HIGHEST_CHARACTER - len(_SURROGATES):
            block: Any = self._as_string
        else:
            block = self.numbers.tolist()
        return [block[start:stop] for start, stop in zip(starts, stops, strict=True)]

    @cached_property
    def _as_string(self) -> str:
        import numpy as np

        points = self.numbers.astype(np.uint32)
        points[points >= _SURROGATES.start] += len(_SURROGATES)
        return points.astype("<u4").tobytes().decode("utf-32-le")

    @cached_property
    def folded(self) -> IntArray:
        """For each word the number of its spelling class: equal where only encoding or habit differ."""
        import numpy as np

        classes = Vocabulary()
        folded = (txt.fold_spelling(word) for word in self.vocabulary)
        return np.fromiter((classes[word] for word in folded), np.int32, len(self.vocabulary))

    def flat(self, codes: IntArray) -> tuple[IntArray, IntArray]:
        """The words of many texts one after the other: (word numbers, offsets of each text)."""
        import numpy as np

        lengths = self.lengths[codes]
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        start = np.repeat(self.offsets[codes] - offsets[:-1], lengths)
        return self.numbers[start + np.arange(offsets[-1])], offsets


def number_texts(columns: Sequence[Any], languages: Any) -> tuple[TextStore, list[IntArray]]:
    """Number the distinct texts of several columns of the same length.

    Args:
        columns: pyarrow large_string arrays; a null text gets the number -1.
        languages: one language code a row; the same words of two languages are two texts.
    """
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    rows_of, names = pd.factorize(languages)
    codes = [np.full(len(rows_of), -1, np.int32) for _ in columns]
    parts, blocks, base = [], [], 0
    for language_number, language in enumerate(names):
        rows = np.flatnonzero(rows_of == language_number)
        chosen = [column.take(rows) if len(names) > 1 else column for column in columns]
        encoded = pa.concat_arrays(chosen).dictionary_encode()
        numbers = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
        for place in range(len(columns)):
            part = numbers[place * len(rows) : (place + 1) * len(rows)]
            codes[place][rows] = np.where(part < 0, -1, part + base)
        parts.append(encoded.dictionary)
        blocks.append((str(language), base, base + len(encoded.dictionary)))
        base += len(encoded.dictionary)
    texts = pa.chunked_array(parts, pa.large_string()).combine_chunks()
    return TextStore(texts, blocks), codes


def _split(lines: Any, language: str) -> tuple[Any, IntArray]:
    """Words of normalised texts one after the other (a pyarrow array), and how many each has."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if language in txt.UNSPACED_LANGUAGES:
        split = [txt.words(line, language) for line in lines.to_pylist()]
        units = pa.array([unit for part in split for unit in part], pa.large_string())
        return units, np.fromiter(map(len, split), np.int32, len(split))
    # Normalised lines hold single spaces only, so an empty part comes from an empty line.
    parts = pc.split_pattern(lines, " ")
    sizes = pc.list_value_length(parts).to_numpy(zero_copy_only=False).astype(np.int32)
    empty = pc.equal(pc.binary_length(lines), 0).to_numpy(zero_copy_only=False)
    units = pc.list_flatten(parts)
    if empty.any():
        units = units.filter(pc.greater(pc.binary_length(units), 0))
    return units, np.where(empty, 0, sizes).astype(np.int32)


def _numbered(units: Any, vocabulary: Vocabulary) -> IntArray:
    """Numbers of words; Python sees each distinct one once."""
    import numpy as np

    encoded = units.dictionary_encode()
    words = encoded.dictionary.to_pylist()
    known = np.fromiter(map(vocabulary.__getitem__, words), np.int32, len(words))
    places = encoded.indices.to_numpy(zero_copy_only=False)
    return known[places] if len(words) else np.zeros(0, np.int32)
