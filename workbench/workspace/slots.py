"""Places for jobs: a *slot* is a file held with ``flock``.

The kernel lets go of it when a process ends, however it ends, so nothing has to be cleaned up after a crash
and process ids never decide anything.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from workbench.errors import WorkbenchError

_POLL_S = 0.2


class Slot:
    """A slot that is held: its number and its open file."""

    def __init__(self, index: int, descriptor: int) -> None:
        self.index, self.descriptor = index, descriptor


@contextlib.contextmanager
def hold_slot(
    folder: Path,
    count: int,
    *,
    timeout_s: float | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Iterator[Slot]:
    """Hold one of ``count`` slots; waits until one is free.

    Args:
        folder: where the lock files lie.
        count: how many jobs may run at once.
        timeout_s: give up after this many seconds; None waits for ever.
        cancel: asked while waiting; True gives up.

    Raises:
        WorkbenchError: no slot came free in time, or the wait was cancelled.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    started = time.monotonic()
    while (slot := _take(folder, count)) is None:
        if cancel is not None and cancel():
            raise WorkbenchError("cancelled while waiting for a slot", where=str(folder))
        if timeout_s is not None and time.monotonic() - started > timeout_s:
            raise WorkbenchError(
                f"all {count} slots are busy",
                where=str(folder),
                hint="Wait for a run to end, or raise slots.",
            )
        time.sleep(_POLL_S)
    try:
        yield slot
    finally:
        os.close(slot.descriptor)


def _take(folder: Path, count: int) -> Slot | None:
    for index in range(count):
        descriptor = os.open(folder / f"{index}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        return Slot(index, descriptor)
    return None


def is_free(path: Path) -> bool:
    """Whether nobody holds this lock file now."""
    if not path.exists():
        return True
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
