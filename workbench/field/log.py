"""Read a field log: one JSON object per line, as docs/field-log.md describes it; damaged lines are listed.

A log comes from production: cut off while it was written, joined from several machines, with fields that a
client made up. A line that cannot be used costs that line only; what is wrong with it is said in one line.
"""

from __future__ import annotations

import gzip
import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import pandas as pd

from workbench.errors import Problem, WorkbenchError
from workbench.glance import counted
from workbench.language_tags import strip_tag
from workbench.locales import AUTO, LOCALES, canonical

LINE_LIMIT = 1 << 20
COLUMNS = (
    "line", "file", "id", "time", "requested_lang", "detected_lang", "words", "marks", "confidence",
    "latency_ms", "release", "text", "audio_filepath", "offset", "duration", "speaker", "source", "consent",
    "purpose", "keep_days",
)  # fmt: skip
_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}\Z")
_TEXTS = ("id", "release", "audio_filepath", "speaker", "source", "consent", "purpose")
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_ALL_MARKS = "".join(sorted({mark for row in LOCALES.values() for mark in row.marks}))


@dataclass
class FieldLog:
    """Usable lines of one or more logs, and the rest.

    Attributes:
        rows: a row per usable line, ordered by time, columns :data:`COLUMNS`: ``time`` is UTC; ``words`` and
            ``marks`` are counted from the text where it is there, else taken from the log; ``text`` only
            where the log kept it. What is not known is null.
        problems: one for every line that could not be used. ``lines``: all lines that were not blank.
        others: usable lines that were left out because they name another release, or none.
    """

    rows: pd.DataFrame
    problems: list[Problem] = field(default_factory=list)
    lines: int = 0
    others: int = 0

    def __repr__(self) -> str:
        other = f", {self.others:,} of other releases left out" if self.others else ""
        faults = (
            f", {len(self.problems):,} of {counted(self.lines, 'line')} not usable" if self.problems else ""
        )
        return f"Field log of {counted(len(self), 'call')}{other}{faults}."

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def releases(self) -> list[str]:
        """Releases that the log names, by their first call."""
        known = self.rows.dropna(subset=["release"])
        return [str(name) for name in known["release"].drop_duplicates()]

    def of_release(self, release: str) -> FieldLog:
        """The calls that one release answered.

        Raises:
            WorkbenchError: the log does not name it.
        """
        if release not in self.releases:
            raise WorkbenchError(
                f"no call of release {release!r}",
                where="field log",
                hint=f"It names {', '.join(self.releases) or 'no release'}.",
            )
        rows = self.rows[self.rows["release"] == release].reset_index(drop=True)
        return FieldLog(rows, self.problems, self.lines, self.others + len(self.rows) - len(rows))


class _LineFaultError(Exception):
    """(what, hint, field) of a line."""


def read_log(paths: str | Path | Iterable[str | Path], *, now: datetime | None = None) -> FieldLog:
    """Read one or several logs (``.jsonl``, also gzipped).

    Args:
        paths: files; a folder stands for its ``*.jsonl`` and ``*.jsonl.gz``.
        now: lines from later than a day after it are damaged.

    Raises:
        WorkbenchError: no such file, or an empty folder.
    """
    files = _files([paths] if isinstance(paths, str | Path) else list(paths))
    latest = (now or datetime.now(UTC)) + timedelta(days=1)
    records: list[dict[str, Any]] = []
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    lines = 0
    for path in files:
        for number, raw in _lines(path, problems):
            if not raw.strip():
                continue
            lines += 1
            try:
                record = _record(raw, latest)
                if (key := record["id"]) is not None:
                    if key in seen:
                        raise _LineFaultError(f"repeats the id of {seen[key]}", "Send each call once.", "id")
                    seen[key] = f"{path.name}:{number}"
                records.append({"line": number, "file": path.name, **record})
            except _LineFaultError as fault:
                what, hint, name = fault.args
                problems.append(Problem(path.name, what, hint, number, name))
    rows = pd.DataFrame(records, columns=list(COLUMNS))
    rows["time"] = pd.to_datetime(rows["time"], utc=True)
    for name in ("words", "marks", "confidence", "latency_ms", "offset", "duration", "keep_days"):
        rows[name] = rows[name].astype("float64")
    return FieldLog(rows.sort_values("time", kind="stable").reset_index(drop=True), problems, lines)


def count_units(text: str, tag: str | None) -> tuple[int, int]:
    """(words, marks) of a transcript; characters instead of words where the locale is scored by them."""
    known = LOCALES.get(tag or "")
    marks = known.marks if known is not None else _ALL_MARKS
    found = sum(character in marks for character in text)
    if known is not None and known.scored_by == "char":
        return sum(not c.isspace() and c not in marks for c in text), found
    return sum(any(c.isalnum() for c in word) for word in text.split()), found


def _files(paths: list[str | Path]) -> list[Path]:
    files: list[Path] = []
    for path in map(Path, paths):
        held = sorted([*path.glob("*.jsonl"), *path.glob("*.jsonl.gz")]) if path.is_dir() else [path]
        if not held or not all(file.is_file() for file in held):
            raise WorkbenchError(
                "no such log", where=str(path), hint="Give a .jsonl file or a folder of them."
            )
        files += held
    return files


def _lines(path: Path, problems: list[Problem]) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        with path.open("rb") as plain:
            packed = path.suffix == ".gz"
            stream: IO[bytes] = gzip.GzipFile(fileobj=plain) if packed else plain  # type: ignore[assignment]
            while line := stream.readline(LINE_LIMIT + 1):
                number += 1
                if len(line) > LINE_LIMIT and not line.endswith(b"\n"):
                    while (rest := stream.readline(LINE_LIMIT)) and not rest.endswith(b"\n"):
                        pass
                yield number, line
    except (OSError, EOFError, zlib.error) as error:
        what = f"cannot be read on: {error}"
        problems.append(Problem(path.name, what, "Fetch the file again.", number + 1))


def _record(raw: bytes, latest: datetime) -> dict[str, Any]:
    if len(raw) > LINE_LIMIT:
        raise _LineFaultError("longer than 1 MiB", "Log one call per line.", "")
    try:
        held = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise _LineFaultError("not UTF-8", "Write the log in UTF-8.", "") from None
    except (ValueError, RecursionError):
        raise _LineFaultError(
            "not a JSON object", "The line may be cut off or two may be joined.", ""
        ) from None
    if not isinstance(held, dict):
        raise _LineFaultError("not a JSON object", "Log one object per line.", "")
    record: dict[str, Any] = {
        "time": _time(held.get("time"), latest),
        "requested_lang": _requested(held.get("requested_lang")),
        "detected_lang": _detected(held.get("detected_lang")),
        "confidence": _number(held, "confidence", 0.0, 1.0),
        "latency_ms": _number(held, "latency_ms", 0.0, 1e7),
        "offset": _number(held, "offset", 0.0, 1e7),
        "duration": _number(held, "duration", 0.0, 1e6),
        "keep_days": _number(held, "keep_days", 0.0, 1e5),
        **{name: _text(held, name, 1024) for name in _TEXTS},
    }
    text = _text(held, "text", 100_000)
    record["text"] = strip_tag(text)[0] if text is not None else None
    if text is None:
        record["words"], record["marks"] = (_number(held, name, 0.0, 1e6) for name in ("words", "marks"))
    else:
        tag = record["requested_lang"] if record["requested_lang"] != AUTO else record["detected_lang"]
        record["words"], record["marks"] = count_units(record["text"], tag)
    return record


def _time(value: Any, latest: datetime) -> datetime:
    hint = "Write ISO-8601, such as 2026-03-01T09:30:00Z."
    if not isinstance(value, str):
        raise _LineFaultError("no time" if value is None else "a time is a text", hint, "time")
    try:
        found = datetime.fromisoformat(value)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _LineFaultError(f"time {_short(value)} cannot be read", hint, "time") from None
    if not _EARLIEST <= found <= latest:
        raise _LineFaultError(f"time {_short(value)} is before 2000 or to come", "Check the clock.", "time")
    return found


def _requested(value: Any) -> str:
    if not isinstance(value, str):
        raise _LineFaultError("no locale that was asked for", "Give a tag or auto.", "requested_lang")
    try:
        return canonical(value, [*LOCALES, AUTO])
    except WorkbenchError as error:
        raise _LineFaultError(error.what, error.hint, "requested_lang") from None


def _detected(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _TAG.match(value):
        raise _LineFaultError(f"{_short(value)} is no tag", "Give a tag or null.", "detected_lang")
    return value


def _number(held: dict[str, Any], name: str, low: float, high: float) -> float | None:
    value = held.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _LineFaultError(f"{_short(value)} is no number", "Give a number or null.", name)
    if not low <= value <= high:
        raise _LineFaultError(f"{value:g} is outside {low:g} to {high:g}", "Check its unit.", name)
    return float(value)


def _text(held: dict[str, Any], name: str, most: int) -> str | None:
    value = held.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _LineFaultError(f"{_short(value)} is no text", "Give a text or null.", name)
    if len(value) > most:
        raise _LineFaultError(f"{len(value)} characters", f"At most {most}.", name)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _LineFaultError("an unpaired surrogate", "Write whole characters.", name) from None
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
