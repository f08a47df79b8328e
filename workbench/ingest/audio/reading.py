"""Stretches of files and their true lengths.

A stretch is cut from what decoding the whole file gives. Where a codec cannot be sought in without changing
samples (Opus, Vorbis, MP3, AAC …), decoding begins at the first sample; a long file of which stretches are
asked again and again is decoded once into a nameless temporary file.
"""

from __future__ import annotations

import functools
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from workbench.errors import WorkbenchError
from workbench.ingest.audio.decoders import Decoder, open_sound
from workbench.ingest.audio.locating import regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

BLOCK = 1 << 19
"""Frames that are decoded at once where a stretch is long."""
ROUNDING_S = 0.01
"""Manifests round durations: a row that ends so close to the end of its file is read to the end."""
MOST_SAMPLES = 1 << 30
"""Of one stretch in memory (4 GiB); nobody says 18 hours in one utterance."""
_SPILL_AFTER_S = 60.0
_SPILL_BYTES = 4 << 30


@dataclass(frozen=True, slots=True)
class SoundFacts:
    """A file as it is, not as its header has it.

    Attributes:
        frames, sample_rate, channels, duration_s: by decoding; PCM by its bytes.
        stated_s: seconds that the header states; None where it states none.
    """

    frames: int
    sample_rate: int
    channels: int
    duration_s: float
    stated_s: float | None


def probe(path: str | Path) -> SoundFacts:
    """True length, rate in Hz and channels of a file; remembered while its size and time stay the same.

    Raises:
        WorkbenchError: the file is missing, no regular file, or no audio.
    """
    found = regular(path)
    return _probed(os.fspath(path), found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=65_536)
def _probed(path: str, size: int, mtime_ns: int) -> SoundFacts:
    sound = open_sound(path)
    try:
        frames = sound.frames if sound.exact and not path.lower().endswith(".flac") else 0
        while not frames or frames % BLOCK == 0:
            count = len(sound.read(BLOCK))
            frames += count
            if count < BLOCK:
                break
        return SoundFacts(frames, sound.rate, sound.channels, frames / sound.rate, sound.stated_s)
    finally:
        sound.close()


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of a file, decoded while one goes over it: ``blocks`` of float32 (frames, channels).

    ``rate`` in Hz; ``stated_s``: length of the whole file as its header has it, None where it says nothing.
    """

    rate: int
    channels: int
    stated_s: float | None
    blocks: Iterator[Samples]


def stretch(path: str | Path, offset_s: float = 0.0, duration_s: float | None = None) -> Stretch:
    """Open a stretch of a file; ``duration_s`` None reads to the end.

    Raises:
        WorkbenchError: the file is missing, no regular file, no audio, or ends before ``offset_s``.
    """
    sound: Decoder = _spilled(path, offset_s) or open_sound(path)
    return Stretch(sound.rate, sound.channels, sound.stated_s, _blocks(sound, path, offset_s, duration_s))


def _blocks(sound: Decoder, path: str | Path, offset_s: float, duration_s: float | None) -> Iterator[Samples]:
    try:
        _go_to(sound, path, offset_s)
        left = None if duration_s is None else round(duration_s * sound.rate)
        while left is None or left > 0:
            count = BLOCK if left is None else min(BLOCK, left)
            block = sound.read(count)
            if len(block):
                yield block
            if len(block) < count:
                return
            left = None if left is None else left - count
        slack = round(ROUNDING_S * sound.rate)
        rest = sound.read(slack + 1)
        if 0 < len(rest) <= slack:
            yield rest
    finally:
        sound.close()


def _go_to(sound: Decoder, path: str | Path, offset_s: float) -> None:
    start = round(offset_s * sound.rate)
    if start and sound.exact:
        if start >= sound.frames:
            raise _too_short(path, offset_s)
        sound.seek(start)
        return
    while start:
        skipped = len(sound.read(min(BLOCK, start)))
        if not skipped:
            raise _too_short(path, offset_s)
        start -= skipped


def read(path: str | Path, offset_s: float = 0.0, duration_s: float | None = None) -> tuple[Samples, int]:
    """Samples of a stretch of a file as float32 (frames, channels) in [-1, 1], and the sample rate in Hz.

    Raises:
        WorkbenchError: the file is missing, no regular file, no audio, ends before ``offset_s``, or the
            stretch is too long to hold.
    """
    found = stretch(path, offset_s, duration_s)
    blocks, held = [], 0
    for block in found.blocks:
        blocks.append(block)
        held += block.size
        if held > MOST_SAMPLES:
            hours = held / found.channels / found.rate / 3600
            raise WorkbenchError(
                f"more than {hours:.0f} hours of sound in one row",
                where=os.path.basename(path),
                hint="Give rows an offset and a duration.",
            )
    if not blocks and offset_s:
        raise _too_short(path, offset_s)
    if not blocks:
        return np.zeros((0, found.channels), np.float32), found.rate
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks), found.rate


def _too_short(path: str | Path, offset_s: float) -> WorkbenchError:
    return WorkbenchError(
        f"the recording ends before the offset {offset_s:.3f} s",
        where=os.path.basename(path),
        hint="Check the offset, or fetch the recording again.",
    )


class _SpillDecoder:
    """A long file, decoded once; its samples lie in a file without a name, which is gone with the process."""

    exact = True

    def __init__(self, stream: IO[bytes], rate: int, channels: int, frames: int) -> None:
        self._stream, self.rate, self.channels, self.frames = stream, rate, channels, frames
        self.stated_s: float | None = None
        self._at = 0

    def seek(self, frame: int) -> None:
        self._at = frame

    def read(self, count: int) -> Samples:
        wide = 4 * self.channels
        data = os.pread(self._stream.fileno(), count * wide, self._at * wide)
        found: Samples = np.frombuffer(data, np.float32).reshape(-1, self.channels)
        self._at += len(found)
        return found

    def close(self) -> None:
        """The file stays for the next stretch."""


_Key = tuple[str, int, int]
_spills: OrderedDict[_Key, _SpillDecoder] = OrderedDict()
_asked: OrderedDict[_Key, int] = OrderedDict()
_lock = threading.Lock()


def _spilled(path: str | Path, offset_s: float) -> _SpillDecoder | None:
    """The decoded copy of a file from whose depth a stretch is asked for the second time."""
    if offset_s < _SPILL_AFTER_S:
        return None
    state = regular(path)
    key = os.fspath(path), state.st_size, state.st_mtime_ns
    with _lock:
        held = _spills.pop(key, None)
        if held is None:
            times = _asked.pop(key, 0) + 1
            _asked[key] = times
            while len(_asked) > 1_000:
                _asked.popitem(last=False)
            held = _spill(path) if times == 2 else None
        if held is None:
            return None
        _spills[key] = held
        while len(_spills) > 1 and sum(4 * s.frames * s.channels for s in _spills.values()) > _SPILL_BYTES:
            _spills.popitem(last=False)
        return _SpillDecoder(held._stream, held.rate, held.channels, held.frames)


def _spill(path: str | Path) -> _SpillDecoder | None:
    sound = open_sound(path)
    try:
        if sound.exact:
            return None
        stream = tempfile.TemporaryFile(prefix="sound-")  # noqa: SIM115 - lives as long as its decoder
        frames = 0
        while len(block := sound.read(BLOCK)):
            if 4 * (frames + len(block)) * sound.channels > _SPILL_BYTES:
                stream.close()
                return None
            stream.write(block.tobytes())
            frames += len(block)
        stream.flush()
        return _SpillDecoder(stream, sound.rate, sound.channels, frames)
    finally:
        sound.close()
