"""Copies of utterances in which personal data is a tone, and their transcripts without it.

Where a span is heard is told by the word times of a prediction. The reference is aligned with it, so that a
word that the model misheard is bleeped too: from the end of the last word that both have to the start of the
next.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from workbench.errors import Problem, WorkbenchError
from workbench.files import replacing
from workbench.ingest import audio
from workbench.language_tags import strip_tag
from workbench.privacy.personal_data import PersonalSpan, find_personal, plain, redacted

Action = Literal["bleep", "drop"]
TONE_HZ, TONE_LEVEL = 1_000.0, 0.1
MARGIN_S = 0.1
"""Bleeped before and after, since word times are those of frames of 80 ms."""

UNFINISHED = ".bleep"
"""Lies in the folder of a corpus of copies as long as it is none yet: an erasure takes such copies away."""

DROP_TAG = "personal data: drop this clip"
"""A reviewer's tag: the clip is left out of copies."""
_KEEP_TAG = "not personal: "

Samples = NDArray[np.float32]


def kept_tag(text: str) -> str:
    """The tag by which a reviewer keeps a span that the rules take for personal data; of this very text, so
    that a corrected transcript is looked at anew. Text too long for a tag cannot be kept."""
    return _KEEP_TAG + " ".join(text.split())


@dataclass(frozen=True, slots=True)
class PersonalWords:
    """Personal data in one utterance.

    Attributes:
        text: without tags; spans: in it. times: seconds (start, end) of each span within the clip; None
            where no word times say it.
    """

    text: str
    spans: tuple[PersonalSpan, ...]
    times: tuple[tuple[float, float] | None, ...]


def personal_words(
    row: Mapping[str, Any], prediction: Mapping[str, Any] | None, names: Sequence[str]
) -> PersonalWords:
    """What is personal in a row's reference, or in its draft where it has none, and when it is said.

    Args:
        row: ``text``, ``target_lang``, ``duration``; ``tags``: what a reviewer keeps.
        prediction: of the row, with ``words``; None without.
    """
    held = None if prediction is None else prediction.get("words")
    words = [dict(word) for word in (() if held is None else held)]
    said = row.get("text") if isinstance(row.get("text"), str) else ""
    draft = str((prediction or {}).get("hypothesis") or "")
    text = strip_tag(said or draft)[0]
    locale = row.get("target_lang") if isinstance(row.get("target_lang"), str) else None
    tags = row.get("tags")
    kept = () if tags is None else tuple(tags)
    spans = tuple(
        span for span in find_personal(text, locale, names)
        if kept_tag(text[span.start : span.end]) not in kept
    )  # fmt: skip
    duration = row.get("duration")
    length_s = float(duration) if isinstance(duration, int | float) and duration == duration else np.inf
    times = tuple(_when(text, span, words, length_s) for span in spans)
    return PersonalWords(text, spans, times)


def _when(
    text: str, span: PersonalSpan, words: Sequence[Mapping[str, Any]], length_s: float
) -> tuple[float, float] | None:
    """Seconds in which a span is said: those of the words that it is aligned with, or of the room between."""
    if not words:
        return None
    tokens, at = [], 0
    for token in text.split():
        at = text.index(token, at)
        tokens.append((at, at + len(token), plain(token.strip(".,!?;:¿¡…"))))
        at += len(token)
    heard = [plain(str(word["word"]).strip(".,!?;:¿¡…")) for word in words]
    pairs: dict[int, int] = {}
    for part in Levenshtein.opcodes([t for *_, t in tokens], heard):
        if part.tag == "equal":
            pairs.update(
                zip(range(part.src_start, part.src_end), range(part.dest_start, part.dest_end), strict=True)
            )
    own = [n for n, (start, end, _) in enumerate(tokens) if start < span.end and end > span.start]
    before = max((n for n in pairs if n < own[0]), default=None)
    after = min((n for n in pairs if n > own[-1]), default=None)
    start = float(words[pairs[own[0]]]["start"]) if own[0] in pairs else (
        0.0 if before is None else float(words[pairs[before]]["end"])
    )  # fmt: skip
    end = float(words[pairs[own[-1]]]["end"]) if own[-1] in pairs else (
        length_s if after is None else float(words[pairs[after]]["start"])
    )  # fmt: skip
    return max(0.0, start - MARGIN_S), min(length_s, max(end, start) + MARGIN_S)


def bleeped(samples: Samples, rate: int, times: Sequence[tuple[float, float]]) -> Samples:
    """A copy of mono samples with a tone in the place of each stretch."""
    made = samples.copy()
    for start_s, end_s in times:
        begin, end = max(0, round(start_s * rate)), min(len(made), round(min(end_s, 1e6) * rate))
        made[begin:end] = TONE_LEVEL * np.sin(2 * np.pi * TONE_HZ / rate * np.arange(max(0, end - begin)))
    return made


def bleeped_row(
    row: Mapping[str, Any], found: PersonalWords, roots: Sequence[str], folder: Path
) -> dict[str, Any]:
    """Write the copy of a row's sound, unless it lies there from a call that was stopped; the row for it.

    Its file is named by a digest of all that the copy depends on.

    Raises:
        WorkbenchError: the recording cannot be read.
    """
    times = [time for time in found.times if time is not None]
    source = audio.locate_text(str(row["audio_filepath"]), roots)
    stamp = audio.regular(source)
    facts = [str(row["id"]), source, stamp.st_size, stamp.st_mtime_ns, times, TONE_HZ, TONE_LEVEL]
    facts += [row.get(name) for name in ("offset", "duration", *audio.CHANNEL_COLUMNS)]
    path = folder / f"{hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()[:32]}.flac"
    if not path.is_file():
        samples, rate = audio.read_row(row, roots)
        with replacing(path) as draft:
            made = bleeped(samples, rate, times)
            soundfile.write(draft, made, rate, format="FLAC", subtype="PCM_16")
    written = soundfile.info(path)
    stated = row.get("source_sha256")
    kept = ("id", "target_lang", "accent", "speaker", "domain", "source", "license", "consent", "recorded_at",
            "split", "recording")  # fmt: skip
    known = {name: row[name] for name in kept if row.get(name) is not None and row[name] == row[name]}
    return {
        **known,
        "audio_filepath": path.name,
        "duration": round(written.frames / written.samplerate, 4),
        "text": redacted(found.text, found.spans) if row.get("text") else None,
        # Copies of one recording stay on one side of a split, whoever speaks.
        "source_sha256": stated if isinstance(stated, str) and stated else audio.stamp(source).sha256,
        "bleeped_from": str(row["audio_filepath"]),
        "bleeps": len(times),
    }


def bleeped_or_why(
    row: Mapping[str, Any], found: PersonalWords, action: Action, roots: Sequence[str], folder: Path
) -> dict[str, Any] | Problem:
    """:func:`bleeped_row`, or why there is no copy of this row; on any machine that reads and writes both."""
    dropped = DROP_TAG in list(row["tags"])
    if dropped or (found.spans and (action == "drop" or None in found.times)):
        unplaced = not dropped and action != "drop"
        why = "personal data without a time" if unplaced else "holds personal data"
        return Problem(str(row["id"]), why, "Left out.")
    try:
        return bleeped_row(row, found, roots, folder)
    except WorkbenchError as error:
        return Problem(str(row["id"]), error.what, error.hint)
