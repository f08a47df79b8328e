"""The 40 language-locales of Nemotron 3.5 ASR: what each tag means for prompts, text and scoring.

Tiers and the character-scored languages (ja, ko, zh) follow NVIDIA's model card; ``th`` by characters is
ours, because Thai writes no spaces between words. Prompt indexes are those of NeMo's published configuration;
``nn-NO`` is missing there and takes the free index 104 here. A checkpoint's own dictionary always wins.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from workbench.errors import WorkbenchError
from workbench.signatures import public

Tier = Literal["ready", "broad", "adapt"]
AUTO = "auto"
AUTO_PROMPT_INDEX = 101
NUM_PROMPTS = 128

LATIN_MARKS = ".,?!"


@dataclass(frozen=True, slots=True)
class Locale:
    """One row of the table. ``prompt_index``: place in the one-hot prompt; ``marks``: what is scored as
    punctuation; ``final_marks``: what may end a sentence; ``scored_by``: unit of the headline error rate."""

    tag: str
    name: str
    prompt_index: int
    tier: Tier
    script: str = "Latin"
    direction: Literal["ltr", "rtl"] = "ltr"
    scored_by: Literal["word", "char"] = "word"
    marks: str = LATIN_MARKS
    final_marks: str = ".?!"
    cased: bool = True

    @property
    def language(self) -> str:
        return self.tag.split("-")[0]


_ES = "".join([LATIN_MARKS, "¿¡"])
_CJK = {"marks": "。，、？！", "final_marks": "。？！", "cased": False, "scored_by": "char"}
_ROWS: tuple[Locale, ...] = (
    Locale("en-US", "English (United States)", 0, "ready"),
    Locale("en-GB", "English (United Kingdom)", 1, "ready"),
    Locale("es-US", "Spanish (United States)", 3, "ready", marks=_ES),
    Locale("es-ES", "Spanish (Spain)", 2, "ready", marks=_ES),
    Locale("fr-FR", "French (France)", 8, "ready"),
    Locale("fr-CA", "French (Canada)", 100, "ready"),
    Locale("it-IT", "Italian", 15, "ready"),
    Locale("pt-BR", "Portuguese (Brazil)", 12, "ready"),
    Locale("pt-PT", "Portuguese (Portugal)", 13, "ready"),
    Locale("nl-NL", "Dutch", 16, "ready"),
    Locale("de-DE", "German", 9, "ready"),
    Locale("tr-TR", "Turkish", 18, "ready"),
    Locale("ru-RU", "Russian", 11, "ready", script="Cyrillic"),
    Locale(
        "ar-AR",
        "Arabic",
        7,
        "ready",
        script="Arabic",
        direction="rtl",
        marks=".،؟!",
        final_marks=".؟!",
        cased=False,
    ),
    Locale("hi-IN", "Hindi", 6, "ready", script="Devanagari", marks="।,?!", final_marks="।?!", cased=False),
    Locale("ja-JP", "Japanese", 10, "ready", script="Japanese", **_CJK),  # type: ignore[arg-type]
    Locale("ko-KR", "Korean", 14, "ready", script="Hangul", scored_by="char", cased=False),
    Locale("vi-VN", "Vietnamese", 33, "ready"),
    Locale("uk-UA", "Ukrainian", 19, "ready", script="Cyrillic"),
    Locale("pl-PL", "Polish", 17, "broad"),
    Locale("sv-SE", "Swedish", 24, "broad"),
    Locale("cs-CZ", "Czech", 22, "broad"),
    Locale("nb-NO", "Norwegian Bokmål", 103, "broad"),
    Locale("da-DK", "Danish", 25, "broad"),
    Locale("bg-BG", "Bulgarian", 30, "broad", script="Cyrillic"),
    Locale("fi-FI", "Finnish", 26, "broad"),
    Locale("hr-HR", "Croatian", 29, "broad"),
    Locale("sk-SK", "Slovak", 28, "broad"),
    Locale("zh-CN", "Chinese (Mandarin, simplified)", 4, "broad", script="Han", **_CJK),  # type: ignore[arg-type]
    Locale("hu-HU", "Hungarian", 23, "broad"),
    Locale("ro-RO", "Romanian", 20, "broad"),
    Locale("et-EE", "Estonian", 60, "broad"),
    Locale("el-GR", "Greek", 21, "adapt", script="Greek", marks=".,;!", final_marks=".;!"),
    Locale("lt-LT", "Lithuanian", 31, "adapt"),
    Locale("lv-LV", "Latvian", 61, "adapt"),
    Locale("mt-MT", "Maltese", 102, "adapt"),
    Locale("sl-SI", "Slovenian", 62, "adapt"),
    Locale("he-IL", "Hebrew", 64, "adapt", script="Hebrew", direction="rtl", cased=False),
    Locale(
        "th-TH", "Thai", 32, "adapt", script="Thai", scored_by="char", marks="", final_marks="", cased=False
    ),
    Locale("nn-NO", "Norwegian Nynorsk", 104, "adapt"),
)
LOCALES: dict[str, Locale] = {row.tag: row for row in _ROWS}

CHARACTER_LANGUAGES = frozenset(row.language for row in _ROWS if row.scored_by == "char") | {
    "yue",
    "lo",
    "km",
    "my",
}
"""Languages scored by characters without spaces: those of the table, and others written without spaces."""

UNSPACED_LANGUAGES = CHARACTER_LANGUAGES - {"ko"}
"""Written without spaces between words, so that a character stands for a word."""


DECLARED: dict[str, Locale] = {}
"""What a team added for this process and those that it starts; in ``LOCALES`` too."""
_VARIABLE = "WORKBENCH_LOCALES"
_TAG = re.compile(r"[a-z]{2,3}(-[A-Z][a-z]{3})?-([A-Z]{2}|[0-9]{3})\Z")
_SCRIPTS = (
    "Latin",
    "Cyrillic",
    "Greek",
    "Arabic",
    "Hebrew",
    "Devanagari",
    "Japanese",
    "Hangul",
    "Han",
    "Thai",
)


def declare(row: Locale) -> Locale:
    """Make a further locale known to this process and to those that it starts.

    Args:
        row: its tag, and a prompt index that no other locale has.

    Raises:
        WorkbenchError: the tag has no such form, a locale of the 40, declared otherwise, or the index is
            taken or none.
    """
    known = LOCALES.get(row.tag)
    if known == row:
        return row
    where = f"locale {row.tag[:40]}"
    if not _TAG.match(row.tag):
        raise WorkbenchError("no locale tag", where=where, hint="Write language and region: ca-ES.")
    if known is not None:
        raise WorkbenchError(
            "there is one already, and it differs", where=where, hint="Change it in workspace.toml."
        )
    if row.script not in _SCRIPTS:
        raise WorkbenchError(f"no script {row.script!r}", where=where, hint=f"One of {', '.join(_SCRIPTS)}.")
    holder = {index: tag for tag, index in prompt_dictionary().items()}.get(row.prompt_index)
    if holder is not None or not 0 <= row.prompt_index < NUM_PROMPTS:
        what = f"prompt index {row.prompt_index} is {f'that of {holder}' if holder else 'none'}"
        raise WorkbenchError(
            what, where=where, hint=f"Free are {', '.join(map(str, free_prompt_indexes()[:8]))} …"
        )
    LOCALES[row.tag] = DECLARED[row.tag] = row
    os.environ[_VARIABLE] = json.dumps([asdict(one) for one in DECLARED.values()])
    return row


def free_prompt_indexes() -> list[int]:
    """Prompt indexes that no locale has."""
    return sorted(set(range(NUM_PROMPTS)) - set(prompt_dictionary().values()))


def locale(tag: str) -> Locale:
    """The row of a canonical tag.

    Raises:
        WorkbenchError: the tag is not one of the 40; the message names the near ones.
    """
    try:
        return LOCALES[tag]
    except KeyError:
        raise unknown_locale(tag) from None


def is_known(tag: object) -> bool:
    return isinstance(tag, str) and tag in LOCALES


@public
def canonical(tag: str, known: Iterable[str] = LOCALES) -> str:
    """Put a tag in its one written form (``EL_gr`` → ``el-GR``); regions are never guessed.

    Args:
        tag: what the source says. ``auto`` is returned as it is.
        known: tags that may be meant; a checkpoint's own dictionary, or the 40 locales.

    Raises:
        WorkbenchError: not known, or only a language (``el``): the message names the candidates.
    """
    text = str(tag).strip()
    if text.lower() == AUTO:
        return AUTO
    by_lower = {k.lower(): k for k in known if "-" in k}
    found = by_lower.get(text.replace("_", "-").lower())
    if found is None:
        raise unknown_locale(text, known)
    return found


def near(tag: str, known: Iterable[str] = LOCALES) -> list[str]:
    """Tags that may have been meant, best first, at most five: same language, then similar spelling."""
    tags = [k for k in known if "-" in k]
    language = tag.replace("_", "-").split("-")[0].lower()
    same = [k for k in tags if k.split("-")[0].lower() == language]
    like = difflib.get_close_matches(tag, tags, n=5, cutoff=0.5)
    return list(dict.fromkeys(same + like))[:5]


_LANGUAGES: dict[str, str] = {
    "en": "eng english",
    "es": "spa spanish español castellano",
    "fr": "fra fre french français",
    "it": "ita italian italiano",
    "pt": "por portuguese português",
    "nl": "nld dut dutch nederlands",
    "de": "deu ger german deutsch",
    "tr": "tur turkish türkçe",
    "ru": "rus russian русский",
    "ar": "ara arb arabic العربية",
    "hi": "hin hindi हिन्दी",
    "ja": "jpn japanese 日本語",
    "ko": "kor korean 한국어",
    "vi": "vie vietnamese",
    "uk": "ukr ukrainian українська",
    "pl": "pol polish polski",
    "sv": "swe swedish svenska",
    "cs": "ces cze czech čeština",
    "nb": "nob no nor norwegian bokmål norsk",
    "da": "dan danish dansk",
    "bg": "bul bulgarian български",
    "fi": "fin finnish suomi",
    "hr": "hrv croatian hrvatski",
    "sk": "slk slo slovak slovenčina",
    "zh": "zho chi cmn mandarin chinese 中文",
    "hu": "hun hungarian magyar",
    "ro": "ron rum romanian română",
    "et": "est ekk estonian eesti",
    "el": "ell gre greek ελληνικά",
    "lt": "lit lithuanian lietuvių",
    "lv": "lav lvs latvian latviešu",
    "mt": "mlt maltese malti",
    "sl": "slv slovenian slovene slovenščina",
    "he": "heb iw hebrew עברית",
    "th": "tha thai ไทย",
    "nn": "nno nynorsk",
    "ca": "cat catalan català",
    "eu": "eus baq basque euskara",
    "gl": "glg galician galego",
    "ga": "gle irish gaeilge",
    "cy": "cym wel welsh cymraeg",
    "is": "isl ice icelandic íslenska",
    "sr": "srp serbian српски",
    "mk": "mkd macedonian",
    "sq": "sqi alb albanian shqip",
    "id": "ind indonesian",
    "ms": "msa may malay",
    "fa": "fas per persian farsi",
    "ur": "urd urdu",
    "bn": "ben bengali",
    "ta": "tam tamil",
    "te": "tel telugu",
    "sw": "swa swahili",
    "af": "afr afrikaans",
    "yue": "cantonese",
}
"""ISO 639-1 code → its other codes, English name and own name, as sources write them."""
_BY_NAME = {name: code for code, names in _LANGUAGES.items() for name in (code, *names.split())}


def language_of(value: str) -> str | None:
    """The ISO 639-1 code of what a source writes: ``da``, ``dan``, ``Danish``, ``dansk``, ``da_DK``;
    None where it names no language that is known."""
    text = value.strip().lower()
    for part in (text, *text.replace("_", "-").split("-")[:1], *text.split()[:1], *text.split("(")[:1]):
        if (found := _BY_NAME.get(part.strip())) is not None:
            return found
    return None


def proposals(value: str) -> list[str]:
    """Tags that a source's value may mean: those of its language, the likeliest first; none is taken unasked.

    A value with a region that is not among the locales (``de-AT``) gives those of the language too.
    """
    try:
        return [canonical(value)]
    except WorkbenchError:
        language = language_of(value)
        return [tag for tag, row in LOCALES.items() if row.language == language]


def unknown_locale(tag: str, known: Iterable[str] = LOCALES) -> WorkbenchError:
    """The error for a tag that nobody knows, with the tags that may be meant."""
    candidates = near(str(tag), known)
    hint = f"Did you mean {', '.join(candidates)}?" if candidates else "Use a tag such as el-GR, or auto."
    if _TAG.match(str(tag)):
        hint += f" To work with it all the same, declare it once: ws.add_locale({str(tag)!r})."
    return WorkbenchError(f"unknown locale tag {str(tag)[:40]!r}", hint=hint)


def prompt_dictionary() -> dict[str, int]:
    """Tag → prompt index for all locales and ``auto``, as a checkpoint's configuration holds it."""
    return {**{row.tag: row.prompt_index for row in LOCALES.values()}, AUTO: AUTO_PROMPT_INDEX}


# A process that this one starts knows what was declared here.
for _row in json.loads(os.environ.get(_VARIABLE, "[]")):
    declare(Locale(**_row))
