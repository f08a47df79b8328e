"""Tables and values as plain data that JSON holds: unknown is null. The one conversion of the house."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def plain(value: Any) -> Any:
    """A value that JSON can hold.

    NaN, NaT, NA and infinities become null, times ISO-8601, numpy and Arrow values their Python form, tuples
    and sets lists, keys texts; anything else, such as a path, becomes text.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if type(value).__name__ == "NAType":
        return None
    if isinstance(value, datetime | date):
        return None if value != value else value.isoformat()  # NaT differs from itself
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if hasattr(value, "as_py"):
        return plain(value.as_py())
    return str(value)


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values."""
    return [{str(k): plain(v) for k, v in row.items()} for row in frame.to_dict("records")]


def as_json(value: Any) -> str:
    """A value as indented JSON text."""
    return json.dumps(plain(value), ensure_ascii=False, indent=1, allow_nan=False)


def first(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The first row; an empty one where there is none."""
    return rows[0] if rows else {}
