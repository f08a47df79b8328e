"""What ties utterances together so that they must not stand on both sides of a split.

Three levels. The same audio or the same sentence blocks always; the same speaker blocks unless the policy
says that speakers are shared, which then stands in every report.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from workbench.corpus.quality.measures import hash_file
from workbench.corpus.query import spill_db
from workbench.corpus.query.row_index import Keys, Visitor, append, batches, digests, firsts, gather
from workbench.errors import WorkbenchError
from workbench.ingest.audio import locate_text
from workbench.ingest.schema import literal

if TYPE_CHECKING:
    import duckdb

    from workbench.corpus.query.view import View

    Array = np.ndarray[Any, np.dtype[Any]]

LEVELS = ("audio", "sentence", "speaker")
_END = 4_096
"""Bytes at either end of a file that are compared before all of it is read."""


def read(
    corpus: View,
    database: duckdb.DuckDBPyConnection,
    *,
    only: str = "WHERE status <> 'rejected'",
    more: Sequence[str] = (),
    sentences: bool = False,
    visitor: Visitor | None = None,
) -> Keys:
    """The keys of a view's rows, their files compared; see :func:`workbench.corpus.query.row_index.gather`.

    Files that ``signal.scan`` has not hashed are compared here; one that is missing is like no other.
    """
    keys = gather(corpus, database, only=only, more=more, sentences=sentences, visitor=visitor)
    _tie_files(corpus, database, keys)
    return keys


def _tie_files(corpus: View, database: duckdb.DuckDBPyConnection, keys: Keys) -> None:
    """Tie the rows whose files hold the same bytes: first sizes are compared, then the ends of files of one
    size, and only what is still alike is read."""
    from workbench.corpus.query import kernels

    found = np.zeros((len(keys), 2), np.uint64)
    known = _scanned(corpus, database, keys, found)
    roots = [str(root) for root in corpus.facts["audio_roots"]]
    sizes = np.full(len(keys), -1, np.int64)
    unread = "SELECT row_index, path FROM named ANTI JOIN scanned USING (row_index) WHERE plain"
    for batch in batches(database, unread):
        sizes[_places(keys, batch["row_index"])] = [_size(path, roots) for path in batch["path"]]
    database.execute("DROP TABLE scanned")
    there = sizes >= 0
    if there.any():
        same_path = kernels.first_among(keys.ties["path"], there)
        own = same_path == np.arange(len(keys), dtype=np.int32)
        whole = own & np.isin(sizes, known)
        twins = own & ~whole
        values, counts = np.unique(sizes[twins], return_counts=True)
        twins &= np.isin(sizes, values[counts > 1])
        ends = np.zeros((len(keys), 2), np.uint64)
        for places, read_ends in _of_files(database, keys, twins, roots, _ends):
            ends[places] = read_ends
        alike = firsts(ends)
        many = np.bincount(alike[alike >= 0], minlength=len(keys)) > 1
        whole |= (alike >= 0) & many[alike]
        for places, read_all in _of_files(database, keys, whole, roots, lambda path: hash_file(Path(path))):
            found[places] = read_all
        found[there] = found[same_path[there]]
    if found.any():
        keys.ties["file"] = firsts(found)


def _places(keys: Keys, row_index: Any) -> Array:
    return np.searchsorted(keys.row_index, np.asarray(row_index, np.int64))


def _size(written: str, roots: list[str]) -> int:
    """Bytes of a file; -1 where it is missing or lies outside the roots."""
    try:
        # Missing files are told apart first: where they are followed to costs more.
        found = os.stat(os.path.normpath(os.path.join(roots[0], written)))
        locate_text(written, roots)
    except (WorkbenchError, OSError, ValueError):
        return -1
    # A pipe would be waited for, for ever.
    return found.st_size if stat.S_ISREG(found.st_mode) else -1


def _of_files(
    database: duckdb.DuckDBPyConnection,
    keys: Keys,
    chosen: Array,
    roots: list[str],
    read_one: Callable[[str], str | None],
) -> Iterator[tuple[Array, Array]]:
    """Places of rows and the digests of what was read of their files, some at a time."""

    def attempt(written: str) -> str | None:
        try:
            return read_one(locate_text(written, roots))
        except (OSError, WorkbenchError):  # empty, or gone meanwhile
            return None

    if not chosen.any():
        return
    want(database, keys.row_index[chosen])
    wanted = "SELECT row_index, path FROM named SEMI JOIN wanted USING (row_index)"
    with ThreadPoolExecutor() as pool:
        for batch in batches(database, wanted):
            yield _places(keys, batch["row_index"]), digests(list(pool.map(attempt, batch["path"])))


def want(database: duckdb.DuckDBPyConnection, row_index: Array) -> None:
    """Make the table ``wanted`` of these rows."""
    database.execute("CREATE OR REPLACE TABLE wanted (row_index BIGINT)")
    append(database, "wanted", pa.table({"row_index": row_index}))


def _ends(path: str) -> str:
    """Size, and a hash of the first and last bytes of a file."""
    with open(path, "rb") as stream:
        first = stream.read(_END)
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _END))
        return f"{size} {hashlib.blake2b(first + stream.read()).hexdigest()}"


def _scanned(corpus: View, database: duckdb.DuckDBPyConnection, keys: Keys, found: Array) -> Array:
    """Note what ``signal.scan`` has hashed, in ``found`` and as a table of rows ``scanned``.

    Returns the sizes of all files that it met.
    """
    database.execute("CREATE OR REPLACE TABLE scanned (row_index BIGINT, sha256 VARCHAR, whole BOOLEAN)")
    path = corpus.folder / "signal.parquet"
    if not path.exists():
        return np.zeros(0, np.int64)
    measured = f"read_parquet({literal(path)}) WHERE audio_sha256 <> ''"
    database.execute(
        "INSERT INTO scanned SELECT row_index, audio_sha256, plain "
        f"FROM named JOIN (SELECT id, audio_sha256 FROM {measured}) USING (id)"
    )
    for batch in batches(database, "SELECT row_index, sha256 FROM scanned WHERE whole"):
        found[_places(keys, batch["row_index"])] = digests(batch["sha256"])
    sizes = database.execute(f"SELECT DISTINCT size FROM {measured}").fetchnumpy()
    return np.asarray(sizes["size"], np.int64)


def shared(keys: Keys, level: str) -> Iterator[tuple[Array, str]]:
    """Places of the rows of one recording, sentence or speaker that stands in several splits, and these."""
    from workbench.corpus.query import kernels

    told = keys.kept & (keys.split >= 0)
    tied = keys.audio(keys.kept) if level == "audio" else keys.ties[level]
    group = kernels.first_among(tied, told)
    within = np.flatnonzero(group >= 0)
    lowest = np.full(len(keys), np.iinfo(np.int32).max, np.int32)
    highest = np.full(len(keys), -1, np.int32)
    np.minimum.at(lowest, group[within], keys.split[within])
    np.maximum.at(highest, group[within], keys.split[within])
    within = within[lowest[group[within]] < highest[group[within]]]
    within = within[np.argsort(group[within], kind="stable")]
    borders = np.flatnonzero(np.diff(group[within])) + 1
    for places in np.split(within, borders) if len(within) else ():
        yield places, ", ".join(sorted(keys.splits[code] for code in set(keys.split[places].tolist())))


def find(corpus: View, speakers: str = "disjoint") -> pd.DataFrame:
    """Ties across splits.

    Returns:
        One row per shared audio, sentence or speaker: ``level``, ``blocks`` (false for speakers where the
        policy shares them), ``splits``, ``utterances`` and the ``ids``, sorted by level.
    """
    found = []
    with spill_db.database(corpus.folder) as database:
        keys = read(corpus, database)
        for level in LEVELS:
            blocks = level != "speaker" or speakers != "shared"
            groups = list(shared(keys, level))
            ids = _ids(database, keys, [places for places, _ in groups])
            found += [
                (level, blocks, splits, len(some), some)
                for (_, splits), some in zip(groups, ids, strict=True)
            ]
    return pd.DataFrame(found, columns=["level", "blocks", "splits", "utterances", "ids"])


def _ids(database: duckdb.DuckDBPyConnection, keys: Keys, groups: Iterable[Array]) -> Iterator[list[str]]:
    """The ids of rows, for each group of places."""
    groups = list(groups)
    wanted = keys.row_index[np.concatenate(groups)] if groups else np.zeros(0, np.int64)
    want(database, wanted)
    named = "SELECT row_index, id FROM named SEMI JOIN wanted USING (row_index) ORDER BY row_index"
    table = database.sql(named).to_arrow_table()
    rows, ids = table["row_index"].to_numpy(), table["id"]
    for places in groups:
        yield ids.take(pa.array(np.searchsorted(rows, keys.row_index[places]))).to_pylist()
