"""What is measured of one utterance, and how; plain numpy over one decoded clip.

=================== ================================================================================
peak_dbfs           largest absolute sample, 0 dB = full scale
rms_dbfs            root mean square over the clip
snr_db              speech level minus noise floor: 95th minus 10th percentile of the level of 20 ms frames,
                    digital silence left out; null where fewer than 25 frames remain or they hardly vary
clipping_ratio      samples in runs of three or more at the clip's extreme, where that is within 1 % of
                    full scale or is met in at least ten such runs (clipped, then turned down)
bandwidth_hz        highest frequency whose long-term level is above the 50 dB rule of Speech Data Explorer:
                    mean power spectrum in dB relative to its maximum > -50, 512-sample Blackman-Harris
                    frames as there, but 64 of them spread over the speech and not all
dc_offset           mean sample, of full scale
leading_silence_s   time before the first 20 ms frame that comes within 35 dB of the clip's speech level and
trailing_silence_s  above -60 dBFS, and after the last one
fingerprint         course of the energy in 8 bands over 8 stretches of time, for near duplicates
duration_s          of the audio read; sample_rate in Hz, channels, frames
=================== ================================================================================

The percentiles follow the idea of WADA/NIST level histograms in their simplest form; figures of different
estimators are not comparable, so gates name ``snr_db`` of this module.
"""

from __future__ import annotations

import functools
import hashlib
import math
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.corpus import audio
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    import numpy as np

COLUMNS: dict[str, str] = {
    "id": "text", "peak_dbfs": "float", "rms_dbfs": "float", "snr_db": "float", "clipping_ratio": "float",
    "bandwidth_hz": "float", "dc_offset": "float", "leading_silence_s": "float",
    "trailing_silence_s": "float", "duration_s": "float", "sample_rate": "int", "channels": "int",
    "error": "text", "audio_sha256": "text", "fingerprint": "text", "size": "int",
    "mtime_ns": "int", "offset": "float",
    "asked_s": "float",
}  # fmt: skip
"""Column → kind."""

FLOOR_DBFS = -120.0
FRAME_S = 0.02
SILENCE_BELOW_SPEECH_DB = 35.0
SILENCE_DBFS = -60.0
BANDWIDTH_RULE_DB = -50.0
_FFT = 512
_FRAMES = 64
_KEPT = 16 << 20
"""Bytes that a thread keeps of each kind for its next clip."""
_AT_ONCE = 64 << 20
"""A file of more bytes is hashed and decoded in pieces."""


def measure_rows(tasks: Sequence[Any]) -> list[dict[str, Any]]:
    """Measure a batch; a clip that cannot be read gives a row with ``error``."""
    return [_row(*task) for task in tasks]


def _row(
    id: str,
    path: str,
    offset_s: float,
    duration_s: float | None,
    channel: int | None,
    _: Any,
    fault: str | None,
) -> dict[str, Any]:
    asked_s = -1.0 if duration_s is None else round(duration_s, 4)
    row: dict[str, Any] = {"id": id, "offset": round(offset_s, 4), "asked_s": asked_s}
    if fault is not None:
        return {**row, "error": fault}
    try:
        found = os.stat(path)
        row.update(size=found.st_size, mtime_ns=found.st_mtime_ns)
        decoded = None
        if path[-4:].lower() == ".wav" and not offset_s and duration_s is None and found.st_size <= _AT_ONCE:
            # One read serves the hash and the samples.
            data = _contents(path, found.st_size)
            row["audio_sha256"] = hashlib.sha256(data).hexdigest()
            decoded = _wav_samples(data)
        else:
            row["audio_sha256"] = _hash_of(path, found.st_size, found.st_mtime_ns)
        samples, rate = audio.read(Path(path), offset_s, duration_s) if decoded is None else decoded
        if channel is not None and channel < samples.shape[1]:
            samples = samples[:, channel : channel + 1]
        row.update(measure(samples, rate))
    except WorkbenchError as error:
        row["error"] = error.what
    except (OSError, ValueError, MemoryError) as error:
        row["error"] = (
            "the recording is missing" if isinstance(error, FileNotFoundError) else type(error).__name__
        )
    return row


class _Scratch(threading.local):
    """Memory of one thread, used for one clip after the other: what is allocated anew for each costs more in
    page faults than in arithmetic."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], np.ndarray] = {}

    def take(self, name: str, size: int, kind: str) -> np.ndarray:
        """``size`` numbers of what was there before; of their own where the clip is too long to keep."""
        import numpy as np

        if size * np.dtype(kind).itemsize > _KEPT:
            return np.empty(size, kind)
        held = self._held.get((name, kind))
        if held is None or len(held) < size:
            held = self._held[name, kind] = np.empty(2 * size, kind)
        return held[:size]


_scratch = _Scratch()


def _contents(path: str, size: int) -> memoryview:
    """A whole file; valid until the thread's next."""
    held = _scratch.take("file", size + 1, "u1").data
    with open(path, "rb", buffering=0) as stream:
        count = 0
        while more := stream.readinto(held[count:]):
            count += more
            if count > size:  # it grew meanwhile
                return memoryview(held[:count].tobytes() + stream.read())
    return held[:count]


def _wav_samples(data: memoryview) -> tuple[np.ndarray, int] | None:
    """Samples of a 16-bit WAV file as :func:`workbench.corpus.audio.read` gives them, valid until the
    thread's next file; None for any other kind."""
    import numpy as np

    layout = audio.wav_layout(data)
    if layout is None:
        return None
    first, frames, channels, rate = layout
    samples = _scratch.take("samples", frames * channels, "f4")
    samples[:] = np.frombuffer(data, "<i2", frames * channels, first)
    samples *= np.float32(1 / 32768)
    return samples.reshape(-1, channels), rate


@functools.lru_cache(maxsize=256)
def _hash_of(path: str, size: int, mtime_ns: int) -> str:
    """Of a file in one state: the hundreds of parts of a long recording hash it once."""
    return hash_file(Path(path))


def hash_file(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def measure(samples: np.ndarray, sample_rate: int) -> dict[str, Any]:
    """Measures of one clip.

    Args:
        samples: float32 (frames, channels) or (frames,) in [-1, 1].
        sample_rate: Hz.
    """
    import numpy as np

    stacked = samples if samples.ndim == 2 else samples[:, None]
    facts = {
        "sample_rate": sample_rate,
        "channels": stacked.shape[1],
        "duration_s": len(stacked) / sample_rate,
    }
    if not len(stacked):
        return {**facts, "error": "the recording holds no samples"}
    mono = np.ascontiguousarray(stacked[:, 0] if stacked.shape[1] == 1 else stacked.mean(axis=1))
    power = float(np.dot(mono, mono)) / len(mono)
    if not math.isfinite(power):
        return {**facts, "error": "the recording holds samples that are no numbers"}
    levels = frame_levels(mono, sample_rate)
    leading, trailing = silences(levels)
    loudness = np.abs(mono, out=_scratch.take("loudness", len(mono), mono.dtype.str))
    peak = float(loudness.max())
    heard = np.greater(loudness, 0.02 * peak, out=_scratch.take("heard", len(mono), "?"))
    power_spectra = spectra(mono, heard)
    return {
        **facts,
        "peak_dbfs": _db(peak),
        "rms_dbfs": _db(power**0.5),
        "snr_db": snr(levels),
        # By channel: averaging two channels hides a clipped one.
        "clipping_ratio": max(
            clipping(loudness if stacked.shape[1] == 1 else np.abs(stacked[:, i]))
            for i in range(stacked.shape[1])
        ),
        "bandwidth_hz": bandwidth(power_spectra, sample_rate),
        "dc_offset": float(mono.mean()),
        "leading_silence_s": leading,
        "trailing_silence_s": trailing,
        "fingerprint": fingerprint(power_spectra, sample_rate) if len(mono) >= 0.4 * sample_rate else None,
    }


def frame_levels(mono: np.ndarray, sample_rate: int) -> np.ndarray:
    """Level of each whole 20 ms frame in dBFS, float (frames,); one frame where the clip is shorter."""
    import numpy as np

    size = max(1, round(FRAME_S * sample_rate))
    count = len(mono) // size
    frames = mono[: count * size].reshape(count, size) if count else mono[None, :]
    power = np.einsum("ij,ij->i", frames, frames).astype(np.float64) / frames.shape[1]
    levels: np.ndarray = 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DBFS / 10)))
    return levels


def snr(levels: np.ndarray) -> float | None:
    """Speech level minus noise floor, from frame levels."""
    import numpy as np

    heard = np.sort(levels[levels > -100])
    if len(heard) < 25:
        return None
    span = float(heard[_rank(len(heard), 0.95)] - heard[_rank(len(heard), 0.1)])
    return span if span > 1 else None


def silences(levels: np.ndarray) -> tuple[float, float]:
    """Seconds of silence before and after; a clip without speech is all leading."""
    import numpy as np

    speech = float(np.sort(levels)[_rank(len(levels), 0.95)])
    heard = np.flatnonzero(levels > max(speech - SILENCE_BELOW_SPEECH_DB, SILENCE_DBFS))
    if not len(heard):
        return len(levels) * FRAME_S, 0.0
    return float(heard[0] * FRAME_S), float((len(levels) - 1 - heard[-1]) * FRAME_S)


def _rank(count: int, share: float) -> int:
    """Nearest rank: ``np.percentile`` costs more than all the rest of a short clip's measures."""
    return min(count - 1, round(share * (count - 1)))


def clipping(loudness: np.ndarray) -> float:
    """Share of samples in flat runs at the extremes.

    Args:
        loudness: absolute samples of one channel, float (frames,).
    """
    import numpy as np

    peak = float(loudness.max())
    if peak < 0.05:
        return 0.0
    # Lossy codecs bend a clipped top a little, so the top is a band, not one value.
    at = np.flatnonzero(loudness >= 0.99 * peak)
    if len(at) < 3:
        return 0.0
    thirds = at[2:] - at[:-2] == 2
    count = int(np.count_nonzero(thirds))
    # A run begins where the sample before its first one is not flat.
    starts = int(np.count_nonzero(thirds & np.concatenate(([True], np.diff(at[:-2]) != 1))))
    if not count or (peak < 0.99 and starts < 10):
        return 0.0
    return (count + 2 * starts) / len(loudness)


def spectra(mono: np.ndarray, heard: np.ndarray) -> np.ndarray:
    """Power of 64 frames spread evenly over what is heard, float32 (64, 257); one transform for all uses.

    Args:
        mono: float32 (frames,).
        heard: where it is loud enough to count, bool (frames,); all of it where nowhere is.
    """
    import numpy as np
    from scipy.fft import rfft

    if heard.any():
        mono = mono[heard.argmax() : _last(heard) + 1]
    if len(mono) < _FFT:
        mono = np.pad(mono, (0, _FFT - len(mono)))
    starts = np.linspace(0, len(mono) - _FFT, _FRAMES).astype(np.intp)
    frames = np.lib.stride_tricks.sliding_window_view(mono, _FFT)[starts]
    frames *= _window()
    found = rfft(frames, axis=1, overwrite_x=True)
    power: np.ndarray = found.real**2 + found.imag**2
    return power


def _last(heard: np.ndarray) -> int:
    """Index of the last true value, -1 where there is none; looked for from the end, where it mostly is."""
    end, size = len(heard), 1_024
    while end > 0:
        start = max(0, end - size)
        found = heard[start:end].nonzero()[0]
        if len(found):
            return start + int(found[-1])
        end, size = start, 2 * size
    return -1


def bandwidth(power: np.ndarray, sample_rate: int) -> float:
    """Highest frequency in Hz above the 50 dB rule, from ``spectra``."""
    import numpy as np

    mean = power.mean(axis=0)
    limit = float(mean.max()) * 10 ** (BANDWIDTH_RULE_DB / 10)
    above = np.flatnonzero(mean > limit)
    return float(above[-1] * sample_rate / _FFT) if len(above) else 0.0


def fingerprint(power: np.ndarray, sample_rate: int) -> str | None:
    """64 log energies (8 stretches x 8 bands to 4 kHz), centred by band and scaled to int8, hexadecimal.

    Level, slow colour and re-encoding leave it nearly as it is. Below 0.4 s all clips are alike.

    Args:
        power: of ``spectra``.
        sample_rate: Hz.
    """
    import numpy as np

    edges = _edges(sample_rate)
    bands = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1).reshape(8, 8, 8).mean(axis=1)
    map_ = np.log10(bands + 1e-9 * float(bands.max()) + 1e-12)
    map_ -= map_.mean(axis=0)
    scale = float(np.abs(map_).max())
    if not scale:
        return None
    return str(np.round(map_ / scale * 127).astype(np.int8).tobytes().hex())


def read_fingerprint(text: str) -> np.ndarray:
    """The fingerprint as float (64,) of unit length."""
    import numpy as np

    values = np.frombuffer(bytes.fromhex(text), np.int8).astype(np.float64)
    return values / max(float(np.linalg.norm(values)), 1e-9)


@functools.cache
def _edges(sample_rate: int) -> np.ndarray:
    import numpy as np

    return np.round(np.geomspace(150, 4_000, 9) * _FFT / sample_rate).astype(int)


@functools.cache
def _window() -> np.ndarray:
    import numpy as np
    from scipy.signal.windows import blackmanharris

    return np.asarray(blackmanharris(_FFT, sym=False), np.float32)


def _db(value: float) -> float:
    return max(FLOOR_DBFS, 20 * math.log10(value)) if value > 0 else FLOOR_DBFS
