"""Compiled loops over flat arrays: numbering of texts and words, expansion of words.

What is slow in Python here is one object a word; these loops make none. They run without the interpreter lock
and single threaded (callers use plain threads: numba's own pool must not be entered from two of them), and
numba keeps the compiled code beside this file, so only the very first call on a machine compiles.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_ODD, _ODDER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)  # of splitmix64
_ZERO, _ONE, _EIGHT, _BITS = np.uint64(0), np.uint64(1), np.uint64(8), np.uint64(64)
_HALF = np.uint64(32)
_SPACE = 32


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _is_known(data: Array, start: int, stop: int, known: int) -> bool:
    for step in range(stop - start):  # noqa: SIM110  numba compiles loops, not generators
        if data[start + step] != data[known + step]:
            return False
    return True


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _slot(key: np.uint64, kind: int) -> np.uint64:
    value = (key ^ (np.uint64(kind) * _ODDER)) * _ODD
    return value ^ (value >> _HALF)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _placed(size: int, keys: Array, kinds: Array, count: int) -> Array:
    """A hash table of ``size`` slots with all entries so far."""
    slots = np.full(size, -1, np.int32)
    mask = np.uint64(size - 1)
    for number in range(count):
        place = _slot(keys[number], kinds[number]) & mask
        while slots[place] >= 0:
            place = (place + _ONE) & mask
        slots[place] = number
    return slots


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def count_pieces(data: Array, starts: Array, stops: Array) -> Array:
    """Offsets (texts + 1,) of the pieces of UTF-8 texts, cut at runs of spaces."""
    offsets = np.zeros(len(starts) + 1, np.int64)
    for text in range(len(starts)):
        pieces, inside = 0, False
        for at in range(starts[text], stops[text]):
            if data[at] == _SPACE:
                inside = False
            elif not inside:
                inside = True
                pieces += 1
        offsets[text + 1] = offsets[text] + pieces
    return offsets


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def number_spans(
    data: Array, starts: Array, stops: Array, groups: Array, whole: bool, numbers: Array
) -> tuple[Array, Array, Array]:
    """Number distinct (group, bytes) in order of first sight.

    Args:
        data: UTF-8; ``starts``, ``stops``, ``groups`` (texts,): where each text lies and what it belongs to
            (below 65536); a negative start is no text and gets -1.
        whole: number whole texts; else the pieces between runs of spaces.
        numbers: filled, one entry a text or piece.

    Returns:
        ``starts, stops, groups`` of the first sight of each number.
    """
    # For texts room for all at once: the arrays left behind by growing would stay in the allocator's hands.
    size, count, filled = 1 << 12, 0, 0
    while whole and size < len(starts):
        size *= 2
    keys, kinds, first = np.empty(size, np.uint64), np.empty(size, np.int64), np.empty(size, np.int64)
    slots = _placed(2 * size, keys, kinds, 0)
    for text in range(len(starts)):
        if starts[text] < 0:
            if whole:
                numbers[filled] = -1
                filled += 1
            continue
        # Unsigned, so that no index is looked at for being negative: that alone is half of the time.
        at, end = np.uint64(starts[text]), np.uint64(stops[text])
        while True:
            while not whole and at < end and data[at] == _SPACE:
                at += _ONE
            if at >= end and not whole:
                break
            begin, part, shift, mixed = at, _ZERO, _ZERO, _ZERO
            while at < end:
                byte = data[at]
                if byte == _SPACE and not whole:
                    break
                part |= np.uint64(byte) << shift
                shift += _EIGHT
                if shift == _BITS:
                    mixed = (mixed ^ part) * _ODD if at - begin >= _EIGHT else part
                    mixed ^= (mixed >> _HALF) if at - begin >= _EIGHT else _ZERO
                    part, shift = _ZERO, _ZERO
                at += _ONE
            length = at - begin
            # Up to eight bytes the key is the text itself; longer ones are compared.
            key = mixed if length == _EIGHT else part
            if length > _EIGHT:
                key = (mixed ^ part) * _ODDER
                key ^= key >> _HALF
            kind = np.int64(length) * 65536 + groups[text]
            mask = np.uint64(len(slots) - 1)
            place = _slot(key, kind) & mask
            number = slots[place]
            while number >= 0:
                if keys[number] == key and kinds[number] == kind:
                    if length <= _EIGHT:
                        break
                    if _is_known(data, np.int64(begin), np.int64(at), first[number]):
                        break
                place = (place + _ONE) & mask
                number = slots[place]
            if number < 0:
                if count == size:
                    size *= 2
                    keys, kinds, first = _longer(keys), _longer(kinds), _longer(first)
                    slots = _placed(2 * size, keys, kinds, count)
                    mask = np.uint64(len(slots) - 1)
                    place = _slot(key, kind) & mask
                    while slots[place] >= 0:
                        place = (place + _ONE) & mask
                number = count
                slots[place], keys[number], kinds[number], first[number] = number, key, kind, begin
                count += 1
            numbers[filled] = number
            filled += 1
            if whole:
                break
    kinds, first = kinds[:count], first[:count].copy()
    return first, first + kinds // 65536, kinds % 65536


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _longer(values: Array) -> Array:
    wider = np.empty(2 * len(values), values.dtype)
    wider[: len(values)] = values
    return wider


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def copied_spans(data: Array, starts: Array, stops: Array) -> Array:
    """Spans one after the other with a space after each."""
    out = np.empty((stops - starts).sum() + len(starts), np.uint8)
    filled = 0
    for span in range(len(starts)):
        for at in range(starts[span], stops[span]):
            out[filled] = data[at]
            filled += 1
        out[filled] = _SPACE
        filled += 1
    return out


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def expanded_sizes(
    pieces: Array,
    starts: Array,
    stops: Array,
    groups: Array,
    form_of: Array,
    form_offsets: Array,
    parted: Array,
) -> Array:
    """Offsets (texts + 1,) of :func:`expand`'s output."""
    offsets = np.zeros(len(starts) + 1, np.int64)
    for text in range(len(starts)):
        size, forms = 0, 0
        form_in = form_of[groups[text]]
        for at in range(np.uint64(starts[text]), np.uint64(stops[text])):
            form = np.uint64(form_in[np.uint64(pieces[at])])
            length = form_offsets[form + _ONE] - form_offsets[form]
            size += length
            forms += length > 0
        if parted[text] and forms > 1:
            size += forms - 1
        offsets[text + 1] = offsets[text] + size
    return offsets


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def expand(
    pieces: Array,
    starts: Array,
    stops: Array,
    groups: Array,
    form_of: Array,
    forms: Array,
    form_offsets: Array,
    parted: Array,
    separator: int,
    out: Array,
) -> None:
    """Replace each piece of each text by its form, one after the other; empty forms leave no trace.

    Args:
        groups: (texts,); ``form_of`` (groups, pieces): which form a piece takes in a text of a group; form
            ``f`` is ``forms[form_offsets[f]:form_offsets[f + 1]]``.
        parted: (texts,) whether ``separator`` stands between the forms of a text.
    """
    filled = _ZERO  # all places are unsigned, as in number_spans: not looked at for being negative
    for text in range(len(starts)):
        begun, divided = False, parted[text]
        form_in = form_of[groups[text]]
        for at in range(np.uint64(starts[text]), np.uint64(stops[text])):
            form = np.uint64(form_in[np.uint64(pieces[at])])
            low, high = np.uint64(form_offsets[form]), np.uint64(form_offsets[form + _ONE])
            if low == high:
                continue
            if begun and divided:
                out[filled] = separator
                filled += _ONE
            begun = True
            for place in range(low, high):
                out[filled] = forms[place]
                filled += _ONE


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def trim_common(
    pieces: Array, said: Array, heard: Array, groups: Array, form_of: Array, form_offsets: Array
) -> None:
    """Leave out, of each pair of texts, the pieces both begin and both end with; spans are changed in place.

    A piece with a form stays on both sides, so that separators and hence the characters in which the rests
    differ are those in which the texts do: alignments of the rests make the same edits.

    Args:
        said, heard: (pairs, 2) spans of pieces of both texts of a pair, which ``groups`` (pairs,) treats.
    """
    for pair in range(len(said)):
        a, b, c, d = said[pair, 0], said[pair, 1], heard[pair, 0], heard[pair, 1]
        form_in = form_of[groups[pair]]
        begin, left, right = a, 0, 0
        while a < b and c < d and pieces[a] == pieces[c]:
            a, c = a + 1, c + 1
        while a < b and c < d and pieces[b - 1] == pieces[d - 1]:
            b, d = b - 1, d - 1
        for at in range(a, b):
            left += form_offsets[form_in[pieces[at]] + 1] > form_offsets[form_in[pieces[at]]]
        for at in range(c, d):
            right += form_offsets[form_in[pieces[at]] + 1] > form_offsets[form_in[pieces[at]]]
        kept = (left > 0 and right > 0) or (a == b and c == d)
        while not kept and a > begin:
            a, c = a - 1, c - 1
            kept = form_offsets[form_in[pieces[a]] + 1] > form_offsets[form_in[pieces[a]]]
        if not kept:
            b, d = said[pair, 1], heard[pair, 1]
        said[pair, 0], said[pair, 1], heard[pair, 0], heard[pair, 1] = a, b, c, d


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def mark_present(pieces: Array, offsets: Array, groups: Array, there: Array) -> None:
    """Set ``there[group, piece]`` for each piece of each text."""
    for text in range(len(groups)):
        for at in range(offsets[text], offsets[text + 1]):
            there[groups[text], pieces[at]] = True


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def gather(numbers: Array, offsets: Array, texts: Array, out: Array) -> None:
    """The numbers of some texts one after the other."""
    filled = 0
    for text in texts:
        for at in range(offsets[text], offsets[text + 1]):
            out[filled] = numbers[at]
            filled += 1


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def tally(numbers: Array, offsets: Array, texts: Array, counts: Array) -> None:
    """Add how often each number occurs in some texts to ``counts``."""
    for text in texts:
        for at in range(offsets[text], offsets[text + 1]):
            counts[numbers[at]] += 1


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def unequal_sequences(numbers: Array, offsets: Array, alike: Array, left: Array, right: Array) -> Array:
    """Which pairs of texts differ in their words, words with the same ``alike`` taken as one."""
    differ = np.zeros(len(left), np.bool_)
    for pair in range(len(left)):
        a, b = offsets[left[pair]], offsets[right[pair]]
        size = offsets[left[pair] + 1] - a
        if offsets[right[pair] + 1] - b != size:
            differ[pair] = True
            continue
        for step in range(size):
            if alike[numbers[a + step]] != alike[numbers[b + step]]:
                differ[pair] = True
                break
    return differ
