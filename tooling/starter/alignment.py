"""When each letter of the clips that the starter hears is spoken: found once, kept in a file."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tooling.starter.emissions import spelling
from tooling.starter.features import FeatureCache
from tooling.starter.forced_alignment import Floats, Ints, align

log = logging.getLogger("tooling.starter")


@dataclass(frozen=True, slots=True)
class Alignment:
    """``spoken[start[i]:start[i + 1]]``: the letter's place in its spelling each 10 ms of clip i, or -1."""

    spoken: npt.NDArray[np.int16]
    start: Ints

    def own(self, index: int) -> npt.NDArray[np.int16]:
        """The clip's letters at its plain speed."""
        return self.spoken[self.start[index] : self.start[index + 1]]

    def with_silent(self, start: Ints) -> Alignment:
        """This alignment and clips behind it of which nothing is known; ``start`` as in their cache."""
        silent = np.full(int(start[-1]), -1, np.int16)
        return Alignment(
            np.concatenate([self.spoken, silent]), np.concatenate([self.start, start[1:] + self.start[-1]])
        )


def cached(rows: list[dict[str, Any]], cache: FeatureCache, target: Path, seed: int) -> Alignment:
    """Alignment of the rows' letters with their log-mel features; read from ``target`` if there."""
    if not target.is_file():
        found = _align(rows, [cache.clip(i).astype(np.float32) for i in range(len(rows))], seed)
        partial = target.with_suffix(".partial.npz")
        np.savez(partial, spoken=np.concatenate(found).astype(np.int16), start=cache.start)
        partial.replace(target)
    with np.load(target) as held:
        return Alignment(held["spoken"], held["start"])


def _align(rows: list[dict[str, Any]], clips: list[Floats], seed: int) -> list[Ints]:
    found: list[Ints] = [np.zeros(0, np.int64)] * len(rows)
    for voice in sorted({row["source"] for row in rows}):
        own = [i for i, row in enumerate(rows) if row["source"] == voice]
        spoken = align([clips[i] for i in own], [spelling(rows[i]["text"]) for i in own], seed)
        for i, places in zip(own, spoken, strict=True):
            found[i] = places
        log.info("aligned %d clips of %s", len(own), voice)
    return found
