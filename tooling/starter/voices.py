"""The voices of the starter corpus and how each Debian package stores its clips and transcripts."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

STAGE_DIRECTION = re.compile(r"[(\[<{]")


@dataclass(frozen=True, slots=True)
class Voice:
    """One speaker (or one package's speakers) of a locale."""

    locale: str
    name: str
    package: str
    code: str
    license: str
    domain: str
    speaker: str | None = None
    accent: str | None = None
    text_package: str = ""


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording in an unpacked package, with its transcript as the package gives it."""

    voice: Voice
    key: str
    path: Path
    text: str


def _asterisk(locale: str, code: str, license: str, speaker: str, accent: str | None = None) -> Voice:
    package = f"asterisk-core-sounds-{code}"
    return Voice(
        locale,
        f"asterisk-{code}",
        f"{package}-g722",
        code,
        license,
        "telephone-prompts",
        speaker,
        accent,
        package,
    )


def _tuxpaint(locale: str, code: str, accent: str | None = None, *, speaker: str | None = "") -> Voice:
    speaker = f"tuxpaint-{code}" if speaker == "" else speaker
    return Voice(
        locale,
        f"tuxpaint-{code}",
        "tuxpaint-stamps-default",
        code,
        "GPL-2",
        "picture-captions",
        speaker,
        accent,
    )


BY_SA, BY = "CC-BY-SA-3.0", "CC-BY-3.0"
VOICES: tuple[Voice, ...] = (
    _asterisk("en-US", "en", BY_SA, "allison-smith", "General American"),
    _asterisk("es-US", "es", BY_SA, "allison-smith", "Mexican"),
    _asterisk("fr-CA", "fr", BY_SA, "june-wallack", "Québec"),
    _asterisk("it-IT", "it", BY_SA, "carlo-flora"),
    _asterisk("ru-RU", "ru", BY, "ivrvoice-ru"),
    _tuxpaint("es-ES", "es", "Peninsular"),
    _tuxpaint("fr-FR", "fr", "Metropolitan"),
    _tuxpaint("ru-RU", "ru"),
    _tuxpaint("bg-BG", "bg"),
    _tuxpaint("el-GR", "el"),
    _tuxpaint("en-US", "en", speaker=None),
)
UNHEARD_VOICES: tuple[Voice, ...] = (_tuxpaint("ro-RO", "ro"), _tuxpaint("nl-NL", "nl"))
PACKAGES = sorted({p for v in (*VOICES, *UNHEARD_VOICES) for p in (v.package, v.text_package) if p})


def clips(voice: Voice, root: Path) -> Iterator[Clip]:
    """The clips of a voice below ``root`` (all packages unpacked there), in a fixed order.

    Transcripts with stage directions or tone descriptions (any bracket) are left out.
    """
    found = (
        _asterisk_clips(voice, root) if voice.name.startswith("asterisk") else _tuxpaint_clips(voice, root)
    )
    for clip in sorted(found, key=lambda c: c.key):
        if clip.text and not STAGE_DIRECTION.search(clip.text):
            yield clip


def _asterisk_clips(voice: Voice, root: Path) -> Iterator[Clip]:
    document = root / "usr/share/doc" / voice.text_package / f"core-sounds-{voice.code}.txt.gz"
    prefix = {"en": "en_US", "es": "es_MX", "fr": "fr_CA", "it": "it_IT", "ru": "ru_RU"}[voice.code]
    (sounds,) = (root / "usr/share/asterisk/sounds").glob(f"{prefix}_*")
    for line in gzip.decompress(document.read_bytes()).decode("utf-8-sig").splitlines():
        key, colon, text = line.partition(":")
        path = sounds / f"{key.strip()}.g722"
        if colon and not line.startswith(";") and path.is_file():
            yield Clip(voice, key.strip(), path, " ".join(text.split()))


def _tuxpaint_clips(voice: Voice, root: Path) -> Iterator[Clip]:
    stamps = root / "usr/share/tuxpaint/stamps"
    suffix = "_desc.ogg" if voice.code == "en" else f"_desc_{voice.code}.ogg"
    for path in stamps.rglob(f"*{suffix}"):
        stem = path.name.removesuffix(suffix)
        document = path.with_name(f"{stem}.txt")
        if not document.is_file():
            continue
        lines = document.read_text("utf-8", errors="replace").splitlines()
        text = lines[0] if voice.code == "en" else _translation(lines, voice.code)
        yield Clip(voice, str(path.parent.relative_to(stamps) / stem), path, " ".join(text.split()))


def _translation(lines: list[str], code: str) -> str:
    prefix = f"{code}.utf8="
    return next((line.removeprefix(prefix) for line in lines if line.startswith(prefix)), "")
