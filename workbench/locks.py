"""One lock for whatever is read, changed and written: a file held with ``flock``, by a thread of a process.

The kernel lets go of it when the process ends, however it ends: nothing has to be cleaned up after a crash,
and process ids never decide anything. Lock files stay; an empty file says nothing.

Who reads, changes and writes a file of the workspace does all three inside :func:`alone`. Who reads rows and
writes something with them elsewhere is inside :func:`unerased`, so that no erasure comes in between. Locks
are taken from the outside in (erasures, a corpus, the releases, settings or lists), so that two never wait
for each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from workbench.errors import WorkbenchError

WAIT_S = 120.0
ERASING = "an erasure is being carried out"
_POLL_S = 0.02
_mine = threading.local()


@contextlib.contextmanager
def alone(path: Path, *, timeout_s: float = WAIT_S, busy: str = "") -> Iterator[None]:
    """Of all threads and processes, one at a time is inside; the thread that is may enter again.

    Where nothing can be written (a read-only mount), nobody changes anything and no lock is taken.

    Args:
        path: the lock file; made where it is missing, with its folder.
        timeout_s: how long to wait for whoever is inside.
        busy: what to say where it was not enough.

    Raises:
        WorkbenchError: somebody else held it all the time.
    """
    path = Path(os.path.realpath(path))
    inside = _entered()
    if path in inside:
        yield
        return
    descriptor = _wait(path, timeout_s, busy)
    inside.add(path)
    try:
        yield
    finally:
        inside.discard(path)
        if descriptor is not None:
            os.close(descriptor)


@contextlib.contextmanager
def together(path: Path, *, timeout_s: float = WAIT_S, busy: str = "") -> Iterator[None]:
    """Any number at once is inside, but nobody who wants to be :func:`alone` there; a thread that is alone
    there may enter.

    Args:
        path, timeout_s, busy: as :func:`alone` takes them.

    Raises:
        WorkbenchError: somebody was alone there all the time.
    """
    path = Path(os.path.realpath(path))
    descriptor = None if path in _entered() else _wait(path, timeout_s, busy, shared=True)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def hold(path: Path, *, shared: bool = False, create: bool = True) -> int | None:
    """Hold a lock file now, or not at all: its descriptor, to be closed; None where another one holds it.

    Args:
        shared: several may hold it so at once, as those do that only ask.
        create: make the file where it is missing.

    Raises:
        OSError: the file cannot be opened.
    """
    flags = os.O_CREAT | os.O_RDWR if create else os.O_RDONLY
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_held(path: Path) -> bool:
    """Whether somebody holds this lock file now; asking disturbs nobody for longer than an instant."""
    try:
        descriptor = hold(path, shared=True, create=False)
    except FileNotFoundError:
        return False
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def _entered() -> set[Path]:
    """The locks that this thread is inside of; none after a fork."""
    if getattr(_mine, "pid", None) != os.getpid():
        _mine.pid, _mine.inside = os.getpid(), set()
    found: set[Path] = _mine.inside
    return found


def _wait(path: Path, timeout_s: float, busy: str, *, shared: bool = False) -> int | None:
    end = time.monotonic() + timeout_s
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = hold(path, shared=shared)
        except OSError:
            if os.access(path.parent, os.R_OK) and not os.access(path.parent, os.W_OK):
                return None
            raise
        if descriptor is not None:
            return descriptor
        if time.monotonic() > end:
            raise WorkbenchError(
                busy or f"another process has been writing for {timeout_s:g} s",
                where=str(path.parent),
                hint="Let it finish, or stop it, and try again.",
            )
        time.sleep(_POLL_S)


@contextlib.contextmanager
def unerased(folder: Path) -> Iterator[None]:
    """Inside, no erasure is carried out where this corpus lies: what is written holds no row that is gone.

    Args:
        folder: of a corpus. One outside a workspace knows no erasure.
    """
    if folder.absolute().parent.name != "corpora":
        yield
        return
    with together(erasure_lock(folder.absolute().parent.parent), timeout_s=math.inf, busy=ERASING):
        yield


def erasure_lock(workspace: Path) -> Path:
    """Held alone by an erasure, and together by those who write what they read from rows."""
    return workspace / "locks" / "erasure"
