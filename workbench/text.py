"""Named normalizers, word and character splitting, and the language tag at the end of a transcript.

Every figure names the normalizer behind it; figures of two normalizers are never compared.

========== =====================================================================================
raw        Unicode NFC and single spaces; case and punctuation count
basic      NFKC, lower case (Turkish dotted i in ``tr``), punctuation and symbols off, apostrophes inside
           words kept and written ``'``, ё as е, Arabic and Hebrew optional points and tatweel off
cased      basic with its case kept, word for word: what case errors are counted on
whisper    OpenAI's English rules for ``en``, its Basic rules elsewhere with combining marks kept, since
           dropping them would delete vowels of Hindi or Thai
========== =====================================================================================

Foldings follow a plus sign, such as ``basic+digits``: see :mod:`workbench.foldings`.

Columns of texts are normalized as one joined string (``*_many``): a few passes in C instead of a few per row.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache

from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

from workbench import foldings, numerals
from workbench.errors import WorkbenchError
from workbench.foldings import Substitution
from workbench.language_tags import strip_tag
from workbench.locales import CHARACTER_LANGUAGES, UNSPACED_LANGUAGES

_DOTTED = frozenset({"tr", "az"})
_POINTED = frozenset({"ar", "he", "fa", "ur", "yi"})
_LOOSE_APOSTROPHE = re.compile(r"'(?:(?!\w)|(?<!\w'))")
# Joiners and variation selectors that an emoji left behind: no word of their own.
_GHOSTS = re.compile("(?<![^ \n])[\u200c\u200d\ufe0e\ufe0f\u20e3]+")
_SPACES = "\t\x0b\x0c\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_APOSTROPHES = "’‘ʼʹ`´′＇‛"
# Arabic harakat, dagger alif, tatweel and Hebrew points: written or left out at will in everyday text.
_POINTS = re.compile("[\u0640\u064b-\u0652\u0670\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]")


def normalize(
    text: str, locale: str | None, name: str = "basic", substitutions: Sequence[Substitution] = ()
) -> str:
    """One text under a named normalizer. ``locale`` is a tag such as ``tr-TR``; None means no language rules.

    Raises:
        WorkbenchError: no normalizer or folding of that name.
    """
    return normalize_many([text], locale, name, substitutions)[0]


def normalize_many(
    texts: Sequence[str],
    locale: str | None,
    name: str = "basic",
    substitutions: Sequence[Substitution] = (),
) -> list[str]:
    """The same as :func:`normalize` on each text, in one pass over all of them.

    Args:
        name: a normalizer, with foldings behind it: ``basic+digits`` (see :mod:`workbench.foldings`).
        substitutions: what the folding ``list`` replaces.
    """
    base, folds = parted(name)
    if not texts:
        return []
    language = _language(locale)
    if "markup" in folds:
        texts = foldings.strip_markup(texts)
    if "numerals" in folds:
        texts = [numerals.spoken(text, language) for text in texts]
    lines = NORMALIZERS[base](texts, language)
    by_character = [fold for fold in folds if fold in foldings.BY_CHARACTER]
    if by_character:
        block = "\n".join(lines)
        for fold in by_character:
            block = foldings.fold(block, fold, language)
        lines = block.split("\n")
    if "list" in folds and substitutions:
        plain = "+".join(part for part in (base, *folds) if part not in ("list", "markup", "numerals"))
        lines = foldings.substitute(
            lines, language, substitutions, lambda text: normalize_many([text], locale, plain)[0]
        )
    return lines


@cache
def parted(name: str) -> tuple[str, tuple[str, ...]]:
    """A normalizer's name and the foldings behind it.

    Raises:
        WorkbenchError: an unknown normalizer or folding; those there are are listed.
    """
    base, *folds = str(name).split("+")
    if base not in NORMALIZERS:
        known = ", ".join(NORMALIZERS)
        raise WorkbenchError(f"unknown normalizer {base[:40]!r}", hint=f"Use one of {known}.")
    for fold in folds:
        if fold not in foldings.FOLDINGS:
            known = ", ".join(foldings.FOLDINGS)
            raise WorkbenchError(
                f"unknown folding {fold[:40]!r}", hint=f"Use some of {known}, as in basic+digits."
            )
    return base, tuple(folds)


def is_piecewise(name: str) -> bool:
    """Whether a normalizer changes each piece between spaces for itself."""
    base, folds = parted(name)
    return base in PIECEWISE and not {"markup", "numerals", "list"} & set(folds)


def words(text: str, locale: str | None) -> list[str]:
    """Split normalized text into the units of the word error rate.

    At spaces; in languages written without them (ja, zh, th) each character with its combining marks is a
    unit and runs of Latin letters or digits stay whole, so that the figure is a mixed error rate.
    """
    return _UNSPACED_UNITS.findall(text) if _language(locale) in UNSPACED_LANGUAGES else text.split()


def characters(text: str, locale: str | None) -> str:
    """The units of the character error rate: code points, spaces included as jiwer does.

    Without spaces in ja, ko, zh and th, where spacing is a matter of style.
    """
    return "".join(text.split()) if _language(locale) in CHARACTER_LANGUAGES else text


def rules_of(language: str) -> tuple[object, ...]:
    """What the normalizers and splitters here ask of a language code; equal for languages treated alike."""
    groups = ({"en"}, _DOTTED, _POINTED, UNSPACED_LANGUAGES, CHARACTER_LANGUAGES)
    alone = language if language in foldings.LANGUAGES | numerals.LANGUAGES else ""
    return (alone, *(language in group for group in groups))


def is_raw(block: str) -> bool:
    """Whether ``raw`` would change nothing in texts put end to end but runs of spaces (a few passes in C)."""
    spaces = any(space in block for space in _SPACES + "\n")
    return not spaces and unicodedata.is_normalized("NFC", block)


def normalized_key(text: str) -> str:
    """What two texts share when only case, spacing, punctuation or width differ; for duplicates and leakage.

    Tag off, case folded, NFKC, then letters, their combining marks and digits only.
    """
    return normalized_keys([text])[0]


def normalized_keys(texts: Sequence[str]) -> list[str]:
    """The same as :func:`normalized_key` on each text, in one pass over all of them."""
    if not texts:
        return []
    block = _joined([strip_tag(text)[0] if "<" in text else text for text in texts])
    block = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", block).casefold())
    return _replace(block, _key_part).split("\n")


def fold_spelling(text: str) -> str:
    """What is left when differences of encoding and habit are folded: NFKC, apostrophes, ё as е, invisibles.

    Errors that vanish under it are counted apart: a SentencePiece tokenizer writes NFKC, so a model cannot
    be blamed for them.
    """
    if text.isascii() and "`" not in text:
        return text
    for variant in _APOSTROPHES:
        text = text.replace(variant, "'")
    folded = unicodedata.normalize("NFKC", text).replace("ё", "е").replace("Ё", "Е")
    return folded if folded.isascii() else "".join(c for c in folded if unicodedata.category(c) != "Cf")


def _language(locale: str | None) -> str:
    return locale.split("-")[0].lower() if isinstance(locale, str) else ""


def _joined(texts: Sequence[str]) -> str:
    """Texts on one line each; line breaks inside a text become spaces so that the count stays."""
    block = "\n".join(texts)
    if block.count("\n") != len(texts) - 1:
        block = "\n".join([text.replace("\n", " ") for text in texts])
    return block


def _replace(block: str, by: Callable[[str], str]) -> str:
    """Replace each character by what ``by`` says. One ``str.replace`` per distinct one: 20 times faster on a
    column of texts than a regular expression over a Unicode class (measured on 5 million characters)."""
    for character in set(block):
        if character != "\n" and (new := by(character)) != character:
            block = block.replace(character, new)
    return block


def _word_part(character: str) -> str:
    """Punctuation, symbols and white space to spaces, format characters away, the rest as it is."""
    category = unicodedata.category(character)
    if category[0] in "PS" and character != "'":
        return " "
    # The two joiners stay: Indic scripts and Persian spell with them.
    if category == "Cf" and character not in "\u200c\u200d":
        return ""
    return " " if character.isspace() else character


def _key_part(character: str) -> str:
    return character if unicodedata.category(character)[0] in "LMN" else ""


def _lines(block: str) -> list[str]:
    while "  " in block:
        block = block.replace("  ", " ")
    return block.replace("\n ", "\n").replace(" \n", "\n").strip(" ").split("\n")


def _raw(texts: Sequence[str], language: str) -> list[str]:
    block = unicodedata.normalize("NFC", _joined(texts))
    for space in _SPACES:
        block = block.replace(space, " ")
    return _lines(block)


def _basic(texts: Sequence[str], language: str) -> list[str]:
    return _without_marks(texts, language, lower=True)


def _cased(texts: Sequence[str], language: str) -> list[str]:
    return _without_marks(texts, language, lower=False)


def _without_marks(texts: Sequence[str], language: str, lower: bool) -> list[str]:
    block = _joined(texts)
    for variant in _APOSTROPHES:  # before NFKC, under which spacing accents such as U+00B4 fall apart
        block = block.replace(variant, "'")
    block = unicodedata.normalize("NFKC", block)
    if lower and language in _DOTTED:
        block = block.replace("I", "ı").replace("İ", "i")
    block = (block.lower() if lower else block).replace("ё", "е").replace("Ё", "Е")
    if language in _POINTED:
        block = _POINTS.sub("", block)
    block = _replace(block, _word_part)
    # Lower case can undo NFKC (a capital with a dot below falls apart), so compose at the end.
    block = _GHOSTS.sub("", _LOOSE_APOSTROPHE.sub(" ", block))
    return _lines(unicodedata.normalize("NFKC", block))


def _whisper(texts: Sequence[str], language: str) -> list[str]:
    rule = _whisper_rule("en" if language == "en" else "other")
    # The package's rules leave an outer space where a mark stood at the edge of a text.
    return [" ".join(rule(text).split()) for text in texts]


@cache
def _whisper_rule(kind: str) -> Callable[[str], str]:
    rule: Callable[[str], str]
    rule = EnglishTextNormalizer() if kind == "en" else BasicTextNormalizer(preserve_marks=True)
    return rule


# A run of Latin letters and digits, or one other character with the marks that sit on it (Thai vowels, kana
# voicing marks); spaces separate.
_UNSPACED_UNITS = re.compile(
    r"[0-9A-Za-zÀ-ÖØ-öø-ʯ]+(?:'[0-9A-Za-zÀ-ÖØ-öø-ʯ]+)*|\S[\u0300-\u036f\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u3099\u309a\u1037-\u103e]*"
)

NORMALIZERS: dict[str, Callable[[Sequence[str], str], list[str]]] = {
    "raw": _raw,
    "basic": _basic,
    "cased": _cased,
    "whisper": _whisper,
}
"""Name → rule over a list of texts and a language code."""

PIECEWISE = frozenset({"raw", "basic", "cased"})
"""Normalizers that change each piece between spaces for itself; OpenAI's rules join numbers across them."""
