"""Transcripts with times beside long recordings: STM, CTM, TextGrid, SRT and WebVTT."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import Problem
from workbench.ingest import json_text
from workbench.ingest.found_audio import FoundAudio
from workbench.ingest.manifest import table_of
from workbench.ingest.reader import FILE, LINE, Reader, batched

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".stm", ".ctm", ".textgrid", ".srt", ".vtt")
Row = dict[str, Any]
Teller = Callable[[str, int], None]
GAP_S = 0.8
"""A pause between words of a CTM at which a new utterance begins."""
LONGEST_S = 30.0
_ARROW = re.compile(r"([\d:.,]+)\s*-->\s*([\d:.,]+)(.*)")
_VOICE = re.compile(r"<v(?:\.[^ >]*)?\s+([^>]+)>")
_MARKUP = re.compile(r"</?[a-zA-Z][^>]*>|<[\d:.]+>|\{\\[^}]*\}")
_FINE_TIER = re.compile(r"(?i)(^|[ _-])(words?|phones?|phonemes?|wrd|phn)$")
_TEXTGRID_VALUE = re.compile(
    r'(?:^|=)[ \t]*("(?:[^"]|"")*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)[ \t]*$', re.MULTILINE
)
_CHANNELS = {"a": 0, "b": 1, "1": 0, "2": 1}


def open_timed(path: Path) -> Reader | None:
    """A file of timed transcripts, or all of a folder; None where there is none."""
    folder = path if path.is_dir() else path.parent
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
    if not found or any(p.suffix.lower() not in SUFFIXES for p in found):
        return None
    places = FoundAudio(folder)
    notes: list[Problem] = []

    def rows(problems: list[Problem]) -> Iterator[Row]:
        for file in found:
            yield from _rows(file, folder, places, problems, notes)

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        yield from batched(rows(problems), table_of)

    kinds = sorted({p.suffix.lower().lstrip(".") for p in found})
    reader = Reader(
        f"timed transcripts ({', '.join(kinds)})", str(path), folder, read, files=found, notes=notes
    )
    reader.text_expected = True
    return reader


def _rows(
    file: Path, folder: Path, places: FoundAudio, problems: list[Problem], notes: list[Problem]
) -> Iterator[Row]:
    name = file.relative_to(folder).as_posix()
    own = _recording_of(file, folder, places)
    language = re.search(r"\.([a-z]{2,3}(?:[-_][A-Za-z]{2})?)$", file.stem)

    def bad(what: str, line: int) -> None:
        problems.append(Problem(name, what, "", line))

    for row in parsed(file, bad, notes):
        recording = row.pop("recording", None)
        row["audio_filepath"] = places.find(recording) if recording else own
        if row["audio_filepath"] is None:
            bad("no recording of this name lies beside", row[LINE])
            continue
        if language and own:
            row.setdefault("target_lang", language[1])
        yield {**row, FILE: name}


def _recording_of(file: Path, folder: Path, places: FoundAudio) -> str | None:
    """The recording of a file of transcripts: ``a.srt``, ``a.de.srt`` and ``a.wav.srt`` go with ``a.wav``."""
    if file.suffix.lower() in (".stm", ".ctm"):
        return None
    inside = file.parent.relative_to(folder)
    stem = file.stem
    while stem:
        for key in ((inside / stem).as_posix(), stem):
            found = places.find(key)
            if found is not None and found != key:
                return found
            if (folder / key).is_file():
                return key
        stem, _, rest = stem.rpartition(".")
        if not rest:
            break
    return None


def ctm_words(file: Path, bad: Teller, notes: list[Problem]) -> Iterator[Row]:
    """The words of a CTM, each with its times; ``bad`` is told each line that is none."""
    yield from _ctm(_read(file, bad, notes), bad)


def parsed(file: Path, bad: Teller, notes: list[Problem]) -> Iterator[Row]:
    """Rows of one file: ``offset``, ``duration``, ``text``, line, and ``recording``, ``speaker``, ``channel``
    where the format states them. ``bad`` is told each row that is none."""
    lines = _read(file, bad, notes)
    suffix = file.suffix.lower()
    if suffix == ".stm":
        yield from _stm(lines, bad)
    elif suffix == ".ctm":
        yield from _utterances(_ctm(lines, bad))
    elif suffix == ".textgrid":
        yield from _textgrid(lines, bad)
    else:
        yield from _cues(lines, bad)


def _read(file: Path, bad: Teller, notes: list[Problem]) -> list[tuple[int, str]]:
    lines: list[tuple[int, str]] = []
    for number, raw, _ in json_text.lines(file, notes):
        try:
            lines.append((number, raw.decode("utf-8").rstrip("\r\n")))
        except UnicodeDecodeError:
            bad("not UTF-8", number)
    return lines


def _stm(lines: Sequence[tuple[int, str]], bad: Teller) -> Iterator[Row]:
    for number, line in lines:
        if not line.strip() or line.startswith(";;"):
            continue
        values = line.split(maxsplit=5)
        try:
            recording, channel, speaker, start, end = values[:5]
            row = _stretch(float(start), float(end), number)
        except ValueError:
            bad("not: recording channel speaker start end <labels> text", number)
            continue
        text = values[5] if len(values) > 5 else ""
        if match := re.match(r"<([^>]*)>\s*", text):
            text = text[match.end() :]
        if (
            "ignore_time_segment_in_scoring" in text.lower()
            or "inter_segment_gap" in (text + speaker).lower()
        ):
            bad("marked as not to be scored", number)
            continue
        row |= {"recording": recording, "speaker": speaker, "text": text.strip() or None}
        row["channel"] = _CHANNELS.get(channel.lower())
        yield row


def _ctm(lines: Sequence[tuple[int, str]], bad: Teller) -> Iterator[Row]:
    """A row a word."""
    for number, line in lines:
        if not line.strip() or line.startswith(";;"):
            continue
        values = line.split()
        try:
            recording, channel, start, length, word = values[:5]
            row = _stretch(float(start), float(start) + float(length), number)
        except ValueError:
            bad("not: recording channel start duration word [confidence]", number)
            continue
        row |= {"recording": recording, "channel": _CHANNELS.get(channel.lower()), "text": word}
        yield {**row, "confidence": float(values[5])} if len(values) > 5 and _is_number(values[5]) else row


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d*\.?\d+", text) is not None


def _utterances(words: Iterator[Row]) -> Iterator[Row]:
    """Words joined to utterances: a pause, another recording or channel, or 30 s begin a new one."""
    held: Row | None = None
    for word in words:
        end = word["offset"] + word["duration"]
        if held is not None and held["recording"] == word["recording"] and held["channel"] == word["channel"]:
            pause = word["offset"] - held["offset"] - held["duration"]
            if pause < GAP_S and end - held["offset"] <= LONGEST_S:
                held["text"] += f" {word['text']}"
                held["duration"] = round(end - held["offset"], 6)
                continue
        if held is not None:
            yield held
        held = {k: v for k, v in word.items() if k != "confidence"}
    if held is not None:
        yield held


def _textgrid(lines: Sequence[tuple[int, str]], bad: Teller) -> Iterator[Row]:
    """Intervals with text of every tier but those of words and phones; the tier's name is the speaker."""
    tiers: dict[str, list[Row]] = {}
    values = _values(lines)
    for number, token in values:
        if token != '"IntervalTier"':
            continue
        head = [value for _, (_, value) in zip(range(4), values, strict=False)]  # name, begin, end, intervals
        if len(head) < 4 or not head[3].isdigit():
            bad("a tier without intervals", number)
            continue
        rows = tiers.setdefault(head[0][1:-1], [])
        for _ in range(int(head[3])):
            three = [value for _, value in zip(range(3), values, strict=False)]
            try:
                row = _stretch(float(three[0][1]), float(three[1][1]), three[0][0])
                text = three[2][1][1:-1].replace('""', '"').strip()
            except (ValueError, IndexError):
                bad("not an interval; the rest of the file is not read", number)
                return
            if text:
                rows.append({**row, "text": text, "speaker": head[0][1:-1]})
    whole = {name: rows for name, rows in tiers.items() if not _FINE_TIER.search(name)}
    if not whole and tiers:
        words = next((rows for name, rows in tiers.items() if re.search(r"(?i)wo?r?d", name)), [])
        made = ({**row, "recording": None, "channel": None} for row in words)
        for row in _utterances(iter(made)):
            yield {k: v for k, v in row.items() if k not in ("recording", "channel", "speaker")}
    yield from sorted((row for rows in whole.values() for row in rows), key=lambda row: row[LINE])


def _values(lines: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Quoted texts and numbers of a TextGrid, long (``xmin = 0``) or short (``0``), with their line."""
    text = "\n".join(line for _, line in lines)
    number, counted = 1, 0
    for match in _TEXTGRID_VALUE.finditer(text):
        number += text.count("\n", counted, match.start(1))
        counted = match.start(1)
        yield number, match[1]


def _cues(lines: Sequence[tuple[int, str]], bad: Teller) -> Iterator[Row]:
    """Cues of SRT and WebVTT; markup comes off, ``<v Name>`` is the speaker."""
    at = 0
    while at < len(lines):
        number, line = lines[at]
        at += 1
        match = _ARROW.search(line)
        if match is None:
            continue
        said = []
        while at < len(lines) and lines[at][1].strip() and not _ARROW.search(lines[at][1]):
            said.append(lines[at][1].strip())
            at += 1
        if at < len(lines) and _ARROW.search(lines[at][1]) and said and said[-1].isdigit():
            said.pop()  # the next cue's number, after a blank line that is missing
        try:
            row = _stretch(_clock(match[1]), _clock(match[2]), number)
        except ValueError:
            bad("not a time such as 00:01:02,500", number)
            continue
        text = " ".join(said)
        if voice := _VOICE.search(text):
            row["speaker"] = voice[1].strip()
        text = " ".join(html.unescape(_MARKUP.sub("", text)).split())
        yield {**row, "text": text or None}


def _clock(text: str) -> float:
    """Seconds of ``1:02:03,5``."""
    seconds = 0.0
    for part in text.replace(",", ".").split(":"):
        seconds = seconds * 60 + float(part)
    return seconds


def _stretch(start: float, end: float, line: int) -> Row:
    return {"offset": round(start, 6), "duration": round(end - start, 6), LINE: line}
