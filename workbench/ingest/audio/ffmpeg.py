"""Samples by FFmpeg's libraries, through PyAV."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

_FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,flac,flv,g722,gsm,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,"
    "mpegts,nistsphere,ogg,tta,w64,wav,wv"
)
"""Containers that PyAV may open. Play lists, which name other files and addresses, are not among them."""
_STRAY = 2
"""So many frames in a row of another rate or width are damage, and passed over; more are a change."""


class AvDecoder:
    """By FFmpeg's libraries, a packet at a time; a damaged packet is passed over, as ``ffmpeg`` does."""

    exact = False

    def __init__(self, path: str | Path, format: str | None = None) -> None:
        self._path = path
        options = {"protocol_whitelist": "file", "format_whitelist": format or _FORMATS}
        self._container: Any = None
        try:
            self._container = av.open(
                f"file:{os.fspath(path)}", format=format, options=options, metadata_errors="ignore"
            )
            # Of several, the one that ``ffmpeg`` takes: in a damaged Ogg the first may hold nothing.
            stream = self._container.streams.best("audio")
            if stream is None:
                raise WorkbenchError("no sound in the file", where=os.path.basename(path))
            self.rate, self.channels = int(stream.rate or 0), int(stream.channels or 0)
            length = stream.duration * stream.time_base if stream.duration else None
            length = length or (self._container.duration / 1e6 if self._container.duration else None)
            # Without an index FFmpeg guesses from the bit rate; a raw codec states nothing at all.
            self.stated_s = float(length) if length and format is None else None
            self.frames = 0
            self._frames = self._decoded(stream)
            self._waiting = next(self._frames, None)
            if self._waiting is None or not self.rate or not self.channels:
                raise WorkbenchError("no sound in the file", where=os.path.basename(path))
        except WorkbenchError:
            self.close()
            raise
        except (av.error.FFmpegError, OSError, ValueError, ArithmeticError, AttributeError) as error:
            self.close()
            raise unreadable(path, error) from None

    def seek(self, frame: int) -> None:
        raise io.UnsupportedOperation("this decoder reads from the start only")

    def read(self, count: int) -> Samples:
        parts: list[Samples] = []
        while count and self._waiting is not None:
            head, rest = self._waiting[:count], self._waiting[count:]
            parts.append(head)
            count -= len(head)
            self._waiting = rest if len(rest) else next(self._frames, None)
        if not parts:
            return no_samples(self.channels)
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def _decoded(self, stream: Any) -> Iterator[Samples]:
        packets, stray = self._container.demux(stream), 0
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, OSError, ValueError):
                return
            if packet is None:
                return
            try:
                frames = packet.decode()
            except (av.error.FFmpegError, ValueError):
                continue
            for frame in frames:
                self.rate, self.channels = self.rate or frame.sample_rate, self.channels or _width(frame)
                if (frame.sample_rate, _width(frame)) != (self.rate, self.channels):
                    stray += 1
                    if stray > _STRAY:
                        raise changes(self._path)
                    continue
                stray = 0
                if frame.samples:
                    yield _floats(frame)

    def close(self) -> None:
        if self._container is not None:
            self._container.close()


def _width(frame: Any) -> int:
    return len(frame.layout.channels)


def _floats(frame: Any) -> Samples:
    """A frame of FFmpeg's as float32 (samples, channels) in [-1, 1]."""
    data = frame.to_ndarray()
    stacked = data.T if frame.format.is_planar else data.reshape(-1, _width(frame))
    if stacked.dtype.kind == "f":
        floats: Samples = np.ascontiguousarray(stacked, np.float32)
        return floats
    middle = 128 if stacked.dtype == np.uint8 else 0
    full = np.float32(128 if middle else -float(np.iinfo(stacked.dtype).min))
    scaled: Samples = (stacked.astype(np.float32) - np.float32(middle)) / full
    return scaled


def no_samples(channels: int) -> Samples:
    return np.zeros((0, max(1, channels)), np.float32)


def changes(path: str | Path) -> WorkbenchError:
    return WorkbenchError(
        "the sample rate or the number of channels changes within the file",
        where=os.path.basename(path),
        hint="Cut it there, or convert it to WAV.",
    )


def unreadable(path: str | Path, error: Exception) -> WorkbenchError:
    said = str(error).replace(os.fspath(path), "").replace("file:", "").strip(" :'\"")[-80:]
    return WorkbenchError(
        f"no audio that can be read ({said or type(error).__name__})",
        where=os.path.basename(path),
        hint="Play it elsewhere; convert it to WAV or FLAC.",
    )
