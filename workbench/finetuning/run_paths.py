"""Paths that a run writes down: told from its own folder where they lie in its workspace.

A workspace that was moved or copied is one of its own: its runs must not reach into the old one.
"""

from __future__ import annotations

import os
from pathlib import Path

MARK = "run:"
"""Begins a path that is relative to the folder of the file that holds it."""


def portable(path: str, run: Path) -> str:
    """As it is written down.

    Args:
        path: absolute; anything else, such as a hub name, stays.
        run: the run's folder.
    """
    home = run.parent.parent
    inside = (
        Path(path).is_absolute() and Path(path).is_relative_to(home) and (home / "ledger.sqlite").exists()
    )
    return f"{MARK}{os.path.relpath(path, run)}" if inside else path


def settled(path: str, run: Path) -> str:
    """Where it lies now: what :func:`portable` was given, or what that became in a copy."""
    return os.path.normpath(run / path.removeprefix(MARK)) if path.startswith(MARK) else path
