"""A data set by its columns alone: Parquet on the hub or on disk, and saved data sets, without their sound.

Of a Parquet file the footer says where each column lies; columns of bytes, and the bytes beside a recording's
path, are never read or fetched. A data set of hundreds of hours is so read in its megabytes of text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.errors import Problem, WorkbenchError
from workbench.ingest.libraries import class_names, is_hub_name, plain_table
from workbench.ingest.reader import FILE, INSIDE, Reader
from workbench.ingest.tables import stated_split

HUB = "hf://datasets/"
_BATCH = 2_000
_AUDIO = ("audio", "wav", "sound", "speech", "flac")


@dataclass(frozen=True)
class _Part:
    """One file: its name for rows and messages, its split, and how it is opened."""

    name: str
    split: str | None
    open: Callable[[], Any]


def on_hub(source: Any) -> bool:
    """Whether a source names a data set of the hub: ``hf://datasets/OWNER/NAME`` or ``OWNER/NAME``."""
    if not isinstance(source, str):
        return False
    return source.startswith(HUB) or (is_hub_name(source) and not Path(source).parent.is_dir())


def open_columns(source: Any) -> Reader:
    """The reader for the columns of a data set.

    Args:
        source: ``hf://datasets/OWNER/NAME[@REVISION][/FOLDER]``, ``OWNER/NAME``, a Parquet file, a folder of
            Parquet files, or a folder that ``save_to_disk`` of Hugging Face's ``datasets`` made.

    Raises:
        WorkbenchError: none of these, or it cannot be reached.
    """
    if on_hub(source):
        return _reader(_hub_parts(source), source)
    path = Path(source).expanduser()
    if path.is_file() and path.suffix == ".parquet":
        return _reader([_local(path)], str(path))
    found = sorted(path.rglob("*.parquet")) if path.is_dir() else []
    if found:
        return _reader([_local(file) for file in found], str(path))
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        return _saved(path)
    raise WorkbenchError(
        "no Parquet files and no saved data set: its columns cannot be read without its sound",
        where=str(path), hint="Leave --columns out, or give a folder of Parquet files.",
    )  # fmt: skip


def _local(path: Path) -> _Part:
    return _Part(path.name, stated_split(path.name) or stated_split(path.parent.name), lambda: path)


def _hub_parts(source: str) -> list[_Part]:
    from workbench.ingest.hub_files import parquet_files  # the hub's client takes long to load

    root = "datasets/" + source.removeprefix(HUB).strip("/")
    system, names = parquet_files(root, source)
    parts = []
    for name in names:
        path = PurePosixPath(name)
        split = stated_split(path.name) or stated_split(path.parent.name)
        # Without a cache of its own: what Arrow asks for, column by column, is all that is fetched.
        opened = _opener(system, name)
        parts.append(_Part(name.removeprefix(root).lstrip("/"), split, opened))
    return parts


def _opener(system: Any, name: str) -> Callable[[], Any]:
    return lambda: system.open(name, "rb", cache_type="none")


def _reader(parts: Sequence[_Part], where: str) -> Reader:
    notes: list[Problem] = []

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        for part in parts:
            line = 1
            try:
                for batch in _batches(part):
                    yield _table(batch, line, part.name, part.split, notes, {})
                    line += batch.num_rows
            except (OSError, ValueError, pa.ArrowException) as error:
                raise WorkbenchError(
                    f"cannot be read as Parquet ({type(error).__name__})", where=part.name
                ) from error

    return Reader("Parquet, its columns alone", where, Path.cwd(), read, notes=notes, text_expected=True)


def _batches(part: _Part) -> Iterator[pa.RecordBatch]:
    """Batches without bytes; class labels by name."""
    opened = part.open()
    file = pq.ParquetFile(opened, pre_buffer=True)
    labels = class_names(file.schema_arrow)
    wanted = [name for field in file.schema_arrow for name in _leaves(field)]
    for batch in file.iter_batches(batch_size=_BATCH, columns=wanted):
        yield _labeled(batch, labels)
    if hasattr(opened, "close"):
        opened.close()


def _leaves(field: pa.Field) -> list[str]:
    """The columns of a field that hold no bytes, as Parquet names them."""
    if pa.types.is_struct(field.type) and {f.name for f in field.type} >= {"bytes", "path"}:
        return [f"{field.name}.path"]
    return [] if _bytes(field.type) else [field.name]


def _bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _labeled(batch: pa.RecordBatch, labels: dict[str, list[str]]) -> pa.RecordBatch:
    for name, texts in labels.items():
        at = batch.schema.get_field_index(name)
        if at >= 0 and pa.types.is_integer(batch.schema.field(at).type):
            codes = batch.column(at).to_pylist()
            named = [texts[c] if c is not None and 0 <= c < len(texts) else None for c in codes]
            batch = batch.set_column(at, name, pa.array(named, pa.string()))
    return batch


def _table(
    batch: pa.RecordBatch | pa.Table,
    line: int,
    name: str,
    split: str | None,
    notes: list[Problem],
    labels: dict[str, list[str]],
) -> pa.Table:
    """Rows with a name for their recording that says it lies within the data set."""
    columns = {field.name: batch.column(field.name) for field in batch.schema}
    lies = [n for n in columns if pa.types.is_struct(columns[n].type)
            and "path" in {f.name for f in columns[n].type}]  # fmt: skip
    audio = next((n for n in lies if n.lower() in _AUDIO), lies[0] if lies else None)
    paths: list[str | None] = [None] * batch.num_rows
    if audio is not None:
        paths = [(cell or {}).get("path") for cell in columns.pop(audio).to_pylist()]
    named = [f"{INSIDE}{name}/{path or f'row {line + at}'}" for at, path in enumerate(paths)]
    columns.pop("audio_filepath", None)
    plain = plain_table(pa.table(columns), line, None, Path("/"), notes, labels)
    table = plain.append_column("audio_filepath", pa.array(named, pa.string()))
    if split and "split" not in table.column_names:
        table = table.append_column("split", pa.array([split] * len(table), pa.string()))
    return table.append_column(FILE, pa.array([name] * len(table), pa.string()))


def _saved(path: Path) -> Reader:
    """A saved data set: its Arrow files are mapped, and pages with sound stay on disk."""
    import datasets

    loaded = datasets.load_from_disk(str(path))
    parts = loaded if isinstance(loaded, datasets.DatasetDict) else {str(loaded.split or ""): loaded}
    notes: list[Problem] = []

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        for split, part in parts.items():
            labels = {n: f.names for n, f in part.features.items() if isinstance(f, datasets.ClassLabel)}
            rows = part.with_format("arrow").remove_columns(
                [f.name for f in part.features.arrow_schema if _bytes(f.type)]
            )
            for line in range(0, len(rows), _BATCH):
                batch = _without_bytes(rows[line : line + _BATCH])
                yield _table(batch, line + 1, split or "rows", split or None, notes, labels)

    where = str(path)
    return Reader("saved data set, its columns alone", where, path, read, notes=notes, text_expected=True)


def _without_bytes(table: pa.Table) -> pa.Table:

    for at, field in enumerate(table.schema):
        if pa.types.is_struct(field.type) and {f.name for f in field.type} >= {"bytes", "path"}:
            paths = pc.struct_field(table.column(at), "path").combine_chunks()
            table = table.set_column(at, field.name, pa.StructArray.from_arrays([paths], ["path"]))
    return table
