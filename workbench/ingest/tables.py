"""Tables: comma, semicolon, tab and bar separated, Excel, Parquet; any headers, or none."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import Problem, WorkbenchError
from workbench.ingest import json_text
from workbench.ingest.audio import AUDIO_SUFFIXES
from workbench.ingest.found_audio import FoundAudio
from workbench.ingest.json_text import LINE_LIMIT
from workbench.ingest.libraries import class_names, plain_table
from workbench.ingest.manifest import table_of
from workbench.ingest.reader import FILE, LINE, Reader, batched, must_exist
from workbench.ingest.schema import SPLITS, guess_mapping, split_name

SUFFIXES = (".csv", ".tsv", ".xlsx", ".xlsm")
_LONGEST_RECORD = 20
"""Lines that one row may go over before an open quote is taken for a slip."""
Row = dict[str, Any]


def open_table(path: Path, given: Mapping[str, str] | None = None, base: Path | None = None) -> Reader:
    """A table of rows that name recordings.

    Args:
        path: the file.
        given: field → column, as the user says.
        base: the folder that its recordings lie below; by default the table's.

    Raises:
        WorkbenchError: no such file, or its first line names no columns.
    """
    must_exist(path)
    home = base or path.parent
    notes: list[Problem] = []
    header = columns_of(path)
    named = guess_mapping(header, {f: c for f, c in (given or {}).items() if c in header})
    mapping = by_values(path, named)
    column = mapping.get("audio_filepath", named.get("audio_filepath"))
    places = FoundAudio(home, ("clips", "audio", "audios", "wavs", "wav"))

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        rows = records(path, problems, notes)
        if column is not None:
            rows = ({**row, column: places.find(_text(row.get(column)))} for row in rows)
        yield from batched(rows, table_of)

    reader = Reader("table", str(path), home, read, mapping, _stated(path), [path], notes=notes)
    reader.text_expected = True
    return reader


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _stated(path: Path) -> dict[str, Any]:
    """``train.tsv`` and the like say which split all their rows are."""
    split = stated_split(path.name)
    return {"split": split} if split else {}


def stated_split(name: str) -> str | None:
    """The split that the name of a file or folder states: ``train.tsv``, ``test-00000-of-00004.parquet``."""
    parts = re.split(r"[._-]", Path(name).stem)
    return next((split for part in (parts[0], parts[-1]) if (split := split_name(part)) in SPLITS), None)


def joined(readers: Sequence[Reader], kind: str, where: str, base: Path) -> Reader:
    """Several tables of one layout as one source; rows say which file they come from."""

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        for reader in readers:
            name = Path(reader.where).name
            for table in reader.read(problems):
                for field_, value in reader.defaults.items():
                    if field_ not in table.column_names:
                        table = table.append_column(field_, pa.array([value] * len(table), pa.string()))
                if FILE not in table.column_names:
                    table = table.append_column(FILE, pa.array([name] * len(table), pa.string()))
                yield table

    shared = dict(readers[0].mapping)
    made = Reader(kind, where, base, read, shared, files=[f for r in readers for f in r.files])
    made.notes = [note for reader in readers for note in reader.notes]
    made.text_expected = True
    return made


def columns_of(path: Path) -> list[str]:
    """The names of a table's columns, ``column_1`` … where it states none.

    Raises:
        WorkbenchError: the first line names no columns, or one twice.
    """
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        first = next(_sheet(path, []), None)
        return _header([_text(v) or "" for v in first[1]] if first else [], path)
    line, delimiter = _first_line(path)
    return _header(_fields(line, delimiter, path) or [], path)


def _first_line(path: Path) -> tuple[str, str]:
    for _, raw, _ in json_text.lines(path, []):
        if raw.strip():
            text = raw.decode("utf-8", "replace").rstrip("\r\n")
            return text, _delimiter(text, path)
    return "", ","


def _delimiter(line: str, path: Path) -> str:
    """The sign that the first line holds most of, outside of quotes; by the file's name in doubt."""
    if match := re.match(r"sep=(.)$", line):
        return match[1]
    bare = re.sub(r'"[^"]*"', "", line)
    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    counts = {sign: bare.count(sign) for sign in (usual, "\t", ";", ",", "|")}
    best = max(counts, key=lambda sign: counts[sign])
    return best if counts[best] else usual


def _header(values: list[str], path: Path) -> list[str]:
    names = [value.strip() for value in values]
    if any(name.lower().endswith(AUDIO_SUFFIXES) for name in names):  # a row already: there is no header
        return [f"column_{number}" for number in range(1, len(names) + 1)]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice or not any(names):
        what = f"duplicate column {twice[0]!r}" if twice else "the first line names no columns"
        raise WorkbenchError(what, where=f"{path.name}:1", hint="Give each column one name.")
    return [name or f"column_{number}" for number, name in enumerate(names, 1)]


def records(path: Path, problems: list[Problem], notes: list[Problem]) -> Iterator[Row]:
    """Rows of a table with their line; those that are none are named."""
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        yield from _excel_rows(path, problems, notes)
        return
    first, delimiter = _first_line(path)
    header = columns_of(path)
    names = header != [f"column_{number}" for number in range(1, len(header) + 1)]
    for number, values in _split(path, delimiter, len(header), problems, notes):
        if names and first is not None:
            first, names = "", False
            continue
        yield {**{n: v or None for n, v in zip(header, values, strict=True)}, LINE: number}


def _split(
    path: Path, delimiter: str, width: int, problems: list[Problem], notes: list[Problem]
) -> Iterator[tuple[int, list[str]]]:
    """Line and values of each record, the header's too.

    A quote that is opened and not closed within a few lines is a slip on that line alone: it must not
    swallow the rows after it.
    """
    waiting: list[tuple[int, str]] = []
    source = _decoded(path, problems, notes)
    while waiting or (line := next(source, None)) is not None:
        number, text = waiting.pop(0) if waiting else line  # type: ignore[misc]
        if not text.strip() or re.match(r"sep=.$", text):
            continue
        values = _fields(text, delimiter, path)
        if values is None:
            taken: list[tuple[int, str]] = []
            while values is None and len(taken) < _LONGEST_RECORD:
                more = waiting.pop(0) if waiting else next(source, None)
                if more is None:
                    break
                taken.append(more)
                text = f"{text}\n{more[1]}"
                values = _fields(text, delimiter, path)
            whole = any(len(_fields(one, delimiter, path) or []) == width for _, one in taken)
            broken = values is None or len(values) != width or any("\0" in value for value in values)
            if values is None or broken or (whole and width > 1):
                waiting = taken + waiting
                problems.append(
                    Problem(path.name, "a quote is not closed", "Double it or remove it.", number)
                )
                continue
        if len(values) > width and not any(values[width:]):
            values = values[:width]
        if len(values) != width:
            what = f"{len(values)} columns where the first line names {width}"
            problems.append(Problem(path.name, what, "Is a separator missing or unquoted?", number))
        elif any("\0" in value for value in values):
            problems.append(Problem(path.name, "a NUL character", "Remove it.", number))
        elif any(values):
            yield number, values


def _decoded(path: Path, problems: list[Problem], notes: list[Problem]) -> Iterator[tuple[int, str]]:
    for number, raw, _ in json_text.lines(path, notes):
        if len(raw) > LINE_LIMIT:
            what = f"the line is longer than {LINE_LIMIT:,} bytes"
            problems.append(Problem(path.name, what, "One utterance per line.", number))
            continue
        try:
            yield number, raw.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            what = f"not UTF-8 at byte {error.start + 1}"
            problems.append(Problem(path.name, what, "Save the file as UTF-8.", number))


def _fields(text: str, delimiter: str, path: Path) -> list[str] | None:
    """The values of a record; None where a quote is still open.

    In tab and bar separated files quotes are plain characters, as in Common Voice, unless they hold a whole
    value.
    """
    if delimiter in "\t|":
        return [_unquoted(value) for value in text.split(delimiter)]
    csv.field_size_limit(LINE_LIMIT * 2)
    over = [f"{line}\n" for line in text.split("\n")]
    over[-1] = over[-1][:-1]
    try:
        found = list(csv.reader(over, delimiter=delimiter, strict=True))
        return found[0] if len(found) == 1 else None
    except csv.Error as error:
        if len(over) > 1 or "unexpected end" in str(error):
            return None
    return next(csv.reader(over, delimiter=delimiter), [])


def _unquoted(value: str) -> str:
    inner = value[1:-1]
    whole = len(value) > 1 and value[0] == value[-1] == '"' and '"' not in inner.replace('""', "")
    return inner.replace('""', '"') if whole else value


def _sheet(path: Path, notes: list[Problem]) -> Iterator[tuple[int, list[Any]]]:
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # zip, XML and key errors alike
        raise WorkbenchError(
            "not an Excel workbook", where=str(path), hint="Save it as .xlsx or CSV."
        ) from error
    try:
        if len(book.sheetnames) > 1:
            listed = ", ".join(book.sheetnames[1:])[:200]
            notes.append(
                Problem(path.name, f"only the sheet {book.sheetnames[0]!r} is read; passed over: {listed}")
            )
        for number, row in enumerate(book[book.sheetnames[0]].iter_rows(values_only=True), 1):
            if any(value not in (None, "") for value in row):
                yield number, list(row)
    finally:
        book.close()


def _excel_rows(path: Path, problems: list[Problem], notes: list[Problem]) -> Iterator[Row]:
    header = columns_of(path)
    rows = _sheet(path, notes)
    if header != [f"column_{number}" for number in range(1, len(header) + 1)]:
        next(rows, None)
    for number, values in rows:
        if any(value is not None for value in values[len(header) :]):
            what = f"{len(values)} cells where the first line names {len(header)}"
            problems.append(Problem(path.name, what, "Name every column.", number))
            continue
        cells = [None if v == "" else str(v) if hasattr(v, "isoformat") else v for v in values]
        yield {**dict(zip(header, cells, strict=False)), LINE: number}


def by_values(path: Path, named: Mapping[str, str]) -> dict[str, str]:
    """Columns told by what they hold, for a recording that no column's name tells.

    The transcript is only told so where the table has no header at all.
    """
    header = columns_of(path)
    bare = header == [f"column_{number}" for number in range(1, len(header) + 1)]
    if "audio_filepath" in named and ("text" in named or not bare):
        return {}
    some = [row for row, _ in zip(records(path, [], []), range(50), strict=False)]
    guessed = told_by_values(header, some, set(named.values()))
    return {
        f: c for f, c in guessed.items() if f not in named and (f == "audio_filepath" or bare)
    }  # fmt: skip


def told_by_values(header: Sequence[str], some: Sequence[Row], taken: set[str]) -> dict[str, str]:
    """Field → column by what rows hold: names of sound files, and sentences."""
    made: dict[str, str] = {}
    lengths: dict[str, float] = {}
    for name in header:
        values = [row[name] for row in some if isinstance(row.get(name), str)]
        if not values or name in taken:
            continue
        audio = sum(value.lower().endswith(AUDIO_SUFFIXES) for value in values)
        if audio > len(values) * 0.8:
            made.setdefault("audio_filepath", name)
        elif sum(bool(re.search(r"\w\s+\w|\w[.!?。]$", value)) for value in values) > len(values) / 2:
            lengths[name] = sum(map(len, values)) / len(values)
    if lengths:
        made["text"] = max(lengths, key=lambda name: lengths[name])
    return made


def open_parquet(paths: Sequence[Path], folder: Path | None) -> Reader:
    """Parquet files, with audio as bytes or as paths; class labels of data sets by name.

    Args:
        paths: one or several; each file's name may state its split, as on the hub.
        folder: of the corpus, where audio is put; None only to look.
    """
    for path in paths:
        must_exist(path)
    base = Path(os.path.commonpath([p.parent for p in paths]))
    notes: list[Problem] = []

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        for path in paths:
            line = 1
            try:
                file = pq.ParquetFile(path)
            except (OSError, ValueError, pa.ArrowException) as error:
                raise WorkbenchError("not a Parquet file", where=str(path)) from error
            names = class_names(file.schema_arrow)
            for batch in file.iter_batches(batch_size=2_000):
                table = plain_table(batch, line, folder, base, notes, names)
                line += batch.num_rows
                stated = _stated(path)
                if stated and "split" not in table.column_names:
                    table = table.append_column(
                        "split", pa.array([stated["split"]] * len(table), pa.string())
                    )
                if len(paths) > 1:
                    table = table.append_column(FILE, pa.array([path.name] * len(table), pa.string()))
                yield table

    where = str(paths[0] if len(paths) == 1 else base)
    return Reader("Parquet", where, base, read, files=list(paths), notes=notes, text_expected=True)


Opener = Callable[[Path], Reader]


def read_json(path: Path) -> Any:
    """A small JSON file."""
    return json.loads(b"".join(json_text.chunks(path, [])))
