"""Taking traces away: rows, lines, files and seconds of audio. Every step is atomic and may run twice."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import pyarrow.parquet as pq

from workbench.corpus import record
from workbench.corpus.review.decisions import DecisionStore
from workbench.files import digest_path, replacing, sync
from workbench.ingest.audio import channel_of
from workbench.privacy.erasure_request import SHORTEST_NAME, Target, Trace
from workbench.privacy.silencing import Silenced, silence
from workbench.privacy.trace_scan import corpus_of, line_matches, parquet_keep

ERASED = ".erased"
"""How the name of a folder ends that is being deleted."""


def remove(trace: Trace, target: Target) -> None:
    """Do what a trace's action says."""
    if trace.action == "delete":
        _delete(trace.path)
    elif trace.action == "drop rows":
        _drop_rows(trace.path, target)
    elif trace.action == "drop lines":
        _drop_lines(trace.path, target)
    elif trace.action == "erase decisions":
        _erase_decisions(trace.path, target)
    elif trace.action == "silence":
        _silence(trace.path, target)


def shred(path: Path) -> None:
    """Overwrite a small file, then remove it. Below a copying or logging file system this is best effort."""
    with path.open("r+b") as stream:
        stream.write(b"\0" * path.stat().st_size)
        stream.flush()
        os.fsync(stream.fileno())
    path.unlink()
    sync(path.parent)


def _delete(path: Path) -> None:
    if path.is_dir():
        # Renamed first: a half-deleted export must not be taken for a whole one.
        gone = path.with_name(f".{path.name}{ERASED}")
        if path.exists():
            os.replace(path, gone)
        shutil.rmtree(gone, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
        digest_path(path).unlink(missing_ok=True)
    sync(path.parent)


def _drop_rows(path: Path, target: Target) -> None:
    if path.name == record.ROWS and (path.parent / record.NAME).exists():
        # Alone: a take that is spoken meanwhile is another change of the same rows.
        with record.alone_with(path.parent):
            record.replace_rows(path.parent, parquet_keep(path, target))
        return
    kept = parquet_keep(path, target)
    with replacing(path) as draft:
        pq.write_table(kept, draft, write_page_checksum=True)


def _drop_lines(path: Path, target: Target) -> None:
    corpus = corpus_of(path)
    with replacing(path) as draft, draft.open("wb") as out:
        for line in path.open("rb"):
            if not line_matches(line, target, corpus):
                out.write(line)
        out.flush()


def _erase_decisions(path: Path, target: Target) -> None:
    """Decisions on the utterances, and free text of others' decisions that names them."""
    named = {n for n in target.names if len(n) >= SHORTEST_NAME} | target.long_texts
    store = DecisionStore(path)
    store.erase(target.ids_of(corpus_of(path)), texts=named)
    store.close()
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    try:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


def _silence(path: Path, target: Target) -> None:
    """Zero the seconds of the utterances in a recording that others speak in too: as the source has them, and
    as a reviewer moved them."""
    parts = []
    for clip in target.clips:
        if Path(str(clip["audio_filepath"])).name == path.name:
            channels = channel_of(clip)
            for offset, duration in clip["stretches"]:
                parts.append(Silenced(offset, duration, channels))
    silence(path, parts)
