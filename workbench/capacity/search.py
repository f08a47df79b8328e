"""The largest number of streams that holds a budget: doubling until it fails, then halving the gap.

A number holds if most of its repeats do; the repeats stop as soon as that is decided. On a shared machine one
disturbed repeat must not decide, and three in a row are no accident.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

Trial = Callable[[int, int], bool]
"""(streams, repeat) → whether that measurement kept the budget."""


@dataclass(frozen=True, slots=True)
class Largest:
    """What a search found at one look-ahead.

    Attributes:
        streams: the largest number that held; 0: not even one.
        fails_at: the smallest number that did not; None: none was reached below the ceiling, so ``streams``
            is a lower bound.
        kept, repeats: how many of the repeats at ``streams`` kept the budget.
        complete: False where the search was cancelled: ``streams`` then held, more might.
    """

    lookahead_ms: int
    streams: int
    fails_at: int | None
    kept: int
    repeats: int
    complete: bool = True

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        if self.fails_at is None:
            return f"at least {self.streams}"
        return f"{self.streams} ({self.fails_at} did not)"


class Search:
    """The search at one look-ahead, one measurement at a time, so that it can be left at any point.

    Args:
        start: first number tried. ``ceiling``: no more than these. ``tolerance``: stop when the gap is at
            most this part of the number that holds.
        repeats: measurements per number; most of them decide.
    """

    def __init__(
        self,
        lookahead_ms: int,
        *,
        start: int = 1,
        ceiling: int = 512,
        tolerance: float = 0.05,
        repeats: int = 3,
    ) -> None:
        self.lookahead_ms, self.start, self.ceiling = lookahead_ms, min(start, ceiling), ceiling
        self.tolerance, self.repeats = tolerance, repeats
        self.low = 0
        self.high: int | None = None
        self.complete = False
        self._kept: dict[int, tuple[int, int]] = {}

    def steps(self, trial: Trial) -> Iterator[int]:
        """Run the search; yields the number of streams before each measurement."""
        while (streams := self._next()) is not None:
            kept = repeat = 0
            while max(kept, repeat - kept) <= self.repeats // 2:
                yield streams
                kept += trial(streams, repeat)
                repeat += 1
            self._kept[streams] = (kept, repeat)
            if kept > self.repeats // 2:
                self.low = streams
            else:
                self.high = streams
        self.complete = True

    def found(self) -> Largest:
        """What is known now."""
        kept, repeats = self._kept.get(self.low, (0, 0))
        return Largest(self.lookahead_ms, self.low, self.high, kept, repeats, self.complete)

    def most_left(self) -> int:
        """An upper bound of the measurements that are still to come, for a progress bar."""
        if self.high is None:
            doublings = max(0, (self.ceiling // max(self.low, self.start)).bit_length())
            return self.repeats * (doublings + 4)
        return self.repeats * max(0, (self.high - self.low).bit_length() - 1)

    def _next(self) -> int | None:
        if self.high is None:
            doubled = max(self.start, 2 * self.low)
            return None if self.low >= self.ceiling else min(doubled, self.ceiling)
        if self.high - self.low <= max(1, int(self.tolerance * self.low)):
            return None
        return (self.low + self.high) // 2
