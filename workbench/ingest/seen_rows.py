"""What a look at all rows of a source tells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Seen:
    """What one look at all rows tells.

    Attributes:
        total: rows.
        fit: rows without a fault and with an id of their own.
        odd_paths: rows whose path has to be looked at one by one.
        ids_given: rows with an id; ids_repeated: some of them are the same; ids_unfit: none that can be kept.
        infinite: rows with a number that is none, or too large to be exact.
        values: of target_lang, lang and split: value → (rows, first line).
    """

    total: int
    fit: int
    odd_paths: int
    ids_given: int
    ids_repeated: bool
    ids_unfit: int
    infinite: int
    values: tuple[dict[str, tuple[int, int]], ...]

    @property
    def own_ids(self) -> bool:
        """Every row has an id of its own from the source, so none is made and none can meet another."""
        return self.total == self.ids_given and not self.ids_unfit and not self.ids_repeated
