"""Speakers and sources that stand apart by their loudness, and those whose own clips differ much.

One finding a group, not one a clip: what is wrong is the group, and a speaker of thousand clips would bury
all else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from workbench.corpus.quality.rules import Rule
from workbench.corpus.quality.text_checks import Hit

GROUPS = ("speaker", "source")
"""Columns whose values are groups."""
FEWEST, FEWEST_SPREAD = 5, 10
"""Clips of a group that is judged, for its median and for its spread."""

Array = np.ndarray[Any, np.dtype[Any]]


def hits(
    rows: Iterable[Mapping[str, Any]],
    measured: Mapping[str, Mapping[str, Any]],
    wanted: Mapping[str, Rule],
) -> Iterator[Hit]:
    """Findings of the rules on loudness.

    Args:
        rows: with ``id`` and those of :data:`GROUPS` that the corpus has.
        measured: id → measures, for the clips that have them.
        wanted: rules that shall run.
    """
    if not {"loudness_apart", "loudness_spread"} & set(wanted):
        return
    heard: list[tuple[float, str]] = []
    groups: dict[str, tuple[str, ...]] = {}
    for row in rows:
        lufs = measured.get(row["id"], {}).get("loudness_lufs")
        if lufs is not None and lufs == lufs:
            heard.append((float(lufs), row["id"]))
            groups[row["id"]] = tuple(f"{name} {row[name]}" for name in GROUPS if row.get(name))
    heard.sort()
    levels = np.array([lufs for lufs, _ in heard])
    places: dict[str, list[int]] = {}
    for place, (_, id_) in enumerate(heard):
        for who in groups[id_]:
            places.setdefault(who, []).append(place)
    for who in sorted(places):
        own = np.array(places[who])
        yield from ((heard[at][1], rule, told) for at, rule, told in _of_group(who, own, levels, wanted))


def _of_group(
    who: str, own: Array, levels: Array, wanted: Mapping[str, Rule]
) -> Iterator[tuple[int, str, str]]:
    """Place, rule and words of a group's findings; ``own``: its places in ``levels``, both rising."""
    count = len(own)
    limit = _limit(wanted, "loudness_apart")
    if limit is not None and FEWEST <= count <= len(levels) // 2:
        middle, rest = float(np.median(levels[own])), _median_of_others(own, levels)
        if abs(middle - rest) > limit:
            told = f"{who}: {middle:.1f} LUFS in the middle of {count} clips, all others {rest:.1f}"
            yield int(own[count // 2]), "loudness_apart", told
    limit = _limit(wanted, "loudness_spread")
    if limit is not None and count >= FEWEST_SPREAD:
        low, high = np.percentile(levels[own], [10, 90])
        if high - low > limit:
            told = f"{who}: {low:.1f} to {high:.1f} LUFS (10th to 90th percentile of {count} clips)"
            yield int(own[0]), "loudness_spread", told


def _median_of_others(own: Array, levels: Array) -> float:
    """In time that grows with the group, not with the corpus: a corpus has thousands of speakers."""
    rest = len(levels) - len(own)
    before = own - np.arange(len(own))  # how many others lie before each
    ranks = np.array([(rest - 1) // 2, rest // 2])
    return float(levels[ranks + np.searchsorted(before, ranks, "right")].mean())


def _limit(wanted: Mapping[str, Rule], rule: str) -> float | None:
    return wanted[rule].threshold if rule in wanted else None
