"""Read NeMo manifests and JSON lines: plain, gzipped, sharded, clean or damaged.

Two readers give the same rows. The quick one is Arrow's; it refuses whatever is not plain, flat JSON lines.
Where it refuses, the careful one goes line by line, keeps the good lines and names each bad one. It is also
the reference: the tests compare the two on drawn inputs.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
from braceexpand import braceexpand

from workbench.errors import Problem, WorkbenchError
from workbench.ingest import json_text
from workbench.ingest.json_text import LINE_LIMIT
from workbench.ingest.reader import LINE, batched
from workbench.ingest.schema import ALIASES, FIELDS

CHUNK = 64 << 20
_HEAD = 8
"""Lines that decide whether a file holds lines or one document."""
_OPEN, _CLOSE = re.compile(r"_OP_|[(\[<]"), re.compile(r"_CL_|[)\]>]")
_PATHS = frozenset({"audio_filepath", *ALIASES["audio_filepath"]})
_TEXTS = frozenset({"text", *ALIASES["text"]})
_SCALARS = frozenset({"duration", "offset"})


class NotPlainError(Exception):
    """The quick reader will not vouch for this file."""


def expand(path: Path | str) -> list[Path]:
    """The files that a manifest name stands for.

    As NeMo reads names: itself; several with commas between; shards as ``manifest__OP_0..7_CL_.json`` or
    ``manifest_{000..007}.json``, zeros kept; a pattern with ``*``.

    Raises:
        WorkbenchError: a file is missing, or nothing matches.
    """
    text = str(path).strip()
    if Path(text).exists():
        return [Path(text)]
    names = [name for part in _parts(text) for name in _shards(part.strip()) if name]
    found = [file for name in names for file in _matching(Path(name).expanduser())]
    missing = [file.name for file in found if not file.exists()]
    if missing and len(found) > 1:
        what = f"{len(missing)} of {len(found)} files are missing, first {missing[0]}"
        raise WorkbenchError(what, where=text, hint="Check the names and the first and last number.")
    if missing or not found:
        raise WorkbenchError("no such file", where=text, hint="Check the path of the manifest.")
    return found


def _parts(text: str) -> list[str]:
    """At commas outside of braces; later names without a folder lie beside the first."""
    parts = [part.strip() for part in re.split(r",(?![^{]*\})", text.strip("[]") if "," in text else text)]
    first = Path(parts[0]).parent
    return [parts[0], *(part if "/" in part else str(first / part) for part in parts[1:])]


def _shards(name: str) -> Sequence[str]:
    if Path(name).exists():
        return [name]
    braced = _CLOSE.sub("}", _OPEN.sub("{", name)) if ".." in name or "_OP_" in name else name
    try:
        return list(braceexpand(braced))
    except ValueError as error:
        raise WorkbenchError("a brace is not closed", where=name, hint="Write name_{0..7}.json.") from error


def _matching(path: Path) -> list[Path]:
    if not path.exists() and any(c in path.name for c in "*?["):
        return sorted(path.parent.glob(path.name)) or [path]
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
    if not json_text.is_plain(path):
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
    if block[:3] == b"\xef\xbb\xbf" or b"\\u0000" in block:
        raise NotPlainError
    options = pj.ReadOptions(block_size=LINE_LIMIT)
    parse = pj.ParseOptions(explicit_schema=_explicit_schema(), newlines_in_values=False)
    try:
        table = pj.read_json(pa.BufferReader(block), read_options=options, parse_options=parse)
        table.validate(full=True)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise NotPlainError from error
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n"))
    if np.diff(ends, prepend=-1, append=len(block)).max() > LINE_LIMIT:
        raise NotPlainError
    lines = len(ends) + (not block.endswith(b"\n"))
    if table.num_rows != lines:  # blank lines, or several objects on a line: numbers would be wrong
        raise NotPlainError
    table = table.drop_columns([n for n in table.column_names if table[n].null_count == table.num_rows])
    _refuse_odd_columns(table)
    numbers = np.arange(before + 1, before + table.num_rows + 1, dtype=np.int64)
    return table.append_column(LINE, pa.array(numbers))


def _refuse_odd_columns(table: pa.Table) -> None:
    """Nested values lose what is absent and what is null; Arrow takes some texts for times."""
    for name in table.column_names:
        kind = table.schema.field(name).type
        if pa.types.is_floating(kind):
            if pc.all(pc.is_finite(table[name])).as_py() is False:
                raise NotPlainError
        elif not (pa.types.is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_integer(kind)):
            raise NotPlainError


def _explicit_schema() -> pa.Schema:
    kinds = {"VARCHAR": pa.string(), "DOUBLE": pa.float64()}
    return pa.schema([(name, kinds[kind]) for name, kind in FIELDS.items()])


def careful(path: Path, problems: list[Problem]) -> Iterator[pa.Table]:
    """The same rows by way of Python's json, one line or object at a time."""
    yield from batched(_rows(path, problems), table_of)


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows of plain values as a table; a column of mixed types becomes text, nested values JSON text."""
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


def _rows(path: Path, problems: list[Problem]) -> Iterator[dict[str, Any]]:
    """Every row that can be read, with its line."""
    head: list[json_text.Line] = []
    found = json_text.lines(path, problems)
    for line in found:
        head.append(line)
        if len(head) == _HEAD:
            break
    if json_text.is_document([raw for _, raw, _ in head]):
        yield from _document(path, problems)
        return
    for number, raw, complete in itertools.chain(head, found):
        row = _row(path.name, number, raw, complete, problems)
        if row is not None:
            yield {**row, LINE: number}


def _document(path: Path, problems: list[Problem]) -> Iterator[dict[str, Any]]:
    again: list[Problem] = []
    data = bytearray()
    for chunk in json_text.chunks(path, again):
        data += chunk
        if len(data) > json_text.DOCUMENT_LIMIT:
            raise WorkbenchError(
                "a JSON document of more than 1 GiB", where=str(path), hint="Write one object a line (JSONL)."
            )
    text = data.decode("utf-8", "surrogateescape")
    repeated: list[str] = []

    def hook(pairs: list[tuple[str, Any]]) -> Any:
        return _object(pairs, repeated)

    for number, value in json_text.objects(text, path.name, hook, problems):
        row = _checked(value, repeated, _teller(path.name, number, problems))
        repeated.clear()
        if row is not None:
            yield {**row, LINE: number}


Teller = Callable[..., None]


def _teller(file: str, number: int, problems: list[Problem]) -> Teller:
    def bad(what: str, hint: str, field: str = "") -> None:
        problems.append(Problem(file, what, hint, number, field))

    return bad


def _row(
    file: str, number: int, raw: bytes, complete: bool, problems: list[Problem]
) -> dict[str, Any] | None:
    bad = _teller(file, number, problems)
    if len(raw) > LINE_LIMIT:
        bad(f"the line is longer than {LINE_LIMIT:,} bytes", "One utterance per line; is the file cut right?")
        return None
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
        what = "the last line is cut off" if not complete else f"not JSON ({json_text.reason(error)})"
        bad(what, "One JSON object per line.")
        return None
    return _checked(value, repeated, bad)


def checked(value: Any, file: str, line: int, problems: list[Problem]) -> dict[str, Any] | None:
    """One row of values as JSON has them, put right where that is plain; None where it was named instead."""
    return _checked(value, [], _teller(file, line, problems))


def _checked(value: Any, repeated: list[str], bad: Teller) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        bad("not a JSON object", "One JSON object per line.")
        return None
    if repeated:
        bad("duplicate key", "Keep one; which is meant cannot be known.", repeated[0][:60])
        return None
    if "" in value:
        value = {name or "unnamed": item for name, item in value.items()}
    row: dict[str, Any] = value
    for name, item in row.items():
        fault = _fault(name, item)
        if fault is not None:
            bad(*fault, "" if _unwritable(name) else name[:60])
            return None
        if isinstance(item, list) and name in _PATHS and len(item) == 1:
            row = {**row, name: item[0]}
    return row


def _fault(name: str, item: Any) -> tuple[str, str] | None:
    """What is wrong with one field, and the hint; None where nothing is."""
    if _unwritable(name):
        return "a key holds a NUL character or an unpaired surrogate", "Remove it."
    if isinstance(item, float) and not math.isfinite(item):
        return "not a finite number", "Write a number or leave the field out."
    if isinstance(item, str) and _unwritable(item):
        return "holds a NUL character or an unpaired surrogate", "Remove it."
    if isinstance(item, int) and abs(item) >= 2**63:
        return "the number is too large", "Write it as text."
    if isinstance(item, list) and name in _PATHS and (len(item) != 1 or not isinstance(item[0], str)):
        return (
            f"a list of {len(item)} recordings",
            "One recording a row; for one channel use channel_selector.",
        )
    if isinstance(item, list) and name in _TEXTS:
        return "the transcript is a list", "Write one text a row."
    if isinstance(item, list | dict) and name in _SCALARS:
        return "not a number", "Write seconds."
    return None


def _unwritable(text: str) -> bool:
    return "\0" in text or any("\ud800" <= c <= "\udfff" for c in text)


def _object(pairs: list[tuple[str, Any]], repeated: list[str]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        repeated += [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
    return made
