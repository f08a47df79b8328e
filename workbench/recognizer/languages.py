"""Spans of languages as views show them: which languages a text holds, and how many words each has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from workbench.recognizer.events import LanguageSpan, Word


def runs(spans: Iterable[Mapping[str, Any]] | None) -> list[list[Any]]:
    """[tag, words] of each run of one language, in order; empty where the text holds fewer than two.

    Args:
        spans: as predictions hold them: ``lang``, ``start_word``, ``end_word``.
    """
    found: list[list[Any]] = []
    for span in spans if spans is not None else ():
        words = int(span["end_word"]) - int(span["start_word"])
        if found and found[-1][0] == span["lang"]:
            found[-1][1] += words
        elif words:
            found.append([span["lang"], words])
    return found if len({tag for tag, _ in found}) > 1 else []


def written_ends(
    spans: Sequence[LanguageSpan], words: Sequence[Word], *, by_unit: bool
) -> list[tuple[str | None, int]]:
    """(tag, number of written words up to its end) of each span.

    Args:
        words: that the spans count. ``by_unit``: each is written alone; else glued ones belong to the word
            before them.
    """
    ends, count = [0], 0
    for place, word in enumerate(words):
        count += by_unit or not (word.glued and place)
        ends.append(count)
    return [(span.lang, ends[min(span.end_word, len(words))]) for span in spans]
