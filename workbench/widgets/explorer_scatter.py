"""Each word as two models read it: its accuracy by one and by the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from workbench.evaluation import Evaluation

LEAST = 2
"""A word that occurs once is right or wrong, and says little."""
MOST_WORDS = 4_000
NAMED = 200
"""Words that one point carries along to be filtered by."""


def scatter(evaluation: Evaluation, against: str, name: str, where: Any, normalizer: str) -> dict[str, Any]:
    """Words of the references that two predictions share, as points.

    Returns:
        ``points``, those that changed most first: ``before`` and ``now`` (accuracy, 0 to 1), ``words`` at
        this place, most frequent first, ``occurrences`` of all of them, ``count`` of words; ``better``,
        ``worse`` and ``same``: words; ``rare``: words left out for occurring less than ``LEAST`` times.
    """
    asked: dict[str, Any] = {"where": where, "normalizer": normalizer}
    before, now = evaluation.words(against, **asked), evaluation.words(name, **asked)
    both = now.merge(before, on="word", suffixes=("", "_before"))
    both = both[(both["occurrences"] > 0) & (both["occurrences_before"] > 0)]
    often = both[both["occurrences"] >= LEAST].nlargest(MOST_WORDS, "occurrences")
    change = often["accuracy"] - often["accuracy_before"]
    points = []
    places = often.groupby([often["accuracy_before"].round(3), often["accuracy"].round(3)], sort=True)
    for (x, y), group in places:
        points.append(
            {
                "before": float(x),
                "now": float(y),
                "words": group["word"].tolist()[:NAMED],
                "count": len(group),
                "occurrences": int(group["occurrences"].sum()),
            }
        )
    points.sort(key=lambda point: (-abs(point["now"] - point["before"]), -point["occurrences"]))
    return {
        "points": points,
        "better": int(np.sum(change > 0)),
        "worse": int(np.sum(change < 0)),
        "same": int(np.sum(change == 0)),
        "rare": len(both) - int(np.sum(both["occurrences"] >= LEAST)),
    }
