"""Where the recordings of a table lie: below its folder, by path, name or stem."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from workbench.ingest.audio import AUDIO_SUFFIXES

_UPLOADED = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of an uploaded file."""
_LOCAL = "/data/local-files/?d="
AMBIGUOUS = ""


class FoundAudio:
    """The recordings below a folder; the folder is walked when a path first leads nowhere.

    Attributes:
        folder: where the table lies.
        moved: paths of the table that were found elsewhere below the folder.
    """

    def __init__(self, folder: Path, prefixes: Iterable[str] = ()) -> None:
        """``prefixes``: folders below it to try first, such as ``clips``."""
        self.folder, self.moved = folder, 0
        self._prefixes = tuple(prefixes)
        self._by_name: dict[str, str] | None = None

    def find(self, written: str | None) -> str | None:
        """The path relative to the folder; what was written where no or more than one recording fits."""
        if not written:
            return written
        path = written.split(_LOCAL, 1)[1] if _LOCAL in written else written
        for prefix in ("", *self._prefixes):
            place = os.path.join(self.folder, prefix, path)
            if os.path.isfile(place) and _is_audio(path):
                return os.path.join(prefix, path) if path == written or prefix else path
        names = self._names()
        name = re.split(r"[/\\]", path)[-1]
        for key in (path.replace("\\", "/"), name, _UPLOADED.sub("", name), Path(name).stem):
            found = names.get(key)
            if found:
                self.moved += 1
                return found
        return written

    def all(self) -> list[str]:
        """Every recording below the folder, relative to it, in order."""
        return sorted(set(_walk(self.folder)))

    def _names(self) -> dict[str, str]:
        if self._by_name is None:
            self._by_name = {}
            for path in _walk(self.folder):
                name = os.path.basename(path)
                for key in {path, name, os.path.splitext(name)[0]}:
                    known = self._by_name.setdefault(key, path)
                    if known != path:
                        self._by_name[key] = AMBIGUOUS
        return self._by_name


def _is_audio(path: str) -> bool:
    return path.lower().endswith(AUDIO_SUFFIXES)


def _walk(folder: Path) -> Iterable[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = os.path.relpath(place, folder)
        for name in sorted(files):
            if _is_audio(name) and not name.startswith("."):
                yield name if inside == "." else os.path.join(inside, name)
