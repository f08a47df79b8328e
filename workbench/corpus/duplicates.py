"""The same, or nearly the same, sound or sentence a second time.

Near ones are looked for in two steps, so that a million rows need no million squared comparisons: hash
bands put likely pairs together (MinHash, Broder 1997; sign bits for sound), then each pair is compared.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

LEAST_LETTERS = 20
"""Shorter sentences are alike by chance."""
_SHINGLE = 4
_BANDS, _ROWS = 12, 3
_LARGEST_BUCKET = 60
_PRIME = (1 << 31) - 1


def exact(rows: Sequence[Mapping[str, Any]], key: str) -> Iterator[tuple[str, str]]:
    """(id, id of the first with the same key), for every row but the first."""
    first: dict[Hashable, str] = {}
    for row in rows:
        value = row[key]
        if value is None:
            continue
        if value in first:
            yield row["id"], first[value]
        else:
            first[value] = row["id"]


def near_texts(rows: Sequence[Mapping[str, Any]], threshold: float) -> Iterator[tuple[str, str, float]]:
    """(id, id of a near one, similarity 0 to 1): sentences of one language that differ a little.

    Args:
        rows: with ``sentence_key`` = (language, letters and digits).
        threshold: least similarity.
    """
    from rapidfuzz.fuzz import ratio

    first: dict[tuple[str, str], str] = {}
    for row in rows:
        key = row["sentence_key"]
        if key is not None and len(key[1]) >= LEAST_LETTERS:
            first.setdefault(key, row["id"])
    keys = list(first)
    seen: set[str] = set()
    for a, b in sorted(_text_pairs(keys)):
        one, other = keys[a], keys[b]
        likeness = ratio(one[1], other[1], score_cutoff=threshold * 100) / 100
        if likeness >= threshold and first[other] not in seen:
            seen.add(first[other])
            yield first[other], first[one], round(likeness, 3)


def _text_pairs(keys: Sequence[tuple[str, str]]) -> set[tuple[int, int]]:
    import numpy as np

    random = np.random.default_rng(20_240)
    factors = random.integers(1, _PRIME, _BANDS * _ROWS, dtype=np.int64)
    shifts = random.integers(0, _PRIME, _BANDS * _ROWS, dtype=np.int64)
    buckets: dict[Hashable, list[int]] = defaultdict(list)
    for index, (language, key) in enumerate(keys):
        shingles = {key[i : i + _SHINGLE] for i in range(len(key) - _SHINGLE + 1)}
        hashes = np.fromiter((zlib.crc32(s.encode()) & 0x7FFFFFFF for s in shingles), np.int64)
        least = ((hashes[:, None] * factors + shifts) % _PRIME).min(axis=0).reshape(_BANDS, _ROWS)
        for band in range(_BANDS):
            buckets[language, band, least[band].tobytes()].append(index)
    return _pairs(buckets.values())


def near_sounds(
    ids: Sequence[str],
    prints: np.ndarray,
    seconds: np.ndarray,
    hashes: Sequence[str | None],
    threshold: float,
) -> Iterator[tuple[str, str, float]]:
    """(id, id of a near one, cosine): recordings alike in the course of their energies.

    Args:
        ids: of the clips.
        prints: (clips, 64) fingerprints of :func:`workbench.corpus.measures.fingerprint`, unit length.
        seconds: (clips,) durations; pairs differ by at most 4 %.
        hashes: of the files; equal ones are exact duplicates, told elsewhere.
        threshold: least cosine.
    """
    import numpy as np

    buckets: dict[Hashable, list[int]] = defaultdict(list)
    # The strongest directions: their signs survive noise and re-encoding.
    for shift in range(4):
        bits = np.packbits(prints[:, shift::4] > 0, axis=1)
        scale = np.round(np.log(np.maximum(seconds, 0.01)) / 0.08).astype(int)
        for index in range(len(ids)):
            for near in (scale[index], scale[index] + 1):
                buckets[shift, int(near), bits[index].tobytes()].append(index)
    seen: set[int] = set()
    for a, b in sorted(_pairs(buckets.values())):
        if b in seen or abs(seconds[a] - seconds[b]) > 0.04 * max(seconds[a], seconds[b]):
            continue
        if hashes[a] is not None and hashes[a] == hashes[b]:
            continue
        cosine = float(prints[a] @ prints[b])
        if cosine >= threshold:
            seen.add(b)
            yield ids[b], ids[a], round(cosine, 4)


def _pairs(buckets: Iterable[Sequence[int]]) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for bucket in buckets:
        # What thousands share is a formula of the domain, not a pair.
        for at, a in enumerate(bucket[:_LARGEST_BUCKET]):
            for b in bucket[at + 1 : _LARGEST_BUCKET]:
                if a != b:
                    found.add((min(a, b), max(a, b)))
    return found
