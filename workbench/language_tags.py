"""Language tags inside transcripts, in all forms that people and models write: found, mapped, taken out.

The model's own form is ``<el-GR>``. Others are met in data: a language alone (``<en>``), a region by number
(``<es-419>``), a script (``<zh-Hans>``), Whisper's ``<|en|>``. A tag in the middle of a text never glues its
neighbors together, and no form is ever left to be trained as text unsaid.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.locales import AUTO, LOCALES

_CODES = """
    aa ab af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv
    dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie
    ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv
    mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm
    rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts
    tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo yue za zh zu
"""
LANGUAGES = frozenset(_CODES.split())
"""ISO 639-1, and Cantonese."""

_FORM = re.compile(
    r"<\|?(?P<code>auto|[A-Za-z]{2,3}(?:[-_][A-Za-z]{4})?(?:[-_](?:[A-Za-z]{2}|\d{3}))?)\|?>", re.ASCII
)
_ATTACHED = re.compile(r"[.,!?;:…。，、？！؟،।)\]}»”’]")
_SPACES = re.compile(r"[ \t]{2,}")


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag in a text: what is written, where, and the locale that it means (None: more than one could)."""

    written: str
    start: int
    end: int
    locale: str | None

    @property
    def exact(self) -> bool:
        """Whether it is written as the model writes it."""
        return self.written == f"<{self.locale}>"


def find_tags(text: str) -> list[Tag]:
    """The tags of a text in order. What looks like one but names no language (``<b>``) is text."""
    if "<" not in text:
        return []
    found = []
    for match in _FORM.finditer(text):
        code = match["code"]
        if code == AUTO or code.replace("_", "-").split("-")[0].lower() in LANGUAGES:
            found.append(Tag(match[0], match.start(), match.end(), locale_of(code)))
    return found


def locale_of(code: str) -> str | None:
    """The one locale that a code means: itself in its written form, or the only one of its language.

    ``el`` is ``el-GR``, for there is no other; ``en`` and ``es-419`` could be several, so they are None,
    and a team maps them when it imports.
    """
    plain = code.replace("_", "-")
    if plain.lower() == AUTO:
        return AUTO
    by_lower = {tag.lower(): tag for tag in LOCALES}
    if plain.lower() in by_lower:
        return by_lower[plain.lower()]
    parts = plain.split("-")
    same = [tag for tag in LOCALES if tag.split("-")[0] == parts[0].lower()]
    scripts = {"hans": "zh-CN"}
    if len(parts) > 1:
        return scripts.get(parts[1].lower()) if parts[0].lower() == "zh" else None
    return same[0] if len(same) == 1 else None


def strip_tag(text: str) -> tuple[str, str | None]:
    """Take language tags such as ``<el-GR>`` out of a transcript.

    Returns:
        The text without tags, a space where one stood between words, and the last tag found: its locale, or
        what is written in it where it names several; None without one.
    """
    tags = find_tags(text)
    if not tags:
        return text.strip(), None
    bare = "".join(part for part, _ in _pieces(text, tags)).strip()
    last = tags[-1]
    return bare, last.locale or last.written.strip("<|>")


def split_spans(text: str) -> list[tuple[str, str | None]]:
    """(text, locale) of each run that a tag closes, in order; text behind the last tag has None."""
    runs: list[tuple[str, str | None]] = []
    for part, tag in _pieces(text, find_tags(text)):
        if stripped := part.strip():
            runs.append((stripped, tag.locale if tag else None))
    return runs


def foreign_tag(text: str, tag: str) -> str | None:
    """The tag that a transcript ends in where it contradicts its row: the row's language occurs nowhere.

    Args:
        text: with its tags. tag: the row's locale.

    Returns:
        The locale, or what is written where that names several; None where all fits.
    """
    ends_in = strip_tag(text)[1] if "<" in text else None
    if ends_in is None or ends_in == tag:
        return None
    said = {locale or tag for _, locale in split_spans(text)}
    return None if len(said) > 1 and tag in said else ends_in


def with_tags(spans: Sequence[tuple[str, str | None]]) -> str:
    """The opposite of :func:`split_spans`: each run with its tag at its end, as the model is trained."""
    return " ".join(f"{text} <{tag}>" if tag else text for text, tag in spans)


def _pieces(text: str, tags: Sequence[Tag]) -> list[tuple[str, Tag | None]]:
    """Runs of text with the tag that ends each. A run keeps one space where its tag parted two words."""
    found: list[tuple[str, Tag | None]] = []
    at = 0
    for tag in tags:
        found.append((text[at : tag.start].rstrip(), tag))
        at = tag.end
    found.append((text[at:], None))
    for place in range(len(found) - 1, 0, -1):
        following, closing = found[place]
        following = following.lstrip()
        apart = following and not _ATTACHED.match(following) and any(part for part, _ in found[:place])
        found[place] = (f" {following}" if apart else following), closing
    return [(_SPACES.sub(" ", part), closing) for part, closing in found]
