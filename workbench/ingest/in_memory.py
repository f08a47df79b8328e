"""Objects in memory: pandas, polars and Arrow tables, lists of dicts, dicts of columns; data sets, cuts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from workbench.errors import Problem, WorkbenchError
from workbench.ingest import libraries
from workbench.ingest.manifest import checked, table_of
from workbench.ingest.reader import BATCH, LINE, Reader, batched, folders_of
from workbench.ingest.schema import guess_mapping
from workbench.plain_values import plain

WANTED = "Give a path, a DataFrame, an Arrow table, a list of dicts, a Dataset or a CutSet."


def open_object(source: Any, folder: Path | None) -> Reader:
    """The reader for an object in memory; relative paths start from the current folder.

    Raises:
        WorkbenchError: no such kind of object can be read.
    """
    kind = type(source)
    if kind.__module__.split(".")[0] in ("datasets", "lhotse"):
        return libraries.open_object(source, folder)
    if isinstance(source, list | tuple) and source and all(isinstance(row, Mapping) for row in source):
        return _of_rows(list(source))
    if isinstance(source, Mapping) and source and all(isinstance(v, list | tuple) for v in source.values()):
        lengths = {len(v) for v in source.values()}
        if len(lengths) != 1:
            what = f"columns of different lengths: {', '.join(map(str, sorted(lengths)))}"
            raise WorkbenchError(what, hint="Give every column a value a row.")
        return _of_rows([dict(zip(source, row, strict=True)) for row in zip(*source.values(), strict=True)])
    table = _arrow(source)
    if table is None:
        raise WorkbenchError(f"unsupported source type: {kind.__name__}", hint=WANTED)
    return _of_table(table, kind.__name__, folder)


def _arrow(source: Any) -> pa.Table | None:
    if isinstance(source, pa.RecordBatch):
        return pa.Table.from_batches([source])
    if isinstance(source, pa.Table):
        return source
    if type(source).__module__.split(".")[0] == "pandas":
        return _of_pandas(source) if type(source).__name__ == "DataFrame" else None
    if hasattr(source, "collect") and not hasattr(source, "__arrow_c_stream__"):  # polars' LazyFrame
        source = source.collect()
    if hasattr(source, "__arrow_c_stream__"):
        return pa.table(source)
    to_arrow = getattr(source, "to_arrow", None) or getattr(source, "to_arrow_table", None)
    made = to_arrow() if callable(to_arrow) else None
    return made if isinstance(made, pa.Table) else None


def _of_pandas(frame: Any) -> pa.Table:
    """By Arrow where it can; columns of mixed values as text. NaN is "not known", as pandas means it."""
    names = [str(name) for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise WorkbenchError(f"duplicate column {twice[0]!r}", hint="Give each column one name.")
    columns = {}
    for at, name in enumerate(names):
        column = frame.iloc[:, at]
        try:
            columns[name or "unnamed"] = pa.Array.from_pandas(column)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            rows = [{"v": None if v is None or v != v else v} for v in column.tolist()]
            columns[name or "unnamed"] = table_of(rows)["v"] if rows else pa.array([], pa.string())
    return pa.table(columns)


def _of_table(table: pa.Table, kind: str, folder: Path | None) -> Reader:
    notes: list[Problem] = []
    names = libraries.class_names(table.schema)

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        for start in range(0, table.num_rows, BATCH):
            part = table.slice(start, BATCH)
            yield libraries.plain_table(part, start + 1, folder, Path.cwd(), notes, names)

    column = guess_mapping(table.column_names).get("audio_filepath")
    paths: list[str] = []
    if column is not None and not pa.types.is_nested(held := table.schema.field(column).type):
        paths = [] if pa.types.is_binary(held) else [str(p) for p in table[column].to_pylist() if p]
    return _reader(f"{kind} in memory", read, paths, notes)


def _of_rows(rows: list[Mapping[str, Any]]) -> Reader:
    def good(problems: list[Problem]) -> Iterator[dict[str, Any]]:
        for number, row in enumerate(rows, 1):
            values = {str(name): plain(value) for name, value in row.items()}
            found = checked(values, "", number, problems)
            if found is not None:
                yield {**found, LINE: number}

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        yield from batched(good(problems), table_of)

    column = guess_mapping(list(dict.fromkeys(str(n) for row in rows[:100] for n in row))).get(
        "audio_filepath"
    )
    paths = [str(row[column]) for row in rows if column and row.get(column)]
    return _reader("list of rows", read, paths, [])


def _reader(kind: str, read: Any, paths: list[str], notes: list[Problem]) -> Reader:
    absolute = [path for path in paths if path.startswith("/")]
    reader = Reader(kind, kind, Path.cwd(), read, roots=folders_of(absolute), notes=notes)
    reader.text_expected = True
    return reader
