"""The Parquet of predictions: its schema, its shards while a transcription runs, and how it is put together.

Shards lie in ``NAME.parts/`` beside ``NAME.parquet``; each is written atomically and holds whole rows, so a
killed transcription goes on where it stopped. The folder belongs to one job, named by a digest over the
checkpoint, the settings and the rows; another job starts anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.files import digest_fault, replacing, write_atomic
from workbench.ingest.audio import CHANNEL_COLUMNS
from workbench.ingest.schema import PREDICTION_SCHEMA

SCHEMA_VERSION = PREDICTION_SCHEMA
_JOB = b"workbench.job"
_OF_JOB = ("id", "audio_filepath", "offset", "duration", *CHANNEL_COLUMNS, "target_lang", "audio_sha256")


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What made the prediction. ``lookahead_ms`` None: offline with the checkpoint's default context;
    ``runtime``: what ran the network; ``precision``: what it ran in, never ``auto``."""

    checkpoint_sha256: str
    lookahead_ms: int | None
    prompt_mode: str
    streaming: bool
    runtime: str = "torch"
    precision: str = "fp32"


def schema() -> Any:
    times = [("start", pa.float64()), ("end", pa.float64())]
    word = pa.struct([("word", pa.string()), *times, ("confidence", pa.float32()), ("glued", pa.bool_())])
    span = pa.struct([("lang", pa.string()), ("start_word", pa.int32()), ("end_word", pa.int32()), *times])
    return pa.schema(
        [
            ("id", pa.string()),
            ("hypothesis", pa.string()),
            ("detected_lang", pa.string()),
            ("confidence", pa.float32()),
            ("words", pa.list_(word)),
            ("spans", pa.list_(span)),
            ("compute_s", pa.float32()),
            ("checkpoint_sha256", pa.string()),
            ("lookahead_ms", pa.int32()),
            ("prompt_mode", pa.string()),
            ("streaming", pa.bool_()),
            ("runtime", pa.string()),
            ("precision", pa.string()),
            ("audio_sha256", pa.string()),
            ("schema_version", pa.int32()),
        ]
    )


def job_digest(facts: RunFacts, rows: Iterable[Mapping[str, Any]]) -> str:
    """What must be the same for shards, or a finished file, to be used again."""
    digest = hashlib.sha256(repr((SCHEMA_VERSION, facts)).encode())
    for row in rows:
        key = [row.get(name) for name in _OF_JOB]
        digest.update(json.dumps(key, default=str).encode())
    return digest.hexdigest()


class Shards:
    """Collects the rows of one job and puts them together in the order of the job's rows."""

    def __init__(self, out: Path, facts: RunFacts, job: str) -> None:
        self.out, self.facts, self.job = out, facts, job
        self.folder = out.with_suffix(".parts")
        self._pending: list[dict[str, Any]] = []

    def finished(self) -> bool:
        """Whether the file is there and was made by this very job."""
        if not self.out.is_file() or digest_fault(self.out):
            return False
        return (pq.read_schema(self.out).metadata or {}).get(_JOB) == self.job.encode()

    def resume(self) -> set[str]:
        """Ids already done; shards of another job are removed."""
        mark = self.folder / "job"
        if not mark.is_file() or mark.read_text("ascii") != self.job:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True, mode=0o700)
            write_atomic(mark, self.job)
        done: set[str] = set()
        for shard in self._files():
            done.update(pq.read_table(shard, columns=["id"])["id"].to_pylist())
        return done

    def add(self, row: dict[str, Any]) -> None:
        self._pending.append(row)

    def flush(self) -> None:
        """Write what was added as one shard."""
        if self._pending:
            number = len(self._files())
            self._write(self.folder / f"part-{number:06d}.parquet", self._table(self._pending))
            self._pending = []

    def finish(self, order: Mapping[str, int]) -> Path:
        """Join the shards into ``out``, sorted by ``order``; the shards are removed."""
        self.flush()
        tables = [pq.read_table(shard, schema=schema()) for shard in self._files()]
        table = pa.concat_tables(tables) if tables else schema().empty_table()
        positions = [order[i] for i in table["id"].to_pylist()]
        ordered = sorted(range(len(positions)), key=positions.__getitem__)
        table = table.take(pa.array(ordered, pa.int64()))  # of no rows too, where every one failed
        self._write(self.out, table.replace_schema_metadata({_JOB: self.job.encode()}))
        shutil.rmtree(self.folder, ignore_errors=True)
        return self.out

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.parquet"))

    def _table(self, rows: list[dict[str, Any]]) -> Any:
        facts = {
            "checkpoint_sha256": self.facts.checkpoint_sha256,
            "lookahead_ms": self.facts.lookahead_ms,
            "prompt_mode": self.facts.prompt_mode,
            "streaming": self.facts.streaming,
            "runtime": self.facts.runtime,
            "precision": self.facts.precision,
            "schema_version": SCHEMA_VERSION,
        }
        return pa.Table.from_pylist([{**row, **facts} for row in rows], schema=schema())

    def _write(self, path: Path, table: Any) -> None:
        with replacing(path, digest=path == self.out) as draft:
            pq.write_table(table, draft, compression="zstd", write_page_checksum=True)


def write_problems(path: Path, problems: Iterable[Mapping[str, Any]]) -> None:
    """One JSON line per row that was left out; the file is removed where there is none."""
    lines = [json.dumps(problem, ensure_ascii=False) for problem in problems]
    if lines:
        write_atomic(path, "\n".join(lines) + "\n")
    else:
        path.unlink(missing_ok=True)
