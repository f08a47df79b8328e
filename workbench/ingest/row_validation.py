"""Which rows of a source come in: fields put in order, ids given, every row left out named with its reason.

All of it is DuckDB over columns; Python sees only the distinct locale tags, split names, unusual paths and
the rows that are at fault.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from workbench.errors import Problem
from workbench.ingest.manifest import NotPlainError
from workbench.ingest.plain_manifest import PlainLines
from workbench.ingest.reader import FILE, LINE
from workbench.ingest.row_survey import glance, look_over
from workbench.ingest.schema import CHANNEL, FIELDS, OPTIONAL, literal, quoted
from workbench.ingest.seen_rows import Seen
from workbench.ingest.validation_sql import RowRules, stage, tidied_sql, written_fields

REPORTED = 10_000
"""At most this many problems of one kind are listed by line; the rest are counted in one more."""


@dataclass
class Admitted:
    """What came of it: rows written, rows left out, names of all columns in order."""

    rows: int
    left_out: int
    columns: list[str]


_FAULTS: tuple[tuple[str, str, str, str], ...] = (
    ("path_missing", "audio_filepath", "no audio path", "Name the recording of this row."),
    ("path_odd", "audio_filepath", "the path holds control characters or is longer than 1,000",
     "Rename the file."),
    ("path_outside", "audio_filepath", "the path leaves the corpus root",
     "Pass audio_roots=[...] with the folder that may be read, or move the file."),
    ("path_address", "audio_filepath", "a web address, not a file", "Download the recordings first."),
    ("path_command", "audio_filepath", "a command with a pipe, which is never run",
     "Run it yourself and name the file that it makes."),
    ("path_drive", "audio_filepath", "a path on a Windows drive",
     "Write paths relative to the table, or map the column after changing it."),
    ("duration_odd", "duration", "the duration is not a positive number of seconds",
     "Write seconds, or leave it out to have it measured."),
    ("offset_odd", "offset", "the offset is not a number of seconds from 0", "Write seconds."),
    ("text_nul", "text", "the transcript holds a NUL character", "Remove it."),
    ("repeated", "id", "duplicates an earlier row: the same id, or the same stretch of the same recording",
     "Keep one."),
)  # fmt: skip


def admit(table: pa.Table, rules: RowRules, target: Path, problems: list[Problem]) -> Admitted:
    """Write the good rows of ``table`` to the Parquet ``target``; list the others in ``problems``.

    Raises:
        WorkbenchError: the source's columns clash with the workbench's own.
    """
    with connect() as connection:
        connection.register("raw", _numbered(table))
        names = table.column_names
        raw = {name: f"raw.{_numbered_name(index)}" for index, name in enumerate(names)}
        kinds = {n: "BIGINT" for n in names if str(table.schema.field(n).type) in ("int64", "int32")}
        channel = rules.mapping.get(CHANNEL, "")
        if channel in raw and channel not in kinds and _all_whole(connection, raw[channel]):
            raw[channel], kinds[channel] = f"TRY_CAST({raw[channel]} AS BIGINT)", "BIGINT"
        fields = written_fields(names, rules, raw, kinds=kinds)
        columns = [*fields, LINE, FILE]
        select = [f"{sql} AS {quoted(name)}" for name, sql in fields.items()]
        select += ["raw._row AS _row", f"{raw[LINE]} AS {LINE}"]
        select += [f"{raw.get(FILE, 'NULL::VARCHAR')} AS {FILE}"]
        # Views all the way: each question below reads only the columns it needs, and nothing is copied twice.
        connection.execute(f"CREATE TEMP VIEW written AS SELECT {', '.join(select)} FROM raw")
        seen = look_over(connection)
        stage(connection, seen, rules, problems)
        kept = _write(connection, columns, target, seen)
        if kept < seen.total:
            problems += _named(connection)
        return Admitted(kept, seen.total - kept, [c for c in columns if not c.startswith("_")])


def _all_whole(connection: duckdb.DuckDBPyConnection, value: str) -> bool:
    """Whether a column of texts, as tables have them, holds whole numbers only."""
    odd = f"{value} IS NOT NULL AND TRY_CAST({value}::VARCHAR AS BIGINT) IS NULL"
    return not connection.execute(f"SELECT 1 FROM raw WHERE {odd} LIMIT 1").fetchall()


def admit_plain(
    lines: PlainLines,
    rules: RowRules,
    target: Path,
    problems: list[Problem],
    progress: Callable[[int, int], None] | None = None,
) -> Admitted:
    """The same for a plain manifest, without its rows in memory.

    The fields are put in order while the file is parsed. Where that leaves nothing to change, as with most
    manifests, what was written is the result; ``row_index`` and ``source_line`` are then the positions of
    the Parquet's rows and not stored.

    Raises:
        NotPlainError: the file is not plain after all; ``problems`` is as it was.
    """
    draft = target.with_name(f"{target.name}.draft")
    try:
        with connect() as connection:
            raw = {name: quoted(name) for name in lines.kinds}
            select = written_fields(list(lines.kinds), rules, raw, tidied=False, kinds=lines.kinds)
            columns = [*select, LINE, FILE]
            constants = _constants(connection, select, rules, raw)
            total = lines.copy(connection, select, constants, draft, progress)
            # Tidied while read back: values are few there, and each is looked at once and not once a row.
            tidy = [(quoted(n), tidied_sql(quoted(n))) for n in OPTIONAL]
            connection.execute(
                f"CREATE TEMP VIEW parsed AS SELECT * EXCLUDE (file_row_number), file_row_number AS _row, "
                f"file_row_number + 1 AS {LINE}, NULL::VARCHAR AS {FILE} "
                f"FROM read_parquet({literal(draft)}, file_row_number = true)"
            )
            replaced = ", ".join(f"{sql} AS {name}" for name, sql in tidy)
            connection.execute(f"CREATE TEMP VIEW written AS SELECT * REPLACE ({replaced}) FROM parsed")
            numbers = [n for n, kind in lines.kinds.items() if kind == "DOUBLE" and n not in FIELDS]
            present = [n for n in FIELDS if n in rules.mapping or n in rules.defaults]
            seen = glance(connection, "parsed", present, numbers, ordinary_paths=lines.ordinary_paths)
            changed = False
            if seen is None:
                untidy = " OR ".join(f"{name} IS DISTINCT FROM {sql}" for name, sql in tidy)
                changed = bool(connection.execute(f"SELECT 1 FROM parsed WHERE {untidy} LIMIT 1").fetchall())
                seen = look_over(connection, numbers)
            if seen.total != total or seen.infinite:
                raise NotPlainError
            changed |= stage(connection, seen, rules, problems)
            if seen.total == seen.fit and not changed:
                os.replace(draft, target)
                return Admitted(total, 0, columns)
            kept = _write(connection, columns, target, seen)
            if kept < total:
                problems += _named(connection)
            return Admitted(kept, total - kept, columns)
    finally:
        draft.unlink(missing_ok=True)


def _constants(
    connection: duckdb.DuckDBPyConnection, select: Mapping[str, str], rules: RowRules, raw: Mapping[str, str]
) -> dict[str, Any]:
    """Values of the fields that the source does not have, so that none of its rows need be asked."""
    absent = [name for name in FIELDS if rules.mapping.get(name, "") not in raw]
    if not absent:
        return {}
    values = connection.execute(f"SELECT {', '.join(select[name] for name in absent)}").fetchall()[0]
    return dict(zip(absent, values, strict=True))


def numbered(table: pa.Table) -> pa.Table:
    """Rows of an ``utterances.parquet``, all in order, with the columns that plain imports leave out."""
    for name, first in ((LINE, 1), ("row_index", 0)):
        if name not in table.column_names:
            table = table.append_column(name, pa.array(range(first, first + table.num_rows), pa.int64()))
    if FILE not in table.column_names:
        table = table.append_column(FILE, pa.nulls(table.num_rows, pa.string()))
    return table


def connect() -> duckdb.DuckDBPyConnection:
    """A connection of its own to a database in memory that all imports of this process share: starting one
    costs as much as parsing 3,000 lines."""
    connection = _database(os.getpid()).cursor()
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET enable_progress_bar = false")
    return connection


@functools.cache
def _database(process: int) -> duckdb.DuckDBPyConnection:
    """By process: what a fork copies has lost its threads."""
    return duckdb.connect(":memory:", config={"threads": os.cpu_count() or 1})


def _numbered(table: pa.Table) -> pa.Table:
    """Columns by number, since SQL takes ``Text`` for ``text``; with ``_row``, the order of the source."""
    table = table.rename_columns([_numbered_name(i) for i in range(table.num_columns)])
    return table.append_column("_row", pa.array(np.arange(table.num_rows, dtype=np.int64)))


def _numbered_name(index: int) -> str:
    return f"c{index}"


def _write(connection: duckdb.DuckDBPyConnection, columns: Sequence[str], target: Path, seen: Seen) -> int:
    """Write the fit rows in order with ``row_index``; rows repeated under one id keep the first."""
    listed = ", ".join(quoted(c) for c in columns)
    plain_paths = not connection.execute("SELECT count(*) FROM odd_paths").fetchall()[0][0]
    if plain_paths and seen.own_ids:
        fit = distinct = seen.fit
    else:
        fit, distinct = connection.execute(
            "SELECT count(*), count(DISTINCT id) FROM staged WHERE _fault IS NULL"
        ).fetchall()[0]
    if not distinct:
        return 0
    if distinct == seen.total and plain_paths:
        ordered = f"SELECT {listed}, _row AS row_index FROM staged"
    else:
        keep = "" if distinct == fit else "QUALIFY row_number() OVER (PARTITION BY id ORDER BY _row) = 1"
        connection.execute(f"CREATE TEMP TABLE kept AS SELECT _row FROM staged WHERE _fault IS NULL {keep}")
        ordered = (
            f"SELECT {listed}, row_number() OVER () - 1 AS row_index FROM "
            "(FROM staged SEMI JOIN kept USING (_row) ORDER BY _row)"
        )
    connection.execute(f"COPY ({ordered}) TO {literal(target)} (FORMAT parquet, COMPRESSION snappy)")
    return int(distinct)


def _named(connection: duckdb.DuckDBPyConnection) -> Iterator[Problem]:
    """One problem per row left out, up to REPORTED of a kind, then one that counts the rest."""
    has_kept = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'kept'"
    ).fetchall()[0][0]
    repeated = (
        f"UNION ALL SELECT 'repeated', {FILE}, {LINE} FROM "
        "(FROM staged WHERE _fault IS NULL) ANTI JOIN kept USING (_row)"
        if has_kept
        else ""
    )
    for kind, name, what, hint in _FAULTS:
        rows = connection.execute(
            f"SELECT file, line FROM (SELECT _fault AS kind, {FILE} AS file, {LINE} AS line FROM staged "
            f"WHERE _fault IS NOT NULL {repeated}) WHERE kind = ? ORDER BY ALL",
            [kind],
        ).fetchall()
        for file, line in rows[:REPORTED]:
            yield Problem(file or "", what, hint, line, name)
        if len(rows) > REPORTED:
            yield Problem("", f"{what}: {len(rows) - REPORTED:,} more rows", hint, None, name)
