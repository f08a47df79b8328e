"""PCM as callers have it (any rate, int or float, any channels) to mono float32 of one rate, in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import soxr

from workbench.errors import WorkbenchError
from workbench.ingest.audio import checked, mix

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pcm = NDArray[np.float32]

MIN_RATE, MAX_RATE, MAX_CHANNELS = 4000, 384_000, 32


def to_mono(pcm: Any) -> Pcm:
    """Samples as float32 in -1..1, channels averaged.

    Args:
        pcm: (samples,) or (samples, channels); int16, int32, uint8 or float.

    Raises:
        WorkbenchError: samples that are not finite or not scaled, a shape or type that is not PCM.
    """
    data = np.asarray(pcm)
    if data.ndim == 2 and 1 <= data.shape[1] <= MAX_CHANNELS:
        scaled = mix(_scaled(data), None)
    elif data.ndim == 1:
        scaled = _scaled(data)
    else:
        raise WorkbenchError(
            f"audio of shape {data.shape}",
            hint="Give (samples,) or (samples, channels); transpose if needed.",
        )
    return np.ascontiguousarray(scaled if data.dtype.kind != "f" else checked(scaled))


def _scaled(data: Any) -> Any:
    if data.dtype in (np.int16, np.int32):
        return data.astype(np.float32) / np.float32(-float(np.iinfo(data.dtype).min))
    if data.dtype == np.uint8:
        return (data.astype(np.float32) - 128.0) / np.float32(128.0)
    if data.dtype.kind == "f":
        return data.astype(np.float32, copy=False)
    if data.size == 0:
        return data.astype(np.float32)
    raise WorkbenchError(f"samples of type {data.dtype}", where="audio", hint="Use int16, int32 or float32.")


class Resampler:
    """Streams PCM of one rate to ``target_rate``; the cuts do not change the result."""

    def __init__(self, target_rate: int) -> None:
        self.target_rate = target_rate
        self.rate: int | None = None
        self._stream: Any = None

    def push(self, pcm: Any, sample_rate: int) -> Pcm:
        """Convert a piece; what the filter still holds comes with later pieces or with :meth:`flush`.

        Raises:
            WorkbenchError: as :func:`to_mono`; an impossible rate, or one that changes within a session.
        """
        if self.rate is not None and sample_rate != self.rate:
            raise WorkbenchError(
                f"sample rate changed from {self.rate} to {sample_rate} Hz", hint="Use one session per rate."
            )
        if isinstance(sample_rate, bool) or not MIN_RATE <= sample_rate <= MAX_RATE:
            raise WorkbenchError(
                f"sample rate {sample_rate} Hz",
                hint=f"Give {MIN_RATE} to {MAX_RATE} Hz, as the audio was recorded.",
            )
        mono = to_mono(pcm)
        self.rate = int(sample_rate)
        if self.rate == self.target_rate:
            # Audio devices fill one buffer again and again: what waits must not lie in the caller's.
            return mono.copy() if mono is pcm or mono.base is not None else mono
        if self._stream is None:
            self._stream = soxr.ResampleStream(self.rate, self.target_rate, 1, dtype="float32", quality="HQ")
        return self._stream.resample_chunk(mono)  # type: ignore[no-any-return]

    def flush(self) -> Pcm:
        """The rest that the filter holds."""
        empty = np.zeros(0, np.float32)
        return empty if self._stream is None else self._stream.resample_chunk(empty, last=True)
