"""What every reader hands on: one source, opened, as a stream of Arrow tables; below all readers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import Problem, WorkbenchError
from workbench.files import sha256_file, write_atomic

if TYPE_CHECKING:
    import pyarrow as pa

LINE = "source_line"
FILE = "source_file"
INSIDE = "inside/"
"""What the path of audio within a source begins with while the source is only looked at."""
BATCH = 20_000
"""Rows of one table, about."""
_MAGIC = ((b"RIFF", ".wav"), (b"fLaC", ".flac"), (b"OggS", ".ogg"), (b"ID3", ".mp3"), (b"\xff\xfb", ".mp3"))


@dataclass
class Reader:
    """One source, opened.

    Attributes:
        kind: the layout it was taken for.
        where: what the record calls it.
        base: folder that its relative paths start from.
        read: yields its tables; bad rows go to the list it is given, each with its line.
        mapping: field → column where the layout decides it.
        defaults: field → value that the layout states for all rows.
        files: what its digest is taken over.
        roots: further folders that its audio lies in.
        lines: the one file of JSON lines that it is; None for all else.
        notes: what must be said of the source as a whole: files passed over, choices made.
        text_expected: rows without a column for the transcript mean that it was not understood.
        own: an export of the workbench itself: tags that it appended to transcripts come off again.
        dropped: columns that the layout itself adds to rows, and that mean nothing once they are here.
        sha256: of its files, where reading them has told.
    """

    kind: str
    where: str
    base: Path
    read: Callable[[list[Problem]], Iterator[pa.Table]]
    mapping: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    files: Sequence[Path] = ()
    roots: Sequence[Path] = ()
    lines: Path | None = None
    notes: list[Problem] = field(default_factory=list)
    text_expected: bool = False
    own: bool = False
    dropped: frozenset[str] = frozenset()
    sha256: str | None = None
    left_out: int = 0

    def tables(self, problems: list[Problem]) -> Iterator[pa.Table]:
        """The tables; ``left_out`` counts the rows that could not be read at all."""
        before = len(problems)
        for table in self.read(problems):
            yield table.drop_columns([n for n in table.column_names if n in self.dropped])
        self.left_out = sum(problem.line is not None for problem in problems[before:])

    def digest(self) -> str | None:
        """SHA-256 over the source's files in order; None where there are none."""
        if self.sha256 is not None:
            return self.sha256
        sums = [sha256_file(path) for path in self.files]
        if len(sums) < 2:
            return sums[0] if sums else None
        return hashlib.sha256("\n".join(sums).encode()).hexdigest()


def batched(rows: Iterable[dict[str, Any]], make: Callable[[list[dict[str, Any]]], Any]) -> Iterator[Any]:
    """Rows by BATCH, each batch made into a table."""
    some: list[dict[str, Any]] = []
    for row in rows:
        some.append(row)
        if len(some) >= BATCH:
            yield make(some)
            some = []
    if some:
        yield make(some)


def keep_bytes(data: bytes, folder: Path | None, suffix: str = "") -> str:
    """Write audio under the name of its hash, unchanged; the same audio is written once.

    Args:
        data: a whole recording.
        folder: the corpus folder; None only to look, when nothing is written.
        suffix: of its file; from its first bytes where empty.
    """
    digest = hashlib.sha256(data).hexdigest()
    if not suffix:
        suffix = next((s for magic, s in _MAGIC if data.startswith(magic)), ".wav")
    if folder is None:
        return f"{INSIDE}{digest}{suffix}"
    target = Path(os.path.realpath(folder)) / "audio" / digest[:2] / f"{digest}{suffix}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(target, data)
    return str(target)


def folders_of(files: Iterable[str]) -> list[Path]:
    """The folders that absolute paths lie in, at most 20, else the one above all; never the root itself."""
    found = {str(Path(file).absolute().parent) for file in files}
    if len(found) > 20:
        found = {os.path.commonpath(found)}
    return [Path(name) for name in sorted(found) if len(Path(name).parts) > 2]


def must_exist(path: Path) -> None:
    if not path.exists():
        raise WorkbenchError("no such file", where=str(path), hint="Check the path.")
