"""Taking traces away: rows, lines, files and seconds of audio. Every step is atomic and may run twice."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from workbench.files import replacing, sha256_file, sync, write_atomic
from workbench.locks import alone
from workbench.privacy.erasure_request import SHORTEST_NAME, Target, Trace
from workbench.privacy.trace_scan import corpus_of, line_matches, parquet_keep


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
        gone = path.with_name(f".{path.name}.erased")
        if path.exists():
            os.replace(path, gone)
        shutil.rmtree(gone, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    sync(path.parent)


def _drop_rows(path: Path, target: Target) -> None:
    import pyarrow.parquet as pq

    # Alone: a take that is spoken meanwhile is another change of the same rows.
    with alone(path.parent / "lock"):
        kept = parquet_keep(path, target)
        with replacing(path) as draft:
            pq.write_table(kept, draft)
        facts_path = path.parent / "source.json"
        if path.name == "utterances.parquet" and facts_path.exists():
            facts = json.loads(facts_path.read_text(encoding="utf-8"))
            facts["rows"], facts["utterances_sha256"] = kept.num_rows, sha256_file(path)
            write_atomic(facts_path, json.dumps(facts, ensure_ascii=False, indent=1) + "\n")


def _drop_lines(path: Path, target: Target) -> None:
    corpus = corpus_of(path)
    with replacing(path) as draft, draft.open("wb") as out:
        for line in path.open("rb"):
            if not line_matches(line, target, corpus):
                out.write(line)
        out.flush()


def _erase_decisions(path: Path, target: Target) -> None:
    """Decisions on the utterances, and free text of others' decisions that names them."""
    from workbench.corpus.review.decisions import DecisionStore

    store = DecisionStore(path)
    store.erase(target.ids_of(corpus_of(path)))
    store.close()
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    try:
        connection.execute("PRAGMA secure_delete = ON")
        named = {n for n in target.names if len(n) >= SHORTEST_NAME} | target.long_texts
        for column in ("value", "reason", "filter"):
            for text in named:
                sql = f"UPDATE events SET {column} = NULL WHERE instr({column}, ?) > 0"
                connection.execute(sql, (text,))
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


def _silence(path: Path, target: Target) -> None:
    """Zero the seconds of the utterances in a recording that others speak in too; lossless formats only."""
    import soundfile

    samples, rate = soundfile.read(path, dtype="int32", always_2d=True)
    info = soundfile.info(path)
    for clip in target.clips:
        if Path(str(clip["audio_filepath"])).name == path.name:
            begin = round(float(clip.get("offset") or 0) * rate)
            samples[begin : begin + _frames(clip, rate, len(samples))] = 0
    with replacing(path) as draft:
        soundfile.write(draft, samples, rate, subtype=info.subtype, format=info.format)


def _frames(clip: dict[str, Any], rate: int, everything: int) -> int:
    duration = clip.get("duration")
    return everything if duration is None else round(float(duration) * rate)
