"""Clips of the starter joined to a long recording whose truth is known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from workbench.ingest import audio
from workbench.starter_files import MANIFEST

RATE = 16_000


@dataclass(frozen=True)
class Stretch:
    """Words of the transcript, by number, and when they are said, in seconds: from first to last sound
    within 35 dB of the loudest. What was never said lasts no time."""

    first_word: int
    end_word: int
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Joined:
    """The recording's manifest of one row, its whole transcript, what was said in it and what was not."""

    manifest: Path
    text: str
    said: list[Stretch]
    never_said: list[Stretch]
    length_s: float


def join(folder: Path, *, locale: str, clips: int, seed: int, never_every: int = 6) -> Joined:
    """Test clips of a locale with pauses of 0.3 to 0.9 s; after every sixth the transcript holds a sentence
    of a training clip that nobody says."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    rows = [json.loads(line) for line in MANIFEST.read_text("utf-8").splitlines()]
    rows = [row for row in rows if row["target_lang"] == locale and 1.5 < row["duration"] < 8]
    rows = [row for row in rows if len(row["text"].split()) > 2 and row["text"][-1] in ".?!"]
    test = [row for row in rows if row["split"] == "test"]
    others = [row["text"] for row in rows if row["split"] == "train"]
    sound: list[np.ndarray[Any, Any]] = []
    said: list[Stretch] = []
    never: list[Stretch] = []
    words: list[str] = []
    at = 0
    for number, place in enumerate(rng.permutation(len(test))[:clips].tolist()):
        clip = audio.read_row(test[place], [str(MANIFEST.parent)], RATE)[0]
        first, last = _heard(clip)
        own = test[place]["text"].split()
        said.append(Stretch(len(words), len(words) + len(own), (at + first) / RATE, (at + last) / RATE))
        words += own
        pause = np.zeros(int(RATE * rng.uniform(0.3, 0.9)), np.float32)
        sound += [clip, pause]
        at += len(clip) + len(pause)
        if number % never_every == never_every // 2:
            own = others[int(rng.integers(len(others)))].split()
            never.append(Stretch(len(words), len(words) + len(own), 0.0, 0.0))
            words += own
    soundfile.write(folder / "long.wav", np.concatenate(sound), RATE)
    row = {"id": "long", "audio_filepath": "long.wav", "duration": at / RATE, "text": " ".join(words),
           "target_lang": locale}  # fmt: skip
    (folder / "m.jsonl").write_text(json.dumps(row) + "\n")
    return Joined(folder / "m.jsonl", " ".join(words), said, never, at / RATE)


def _heard(clip: np.ndarray[Any, Any]) -> tuple[int, int]:
    size = RATE // 50
    frames = clip[: len(clip) // size * size].reshape(-1, size)
    level = 10 * np.log10((frames**2).mean(axis=1) + 1e-12)
    loud = np.flatnonzero(level > level.max() - 35)
    return int(loud[0]) * size, int(loud[-1] + 1) * size
