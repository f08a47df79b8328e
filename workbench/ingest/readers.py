"""Every kind of source as a stream of Arrow tables with the source's own columns."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import Problem, WorkbenchError
from workbench.ingest import manifest, tarred
from workbench.ingest.audio import AUDIO_SUFFIXES, locate, probe
from workbench.ingest.manifest import FILE, LINE, table_of
from workbench.ingest.schema import SPLITS, split_name

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.ingest.validation_sql import Plan

_BATCH = 20_000
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_CLIPS = ("path", "sentence", "client_id")


@dataclass
class Reader:
    """One source, opened.

    Attributes:
        kind: what it was taken for.
        where: what the record calls it.
        base: folder that its relative paths start from.
        read: yields its tables; bad rows go to the list it is given.
        mapping: field → column where the kind of source decides it.
        defaults: field → value that the kind of source states for all rows.
        files: what its digest is taken over.
        roots: further folders that its audio lies in.
        lines: the one file of JSON lines that it is; None for all else.
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
    sha256: str | None = None
    _skipped: int = 0

    def tables(self, problems: list[Problem]) -> Iterator[pa.Table]:
        before = len(problems)
        yield from self.read(problems)
        self._skipped = len(problems) - before

    def skipped(self, _: Sequence[Problem]) -> int:
        """Rows that could not be read at all."""
        return self._skipped

    def digest(self) -> str | None:
        """SHA-256 over the source's files in order; None where there are none."""
        from workbench.files import sha256_file

        if self.sha256 is not None:
            return self.sha256
        sums = [sha256_file(path) for path in self.files]
        if len(sums) < 2:
            return sums[0] if sums else None
        import hashlib

        return hashlib.sha256("\n".join(sums).encode()).hexdigest()


def open_reader(source: Any, folder: Path | None) -> Reader:
    """The reader for a source.

    Args:
        source: see :func:`workbench.corpus.importing.import_source`.
        folder: the corpus folder, where audio without a file of its own is put; None only to look.

    Raises:
        WorkbenchError: nothing that can be read.
    """
    from workbench.ingest import libraries

    kind = type(source)
    if kind.__module__.split(".")[0] in ("datasets", "lhotse"):
        return libraries.open_object(source, folder)
    if not isinstance(source, str | os.PathLike):
        raise WorkbenchError(f"a {kind.__name__} is no source", hint="Give a path, a Dataset or a CutSet.")
    path = Path(source).expanduser()
    if path.is_dir():
        return libraries.open_folder(path, folder) or audiofolder(path) or audio_folder(path)
    suffixes = [s.lower() for s in path.suffixes]
    if ".parquet" in suffixes[-1:]:
        return _parquet(path, folder)
    if suffixes[-1:] and suffixes[-1] in _DELIMITERS:
        return _delimited(path, _DELIMITERS[suffixes[-1]])
    if not path.exists() and libraries.is_hub_name(str(source)):
        return libraries.open_hub(str(source), folder)
    return libraries.open_cuts_file(path, folder) or _manifest(path, folder)


def _manifest(path: Path, folder: Path | None = None) -> Reader:
    files = manifest.expand(path)
    in_archives = tarred.is_tarred(files)

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        import pyarrow as pa

        for file in files:
            for table in manifest.read(file, problems):
                if in_archives and folder is not None:
                    yield tarred.with_audio(table, file, folder, problems)
                    continue
                names = pa.array([file.name]).take(pa.array([0] * table.num_rows, pa.int32()))
                yield table.append_column(FILE, names) if len(files) > 1 else table

    lines = files[0] if len(files) == 1 and not in_archives else None
    kind = "tarred NeMo manifest" if in_archives else "NeMo manifest"
    return Reader(kind, str(path), path.parent, read, files=files, lines=lines)


def _delimited(path: Path, delimiter: str) -> Reader:
    _must_exist(path)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        header = stream.readline().rstrip("\r\n").split(delimiter)
    common_voice = delimiter == "\t" and set(_CLIPS) <= set(header)
    lengths = _clip_durations(path.parent) if common_voice else {}

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        for rows in _records(path, delimiter, common_voice, problems):
            if lengths:
                for row in rows:
                    row["duration"] = lengths.get(str(row.get("path")))
            yield table_of(rows)

    if not common_voice:
        return Reader("table", str(path), path.parent, read, files=[path])
    mapping = {"audio_filepath": "path", "text": "sentence", "speaker": "client_id"}
    if "locale" in header:
        mapping["target_lang"] = mapping["lang"] = "locale"
    base = path.parent / "clips" if (path.parent / "clips").is_dir() else path.parent
    defaults = {"license": "CC0-1.0", "domain": "read-sentences"}
    if path.stem in ("train", "dev", "test"):
        defaults["split"] = split_name(path.stem)
    return Reader("Common Voice", str(path), base, read, mapping, defaults, [path])


def _clip_durations(folder: Path) -> dict[str, float]:
    """``clip_durations.tsv`` of a Common Voice release: clip → seconds."""
    path = folder / "clip_durations.tsv"
    if not path.exists():
        return {}
    found = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines()[1:]:
        clip, _, milliseconds = line.partition("\t")
        if milliseconds.strip().isdigit():
            found[clip] = int(milliseconds) / 1000
    return found


def _records(
    path: Path, delimiter: str, bare: bool, problems: list[Problem]
) -> Iterator[list[dict[str, Any]]]:
    """Rows of a delimited file. ``bare``: quotes are plain characters, as in Common Voice."""
    csv.field_size_limit(manifest.LINE_LIMIT)
    quoting: Literal[0, 3] = csv.QUOTE_NONE if bare else csv.QUOTE_MINIMAL
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter, quoting=quoting)
        header: list[str] = []
        rows: list[dict[str, Any]] = []
        while True:
            try:
                values = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                problems.append(Problem(path.name, f"not a table row ({error})", "", reader.line_num))
                continue
            if not header:
                header = _header(values, path)
                continue
            row = _record(header, values, path.name, reader.line_num, problems)
            if row is not None:
                rows.append(row)
            if len(rows) >= _BATCH:
                yield rows
                rows = []
        if rows:
            yield rows


def _header(values: list[str], path: Path) -> list[str]:
    names = [value.strip() for value in values]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not any(names):
        what = f"the column {twice[0]!r} stands twice" if twice else "the first line names no columns"
        raise WorkbenchError(what, where=f"{path.name}:1", hint="Give each column one name.")
    return names


def _record(
    header: list[str], values: list[str], file: str, line: int, problems: list[Problem]
) -> dict[str, Any] | None:
    if not any(values):
        return None
    if len(values) != len(header):
        what = f"{len(values)} columns where the first line names {len(header)}"
        problems.append(Problem(file, what, "Is a separator missing or unquoted?", line))
        return None
    for name, value in zip(header, values, strict=True):
        if any("\udc80" <= c <= "\udcff" or c == "\0" for c in value):
            problems.append(Problem(file, "not UTF-8, or a NUL character", "Save as UTF-8.", line, name[:60]))
            return None
    return {**{n: v or None for n, v in zip(header, values, strict=True)}, LINE: line}


def _parquet(path: Path, folder: Path | None) -> Reader:
    _must_exist(path)

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        import pyarrow.parquet as pq

        from workbench.ingest.libraries import plain_table

        line = 1
        try:
            file = pq.ParquetFile(path)
        except (OSError, ValueError) as error:
            raise WorkbenchError("not a Parquet file", where=str(path)) from error
        for batch in file.iter_batches(batch_size=2_000):
            yield plain_table(batch, line, folder, path.parent, problems)
            line += batch.num_rows

    return Reader("Parquet", str(path), path.parent, read, files=[path])


def audio_folder(path: Path) -> Reader:
    """A folder of audio; the transcript lies beside each recording as ``NAME.txt``."""

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        rows = []
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES)
        for number, file in enumerate(found, 1):
            text = _beside(file, path, problems)
            name = file.relative_to(path).as_posix()
            rows.append({"audio_filepath": name, "text": text, LINE: number})
        if rows:
            yield table_of(rows)

    return Reader("folder of audio", str(path), path, read)


def audiofolder(path: Path) -> Reader | None:
    """A folder laid out as Hugging Face's ``audiofolder``: ``metadata.csv`` or ``.jsonl`` with ``file_name``.

    Read here and not through ``datasets``, whose builder wants torchcodec even where nothing is decoded.
    A first folder called train, validation or test is the split.
    """
    found = sorted(p for p in path.rglob("metadata.*") if p.suffix in (".csv", ".jsonl"))
    if not found:
        return None

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        import pyarrow as pa

        for file in found:
            inside = file.parent.relative_to(path)
            reader = _delimited(file, ",") if file.suffix == ".csv" else _manifest(file)
            for table in reader.tables(problems):
                names = [n and (inside / n).as_posix() for n in table["file_name"].to_pylist()]
                at = table.column_names.index("file_name")
                table = table.set_column(at, "file_name", pa.array(names, pa.string()))
                split = split_name(inside.parts[0]) if inside.parts else None
                if split in SPLITS and "split" not in table.column_names:
                    table = table.append_column("split", pa.array([split] * len(table), pa.string()))
                if FILE not in table.column_names:
                    label = file.relative_to(path).as_posix()
                    table = table.append_column(FILE, pa.array([label] * len(table), pa.string()))
                yield table

    return Reader("audiofolder", str(path), path, read, {"audio_filepath": "file_name"}, files=found)


def _beside(audio: Path, root: Path, problems: list[Problem]) -> str | None:
    path = audio.with_suffix(".txt")
    if not path.exists():
        return None
    try:
        return path.read_bytes()[: manifest.LINE_LIMIT].decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        where = path.relative_to(root).as_posix()
        problems.append(Problem(where, "the transcript is not UTF-8; kept without it", "Save as UTF-8."))
        return None


def with_durations(table: pa.Table, plan: Plan, problems: list[Problem]) -> pa.Table:
    """Durations from the headers, where a source states none; null where a file cannot be read."""
    from concurrent.futures import ThreadPoolExecutor

    import pyarrow as pa

    column = plan.mapping.get("audio_filepath")
    if column is None or column not in table.column_names:
        return table
    base = [plan.base, *plan.roots]

    def seconds(written: str | None) -> float | str | None:
        if not isinstance(written, str):
            return None
        try:
            return round(float(probe(locate(written, base))["duration_s"]), 4)
        except (WorkbenchError, ValueError, OSError) as error:
            return str(error)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(seconds, table[column].to_pylist()))
    lines = table[LINE].to_pylist()
    for line, value in zip(lines, found, strict=True):
        if isinstance(value, str):
            problems.append(Problem(plan.name, f"duration not known: {value}", "", line, "duration"))
    values = [v if isinstance(v, float) and v > 0 else None for v in found]
    return table.append_column("duration", pa.array(values, pa.float64()))


def _must_exist(path: Path) -> None:
    if not path.exists():
        raise WorkbenchError("no such file", where=str(path), hint="Check the path.")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
