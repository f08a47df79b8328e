"""Which file a row means: only from folders that the corpus may read, and only regular files."""

from __future__ import annotations

import functools
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from workbench.errors import WorkbenchError

_KINDS = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
)  # fmt: skip


def locate(written: str, roots: Sequence[Path]) -> Path:
    """The file of a row, as the row names it; links are followed only to see where they end.

    Raises:
        WorkbenchError: it lies outside the folders that may be read.
    """
    return Path(locate_text(written, [os.fspath(root) for root in roots]))


def locate_text(written: str, roots: Sequence[str]) -> str:
    """The same as text: a million rows need no million path objects.

    Raises:
        WorkbenchError: it lies outside the folders that may be read.
    """
    path = os.path.normpath(os.path.join(os.path.abspath(roots[0]), written))
    folder, name = os.path.split(path)
    # Folders are followed once, not per file: a corpus has few of them.
    ends = os.path.realpath(path) if os.path.islink(path) else os.path.join(_real(folder), name)
    if "\0" not in written and any(ends.startswith(_real(root) + os.sep) for root in roots):
        return path
    raise WorkbenchError(
        "the recording lies outside the corpus root",
        where=written[:200],
        hint="Import again with audio_roots=[...] naming the folder that may be read.",
    )


@functools.lru_cache(maxsize=4096)
def _real(root: str) -> str:
    return os.path.realpath(root)


def regular(path: str | Path) -> os.stat_result:
    """The state of a file that can be read to its end; opening a pipe would wait for ever.

    Raises:
        WorkbenchError: it is missing, empty, or no regular file.
    """
    name = os.path.basename(path)
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise WorkbenchError("the recording is missing", where=name, hint="Check the corpus root.") from None
    except (OSError, ValueError) as error:
        raise WorkbenchError(f"the recording cannot be read ({type(error).__name__})", where=name) from None
    if not stat.S_ISREG(found.st_mode):
        kind = next((what for test, what in _KINDS if test(found.st_mode)), "no regular file")
        raise WorkbenchError(f"the recording is {kind}, not a file", where=name, hint="Name a sound file.")
    if found.st_size == 0:
        raise WorkbenchError("the recording is empty (0 bytes)", where=name, hint="Fetch it again.")
    return found


Roots = str | Path | Sequence[str | Path]
"""A folder that may be read, or several; paths are relative to the first."""


def roots_of(roots: Roots) -> tuple[str, ...]:
    """Folders as absolute texts, as :class:`workbench.ingest.audio.rows.RowReader` takes them."""
    listed = [roots] if isinstance(roots, str | Path) else roots
    return tuple(os.path.abspath(os.path.expanduser(root)) for root in listed)
