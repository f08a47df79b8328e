"""Tables of figures: unknown texts are None in them, as their docstrings say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd


def as_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Rows as a table in which unknown texts are None; see :func:`unknown_as_none`.

    Args:
        rows: column → value each.
        columns: which, in which order; all by default, in the order in which they first come.
    """
    return unknown_as_none(pd.DataFrame(list(rows), columns=columns))


def unknown_as_none(frame: pd.DataFrame) -> pd.DataFrame:
    """A table, changed in place, whose columns of text hold None where nothing is known.

    pandas' own text columns hold NaN there, which is no ``None`` and counts as true: a text that is there.
    """
    for name, kind in frame.dtypes.items():
        if isinstance(kind, pd.StringDtype) and frame[name].isna().any():
            frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    return frame
