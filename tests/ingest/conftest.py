"""Recordings for the tests of the ingest room: short tones as WAV."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from workbench.corpus.importing import import_source
from workbench.corpus.query.table import Corpus


def tone(path: Path, seconds: float = 1.0, channels: int = 1, rate: int = 16_000) -> Path:
    """A file of sound, not silent; every path sounds a little different."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * rate)) / rate
    wave = 0.3 * np.sin(2 * np.pi * (200 + hash(path.name) % 400) * time)
    soundfile.write(path, np.stack([wave] * channels, axis=1), rate)
    return path


def lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def bring(tmp_path: Path) -> Callable[..., Corpus]:
    """Import a source with its recordings looked for."""
    count = 0

    def _bring(source: Any, **said: Any) -> Corpus:
        nonlocal count
        count += 1
        folder = tmp_path / "corpora" / f"c{count}"
        return import_source(source, folder, name="c", require_audio=True, **said)

    return _bring
