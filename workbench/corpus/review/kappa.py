"""Agreement of reviewers beyond chance, for any number of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence


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


def kappa(shared: Sequence[Mapping[str, str]], accepted: str) -> float | None:
    """Kappa over the judgments of clips: Cohen's (1960) where exactly two reviewers gave them, else Fleiss's.

    Args:
        shared: of each clip, reviewer → outcome, of two outcomes.
        accepted: one of them.
    """
    reviewers = sorted({name for views in shared for name in views})
    if len(reviewers) != 2 or not shared:
        return fleiss_kappa([list(views.values()) for views in shared])
    first, second = reviewers
    pairs = [(views[first], views[second]) for views in shared]
    observed = sum(a == b for a, b in pairs) / len(pairs)
    p1 = sum(a == accepted for a, _ in pairs) / len(pairs)
    p2 = sum(b == accepted for _, b in pairs) / len(pairs)
    chance = p1 * p2 + (1 - p1) * (1 - p2)
    return None if chance == 1 else (observed - chance) / (1 - chance)
