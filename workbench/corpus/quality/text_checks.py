"""Flaws of transcripts: script, markup, digits, punctuation, case and rate of characters."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from rapidfuzz.distance import Levenshtein

from workbench import locales
from workbench.errors import WorkbenchError
from workbench.language_tags import find_tags, strip_tag
from workbench.text import normalize

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

Hit = tuple[str, str, Any]
"""id, rule, value."""

_MARKUP = re.compile(
    r"</?[A-Za-z][^<>]{0,80}>|&(?:[A-Za-z]{2,8}|#\d{1,6});|\[[^\]]*\]?|\{[^}]*\}?|\*|<v-\w+>|[\u2028\u2029]"
    r"|^\(|\((?:noise|laugh|cough|music|silence|inaudible|unintelligible)[^)]*\)",
    re.IGNORECASE,
)
_MAY_BE_MARKUP = re.compile(r"[<&\[{*(\u2028\u2029]")
_DIGIT = re.compile(r"\d")
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


def hits(
    ids: Sequence[str],
    texts: Sequence[str | None],
    tags: Sequence[Any],
    thresholds: Mapping[str, float],
    silent: Iterable[bool] | None = None,
) -> Iterator[Hit]:
    """Findings of all transcript rules but the rate.

    Args:
        tags: locale tags. ``silent``: whether each row is declared to hold no speech; none by default.
    """
    declared = [False] * len(ids) if silent is None else silent
    for id_, text, tag, is_silent in zip(ids, texts, tags, declared, strict=True):
        if not text or text.isspace():
            yield id_, "no_speech" if is_silent else "text_empty", None
            continue
        if is_silent:
            yield id_, "no_speech_text", text[:40]
        bare = text.strip()
        if "<" in text:
            tags = find_tags(text)
            bare = strip_tag(text)[0]
            if tags:
                yield id_, "stray_tag", tags[-1].locale or tags[-1].written
            if odd := next((found for found in tags if not found.exact), None):
                yield id_, "tag_form", odd.written
        for rule, value in _of_text(bare, tag, thresholds):
            yield id_, rule, value


class _Scripts(dict[int, str]):
    """For ``str.translate``: a letter becomes a character that stands for its script, all else goes."""

    def __init__(self) -> None:
        super().__init__()
        self.codes: dict[str, str] = {}

    def __missing__(self, code: int) -> str:
        name = script_of(chr(code))
        found = "" if name is None else self.codes.setdefault(name, chr(len(self.codes) + 33))
        self[code] = found
        return found


_SCRIPTS = _Scripts()


def _of_text(text: str, tag: Any, thresholds: Mapping[str, float]) -> Iterator[tuple[str, Any]]:
    found = _MARKUP.search(text) if _MAY_BE_MARKUP.search(text) else None
    if found:
        yield "markup", found[0][:40]
    if _DIGIT.search(text):
        yield "digits", "".join(c for c in text if c.isdecimal())[:20]
    scripts = text.translate(_SCRIPTS)
    kinds = {name: scripts.count(code) for name, code in _SCRIPTS.codes.items() if code in scripts}
    if len(_LOOK_ALIKE.intersection(kinds)) > 1:
        mixed = next((word for word in text.split() if _mixes(word)), None)
        if mixed is not None:
            yield "mixed_script", mixed[:40]
    if not locales.is_known(tag):
        return
    row = locales.locale(tag)
    if scripts:
        foreign = (len(scripts) - sum(kinds.get(name, 0) for name in _NAMES[row.script])) / len(scripts)
        if foreign > thresholds.get("wrong_script", 0.5):
            yield "wrong_script", round(foreign, 3)
    end = text.rstrip(_CLOSING)
    if row.final_marks and scripts and not end.endswith((*row.final_marks, "…")):
        yield "no_final_mark", text[-1:]
    if row.cased and scripts and _odd_case(text, len(scripts)):
        yield "no_capital", text[:20]


def _odd_case(text: str, letters: int) -> bool:
    """No capital at the beginning, or capitals throughout."""
    each = (c for c in text if script_of(c))
    if next(each).islower():
        return True
    return letters >= 8 and all(c.isupper() for c in text if script_of(c))


def _mixes(word: str) -> bool:
    # Suffixes joined with a mark, as in "email-ом", mix on purpose.
    return any(
        len({s for s in map(script_of, part) if s in _LOOK_ALIKE}) > 1 for part in re.split(r"[\W\d_]", word)
    )


def letters_for_rate(texts: Sequence[str | None]) -> list[int]:
    """Characters of each transcript, its tag left out."""
    return [len((text if "<" not in text else strip_tag(text)[0]).strip()) if text else 0 for text in texts]


def odd_rates(letters: Array, seconds: Array, locale: Array, threshold: float) -> Iterator[tuple[int, float]]:
    """(place, characters a second) of clips far from what is usual in their locale (robust z of logarithms).

    Args:
        letters: (clips,) of :func:`letters_for_rate`.
        seconds: (clips,) NaN where unknown.
        locale: (clips,) number of the locale of each.
        threshold: of the robust z; locales of fewer than LEAST_FOR_RATE clips are not judged.
    """
    rated = np.flatnonzero((letters > 0) & (seconds > 0))
    rates = letters[rated] / seconds[rated]
    logs = np.fromiter(map(math.log, rates), np.float64, len(rates))
    for one in np.unique(locale[rated]):
        here = np.flatnonzero(locale[rated] == one)
        if len(here) < LEAST_FOR_RATE:
            continue
        off = np.abs(logs[here] - np.median(logs[here]))
        spread = 1.4826 * float(np.median(off)) or 1e-9
        for at in here[off / spread > threshold]:
            yield int(rated[at]), round(float(rates[at]), 2)


def unknown_hits(
    ids: Sequence[str], texts: Sequence[str | None], tokenizer: Any, threshold: float
) -> Iterator[Hit]:
    """Transcripts with pieces that the tokenizer does not know; ``value`` names the characters, and the share
    of pieces."""
    known: dict[str, bool] = {}
    rates = unknown_rates([text or "" for text in texts], tokenizer)
    for id_, text, rate in zip(ids, texts, rates, strict=True):
        if rate > threshold:
            named = [c for c in dict.fromkeys(strip_tag(text or "")[0]) if not c.isspace()]
            new = [c for c in named if c not in known]
            known |= {c: not share for c, share in zip(new, unknown_rates(new, tokenizer), strict=True)}
            which = " ".join(c for c in named if not known[c])
            yield id_, "unknown_characters", f"{which or 'not told apart'} ({rate:.1%} of pieces)"


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
                hint="Give a SentencePieceProcessor, or a NeMo model.",
            )
    unknown = processor.unk_id()
    pieces = processor.encode([strip_tag(text)[0] for text in texts], out_type=int)
    return [sum(p == unknown for p in some) / len(some) if some else 0.0 for some in pieces]


def disagreement(text: Any, tag: Any, hypothesis: Any) -> float | None:
    """Characters in which a model's hypothesis differs from a transcript, both normalized, over those of the
    transcript; None where there is no transcript (null, as a table has it)."""
    reference = normalize(strip_tag(text)[0], tag) if isinstance(text, str) else ""
    if not reference:
        return None
    return Levenshtein.distance(reference, normalize(strip_tag(str(hypothesis or ""))[0], tag)) / len(
        reference
    )
