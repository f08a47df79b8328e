"""An erasure reaches what was made of a recording: segments, their drafts and references, bleeped copies."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

import workbench as wb
from workbench.ingest import audio
from workbench.starter_files import MANIFEST

RATE = 16_000


@pytest.fixture
def ws(tmp_path: Path) -> wb.Workspace:
    """Two calls of real speech: cut, drafted by an engine, corrected, bleeped."""
    rows = [json.loads(line) for line in MANIFEST.read_text("utf-8").splitlines()]
    clips = [row for row in rows if row["target_lang"] == "es-US" and 2 < row["duration"] < 4][:4]
    lines = []
    for n, speaker in enumerate(("maria", "tom")):
        quiet = np.zeros(RATE, np.float32)
        parts = [quiet]
        for clip in clips[2 * n : 2 * n + 2]:
            parts += [audio.read_row(clip, [str(MANIFEST.parent)], RATE)[0], quiet]
        soundfile.write(tmp_path / f"{speaker}.wav", np.concatenate(parts), RATE)
        lines.append({"id": f"call-{n}", "audio_filepath": f"{speaker}.wav", "text": None, "speaker": speaker,
                      "target_lang": "es-US"})  # fmt: skip
    (tmp_path / "calls.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    made = wb.Workspace(tmp_path / "ws")
    calls = made.import_corpus("calls", tmp_path / "calls.jsonl")
    segments = made.segment(calls, "segments", progress=lambda done, total: None)
    said = [
        {"id": row["id"], "hypothesis": f"soy {row['speaker']} hola", "confidence": 0.9,
         "words": [{"word": w, "start": 0.3 * n, "end": 0.3 * n + 0.2, "confidence": 0.9}
                   for n, w in enumerate(("soy", row["speaker"], "hola"))]}
        for row in segments.frame().to_dict("records")
    ]  # fmt: skip
    segments.predictions_folder.mkdir(exist_ok=True)
    pd.DataFrame(said).to_parquet(segments.predictions_folder / "draft.parquet")
    drafts = made.drafts(segments, "draft")
    for id in segments.ids():
        drafts.correct(id, f"soy {segments.row(id)['speaker']} y hablo", seconds=3, reviewer="ann")
    made.bleep(segments, "bleeped", "draft", ["maria", "tom"], progress=lambda done, total: None)
    return made


def traces(ws: wb.Workspace, word: str) -> list[str]:
    """Files below the corpora in which a word is found, as text or as Parquet."""
    found = []
    for path in sorted((ws.path / "corpora").rglob("*")):
        if path.suffix == ".parquet":
            held = pd.read_parquet(path).to_json(force_ascii=False)
        elif path.is_file() and path.suffix not in (".flac", ".wav"):
            held = path.read_bytes().decode("utf-8", "replace")
        else:
            continue
        if word in held:
            found.append(path.relative_to(ws.path).as_posix())
    return found


@pytest.mark.parametrize("by", ["speaker", "recording"])
def test_nothing_made_of_a_recording_is_left(ws: wb.Workspace, by: str) -> None:
    hers = {
        row["id"] for row in ws.corpus("segments").frame().to_dict("records") if row["speaker"] == "maria"
    }
    copies = {row["id"]: row["audio_filepath"] for row in ws.corpus("bleeped").frame().to_dict("records")}
    assert hers
    assert hers < set(copies)
    told = {"speaker": "maria"} if by == "speaker" else {"recording": "maria.wav"}
    wb.erase(ws, wb.plan_erasure(ws, **told))
    for name in ("segments", "bleeped"):
        left = ws.corpus(name)
        assert set(left.ids()) == set(copies) - hers
    assert set(ws.corpus("segments").prediction("draft")["id"]) == set(copies) - hers
    assert not any(ws.corpus("segments").decisions.history(id) for id in hers)
    sounds = {path.name for path in (ws.corpus_folder("bleeped") / "audio").iterdir()}
    assert sounds == {Path(copies[id]).name for id in set(copies) - hers}
    assert traces(ws, "maria") == []
    assert "tom" in str(ws.corpus("segments").frame()["speaker"].tolist())
