"""Kaldi data directories: ``wav.scp``, ``text``, ``segments``, ``utt2spk``. Commands are never run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import Problem, WorkbenchError
from workbench.ingest import json_text, paths
from workbench.ingest.manifest import table_of
from workbench.ingest.reader import FILE, LINE, Reader, batched, folders_of

if TYPE_CHECKING:
    import pyarrow as pa

_PER_UTTERANCE = {
    "utt2spk": "speaker",
    "utt2lang": "target_lang",
    "utt2accent": "accent",
    "utt2dom": "domain",
}
_PER_SPEAKER = {"spk2gender": "gender", "spk2accent": "accent"}


def open_folder(path: Path) -> Reader | None:
    """A data directory; None where there is no ``wav.scp``.

    Its recordings are read from wherever ``wav.scp`` names files: who hands over the directory means them.
    """
    scp = path / "wav.scp"
    if not scp.is_file():
        return None
    if not (path / "text").is_file():
        raise WorkbenchError(
            "a Kaldi directory without text",
            where=str(path),
            hint="Give the directory that has wav.scp and text.",
        )
    named = [where for _, where in _pairs(scp, []) if where and paths.refused(where) is None]
    roots = folders_of(str((path / where).resolve()) for where in named)

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        yield from batched(_rows(path, problems), table_of)

    files = [p for p in (scp, path / "text", path / "segments", path / "utt2spk") if p.is_file()]
    reader = Reader("Kaldi data directory", str(path), path, read, files=files, roots=roots)
    other = sorted(
        p.name for p in path.iterdir() if p.is_file() and p.name in ("feats.scp", "reco2file_and_channel")
    )
    if other:
        reader.notes.append(Problem("", f"passed over: {', '.join(other)}"))
    commands = [where for _, where in _pairs(scp, []) if paths.refused(where) == "path_command"]
    if commands:
        what = (
            f"{len(commands):,} recordings of wav.scp are commands, which are never run: {commands[0][:80]}"
        )
        reader.notes.append(Problem("wav.scp", what, "Run them yourself and name the files that they make."))
    reader.text_expected = True
    return reader


def _pairs(path: Path, problems: list[Problem]) -> Iterator[tuple[str, str]]:
    for key, value, _ in _numbered(path, problems):
        yield key, value


def _numbered(path: Path, problems: list[Problem]) -> Iterator[tuple[str, str, int]]:
    """First word, rest and line number of each line."""
    if not path.is_file():
        return
    for number, raw, _ in json_text.lines(path, problems):
        try:
            line = raw.decode("utf-8").strip()
        except UnicodeDecodeError:
            problems.append(Problem(path.name, "not UTF-8", "Save the file as UTF-8.", number))
            continue
        if line:
            key, _, value = line.partition(" ") if " " in line else line.partition("\t")
            yield key, value.strip(), number


def _rows(path: Path, problems: list[Problem]) -> Iterator[dict[str, Any]]:
    """A row an utterance, in the order of ``text``, then those that have a stretch but no text."""
    recordings = dict(_pairs(path / "wav.scp", problems))
    texts = {key: (value, number) for key, value, number in _numbered(path / "text", problems)}
    stretches: dict[str, tuple[str, float, float]] = {}
    has_segments = (path / "segments").is_file()
    odd: set[str] = set()
    for key, value, number in _numbered(path / "segments", problems):
        try:
            recording, start, end = value.split()[:3]
            stretches[key] = (recording, float(start), float(end))
        except ValueError:
            what = "not: utterance recording start end"
            problems.append(Problem("segments", what, "Times in seconds.", number))
            odd.add(key)
    durations = dict(_pairs(path / "utt2dur", problems))
    facts = {field: dict(_pairs(path / file, [])) for file, field in _PER_UTTERANCE.items()}
    of_speaker = {field: dict(_pairs(path / file, [])) for file, field in _PER_SPEAKER.items()}
    known = stretches if has_segments else recordings
    for key in [*texts, *(key for key in known if key not in texts)]:
        text, number = texts.get(key, ("", 0))
        row: dict[str, Any] = {"id": key, "text": text or None, LINE: number, FILE: "text"}
        recording, begins, ends = stretches.get(key) or (key, -1.0, -1.0)
        if key not in stretches and has_segments:
            if key not in odd:
                what = f"the utterance {key[:60]!r} is not in segments"
                problems.append(Problem("text", what, "Name its stretch.", number))
            continue
        where = recordings.get(recording)
        fault = f"the recording {recording[:60]!r} is not in wav.scp" if where is None else _fault(where)
        if fault is not None:
            problems.append(Problem("text", fault, "Name a sound file in wav.scp.", number))
            continue
        row["audio_filepath"] = where
        if key in stretches:
            row |= {"offset": begins, "duration": round(ends - begins, 6)}
        elif key in durations:
            row["duration"] = durations[key]
        row |= {field: values[key] for field, values in facts.items() if key in values}
        speaker = str(row.get("speaker"))
        row |= {field: values[speaker] for field, values in of_speaker.items() if speaker in values}
        yield row


def _fault(where: str) -> str | None:
    refused = paths.refused(where)
    if refused == "path_command":
        return f"wav.scp gives a command, which is never run: {where[:80]}"
    if ".ark:" in where:
        return f"wav.scp points into an archive: {where[:80]}"
    return None
