"""Samples of a file in order, as float32 (frames, channels): by libsndfile, or by FFmpeg's libraries (PyAV).

libsndfile comes first: it is quick, and exact in seeking PCM and FLAC. PyAV reads what it refuses (AAC, WMA,
AMR, WebM, G.722, GSM) and what it reads wrongly: an MP3 whose frames are not those of its header. Both are
told which file to open and nothing else: a list of other files or an address inside it is not followed.
"""

from __future__ import annotations

import functools
import io
import mmap
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np
import soundfile

from workbench.errors import WorkbenchError
from workbench.ingest.audio import containers
from workbench.ingest.audio.ffmpeg import AvDecoder, changes, no_samples, unreadable
from workbench.ingest.audio.locating import regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

AUDIO_SUFFIXES = (
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".m4b", ".mp4", ".aac", ".webm", ".mka", ".wma",
    ".caf", ".w64", ".rf64", ".aiff", ".aif", ".aifc", ".au", ".snd", ".sph", ".amr", ".3gp", ".g722", ".gsm",
)  # fmt: skip
"""Of files that are taken for recordings in a folder."""
_RAW = {".g722": "g722", ".gsm": "gsm"}
"""Headerless codecs: suffix → FFmpeg's name."""
_EXACT = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW")
_EXACT_FILES = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "NIST", "CAF", "FLAC")
_UNKNOWN_FRAMES = 1 << 48
"""libsndfile's count of frames from here on means that it does not know."""


class Decoder(Protocol):
    """An open file.

    Attributes:
        rate: Hz; channels. stated_s: seconds that the header states; None where it states nothing.
        exact: it can be asked for any frame, and ``frames`` is how many there are.
    """

    rate: int
    channels: int
    stated_s: float | None
    exact: bool
    frames: int

    def seek(self, frame: int) -> None:
        """Go on at a frame; only where ``exact``."""

    def read(self, count: int) -> Samples:
        """The next frames, fewer only at the end. What is damaged beyond repair is the end."""

    def close(self) -> None: ...


def open_sound(path: str | Path) -> Decoder:
    """The decoder that hears a file rightly.

    Raises:
        WorkbenchError: the file is missing, empty, a pipe or the like, or no audio that can be read.
    """
    size = regular(path).st_size
    suffix = os.path.splitext(path)[1].lower()
    try:
        with open(path, "rb") as stream:
            head = stream.read(16)
            if head[:4] == b"RIFF":
                return _wav(path, stream, size)
            if head[:4] == b"OggS":
                return _ogg(path, stream, size)
            if head[:3] == b"ID3" or containers.is_mp3(head):
                return _mp3(path, stream, size)
    except OSError as error:
        raise unreadable(path, error) from None
    if suffix in _RAW and not _known(head):
        return AvDecoder(path, _RAW[suffix])
    return _either(path)


def _known(head: bytes) -> bool:
    return head[:4] in (b"fLaC", b"FORM", b".snd", b"riff", b"caff") or head[4:8] == b"ftyp"


def _either(path: str | Path) -> Decoder:
    try:
        return SndDecoder(path)
    except (soundfile.LibsndfileError, RuntimeError, OSError, ValueError):
        return AvDecoder(path)


def _wav(path: str | Path, stream: BinaryIO, size: int) -> Decoder:
    facts = containers.wav_facts(stream, size)
    stated_s = None if facts is None else facts.stated_s
    if facts is not None and facts.streamed:
        there = min(facts.there, 0xFFFF_FFF0 - facts.first).to_bytes(4, "little")
        whole = min(size - 8, 0xFFFF_FFFF).to_bytes(4, "little")
        part = FilePart(path, 0, size, {4: whole, facts.size_at: there})
        made: Decoder = _or_av(part, path)
    else:
        made = _or_av(path, path)
    if stated_s is not None and made.frames:
        made.stated_s = stated_s
    return made


def _or_av(source: str | Path | FilePart, path: str | Path) -> Decoder:
    """GSM inside WAV cannot be sought in and is stated in other units; FFmpeg reads it as it is."""
    try:
        made = SndDecoder(source)
    except (soundfile.LibsndfileError, RuntimeError, OSError, ValueError):
        return AvDecoder(path)
    if made.seekable:
        return made
    made.close()
    return AvDecoder(path)


def _ogg(path: str | Path, stream: BinaryIO, size: int) -> Decoder:
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        links = containers.ogg_links(data)
    if links is None:
        return AvDecoder(path)
    try:
        if len(links) < 2:
            return SndDecoder(path)
        return ChainDecoder(path, links)
    except (soundfile.LibsndfileError, RuntimeError, OSError, ValueError):
        return AvDecoder(path)


def _mp3(path: str | Path, stream: BinaryIO, size: int) -> Decoder:
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        facts = containers.mp3_facts(data)
        tagged = containers.id3_bytes(data[:10])
        flac = data[tagged : tagged + 4] == b"fLaC"
    if facts is None:
        return _either(path) if flac or not tagged else AvDecoder(path)
    made: Decoder = _either(path) if facts.plain else AvDecoder(path)
    if facts.stated is not None and not facts.plain:
        made.stated_s = facts.stated * facts.frame_s
    return made


class FilePart:
    """A stretch of a file as a file of its own for libsndfile, some of its bytes replaced."""

    def __init__(
        self, path: str | Path, start: int, end: int, patches: dict[int, bytes] | None = None
    ) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 - closed with the decoder
        self._start, self._size, self._at = start, end - start, 0
        self._patches = patches or {}

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, count: int = -1) -> bytes:
        left = max(0, self._size - self._at)
        self._file.seek(self._start + self._at)
        data = self._file.read(left if count < 0 else min(count, left))
        for place, patch in self._patches.items():
            for at, byte in enumerate(patch, place - self._at):
                if 0 <= at < len(data):
                    data = data[:at] + bytes([byte]) + data[at + 1 :]
        self._at += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()


class SndDecoder:
    """By libsndfile. ``seekable``: it can be rewound, which Opus needs to skip what it has to skip."""

    def __init__(self, source: str | Path | FilePart) -> None:

        self._source, self._at = source, 0
        self._second: AvDecoder | None = None
        opened: Any = source if isinstance(source, FilePart) else os.fspath(source)
        try:
            self._file = _straight()(opened)
        except BaseException:
            if isinstance(source, FilePart):
                source.close()
            raise
        file = self._file
        self.rate, self.channels = int(file.samplerate), int(file.channels)
        self.seekable = file.can_seek()
        known = 0 <= file.frames < _UNKNOWN_FRAMES
        self.frames = int(file.frames) if known else 0
        self.stated_s = self.frames / self.rate if known else None
        subtype = str(file.subtype)
        exact = file.format in _EXACT_FILES and (subtype.startswith(_EXACT) or file.format == "FLAC")
        self.exact = exact and self.seekable and known
        if file.format == "OGG" and self.seekable:
            # As opened, libsndfile gives the lead-in of an Opus file and drops as much at its end.
            file.seek(0)

    def seek(self, frame: int) -> None:
        self._file.seek(frame)
        self._at = frame

    def read(self, count: int) -> Samples:
        if self._second is not None:
            return self._second.read(count)
        try:
            found: Samples = self._file.read(count, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError, OSError, ValueError):
            return self._go_on(count)
        self._at += len(found)
        return found

    def _go_on(self, count: int) -> Samples:
        """Behind a damaged frame of FLAC, where libsndfile gives up, FFmpeg goes on; what came before is the
        same by both. Any other damage is the end."""
        if self._file.format == "FLAC" and not isinstance(self._source, FilePart):
            with suppress(WorkbenchError):
                self._second = AvDecoder(self._source)
                if (self._second.rate, self._second.channels) == (self.rate, self.channels):
                    self._second.read(self._at)
                    return self._second.read(count)
        return no_samples(self.channels)

    def close(self) -> None:
        with suppress(Exception):  # what was read of a damaged file counts, not how it ends
            self._file.close()
        if self._second is not None:
            self._second.close()
        if isinstance(self._source, FilePart):
            self._source.close()


@functools.cache
def _straight() -> Any:
    """A ``SoundFile`` that reads on: the library's own seeks after each read, which changes an MP3."""

    class Straight(soundfile.SoundFile):  # type: ignore[misc]
        def seekable(self) -> bool:
            return False

        def can_seek(self) -> bool:
            return bool(super().seekable())

    return Straight


class ChainDecoder:
    """Ogg streams one behind the other, each by libsndfile; stated is the length of the first."""

    exact = False

    def __init__(self, path: str | Path, links: list[tuple[int, int]]) -> None:
        self._path, self._links, self._at = path, links, 0
        self._current = SndDecoder(FilePart(path, *links[0]))
        self.rate, self.channels = self._current.rate, self._current.channels
        self.stated_s, self.frames = self._current.stated_s, 0

    def seek(self, frame: int) -> None:
        raise io.UnsupportedOperation("this decoder reads from the start only")

    def read(self, count: int) -> Samples:
        parts: list[Samples] = []
        while count:
            found = self._current.read(count)
            parts.append(found)
            count -= len(found)
            if not len(found) and not self._next():
                break
        return np.concatenate(parts) if parts else no_samples(self.channels)

    def _next(self) -> bool:
        if self._at + 1 >= len(self._links):
            return False
        self._at += 1
        self._current.close()
        try:
            self._current = SndDecoder(FilePart(self._path, *self._links[self._at]))
        except (soundfile.LibsndfileError, RuntimeError, OSError, ValueError):
            raise WorkbenchError(
                f"stream {self._at + 1} of {len(self._links)} in the file cannot be read",
                where=os.path.basename(self._path),
                hint="Fetch it again, or cut it there.",
            ) from None
        if (self._current.rate, self._current.channels) != (self.rate, self.channels):
            raise changes(self._path)
        return True

    def close(self) -> None:
        self._current.close()
