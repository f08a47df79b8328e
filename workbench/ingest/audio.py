"""Sound of an utterance, read only when asked for, and only from folders that the corpus may read."""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    import numpy as np

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".g722", ".gsm", ".aiff", ".au", ".sph")
_RAW = {".g722": ("g722", 16_000), ".gsm": ("gsm", 8_000)}
"""Headerless codecs that soundfile does not read: PyAV's name and the sample rate."""


def locate(written: str, roots: Sequence[Path]) -> Path:
    """The file of a row, as the row names it; links are followed only to see where they end.

    Raises:
        WorkbenchError: it lies outside the folders that may be read.
    """
    return Path(locate_text(written, [os.fspath(root) for root in roots]))


def locate_text(written: str, roots: Sequence[str]) -> str:
    """The same as text: a million rows need no million path objects.

    Raises:
        WorkbenchError: it lies outside the folders that may be read.
    """
    path = os.path.normpath(os.path.join(roots[0], written))
    folder, name = os.path.split(path)
    # Folders are followed once, not per file: a corpus has few of them.
    ends = os.path.realpath(path) if os.path.islink(path) else os.path.join(_real(folder), name)
    if any(ends.startswith(_real(root) + os.sep) for root in roots):
        return path
    raise WorkbenchError(
        "the recording lies outside the corpus root",
        where=written[:200],
        hint="Import again with audio_roots=[...] naming the folder that may be read.",
    )


@functools.lru_cache(maxsize=4096)
def _real(root: str) -> str:
    return os.path.realpath(root)


def read(path: Path, offset_s: float = 0.0, duration_s: float | None = None) -> tuple[np.ndarray, int]:
    """Samples of a stretch of a file as float32 (frames, channels) in [-1, 1], and the sample rate in Hz.

    Raises:
        WorkbenchError: the file is missing, no audio, or ends before ``offset_s``.
    """
    if path.suffix.lower() in _RAW:
        return _read_raw(path, offset_s, duration_s)
    import soundfile

    try:
        with soundfile.SoundFile(str(path)) as file:
            rate = int(file.samplerate)
            start = round(offset_s * rate)
            if start and start >= file.frames:
                raise _too_short(path, offset_s)
            if start:
                file.seek(start)
            frames = -1 if duration_s is None else round(duration_s * rate)
            samples = file.read(frames, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        raise _unreadable(path, error) from error
    return samples, rate


_HEAD = 4_096
"""Bytes in which the header of a WAV file is looked for."""
_PCM = 1


def wav_layout(data: memoryview) -> tuple[int, int, int, int] | None:
    """Where the samples of a whole 16-bit PCM WAV file lie: first byte, frames, channels, sample rate in Hz.

    None for any other kind of file. Reading the samples from there is many times as fast as opening the
    file by libsndfile, which counts where clips last a second or two.
    """
    if bytes(data[:4]) != b"RIFF" or bytes(data[8:12]) != b"WAVE":
        return None
    at, channels, rate = 12, 0, 0
    while at + 8 <= min(len(data), _HEAD):
        name, size = struct.unpack_from("<4sI", data, at)
        at += 8
        if name == b"fmt ":
            if size < 16 or at + 16 > len(data):
                return None
            kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, at)
            if kind != _PCM or bits != 16 or not channels or not rate:
                return None
        elif name == b"data":
            frames = size // (2 * channels) if channels else 0
            whole = frames and at + 2 * channels * frames <= len(data)
            return (at, frames, channels, rate) if whole else None
        at += size + size % 2
    return None


def read_mono(
    path: Path, offset_s: float = 0.0, duration_s: float | None = None, sample_rate: int | None = None,
    channel: int | None = None,
) -> np.ndarray:  # fmt: skip
    """The same as float32 (frames,): channels averaged or one chosen, resampled by soxr (high quality)."""
    import numpy as np

    samples, rate = read(path, offset_s, duration_s)
    if channel is not None and not 0 <= channel < samples.shape[1]:
        raise WorkbenchError(f"no channel {channel}: the file has {samples.shape[1]}", where=path.name)
    mono = samples.mean(axis=1) if channel is None else samples[:, channel]
    if sample_rate is not None and sample_rate != rate and len(mono):
        import soxr

        mono = soxr.resample(mono, rate, sample_rate)
    return np.ascontiguousarray(mono, dtype=np.float32)


def probe(path: Path) -> dict[str, Any]:
    """``duration_s``, ``sample_rate``, ``channels`` and ``frames`` from the header; raw codecs are decoded.

    Raises:
        WorkbenchError: the file is missing or no audio.
    """
    if path.suffix.lower() in _RAW:
        samples, rate = _read_raw(path, 0.0, None)
        return {
            "duration_s": len(samples) / rate, "sample_rate": rate, "channels": 1, "frames": len(samples)
        }  # fmt: skip
    import soundfile

    try:
        info = soundfile.info(str(path))
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        raise _unreadable(path, error) from error
    return {
        "duration_s": info.frames / info.samplerate,
        "sample_rate": int(info.samplerate),
        "channels": int(info.channels),
        "frames": int(info.frames),
    }


def _read_raw(path: Path, offset_s: float, duration_s: float | None) -> tuple[np.ndarray, int]:
    import av
    import numpy as np

    codec, rate = _RAW[path.suffix.lower()]
    try:
        with av.open(str(path), format=codec) as container:
            parts = [frame.to_ndarray().reshape(-1) for frame in container.decode(audio=0)]
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    pcm = np.concatenate(parts) if parts else np.zeros(0, np.int16)
    samples = pcm.astype(np.float32) / 32768.0 if pcm.dtype.kind == "i" else pcm.astype(np.float32)
    start = round(offset_s * rate)
    if start and start >= len(samples):
        raise _too_short(path, offset_s)
    end = None if duration_s is None else start + round(duration_s * rate)
    return samples[start:end, None], rate


def _unreadable(path: Path, error: Exception) -> WorkbenchError:
    if not path.exists():
        return WorkbenchError("the recording is missing", where=path.name, hint="Check the corpus root.")
    if path.stat().st_size == 0:
        return WorkbenchError("the recording is empty (0 bytes)", where=path.name, hint="Fetch it again.")
    return WorkbenchError(f"no audio that can be read ({str(error)[-80:]})", where=path.name)


def _too_short(path: Path, offset_s: float) -> WorkbenchError:
    return WorkbenchError(f"the recording ends before the offset {offset_s:.3f} s", where=path.name)
