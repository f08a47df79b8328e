"""Personal data in transcripts and drafts, by rules: a team's list of names, numbers, e-mail, payment cards.

What it is not: it recognizes no names that nobody listed, no addresses, dates or illnesses, and nothing that
was misrecognized into other words. It marks what it is sure of, so that people have less to hear; a release
of recordings still needs somebody who listens.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from workbench.language_tags import find_tags
from workbench.numerals import in_words

Kind = Literal["name", "number", "email", "card"]
LEAST_DIGITS = 4
"""Shorter runs of digits ("room 12") are left alone."""
LEAST_SPOKEN = 3
"""Number words in a row that make a number: "nine four seven"."""

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_DIGITS = re.compile(r"(?<!\w)\+?\d(?:[\s./-]?\(?\d\)?)*(?!\w)")
_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class PersonalSpan:
    """Characters ``start`` to ``end`` of a text; ``kind``: name, number, email or card."""

    start: int
    end: int
    kind: Kind


def find_personal(text: str, locale: str | None, names: Iterable[str] = ()) -> list[PersonalSpan]:
    """The spans of a text that are personal data by the rules, in order, none inside another.

    Args:
        text: a transcript, tags and all.
        locale: its tag, for number words; without one only digits count.
        names: of people, places, accounts: whole words, case and accents aside.
    """
    found = [PersonalSpan(*match.span(), "email") for match in _EMAIL.finditer(text)]
    for match in _DIGITS.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if len(digits) >= LEAST_DIGITS:
            kind: Kind = "card" if 13 <= len(digits) <= 19 and _luhn(digits) else "number"
            found.append(PersonalSpan(*match.span(), kind))
    found += _spoken(text, locale)
    found += _named(text, tuple(names))
    inside = [(tag.start, tag.end) for tag in find_tags(text)]
    found = [one for one in found if not any(a <= one.start < b for a, b in inside)]
    made: list[PersonalSpan] = []
    for one in sorted(found, key=lambda span: (span.start, -span.end)):
        if not made or one.start >= made[-1].end:
            made.append(one)
        elif one.end > made[-1].end:
            made[-1] = PersonalSpan(made[-1].start, one.end, made[-1].kind)
    return made


def redacted(text: str, spans: Sequence[PersonalSpan]) -> str:
    """The text without the spans: what is left once their sound is bleeped."""
    parts, at = [], 0
    for span in spans:
        parts.append(text[at : span.start])
        at = span.end
    return " ".join("".join([*parts, text[at:]]).split())


def _luhn(digits: str) -> bool:
    doubled = [int(d) * (2 if at % 2 else 1) for at, d in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def _spoken(text: str, locale: str | None) -> list[PersonalSpan]:
    """Runs of number words, with nothing but spaces and commas between."""
    known = number_words((locale or "").split("-")[0])
    found, run = list[PersonalSpan](), list[re.Match[str]]()

    def end() -> None:
        if len(run) >= LEAST_SPOKEN:
            found.append(PersonalSpan(run[0].start(), run[-1].end(), "number"))
        run.clear()

    for match in _WORD.finditer(text):
        if run and text[run[-1].end() : match.start()].strip(" ,.-"):
            end()
        if plain(match[0]) in known:
            run.append(match)
        else:
            end()
    end()
    return found


@functools.cache
def number_words(language: str) -> frozenset[str]:
    """Words of the numbers 0 to 99 in a language, plain; none where nobody has them."""
    said = [in_words(str(number), language) for number in range(100)]
    if None in said:
        return frozenset()
    listed = {plain(word) for text in said for word in _WORD.findall(text or "")}
    extra = {"double", "triple", "oh"} if language == "en" else set()
    return frozenset(
        {word for word in listed if len(word) > 1} - {"and", "et", "und", "y", "e", "og"} | extra
    )


def _named(text: str, names: tuple[str, ...]) -> list[PersonalSpan]:
    wanted = [words for name in names if (words := [plain(word) for word in _WORD.findall(name)])]
    if not wanted:
        return []
    there = list(_WORD.finditer(text))
    said = [plain(match[0]) for match in there]
    found = []
    for at in range(len(said)):
        for words in wanted:
            if said[at : at + len(words)] == words:
                found.append(PersonalSpan(there[at].start(), there[at + len(words) - 1].end(), "name"))
    return found


def plain(word: str) -> str:
    """A word without case and accents."""
    parts = unicodedata.normalize("NFKD", word.casefold())
    return "".join(c for c in parts if not unicodedata.combining(c))
