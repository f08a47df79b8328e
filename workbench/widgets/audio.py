"""Audio for the browser: WAV bytes, waveform peaks, and the two questions every player asks.

A clip of up to ``WHOLE_CLIP_S`` travels whole, as one binary message; longer audio as peaks of the whole and
windows of ``WINDOW_S`` on demand, so no message exceeds ``MAX_MESSAGE_BYTES`` (a browser drops larger ones).
"""

from __future__ import annotations

import io
import threading
import wave
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.signatures import public
from workbench.widgets.channel import answers

if TYPE_CHECKING:
    from numpy.typing import NDArray

WHOLE_CLIP_S = 60.0
WINDOW_S = 30.0
PEAK_POINTS = 2000
MAX_MESSAGE_BYTES = 8 * 2**20
MAX_RATE_HZ = 48_000
CACHED_SAMPLES = 20_000_000  # 80 MB of float32; about 20 minutes at 16 kHz


def wav_bytes(pcm: NDArray[np.float32], sample_rate: int) -> bytes:
    """Mono float samples (n,), nominally −1…1, as a 16-bit PCM WAV file; louder samples are clipped."""
    samples = np.asarray(pcm, dtype=np.float32).reshape(-1)
    whole = (np.clip(np.nan_to_num(samples), -1.0, 1.0) * 32767.0).round().astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(int(sample_rate))
        out.writeframes(whole.tobytes())
    return file.getvalue()


def peaks(pcm: NDArray[np.float32], points: int = PEAK_POINTS) -> NDArray[np.float32]:
    """Largest magnitude in each of at most ``points`` equal stretches: (points,), 0…1 for unclipped audio."""
    samples = np.abs(np.asarray(pcm, dtype=np.float32).reshape(-1))
    if not len(samples):
        return np.zeros(0, dtype=np.float32)
    points = max(1, min(points, len(samples)))
    edges = np.linspace(0, len(samples), points, endpoint=False).astype(np.int64)
    return np.maximum.reduceat(samples, edges)


def clip(pcm: NDArray[np.float32], sample_rate: int) -> tuple[dict[str, Any], list[bytes]]:
    """A recording as the player takes it: header and buffers of one message.

    Header: ``duration_s``, ``sample_rate``, ``whole`` (buffer 0 is a WAV file) or else ``window_s``
    (buffer 0 is float32 peaks of the whole; windows are asked for).
    """
    duration_s = len(pcm) / sample_rate
    head: dict[str, Any] = {"duration_s": duration_s, "sample_rate": sample_rate, "whole": True}
    if duration_s <= WHOLE_CLIP_S and sample_rate <= MAX_RATE_HZ:
        return head, [wav_bytes(pcm, sample_rate)]
    return head | {"whole": False, "window_s": WINDOW_S}, [peaks(pcm).tobytes()]


def window(pcm: NDArray[np.float32], sample_rate: int, start_s: float, end_s: float) -> bytes:
    """The stretch from ``start_s`` to ``end_s`` (at most ``WHOLE_CLIP_S``) as a WAV file."""
    start = max(0, round(start_s * sample_rate))
    end = min(len(pcm), round(min(end_s, start_s + WHOLE_CLIP_S) * sample_rate))
    return wav_bytes(pcm[start:end], sample_rate)


class AudioAnswers:
    """Mixin for a ``LiveWidget`` with a player: define ``load_audio``; ``fetchClip`` of player.js asks."""

    _audio_cache: OrderedDict[str, tuple[NDArray[np.float32], int]]
    _audio_lock = threading.Lock()

    @abstractmethod
    def load_audio(self, key: str) -> tuple[NDArray[np.float32], int]:
        """Samples (n,) and rate of the recording that the browser calls ``key``; called in lane "audio"."""

    @answers("audio", queue="audio")
    def _answer_audio(self, body: dict[str, Any], _buffers: list[memoryview]) -> tuple[Any, list[bytes]]:
        pcm, sample_rate = self._audio(str(body["key"]))
        head, buffers = clip(pcm, sample_rate)
        return head | {"key": body["key"]}, buffers

    @answers("audio_window", queue="audio")
    def _answer_window(self, body: dict[str, Any], _buffers: list[memoryview]) -> tuple[Any, list[bytes]]:
        pcm, sample_rate = self._audio(str(body["key"]))
        start_s, end_s = float(body["start_s"]), float(body["end_s"])
        return {"key": body["key"], "start_s": start_s}, [window(pcm, sample_rate, start_s, end_s)]

    @public
    def forget_audio(self, keys: Iterable[str]) -> None:
        """Read these recordings anew when they are next asked for: their row says another stretch now."""
        with self._audio_lock:
            for key in keys if "_audio_cache" in self.__dict__ else ():
                self._audio_cache.pop(key, None)

    def _audio(self, key: str) -> tuple[NDArray[np.float32], int]:
        """Samples of ``key``, kept for the next window or replay; the oldest leave when too many."""
        with self._audio_lock:
            if "_audio_cache" not in self.__dict__:
                self._audio_cache = OrderedDict()
            found = self._audio_cache.pop(key, None)
        if found is None:
            found = self.load_audio(key)
            if not len(found[0]):
                raise WorkbenchError(
                    "the recording is empty", where=key, hint="Reject it, or replace the file."
                )
        with self._audio_lock:
            self._audio_cache[key] = found
            while len(self._audio_cache) > 1 and _samples(self._audio_cache) > CACHED_SAMPLES:
                self._audio_cache.popitem(last=False)
        return found


def _samples(cache: OrderedDict[str, tuple[Any, int]]) -> int:
    return sum(len(pcm) for pcm, _rate in cache.values())
