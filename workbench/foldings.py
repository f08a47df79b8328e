"""Named foldings after a normalizer, each switched on by name: ``basic+digits+hamza``.

=========== ======================================================================================
markup      tags and noise marks off before anything else: ``[laughter]``, ``<v-noise>``, ``(cough)``
digits      digits of every script as 0 to 9
cedilla     Romanian ş and ţ with cedilla as ș and ț with comma (``ro``)
hamza       Arabic أ إ آ as ا, ؤ as و, ئ as ي (``ar``)
wasla       Arabic ٱ as ا (``ar``)
stress      stress marks over Cyrillic vowels off (``ru uk bg be``)
tone        Vietnamese tone marks where the old spelling has them: hòa for hoà (``vi``)
swiss       ß as ss (``de``)
numerals    numbers in digits as they are said, by num2words: 23 as vingt-trois (:mod:`workbench.numerals`)
list        the workspace's substitution list: equal spellings, units, brand names
=========== ======================================================================================
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.reading import read_text

MARKUP = re.compile(
    r"<(?![a-z]{2,3}-[A-Z]{2}>|auto>)/?[^<>\s\d][^<>]{0,60}>|\[[^\[\]\n]{2,40}\]"
    r"|\((?:[a-z]{2,20}(?:ing|s|er|gh|ed|se|ce|th|c)|inaudible|unintelligible)\)"
)
"""A tag or noise mark of a transcript; language tags such as ``<el-GR>`` are none."""

_TONED = ["àáảãạ", "èéẻẽẹ", "ỳýỷỹỵ"]
_STEMS = {"o": "òóỏõọ", "u": "ùúủũụ"}
_STRESS = re.compile("(?<=[аеєиіїоуыэюяАЕЄИІЇОУЫЭЮЯ])\u0301")
_HAMZA = str.maketrans("أإآؤئ", "اااوي")


@dataclass(frozen=True, slots=True)
class Substitution:
    """A spelling that counts as another one; ``language``: a code such as ``de``, empty for all."""

    written: str
    meant: str
    language: str = ""


def read_substitutions(path: Path) -> tuple[Substitution, ...]:
    """A substitution list from a CSV with the columns ``written, meant`` and perhaps ``language``.

    Raises:
        WorkbenchError: no such file, not UTF-8, another heading, or one spelling meant two ways.
    """
    try:
        text = read_text(Path(path), "list").removeprefix("\ufeff")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (WorkbenchError, csv.Error) as error:
        raise WorkbenchError(
            f"cannot read substitutions: {error.what if isinstance(error, WorkbenchError) else error}",
            where=str(path),
            hint="Give a UTF-8 CSV: written,meant,language.",
        ) from None
    if rows and not {"written", "meant"} <= set(rows[0]):
        raise WorkbenchError(
            "no columns written and meant", where=str(path), hint="Head the CSV written,meant,language."
        )
    return checked(
        Substitution(
            (r["written"] or "").strip(), (r["meant"] or "").strip(), (r.get("language") or "").strip()
        )
        for r in rows
    )


def as_substitutions(source: str | Path | Sequence[Substitution]) -> tuple[Substitution, ...]:
    """A list given, or that of a file.

    Raises:
        WorkbenchError: as :func:`read_substitutions`.
    """
    return read_substitutions(Path(source)) if isinstance(source, str | Path) else checked(source)


def checked(substitutions: Iterable[Substitution]) -> tuple[Substitution, ...]:
    """Substitutions without repeats.

    Raises:
        WorkbenchError: one spelling meant two ways, or nothing written.
    """
    found: dict[tuple[str, str], Substitution] = {}
    for item in substitutions:
        key = (item.written.casefold(), item.language)
        known = found.setdefault(key, item)
        if not item.written or known.meant != item.meant:
            raise WorkbenchError(
                f"{item.written[:40]!r} is empty or meant two ways",
                where="substitutions",
                hint="Keep one row per spelling.",
            )
    return tuple(found.values())


def strip_markup(texts: Sequence[str]) -> list[str]:
    """Texts without tags and noise marks."""
    return [MARKUP.sub(" ", text) if set(text) & set("<[(") else text for text in texts]


def fold(block: str, name: str, language: str) -> str:
    """A block of normalized texts under one folding of single characters."""
    return _FOLDS[name](block, language)


def substitute(
    lines: Sequence[str],
    language: str,
    substitutions: Sequence[Substitution],
    normalized: Callable[[str], str],
) -> list[str]:
    """Normalized lines with the list applied, whole words only, longest spelling first.

    Args:
        normalized: the normalizer of the lines, which the list's spellings go through as well.
    """
    meant = {
        normalized(s.written): normalized(s.meant) for s in substitutions if s.language in ("", language)
    }
    meant.pop("", None)
    if not meant:
        return list(lines)
    choice = "|".join(re.escape(written) for written in sorted(meant, key=lambda w: (-len(w), w)))
    pattern = re.compile(rf"(?<!\S)(?:{choice})(?!\S)")
    return [" ".join(pattern.sub(lambda match: meant[match[0]], line).split()) for line in lines]


def _digits(block: str, language: str) -> str:
    for character in set(block):
        if not character.isascii() and unicodedata.category(character) == "Nd":
            block = block.replace(character, str(unicodedata.digit(character)))
    return block


def _cedilla(block: str, language: str) -> str:
    return block.translate(str.maketrans("şţŞŢ", "șțȘȚ")) if language in ("ro", "mo") else block


def _hamza(block: str, language: str) -> str:
    return block.translate(_HAMZA) if language == "ar" else block


def _wasla(block: str, language: str) -> str:
    return block.replace("ٱ", "ا") if language == "ar" else block


def _stress(block: str, language: str) -> str:
    if language not in ("ru", "uk", "bg", "be"):
        return block
    return unicodedata.normalize("NFC", _STRESS.sub("", unicodedata.normalize("NFC", block)))


def _tone(block: str, language: str) -> str:
    if language != "vi":
        return block
    for stem, toned, bare in (("o", _TONED[0], "a"), ("o", _TONED[1], "e"), ("u", _TONED[2], "y")):
        for mark, moved in zip(toned, _STEMS[stem], strict=True):
            block = re.sub(rf"(?<!q){stem}{mark}(?!\w)", f"{moved}{bare}", block)
    return block


def _swiss(block: str, language: str) -> str:
    return block.replace("ß", "ss").replace("ẞ", "SS") if language == "de" else block


_FOLDS: dict[str, Callable[[str, str], str]] = {
    "digits": _digits,
    "cedilla": _cedilla,
    "hamza": _hamza,
    "wasla": _wasla,
    "stress": _stress,
    "tone": _tone,
    "swiss": _swiss,
}
BY_CHARACTER = frozenset(_FOLDS)
FOLDINGS = (*_FOLDS, "markup", "numerals", "list")
"""Every folding by name."""
LANGUAGES = frozenset({"ro", "mo", "ar", "ru", "uk", "bg", "be", "vi", "de"})
"""Languages that some folding treats alone."""
