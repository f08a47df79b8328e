"""Rows that a team declares to hold no speech, and rows that are translations: what each may be used for.

A clip of silence or noise is declared by a column ``no_speech`` that is true in its row, or by a reviewer's
tag ``no speech``. Its empty transcript is then meant, and no error. A row whose ``lang`` is another language
than its ``target_lang`` is a translation: a recognizer cannot learn from it, nor be scored on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workbench.locales import AUTO, language_of

COLUMN = "no_speech"
TAG = "no speech"
LIMIT = 0.1
"""Most of an export's or a training source's rows that may be declared without speech."""
_TRUE = frozenset({"true", "1", "1.0", "yes", "y", "t"})
_NORWEGIAN = frozenset({"no", "nb", "nn"})


def is_declared(no_speech: Any, tags: Any = None) -> bool:
    """Whether a row's values of ``no_speech`` and ``tags`` declare it to hold no speech."""
    if no_speech is not None and str(no_speech).strip().lower() in _TRUE:
        return True
    # A manifest's list comes as the text that stands there.
    held = re.split(r"[\[\]\",;]+", tags) if isinstance(tags, str) else tags
    try:
        return any(str(tag).strip().lower().replace("-", " ").replace("_", " ") == TAG for tag in held)
    except TypeError:  # no list, as in rows of other sources
        return False


def declared(columns: Mapping[str, Sequence[Any]], rows: int) -> Iterator[bool]:
    """:func:`is_declared` of each row of a batch of columns, some of which may be absent."""
    none = [None] * rows
    pairs = zip(columns.get(COLUMN, none), columns.get("tags", none), strict=True)
    return (is_declared(*pair) for pair in pairs)


def translation(lang: Any, target_lang: Any) -> str | None:
    """What a row translates, such as ``en to de``; None where both are one language, or one is not stated."""
    if not isinstance(lang, str) or not isinstance(target_lang, str) or AUTO in (lang, target_lang):
        return None
    spoken, written = language_of(lang), language_of(target_lang)
    if spoken is None or written is None or spoken == written or {spoken, written} <= _NORWEGIAN:
        return None
    return f"{spoken} to {written}"
