"""Compiled loops over compact arrays of a corpus's rows: what hangs together, and hashes of shingles."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

BANDS, ROWS = 12, 3
LETTERS = 16
"""Kinds of letters that are counted."""
PRIME = (1 << 31) - 1
"""Of the hash functions of MinHash; a Mersenne prime."""
_MIX = np.uint64(0x9E3779B97F4A7C15)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def unite(parent: Array, firsts: Array) -> None:
    """Join every row to the first row of its key in a forest (rows,) of parents; -1 has no key.

    The root of a tree is its lowest row.
    """
    for row in range(len(firsts)):
        if firsts[row] < 0:
            continue
        a, b = firsts[row], row
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a < b:
            parent[b] = a
        else:
            parent[a] = b


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def roots(parent: Array) -> None:
    """Replace every parent (rows,) by the root of its tree; parents are never above their rows."""
    for row in range(len(parent)):
        parent[row] = parent[parent[row]]


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def first_among(firsts: Array, chosen: Array) -> Array:
    """First row of the same key among the chosen rows only; -1 elsewhere. All arrays are (rows,)."""
    found = np.full(len(firsts), -1, np.int32)
    seen = np.full(len(firsts), -1, np.int32)
    for row in range(len(firsts)):
        key = firsts[row]
        if key >= 0 and chosen[row]:
            if seen[key] < 0:
                seen[key] = row
            found[row] = seen[key]
    return found


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def band_hashes(
    data: Array, ends: Array, salts: Array, shingle: int, crc: Array, factors: Array, shifts: Array
) -> tuple[Array, Array, Array]:
    """MinHash of texts, their least hashes put together by bands (Broder 1997).

    Args:
        data: UTF-8 of all texts, end to end; ``ends`` (texts,) where each ends.
        salts: (texts,) a number that is mixed into every band; texts that differ in it meet in none.
        shingle: characters of a shingle; its hash is the CRC-32 of its UTF-8, of which 31 bits are kept.
        crc: (256,) table of CRC-32.
        factors, shifts: (BANDS * ROWS,) of the hash functions, below PRIME.

    Returns:
        (BANDS, texts) of 64 bits; (texts, LETTERS) how often each kind of letter occurs, at most 255 times;
        (texts,) characters.
    """
    made = np.empty((BANDS, len(ends)), np.uint64)
    letters = np.zeros((len(ends), LETTERS), np.uint8)
    lengths = np.zeros(len(ends), np.int32)
    least = np.empty(BANDS * ROWS, np.int64)
    begin = 0
    for text in range(len(ends)):
        least[:] = PRIME
        end = ends[text]
        start, stop, held = begin, begin, 0
        while stop < end:
            kind = np.uint32(data[stop])
            stop += 1
            while stop < end and (data[stop] & 0xC0) == 0x80:
                kind = kind * np.uint32(31) + np.uint32(data[stop])
                stop += 1
            held += 1
            kind = (kind ^ (kind >> np.uint32(4))) % np.uint32(LETTERS)
            if letters[text, kind] < 255:
                letters[text, kind] += 1
            if held < shingle:
                continue
            code = np.uint32(0xFFFFFFFF)
            for at in range(start, stop):
                code = crc[(code ^ data[at]) & 0xFF] ^ (code >> np.uint32(8))
            number = np.int64((code ^ np.uint32(0xFFFFFFFF)) & np.uint32(0x7FFFFFFF))
            for one in range(BANDS * ROWS):
                hashed = (number * factors[one] + shifts[one]) % PRIME
                least[one] = min(least[one], hashed)
            start += 1
            while start < end and (data[start] & 0xC0) == 0x80:
                start += 1
        for band in range(BANDS):
            mixed = np.uint64(salts[text]) * _MIX
            for one in range(band * ROWS, band * ROWS + ROWS):
                mixed = (mixed ^ np.uint64(least[one])) * _MIX
                mixed ^= mixed >> np.uint64(29)
            made[band, text] = mixed
        lengths[text] = held
        begin = end
    return made, letters, lengths


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def pairs_of_runs(
    hashes: Array,
    texts: Array,
    letters: Array,
    lengths: Array,
    unlike: float,
    largest: int,
    most: int,
    start: int,
) -> tuple[Array, int]:
    """Pairs of texts with the same hash that may be alike, where the hashes (n,) are sorted.

    Letters that one text has and the other lacks are insertions and deletions for certain, so a pair of which
    they are too many needs no closer look.

    Args:
        texts: (n,) numbers of the texts; those of one hash ascend.
        letters, lengths: of all texts, as :func:`band_hashes` counts them.
        unlike: most insertions and deletions, as a share of both lengths.
        largest: of a longer run only the first so many are paired.
        most: stop before a run that could not be held in so many pairs.
        start: position of the first run.

    Returns:
        (pairs, 2) of texts, the lower first, and the position to go on from.
    """
    made = np.empty((most, 2), np.int32)
    count, begin = 0, start
    while begin < len(hashes):
        end = begin + 1
        while end < len(hashes) and hashes[end] == hashes[begin]:
            end += 1
        held = min(end - begin, largest)
        if count + held * (held - 1) // 2 > most:
            break
        for one in range(begin, begin + held):
            for other in range(one + 1, begin + held):
                a, b = texts[one], texts[other]
                off = 0
                for kind in range(LETTERS):
                    off += abs(int(letters[a, kind]) - int(letters[b, kind]))
                if off <= unlike * (lengths[a] + lengths[b]) + 1e-6:
                    made[count, 0], made[count, 1] = a, b
                    count += 1
        begin = end
    return made[:count], begin
