"""Scans and transcriptions on a cluster whose workers are killed: the same files as here, byte for byte."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import local_cluster
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from workbench.corpus.importing import import_source
from workbench.corpus.quality import signal
from workbench.corpus.query.table import Corpus
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.transcribe import transcribe
from workbench.starter_files import CHECKPOINT, MANIFEST


def kill_workers(name: str) -> int:
    """Kill the workers of this process's cluster that run a function; how many."""
    return sum(local_cluster.kill(process, name) for process in local_cluster.workers(name))


def noise(folder: Path, count: int) -> Path:
    """Clips of noise, each of its own loudness and length; one is no audio."""
    rng = np.random.default_rng(1)
    lines = []
    for n in range(count):
        pcm = rng.normal(0, 0.01 + 0.2 * rng.random(), 4000 + 40 * n).clip(-1, 1)
        soundfile.write(folder / f"{n}.wav", pcm, 16000)
        lines.append({"audio_filepath": f"{n}.wav", "duration": len(pcm) / 16000, "text": "", "id": f"{n}"})
    (folder / "7.wav").write_bytes(b"no audio")
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return manifest


def test_a_scan_on_a_cluster_writes_what_a_scan_here_writes(cluster: Any, tmp_path: Path) -> None:
    manifest = noise(tmp_path, 700)
    here, there = (import_source(manifest, tmp_path / name, name=name) for name in ("here", "there"))
    signal.scan(here)
    killed = 0

    def progress(done: int, total: int) -> None:
        nonlocal killed
        killed += kill_workers("measure_rows") if 0 < done < total and killed < 2 else 0

    signal.scan(there, engine="ray", progress=progress)
    assert killed > 0
    found, wanted = ((c.folder / "signal.parquet").read_bytes() for c in (there, here))
    assert found == wanted
    assert len(pq.read_table(there.folder / "signal.parquet")) == 700


@pytest.mark.model
def test_a_transcription_on_a_cluster_writes_what_one_here_writes(
    cluster: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    corpus: Corpus = import_source(MANIFEST, tmp_path / "starter", name="starter")
    rows = (
        corpus.where("split = 'test' AND target_lang = 'es-US' AND duration < 3")
        .sample(9)
        .frame()
        .to_dict("records")
    )
    rows[5] = {**rows[5], "audio_filepath": "gone.ogg"}
    checkpoint = Checkpoint.open(CHECKPOINT)
    options: dict[str, Any] = {"lookahead_ms": 560, "batch_s": 4.0}
    killed = 0

    def progress(done: int, total: int) -> None:
        nonlocal killed
        if 0 < done < total and killed < 1:
            killed += kill_workers("decode_shard")

    with caplog.at_level(logging.WARNING):
        here = transcribe(checkpoint, rows, corpus.audio_root, tmp_path / "here.parquet", **options)
        there = transcribe(
            checkpoint, rows, corpus.audio_root, tmp_path / "there.parquet", engine="ray", progress=progress,
            **options,
        )  # fmt: skip
    assert killed > 0
    plain = [_without_time(path, tmp_path / f"{path.stem}.plain") for path in (here, there)]
    assert plain[0] == plain[1]
    problems = [path.with_suffix(".problems.jsonl").read_text() for path in (here, there)]
    assert problems[0] == problems[1]
    assert len(problems[0].splitlines()) == 1
    assert pq.read_metadata(there).num_rows == len(rows) - 1


def _without_time(path: Path, copy: Path) -> bytes:
    """The file without ``compute_s``, which is measured and never the same twice."""
    pq.write_table(pq.read_table(path).drop_columns(["compute_s"]), copy)
    return copy.read_bytes()
