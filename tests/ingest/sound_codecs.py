"""Files of every codec, and readers of every part of the workbench, for the tests of the one audio reader."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

CODECS: dict[str, tuple[str, ...]] = {
    "pcm16.wav": ("-c:a", "pcm_s16le"), "pcm24.wav": ("-c:a", "pcm_s24le"),
    "float.wav": ("-c:a", "pcm_f32le"),
    "alaw.wav": ("-c:a", "pcm_alaw"), "gsm.wav": ("-c:a", "libgsm_ms", "-ar", "8000", "-ac", "1"),
    "adpcm.wav": ("-c:a", "adpcm_ima_wav"), "streamed.wav": ("-c:a", "pcm_s16le"), "x.flac": (),
    "x.mp3": ("-b:a", "48k"), "vbr.mp3": ("-q:a", "6", "-write_xing", "0"), "joined.mp3": ("-b:a", "48k"),
    "vorbis.ogg": ("-c:a", "libvorbis"), "x.opus": ("-c:a", "libopus"), "chained.ogg": ("-c:a", "libvorbis"),
    "chained.opus": ("-c:a", "libopus"), "x.m4a": ("-c:a", "aac"), "x.aac": ("-c:a", "aac"),
    "x.mp4": ("-c:a", "aac"), "x.webm": ("-c:a", "libopus"), "x.wma": ("-c:a", "wmav2"), "x.caf": (),
    "x.w64": (), "x.aiff": (), "x.au": (), "x.g722": ("-ar", "16000", "-ac", "1"),
    "x.gsm": ("-ar", "8000", "-ac", "1"),
}  # fmt: skip
"""Name → arguments of ffmpeg."""
MONO = ("gsm.wav", "x.g722", "x.gsm")


def speech(seconds: float, rate: int, channels: int, seed: int = 0) -> np.ndarray[Any, Any]:
    """Noise of rising and falling level, another for each channel, float32 (frames, channels)."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate))[:, None] / rate
    pitch = 180 + 90 * np.arange(channels)
    wave = np.sin(2 * np.pi * pitch * time * (1 + 0.1 * np.sin(3 * time)))
    made = 0.25 * wave * np.abs(np.sin(2 * np.pi * 1.3 * time)) + 0.01 * rng.standard_normal(wave.shape)
    return made.astype(np.float32)


def encode(folder: Path, name: str, seconds: float, rate: int, channels: int, seed: int = 0) -> Path:
    """A file of a codec; what is joined or chained is two halves one behind the other."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    halves = name.startswith(("joined", "chained"))
    parts = []
    for number in range(2 if halves else 1):
        source = folder / f"source-{number}.wav"
        soundfile.write(source, speech(seconds / (2 if halves else 1), rate, channels, seed + number), rate)
        made = folder / f"part-{number}{target.suffix}"
        command = ["ffmpeg", "-v", "error", "-y", "-i", str(source), *CODECS[name]]
        if name == "streamed.wav":
            with made.open("wb") as stream:
                subprocess.run([*command, "-f", "wav", "-"], stdout=stream, check=True)
        else:
            subprocess.run([*command, str(made)], check=True)
        parts.append(made.read_bytes())
    target.write_bytes(b"".join(parts))
    for path in folder.glob("part-*"):
        path.unlink()
    return target


def ffmpeg_frames(path: Path, rate: int) -> int:
    """Frames that ffmpeg decodes, at a rate."""
    command = [
        "ffmpeg",
        "-nostdin",
        "-v",
        "quiet",
        "-i",
        str(path),
        "-ac",
        "1",
        "-ar",
        str(rate),
        "-f",
        "s16le",
        "-",
    ]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    return len(done.stdout) // 2
