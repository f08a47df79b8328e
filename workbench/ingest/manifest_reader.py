"""NeMo manifests as a source: one file or many shards, plain or tarred; and what the workbench exported."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from workbench.errors import Problem, WorkbenchError
from workbench.ingest import json_text, libraries, manifest, tarred
from workbench.ingest.found_audio import FoundAudio
from workbench.ingest.manifest import table_of
from workbench.ingest.reader import FILE, LINE, Reader, batched, folders_of
from workbench.ingest.schema import guess_mapping
from workbench.ingest.tables import read_json
from workbench.spreadsheets import undefused


def open_manifest(source: str | Path, folder: Path | None) -> Reader:
    """A manifest by name; see :func:`workbench.ingest.manifest.expand`.

    Args:
        source: file, shards, pattern, or several with commas between.
        folder: of the corpus, where audio of archives is put; None only to look.

    Raises:
        WorkbenchError: a file is missing.
    """
    files = manifest.expand(source)
    _must_be_text(files[0])
    if _export_of(files[0]) is not None:
        return _own_lines(files, folder, str(source))
    return _lines(files, folder, str(source))


def _must_be_text(path: Path) -> None:
    head = next(json_text.chunks(path, []), b"").lstrip()[:200]
    if head and not head.startswith((b"{", b"[")) and b"\n{" not in head:
        raise WorkbenchError(
            "neither JSON lines nor another layout that is known", where=str(path),
            hint="wb.inspect_source says what can be read; save tables as .csv, .tsv, .xlsx or .jsonl.",
        )  # fmt: skip


def _lines(files: Sequence[Path], folder: Path | None, where: str) -> Reader:
    in_archives = tarred.is_tarred(files)
    notes: list[Problem] = []
    base = files[0].parent

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        for file in files:
            for table in manifest.read(file, problems):
                if in_archives:
                    yield tarred.with_audio(table, file, folder, problems)
                    continue
                yield (
                    with_file(_located(table, file, notes), file.name)
                    if len(files) > 1
                    else (_located(table, file, notes))
                )

    lines = files[0] if len(files) == 1 and not in_archives else None
    kind = "tarred NeMo manifest" if in_archives else "NeMo manifest"
    return Reader(kind, where, base, read, files=files, lines=lines, notes=notes)


def _located(table: pa.Table, file: Path, notes: list[Problem]) -> pa.Table:
    """Recordings of an array of rows, as annotation tools write it, found by their names below its folder."""
    column = guess_mapping(table.column_names).get("audio_filepath")
    if column is None or json_text.is_plain(file) or not pa.types.is_string(table.schema.field(column).type):
        return table
    places = FoundAudio(file.parent)
    found = pa.array([places.find(written) for written in table[column].to_pylist()], pa.string())
    if places.moved:
        notes.append(
            Problem(file.name, f"{places.moved:,} recordings were found by their names below the folder")
        )
    return table.set_column(table.column_names.index(column), column, found)


def with_file(table: pa.Table, name: str) -> pa.Table:
    names = pa.array([name]).take(pa.array([0] * table.num_rows, pa.int32()))
    return table if FILE in table.column_names else table.append_column(FILE, names)


def _export_of(path: Path) -> Path | None:
    """The export of the workbench that a file or folder belongs to."""
    folders = (path, path.parent, path.parent.parent)
    found = next((f for f in folders if (f / "export.json").is_file()), None)
    if found is None:
        return None
    facts = read_json(found / "export.json")
    return found if isinstance(facts, dict) and {"format", "files", "digest"} <= set(facts) else None


def open_export(path: Path, folder: Path | None) -> Reader | None:
    """What the workbench exported, in any of its formats; None for anything else.

    Its recordings are read from where the export names them: who hands over an export of ours means them.
    """
    home = _export_of(path)
    if home is None:
        return None
    facts = read_json(home / "export.json")
    files = {split: home / name for split, name in sorted(facts["files"].items())}
    if path != home and path.is_dir():
        files = {split: file for split, file in files.items() if path in (file, *file.parents)} or files
    format_ = facts["format"]
    if format_ == "csv":
        return _own_csv(home, path)
    if format_ in ("nemo", "tarred"):
        if path.is_file():
            return None
        listed = [shard for file in files.values() for shard in manifest.expand(file)]
        return _own_lines(listed, folder, str(path))
    readers = [libraries.open_folder(file, folder) for file in files.values()]
    return _own_joined([r for r in readers if r is not None], path) if any(readers) else None


def _own_lines(files: Sequence[Path], folder: Path | None, where: str) -> Reader:
    groups = [[f for f in files if tarred.is_tarred([f])], [f for f in files if not tarred.is_tarred([f])]]
    readers = [_lines(group, folder, where) for group in groups if group]
    reader = readers[0] if len(readers) == 1 else _own_joined(readers, Path(where))
    home = _export_of(files[0]) or files[0].parent
    reader.kind, reader.base, reader.own = f"{reader.kind} of the workbench", home, True
    if groups[0]:
        reader.dropped = frozenset({"channel", "prompt_mode", "shard_id"})
    paths = (
        json.loads(raw).get("audio_filepath", "") for f in groups[1] for _, raw, _ in json_text.lines(f, [])
    )
    reader.roots = folders_of(p for p in paths if str(p).startswith("/"))
    if any(str(p).startswith("..") for p in _paths(groups[1])):
        reader.roots = folders_of(str((home / p).resolve()) for p in _paths(groups[1]))
    return reader


def _paths(files: Sequence[Path]) -> Iterator[str]:
    for file in files:
        for _, raw, _ in json_text.lines(file, []):
            yield str(json.loads(raw).get("audio_filepath", ""))


def _own_joined(readers: Sequence[Reader], path: Path) -> Reader:
    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        for reader in readers:
            yield from reader.read(problems)

    made = Reader("export of the workbench", str(path), path if path.is_dir() else path.parent, read)
    made.files = [file for reader in readers for file in reader.files]
    made.roots = [root for reader in readers for root in reader.roots]
    made.mapping, made.own = dict(readers[0].mapping), True
    # One channel was cut out of each recording, so there is none to choose any more.
    made.dropped = frozenset({"channel", "prompt_mode", "shard_id"})
    return made


def _own_csv(home: Path, path: Path) -> Reader:
    file = home / "utterances.csv"

    def rows() -> Iterator[dict[str, Any]]:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            header = [undefused(name) for name in next(reader)]
            for values in reader:
                yield {n: undefused(v) if v else None for n, v in zip(header, values, strict=True)} | {
                    LINE: reader.line_num
                }

    def read(_: list[Problem]) -> Iterator[pa.Table]:
        yield from batched(rows(), table_of)

    paths = [str(row.get("audio_filepath") or "") for row in rows()]
    made = Reader("export of the workbench", str(path), home, read, files=[file], own=True)
    made.roots = folders_of(str((home / p).resolve()) for p in paths if p)
    return made
