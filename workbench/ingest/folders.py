"""Folders of recordings: a table or metadata beside them, a text beside each, or nothing but sound.

A folder whose transcripts were not understood is refused, with what was seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from workbench.errors import Problem, WorkbenchError
from workbench.ingest.audio import AUDIO_SUFFIXES
from workbench.ingest.found_audio import FoundAudio
from workbench.ingest.json_text import LINE_LIMIT
from workbench.ingest.manifest import careful, table_of
from workbench.ingest.manifest_reader import open_manifest
from workbench.ingest.reader import FILE, LINE, Reader, batched
from workbench.ingest.schema import SPLITS, guess_mapping, split_name
from workbench.ingest.tables import by_values, columns_of, joined, open_parquet, open_table, records

if TYPE_CHECKING:
    import pyarrow as pa

_TABLES = (".csv", ".tsv", ".xlsx", ".xlsm", ".jsonl", ".json", ".parquet", ".txt", ".gz")
_SHEETS = (".csv", ".tsv", ".xlsx", ".jsonl")
_BESIDE = (".txt", ".lab", ".trn", ".text")
_ENOUGH = 20
"""Rows of a table that are held against the recordings of its folder."""


def with_metadata(path: Path, given: Mapping[str, str]) -> Reader | None:
    """``audiofolder`` of Hugging Face: ``metadata.csv`` or ``.jsonl`` with ``file_name``, at any depth.

    A first folder called train, validation or test is the split.
    """
    named = sorted(p for p in path.rglob("metadata.*") if p.suffix in (".csv", ".jsonl", ".tsv"))
    found = [p for p in named if _names_audio(p, given)]
    if not found:
        return None
    passed = [p for p in path.rglob("*") if p.suffix.lower() in (*_SHEETS, ".scp") and p not in found]

    def rows(problems: list[Problem]) -> Iterator[dict[str, Any]]:
        for file in found:
            places = FoundAudio(file.parent)
            inside = file.parent.relative_to(path)
            column: str | None = given.get("audio_filepath")
            for row in _any_rows(file, problems):
                if column not in row:
                    column = guess_mapping(row, {}).get("audio_filepath")
                written = row.pop(column, None) if column else None
                where = (inside / str(places.find(str(written)))).as_posix() if written else None
                split = split_name(Path(where).parts[0]) if where and len(Path(where).parts) > 1 else None
                if split in SPLITS and not any(key.lower() == "split" for key in row):
                    row["split"] = split
                yield {"file_name": where, **row, FILE: file.relative_to(path).as_posix()}

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        yield from batched(rows(problems), table_of)

    made = Reader("audiofolder", str(path), path, read, {"audio_filepath": "file_name"}, files=found)
    made.text_expected = True
    if passed:
        listed = ", ".join(sorted(p.relative_to(path).as_posix() for p in passed))[:300]
        made.notes.append(Problem("", f"passed over: {listed}", "Give a table's own path to import it."))
    return made


def _names_audio(file: Path, given: Mapping[str, str]) -> bool:
    if file.suffix == ".jsonl":
        return True
    try:
        columns = columns_of(file)
    except WorkbenchError:
        return False
    return "audio_filepath" in guess_mapping(columns, _those(given, columns))


def _any_rows(file: Path, problems: list[Problem]) -> Iterator[dict[str, Any]]:
    if file.suffix in (".jsonl", ".json"):
        for table in careful(file, problems):
            yield from table.to_pylist()
    else:
        yield from records(file, problems, [])


@dataclass(frozen=True)
class Candidate:
    """A table beside recordings, and how well it fits: columns, those understood, recordings found."""

    path: Path
    columns: tuple[str, ...]
    mapping: Mapping[str, str]
    rows: int
    found: int

    @property
    def fits(self) -> bool:
        return bool(self.found) and "text" in self.mapping

    def __str__(self) -> str:
        lacks = [] if "text" in self.mapping else ["no column is known as the transcript"]
        lacks += [] if self.found else ["none of its recordings was found"]
        return f"{self.path.name} (columns {', '.join(self.columns)[:120]}: {'; '.join(lacks) or 'fits'})"


def with_table(path: Path, folder: Path | None, given: Mapping[str, str]) -> Reader | None:
    """A folder of recordings with a table, or one table a split; None where no table fits.

    Tables of other columns are passed over and named.
    """
    seen = candidates(path, given)
    fits = [one for one in seen if one.fits]
    if not fits:
        return None
    best = max(fits, key=lambda one: (one.found / max(1, one.rows), len(one.mapping)))
    chosen = [one for one in fits if one.columns == best.columns and _is_split(one, best)]
    readers = [_reader_of(one.path, path, folder, given) for one in chosen]
    kind = "folder of audio with a table"
    made = readers[0] if len(readers) == 1 else joined(readers, kind, str(path), path)
    made.where = str(path)
    passed = [str(one) for one in seen if one not in chosen]
    if passed:
        names = ", ".join(one.path.name for one in chosen)
        made.notes.append(
            Problem(
                "",
                f"read: {names}; passed over: {', '.join(passed)}"[:900],
                "Give a table's own path to import it.",
            )
        )
    return made


def _is_split(one: Candidate, best: Candidate) -> bool:
    return one is best or (split_name(one.path.stem) in SPLITS and split_name(best.path.stem) in SPLITS)


def _reader_of(table: Path, home: Path, folder: Path | None, given: Mapping[str, str]) -> Reader:
    if table.suffix == ".parquet":
        return open_parquet([table], folder)
    if ".jsonl" in table.suffixes or ".json" in table.suffixes:
        return open_manifest(table, folder)
    return open_table(table, given, home)


def candidates(path: Path, given: Mapping[str, str]) -> list[Candidate]:
    """The tables of a folder and of the folders in it, each with how well it fits the recordings."""
    files = sorted({p for pattern in ("*", "*/*") for p in path.glob(pattern) if p.is_file()})
    found = [p for p in files if p.suffix.lower() in _TABLES and not p.name.startswith(".")]
    places = FoundAudio(path, ("clips", "audio", "audios", "wavs", "wav"))
    made = []
    for file in found[:500]:
        if (
            file.suffix.lower() in (".txt", ".gz")
            and ".jsonl" not in file.suffixes
            and not _looks_a_table(file)
        ):
            continue
        try:
            made.append(_candidate(file, places, given))
        except (WorkbenchError, ValueError, OSError):
            continue
    return made


def _looks_a_table(file: Path) -> bool:
    with file.open("rb") as stream:
        lines = stream.read(4_000).splitlines()[:3]
    return len(lines) > 1 and any(
        all(line.count(sign) >= 1 for line in lines) for sign in (b"\t", b"|", b";")
    )


def _candidate(file: Path, places: FoundAudio, given: Mapping[str, str]) -> Candidate:
    if file.suffix == ".parquet":
        return _of_parquet(file, places, given)
    if ".jsonl" in file.suffixes or ".json" in file.suffixes:
        table = next(careful(file, []), None)
        some = [] if table is None else table.slice(0, _ENOUGH).to_pylist()
        columns = [] if table is None else [n for n in table.column_names if n != LINE]
        mapping = guess_mapping(columns, _those(given, columns))
    else:
        columns = columns_of(file)
        mapping = guess_mapping(columns, _those(given, columns))
        mapping |= by_values(file, mapping)
        some = [row for row, _ in zip(records(file, [], []), range(_ENOUGH), strict=False)]
    column = mapping.get("audio_filepath")
    written = [str(row[column]) for row in some if column and row.get(column)]
    found = sum((places.folder / str(places.find(one))).is_file() for one in written)
    return Candidate(file, tuple(columns), mapping, len(some), found)


def _of_parquet(file: Path, places: FoundAudio, given: Mapping[str, str]) -> Candidate:
    schema = pq.read_schema(file)
    mapping = guess_mapping(schema.names, _those(given, schema.names))
    return Candidate(file, tuple(schema.names), mapping, 1, int("audio_filepath" in mapping))


def _those(given: Mapping[str, str], columns: Sequence[str]) -> dict[str, str]:
    return {name: column for name, column in given.items() if column in columns}


def with_texts(path: Path) -> Reader | None:
    """The transcript lies beside each recording as ``NAME.txt`` or ``.lab``; or there is nothing but sound.

    None where the folder holds no recording; so does one with other files and not one such text.
    """
    recordings = FoundAudio(path).all()
    texts = {audio: text for audio in recordings if (text := _text_file_of(path / audio)) is not None}
    if not recordings or (not texts and _others(path)):
        return None
    notes: list[Problem] = []

    def rows(problems: list[Problem]) -> Iterator[dict[str, Any]]:
        missing = 0
        for number, audio in enumerate(recordings, 1):
            text = _read(texts[audio], path, notes) if audio in texts else None
            missing += audio not in texts
            yield {"audio_filepath": audio, "text": text, LINE: number}
        if missing:
            what = f"{missing:,} of {len(recordings):,} recordings have no transcript beside them"
            notes.append(Problem("", what, "They are kept without one."))

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        yield from batched(rows(problems), table_of)

    return Reader("folder of audio", str(path), path, read, notes=notes)


def _text_file_of(audio: Path) -> Path | None:
    for suffix in _BESIDE:
        for path in (audio.with_suffix(suffix), audio.with_name(audio.name + suffix)):
            if path.is_file():
                return path
    return None


def _read(path: Path, root: Path, notes: list[Problem]) -> str | None:
    try:
        with path.open("rb") as stream:
            return " ".join(stream.read(LINE_LIMIT).decode("utf-8-sig").split()) or None
    except UnicodeDecodeError:
        where = path.relative_to(root).as_posix()
        notes.append(Problem(where, "the transcript is not UTF-8; kept without it", "Save as UTF-8."))
        return None


def _others(path: Path) -> list[Path]:
    """Files that are no recordings and might hold transcripts."""
    harmless = {"readme", "license", "notice", "changelog", "version", "thumbs", "copying"}
    return [p for p in sorted(path.rglob("*"))
            if p.is_file() and not p.name.startswith(".") and p.suffix.lower() not in AUDIO_SUFFIXES
            and p.stem.lower() not in harmless]  # fmt: skip


def not_understood(path: Path, given: Mapping[str, str]) -> WorkbenchError:
    """The refusal of a folder, with what was seen."""
    kinds = Counter(p.suffix.lower() or "no suffix" for p in path.rglob("*") if p.is_file())
    audio = sum(count for kind, count in kinds.items() if kind in AUDIO_SUFFIXES)
    rest = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common() if kind not in AUDIO_SUFFIXES)
    if not kinds:
        return WorkbenchError("the folder is empty", where=str(path))
    seen = candidates(path, given)
    what = f"the transcripts were not understood; seen: {audio} recordings, {rest or 'nothing else'}"[:180]
    tables = "; ".join(map(str, seen))[:180]
    hint = "Name the columns, e.g. mapping={'audio_filepath': …, 'text': …}, or give the table's own path."
    return WorkbenchError(f"{what}; {tables}" if tables else what, where=str(path), hint=hint)
