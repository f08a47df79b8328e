"""Numbers written in digits, spelled as they are said: ``23`` as ``vingt-trois``, by num2words.

Cardinals and, where num2words says them right, decimals. Digits that begin with 0 (``007``, phone numbers)
are said one by one; what touches a letter (``A4``, ``2nd``) stays. A year is said as a number; Portuguese as
in Brazil. Languages that num2words does not speak keep their digits: :data:`LANGUAGES` are those it does.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from num2words import CONVERTER_CLASSES, num2words

from workbench.locales import UNSPACED_LANGUAGES

_CODES = {"nb": "no", "pt": "pt_BR"}
LANGUAGES = frozenset({code for code in CONVERTER_CLASSES if len(code) == 2} | {"nb"})
"""Language codes whose numbers are said."""
_POINT = frozenset({"en", "ja", "ko", "zh", "th", "he", "hi"})
"""Where a point parts off decimals; elsewhere a comma does."""
_DECIMALS = frozenset(
    {
        "en",
        "es",
        "fr",
        "de",
        "it",
        "pt",
        "ru",
        "uk",
        "nl",
        "pl",
        "cs",
        "sk",
        "sl",
        "ro",
        "sv",
        "da",
        "fi",
        "ja",
    }
)
_LONGEST = 15


def spoken(text: str, language: str) -> str:
    """A text with its numerals said in a language (a code such as ``de``); the rest as it was."""
    if language not in LANGUAGES or not any(character.isdecimal() for character in text):
        return text
    plain = "".join(str(unicodedata.digit(c)) if c.isdecimal() else c for c in text)
    return _pattern(language).sub(lambda match: _said(match[0], language), plain)


@cache
def _pattern(language: str) -> re.Pattern[str]:
    group, mark = (",", r"\.") if language in _POINT else (r"\.", ",")
    apart = rf"[{group}\u00a0\u202f'’]"
    number = rf"(?:[1-9]\d{{0,2}}(?:{apart}\d{{3}})+|\d+)(?:{mark}\d+)?"
    # In scripts without spaces a numeral touches its neighbors.
    touching = r"[A-Za-z\d]" if language in UNSPACED_LANGUAGES or language == "ko" else r"\w"
    return re.compile(rf"(?<!{touching})(?<!\d[.,]){number}(?!{touching})(?![.,]\d)")


@cache
def _said(written: str, language: str) -> str:
    mark = "." if language in _POINT else ","
    whole, _, rest = written.partition(mark)
    whole = re.sub(r"\D", "", whole)
    if len(whole) + len(rest) > _LONGEST or (rest and language not in _DECIMALS):
        return written
    code = _CODES.get(language, language)
    if len(whole) > 1 and whole.startswith("0"):
        return written if rest else _digits(whole, code) or written
    return in_words(f"{whole}.{rest}" if rest else whole, code) or written


def _digits(written: str, code: str) -> str | None:
    """Digits said one by one; None where one cannot be said."""
    said = [in_words(digit, code) for digit in written]
    return None if None in said else " ".join(filter(None, said))


def in_words(number: str, code: str) -> str | None:
    """A number as it is said; None where num2words does not speak the language, or does not count so far.

    Args:
        number: digits, with a point before decimals.
        code: of a language, as num2words has it.
    """
    try:
        return str(num2words(float(number) if "." in number else int(number), lang=code))
    except (NotImplementedError, OverflowError, ValueError, KeyError, IndexError, TypeError):
        return None
