"""A workspace with speech: calls, their segments and drafts, clips with transcripts, a suite, the starter."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile

from workbench.api import Workspace
from workbench.ingest.audio import read_row
from workbench.starter_files import CHECKPOINT, MANIFEST

RATE = 16_000


def spoken_workspace(path: Path) -> Workspace:
    """All of it below ``path``, its recordings too."""
    rows = [json.loads(line) for line in MANIFEST.read_text("utf-8").splitlines()]
    some = [row for row in rows if row["target_lang"] == "es-US" and 1.5 < row["duration"] < 3][:60]
    clips = [read_row(row, [str(MANIFEST.parent)], RATE)[0] for row in some]
    ws = Workspace(path)
    ws.add_checkpoint("starter", CHECKPOINT)

    folder = path / "recordings"
    folder.mkdir()
    pause, lines = np.zeros(RATE, np.float32), []
    for call in range(2):
        parts = [part for clip in clips[4 * call : 4 * call + 4] for part in (pause, clip)]
        soundfile.write(folder / f"call-{call}.wav", np.concatenate([*parts, pause]), RATE)
        lines.append({"id": f"call-{call}", "audio_filepath": f"call-{call}.wav", "text": ""})
    calls = ws.import_corpus("calls", _manifest(folder / "calls.jsonl", lines), locale="es-US")
    segments = ws.segment(calls, "segments")
    drafts = ws.draft(segments, "starter")
    for id in segments.ids()[:2]:
        drafts.correct(id, "Gracias por llamar.", seconds=1.0, reviewer="ana")

    lines = []
    for row, clip in zip(some, clips, strict=True):
        name = f"{'ab'[len(lines) % 2]}-{len(lines)}"
        soundfile.write(folder / f"{name}.wav", clip, RATE)
        lines.append({"id": name, "audio_filepath": f"{name}.wav", "text": row["text"], "split": "test"})
    spoken = ws.import_corpus("spoken", _manifest(folder / "spoken.jsonl", lines), locale="es-US")
    spoken.accept()
    ws.transcribe(spoken, "starter", "said")
    ws.suite("pilot").create(spoken.where("id < 'a-2'"))
    return ws


def _manifest(path: Path, lines: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path
