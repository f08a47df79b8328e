"""The characters of texts, and the counts of the character error rate.

Characters are many, so they are written out a chunk of pairs at a time, and only those between the pieces
that both texts of a pair begin and end with: the rest are hits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import text as txt
from workbench.evaluation.alignment import COUNTED, Side, checked_counts, count_sides
from workbench.evaluation.units import TextStore, forms_of, of_group
from workbench.locales import CHARACTER_LANGUAGES

if TYPE_CHECKING:
    IntArray = np.ndarray[Any, np.dtype[Any]]

CHUNK = 50_000
_CODE_POINTS = 0x110000


@dataclass(frozen=True)
class Characters:
    """Characters of each form of a piece, as numbers below ``alphabet``; 0 is the space.

    ``form_of`` (groups, pieces); ``parted`` (groups,): whether spaces between words count.
    """

    form_of: IntArray
    symbols: IntArray
    offsets: IntArray
    parted: IntArray
    alphabet: int

    @classmethod
    def of(cls, store: TextStore, normalizer: str) -> Characters:
        """Of all texts under a normalizer."""
        pieces, unspaced = store.pieces(normalizer), CHARACTER_LANGUAGES & set(store.languages)
        forms: list[str] = []
        if not unspaced and (normalizer == "raw" or normalizer not in txt.PIECEWISE):
            forms = pieces.vocabulary  # the same under all rules
            form_of = np.tile(np.arange(len(forms), dtype=np.int32), (len(store.languages), 1))
        else:
            form_of = store.form_numbers(pieces)
            for group, language in enumerate(store.languages):
                found = forms_of(of_group(pieces, form_of, group), language, normalizer)
                joined = language in CHARACTER_LANGUAGES
                forms += [txt.characters(form, language) for form in found] if joined else found
        points = np.frombuffer("".join([" ", *forms]).encode("utf-32-le"), np.uint32)
        used = np.zeros(_CODE_POINTS, bool)
        used[points] = True
        used[32] = False
        number = np.cumsum(used, dtype=np.int32)
        number[32] = 0
        sizes = np.fromiter(map(len, forms), np.int64, len(forms))
        bounds = np.concatenate([[0], np.cumsum(sizes)])
        parted = np.array([language not in CHARACTER_LANGUAGES for language in store.languages], bool)
        return cls(form_of, number[points[1:]], bounds, parted, int(number[-1]) + 1)

    def lengths(self, pieces: IntArray, spans: IntArray, groups: IntArray) -> IntArray:
        """Characters of some spans (texts, 2) of pieces."""
        return np.diff(self._bounds(pieces, spans, groups)).astype(np.int32)

    def side(self, pieces: IntArray, spans: IntArray, groups: IntArray) -> Side:
        """Some spans (texts, 2) of pieces as sequences of characters to align."""
        from workbench.evaluation import kernels

        bounds = self._bounds(pieces, spans, groups)
        symbols = np.empty(int(bounds[-1]), np.int32)
        parted = self.parted[groups]
        forms = self.form_of, self.symbols, self.offsets
        kernels.expand(pieces, spans[:, 0], spans[:, 1], groups, *forms, parted, 0, symbols)
        return Side(symbols, bounds[:-1], bounds[1:])

    def _bounds(self, pieces: IntArray, spans: IntArray, groups: IntArray) -> IntArray:
        from workbench.evaluation import kernels

        bounds: IntArray = kernels.expanded_sizes(
            pieces, spans[:, 0], spans[:, 1], groups, self.form_of, self.offsets, self.parted[groups]
        )
        return bounds


def character_counts(
    store: TextStore, normalizer: str, left: IntArray, right: IntArray
) -> dict[str, IntArray]:
    """Hits, substitutions, insertions and deletions of characters of pairs of texts.

    Args:
        left, right: numbers of the reference and the hypothesis of each pair, both of one group.

    Raises:
        WorkbenchError: an alignment does not account for every character.
    """
    chunks = character_chunks(store, normalizer, left, right)
    return concatenated_counts([chunk.counted(count_sides(*chunk.sides)) for chunk in chunks])


@dataclass(frozen=True)
class CharacterChunk:
    """What of some pairs is to be aligned: ``sides`` as :func:`count_sides` takes them, without the pieces
    that both texts begin and end with; ``units``: characters of the whole references and hypotheses."""

    sides: tuple[Side, Side, int]
    units: tuple[IntArray, IntArray]

    def counted(self, found: dict[str, IntArray]) -> dict[str, IntArray]:
        """The counts of the whole texts from those of ``sides``."""
        return checked_counts([found[kind] for kind in COUNTED[1:]], *self.units)


def character_chunks(
    store: TextStore, normalizer: str, left: IntArray, right: IntArray
) -> Iterator[CharacterChunk]:
    """The pairs of :func:`character_counts`, some after some; one empty chunk where there are none."""
    from workbench.evaluation import kernels

    pieces, characters = store.pieces(normalizer), Characters.of(store, normalizer)
    for start in range(0, max(len(left), 1), CHUNK):
        codes = left[start : start + CHUNK], right[start : start + CHUNK]
        groups = store.groups[codes[0]]
        said, heard = (np.column_stack([pieces.offsets[c], pieces.offsets[c + 1]]) for c in codes)
        units = [characters.lengths(pieces.numbers, spans, groups) for spans in (said, heard)]
        kernels.trim_common(pieces.numbers, said, heard, groups, characters.form_of, characters.offsets)
        rests = [characters.side(pieces.numbers, spans, groups) for spans in (said, heard)]
        yield CharacterChunk((rests[0], rests[1], characters.alphabet), (units[0], units[1]))


def concatenated_counts(parts: Sequence[dict[str, IntArray]]) -> dict[str, IntArray]:
    """The counts of consecutive chunks as one."""
    return {kind: np.concatenate([part[kind] for part in parts]) for kind in COUNTED}
