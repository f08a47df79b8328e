"""Findings while they are gathered: on disk where they are many, in order at the end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from workbench.corpus.quality.rules import RULES, Rule
from workbench.corpus.query.row_index import Keys, append
from workbench.files import replacing
from workbench.ingest.schema import literal

if TYPE_CHECKING:
    import duckdb

    from workbench.corpus.quality.text_checks import Hit

    Array = np.ndarray[Any, np.dtype[Any]]

COLUMNS = ("id", "rule", "severity", "reason", "hint", "value")
_SEVERITIES = {"error": 0, "warning": 1, "info": 2}
_AT_ONCE = 50_000


class Findings:
    """A table of a database on disk, with the rules that were asked for; hits of others are dropped."""

    def __init__(self, database: duckdb.DuckDBPyConnection, wanted: Mapping[str, Rule]) -> None:
        self._database, self._wanted = database, wanted
        database.execute(
            "CREATE TABLE found (rule VARCHAR, row_index BIGINT, id VARCHAR, value VARCHAR, number DOUBLE)"
        )
        database.execute(
            "CREATE SEQUENCE told; ALTER TABLE found ADD COLUMN n BIGINT DEFAULT nextval('told')"
        )

    def begin(self) -> None:
        """Forget all: rows are read again."""
        self._database.execute("DELETE FROM found")

    def rows(self, hits: Iterable[tuple[int, Hit]]) -> None:
        """Hits with the row_index of their rows."""
        kept = ((row, id_, rule, value) for row, (id_, rule, value) in hits if rule in self._wanted)
        while some := list(islice(kept, _AT_ONCE)):
            rows, ids, rules, values = zip(*some, strict=True)
            self._add(rows, ids, rules, values)

    def named(self, hits: Iterable[Hit]) -> None:
        """Hits by the ids of their rows; needs the table ``named``."""
        self._database.execute(
            "CREATE OR REPLACE TABLE later (rule VARCHAR, id VARCHAR, value VARCHAR, number DOUBLE)"
        )
        kept = (hit for hit in hits if hit[1] in self._wanted)
        while some := list(islice(kept, _AT_ONCE)):
            ids, rules, values = zip(*some, strict=True)
            append(self._database, "later", self._table(rules, None, ids, values))
        self._insert("SELECT rule, row_index, id, value, number FROM later JOIN named USING (id)")

    def numbers(self, rule: str, hits: Iterable[tuple[int, float]]) -> None:
        """Hits of one rule by row_index, their values numbers; needs the table ``named``."""
        self._database.execute(
            "CREATE OR REPLACE TABLE later (row_index BIGINT, value VARCHAR, number DOUBLE)"
        )
        rest = iter(hits)
        while some := list(islice(rest, _AT_ONCE)):
            rows, values = zip(*some, strict=True)
            told = pa.array([json.dumps(value) for value in values])
            append(self._database, "later", pa.table({"row_index": rows, "value": told, "number": values}))
        self._insert(
            f"SELECT {literal(rule)}, row_index, id, value, number FROM later JOIN named USING (row_index)"
        )

    def pairs(self, rule: str, rows: Array, others: Array) -> None:
        """One finding a row, its value the id of another; needs the table ``named``."""
        self._database.execute("CREATE OR REPLACE TABLE later (row_index BIGINT, other BIGINT)")
        append(self._database, "later", pa.table({"row_index": rows, "other": others}))
        self._insert(
            f"SELECT {literal(rule)}, l.row_index, a.id, b.id, NULL FROM later l "
            "JOIN named a ON a.row_index = l.row_index JOIN named b ON b.row_index = l.other"
        )

    def near(self, rule: str, found: Iterable[tuple[int, int, float]]) -> None:
        """The same from (row_index, row_index of the other, likeness)."""
        rest = iter(found)
        while some := list(islice(rest, _AT_ONCE)):
            rows, others, _ = zip(*some, strict=True)
            self.pairs(rule, np.array(rows, np.int64), np.array(others, np.int64))

    def places(self, rule: str, keys: Keys, groups: Iterator[tuple[Array, str]]) -> None:
        """One finding for each place of each group, its value the group's word; needs the table ``named``."""
        self._database.execute("CREATE OR REPLACE TABLE later (row_index BIGINT, value VARCHAR)")
        while some := list(islice(groups, _AT_ONCE)):
            rows = keys.row_index[np.concatenate([places for places, _ in some])]
            sizes = [len(places) for places, _ in some]
            words = pa.array([word for _, word in some]).take(
                pa.array(np.repeat(np.arange(len(some)), sizes))
            )
            append(self._database, "later", pa.table({"row_index": rows, "value": words}))
        self._insert(
            f"SELECT {literal(rule)}, row_index, id, value, NULL FROM later JOIN named USING (row_index)"
        )

    def _insert(self, select: str) -> None:
        self._database.execute(f"INSERT INTO found (rule, row_index, id, value, number) {select}")
        self._database.execute("DROP TABLE later")

    def _add(
        self, rows: Sequence[int], ids: Sequence[str], rules: Sequence[str], values: Sequence[Any]
    ) -> None:
        self._database.register("incoming", self._table(rules, rows, ids, values))
        self._database.execute("INSERT INTO found (rule, row_index, id, value, number) FROM incoming")
        self._database.unregister("incoming")

    def _table(
        self, rules: Sequence[str], rows: Sequence[int] | None, ids: Sequence[str], values: Sequence[Any]
    ) -> Any:
        """Values as text, and numbers beside it: JSON writes them so that they come back the same."""
        numbers = [None if isinstance(value, str) else value for value in values]
        told = [v if isinstance(v, str) or v is None else json.dumps(v) for v in values]
        columns = {"rule": pa.array(rules, pa.string())}
        if rows is not None:
            columns["row_index"] = pa.array(rows, pa.int64())
        columns |= {
            "id": pa.array(ids, pa.string()), "value": pa.array(told, pa.string()),
            "number": pa.array(numbers, pa.float64()),
        }  # fmt: skip
        return pa.table(columns)

    def _ordered(self) -> str:
        """Errors first, rules in their order, rows in theirs."""
        ranks = {name: index for index, name in enumerate(RULES)}
        rules = ", ".join(
            f"({literal(name)}, {literal(rule.severity)}, {literal(rule.reason)}, {literal(rule.hint)}, "
            f"{_SEVERITIES[rule.severity] * len(ranks) + ranks[name]})"
            for name, rule in self._wanted.items()
        )
        return (
            "SELECT id, rule, severity, reason, hint, value, number FROM found "
            f"JOIN (VALUES {rules}) r (rule, severity, reason, hint, rank) USING (rule) "
            "ORDER BY rank, row_index, n"
        )

    def frame(self) -> pd.DataFrame:
        """All findings in memory."""
        if not self._wanted:
            return pd.DataFrame(columns=list(COLUMNS))
        table = self._database.sql(self._ordered()).to_arrow_table()
        columns = {name: table[name].to_pylist() for name in COLUMNS}
        numbers = table["number"].to_pylist()
        columns["value"] = [
            value if number is None else json.loads(value)
            for value, number in zip(columns["value"], numbers, strict=True)
        ]
        columns["value"] = pd.Series(columns["value"], dtype=object)
        return pd.DataFrame(columns, columns=list(COLUMNS))

    def write(self, path: Path) -> dict[str, int]:
        """All findings as a Parquet file; returns how many of each rule."""
        with replacing(path) as draft:
            self._database.execute(f"COPY ({self._ordered()}) TO {literal(draft)} (FORMAT parquet)")
        counted = self._database.execute("SELECT rule, count(*) FROM found GROUP BY rule").fetchall()
        return {name: dict(counted)[name] for name in RULES if name in dict(counted)}
