"""Compiled alignment of many pairs of numbered sequences; like :mod:`kernels`, single threaded and unlocked.

Bit-parallel Levenshtein (H. Hyyrö, "A bit-vector algorithm for computing Levenshtein and Damerau edit
distances", Nordic J. Computing 10, 2003), its steps read back from the kept bit vectors in the order that
rapidfuzz reads them, so that among equally short alignments both give the same one (tested).
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_ZERO, _ONE = np.uint64(0), np.uint64(1)
_LAST_BIT = np.uint64(63)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def align_pairs(
    left: Array,
    right: Array,
    spans: Array,
    alphabet: int,
    counts: Array,
    keep: bool,
    operation: Array,
    source: Array,
    destination: Array,
) -> int:
    """Minimum edit distance alignments of many pairs of spans.

    Args:
        left, right: numbers below ``alphabet``; ``spans`` (pairs, 4): start and stop in each.
        counts: (pairs, 3), filled with substitutions, insertions, deletions.
        keep: whether to fill ``operation`` (0 substitution, 1 insertion, 2 deletion), ``source`` and
            ``destination`` (places within the pair, as rapidfuzz's ``editops`` gives them); they must hold
            the longer side of every pair.

    Returns:
        How many edits were filled in.
    """
    longest, cells = 1, 1
    for pair in range(len(spans)):
        n, m = spans[pair, 1] - spans[pair, 0], spans[pair, 3] - spans[pair, 2]
        longest, cells = max(longest, n), max(cells, m * ((n + 63) // 64))
    words = (longest + 63) // 64
    masks = np.empty(longest * words, np.uint64)
    ups, downs = np.empty(cells, np.uint64), np.empty(cells, np.uint64)
    up, down = np.empty(words, np.uint64), np.empty(words, np.uint64)
    local = np.full(alphabet, -1, np.int32)
    total = 0
    for pair in range(len(spans)):
        r0, r1, h0, h1 = spans[pair]
        skipped = 0
        while r0 < r1 and h0 < h1 and left[r0] == right[h0]:
            r0, h0, skipped = r0 + 1, h0 + 1, skipped + 1
        while r0 < r1 and h0 < h1 and left[r1 - 1] == right[h1 - 1]:
            r1, h1 = r1 - 1, h1 - 1
        n, m = r1 - r0, h1 - h0
        distance = max(n, m)
        if n and m:
            distance = _fill(left, right, r0, n, h0, m, local, masks, up, down, ups, downs)
        _read_back(
            left, right, r0, n, h0, m, skipped, ups, downs, distance, counts[pair],
            keep, total, operation, source, destination,
        )  # fmt: skip
        total += distance
    return total


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _fill(
    left: Array, right: Array, r0: int, n: int, h0: int, m: int,
    local: Array, masks: Array, up: Array, down: Array, ups: Array, downs: Array,
) -> np.int64:  # fmt: skip
    """Edit distance; leaves the vertical differences of every row in ``ups`` (+1) and ``downs`` (-1)."""
    blocks = (n + 63) // 64
    known = 0
    for place in range(n):
        symbol = left[r0 + place]
        if local[symbol] < 0:
            local[symbol] = known
            for block in range(blocks):
                masks[known * blocks + block] = _ZERO
            known += 1
        masks[local[symbol] * blocks + place // 64] |= _ONE << np.uint64(place % 64)
    for block in range(blocks):
        up[block], down[block] = ~_ZERO, _ZERO
    last = np.uint64((n - 1) % 64)
    distance = np.int64(n)
    for row in range(m):
        symbol = local[right[h0 + row]]
        carry_up, carry_down = _ONE, _ZERO
        for block in range(blocks):
            match = masks[symbol * blocks + block] if symbol >= 0 else _ZERO
            above, below = up[block], down[block]
            x = match | carry_down
            diagonal = (((x & above) + above) ^ above) | x | below
            rising, falling = below | ~(diagonal | above), diagonal & above
            if block == blocks - 1:
                distance += np.int64((rising >> last) & _ONE) - np.int64((falling >> last) & _ONE)
            next_up, next_down = rising >> _LAST_BIT, falling >> _LAST_BIT
            rising, falling = (rising << _ONE) | carry_up, (falling << _ONE) | carry_down
            carry_up, carry_down = next_up, next_down
            up[block], down[block] = falling | ~(diagonal | rising), rising & diagonal
            ups[row * blocks + block], downs[row * blocks + block] = up[block], down[block]
    for place in range(n):
        local[left[r0 + place]] = -1
    return distance


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _read_back(
    left: Array, right: Array, r0: int, n: int, h0: int, m: int, skipped: int, ups: Array, downs: Array,
    distance: int, counts: Array, keep: bool, base: int, operation: Array, source: Array, destination: Array,
) -> None:  # fmt: skip
    """One shortest path from the end: a deletion where the column rises, else an insertion where the row
    above falls, else a step along the diagonal."""
    blocks = (n + 63) // 64
    column, row, at = n, m, base + distance
    counts[:] = 0
    while column or row:
        code = 0
        if row == 0:
            code = 2
        elif column == 0:
            code = 1
        else:
            block, bit = (column - 1) // 64, np.uint64((column - 1) % 64)
            if (ups[(row - 1) * blocks + block] >> bit) & _ONE:
                code = 2
            elif row > 1 and (downs[(row - 2) * blocks + block] >> bit) & _ONE:
                code = 1
        if code == 2:
            column -= 1
        elif code == 1:
            row -= 1
        else:
            column, row = column - 1, row - 1
            if left[r0 + column] == right[h0 + row]:
                continue
        counts[code] += 1
        at -= 1
        if keep:
            operation[at] = code
            source[at], destination[at] = column + skipped, row + skipped
