"""What a ``.nemo`` archive holds, read without NeMo and without running anything in it.

The archive is untrusted: member names, sizes, what its configuration names and the pickle of its weights are
checked before anything is built. There is one reading of it, as a plain tar. What is loaded are the members
that were checked, unpacked into a private folder: :meth:`Archive.unpack` writes the bytes that the inspection
held, copies the weights from the same file, unchanged since, and checks the copy.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from pickle import UnpicklingError
from typing import IO, Any, BinaryIO, cast

from workbench.errors import WorkbenchError, one_line
from workbench.plain_data import Limits, open_regular, parse_yaml
from workbench.recognizer import config_rules
from workbench.recognizer.config_rules import MODEL_CLASSES
from workbench.recognizer.shapes import Shape, shapes_of
from workbench.recognizer.torch_file import inspect

__all__ = ["CONFIG", "MODEL_CLASSES", "WEIGHTS", "Archive"]

CONFIG, WEIGHTS = "model_config.yaml", "model_weights.ckpt"
CONFIG_LIMITS = Limits(size=8 << 20, nodes=1_000_000, depth=32)
MAX_MEMBER_BYTES = 64 << 20
"""Of a file of the tokenizer."""
MAX_MEMBERS = 2000
MAX_HEADER_BYTES = 1 << 20
"""Of a name or of extended attributes, which are read into memory."""
_LONG_HEADERS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, b"K")
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz", b"\x28\xb5": "zstd"}
_STATE = ("st_dev", "st_ino", "st_size", "st_mtime_ns")
_digests: dict[tuple[int, ...], str] = {}
"""SHA-256 of files by their state."""


class Archive:
    """A checked ``.nemo`` file: its ``config``, and the ``shapes`` of its tensors by name.

    ``state`` is the file's own (device, number, size, time): what is loaded must still have it.

    Raises:
        WorkbenchError: not a plain tar, a member that leaves the folder, a link or device, a name twice, no
            configuration, one that :func:`config_rules.check` refuses, or weights that are not plain tensors.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise WorkbenchError("no such checkpoint", where=str(path), hint="Check the path.")
        with open_regular(path) as file:
            self.state = _state(file)
            self._check_magic(file)
            self._members = self._read_members(file)
            self.config = self._read_config(file)
            self._held = {name: self._read(file, name, MAX_MEMBER_BYTES) for name in self._tokenizer_files()}
            self.shapes = self._read_weights(io.BufferedReader(_Part(file, *self._member(WEIGHTS))))
        self._compare()

    @property
    def size(self) -> int:
        """Of the file, in bytes."""
        return self.state[2]

    @property
    def version(self) -> str:
        """Of the NeMo that saved it; empty where it does not say."""
        return str(self.config.get("nemo_version") or "")[:40]

    def sha256(self) -> str:
        """Of the file, in hexadecimal; computed once a process while the file is unchanged.

        Raises:
            WorkbenchError: the file has changed since it was opened, or cannot be read.
        """
        if self.state not in _digests:
            try:
                with open_regular(self.path) as file:
                    found = hashlib.file_digest(cast("io.BufferedReader", file), "sha256").hexdigest()
                    if _state(file) != self.state:
                        raise self._changed()
            except OSError as error:
                raise WorkbenchError(f"cannot be read: {error.strerror}", where=str(self.path)) from error
            _digests[self.state] = found
        return _digests[self.state]

    def read(self, name: str) -> bytes:
        """The bytes of a file of the tokenizer, as ``nemo:NAME`` in the configuration."""
        name = name.removeprefix("nemo:")
        if name not in self._held:
            raise self.refusal(f"it has no {name[:60]!r}")
        return self._held[name]

    def unpack(self, folder: Path) -> None:
        """Write the tokenizer's files and the weights into a folder, as they were checked.

        Raises:
            WorkbenchError: the file has changed since it was opened, or it cannot be read or written.
        """
        try:
            for name, data in self._held.items():
                (folder / name).write_bytes(data)
            with open_regular(self.path) as file, (folder / WEIGHTS).open("w+b") as copy:
                _copy(file, copy, *self._member(WEIGHTS))
                if _state(file) != self.state or self._read_weights(copy) != self.shapes:
                    raise self._changed()
        except OSError as error:
            hint = "A checkpoint takes its size again while it is loaded (in TMPDIR)."
            raise WorkbenchError(
                f"cannot be unpacked: {error.strerror}", where=self.path.name, hint=hint
            ) from error

    def _changed(self) -> WorkbenchError:
        what = "the file has changed since it was opened"
        return WorkbenchError(what, where=self.path.name, hint="Open it again.")

    def refusal(self, what: str, hint: str = "") -> WorkbenchError:
        return WorkbenchError(
            f"refused: {what}",
            where=self.path.name,
            hint=hint or "Use a checkpoint saved by NeMo from a trusted source.",
        )

    def _check_magic(self, file: BinaryIO) -> None:
        kind = _COMPRESSED.get(file.read(2))
        if kind is not None:
            raise self.refusal(
                f"compressed with {kind}",
                "NeMo saves plain tar archives: unpack it, and pack it with tar -cf.",
            )
        file.seek(0)

    def _read_members(self, file: BinaryIO) -> dict[str, tuple[int, int]]:
        """Offset and size of each file by its plain name."""
        members: dict[str, tuple[int, int]] = {}
        size, end = self.state[2], 0
        try:
            with tarfile.open(fileobj=file, mode="r:", tarinfo=_Member) as tar:
                for count, member in enumerate(tar):
                    name = str(PurePosixPath(member.name))
                    self._check_member(member, name)
                    if count >= MAX_MEMBERS or not end <= member.offset_data <= size - member.size:
                        raise self.refusal("it is cut short, or its members overlap")
                    end = member.offset_data + member.size
                    if name in members:
                        raise self.refusal(f"member {name[:60]!r} is there twice")
                    if member.isfile():
                        members[name] = (member.offset_data, member.size)
        except (tarfile.TarError, EOFError, OSError, ValueError, RecursionError, OverflowError) as error:
            if isinstance(error, WorkbenchError):
                raise
            text = one_line(str(error), limit=80)
            raise self.refusal(f"not a readable .nemo archive ({type(error).__name__}: {text})") from error
        return members

    def _check_member(self, member: tarfile.TarInfo, name: str) -> None:
        parts = PurePosixPath(member.name)
        if parts.is_absolute() or ".." in parts.parts or "\\" in name or "\0" in name:
            raise self.refusal(f"member {name[:60]!r} leaves the archive's folder")
        if member.issparse() or not (member.isreg() or member.isdir()):
            raise self.refusal(f"member {name[:60]!r} is a link or a device")
        if member.size < 0 or member.offset_data < member.offset:
            raise self.refusal(f"member {name[:60]!r} has no size")

    def _member(self, name: str) -> tuple[int, int]:
        if name not in self._members:
            raise self.refusal(f"it has no {name[:60]!r}")
        return self._members[name]

    def _read(self, file: BinaryIO, name: str, limit: int) -> bytes:
        offset, size = self._member(name)
        if size > limit:
            raise self.refusal(f"{name[:60]!r} has {size:,} bytes")
        return _Part(file, offset, size).readall()

    def _read_config(self, file: BinaryIO) -> dict[str, Any]:
        text = self._read(file, CONFIG, CONFIG_LIMITS.size)
        try:
            config = parse_yaml(text, limits=CONFIG_LIMITS)
        except WorkbenchError as error:
            raise self.refusal(f"{CONFIG} is not plain YAML ({error.what})") from error
        try:
            return config_rules.check(config)
        except WorkbenchError as error:
            raise self.refusal(error.what, error.hint) from error

    def _tokenizer_files(self) -> Iterator[str]:
        for key in ("model_path", "vocab_path", "spe_tokenizer_vocab"):
            value = self.config["tokenizer"].get(key)
            if value is not None:
                yield str(value).removeprefix("nemo:")

    def _read_weights(self, file: IO[bytes]) -> dict[str, Shape]:
        try:
            return shapes_of(inspect(file))
        except UnpicklingError as error:
            raise self.refusal(f"its weights are not plain tensors ({str(error)[:100]})") from error

    def _compare(self) -> None:
        """Weights and configuration describe models of like size, which the file can hold."""
        held = sum(map(math.prod, self.shapes.values()))
        if held > 4 * self._member(WEIGHTS)[1] + (1 << 20):
            raise self.refusal(f"its tensors have {held:,} elements, more than the file can hold")
        described = config_rules.parameters(self.config)
        if described > 4 * held + 20_000_000:
            raise self.refusal(f"its configuration describes {described:,} weights, the file holds {held:,}")


class _Member(tarfile.TarInfo):
    """A header whose long forms are limited: tarfile reads them into memory whole."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str | None, errors: str) -> _Member:
        found = super().frombuf(buf, encoding or "utf-8", errors)
        if found.size < 0 or (found.type in _LONG_HEADERS and found.size > MAX_HEADER_BYTES):
            raise tarfile.HeaderError("a header has no size or is too long")
        return found


class _Part(io.RawIOBase):
    """A stretch of a file, as a file; closing it leaves the file open, which is the archive's."""

    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        super().__init__()
        self._file, self._offset, self._size, self._at = file, offset, size, 0

    def readinto(self, buffer: Any, /) -> int:
        with memoryview(buffer).cast("B") as view:
            self._file.seek(self._offset + self._at)
            data = self._file.read(min(len(view), max(0, self._size - self._at)))
            view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise OSError("before the start of the file")
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def _copy(file: BinaryIO, copy: BinaryIO, offset: int, size: int) -> None:
    """A stretch of a file into another, by the system where it can: nothing passes through this process."""
    done = 0
    with contextlib.suppress(OSError):  # between file systems that cannot: what is left is copied below
        while hasattr(os, "copy_file_range") and done < size:
            step = os.copy_file_range(
                file.fileno(), copy.fileno(), min(size - done, 1 << 30), offset + done, done
            )
            if not step:
                break
            done += step
    copy.seek(done)
    shutil.copyfileobj(_Part(file, offset + done, size - done), copy, 8 << 20)


def _state(file: BinaryIO) -> tuple[int, ...]:
    found = os.fstat(file.fileno())
    return tuple(int(getattr(found, name)) for name in _STATE)
