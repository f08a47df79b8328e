"""Read NeMo manifests and JSON lines: plain, gzipped, sharded, clean or damaged.

Two readers give the same rows. The quick one is Arrow's; it refuses whatever is not plain, flat JSON lines.
Where it refuses, the careful one goes line by line, keeps the good lines and names each bad one. It is also
the reference: the tests compare the two on drawn inputs.
"""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import Problem, WorkbenchError

if TYPE_CHECKING:
    import pyarrow as pa

LINE_LIMIT = 4 << 20
"""A longer line is no utterance; it is skipped without being held in memory."""
CHUNK = 64 << 20
LINE = "source_line"
FILE = "source_file"
_BATCH = 20_000
_SHARDS = re.compile(r"_OP_(\d+)\.\.(\d+)_CL_")


class NotPlainError(Exception):
    """The quick reader will not vouch for this file."""


def expand(path: Path) -> list[Path]:
    """The files a manifest name stands for: ``manifest__OP_0..7_CL_.json``, a pattern with ``*``, or itself.

    Raises:
        WorkbenchError: a shard is missing, or nothing matches.
    """
    match = _SHARDS.search(path.name)
    if match:
        names = [_SHARDS.sub(str(i), path.name) for i in range(int(match[1]), int(match[2]) + 1)]
        found = [path.with_name(name) for name in names]
        missing = [p.name for p in found if not p.exists()]
        if missing:
            raise WorkbenchError(f"{len(missing)} shards are missing, first {missing[0]}", where=str(path))
        return found
    if not path.exists() and any(c in path.name for c in "*?["):
        found = sorted(path.parent.glob(path.name))
        if found:
            return found
    if not path.exists():
        raise WorkbenchError("no such file", where=str(path), hint="Check the path of the manifest.")
    return [path]


def read(path: Path, problems: list[Problem]) -> Iterator[pa.Table]:
    """Rows of one manifest file as tables with the file's own columns and ``source_line`` (from 1).

    Nested values come as JSON text. Bad lines are added to ``problems``.
    """
    try:
        yield from quick(path)
    except NotPlainError:
        yield from careful(path, problems)


def quick(path: Path) -> list[pa.Table]:
    """The whole file through Arrow's parser.

    Raises:
        NotPlainError: anything but flat JSON lines without a doubt about them.
    """
    if path.suffix == ".gz":
        raise NotPlainError
    tables: list[pa.Table] = []
    before = 0
    for block in _blocks(path):
        tables.append(_parsed(block, before))
        before += tables[-1].num_rows
    return tables


def _blocks(path: Path) -> Iterator[bytes]:
    """The file in pieces of about CHUNK bytes that end with a line."""
    with path.open("rb") as stream:
        rest = b""
        while block := stream.read(CHUNK):
            cut = block.rfind(b"\n") + 1
            if not cut:
                raise NotPlainError
            yield rest + block[:cut] if rest else block if cut == len(block) else block[:cut]
            rest = block[cut:]
        if rest:
            yield rest


def _parsed(block: bytes, before: int) -> pa.Table:
    import numpy as np
    import pyarrow as pa
    import pyarrow.json as pj

    if block[:3] == b"\xef\xbb\xbf" or b"\\u0000" in block:
        raise NotPlainError
    options = pj.ReadOptions(block_size=LINE_LIMIT)
    parse = pj.ParseOptions(explicit_schema=_explicit_schema(), newlines_in_values=False)
    try:
        table = pj.read_json(pa.BufferReader(block), read_options=options, parse_options=parse)
        table.validate(full=True)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise NotPlainError from error
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    if table.num_rows != lines:  # blank lines, or several objects on a line: numbers would be wrong
        raise NotPlainError
    table = table.drop_columns([n for n in table.column_names if table[n].null_count == table.num_rows])
    _refuse_odd_columns(table)
    numbers = np.arange(before + 1, before + table.num_rows + 1, dtype=np.int64)
    return table.append_column(LINE, pa.array(numbers))


def _refuse_odd_columns(table: pa.Table) -> None:
    """Nested values lose what is absent and what is null; Arrow takes some texts for times."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for name in table.column_names:
        kind = table.schema.field(name).type
        if pa.types.is_floating(kind):
            if pc.all(pc.is_finite(table[name])).as_py() is False:
                raise NotPlainError
        elif not (pa.types.is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_integer(kind)):
            raise NotPlainError


def _explicit_schema() -> pa.Schema:
    import pyarrow as pa

    from workbench.ingest.schema import FIELDS

    kinds = {"VARCHAR": pa.string(), "DOUBLE": pa.float64()}
    return pa.schema([(name, kinds[kind]) for name, kind in FIELDS.items()])


def careful(path: Path, problems: list[Problem]) -> Iterator[pa.Table]:
    """The same rows by way of Python's json, one line at a time."""
    rows: list[dict[str, Any]] = []
    for number, raw, complete in _lines(path):
        row = _row(path.name, number, raw, complete, problems)
        if row is not None:
            row[LINE] = number
            rows.append(row)
        if len(rows) >= _BATCH:
            yield table_of(rows)
            rows = []
    if rows:
        yield table_of(rows)


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows of plain values as a table; a column of mixed types becomes text, nested values JSON text."""
    import pyarrow as pa

    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        if any(isinstance(value, dict | list | tuple) for value in values):
            values = [None if v is None else as_text(v) for v in values]
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            columns[name] = pa.array([None if v is None else as_text(v) for v in values], pa.string())
    return pa.table(columns) if columns else pa.table({LINE: pa.array([], pa.int64())})


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Line number, bytes (at most LINE_LIMIT + 1) and whether a line break ended it."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as stream:
        number = 0
        while raw := stream.readline(LINE_LIMIT + 1):
            number += 1
            complete = raw.endswith(b"\n")
            if not complete and len(raw) > LINE_LIMIT:
                while rest := stream.readline(LINE_LIMIT):
                    if rest.endswith(b"\n"):
                        break
            yield number, raw, complete


def _row(
    file: str, number: int, raw: bytes, complete: bool, problems: list[Problem]
) -> dict[str, Any] | None:
    def bad(what: str, hint: str, field: str = "") -> None:
        problems.append(Problem(file, what, hint, number, field))

    if len(raw) > LINE_LIMIT:
        bad(f"the line is longer than {LINE_LIMIT:,} bytes", "One utterance per line; is the file cut right?")
        return None
    if number == 1:
        raw = raw.removeprefix(b"\xef\xbb\xbf")
    if not raw.strip():
        return None
    try:
        line = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        bad(f"not UTF-8 at byte {error.start + 1}", "Save the file as UTF-8.")
        return None
    repeated: list[str] = []
    try:
        value = json.loads(line, object_pairs_hook=lambda pairs: _object(pairs, repeated))
    except (json.JSONDecodeError, RecursionError) as error:
        what = "the last line is cut off" if not complete else f"not JSON ({_reason(error)})"
        bad(what, "One JSON object per line.")
        return None
    return _checked(value, repeated, bad)


def _checked(value: Any, repeated: list[str], bad: Any) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        bad("not a JSON object", "One JSON object per line.")
        return None
    if repeated:
        bad("the key stands twice", "Keep one; which is meant cannot be known.", repeated[0][:60])
        return None
    for name, item in value.items():
        if isinstance(item, float) and not math.isfinite(item):
            bad("not a finite number", "Write a number or leave the field out.", name[:60])
            return None
        if isinstance(item, str) and _unwritable(item):
            bad("holds a NUL character or half a surrogate pair", "Remove it.", name[:60])
            return None
        if isinstance(item, int) and abs(item) >= 2**63:
            bad("the number is too large", "Write it as text.", name[:60])
            return None
    return value


def _unwritable(text: str) -> bool:
    return "\0" in text or any("\ud800" <= c <= "\udfff" for c in text)


def _object(pairs: list[tuple[str, Any]], repeated: list[str]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        repeated += [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
    return made


def _reason(error: Exception) -> str:
    return f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else "too deep"
