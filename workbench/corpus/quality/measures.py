"""What is measured of one utterance, and how; plain numpy over one decoded clip.

=================== ================================================================================
peak_dbfs           largest absolute sample, 0 dB = full scale
rms_dbfs            root mean square over the clip
snr_db              speech level minus noise floor: 95th minus 10th percentile of the level of 20 ms frames,
                    digital silence left out; null where fewer than 25 frames remain or they hardly vary
clipping_ratio      samples in runs of three or more at the clip's extreme, where that is within 1 % of
                    full scale or is met in at least ten such runs (clipped, then turned down), and the
                    tops are flat: at least three times as many samples there as just below
channel_peak_dbfs   of the loudest channel: higher than peak_dbfs where channels cancel each other
header_s            length that the file's header states, where the row is the whole file
bandwidth_hz        highest frequency whose long-term level is above the 50 dB rule of Speech Data Explorer:
                    mean power spectrum in dB relative to its maximum > -50, 512-sample Blackman-Harris
                    frames as there, but 64 of them spread over the speech and not all
dc_offset           mean sample, of full scale
leading_silence_s   time before the first 20 ms frame that comes within 35 dB of the clip's speech level and
trailing_silence_s  above -60 dBFS, and after the last one
loudness_lufs       integrated loudness (ITU-R BS.1770-4, see ``loudness``), where it was asked for; null and
                    ``loudness_note`` says why where a clip is shorter than 0.4 s or silent
fingerprint         course of the energy over 8 stretches of time in 8 bands to 4 kHz, for near duplicates:
                    64 log energies, centered by band, scaled to int8, hexadecimal; level, slow color and
                    re-encoding leave it nearly as it is. Below 0.4 s all clips are alike: null
duration_s          of the audio read; sample_rate in Hz, channels, frames
=================== ================================================================================

The percentiles follow the idea of WADA/NIST level histograms in their simplest form; figures of different
estimators are not comparable, so gates name ``snr_db`` of this module.
"""

from __future__ import annotations

import functools
import hashlib
import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
from scipy.fft import rfft
from scipy.signal.windows import blackmanharris

from workbench.corpus.quality import loudness
from workbench.ingest import audio

COLUMNS: dict[str, str] = {
    "id": "text", "peak_dbfs": "float", "rms_dbfs": "float", "snr_db": "float", "clipping_ratio": "float",
    "bandwidth_hz": "float", "dc_offset": "float", "leading_silence_s": "float",
    "trailing_silence_s": "float", "duration_s": "float", "sample_rate": "int", "channels": "int",
    "channel_peak_dbfs": "float", "header_s": "float", "channel": "text",
    "error": "text", "audio_sha256": "text", "fingerprint": "text", "size": "int",
    "mtime_ns": "int", "offset": "float",
    "asked_s": "float", "loudness_lufs": "float", "loudness_note": "text",
}  # fmt: skip
"""Column → kind."""

FLOOR_DBFS = -120.0
FRAME_S = 0.02
LEAST_CLIPPED = 0.05
"""Peak below which nothing is taken for clipped, of full scale."""
SILENCE_BELOW_SPEECH_DB = 35.0
SILENCE_DBFS = -60.0
BANDWIDTH_RULE_DB = -50.0
_FFT = 512
FRAMES = 64
_PRINTED_S = 0.4
_KEPT = 16 << 20
"""Bytes of a file that a thread keeps room for."""


class _Scratch(threading.local):
    """Memory of one thread, used for one clip after the other: what is allocated anew for each costs more in
    page faults than in arithmetic."""

    def __init__(self) -> None:
        self._file = bytearray()
        self.frames = np.empty((FRAMES, _FFT), np.float32)
        self.mean = np.empty(_FFT // 2 + 1, np.float32)
        self.bands = np.empty((8, 8), np.float32)
        self.print = np.empty((8, 8), np.int8)

    def file(self, size: int) -> memoryview:
        """So many bytes of what was there before; of their own where the file is too long to keep."""
        if size > _KEPT:
            return memoryview(bytearray(size))
        if len(self._file) < size:
            self._file = bytearray(2 * size)
        return memoryview(self._file)[:size]


_scratch = _Scratch()


def contents(path: str, size: int) -> memoryview:
    """A whole file; valid until the thread's next."""
    held = _scratch.file(size + 1)
    with open(path, "rb", buffering=0) as stream:
        count = 0
        while more := stream.readinto(held[count:]):
            count += more
            if count > size:  # it grew meanwhile
                return memoryview(held[:count].tobytes() + stream.read())
    return held[:count]


def wav_samples(data: memoryview) -> tuple[np.ndarray, int] | None:
    """Samples of a 16-bit WAV file as they are, int16 (frames, channels), and the rate; None for any other
    kind. Valid until the thread's next file."""
    layout = audio.wav_layout(data)
    if layout is None:
        return None
    first, frames, channels, rate = layout
    return np.frombuffer(data, "<i2", frames * channels, first).reshape(-1, channels), rate


def hash_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal.

    Raises:
        WorkbenchError: it is missing, or no regular file.
    """
    audio.regular(path)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def measure(samples: np.ndarray, sample_rate: int, *, loud: bool = False) -> dict[str, Any]:
    """Measures of one clip.

    Args:
        samples: (frames, channels) or (frames,); float32 in [-1, 1], or int16.
        sample_rate: Hz.
        loud: its loudness too, which takes longer than all the rest.
    """
    stacked = samples if samples.ndim == 2 else samples[:, None]
    frames, channels = stacked.shape
    facts = {"sample_rate": sample_rate, "channels": channels, "duration_s": frames / sample_rate}
    if not frames:
        return {**facts, "error": "the recording holds no samples"}
    if channels > 1 and stacked.dtype == np.int16:
        stacked = stacked * np.float32(1 / 32768)
    mono = _Mono(np.ascontiguousarray(stacked[:, 0] if channels == 1 else stacked.mean(axis=1)), sample_rate)
    if not math.isfinite(mono.power):
        return {**facts, "error": "the recording holds samples that are no numbers"}
    ranked = np.sort(mono.levels)
    leading, trailing = silences(mono.levels, ranked)
    # By channel: averaging two channels hides a clipped one.
    apart = [mono] if channels == 1 else [_Mono(np.ascontiguousarray(one), sample_rate) for one in stacked.T]
    return {
        **facts,
        "peak_dbfs": decibels(mono.peak),
        "channel_peak_dbfs": decibels(max(one.peak for one in apart)),
        "rms_dbfs": decibels(mono.power**0.5),
        "snr_db": snr(ranked),
        "clipping_ratio": max(one.clipping() for one in apart),
        "dc_offset": mono.mean,
        "leading_silence_s": leading,
        "trailing_silence_s": trailing,
        **mono.spectral(),
        **(loudness.of_channels(stacked, sample_rate) if loud else {}),
    }


class _Mono:
    """One channel, looked at once in frames of 20 ms; what is near an extreme is found by their peaks.

    Attributes:
        mean: mean sample; power: mean square; peak: largest magnitude; all of full scale.
        levels: of each whole frame in dBFS, float (frames,); of the one there is where the clip is shorter.
    """

    def __init__(self, samples: np.ndarray, sample_rate: int) -> None:
        from workbench.corpus.quality import sound_kernels

        if samples.dtype != np.int16:
            samples = samples.astype(np.float32, copy=False)
        self._samples, self._sample_rate = samples, sample_rate
        self._bits = samples.view(f"i{samples.itemsize}")
        self._size = max(1, round(FRAME_S * sample_rate))
        count = -(-len(samples) // self._size)
        levels, self._peaks = np.empty(count), np.empty(count, np.int32)
        self.mean, self.power, self.peak = sound_kernels.course(
            samples, self._bits, self._size, FLOOR_DBFS, levels, self._peaks
        )
        self.levels = levels[: max(1, len(samples) // self._size)]

    def clipping(self) -> float:
        """Share of samples in flat runs at the extremes."""
        from workbench.corpus.quality import sound_kernels

        if self.peak < LEAST_CLIPPED:
            return 0.0
        # Lossy codecs bend a clipped top a little, so the top is a band, not one value.
        inside, runs, near = sound_kernels.flat_runs(
            self._bits, self._size, self._peaks, 0.99 * self.peak, 0.97 * self.peak
        )
        return clipped(inside, runs, near, self.peak, len(self._samples))

    def spectral(self) -> dict[str, Any]:
        """Bandwidth and fingerprint, from one transform of 64 frames spread evenly over what is heard."""
        from workbench.corpus.quality import sound_kernels

        window = blackman_harris(self._samples.itemsize == 2)
        # 34 dB below the peak is quiet enough to be left out at the ends.
        sound_kernels.windowed(
            self._samples, self._bits, self._size, self._peaks, 0.02 * self.peak, window, _scratch.frames
        )
        long = len(self._samples) >= _PRINTED_S * self._sample_rate
        return spectral(_scratch.frames, self._sample_rate, long)


def clipped(inside: int, runs: int, near: int, peak: float, count: int) -> float:
    """Share of clipped samples, from what lies within 1 % and within 3 % of the extreme.

    A top that is cut is flat: samples leap onto it. A rounded one, of a pure tone, has as many just below.
    """
    if peak < LEAST_CLIPPED or (peak < 0.99 and runs < 10) or inside < 3 * near:
        return 0.0
    return float(inside / count)


def spectral(frames: np.ndarray, sample_rate: int, long: bool) -> dict[str, Any]:
    """Bandwidth and fingerprint of windowed frames, float32 (64, 512); no fingerprint where not ``long``."""
    from workbench.corpus.quality import sound_kernels

    own = _scratch
    found = rfft(frames, axis=1)
    sound_kernels.powers(found.view("f4"), _edges(sample_rate), own.mean, own.bands)
    told = long and sound_kernels.fingerprint(own.bands, own.print)
    return {
        "bandwidth_hz": bandwidth(own.mean, sample_rate),
        "fingerprint": own.print.tobytes().hex() if told else None,
    }


def frame_levels(mono: np.ndarray, sample_rate: int) -> np.ndarray:
    """Level of each whole 20 ms frame in dBFS, float (frames,); one frame where the clip is shorter."""
    return _Mono(mono, sample_rate).levels


def snr(ranked: np.ndarray) -> float | None:
    """Speech level minus noise floor, from frame levels in order of size."""
    heard = ranked[ranked.searchsorted(-100, "right") :]
    if len(heard) < 25:
        return None
    span = float(heard[_rank(len(heard), 0.95)] - heard[_rank(len(heard), 0.1)])
    return span if span > 1 else None


def silences(levels: np.ndarray, ranked: np.ndarray) -> tuple[float, float]:
    """Seconds of silence before and after, from frame levels in order of time and of size; a clip without
    speech is all leading."""
    speech = float(ranked[_rank(len(ranked), 0.95)])
    heard = (levels > max(speech - SILENCE_BELOW_SPEECH_DB, SILENCE_DBFS)).nonzero()[0]
    if not len(heard):
        return len(levels) * FRAME_S, 0.0
    return float(heard[0] * FRAME_S), float((len(levels) - 1 - heard[-1]) * FRAME_S)


def _rank(count: int, share: float) -> int:
    """Nearest rank: ``np.percentile`` costs more than all the rest of a short clip's measures."""
    return min(count - 1, round(share * (count - 1)))


def bandwidth(mean_power: np.ndarray, sample_rate: int) -> float:
    """Highest frequency in Hz above the 50 dB rule, from a mean power spectrum."""
    limit = float(mean_power.max()) * 10 ** (BANDWIDTH_RULE_DB / 10)
    above = (mean_power > limit).nonzero()[0]
    return float(above[-1] * sample_rate / _FFT) if len(above) else 0.0


def read_fingerprint(text: str) -> np.ndarray:
    """The fingerprint as float (64,) of unit length."""
    values = np.frombuffer(bytes.fromhex(text), np.int8).astype(np.float64)
    return values / max(float(np.linalg.norm(values)), 1e-9)


@functools.cache
def _edges(sample_rate: int) -> np.ndarray:
    """Bins where the bands of a fingerprint begin and end; none beyond half the rate."""
    edges = np.round(np.geomspace(150, 4_000, 9) * _FFT / sample_rate).astype(int)
    within: np.ndarray = np.minimum(edges, _FFT // 2 + 1)
    return within


@functools.cache
def blackman_harris(integers: bool) -> np.ndarray:
    """Blackman-Harris; for integers it brings them to full scale 1 as well."""
    made = np.asarray(blackmanharris(_FFT, sym=False), np.float32)
    return made * np.float32(1 / 32768) if integers else made


def decibels(value: float) -> float:
    return max(FLOOR_DBFS, 20 * math.log10(value)) if value > 0 else FLOOR_DBFS
