"""Populations of speakers made of errors that recognizers really made, whose true rates are known exactly.

Not the generator that the intervals were chosen on: nothing is drawn from a named distribution. A speaker is
a block of eight clips of one voice, with the errors and words that the starter really had there. A sample
draws speakers with replacement, and of each as many clips as callers have, with replacement; the true rate is
the mean of speakers' errors over the mean of their words.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from workbench.evaluation import intervals
from workbench.evaluation import significance as sig
from workbench.evaluation.rates import Settings

Array = np.ndarray[Any, np.dtype[Any]]
BLOCK = 8
DRAWS = Settings().seed
_FILE = json.loads(Path(__file__).with_name("real_errors.json").read_text("utf-8"))
_AT = {name: place for place, name in enumerate(_FILE["columns"])}
POPULATIONS = {
    "words, as read": ("errors_base", "words"),
    "words, adapted": ("errors_tuned", "words"),
    "words at 80 ms": ("errors_80ms", "words"),
    "language tags": ("tag_wrong_base", ""),
    "language tags, adapted": ("tag_wrong_tuned", ""),
}
PAIRS = {
    "adapted against base": ("errors_base", "errors_tuned", "words"),
    "80 ms against offline": ("errors_base", "errors_80ms", "words"),
    "tags, adapted against base": ("tag_wrong_base", "tag_wrong_tuned", ""),
}


def speakers(*columns: str) -> list[Array]:
    """(clips, columns) counts of each speaker; an empty name counts clips."""
    voices: dict[str, list[list[Any]]] = {}
    for row in _FILE["rows"]:
        voices.setdefault(f"{row[0]} {row[1]}", []).append(row)
    found = []
    for rows in voices.values():
        counts = np.array([[row[_AT[c]] if c else 1 for c in columns] for row in rows])
        found += [counts[at : at + BLOCK] for at in range(0, len(counts) - BLOCK // 2, BLOCK)]
    return found


def truth(population: list[Array]) -> Array:
    """Expected counts of one clip of a speaker drawn at random."""
    return np.mean([own.mean(axis=0) for own in population], axis=0)


def sample(population: list[Array], size: int, rng: np.random.Generator) -> Array:
    """(size, columns) counts of speakers of 8 to 24 clips."""
    drawn = rng.integers(len(population), size=size)
    clips = rng.integers(8, 25, size)
    return np.array(
        [
            population[who][rng.integers(len(population[who]), size=n)].sum(axis=0)
            for who, n in zip(drawn, clips, strict=True)
        ]
    )


def coverage(name: str, size: int, replications: int, resamples: int, seed: int) -> dict[str, float]:
    """Shares of samples: with an interval (``given``); of these, whose interval ``held`` the true rate, and
    whose truth lies ``above`` and ``below`` it."""
    population, share = speakers(*POPULATIONS[name]), name.startswith("language")
    errors, units = truth(population)
    rng, ends = np.random.default_rng(seed), []
    for _ in range(replications):
        found = intervals.ratio_interval(
            sample(population, size, rng), resamples=resamples, seed=DRAWS, share=share
        )
        if not np.isnan(found.low):
            ends.append((found.low, found.high))
    if not ends:
        return {"given": 0.0}
    low, high = np.array(ends).T
    above, below = float((high < errors / units).mean()), float((low > errors / units).mean())
    held = {"held": round(1 - above - below, 4), "above": round(above, 4), "below": round(below, 4)}
    return {"rate": round(float(errors / units), 4), "given": len(ends) / replications, **held}


def differences(name: str, size: int, replications: int, resamples: int, seed: int) -> dict[str, float]:
    """Shares of samples: the interval misses the true change; with the systems' names thrown by a coin for
    each speaker, so that there is no change, the test rejects at 5 %."""
    population = speakers(*PAIRS[name])
    before, after, units = truth(population)
    change, rng = (after - before) / units, np.random.default_rng(seed)
    missed = rejected = given = judged = 0
    for _ in range(replications):
        drawn = sample(population, size, rng)
        found = sig.paired_difference(drawn, resamples=resamples, seed=DRAWS)
        if not np.isnan(found.low):
            given += 1
            missed += not found.low <= change <= found.high
        swap = rng.random(size) < 0.5
        drawn[swap] = drawn[swap][:, [1, 0, 2]]
        null = sig.paired_difference(drawn, resamples=resamples, seed=DRAWS)
        if not np.isnan(null.p_value):
            judged += 1
            rejected += null.p_value < 0.05
    shares = {"interval_missed": missed / max(given, 1), "rejected_without_change": rejected / max(judged, 1)}
    return {"change": round(float(change), 4), **{k: round(v, 4) for k, v in shares.items()}}
