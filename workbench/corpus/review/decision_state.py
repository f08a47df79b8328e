"""The decisions on a corpus as one row a clip, in DuckDB; read from SQLite a batch at a time."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pyarrow as pa

from workbench.corpus.review.decisions import DecisionStore
from workbench.ingest.schema import EDITABLE, FIELDS, NUMBERS, literal, quoted

if TYPE_CHECKING:
    import duckdb

_AT_ONCE = 100_000


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the empty table ``state``."""
    edits = ", ".join(f"{quoted(name)} {FIELDS[name]}, {name}_set BOOLEAN" for name in EDITABLE)
    connection.execute(
        "CREATE TABLE state (row_index BIGINT, status VARCHAR, reason VARCHAR, tags VARCHAR[], "
        f"edited BOOLEAN, {edits})"
    )


def load(cursor: duckdb.DuckDBPyConnection, decisions: DecisionStore, after: int) -> None:
    """Bring ``state`` up to date with the decisions later than event ``after``; 0 reads all of them.

    Needs the view ``utterances`` with ``id`` and ``row_index``.
    """
    if after and any(event.action == "erase" for event in decisions.events(after)):
        after = 0
    if not _read(cursor, decisions, after) and after:
        return
    # The rows' file is looked through once: a single decision would else cost two passes over all ids.
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE places AS SELECT id, row_index FROM utterances "
        "WHERE id IN (SELECT id FROM changed)"
    )
    cursor.execute("BEGIN")
    clips = "WHERE row_index IN (SELECT row_index FROM places)"
    cursor.execute(f"DELETE FROM state {clips if after else ''}")
    # What no decision touches is not gathered: the split of ten million rows is one column, not thirteen.
    fields = {row[0] for row in cursor.execute("SELECT DISTINCT field FROM changed").fetchall()}
    cursor.execute(
        f"INSERT INTO state SELECT row_index, {_gathered(fields)} "
        "FROM changed JOIN places USING (id) WHERE field <> '' GROUP BY row_index"
    )
    cursor.execute("COMMIT")
    cursor.execute("DROP TABLE changed")
    cursor.execute("DROP TABLE places")


def _read(cursor: duckdb.DuckDBPyConnection, decisions: DecisionStore, after: int) -> int:
    """The words that hold, as table ``changed``; how many there are."""
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE changed (id VARCHAR, field VARCHAR, value VARCHAR, reason VARCHAR)"
    )
    rows, count = iter(decisions.state(after)), 0
    while some := list(itertools.islice(rows, _AT_ONCE)):
        columns = [pa.array(column, pa.string()) for column in zip(*some, strict=True)]
        cursor.register("read", pa.table(dict(zip(("id", "field", "value", "reason"), columns, strict=True))))
        cursor.execute("INSERT INTO changed FROM read")
        cursor.unregister("read")
        count += len(some)
    return count


def _gathered(fields: set[str]) -> str:
    """The columns of ``state`` after ``row_index``, from the words on one row."""

    def word(column: str, field: str) -> str:
        return f"max({column}) FILTER (field = {literal(field)})" if field in fields else "NULL"

    tags = "list_sort(coalesce(list(field[5:]) FILTER (field LIKE 'tag:%' AND value IS NOT NULL), []))"
    columns = [
        word("value", "status"), word("reason", "status"),
        tags if any(field.startswith("tag:") for field in fields) else "[]",
        "bool_or(field <> 'status' AND field NOT LIKE 'tag:%')",
    ]  # fmt: skip
    for name in EDITABLE:
        value = word("value", name)
        columns += [
            f"try_cast({value} AS DOUBLE)" if name in NUMBERS else value,
            f"bool_or(field = '{name}')" if name in fields else "false",
        ]
    return ", ".join(columns)
