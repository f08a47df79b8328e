"""Flaws of transcripts: script, markup, digits, punctuation, case and rate of characters."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from workbench import locales
from workbench.errors import WorkbenchError
from workbench.text import normalise, strip_tag

Hit = tuple[str, str, Any]
"""id, rule, value."""

_MARKUP = re.compile(
    r"</?[A-Za-z][^<>]{0,80}>|&(?:[A-Za-z]{2,8}|#\d{1,6});|\[[^\]]*\]?|\{[^}]*\}?|\*|<v-\w+>|[\u2028\u2029]"
    r"|^\(|\((?:noise|laugh|cough|music|silence|inaudible|unintelligible)[^)]*\)",
    re.IGNORECASE,
)
_TAG = re.compile(r"<[a-z]{2,3}-[A-Z]{2}>|<auto>")
_CLOSING = "\"'»”’)]›」』 "
_LOOK_ALIKE = frozenset({"LATIN", "CYRILLIC", "GREEK"})
_NAMES = {
    "Latin": ("LATIN",), "Cyrillic": ("CYRILLIC",), "Greek": ("GREEK",), "Arabic": ("ARABIC",),
    "Hebrew": ("HEBREW",), "Devanagari": ("DEVANAGARI",), "Hangul": ("HANGUL", "CJK"), "Thai": ("THAI",),
    "Han": ("CJK",), "Japanese": ("CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"),
}  # fmt: skip
LEAST_FOR_RATE = 30


@cache
def script_of(character: str) -> str | None:
    """First word of the Unicode name of a letter, e.g. ``GREEK``; None for what is no letter."""
    if unicodedata.category(character)[0] != "L":
        return None
    return unicodedata.name(character, "UNKNOWN").split(" ")[0].removesuffix("-")


def hits(rows: Sequence[Mapping[str, Any]], thresholds: Mapping[str, float]) -> Iterator[Hit]:
    """Findings of all transcript rules but the rate."""
    for row in rows:
        text = row["text"] or ""
        if not text.strip():
            yield row["id"], "text_empty", None
            continue
        bare, tag = strip_tag(text)
        if tag is not None or _TAG.search(text):
            yield row["id"], "stray_tag", tag
        for rule, value in _of_text(bare, row["target_lang"], thresholds):
            yield row["id"], rule, value


def _of_text(text: str, tag: Any, thresholds: Mapping[str, float]) -> Iterator[tuple[str, Any]]:
    found = _MARKUP.search(text)
    if found:
        yield "markup", found[0][:40]
    if any(c.isdecimal() for c in text):
        yield "digits", "".join(c for c in text if c.isdecimal())[:20]
    mixed = next((word for word in text.split() if _mixes(word)), None)
    if mixed is not None:
        yield "mixed_script", mixed[:40]
    if not locales.is_known(tag):
        return
    row = locales.locale(tag)
    scripts = [s for s in map(script_of, text) if s is not None]
    if scripts:
        foreign = sum(s not in _NAMES[row.script] for s in scripts) / len(scripts)
        if foreign > thresholds.get("wrong_script", 0.5):
            yield "wrong_script", round(foreign, 3)
    end = text.rstrip(_CLOSING)
    if row.final_marks and scripts and not end.endswith((*row.final_marks, "…")):
        yield "no_final_mark", text[-1:]
    if row.cased and scripts:
        letters = [c for c in text if script_of(c)]
        if letters[0].islower() or (len(letters) >= 8 and all(c.isupper() for c in letters)):
            yield "no_capital", text[:20]


def _mixes(word: str) -> bool:
    # Suffixes joined with a mark, as in "email-ом", mix on purpose.
    return any(
        len({s for s in map(script_of, part) if s in _LOOK_ALIKE}) > 1 for part in re.split(r"[\W\d_]", word)
    )


def rate_hits(rows: Sequence[Mapping[str, Any]], threshold: float) -> Iterator[Hit]:
    """Clips whose characters per second are far from what is usual in their locale."""
    by_locale: dict[Any, list[tuple[str, float]]] = defaultdict(list)
    for row in rows:
        length = len(strip_tag(row["text"] or "")[0])
        if length and row["duration"]:
            by_locale[row["target_lang"]].append((row["id"], length / row["duration"]))
    for some in by_locale.values():
        if len(some) < LEAST_FOR_RATE:
            continue
        logs = [math.log(rate) for _, rate in some]
        middle = _median(logs)
        spread = 1.4826 * _median([abs(value - middle) for value in logs]) or 1e-9
        for (id_, rate), value in zip(some, logs, strict=True):
            if abs(value - middle) / spread > threshold:
                yield id_, "character_rate", round(rate, 2)


def unknown_hits(rows: Sequence[Mapping[str, Any]], tokenizer: Any, threshold: float) -> Iterator[Hit]:
    """Transcripts with pieces that the tokenizer does not know; ``value`` is their share."""
    for row, rate in zip(rows, unknown_rates([row["text"] or "" for row in rows], tokenizer), strict=True):
        if rate > threshold:
            yield row["id"], "unknown_characters", round(rate, 4)


def unknown_rates(texts: Sequence[str], tokenizer: Any) -> list[float]:
    """Share of unknown pieces of each text, the tag left out.

    Args:
        texts: transcripts.
        tokenizer: a ``SentencePieceProcessor``, or what holds one as ``tokenizer`` (NeMo's tokenizers and
            models do).

    Raises:
        WorkbenchError: no such thing.
    """
    processor = tokenizer
    while not hasattr(processor, "unk_id"):
        processor = getattr(processor, "tokenizer", None)
        if processor is None:
            raise WorkbenchError(
                f"a {type(tokenizer).__name__} is no SentencePiece tokenizer",
                mend="Give a SentencePieceProcessor, or a NeMo model.",
            )
    unknown = processor.unk_id()
    pieces = processor.encode([strip_tag(text)[0] for text in texts], out_type=int)
    return [sum(p == unknown for p in some) / len(some) if some else 0.0 for some in pieces]


def _median(values: Sequence[float]) -> float:
    import statistics

    return statistics.median(values)


def disagreement(text: str | None, tag: Any, hypothesis: Any) -> float | None:
    """Characters in which a model's hypothesis differs from a transcript, both normalised, over those of the
    transcript; None where there is no transcript."""
    from rapidfuzz.distance import Levenshtein

    reference = normalise(strip_tag(text or "")[0], tag)
    if not reference:
        return None
    return Levenshtein.distance(reference, normalise(str(hypothesis or ""), tag)) / len(reference)
