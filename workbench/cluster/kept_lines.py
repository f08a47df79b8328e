"""What the tasks of a job found, a line of JSON each, kept as soon as it is there: a stopped job goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


class KeptLines:
    """Lines of a file by their ``key``, a digest of all that a line depends on.

    Args:
        path: of the file; readable by its owner only. A line that a kill cut off is passed over.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: IO[str] | None = None
        self.by_key: dict[str, dict[str, Any]] = {}
        for line in self._whole_lines():
            try:
                one = json.loads(line)
                self.by_key[one["key"]] = one
            except (ValueError, KeyError, TypeError):
                continue

    @contextmanager
    def open(self) -> Iterator[None]:
        """While this is open, :meth:`add` writes."""
        descriptor = os.open(self._path, os.O_APPEND | os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as self._stream:
            try:
                yield
            finally:
                self._stream = None

    def add(self, line: dict[str, Any]) -> None:
        """Know a line; written unless it tells an ``error``, which may be gone the next time."""
        self.by_key[line["key"]] = line
        if self._stream is not None and "error" not in line:
            self._stream.write(json.dumps(line) + "\n")
            self._stream.flush()
            os.fsync(self._stream.fileno())

    def _whole_lines(self) -> list[bytes]:
        if not self._path.exists():
            return []
        data = self._path.read_bytes()
        if data and not data.endswith(b"\n"):
            with self._path.open("ab") as stream:
                stream.write(b"\n")
        return data.splitlines()
