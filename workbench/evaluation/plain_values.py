"""Tables and values as plain data that JSON holds: unknown is null."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain Python values; NaN and infinities become None."""
    return [{str(k): plain(v) for k, v in row.items()} for row in frame.to_dict("records")]


def plain(value: Any) -> Any:
    """A value JSON can hold."""
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def as_json(summary: dict[str, Any]) -> str:
    return json.dumps(plain(summary), ensure_ascii=False, indent=1, allow_nan=False)


def first(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return rows[0] if rows else {}
