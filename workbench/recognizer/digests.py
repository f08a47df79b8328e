"""Digests of the recordings behind rows: what a prediction was made from can be told later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from workbench.files import sha256_file


def audio_digests(rows: Iterable[Mapping[str, Any]], audio_root: Path) -> list[str | None]:
    """SHA-256 of each row's file, hexadecimal; None where it cannot be read. A file is read once."""
    root = Path(audio_root)
    return [_of(root / str(row["audio_filepath"])) for row in rows]


def _of(path: Path) -> str | None:
    try:
        found = path.stat()
        return _hashed(path, found.st_size, found.st_mtime_ns)
    except OSError:
        return None


@lru_cache(maxsize=65_536)
def _hashed(path: Path, size: int, changed_ns: int) -> str:
    """``size`` and ``changed_ns`` are part of the key alone: a file that changed is read anew."""
    del size, changed_ns
    return sha256_file(path)
