"""Cutting the utterances into groups: by columns, bands of numbers, or any expression a filter allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from workbench.corpus.query import filters
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]

Where = dict[str, Any] | str | None
BANDS: dict[str, tuple[str, tuple[float, ...], str]] = {
    "duration_band": ("duration", (2.0, 5.0, 10.0, 20.0), "s"),
    "snr_band": ("snr_db", (5.0, 10.0, 20.0, 30.0), "dB"),
}
"""Derived columns: name → (column, upper edges, unit)."""


@dataclass(frozen=True)
class Groups:
    """``codes``: group of each row; ``keys``: one tuple a group, None where the value is unknown."""

    by: tuple[str, ...]
    codes: Array
    keys: list[tuple[Any, ...]]

    def rows_of(self, chosen: Array | None = None) -> list[Array]:
        """Row numbers of each group, of the chosen rows only."""
        rows = np.arange(len(self.codes)) if chosen is None else np.flatnonzero(chosen)
        # Numbers of 16 bits are sorted by counting, several times faster.
        codes = self.codes.astype(np.uint16) if len(self.keys) < 2**16 else self.codes
        order = rows[np.argsort(codes[rows], kind="stable")]
        edges = np.searchsorted(self.codes[order], np.arange(len(self.keys) + 1))
        return [order[edges[i] : edges[i + 1]] for i in range(len(self.keys))]

    def filled(self, chosen: Array) -> tuple[list[tuple[Any, ...]], list[Array]]:
        """Keys and row numbers of the groups in which any row is chosen."""
        found = [(key, rows) for key, rows in zip(self.keys, self.rows_of(chosen), strict=True) if len(rows)]
        return [key for key, _ in found], [rows for _, rows in found]


def group(rows: pd.DataFrame, by: str | Sequence[str]) -> Groups:
    """Group rows by columns or expressions; ``()`` is one group of all."""
    names = (by,) if isinstance(by, str) else tuple(by)
    if not names:
        return Groups((), np.zeros(len(rows), np.int64), [()])
    codes = np.zeros(len(rows), np.int64)
    values: list[list[Any]] = []
    for name in names:
        numbers, distinct = _numbered(column(rows, name))
        values.append([*(_plain(v) for v in distinct), None])
        numbers = np.where(numbers < 0, len(distinct), numbers)
        codes = codes * (len(distinct) + 1) + numbers
    seen, codes = np.unique(codes, return_inverse=True) if len(names) > 1 else _used(codes)
    keys = []
    for code in seen.tolist():
        key = []
        for options in reversed(values):
            code, place = divmod(code, len(options))
            key.append(options[place])
        keys.append(tuple(reversed(key)))
    return Groups(names, codes, keys)


def _numbered(values: pd.Series[Any]) -> tuple[Array, Any]:
    """Number of each value among the distinct ones, sorted (bands by their edges); -1 where unknown."""
    numbers, distinct = pd.factorize(values)
    bands = isinstance(distinct, pd.CategoricalIndex) and distinct.ordered  # "< 2 s" before "2–5 s"
    order = np.argsort(distinct.codes if bands else np.asarray(distinct), kind="stable")
    rank = np.empty(len(order) + 1, np.int64)
    rank[order], rank[-1] = np.arange(len(order)), -1
    return rank[numbers], distinct[order]


def _used(codes: Array) -> tuple[Array, Array]:
    """``np.unique(codes, return_inverse=True)`` of small codes, without sorting."""
    there = np.bincount(codes) > 0
    return np.flatnonzero(there), (np.cumsum(there) - 1)[codes]


def column(rows: pd.DataFrame, name: str) -> pd.Series[Any]:
    """A column, a band of :data:`BANDS`, or the value of an SQL expression over the columns.

    Raises:
        WorkbenchError: no such column and no such expression.
    """
    if name in rows.columns:
        return rows[name]
    if name in BANDS and BANDS[name][0] in rows.columns:
        return _band(rows[BANDS[name][0]], *BANDS[name][1:])
    return _evaluate(rows, name)


def mask(rows: pd.DataFrame, where: Where) -> Array:
    """Which rows are meant: a dict of column (or expression) and value, an SQL condition, or None for all.

    A value of None means unknown.
    """
    if where is None:
        return np.ones(len(rows), bool)
    if isinstance(where, str):
        meant: Array = _evaluate(rows, where).fillna(False).to_numpy(dtype=bool)
        return meant
    chosen = np.ones(len(rows), bool)
    for name, value in where.items():
        values = column(rows, name)
        same = values.isna() if value is None else values.eq(value).fillna(False)
        chosen &= same.to_numpy(dtype=bool)
    return chosen


def _band(values: pd.Series[Any], edges: tuple[float, ...], unit: str) -> pd.Series[Any]:
    labels = [f"< {edges[0]:g} {unit}"]
    labels += [f"{low:g}–{high:g} {unit}" for low, high in pairwise(edges)]
    labels.append(f"≥ {edges[-1]:g} {unit}")
    numbers = pd.to_numeric(values, errors="coerce")
    cut = pd.cut(numbers, [-np.inf, *edges, np.inf], labels=labels, right=False)
    return pd.Series(cut, index=values.index)


def _evaluate(rows: pd.DataFrame, expression: str) -> pd.Series[Any]:
    plain = [c for c in rows.columns if not _nested(rows[c])]
    # Only what the expression may name: every column would be read, and its texts kept, for nothing.
    said = expression.casefold().replace('""', '"')  # how a name with a quote is written
    named = [c for c in plain if str(c).casefold() in said] or plain[:1]
    settings = {"enable_external_access": "false", "lock_configuration": "true"}
    with duckdb.connect(":memory:", config=settings) as connection:
        with connection.cursor() as parser:
            safe = filters.check(parser, expression, plain)
        connection.register("utterances", pa.Table.from_pandas(rows[named], preserve_index=False))
        try:
            found = connection.sql(f"SELECT ({safe}) AS value FROM utterances").to_arrow_table()
            return found["value"].to_pandas(types_mapper=_strings)
        except duckdb.Error as error:
            raise WorkbenchError(
                filters.explain(error), where=repr(expression[:80]), hint="Use a column or an SQL expression."
            ) from None


def _strings(kind: Any) -> Any:
    """Texts stay in Arrow: a million Python strings would cost more memory than the utterances."""
    return pd.StringDtype("pyarrow", na_value=float("nan")) if pa.types.is_string(kind) else None


def _nested(values: pd.Series[Any]) -> bool:
    return values.dtype == object and any(isinstance(v, list | dict | tuple) for v in values.head(50))


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
