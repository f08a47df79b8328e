"""Files that ``torch.save`` wrote: looked into within limits first, then loaded as weights only.

torch's reader and Python's are kept to one view of the zip: its directory at the very end, nothing before the
first entry, no compression, no name twice, one pickle. The pickle is followed without being run (``shapes``);
what torch would take for ever over is refused before torch sees it.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any

from workbench.errors import WorkbenchError, one_line
from workbench.plain_data import open_regular
from workbench.recognizer.shapes import read_state

MAX_STATE_BYTES = 8 << 20
"""Of the pickle beside the tensors, which takes about 200 bytes a tensor."""
MAX_DIRECTORY_BYTES = 8 << 20
"""Of the zip's directory, which takes about 80 bytes a tensor."""
_END, _END_64, _LOCATOR = 22, 56, 20


def inspect(file: IO[bytes]) -> Any:
    """The value in a file of ``torch.save``: plain values as they are, tensors as their shapes.

    Args:
        file: seekable, from its first byte to its last.

    Raises:
        pickle.UnpicklingError: not such a file, beyond a limit, or it holds anything but tensors and plain
            values.
    """
    try:
        _check_directory(file)
        with zipfile.ZipFile(file) as held:
            return read_state(_pickle(held))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, struct.error, OSError) as error:
        raise UnpicklingError(f"not in torch's zip format: {one_line(str(error), limit=80)}") from error


def load(path: Path, what: str, *, mapped: bool = False) -> Any:
    """The value in a file of ``torch.save``, on the CPU; tensors and plain values only.

    Args:
        what: how the file is called in an error, such as "an adapter".
        mapped: tensors are the file's own pages, read when they are needed and copied when they are written
            to. Only for a file that nobody else can change, such as one in a private folder; it may be
            removed afterwards.

    Raises:
        WorkbenchError: no such file, damaged, or it holds anything else.
    """
    import torch

    with open_regular(path) as file:
        try:
            inspect(file)
            file.seek(0)
            source = str(path) if mapped else file
            return torch.load(source, map_location="cpu", weights_only=True, mmap=mapped)
        except Exception as error:  # torch raises what its parts raise: there is no common class
            hint = f"{type(error).__name__}: {one_line(str(error), limit=120)}"
            raise WorkbenchError(f"not {what} that can be read", where=str(path), hint=hint) from None


def _check_directory(file: IO[bytes]) -> None:
    """The zip's directory ends where the file ends, begins where its entries end, and is not too large."""
    size = file.seek(0, 2)
    if size < _END:
        raise zipfile.BadZipFile("too short")
    file.seek(size - _END)
    end = file.read(_END)
    length, offset, comment = struct.unpack("<12xIIH", end)
    if end[:4] != b"PK\5\6" or comment:
        raise zipfile.BadZipFile("its directory does not end the file")
    start = size - _END
    if start >= _LOCATOR + _END_64:
        file.seek(start - _LOCATOR - _END_64)
        long_end = file.read(_END_64 + _LOCATOR)
        if long_end[_END_64 : _END_64 + 4] == b"PK\6\7":
            if long_end[:4] != b"PK\6\6":
                raise zipfile.BadZipFile("its directory is not where it should be")
            start -= _LOCATOR + _END_64
            length, offset = struct.unpack("<40xQQ", long_end[:_END_64])
    if length > MAX_DIRECTORY_BYTES:
        raise zipfile.BadZipFile(f"a directory of {length} bytes")
    if offset + length != start:
        raise zipfile.BadZipFile("something stands before or after its entries")


def _pickle(held: zipfile.ZipFile) -> bytes:
    entries = held.infolist()
    names = {entry.filename for entry in entries}
    if len(names) < len(entries):
        raise zipfile.BadZipFile("a name is there twice")
    folder = entries[0].filename.partition("/")[0] if entries else ""
    if not all(name.startswith(f"{folder}/") for name in names):
        raise zipfile.BadZipFile("its entries lie in several folders")
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
        raise zipfile.BadZipFile("an entry is compressed or encrypted")
    if f"{folder}/constants.pkl" in names:
        raise zipfile.BadZipFile("it holds a program (TorchScript)")
    try:
        inner = held.getinfo(f"{folder}/data.pkl")
    except KeyError:
        raise zipfile.BadZipFile("it has no data.pkl") from None
    if inner.file_size > MAX_STATE_BYTES:
        raise zipfile.BadZipFile(f"its data.pkl has {inner.file_size} bytes")
    return held.read(inner)
