"""Scan, transcription and a live session hear the same, here and on a cluster: channels, offsets, codecs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from workbench.corpus.importing import import_source
from workbench.corpus.quality import signal
from workbench.corpus.query.table import Corpus
from workbench.ingest.audio import read_row
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.transcribe import transcribe
from workbench.starter_files import CHECKPOINT, MANIFEST

FORMS = [
    ("call.wav", "PCM_16"),
    ("call.flac", "PCM_16"),
    ("call.opus", "OPUS"),
    ("call.mp3", "MPEG_LAYER_III"),
]


def calls(folder: Path) -> Corpus:
    """Two speakers on the two channels of a call, in four codecs, from two roots; whole and from 0.4 s."""
    rows = [json.loads(line) for line in MANIFEST.read_text("utf-8").splitlines()]
    some = [row for row in rows if row["target_lang"] == "es-US" and 1.2 < row["duration"] < 2.5][:2]
    voices = [read_row(row, [str(MANIFEST.parent)], 16_000)[0] for row in some]
    count = min(map(len, voices))
    both = np.stack([voice[:count] for voice in voices], axis=1)
    near, far = folder / "near", folder / "far"
    lines = []
    for number, (name, subtype) in enumerate(FORMS):
        root = (near, far)[number % 2]
        root.mkdir(exist_ok=True, parents=True)
        form = "OGG" if subtype == "OPUS" else None
        soundfile.write(root / name, both, 16_000, subtype=subtype, format=form)
        for channel in (0, 1):
            for offset in (0.0, 0.4):
                line = {"id": f"{name}-{channel}-{offset}", "audio_filepath": str(root / name)}
                line |= {"offset": offset, "duration": round(count / 16_000 - offset, 4), "text": "x"}
                lines.append({**line, "channel_selector": channel, "target_lang": "es-US"})
    manifest = near / "m.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return import_source(manifest, folder / "c", name="c", audio_roots=[near, far])


@pytest.mark.model
def test_a_cluster_and_a_session_hear_what_this_machine_hears(cluster: Any, tmp_path: Path) -> None:
    here, there = calls(tmp_path / "one"), calls(tmp_path / "two")
    assert not here.problems
    signal.scan(here)
    signal.scan(there, engine="ray")
    columns = ["id", "rms_dbfs", "peak_dbfs", "duration_s", "error", "fingerprint"]
    tables = [pq.read_table(c.folder / "signal.parquet", columns=columns).to_pylist() for c in (here, there)]
    assert tables[0] == tables[1]
    assert not any(row["error"] for row in tables[0])

    checkpoint = Checkpoint.open(CHECKPOINT)
    rows = here.frame().to_dict("records")
    options: dict[str, Any] = {"lookahead_ms": 560, "streaming": True, "batch_s": 8.0}
    paths = [
        transcribe(
            checkpoint, rows, here.audio_roots, tmp_path / f"{engine}.parquet", engine=engine, **options
        )
        for engine in ("local", "ray")
    ]
    said = [{r["id"]: r["hypothesis"] for r in pq.read_table(path).to_pylist()} for path in paths]
    assert said[0] == said[1]
    for id in ("call.wav-0-0.0", "call.flac-1-0.4", "call.opus-1-0.0"):
        session = checkpoint.session(locale="es-US", lookahead_ms=560)
        pcm, rate = read_row(here.row(id), here.audio_roots)
        for at in range(0, len(pcm), 1_600):
            session.feed(pcm[at : at + 1_600], rate)
        session.finish()
        assert session.final_transcript == said[0][id], id
    assert said[0]["call.wav-0-0.0"] == said[0]["call.flac-0-0.0"]
    assert said[0]["call.wav-0-0.0"] != said[0]["call.wav-1-0.0"]
