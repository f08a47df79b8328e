"""What ties rows, as numbers: a few bytes a row in arrays, so that millions of rows need no objects.

Texts are told apart by 128 bits of their hash. What has to be text again (ids, paths, letters of sentences)
waits in a database of its own on disk.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from workbench.ingest.schema import quoted
from workbench.text import normalized_keys

if TYPE_CHECKING:
    import duckdb

    from workbench.corpus.query.view import View

    Array = np.ndarray[Any, np.dtype[Any]]

NEEDED = (
    "row_index", "id", "audio_filepath", "offset", "duration", "text", "target_lang", "accent", "speaker",
    "split", "status",
)  # fmt: skip
STATED = ("audio_sha256", "source_sha256")
"""Hashes that a source may state: of the file, or of what it was made from."""
NO_MATCH = -1

Columns = dict[str, list[Any]]


@dataclass
class Keys:
    """Rows of a view in the order of the source; every array is (rows,).

    Attributes:
        row_index: position in the source.
        ties: by level (``path``, ``file``, stated hashes, ``sentence``, ``speaker``): position of the first
            row with the same key, -1 where nothing can be said.
        offset, duration: seconds, NaN where unknown.
        cell: number of (target_lang, accent) in ``cells``.
        split: number in ``splits``, -1 for none.
        kept: false for rejected rows.
    """

    row_index: Array
    offset: Array
    duration: Array
    cell: Array
    cells: list[tuple[str | None, str | None]]
    split: Array
    splits: list[str]
    kept: Array
    ties: dict[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.row_index)

    def reordered(self, row_index: Array) -> Keys:
        """The same rows in the order of these ``row_index``, all of them."""
        from workbench.corpus.query import kernels

        order = np.searchsorted(self.row_index, row_index)
        rank = np.empty(len(order), np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        everyone = np.ones(len(order), np.bool_)

        def moved(tie: Array) -> Array:
            there = tie[order]
            tied = np.where(there < 0, np.int32(NO_MATCH), rank[there])
            found: Array = kernels.first_among(tied, everyone)
            return found

        return Keys(
            self.row_index[order], self.offset[order], self.duration[order], self.cell[order], self.cells,
            self.split[order], self.splits, self.kept[order],
            {name: moved(tie) for name, tie in self.ties.items()},
        )  # fmt: skip

    def audio(self, chosen: Array | None = None) -> Array:
        """First row of the same recording, among the chosen rows (-1 for the others) or all.

        Two rows have one recording where any of these is the same: the path, the bytes of the file, or a hash
        that the source states.
        """
        levels = [name for name in ("path", "file", *STATED) if name in self.ties]
        return self.components(levels, chosen)

    def components(self, levels: Iterable[str | Array], chosen: Array | None = None) -> Array:
        """First row of what hangs together by any of the levels; -1 for rows that are not chosen."""
        from workbench.corpus.query import kernels

        parent = np.arange(len(self), dtype=np.int32)
        for level in levels:
            firsts = self.ties[level] if isinstance(level, str) else level
            kernels.unite(parent, firsts if chosen is None else kernels.first_among(firsts, chosen))
        kernels.roots(parent)
        if chosen is not None:
            parent[~chosen] = NO_MATCH
        return parent


class Visitor(Protocol):
    """What looks at the batches while they are read."""

    def begin(self) -> None:
        """Before the first batch; a second time, if the rows have to be read again."""

    def take(self, columns: Columns, sentences: list[str]) -> None:
        """A batch, and the letters and digits of its transcripts."""


def gather(
    corpus: View,
    spill: duckdb.DuckDBPyConnection,
    *,
    only: str = "",
    more: Sequence[str] = (),
    sentences: bool = False,
    visitor: Visitor | None = None,
) -> Keys:
    """Read the rows of a view once.

    Args:
        corpus: the view.
        spill: gains ``named`` with ``row_index``, ``id``, ``path`` and ``plain`` (the whole file is meant),
            and ``sentence`` (letters and digits of the transcript) where asked for.
        only: ``WHERE ...`` of the program's own.
        more: further columns for the visitor.
        sentences: whether ``named`` holds them.
        visitor: looks at every batch as well.
    """
    stated = [name for name in STATED if name in corpus.columns]
    names = list(dict.fromkeys([*NEEDED, *stated, *more]))
    select = "SELECT " + ", ".join(map(quoted, names))

    def take(batches: Iterable[pa.RecordBatch]) -> _Gathered:
        made = _Gathered(spill, stated, sentences)
        if visitor is not None:
            visitor.begin()
        for batch in batches:
            columns = {name: batch.column(name).to_pylist() for name in names}
            found = made.add(columns)
            if visitor is not None:
                visitor.take(columns, found)
        return made

    return corpus._engine.scan(select, corpus._where(), only, take).keys()


class _Gathered:
    """The arrays while they grow, a batch at a time."""

    def __init__(self, spill: duckdb.DuckDBPyConnection, stated: Sequence[str], sentences: bool) -> None:
        self._spill, self._stated, self._sentences = spill, stated, sentences
        self._parts: dict[str, list[Array]] = {}
        self._cells: dict[Hashable, int] = {}
        self._splits: dict[Hashable, int] = {}
        told = ", sentence VARCHAR" if sentences else ""
        spill.execute(
            f"CREATE OR REPLACE TABLE named (row_index BIGINT, id VARCHAR, path VARCHAR, plain BOOLEAN{told})"
        )

    def add(self, columns: Columns) -> list[str]:
        """Take in a batch; returns the sentences of its rows, empty where there is none."""
        texts = normalized_keys([text or "" for text in columns["text"]])
        plain = [not offset for offset in columns["offset"]]
        # A sentence is the same in its own language only: "no" is Spanish, Italian and English.
        languages = [(tag or "").split("-")[0] for tag in columns["target_lang"]]
        said = [f"{tag}\0{key}" if key else None for tag, key in zip(languages, texts, strict=True)]
        self._keep("row_index", np.array(columns["row_index"], np.int64))
        self._keep("path", digests(columns["audio_filepath"]))
        self._keep("sentence", digests(said))
        self._keep("speaker", digests(columns["speaker"]))
        for name in self._stated:
            self._keep(name, digests([v if p else None for v, p in zip(columns[name], plain, strict=True)]))
        for name in ("offset", "duration"):
            self._keep(name, np.array([np.nan if v is None else v for v in columns[name]], np.float64))
        cells = zip(columns["target_lang"], columns["accent"], strict=True)
        self._keep("cell", np.array([self._cells.setdefault(c, len(self._cells)) for c in cells], np.int32))
        splits = [
            self._splits.setdefault(name, len(self._splits)) if name else NO_MATCH
            for name in columns["split"]
        ]
        self._keep("split", np.array(splits, np.int32))
        self._keep("kept", np.array([status != "rejected" for status in columns["status"]], np.bool_))
        self._name(columns, plain, texts)
        return texts

    def _keep(self, name: str, part: Array) -> None:
        self._parts.setdefault(name, []).append(part)

    def _name(self, columns: Columns, plain: list[bool], sentences: list[str]) -> None:
        table = {
            "row_index": pa.array(columns["row_index"], pa.int64()),
            "id": pa.array(columns["id"], pa.string()),
            "path": pa.array(columns["audio_filepath"], pa.string()), "plain": pa.array(plain, pa.bool_()),
        }  # fmt: skip
        if self._sentences:
            table["sentence"] = pa.array(sentences, pa.string())
        append(self._spill, "named", pa.table(table))

    def keys(self) -> Keys:
        """The arrays whole, rows in the order of the source."""
        index = self._whole("row_index", np.zeros(0, np.int64))
        order = None if (index[1:] > index[:-1]).all() else np.argsort(index)

        def ordered(name: str, empty: Array) -> Array:
            found = self._whole(name, empty)
            return found if order is None else found[order]

        numbers = {name: ordered(name, np.zeros(0)) for name in ("offset", "duration")}
        codes = {name: ordered(name, np.zeros(0, np.int32)) for name in ("cell", "split")}
        kept = ordered("kept", np.zeros(0, np.bool_))
        names = ("path", "sentence", "speaker", *self._stated)
        # One level after the other: its hashes go when its numbers are known.
        ties = {name: firsts(ordered(name, np.zeros((0, 2), np.uint64))) for name in names}
        row_index = index if order is None else index[order]
        cells: list[Any] = list(self._cells)
        splits: list[Any] = list(self._splits)
        return Keys(row_index, **numbers, cells=cells, splits=splits, kept=kept, ties=ties, **codes)

    def _whole(self, name: str, empty: Array) -> Array:
        return np.concatenate(self._parts.pop(name, [empty]))


def digests(values: Sequence[str | None]) -> Array:
    """128 bits of the hash of each text (n, 2); zeros where there is none."""
    blake = hashlib.blake2b
    none = bytes(16)
    joined = b"".join(
        blake(value.encode("utf-8", "surrogatepass"), digest_size=16).digest() if value else none
        for value in values
    )
    return np.frombuffer(joined, np.uint64).reshape(-1, 2)


def firsts(digests: Array) -> Array:
    """Position of the first row with the same digest (rows, 2); -1 where it is zero."""
    order = np.lexsort((digests[:, 1], digests[:, 0]))
    hashed = digests[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (hashed[1:] != hashed[:-1]).any(axis=1)
    none = ~hashed.any(axis=1)
    del hashed
    # The sort is stable: of a run of equals the first is the lowest row.
    first = order[new][np.cumsum(new) - 1].astype(np.int32)
    first[none] = NO_MATCH
    made = np.empty(len(order), np.int32)
    made[order] = first
    return made


def append(spill: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    """Put rows into a table of a database of its own on disk."""
    spill.register("incoming", table)
    spill.execute(f"INSERT INTO {name} SELECT * FROM incoming")
    spill.unregister("incoming")


def batches(spill: duckdb.DuckDBPyConnection, sql: str, rows: int = 50_000) -> Iterator[Columns]:
    """A query's rows as columns of plain values, some at a time; meanwhile the database may be used."""
    with closing(spill.cursor()) as cursor:
        for batch in cursor.sql(sql).to_arrow_reader(rows):
            yield {name: batch.column(name).to_pylist() for name in batch.schema.names}
