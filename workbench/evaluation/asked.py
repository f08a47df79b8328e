"""What the views of an evaluation ask it for: its alignments, its settings, its two tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from workbench.evaluation.malloc_trim import give_back
from workbench.evaluation.rates import Settings
from workbench.evaluation.scored import Headline, ScoredCorpus
from workbench.evaluation.slices import Where, mask

if TYPE_CHECKING:
    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]

Made = TypeVar("Made")


class Asked(Protocol):
    """The part of :class:`workbench.evaluation.Evaluation` that its views build on."""

    scored: ScoredCorpus
    settings: Settings

    def rates(
        self,
        name: str,
        by: str | Sequence[str] | None = None,
        metric: Headline = "headline",
        normalizer: str | None = None,
        where: Where = None,
    ) -> pd.DataFrame: ...

    def compare(
        self,
        a: str,
        b: str,
        by: str | Sequence[str] | None = None,
        metric: Headline = "headline",
        normalizer: str | None = None,
        where: Where = None,
    ) -> pd.DataFrame: ...


def rows_of(asked: Asked, *names: str, where: Where = None) -> Array:
    """Rows that all these predictions cover and ``where`` means."""
    chosen = mask(asked.scored.rows, where)
    for name in names:
        chosen = chosen & asked.scored.prediction(name).present
    return np.flatnonzero(chosen)


def normalizer_of(asked: Asked, name: str | None) -> str:
    """A normalizer by name; None: the evaluation's."""
    return name or asked.settings.normalizer


def kept(asked: Asked, key: object, make: Callable[[], Made]) -> Made:
    """What was made before under this key, else what ``make`` gives."""
    if key not in asked.scored.kept:
        asked.scored.kept[key] = make()
        give_back(len(asked.scored))
    found: Made = asked.scored.kept[key]
    return found
