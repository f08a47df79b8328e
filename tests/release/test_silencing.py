"""Silence over one person's seconds: the others' samples stay as they are, in every lossless form."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from workbench.errors import WorkbenchError
from workbench.ingest import audio
from workbench.privacy.silencing import Silenced, can_silence, silence

RATE = 8_000
FORMS = [
    ("a.wav", "PCM_16"), ("a.wav", "PCM_24"), ("a.wav", "PCM_U8"), ("a.wav", "FLOAT"), ("a.wav", "ALAW"),
    ("a.wav", "ULAW"), ("x.wav", "PCM_24"), ("a.flac", "PCM_16"), ("a.flac", "PCM_24"), ("streamed.wav", ""),
]  # fmt: skip


def _written(folder: Path, name: str, subtype: str) -> Path:
    rng = np.random.default_rng(3)
    samples = rng.uniform(-0.9, 0.9, (2 * RATE, 2)).astype(np.float32)
    path = folder / name
    if name == "streamed.wav":
        soundfile.write(folder / "s.wav", samples, RATE)
        with path.open("wb") as stream:
            command = ["ffmpeg", "-v", "error", "-i", str(folder / "s.wav"), "-f", "wav", "-"]
            subprocess.run(command, stdout=stream, check=True)
    else:
        form = "WAVEX" if name == "x.wav" else None
        soundfile.write(path, samples, RATE, subtype=subtype, format=form)
    return path


@pytest.mark.parametrize(("name", "subtype"), FORMS)
def test_one_channel_for_a_while_and_nothing_else(name: str, subtype: str, tmp_path: Path) -> None:
    path = _written(tmp_path, name, subtype)
    before, _ = audio.read(path)
    assert can_silence(path)
    for _ in range(2):
        silence(path, [Silenced(0.25, 0.5, (1,)), Silenced(1.75, None), Silenced(9.0, 1.0)])
    after, _ = audio.read(path)
    expected = before.copy()
    expected[RATE // 4 : 3 * RATE // 4, 1] = 0
    expected[7 * RATE // 4 :] = 0
    np.testing.assert_allclose(after, expected, atol=3e-4 if subtype in ("ALAW", "ULAW") else 0)


def test_what_would_lose_by_it_is_left(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.ogg", np.zeros(RATE), RATE)
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE), RATE, subtype="IMA_ADPCM")
    (tmp_path / "none.wav").write_bytes(b"")
    for name in ("a.ogg", "a.wav", "none.wav"):
        assert not can_silence(tmp_path / name)
        with pytest.raises(WorkbenchError, match="without loss"):
            silence(tmp_path / name, [Silenced(0.0, 1.0)])
    assert not can_silence(tmp_path / "missing.wav")
