"""What the bytes of a sound file say: where headers are known to err, so that a fitting decoder is chosen.

Nothing here decodes. A choice depends on the bytes alone, so that all parts hear a file by one decoder.
"""

from __future__ import annotations

import itertools
import mmap
import struct
from dataclasses import dataclass
from typing import BinaryIO

Bytes = bytes | mmap.mmap

HEAD = 4_096
"""Bytes in which the header of a WAV file is looked for."""
_PCM, _EXTENSIBLE = 1, 0xFFFE
_HUGE = 0x7FFF_0000
"""A WAV that was streamed states a size from here on, or 0: nobody knew it when the header was written."""
_AFTER_SOUND = (b"LIST", b"fact", b"id3 ", b"ID3 ", b"cue ", b"smpl", b"bext", b"JUNK", b"PAD ", b"afsp")


def wav_layout(data: memoryview) -> tuple[int, int, int, int] | None:
    """Where the samples of a whole 16-bit PCM WAV file lie: first byte, frames, channels, sample rate in Hz.

    None for any other kind of file. Reading the samples from there is many times as fast as opening the
    file by libsndfile, which counts where clips last a second or two.
    """
    if bytes(data[:4]) != b"RIFF" or bytes(data[8:12]) != b"WAVE":
        return None
    at, channels, rate = 12, 0, 0
    while at + 8 <= min(len(data), HEAD):
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


@dataclass(frozen=True, slots=True)
class Wav:
    """A WAV file's own account of its sound.

    Attributes:
        size_at: byte where the size of the sound stands; first: of the sound itself.
        stated: bytes of sound that it states; there: bytes that follow.
        frame_bytes: of one frame of all channels, 0 where frames have no fixed size; rate: Hz.
        channels: how many. kind: code of the format, that of its own in an extensible header.
    """

    size_at: int
    first: int
    stated: int
    there: int
    frame_bytes: int
    rate: int
    channels: int = 0
    kind: int = 0

    @property
    def streamed(self) -> bool:
        """It states no size, but there is sound."""
        return self.there > 0 and (self.stated == 0 or (self.stated >= _HUGE and self.stated > self.there))

    @property
    def stated_s(self) -> float | None:
        """Seconds that the header states; None where that cannot be told from it."""
        return self.stated / self.frame_bytes / self.rate if self.frame_bytes and self.rate else None


def wav_facts(stream: BinaryIO, file_size: int) -> Wav | None:
    """The header of a RIFF file; None where it is none or has no sound. RF64 has its own way to be long."""
    stream.seek(0)
    head = stream.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    at, frame_bytes, rate, channels, kind = 12, 0, 0, 0, 0
    for _ in range(1_000):
        stream.seek(at)
        name, size = struct.unpack("<4sI", found) if len(found := stream.read(8)) == 8 else (b"", 0)
        at += 8
        if name == b"fmt " and len(fields := stream.read(min(size, 26))) >= 16:
            kind, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", fields)
            if kind == _EXTENSIBLE and len(fields) == 26:
                kind = struct.unpack_from("<H", fields, 24)[0]
            frame_bytes = block if block == channels * bits // 8 and kind not in (2, 0x11, 0x31) else 0
        elif name == b"data":
            there = max(0, file_size - at)
            # A sound of 0 bytes with more behind it is empty, not streamed.
            if size == 0 and stream.read(4) in _AFTER_SOUND:
                there = 0
            return Wav(at - 4, at, size, there, frame_bytes, rate, channels, kind)
        elif not name or at + size > file_size:
            return None
        at += size + size % 2
    return None


_RATES = (44_100, 48_000, 32_000)
_KBITS = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
"""Of layer III: MPEG 1, and MPEG 2 and 2.5."""


def id3_bytes(head: bytes) -> int:
    """Length of the ID3v2 tag that a file begins with, 0 where there is none."""
    if head[:3] != b"ID3" or len(head) < 10 or any(byte & 0x80 for byte in head[6:10]):
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return 10 + size + (10 if head[5] & 0x10 else 0)


def is_mp3(head: bytes) -> bool:
    """Whether a frame of MPEG audio stands at the beginning."""
    return len(head) >= 4 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and _frame(head, 0) is not None


@dataclass(frozen=True, slots=True)
class Mp3:
    """Frames of an MP3, gone over from header to header.

    Attributes:
        stated: frames that its Xing header states; None without one. counted: those that are there.
        frame_s: seconds of a frame. plain: nothing but frames of one kind, and as many as are stated.
    """

    stated: int | None
    counted: int
    frame_s: float
    plain: bool


def mp3_facts(data: Bytes) -> Mp3 | None:
    """Count the frames; None where no frame of layer III stands at the beginning."""
    start = at = id3_bytes(data[:10])
    first = _frame(data, at)
    if first is None:
        return None
    stated = _xing(data, start, first)
    count, kind, one_kind = 0, first[1:], True
    while (found := _frame(data, at)) is not None:
        one_kind &= found[1:] == kind
        count += 1
        at += found[0]
    ended = at == len(data) or (data[at : at + 3] == b"TAG" and len(data) - at == 128)
    counted = count - (stated is not None)
    return Mp3(stated, counted, kind[2] / kind[0], one_kind and ended and stated == counted)


def _frame(data: Bytes, at: int) -> tuple[int, int, int, int] | None:
    """Bytes, sample rate, channels and samples of the layer III frame at a place; None if there is none."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] & 0xE6 != 0xE2:
        return None
    version, second = data[at + 1] >> 3 & 3, data[at + 2]
    kbits, rate_index = second >> 4, second >> 2 & 3
    if version == 1 or kbits in (0, 15) or rate_index == 3:
        return None
    first = version == 3
    rate = _RATES[rate_index] >> (0 if first else 1 if version == 2 else 2)
    samples = 1_152 if first else 576
    size = samples // 8 * 1_000 * _KBITS[0 if first else 1][kbits] // rate + (second >> 1 & 1)
    return size, rate, 1 if data[at + 3] >> 6 == 3 else 2, samples


def _xing(data: Bytes, at: int, frame: tuple[int, int, int, int]) -> int | None:
    """Frames that the Xing or Info header in the first frame states."""
    size, _, channels, samples = frame
    side = (32 if channels == 2 else 17) if samples == 1_152 else (17 if channels == 2 else 9)
    head = data[at : at + min(size, 64)]
    place = 4 + side
    if head[place : place + 4] not in (b"Xing", b"Info") or len(head) < place + 12:
        return None
    flags, frames = struct.unpack_from(">II", head, place + 4)
    return int(frames) if flags & 1 else None


def ogg_links(data: Bytes) -> list[tuple[int, int]] | None:
    """The streams that were put one behind the other, as byte ranges; None where several run side by side.

    There are none where damage took the page that begins a stream.

    libsndfile stops at the end of the first, and FFmpeg forgets what an Opus stream after the first skips.
    """
    starts: list[int] = []
    serials: set[int] = set()
    at, beginning = 0, False
    while at + 27 <= len(data):
        if data[at : at + 4] != b"OggS":
            at = data.find(b"OggS", at + 1)
            if at < 0:
                break
            continue
        flags, count = data[at + 5], data[at + 26]
        if flags & 2:
            if not beginning:
                starts.append(at)
                serials = set()
            serials.add(struct.unpack_from("<I", data, at + 14)[0])
            if len(serials) > 1:
                return None
        beginning = bool(flags & 2)
        at += 27 + count + sum(data[at + 27 : at + 27 + count])
    return list(itertools.pairwise([*starts, len(data)]))
