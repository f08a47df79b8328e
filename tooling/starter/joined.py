"""Joined prompts: real clips of one voice spoken one after the other, as telephone systems do.

Made only from train clips that the starter heard, split from training by combination: no join made here is
one that a training batch was asked to hold together. Rows carry ``source: joined`` and stay out of the
figures for unseen phrases.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PAUSE_S = 0.12
SEED = 2026


def rows(own: list[dict[str, Any]], per_voice: int, max_s: float = 8.0) -> list[dict[str, Any]]:
    """``per_voice`` joins of two to four short telephone prompts of each voice; ``parts`` names the clips."""
    rng = np.random.default_rng(SEED)
    made = []
    voices = sorted({row["source"] for row in own if row["domain"] == "telephone-prompts"})
    for voice in voices:
        short = [row for row in own if row["source"] == voice and row["duration"] <= 2.5]
        for number in range(per_voice):
            chosen = rng.choice(len(short), size=int(rng.integers(2, 5)), replace=False)
            parts = [short[i] for i in chosen]
            seconds = sum(p["duration"] for p in parts) + PAUSE_S * (len(parts) - 1)
            if seconds <= max_s:
                made.append(
                    {
                        **parts[0],
                        "id": f"joined.{voice}.{number}",
                        "audio_filepath": f"joined/{voice}/{number}.wav",
                        "duration": round(seconds, 4),
                        "text": _sentence([p["text"] for p in parts]),
                        "source": "joined",
                        "parts": [p["id"] for p in parts],
                    }
                )
    return made


def _sentence(texts: list[str]) -> str:
    """One sentence: marks at the joints go, one capital at the start, one full stop at the end."""
    words = " ".join(text.strip().rstrip(".,;:!?…") for text in texts)
    return words[:1].upper() + words[1:] + "."


def audio(row: dict[str, Any], by_id: dict[str, dict[str, Any]], root: Path) -> npt.NDArray[np.float32]:
    """The join's samples, 16 kHz mono: its parts at one level, short pauses between them."""
    import soundfile

    pause = np.zeros(int(PAUSE_S * 16000), np.float32)
    pieces: list[npt.NDArray[np.float32]] = []
    for part in row["parts"]:
        pcm, _ = soundfile.read(root / by_id[part]["audio_filepath"], dtype="float32")
        level = float(np.sqrt(np.mean(pcm**2))) or 1.0
        pieces += [pcm * np.float32(min(4.0, 0.1 / level)), pause]
    return np.concatenate(pieces[:-1])
