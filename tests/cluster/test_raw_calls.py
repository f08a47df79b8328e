"""From calls to copies on a cluster whose workers are killed: segments, drafts, alignments as here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import local_cluster
import numpy as np
import pandas as pd
import pytest
import soundfile

import workbench as wb
from workbench.ingest.audio import read_row
from workbench.starter_files import CHECKPOINT, MANIFEST

RATE = 8_000


def calls(folder: Path) -> Path:
    """Three calls of two channels and a file that is none; a manifest without a word of transcript."""
    rows = [json.loads(line) for line in MANIFEST.read_text("utf-8").splitlines()]
    some = [row for row in rows if row["target_lang"] == "es-US" and 1.5 < row["duration"] < 3][:12]
    folder.mkdir()
    noise, lines = np.random.default_rng(2), []
    for call in range(3):
        clips = [read_row(row, [str(MANIFEST.parent)], RATE)[0] for row in some[4 * call : 4 * call + 4]]
        total = sum(len(clip) + RATE for clip in clips) + RATE
        sound, at = 2e-4 * noise.standard_normal((total, 2)).astype(np.float32), RATE
        for number, clip in enumerate(clips):
            sound[at : at + len(clip), number % 2] += clip
            at += len(clip) + RATE
        soundfile.write(folder / f"{call}.wav", sound, RATE)
        lines.append({"id": f"{call}", "audio_filepath": f"{call}.wav", "target_lang": "es-US", "text": ""})
    (folder / "3.wav").write_bytes(b"RIFF no sound")
    lines.append({"id": "3", "audio_filepath": "3.wav", "target_lang": "es-US", "text": ""})
    manifest = folder / "m.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return manifest


def rows_of(corpus: Any) -> list[str]:
    """The rows as text, without the times of decisions."""
    frame = corpus.frame().sort_values("id").drop(columns=["decided_at"], errors="ignore")
    return [json.dumps(row, default=list, sort_keys=True) for row in frame.to_dict("records")]


@pytest.mark.model
def test_calls_are_cut_drafted_aligned_and_bleeped_on_a_cluster_as_here(cluster: Any, tmp_path: Path) -> None:
    manifest = calls(tmp_path / "calls")
    made: dict[str, dict[str, Any]] = {}
    killed = 0

    def killing(done: int, total: int) -> None:
        nonlocal killed
        if 0 < done < total and killed < 1:
            killed += sum(
                local_cluster.kill(process, name)
                for name in ("find_segments", "decode_shard")
                for process in local_cluster.workers(name)
            )

    for engine in ("local", "ray"):
        ws = wb.Workspace(tmp_path / engine)
        ws.add_checkpoint("starter", CHECKPOINT)
        corpus = ws.import_corpus("calls", manifest)
        segments = ws.segment(corpus, "segments", engine=engine, progress=killing)
        drafts = ws.draft(segments, "starter", engine=engine, progress=killing)
        words = segments.prediction("draft").sort_values("id").drop(columns=["compute_s"])
        # What was drafted of a call, as if it were its transcript, laid onto each segment.
        for id in segments.ids()[:3]:
            drafts.correct(id, "Gracias por llamar.", seconds=1.0, reviewer="ana")
        few = ws.corpus("segments").where("status = 'accepted'")
        aligned = ws.align(few, "aligned", "draft", engine=engine)
        bleeped = ws.bleep(few, "bleeped", "draft", ["Llamar"], engine=engine)
        made[engine] = {
            "segments": rows_of(segments), "problems": [str(one) for one in segments.problems],
            "drafts": words, "queue": str(drafts.queue().to_dict("records")), "aligned": rows_of(aligned),
            "bleeped": rows_of(bleeped),
            "sound": [bleeped.audio(id, RATE).tolist() for id in sorted(bleeped.ids())],
        }  # fmt: skip
    assert killed
    here, there = made["local"], made["ray"]
    assert len(here["segments"]) >= 10
    assert any("3" in problem for problem in here["problems"])
    assert here["segments"] == there["segments"]
    assert here["problems"] == there["problems"]
    pd.testing.assert_frame_equal(
        here["drafts"].reset_index(drop=True), there["drafts"].reset_index(drop=True)
    )
    assert here["queue"] == there["queue"]
    assert here["aligned"] == there["aligned"]
    assert len(here["aligned"]) >= 3
    assert here["bleeped"] == there["bleeped"]
    assert here["sound"] == there["sound"]
    assert any(json.loads(row)["bleeps"] for row in here["bleeped"])
