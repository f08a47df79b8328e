"""Agreement of reviewers beyond chance, for any number of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def fleiss_kappa(judged: Sequence[Sequence[str]]) -> float | None:
    """Agreement beyond chance of any number of reviewers.

    Args:
        judged: of each clip what its two or more reviewers said.

    Returns:
        1 for full agreement, 0 for chance; None where there is nothing to compare or only one answer occurs.
    """
    if not judged:
        return None
    everything = Counter(value for values in judged for value in values)
    total = sum(everything.values())
    observed = 0.0
    for values in judged:
        count = len(values)
        observed += sum(n * (n - 1) for n in Counter(values).values()) / (count * (count - 1))
    observed /= len(judged)
    chance = sum((n / total) ** 2 for n in everything.values())
    return None if chance == 1 else (observed - chance) / (1 - chance)
