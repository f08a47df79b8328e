"""A prediction as timed text: CTM for scoring tools, SRT and WebVTT for players and editors.

CTM is NIST's (``recording channel start duration word confidence``); WebVTT is the W3C's, with ``<lang>``
around each run of a language. Rows that are segments of one recording are put together in its time.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from workbench.errors import Problem, WorkbenchError
from workbench.files import write_atomic

Format = Literal["ctm", "srt", "vtt"]
FORMATS: tuple[Format, ...] = ("ctm", "srt", "vtt")

LINE_CHARACTERS = 42
"""Of a subtitle's line; a cue has two (Netflix's and the BBC's guidelines say 37 to 42)."""
CUE_S = 7.0
"""The longest that a cue stays."""
PAUSE_S = 0.8
"""Silence that ends a cue."""


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word in the time of its recording."""

    word: str
    start_s: float
    end_s: float
    confidence: float | None
    lang: str | None
    glued: bool


@dataclass(frozen=True, slots=True)
class TimedTextExport:
    """What was written: files, utterances in them, and utterances left out with the reason."""

    files: tuple[Path, ...]
    utterances: int
    problems: tuple[Problem, ...]


def write_timed_text(
    rows: Iterable[Mapping[str, Any]],
    predictions: Mapping[str, Mapping[str, Any]],
    path: Path,
    format: Format = "ctm",
    minimum_confidence: float = 0.0,
) -> TimedTextExport:
    """Write the words of a prediction with their times.

    Args:
        rows: utterance rows with ``id``, ``audio_filepath``, ``offset`` (s), ``channel``, ``target_lang``.
        predictions: by id; each with ``words`` (``word, start, end, confidence, glued``) and ``spans``.
        path: the file for CTM; a folder for SRT and WebVTT, one file a recording (and channel) in it.
        minimum_confidence: words below it are left out of CTM, and written in parentheses in subtitles.

    Raises:
        WorkbenchError: unknown format, or no utterance has words with times.
    """
    if format not in FORMATS:
        raise WorkbenchError(f"unknown format {format!r}", hint=f"Use one of {', '.join(FORMATS)}.")
    recordings, problems, count = _by_recording(rows, predictions)
    if not recordings:
        first = f": {problems[0]}" if problems else ""
        raise WorkbenchError(f"no utterance has words with times{first}", hint="Transcribe it first.")
    if format == "ctm":
        lines = [
            line
            for (name, channel), words in sorted(recordings.items())
            for line in _ctm(name, channel, words, minimum_confidence)
        ]
        path.parent.mkdir(parents=True, exist_ok=True)
        files = [write_atomic(path, "\n".join(lines) + "\n", mode=0o600)]
    else:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        write = _srt if format == "srt" else _vtt
        files = []
        for (name, channel), words in sorted(recordings.items()):
            stem = name.replace("/", "__") + (f".{channel}" if channel != "1" else "")
            files.append(
                write_atomic(path / f"{stem}.{format}", write(words, minimum_confidence), mode=0o600)
            )
    return TimedTextExport(tuple(files), count, tuple(problems))


def _by_recording(
    rows: Iterable[Mapping[str, Any]], predictions: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[tuple[str, str], list[TimedWord]], list[Problem], int]:
    found: dict[tuple[str, str], list[TimedWord]] = {}
    problems: list[Problem] = []
    count = 0
    for row in rows:
        id = str(row["id"])
        prediction = predictions.get(id)
        if prediction is None:
            problems.append(Problem(id, "no prediction", "Transcribe it."))
            continue
        words = _words(prediction, float(row.get("offset") or 0.0), row.get("target_lang"))
        if not words and str(prediction.get("hypothesis") or "").strip():
            problems.append(Problem(id, "text without word times", "Transcribe it with the workbench."))
            continue
        place = PurePosixPath(str(row.get("audio_filepath") or id))
        channel = row.get("channel")
        key = str(place.with_suffix("")), "1" if channel in (None, "") else str(channel)
        found.setdefault(key, []).extend(words)
        count += 1
    for words in found.values():
        words.sort(key=lambda word: (word.start_s, word.end_s))
    return found, problems, count


def _words(prediction: Mapping[str, Any], offset_s: float, locale: Any) -> list[TimedWord]:
    entries, spans = prediction.get("words"), prediction.get("spans")
    held: Sequence[Any] = [] if entries is None else list(entries)
    langs: list[str | None] = [locale if isinstance(locale, str) else None] * len(held)
    for span in [] if spans is None else list(spans):
        for at in range(int(span["start_word"]), min(int(span["end_word"]), len(held))):
            langs[at] = span["lang"] or langs[at]
    made = []
    for entry, lang in zip(held, langs, strict=True):
        start, end = entry.get("start"), entry.get("end")
        if start is None or end is None:
            return []
        sure = entry.get("confidence")
        made.append(
            TimedWord(
                str(entry["word"]), offset_s + float(start), offset_s + max(float(end), float(start)),
                None if sure is None or sure != sure else float(sure), lang, bool(entry.get("glued")),
            )
        )  # fmt: skip
    return made


def _ctm(name: str, channel: str, words: Sequence[TimedWord], least: float) -> list[str]:
    recording = name.replace(" ", "_")
    return [
        f"{recording} {channel} {word.start_s:.3f} {word.end_s - word.start_s:.3f} {word.word}"
        + ("" if word.confidence is None else f" {word.confidence:.4f}")
        for word in words
        if word.confidence is None or word.confidence >= least
    ]


def _srt(words: Sequence[TimedWord], least: float) -> str:
    parts = [
        f"{number}\n{_clock(cue[0].start_s, ',')} --> {_clock(cue[-1].end_s, ',')}\n{_lines(cue, least)}\n"
        for number, cue in enumerate(_cues(words), 1)
    ]
    return "\n".join(parts)


def _vtt(words: Sequence[TimedWord], least: float) -> str:
    parts = ["WEBVTT\n"]
    for cue in _cues(words):
        text = html.escape(_lines(cue, least), quote=False)
        if cue[0].lang:
            text = f"<lang {cue[0].lang}>{text}</lang>"
        parts.append(f"{_clock(cue[0].start_s, '.')} --> {_clock(cue[-1].end_s, '.')}\n{text}\n")
    return "\n".join(parts)


def _cues(words: Sequence[TimedWord]) -> list[list[TimedWord]]:
    """Words in cues: cut at pauses, at a change of language, and where two lines are full or time is up."""
    cues: list[list[TimedWord]] = []
    for word in words:
        last = cues[-1] if cues else None
        if (
            last is None
            or word.start_s - last[-1].end_s >= PAUSE_S
            or word.lang != last[-1].lang
            or word.end_s - last[0].start_s > CUE_S
            or len(_text([*last, word], 0.0)) > 2 * LINE_CHARACTERS
        ):
            cues.append([word])
        else:
            last.append(word)
    return cues


def _lines(cue: Sequence[TimedWord], least: float) -> str:
    """One line, or two of like length."""
    text = _text(cue, least)
    if len(text) <= LINE_CHARACTERS:
        return text
    spaces = [at for at, character in enumerate(text) if character == " "]
    middle = min(spaces, key=lambda at: abs(at - len(text) / 2), default=len(text) // 2)
    return f"{text[:middle].rstrip()}\n{text[middle:].lstrip()}"


def _text(cue: Sequence[TimedWord], least: float) -> str:
    parts = []
    for place, word in enumerate(cue):
        unsure = word.confidence is not None and word.confidence < least
        parts.append(("" if word.glued or not place else " ") + (f"({word.word})" if unsure else word.word))
    return "".join(parts)


def _clock(seconds: float, point: str) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{point}{thousandths:03d}"
