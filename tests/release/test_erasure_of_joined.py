"""An erasure reaches clips that were made by joining others."""

import json

import numpy as np
import pytest
import soundfile

import workbench as wb

RATE = 16_000
VOICES = [("maria", "es-ES", "Buenos días a todos."), ("tom", "en-US", "Good morning to you."),
          ("ivo", "bg-BG", "Добро утро на всички.")]  # fmt: skip


@pytest.fixture
def ws(tmp_path):
    lines = []
    for speaker, tag, text in VOICES:
        for take in range(2):
            name = f"{speaker}{take}.wav"
            tone = 0.1 * np.sin(np.arange(RATE) * (0.1 + take))
            soundfile.write(tmp_path / name, tone.astype(np.float32), RATE)
            lines.append({"id": f"{speaker} clip {take}", "audio_filepath": name, "duration": 1.0,
                          "text": f"{text} {take}", "target_lang": tag, "lang": tag, "speaker": speaker,
                          "split": "test"})  # fmt: skip
    source = tmp_path / "calls.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    made = wb.Workspace(tmp_path / "ws")
    made.import_corpus("calls", source)
    made.mixed_speech("mixed", made.corpus("calls"), clips=12, seed=3)
    return made


@pytest.mark.parametrize("removed", [False, True])
def test_a_speakers_erasure_takes_the_joined_clips(ws, removed):
    """Also where the clips that they were made of have gone already."""
    rows = ws.corpus("mixed").table(["id", "speaker", "audio_filepath"]).to_pylist()
    hers = {row["id"] for row in rows if "maria" in row["speaker"].split("+")}
    assert hers
    assert len(hers) < len(rows)
    if removed:
        ws.remove_corpus("calls")
    wb.erase(ws, wb.plan_erasure(ws, speaker="maria"))
    left = ws.corpus("mixed").table(["id", "audio_filepath"]).to_pylist()
    assert {row["id"] for row in left} == {row["id"] for row in rows} - hers
    sounds = {path.name for path in (ws.path / "joined").rglob("*.wav")}
    assert sounds == {row["audio_filepath"].rpartition("/")[2] for row in left}
    manifest = next((ws.path / "joined").rglob("manifest.jsonl")).read_text("utf-8")
    assert "maria" not in manifest
    assert "tom" in manifest


def test_a_recordings_erasure_takes_the_joined_clips(ws):
    rows = ws.corpus("mixed").table(["id", "joined_from"]).to_pylist()
    of_it = {row["id"] for row in rows if "tom clip 1" in row["joined_from"]}
    assert of_it
    wb.erase(ws, wb.plan_erasure(ws, recording="tom1.wav"))
    assert {row["id"] for row in ws.corpus("mixed").table(["id"]).to_pylist()} == {
        r["id"] for r in rows
    } - of_it
