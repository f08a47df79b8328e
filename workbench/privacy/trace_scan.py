"""Looking into the files of a workspace for traces of a target, whatever room wrote them.

Tables and JSON lines are matched row by row, other text files on the target's strings; an export counts as a
whole, because a digest covers it; so does the draft of a write that was cut off.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.corpus.record import NAME
from workbench.corpus.review.decisions import DecisionStore
from workbench.ingest.row_validation import numbered
from workbench.locks import is_held
from workbench.privacy.erasure_request import Target, Trace
from workbench.workspace.folder import WorkspaceFolder

ABANDONED_S = 3600.0
"""A draft untouched for so long belongs to no living write."""
_BINARY = frozenset({".nemo", ".ckpt", ".wav", ".flac", ".ogg", ".opus", ".mp3", ".lock", ".key"})
_SKIPPED = frozenset(
    {"erasures", "slots", "keys", "store", "ledger.sqlite", "ledger.sqlite-journal", "roles"}
)


def look_into(ws: WorkspaceFolder, path: Path, target: Target) -> Trace | None:
    """The trace that a file holds, and what is to be done with it; None where it holds none."""
    where = _room(ws, path)
    if path.name.startswith(".") and path.suffix == ".part":
        if _imported_now(ws, path):
            return None
        return Trace(where, path, "delete", why="the draft of a write") if _held(path, target) else None
    if path.suffix in _BINARY:
        return None
    if path.suffix == ".parquet":
        count = sum(_parquet_matches(path, target))
        return Trace(where, path, "drop rows", count) if count else None
    if path.suffix == ".sqlite":
        named = _decided_on(path, target) or _touches(path, target)
        return Trace(where, path, "erase decisions") if named else None
    if path.suffix in (".sqlite-wal", ".sqlite-shm"):
        return None  # emptied with their database
    if path.suffix == ".jsonl":
        count = sum(1 for line in _lines(path) if line_matches(line, target, corpus_of(path)))
        return Trace(where, path, "drop lines", count) if count else None
    if not _touches(path, target):
        return None
    if path.suffix == ".log":
        count = sum(1 for line in _lines(path) if line_matches(line, target, corpus_of(path)))
        return Trace(where, path, "drop lines", count)
    if path.name in ("source.json", "recipe.yaml", "workspace.toml", "job.json", "provenance.json"):
        return Trace(where, path, "leave", why="a setting that names it; change it by hand")
    return Trace(where, path, "delete")


def parquet_keep(path: Path, target: Target) -> Any:
    """The table without the rows that match, its schema and metadata kept."""
    table = pq.read_table(path)
    if path.name == "utterances.parquet":
        table = numbered(table)  # the lines of the source keep their numbers
    return table.filter(pa.array([not match for match in _parquet_matches(path, target)], pa.bool_()))


def corpus_of(path: Path) -> str | None:
    """The corpus whose folder a file lies in; ids mean something within their corpus only."""
    return next((folder.name for folder in path.parents if folder.parent.name == "corpora"), None)


def _parquet_matches(path: Path, target: Target) -> list[bool]:
    schema = pq.read_schema(path)
    texts = [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
    if not texts:
        return [False] * pq.read_metadata(path).num_rows
    table = pq.read_table(path, columns=texts)
    named = target.names | target.long_texts
    ids = target.ids_of(corpus_of(path))
    found = [False] * table.num_rows
    for name in texts:
        wanted = ids | named if name == "id" else named
        for i, value in enumerate(table[name].to_pylist()):
            found[i] = found[i] or value in wanted
    return found


def line_matches(line: bytes, target: Target, corpus: str | None) -> bool:
    """Whether a line holds a trace: a JSON record that matches, or any of the strings."""
    if not line.strip():
        return False
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if isinstance(record, dict) and target.matches(record, corpus):
        return True
    return target.pattern.search(line) is not None


def _decided_on(path: Path, target: Target) -> bool:
    """Whether a file of decisions names any of the utterances; short ids cannot be searched for in bytes."""
    if path.name != "decisions.sqlite":
        return False

    store = DecisionStore(path)
    try:
        return any(store.history(clip) for clip in target.ids_of(corpus_of(path)))
    finally:
        store.close()


def _imported_now(ws: WorkspaceFolder, path: Path) -> bool:
    """Whether an import writes it, which holds its rows against what was erased before they are a corpus."""
    folder = path.parent
    return folder.parent == ws.corpora and not (folder / NAME).exists() and is_held(folder / "lock")


def _held(path: Path, target: Target) -> bool:
    """Whether a draft has to go: it holds the strings, is packed so that they cannot be seen, or was left
    behind by a write that was cut off."""
    with path.open("rb") as stream:
        packed = stream.read(4) == b"PAR1"
    return packed or time.time() - path.stat().st_mtime > ABANDONED_S or _touches(path, target)


def _touches(path: Path, target: Target) -> bool:
    data = path.read_bytes()
    wal = path.with_name(path.name + "-wal")
    data += wal.read_bytes() if wal.exists() else b""
    return target.pattern.search(data) is not None


def touched(folder: Path, target: Target) -> bool:
    """Whether any file of an export or bundle holds a trace."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix in _BINARY:
            continue
        if path.suffix == ".parquet" and any(_parquet_matches(path, target)):
            return True
        if path.suffix == ".gz":
            if target.pattern.search(gzip.decompress(path.read_bytes())):
                return True
        elif _touches(path, target):
            return True
    return False


def files_below(folder: Path) -> Iterator[Path]:
    """Every file that may hold traces, in order; links, locks, keys and the ledger are not followed."""
    for path in sorted(folder.iterdir()):
        if path.name in _SKIPPED or path.is_symlink():
            continue
        if path.is_dir():
            yield from files_below(path)
        else:
            yield path


def export_of(path: Path) -> Path | None:
    """The export or bundle that a file belongs to."""
    for folder in path.parents:
        if (folder / "export.json").exists() or (folder / "bundle.json").exists():
            return folder
    return None


def _room(ws: WorkspaceFolder, path: Path) -> str:
    parts = path.relative_to(ws.path).parts
    rooms = {"runs": "run", "reports": "report", "releases": "release", "checkpoints": "checkpoint"}
    if parts[0] == "corpora":
        return "predictions" if "predictions" in parts else "table" if path.suffix == ".parquet" else "corpus"
    return rooms.get(parts[0], "workspace")


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        yield from stream
