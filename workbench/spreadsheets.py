"""Tables that spreadsheets open: nothing in them runs, and no text breaks a row."""

from __future__ import annotations

from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""How a cell begins that a spreadsheet would run."""
LINE_END = "\r\n"
"""RFC 4180; with it writers put quotes around a text that holds a carriage return or a line feed."""


def defused(value: Any) -> Any:
    """What a spreadsheet shows instead of running: text with a leading apostrophe. Numbers stay numbers."""
    if isinstance(value, list | tuple):
        value = "; ".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA) else value


def undefused(value: str) -> str:
    """The text that :func:`defused` was given."""
    return value[1:] if value[:1] == "'" and value[1:].lstrip(" ").startswith(FORMULA) else value
