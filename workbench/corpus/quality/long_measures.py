"""Measures of a recording of hours, in memory that hardly grows with it: two passes over its blocks.

The first finds levels and extremes, the second what lies near them; between passes only the level of each
20 ms frame is held (4 MB for three hours). The figures are those of
:func:`workbench.corpus.quality.measures.measure`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.corpus.quality import loudness, measures
from workbench.ingest.audio import checked, mix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]
    Blocks = Callable[[], Iterator[Samples]]


class _Channel:
    """What one channel's blocks add up to, frame by frame."""

    def __init__(self, size: int, floor_db: float) -> None:
        self.size, self.floor_db = size, floor_db
        self._rest: Samples = np.zeros(0, np.float32)
        self._levels: list[Any] = []
        self._peaks: list[Any] = []
        self._sum = self._square = 0.0
        self.count, self.peak = 0, 0.0

    def add(self, samples: Samples, last: bool = False) -> None:
        from workbench.corpus.quality import sound_kernels

        held = np.concatenate([self._rest, samples]) if len(self._rest) else samples
        whole = len(held) if last else len(held) // self.size * self.size
        block, self._rest = np.ascontiguousarray(held[:whole]), held[whole:].copy()
        if not whole:
            return
        frames = -(-whole // self.size)
        levels, peaks = np.empty(frames), np.empty(frames, np.int32)
        mean, power, peak = sound_kernels.course(
            block, block.view(np.int32), self.size, self.floor_db, levels, peaks
        )
        self._levels.append(levels)
        self._peaks.append(peaks)
        self._sum += mean * whole
        self._square += power * whole
        self.count += whole
        self.peak = max(self.peak, peak)

    @property
    def levels(self) -> Any:
        return np.concatenate(self._levels)[: max(1, self.count // self.size)]

    @property
    def peaks(self) -> Any:
        return np.concatenate(self._peaks)

    @property
    def mean(self) -> float:
        return self._sum / self.count

    @property
    def power(self) -> float:
        return self._square / self.count


def measure_blocks(blocks: Blocks, sample_rate: int, channels: int, *, loud: bool = False) -> dict[str, Any]:
    """Measures of a recording that is gone over twice.

    Args:
        blocks: gives its float32 (frames, channels) from the beginning each time.
        sample_rate: Hz.
        loud: its loudness too.

    Raises:
        WorkbenchError: samples that are no numbers or not scaled.
    """
    size = max(1, round(measures.FRAME_S * sample_rate))
    mono = _Channel(size, measures.FLOOR_DBFS)
    apart = [_Channel(size, measures.FLOOR_DBFS) for _ in range(channels)] if channels > 1 else [mono]
    weighed = [loudness.Weighed(sample_rate) for _ in range(channels)] if loud else []
    for block in blocks():
        for number, heard in enumerate(weighed):
            heard.add(np.ascontiguousarray(block[:, number]))
        mono.add(checked(mix(block, None), first=mono.count))
        for number, one in enumerate(apart) if channels > 1 else ():
            one.add(mix(block, (number,)))
    for one in {id(one): one for one in (mono, *apart)}.values():
        one.add(mono._rest[:0], last=True)
    facts = {"sample_rate": sample_rate, "channels": channels, "duration_s": mono.count / sample_rate}
    if not mono.count:
        return {**facts, "error": "the recording holds no samples"}
    clipping, frames = _near_extremes(blocks, mono, apart, sample_rate)

    ranked = np.sort(mono.levels)
    leading, trailing = measures.silences(mono.levels, ranked)
    return {
        **facts,
        "peak_dbfs": measures.decibels(mono.peak),
        "channel_peak_dbfs": measures.decibels(max(one.peak for one in apart)),
        "rms_dbfs": measures.decibels(math.sqrt(mono.power)),
        "snr_db": measures.snr(ranked),
        "clipping_ratio": clipping,
        "dc_offset": mono.mean,
        "leading_silence_s": leading,
        "trailing_silence_s": trailing,
        **measures.spectral(frames, sample_rate, True),
        **(loudness.found(weighed) if loud else {}),
    }


def _near_extremes(
    blocks: Blocks, mono: _Channel, apart: list[_Channel], sample_rate: int
) -> tuple[float, Any]:
    """The largest share of clipped samples of a channel, and the windowed frames that spectra are made of."""
    from workbench.corpus.quality import measures, sound_kernels

    window = measures.blackman_harris(False)
    frames = np.zeros((measures.FRAMES, len(window)), np.float32)
    loud = np.flatnonzero(mono.peaks.view(np.float32) >= 0.02 * mono.peak)
    start = int(loud[0]) * mono.size if mono.peak else 0
    stop = min(mono.count, (int(loud[-1]) + 1) * mono.size) if mono.peak else mono.count
    room = max(0, stop - start - len(window))
    begins = [start + int(room * at / (len(frames) - 1)) for at in range(len(frames))]
    runs = [np.zeros(4, np.int64) for _ in apart]
    at = 0
    for block in blocks():
        whole = mix(block, None)
        for row, begin in enumerate(begins):
            first, last = max(begin, at), min(begin + len(window), at + len(whole))
            if first < last:
                part = slice(first - begin, last - begin)
                frames[row, part] = whole[first - at : last - at] * window[part]
        for number, (one, found) in enumerate(zip(apart, runs, strict=True)):
            if one.peak >= measures.LEAST_CLIPPED:
                samples = whole if len(apart) == 1 else mix(block, (number,))
                sound_kernels.flat_runs_on(samples.view(np.int32), 0.99 * one.peak, 0.97 * one.peak, found)
        at += len(whole)
    shares = []
    for one, found in zip(apart, runs, strict=True):
        inside, flat, near = map(int, found[:3])
        shares.append(measures.clipped(inside, flat, near, one.peak, one.count))
    return max(shares), frames
