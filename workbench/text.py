"""Named normalisers, word and character splitting, and the language tag at the end of a transcript.

Every figure names the normaliser behind it; figures of two normalisers are never compared.

========== =====================================================================================
raw        Unicode NFC and single spaces; case and punctuation count
basic      NFKC, lower case (Turkish dotted i in ``tr``), punctuation and symbols off, apostrophes inside
           words kept and written ``'``, ё as е, Arabic and Hebrew optional points and tatweel off
whisper    OpenAI's English rules for ``en``, its Basic rules elsewhere with combining marks kept, since
           dropping them would delete vowels of Hindi or Thai
========== =====================================================================================

Columns of texts are normalised as one joined string (``*_many``): four passes in C instead of four per row.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache

from workbench.errors import WorkbenchError

UNSPACED_LANGUAGES = frozenset({"ja", "zh", "th", "yue", "lo", "km", "my"})
"""Written without spaces between words: :func:`words` splits these by character."""

CHARACTER_LANGUAGES = UNSPACED_LANGUAGES | {"ko"}
"""Scored by characters without spaces."""

_TAG = re.compile(r"\s*<([a-z]{2,3}-[A-Z]{2}|auto)>")
_SPACES = re.compile(r"[^\S\n]+")
_EDGE_SPACES = re.compile(r"^ | $", re.MULTILINE)
_LOOSE_APOSTROPHE = re.compile(r"(?<!\w)'|'(?!\w)")
_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼʹ`´′＇‛", "'"))
_TURKISH = str.maketrans({"I": "ı", "İ": "i"})
# Arabic harakat, dagger alif, tatweel and Hebrew points: written or left out at will in everyday text.
_POINTS = re.compile("[\u0640\u064b-\u0652\u0670\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]")
_YO = str.maketrans("ёЁ", "еЕ")


def strip_tag(text: str) -> tuple[str, str | None]:
    """Take language tags such as ``<el-GR>`` out of a transcript.

    Returns:
        The text without tags (as NeMo's ``strip_lang_tags`` leaves it) and the last tag found, or None.
    """
    if "<" not in text:
        return text.strip(), None
    found = _TAG.findall(text)
    return (_TAG.sub("", text).strip(), found[-1]) if found else (text.strip(), None)


def normalise(text: str, locale: str | None, name: str = "basic") -> str:
    """One text under a named normaliser. ``locale`` is a tag such as ``tr-TR``; None means no language rules.

    Raises:
        WorkbenchError: no normaliser of that name.
    """
    return normalise_many([text], locale, name)[0]


def normalise_many(texts: Sequence[str], locale: str | None, name: str = "basic") -> list[str]:
    """The same as :func:`normalise` on each text, in one pass over all of them."""
    try:
        rule = NORMALISERS[name]
    except KeyError:
        known = ", ".join(NORMALISERS)
        raise WorkbenchError(f"unknown normaliser {str(name)[:40]!r}", mend=f"Use one of {known}.") from None
    return rule(texts, _language(locale)) if texts else []


def words(text: str, locale: str | None) -> list[str]:
    """Split normalised text into the units of the word error rate.

    At spaces; in languages written without them (ja, zh, th) each character with its combining marks is a
    unit and runs of Latin letters or digits stay whole, so that the figure is a mixed error rate.
    """
    return _UNSPACED_UNITS.findall(text) if _language(locale) in UNSPACED_LANGUAGES else text.split()


def characters(text: str, locale: str | None) -> str:
    """The units of the character error rate: code points, spaces included as jiwer does.

    Without spaces in ja, ko, zh and th, where spacing is a matter of style.
    """
    return "".join(text.split()) if _language(locale) in CHARACTER_LANGUAGES else text


def normalised_key(text: str) -> str:
    """What two texts share when only case, spacing, punctuation or width differ; for duplicates and leakage.

    Tag off, case folded, NFKC, then letters, their combining marks and digits only.
    """
    bare = strip_tag(text)[0]
    return _not_letters().sub(
        "", unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", bare).casefold())
    )


def fold_spelling(text: str) -> str:
    """What is left when differences of encoding and habit are folded: NFKC, apostrophes, ё as е, invisibles.

    Errors that vanish under it are counted apart: a SentencePiece tokenizer writes NFKC, so a model cannot
    be blamed for them.
    """
    folded = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).translate(_YO)
    return "".join(c for c in folded if unicodedata.category(c) != "Cf")


def _language(locale: str | None) -> str:
    return locale.split("-")[0].lower() if isinstance(locale, str) else ""


def _joined(texts: Sequence[str]) -> str:
    """Texts on one line each; line breaks inside a text become spaces so that the count stays."""
    block = "\n".join(texts)
    if block.count("\n") != len(texts) - 1:
        block = "\n".join([text.replace("\n", " ") for text in texts])
    return block


def _lines(block: str) -> list[str]:
    return _EDGE_SPACES.sub("", _SPACES.sub(" ", block)).split("\n")


def _raw(texts: Sequence[str], language: str) -> list[str]:
    return _lines(unicodedata.normalize("NFC", _joined(texts)))


def _basic(texts: Sequence[str], language: str) -> list[str]:
    # Spacing accents such as U+00B4 fall apart under NFKC: apostrophes are mapped before it.
    block = unicodedata.normalize("NFKC", _joined(texts).translate(_APOSTROPHES))
    if language in ("tr", "az"):
        block = block.translate(_TURKISH)
    block = block.lower().translate(_YO)
    if language in ("ar", "he", "fa", "ur", "yi"):
        block = _POINTS.sub("", block)
    block = _marks_off().sub(" ", _invisible().sub("", block))
    # Lower case can undo NFKC (a capital with a dot below falls apart), so compose at the end.
    return _lines(unicodedata.normalize("NFKC", _LOOSE_APOSTROPHE.sub(" ", block)))


def _whisper(texts: Sequence[str], language: str) -> list[str]:
    rule = _whisper_rule("en" if language == "en" else "other")
    # The package's rules leave an outer space where a mark stood at the edge of a text.
    return [" ".join(rule(text).split()) for text in texts]


@cache
def _whisper_rule(kind: str) -> Callable[[str], str]:
    from whisper_normalizer.basic import BasicTextNormalizer
    from whisper_normalizer.english import EnglishTextNormalizer

    rule: Callable[[str], str]
    rule = EnglishTextNormalizer() if kind == "en" else BasicTextNormalizer(preserve_marks=True)
    return rule


def _ranges(keep: Callable[[str], bool]) -> str:
    """Code points for which ``keep`` holds, as the inside of a regular-expression class."""
    parts, start = [], -1
    for point in range(sys.maxunicode + 2):
        inside = point <= sys.maxunicode and not 0xD800 <= point <= 0xDFFF and keep(chr(point))
        if inside and start < 0:
            start = point
        elif not inside and start >= 0:
            parts.append(f"{re.escape(chr(start))}-{re.escape(chr(point - 1))}")
            start = -1
    return "".join(parts)


@cache
def _marks_off() -> re.Pattern[str]:
    """Punctuation and symbols, the apostrophe spared."""
    return re.compile(f"[{_ranges(lambda c: c != _APOSTROPHE and unicodedata.category(c)[0] in 'PS')}]")


@cache
def _invisible() -> re.Pattern[str]:
    """Format characters, the two joiners spared: Indic scripts and Persian spell with them."""
    return re.compile(f"[{_ranges(lambda c: unicodedata.category(c) == 'Cf' and c not in _JOINERS)}]")


@cache
def _not_letters() -> re.Pattern[str]:
    return re.compile(f"[{_ranges(lambda c: unicodedata.category(c)[0] not in 'LMN')}]")


_APOSTROPHE = "'"
_JOINERS = "\u200c\u200d"
# A run of Latin letters and digits, or one other character with the marks that sit on it (Thai vowels, kana
# voicing marks); spaces separate.
_UNSPACED_UNITS = re.compile(
    r"[0-9A-Za-zÀ-ÖØ-öø-ʯ]+(?:'[0-9A-Za-zÀ-ÖØ-öø-ʯ]+)*|\S[\u0300-\u036f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u3099\u309a\u1037-\u103e]*"
)

NORMALISERS: dict[str, Callable[[Sequence[str], str], list[str]]] = {
    "raw": _raw,
    "basic": _basic,
    "whisper": _whisper,
}
"""Name → rule over a list of texts and a language code."""
