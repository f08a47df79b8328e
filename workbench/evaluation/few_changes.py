"""How far a paired difference may lie from zero where few utterances changed, or none.

A resampled or flipped sample cannot show the change that it does not hold: where two systems agree on every
clip of a slice, its interval is [0, 0] whatever the truth. So what got worse and what got better are
bounded as counts. Each count has its exact Poisson limits (none seen: at most 3.7 at 95 %, the rule of
three two-sided) after it is divided by a design effect, because changes of one speaker come together; the
two rates are joined into an interval of their difference (MOVER, as Newcombe joins paired proportions).

The design effect is estimated from the spread of the changes over clusters, drawn toward
:data:`PLANNED_DESIGN` by :data:`PLANNED_WEIGHT` changed clusters, and raised for few clusters by the squared
ratio of Student's quantile to the normal one.

What it cannot know: a fifth of all speakers who lose a third of their clips are missing from 12 speakers in
one sample of 14, which then says too little. Only more speakers help.

* Korn and Graubard, "Confidence intervals for proportions with small expected number of positive counts
  estimated from survey data", Survey Methodology 24, 1998: exact limits of an effective count.
* Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28, 1936.
* Newcombe, "Improved confidence intervals for the difference between binomial proportions based on paired
  data", Statistics in Medicine 17, 1998; Zou and Donner, "Construction of confidence limits about effect
  measures", Statistics in Medicine 27, 2008.
* Henderson and Sundaresan, "Cluster sampling to assess immunization coverage", Bulletin of the WHO 60,
  1982: a design effect of 2 where none is known.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import gammaincinv, ndtri, stdtrit

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

PLANNED_DESIGN = 2.0
"""Design effect before anything is known of it."""
PLANNED_WEIGHT = 1.0
"""Changed clusters that this plan weighs as much as."""


def change_bounds(changes: Array, tail: float) -> tuple[float, float]:
    """Both ends of the difference of two rates, each cut off with ``tail``.

    Args:
        changes: (clusters, 2) errors of b minus errors of a, and reference units (above 0 in all).
        tail: probability beyond each end, such as 0.025.

    Returns:
        Low and high, per reference unit; beyond -1 and 1 too, as insertions take an error rate above 1.
    """
    moved, units = changes[:, 0], changes[:, 1]
    whole = float(units.sum())
    design = design_effect(changes, tail)
    (worse, worse_low, worse_high), (better, better_low, better_high) = (
        _poisson(float(np.maximum(sign * moved, 0).sum()), whole, design, tail) for sign in (1, -1)
    )
    difference = worse - better
    low = difference - math.hypot(worse - worse_low, better_high - better)
    return low, difference + math.hypot(worse_high - worse, better - better_low)


def design_effect(changes: Array, tail: float) -> float:
    """By how much clusters that change together thin a count out, at least 1 before Student's share."""
    moved, units = changes[:, 0], changes[:, 1]
    clusters, whole = len(changes), float(units.sum())
    spread = count = 0.0
    for sign in (1, -1):
        events = np.maximum(sign * moved, 0)
        total = float(events.sum())
        spread += float(((events - total / whole * units) ** 2).sum()) * clusters / (clusters - 1)
        count += total
    changed = int(np.count_nonzero(moved))
    seen = spread / count if count else PLANNED_DESIGN
    drawn = (changed * seen + PLANNED_WEIGHT * PLANNED_DESIGN) / (changed + PLANNED_WEIGHT)
    return max(1.0, drawn) * float(stdtrit(clusters - 1, tail) / ndtri(tail)) ** 2


def _poisson(count: float, units: float, design: float, tail: float) -> tuple[float, float, float]:
    """A rate with the exact limits of a count that is worth ``count / design`` independent events."""
    events, per_event = count / design, design / units
    low = float(gammaincinv(events, tail)) * per_event if events else 0.0
    return count / units, low, float(gammaincinv(events + 1, 1 - tail)) * per_event
