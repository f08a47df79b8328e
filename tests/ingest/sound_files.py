"""Sound and manifests for the tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile


def tone(path: Path, seconds: float = 1.0, channels: int = 1, rate: int = 16_000) -> Path:
    """A file of sound, not silent; every path sounds a little different."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.3 * np.sin(2 * np.pi * (200 + sum(path.name.encode()) % 400) * time)
    soundfile.write(path, np.stack([wave] * channels, axis=1), rate)
    return path


def lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path
