"""Log-mel features of every clip that the starter may hear, cached once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tooling.starter.recordings import SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class FeatureCache:
    """``frames[start[i]:start[i + 1]]`` is clip i, (frames, mels) float16."""

    frames: npt.NDArray[np.float16]
    start: npt.NDArray[np.int64]

    def clip(self, index: int) -> npt.NDArray[np.float16]:
        return self.frames[self.start[index] : self.start[index + 1]]

    def lengths(self) -> npt.NDArray[np.int64]:
        return np.diff(self.start)


def together(first: FeatureCache, second: FeatureCache) -> FeatureCache:
    """The clips of both, one cache behind the other."""
    start = np.concatenate([first.start, second.start[1:] + first.start[-1]])
    return FeatureCache(np.concatenate([first.frames, second.frames]), start)


def read_rows(manifest: Path) -> list[dict[str, Any]]:
    with manifest.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def cached(
    rows: list[dict[str, Any]],
    root: Path,
    preprocessor: Any,
    target: Path,
    progress: Callable[[int, int], None] | None = None,
) -> FeatureCache:
    """Features of ``rows`` from NeMo's own ``preprocessor``, dither off; read from ``target`` if there."""
    if not target.is_file():
        _compute(rows, root, preprocessor, target, progress)
    with np.load(target) as held:
        return FeatureCache(held["frames"], held["start"])


def log_mels(clips: Iterable[npt.NDArray[np.float32]], preprocessor: Any) -> list[npt.NDArray[np.float16]]:
    """Features (frames, mels) of 16 kHz clips from NeMo's own ``preprocessor``, dither off."""
    import torch

    preprocessor.featurizer.dither = 0.0
    found = []
    for pcm in clips:
        signal = torch.from_numpy(pcm)[None]
        with torch.no_grad():
            mel, length = preprocessor(input_signal=signal, length=torch.tensor([signal.shape[1]]))
        found.append(mel[0, :, : int(length[0])].T.numpy().astype(np.float16))
    return found


def _compute(
    rows: list[dict[str, Any]],
    root: Path,
    preprocessor: Any,
    target: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    import soundfile
    import soxr

    pieces, start = [], [0]
    for done, row in enumerate(rows, start=1):
        pcm, rate = soundfile.read(root / row["audio_filepath"], dtype="float32")
        if rate != SAMPLE_RATE:
            pcm = soxr.resample(pcm, rate, SAMPLE_RATE)
        pieces += log_mels([pcm], preprocessor)
        start.append(start[-1] + len(pieces[-1]))
        if progress:
            progress(done, len(rows))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial.npz")
    np.savez(partial, frames=np.concatenate(pieces), start=np.asarray(start, dtype=np.int64))
    partial.replace(target)
