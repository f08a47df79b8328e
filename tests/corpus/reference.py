"""Splits and likenesses in the plainest way, a dict a row: what the compact code must agree with."""

from __future__ import annotations

import random
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from rapidfuzz.fuzz import ratio

Row = Mapping[str, Any]


def components(rows: Sequence[Row], names: Iterable[str]) -> list[list[int]]:
    """Positions of rows that hang together by any of the keys, each group sorted, in order of first row."""
    parent = list(range(len(rows)))

    def top(index: int) -> int:
        while parent[index] != index:
            index = parent[index]
        return index

    for name in names:
        first: dict[Any, int] = {}
        for index, row in enumerate(rows):
            if row[name] is not None:
                a, b = top(first.setdefault(row[name], index)), top(index)
                parent[max(a, b)] = min(a, b)
    found: dict[int, list[int]] = defaultdict(list)
    for index in range(len(rows)):
        found[top(index)].append(index)
    return list(found.values())


def divide(rows: Sequence[Row], shares: Mapping[str, float], seed: int, speakers: str) -> list[int]:
    """Number of the split of each row, -1 where it is set aside."""
    tied = ["audio_key", "sentence_key"] + (["speaker_key"] if speakers == "disjoint" else [])
    groups = components(rows, tied)
    total = sum(row["duration"] for row in rows)
    biggest = max(sum(rows[i]["duration"] for i in group) for group in groups)
    voices = {rows[i]["speaker_key"] for i in max(groups, key=len)}
    lumped = speakers == "disjoint" and biggest > 0.5 * total and len(voices) > 1
    if lumped:
        groups = components(rows, ["audio_key", "speaker_key"])
    assigned = balanced(rows, groups, shares, seed)
    names = list(shares)
    if not lumped:
        return [names.index(name) for name in assigned]
    order = {"test": 0, "validation": 1, "train": 2}
    home: dict[Any, str] = {}
    for row, name in zip(rows, assigned, strict=True):
        key = row["sentence_key"]
        if key is not None and order[name] < order.get(home.get(key, ""), 4):
            home[key] = name
    return [
        names.index(name) if row["sentence_key"] is None or home[row["sentence_key"]] == name else -1
        for row, name in zip(rows, assigned, strict=True)
    ]


def balanced(
    rows: Sequence[Row], groups: Sequence[Sequence[int]], shares: Mapping[str, float], seed: int
) -> list[str]:
    """Each group to the split that its cells miss most; large groups first, ties by the seed."""
    order = list(groups)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda group: -round(sum(rows[i]["duration"] for i in group) / 30))
    wanted: dict[Any, float] = defaultdict(float)
    for row in rows:
        wanted[row["target_lang"], row["accent"]] += row["duration"]
    have: dict[Any, float] = defaultdict(float)
    assigned = [""] * len(rows)
    for group in order:
        seconds: dict[Any, float] = defaultdict(float)
        for i in group:
            seconds[rows[i]["target_lang"], rows[i]["accent"]] += rows[i]["duration"]
        gaps = {
            name: sum(
                weight * (share * wanted[cell] - have[cell, name]) / (share * wanted[cell])
                for cell, weight in seconds.items()
            )
            for name, share in shares.items()
        }
        best = max(gaps, key=lambda name: (round(gaps[name], 9), shares[name]))
        for i in group:
            assigned[i] = best
        for cell, weight in seconds.items():
            have[cell, best] += weight
    return assigned


def near_texts(keys: Sequence[tuple[str, str]], threshold: float) -> list[tuple[int, int, float]]:
    """(place, place of the first near one, similarity) of distinct (language, letters), by MinHash bands."""
    draw = np.random.default_rng(20_240)
    factors = draw.integers(1, (1 << 31) - 1, 36, dtype=np.int64)
    shifts = draw.integers(0, (1 << 31) - 1, 36, dtype=np.int64)
    buckets: dict[Any, list[int]] = defaultdict(list)
    for index, (language, key) in enumerate(keys):
        shingles = {key[i : i + 4] for i in range(len(key) - 3)}
        hashes = np.array([zlib.crc32(s.encode()) & 0x7FFFFFFF for s in shingles], np.int64)
        least = ((hashes[:, None] * factors + shifts) % ((1 << 31) - 1)).min(axis=0).reshape(12, 3)
        for band in range(12):
            buckets[language, band, least[band].tobytes()].append(index)
    pairs = {(a, b) for some in buckets.values() for a in some[:60] for b in some[:60] if a < b}
    found: dict[int, tuple[int, int, float]] = {}
    for a, b in sorted(pairs):
        likeness = ratio(keys[a][1], keys[b][1], score_cutoff=threshold * 100) / 100
        if likeness >= threshold and b not in found:
            found[b] = (b, a, round(likeness, 3))
    return sorted(found.values())
