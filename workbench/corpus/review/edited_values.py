"""What a reviewer may write into a field of a row, as it is kept: text, tags of locales, seconds; ids."""

from __future__ import annotations

import math

from workbench import locales
from workbench.errors import WorkbenchError
from workbench.ingest.schema import EDITABLE, NUMBERS, split_name

_LONGEST_TEXT = 100_000
_LONGEST_S = 1e6
"""Eleven days; nobody records longer in one piece."""


def checked_value(field: str, value: str | float | None) -> str | None:
    """The value as decisions keep it; None means not known.

    Args:
        value: text; for ``offset`` and ``duration`` seconds, as a number or its text.

    Raises:
        WorkbenchError: a field that cannot be edited, an unknown locale tag, text that no transcript can
            hold, no number of seconds.
    """
    if field not in EDITABLE:
        raise WorkbenchError(f"{field[:40]!r} cannot be edited", hint=f"Editable: {', '.join(EDITABLE)}.")
    if value is None:
        if field in ("text", "offset"):
            said = "a transcript cannot be unknown" if field == "text" else "an offset cannot be unknown"
            raise WorkbenchError(said, hint="Reject the clip, or leave it as it is.")
        return None
    if field in NUMBERS:
        return _seconds(field, value)
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or "\0" in value:
        raise WorkbenchError(f"not a value for {field}", hint="Text without NUL characters.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise WorkbenchError(f"an unpaired surrogate at position {error.start}", where=field) from error
    value = " ".join(value.split()) if field == "text" else value.strip()
    if field == "target_lang":
        return locales.canonical(value)
    if field == "split":
        return split_name(value) or None
    return value if field == "text" else value or None


def _seconds(field: str, value: str | float) -> str:
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    lowest = 0.0 if field == "offset" else 0.001
    if not lowest <= seconds <= _LONGEST_S:
        raise WorkbenchError(
            f"{str(value)[:40]!r} is no {field}", hint=f"Seconds, at least {lowest:g}: 3.25, for example."
        )
    return repr(round(seconds, 6))


def checked_id(clip: str) -> str:
    """An id that can be kept.

    Raises:
        WorkbenchError: no text, or text with an unpaired surrogate.
    """
    if not isinstance(clip, str):
        raise WorkbenchError(f"{str(clip)[:40]!r} is no id of a clip", hint="Give ids as text.")
    try:
        clip.encode()
    except UnicodeEncodeError as error:
        raise WorkbenchError(f"unpaired surrogate at position {error.start}", where="id") from error
    return clip


def checked_tag(tag: str) -> str:
    """A reviewer's tag.

    Raises:
        WorkbenchError: empty, longer than 100 characters, or not printable.
    """
    text = tag.strip()
    if not text or len(text) > 100 or not text.isprintable():
        raise WorkbenchError("a tag is 1 to 100 printable characters")
    return text
