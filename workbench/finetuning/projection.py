"""What more data may bring: hours projected along the learning curve, or why the points do not say.

Error rates of one system fall about as a power of the hours it learns from, towards a floor that no data take
away (Hestness et al., "Deep Learning Scaling is Predictable, Empirically", 2017, arXiv:1712.00409). Three
points do not say where the floor is: every projection is made under many floors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.glance import Glance, as_html, as_text
from workbench.signatures import public

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

DRAWS = 4000
FARTHEST = 10.0
"""Times the longest measured hours beyond which nothing is projected."""


@public
@dataclass(frozen=True)
class Projection:
    """Hours of the target's data until its rate is ``goal``.

    Attributes:
        hours: by the curve that fits best; infinite where it does not reach the goal.
        low, high: 95 % interval over the points' errors and the floors that they allow.
        longest: the most hours that were measured.
    """

    goal: float
    hours: float
    low: float
    high: float
    longest: float
    metric: str

    @property
    def extrapolated(self) -> bool:
        return self.hours > self.longest

    @property
    def more(self) -> float:
        """Hours beyond the longest measured; 0 where the goal lies within."""
        return max(0.0, self.hours - self.longest)

    @property
    def unknown(self) -> str:
        """Why the points do not say how many hours lead to the goal; empty where they do."""
        farthest = FARTHEST * self.longest
        if math.isinf(self.low):
            return "the curve does not fall that far"
        if self.low > farthest or (self.hours > farthest and not math.isinf(self.hours)):
            return f"it lies beyond {_hours(farthest)}, {FARTHEST:g} times what was measured"
        if math.isinf(self.hours):
            return f"the curve may level off before it; at least {_hours(self.low)}, if at all"
        return ""

    def __str__(self) -> str:
        what = f"{self.goal:.0%} {self.metric.upper()}"
        if why := self.unknown:
            return f"unknown how many hours lead to {what}: {why}"
        end = _hours(self.high) if self.high <= FARTHEST * self.longest else "no known end"
        span = f"95 %: {_hours(self.low)} to {end}"
        if not self.extrapolated:
            return f"about {_hours(self.hours)} to {what} ({span}), within what was measured"
        return (
            f"extrapolation beyond {_hours(self.longest)}: about {_hours(self.hours)} to {what} "
            f"({_hours(self.more)} more; {span})"
        )

    __repr__ = __str__


@public
@dataclass(frozen=True)
class Curve:
    """``table``: one row a share, and the base as share 0: share, hours, rate, low, high, utterances."""

    table: pd.DataFrame
    metric: str

    def project(self, goal: float, seed: int = 0) -> Projection:
        """Hours to a rate of ``goal`` (a fraction): least squares in logarithms above a floor; the interval
        by drawing every point anew from its own, and the floor from those that are possible.

        Raises:
            WorkbenchError: goal not in (0, 1], or fewer than two measured shares with errors.
        """
        if not 0 < goal <= 1:
            raise WorkbenchError(f"{goal} is no rate", hint="Give a fraction, such as 0.2 for 20 %.")
        points = self.table[(self.table["share"] > 0) & (self.table["rate"] > 0)]
        if len(points) < 2:
            raise WorkbenchError("a projection needs two shares with errors", hint="Measure more shares.")
        hours, rates = (points[name].to_numpy(float) for name in ("hours", "rate"))
        spread = (points["high"].to_numpy(float) - points["low"].to_numpy(float)) / (2 * 1.96)
        spread = np.where(np.isfinite(spread), spread, rates)
        rng = np.random.default_rng(seed)
        drawn = np.clip(rates + rng.standard_normal((DRAWS, len(points))) * spread, 1e-4, None)
        # Half of the curves without a floor, half with one anywhere below the lowest point.
        floors = 0.98 * drawn.min(axis=1) * rng.random(DRAWS) * (rng.random(DRAWS) < 0.5)
        found = _reached(hours, drawn, floors, goal)
        middle = float(_reached(hours, rates[None], _best_floor(hours, rates), goal)[0])
        # Whole order statistics: an average with infinity would be nothing.
        low, high = (float(np.sort(found)[round(q * (DRAWS - 1))]) for q in (0.025, 0.975))
        return Projection(goal, middle, min(low, middle), max(high, middle), float(hours.max()), self.metric)

    def more_hours(self, points: float, seed: int = 0) -> Projection:
        """How many hours lower the rate by so many percentage points more than the longest share did: see
        ``more`` of the answer, and ``unknown`` where the points do not say.

        Raises:
            WorkbenchError: no rate is left below, or as :meth:`project`.
        """
        best = float(self.table.loc[self.table["hours"].idxmax(), "rate"])
        if not 0 < points < 100 * best:
            what = f"{points:g} points below {best:.1%} is no rate"
            raise WorkbenchError(what, hint="Ask for fewer points.")
        return self.project(best - points / 100, seed)

    def _glance(self) -> Glance:
        ordered = self.table.sort_values("hours")
        ends = [ordered.iloc[place] for place in (0, -1)]
        (least, before), (most, after) = ((_hours(row["hours"]), _percent(row["rate"])) for row in ends)
        of = "characters" if self.metric == "cer" else "words"
        sentence = (
            f"From {least} to {most} of the target: from {before} to {after} of {of} wrong; more_hours(5) "
            "says how many more hours bring five points, or why that is unknown."
        )
        rows = [
            (
                f"{100 * row['share']:.0f} %", _hours(row["hours"]), _percent(row["rate"]),
                "none" if row["low"] != row["low"] else f"{_percent(row['low'])} to {_percent(row['high'])}",
                f"{int(row['utterances']):,}",
            )
            for row in ordered.to_dict("records")
        ]  # fmt: skip
        return Glance(sentence, ("share of the data", "hours", f"{of} wrong", "interval", "utterances"), rows)

    __repr__, _repr_html_ = as_text, as_html


def _best_floor(hours: Array, rates: Array) -> Array:
    """The floor under which the points lie best on a curve; none where it makes no difference."""
    if len(rates) < 3:
        return np.zeros(1)
    grid = np.linspace(0, 0.98, 99) * rates.min()
    start, slope = _line(hours, np.tile(rates, (len(grid), 1)), grid)
    curves = np.exp(start[:, None] + slope[:, None] * np.log(hours)) + grid[:, None]
    misfit = ((curves / rates - 1) ** 2).sum(axis=1)
    best: Array = grid[[int(np.argmin(np.round(misfit, 9)))]]
    return best


def _line(hours: Array, rates: Array, floors: Array) -> tuple[Array, Array]:
    """Least squares of log(rate - floor) on log(hours): starts and slopes."""
    at = np.log(hours)
    above = np.log(np.maximum(rates - floors[:, None], 1e-9))
    centered = at - at.mean()
    slope = above @ centered / (centered @ centered)
    return above.mean(axis=1) - slope * at.mean(), slope


def _reached(hours: Array, rates: Array, floors: Array, goal: float) -> Array:
    """Hours where each curve meets ``goal``; infinite where it does not fall, or not so far."""
    start, slope = _line(hours, rates, floors)
    falls = (slope < -1e-9) & (goal > floors)
    wanted = np.log(np.maximum(goal - floors, 1e-12))
    exponent = np.divide(wanted - start, slope, out=np.full(len(slope), np.inf), where=falls)
    found: Array = np.exp(np.minimum(exponent, 700.0))
    return np.where(exponent > 700.0, np.inf, found)


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _hours(value: float) -> str:
    if math.isinf(value):
        return "no end"
    return f"{value:.1f} h" if value >= 1 else f"{60 * value:.0f} min"
