"""The one rule for paths: what a row may name as its recording, and what that becomes.

A path is relative to the corpus root or absolute inside a folder that may be read. Colons are letters of a
name (``call 10:30.wav``). Web addresses, commands, drives of Windows and homes (``~``) are refused;
backslashes of a Windows table are read as slashes. :func:`settled` is the rule, in Python, for one path; the
two tests beside it only say quickly, of many, which paths it would leave as they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST = 1_000
"""Characters (and bytes, in the quick test) of a path."""
CONTROL = r"[\x00-\x1f\x7f]"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")

NEEDS_A_LOOK = (
    "(starts_with({0}, '/') OR starts_with({0}, '~') OR contains({0}, '//') OR contains({0}, './') "
    "OR contains({0}, '\\') OR contains({0}, '|') OR substr({0}, 2, 2) = ':/' OR ends_with({0}, '.') "
    "OR ends_with({0}, '/'))"
)
"""SQL on a path: :func:`settled` may change or refuse it."""
NEEDS_A_LOOK_PATTERN = r"^[/~]|^ *$|//|\./|\\|\||^.:/|[./]$|" + CONTROL
"""The same as one pattern, with what is no path at all (empty, control characters)."""


def refused(written: str) -> str | None:
    """Why a path cannot be read whatever the roots: ``path_address``, ``path_command`` or ``path_drive``."""
    if _ADDRESS.match(written):
        return "path_address"
    if written.rstrip().endswith("|") or written.lstrip().startswith("|"):
        return "path_command"
    return "path_drive" if _DRIVE.match(written) else None


def settled(written: str, roots: Sequence[Path]) -> str | None:
    """A path inside one of the roots, relative to the first if inside it; None where it leaves them."""
    if refused(written) or written.startswith("~") or "\0" in written or not roots:
        return None
    written = written.replace("\\", "/")
    path = PurePosixPath(os.path.normpath(PurePosixPath(roots[0].as_posix()) / written))
    for index, root in enumerate(roots):
        inside = within(Path(path), root)
        if inside:
            return inside if index == 0 else str(path)
    return None


def within(path: Path, root: Path) -> str | None:
    """``path`` relative to ``root`` in POSIX form, '' for the root itself, None outside."""
    try:
        relative = path.relative_to(root).as_posix()
    except ValueError:
        return None
    return "" if relative == "." else relative


def ordinary(paths: pa.StringArray) -> bool:
    """Whether none of the paths needs a look: all there, relative, nothing odd in them.

    Looked for in the bytes of all paths at once, at a tenth of the price of a pattern matched on each. Some
    that are in order are refused too, such as those with a colon or a space at the beginning.
    """
    if paths.null_count or not len(paths):
        return not paths.null_count
    _, offsets, data = paths.buffers()
    ends = np.frombuffer(offsets, np.int32)[paths.offset : paths.offset + len(paths) + 1]
    if data is None or not np.diff(ends).all() or np.diff(ends).max() > LONGEST:
        return False
    codes = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
    first, last = codes[ends[:-1] - ends[0]], codes[ends[1:] - ends[0] - 1]
    slashes = codes == ord("/")
    doubled = slashes[1:] & (slashes[:-1] | (codes[:-1] == ord(".")))
    odd = [codes.min() < ord(" "), doubled.any()]
    odd += [(codes == code).any() for code in b":|\\\x7f"]
    odd += [(first == code).any() for code in b"/~ "] + [(last == code).any() for code in b"./"]
    return not any(odd)
