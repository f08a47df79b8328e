"""Plain JSON lines by DuckDB's parser, straight from the file to Parquet, never all of it in memory.

The parser is several times as fast as Python's and more lenient. What it would let pass and the careful
reader would not is looked for here: keys and kinds of values that its sample did not show, NUL, NaN, commas
before a closing brace, blank lines. Where anything is found the file goes to the readers of
:mod:`workbench.ingest.manifest` instead, which name each bad line. Two things are read alike but not
identically: a number among texts keeps its digits as written, and so does white space in nested values.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.ingest import json_text, paths
from workbench.ingest.json_text import LINE_LIMIT
from workbench.ingest.manifest import NotPlainError
from workbench.ingest.reader import FILE, LINE
from workbench.ingest.schema import FIELDS, literal, quoted

_SAMPLE = 2_048
_WHOLE = -1
_SURE = frozenset({"VARCHAR", "DOUBLE"})
_HELD_AGAINST = {"BIGINT": "regexp_full_match({0}, '-?[0-9]{{1,18}}')", "BOOLEAN": "{0} IN ('true', 'false')"}
"""Kinds that a sample does not settle → what the text of each value must be. DuckDB would round a fraction
among whole numbers and take "true" for true, so such columns are read as written and held against this."""
_KINDS = _SURE | set(_HELD_AGAINST)
_NO_KIND = frozenset({"JSON", '"NULL"'})
ROW_GROUP = 40_960
"""Rows that are held before they are written, about."""
_RANGED = ("id", "duration", "target_lang", "speaker", "split")
_BLOCK = 1 << 20
_NEEDLES = (b"NaN", b"Infinity", b"\\u0000")
_SUSPECT = re.compile(rb":\s*(?:NaN|-?Infinity)|\\u0000|\x00|,\s*\}")
_OVERLAP = 64
"""Bytes of a block that are looked at again with the next, so that nothing hides on the border."""


@dataclass
class PlainLines:
    """A manifest that looks plain so far.

    Attributes:
        path: the file.
        kinds: column → DuckDB type, one of VARCHAR, DOUBLE, BIGINT, BOOLEAN.
        sample: lines that the kinds were found on; -1 for all.
        empty: columns without a value in the sample; one anywhere else is a doubt.
        sha256: of the file, once :meth:`copy` has read it.
        ordinary_paths: none of its paths needs a closer look, as :meth:`copy` found.
    """

    path: Path
    kinds: dict[str, str]
    sample: int
    empty: tuple[str, ...] = ()
    sha256: str | None = None
    ordinary_paths: bool = False

    def copy(
        self,
        connection: duckdb.DuckDBPyConnection,
        select: Mapping[str, str],
        constants: Mapping[str, Any],
        target: Path,
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Write a Parquet; returns the number of lines.

        DuckDB parses, Arrow writes: side by side, and at two thirds of the price of DuckDB's own writer.

        Args:
            connection: asks DuckDB.
            select: column → expression over the file's columns, in order.
            constants: those of them that are the same on every row: numbers, texts, or None where unknown.
            target: the file that is written.
            progress: called with (rows read, 0).

        Raises:
            NotPlainError: something about the file is in doubt.
        """
        listed = [f"{sql} AS {quoted(name)}" for name, sql in select.items() if name not in constants]
        with ThreadPoolExecutor(2) as pool, _seed(self._seeded) as seed:
            scanned = pool.submit(_scan, self.path)
            try:
                rows = connection.sql(f"SELECT {', '.join(listed)}, {_ODD} FROM ({self._read(seed)})")
                skipped = 0 if seed is None else len(_SEEDS)
                batches = _checked(rows.to_arrow_reader(ROW_GROUP), skipped, progress)
                self.ordinary_paths = _write(batches, list(select), constants, target, pool)
            except (duckdb.Error, pa.ArrowException, OSError) as error:
                if isinstance(error, OSError) and error.errno is not None:  # the disk's, not the parser's
                    raise
                raise NotPlainError from error
            lines, self.sha256 = scanned.result()
        return lines

    @property
    def _unsettled(self) -> list[str]:
        """Columns that are read as they are written."""
        kinds = self.kinds.items()
        return [] if self.sample == _WHOLE else [name for name, kind in kinds if kind in _HELD_AGAINST]

    @property
    def _seeded(self) -> list[str]:
        """Columns whose values the sample does not settle."""
        return [] if self.sample == _WHOLE else [*self._unsettled, *self.empty]

    def _read(self, seed: Path | None) -> str:
        """SQL for the columns with their kinds, and whether a row has a value that is not of its kind."""
        columns, odd = [quoted(name) for name in self.kinds if name not in self._unsettled], ["false"]
        for name in self._unsettled:
            written, kind = f"{quoted(name)}::VARCHAR", self.kinds[name]
            columns.append(f"TRY_CAST({written} AS {kind}) AS {quoted(name)}")
            odd.append(f"NOT {_HELD_AGAINST[kind].format(written)}")
        odd += [f"{quoted(name)} IS NOT NULL" for name in self._seeded if name in self.empty]
        listed = f"{', '.join(columns)}, coalesce({' OR '.join(odd)}, false) AS {_ODD}"
        return f"SELECT {listed} FROM {_relation(self.path, self.sample, seed)}"


_ODD = "_odd"
_SEEDS = ("true", '"text"', "[0]")


@contextmanager
def _seed(names: Sequence[str]) -> Iterator[Path | None]:
    """A file of rows that are read first and thrown away: values of several kinds in these columns make
    DuckDB hand each value out as it is written, and it still refuses keys that are new to it."""
    if not names:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        path = Path(folder) / "seed.jsonl"
        rows = ("{" + ", ".join(f"{json.dumps(name)}: {value}" for name in names) + "}" for value in _SEEDS)
        path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
        yield path


def _checked(
    reader: pa.RecordBatchReader, skipped: int, progress: Callable[[int, int], None] | None
) -> Iterator[pa.RecordBatch]:
    """Batches without the seed's rows and without the column of doubts.

    Raises:
        NotPlainError: a row is in doubt.
    """
    done = 0
    for batch in reader:
        left = batch.slice(min(skipped, len(batch)))
        skipped -= len(batch) - len(left)
        if pc.any(left.column(_ODD)).as_py():
            raise NotPlainError
        done += len(left)
        if progress is not None:
            progress(done, 0)
        if len(left) or not skipped:
            yield left.drop_columns([_ODD])


def _write(
    batches: Iterator[pa.RecordBatch],
    names: Sequence[str],
    constants: Mapping[str, Any],
    target: Path,
    pool: ThreadPoolExecutor,
) -> bool:
    """Batches to a Parquet while the next ones are parsed; one is written and one waits, at most.

    Returns whether all paths are ordinary.
    """
    first = next(batches)
    kinds = {name: first.schema.field(name).type for name in names if name not in constants}
    numbers = [name for name, kind in FIELDS.items() if kind == "DOUBLE"]
    kinds |= {name: pa.float64() if name in numbers else pa.string() for name in constants}
    schema = pa.schema([(name, kinds[name]) for name in names])
    # What differs on every row gains nothing by a dictionary; least and greatest are asked for where rows are
    # looked up by them.
    repeated = [name for name in names if name not in ("id", "audio_filepath")]
    ranged = [name for name in names if name in _RANGED]
    options = {"compression": "snappy", "use_dictionary": repeated, "write_statistics": ranged}
    with pq.ParquetWriter(target, schema, **options) as writer:
        writing: Future[None] | None = None
        ordinary = True
        try:
            for batch in itertools.chain([first], batches):
                columns = [
                    _repeated(constants[name], len(batch), kinds[name])
                    if name in constants
                    else batch.column(name)
                    for name in names
                ]
                if writing is not None:
                    writing.result()
                whole = pa.record_batch(columns, schema=schema)
                writing = pool.submit(writer.write_batch, whole)
                ordinary = ordinary and paths.ordinary(whole.column("audio_filepath"))
        finally:
            # Where a batch is in doubt, too: a writer that is closed while it writes ends the process.
            if writing is not None:
                wait([writing])
        if writing is not None:
            writing.result()
    return ordinary


def _repeated(value: Any, count: int, kind: pa.DataType) -> pa.Array:
    return pa.nulls(count, kind) if value is None else pa.repeat(pa.scalar(value, kind), count)


def look(connection: duckdb.DuckDBPyConnection, path: Path, sample: int | None = None) -> PlainLines:
    """The columns of a manifest.

    Args:
        connection: asks DuckDB.
        path: the file.
        sample: lines to look at, ``_SAMPLE`` by default, -1 for all.

    Raises:
        NotPlainError: not flat JSON lines of texts, numbers and truth values.
    """
    if not json_text.is_plain(path):
        raise NotPlainError
    sample = _SAMPLE if sample is None else sample
    kinds = _described(connection, path, sample)
    # What is null on every line has no kind; it is left out, as the other readers do.
    empty = tuple(name for name, kind in kinds.items() if kind in _NO_KIND)
    if empty:
        counts = ", ".join(f"count({quoted(name)})" for name in empty)
        some = f"FROM {_relation(path, sample)}" + (f" LIMIT {sample}" if sample != _WHOLE else "")
        if any(connection.execute(f"SELECT {counts} FROM ({some})").fetchall()[0]):
            raise NotPlainError
        kinds = {name: kind for name, kind in kinds.items() if kind not in _NO_KIND}
    lowered = [re.sub(r"_\d+$", "", name).lower() for name in kinds]
    if not kinds or not _KINDS.issuperset(kinds.values()) or {FILE, LINE, ""} & set(kinds):
        raise NotPlainError
    # DuckDB renames columns that differ in case only, so a name may not be the file's own.
    if len(set(lowered)) != len(lowered):
        raise NotPlainError
    return PlainLines(path, kinds, sample, empty)


def read_whole(connection: duckdb.DuckDBPyConnection, lines: PlainLines) -> PlainLines:
    """The same after looking at every line.

    Raises:
        NotPlainError: that was done already, or the file is not plain.
    """
    if lines.sample == _WHOLE:
        raise NotPlainError
    return look(connection, lines.path, _WHOLE)


def _described(connection: duckdb.DuckDBPyConnection, path: Path, sample: int) -> dict[str, str]:
    try:
        rows = connection.execute(f"DESCRIBE SELECT * FROM {_relation(path, sample)}").fetchall()
    except duckdb.Error as error:
        raise NotPlainError from error
    return {str(row[0]): str(row[1]) for row in rows}


def _relation(path: Path, sample: int, seed: Path | None = None) -> str:
    files = [literal(_exact(one)) for one in (seed, path) if one is not None]
    # Formats that no text has, so that dates stay the texts they are.
    return (
        f"read_json([{', '.join(files)}], format = 'newline_delimited', sample_size = {sample}, "
        f"maximum_object_size = {LINE_LIMIT}, dateformat = 'none %Y', timestampformat = 'none %Y')"
    )


def _exact(path: Path) -> str:
    """The path with what DuckDB would take for a pattern escaped.

    Raises:
        NotPlainError: the name holds such characters; DuckDB has no way to say that they are plain.
    """
    text = os.path.abspath(path)
    if any(c in text for c in "*?[]{}"):
        raise NotPlainError
    return text


def _scan(path: Path) -> tuple[int, str]:
    """Lines and SHA-256 of a file.

    Raises:
        NotPlainError: it holds what DuckDB reads and the careful reader refuses.
    """
    digest, lines, kept, ended, open_line = hashlib.sha256(), 0, 0, True, 0
    buffer = bytearray(_OVERLAP + _BLOCK)
    codes = np.frombuffer(buffer, np.uint8)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as stream:
        while count := stream.readinto(view[kept : kept + _BLOCK]):
            end = kept + count
            digest.update(view[kept:end])
            lines += int(np.count_nonzero(codes[kept:end] == ord("\n")))
            ended = buffer[end - 1] == ord("\n")
            first = buffer.find(b"\n", kept, end)
            # Held against the limit here, since DuckDB takes longer lines than it is told to.
            if open_line + (first if first >= 0 else end) - kept > LINE_LIMIT:
                raise NotPlainError
            open_line = open_line + count if first < 0 else end - 1 - buffer.rfind(b"\n", kept, end)
            if _suspicious(buffer, codes[:end]) and _SUSPECT.search(buffer, 0, end):
                raise NotPlainError
            # The end of this block comes before the next, in the same buffer.
            rest = bytes(view[max(0, end - _OVERLAP) : end])
            kept = len(rest)
            buffer[:kept] = rest
    return lines + (not ended), digest.hexdigest()


def _suspicious(buffer: bytearray, codes: np.ndarray) -> bool:
    """Whether a closer look is due at the bytes in use, ``codes``, of a buffer. Three times as fast as
    ``bytes.find`` of whole needles: their first bytes are rare."""
    if not codes.min():
        return True
    ends = np.flatnonzero(codes == ord("}"))
    before = codes[ends[ends > 0] - 1]
    if ((before == ord(",")) | (before <= ord(" "))).any():
        return True
    for needle in _NEEDLES:
        if buffer.find(needle[:1], 0, len(codes)) < 0:
            continue
        at = np.flatnonzero(codes[: len(codes) - len(needle) + 1] == needle[0])
        for offset, code in enumerate(needle[1:], 1):
            at = at[codes[at + offset] == code]
        if at.size:
            return True
    return False
