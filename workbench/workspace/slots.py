"""Places for jobs: a *slot* is a lock file that is held, a *ticket* a place in the queue for one.

Who waits is served in the order of coming. Whose process ends, however it ends, holds neither any longer.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from workbench import locks
from workbench.errors import WorkbenchError

_POLL_S = 0.2


class Slot:
    """A slot that is held: its number and its open file."""

    def __init__(self, index: int, descriptor: int) -> None:
        self.index, self.descriptor = index, descriptor


@dataclass(frozen=True, slots=True)
class Ticket:
    """A place in the queue: its file, held by the descriptor (which a child process may inherit)."""

    path: Path
    descriptor: int

    def leave(self) -> None:
        """Leave the queue."""
        self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


def queue_up(folder: Path) -> Ticket:
    """Stand behind everyone who waits for a slot of this folder now."""
    queue = folder / "queue"
    with locks.alone(queue / "lock"):
        last = max((int(path.name.split("-")[0]) for path in _waiting(queue)), default=0)
        path = queue / f"{last + 1:09d}-{secrets.token_hex(4)}.ticket"
        descriptor = locks.hold(path)
    assert descriptor is not None
    return Ticket(path, descriptor)


@contextlib.contextmanager
def hold_slot(
    folder: Path,
    count: int,
    *,
    timeout_s: float | None = None,
    cancel: Callable[[], bool] | None = None,
    ticket: Ticket | None = None,
) -> Iterator[Slot]:
    """Hold one of ``count`` slots; waits until one is free and everyone who came earlier has one.

    Args:
        folder: where the lock files lie.
        count: how many jobs may run at once.
        timeout_s: give up after this many seconds; None waits for ever.
        cancel: asked while waiting; True gives up.
        ticket: a place taken in the queue before; default: the last one, now.

    Raises:
        WorkbenchError: no slot came free in time, or the wait was cancelled.
    """
    started = time.monotonic()
    place = ticket or queue_up(folder)
    try:
        while (slot := _take(folder, count, place)) is None:
            if cancel is not None and cancel():
                raise WorkbenchError("cancelled while waiting for a slot", where=str(folder))
            if timeout_s is not None and time.monotonic() - started > timeout_s:
                raise WorkbenchError(
                    f"all {count} slots are busy",
                    where=str(folder),
                    hint="Wait for a run to end, or raise slots.",
                )
            time.sleep(_POLL_S)
    finally:
        place.leave()
    try:
        yield slot
    finally:
        os.close(slot.descriptor)


def _take(folder: Path, count: int, place: Ticket) -> Slot | None:
    with locks.alone(folder / "queue" / "lock"):
        if _waiting(folder / "queue")[:1] != [place.path]:
            return None
        for index in range(count):
            if (descriptor := locks.hold(folder / f"{index}.lock")) is not None:
                return Slot(index, descriptor)
    return None


def _waiting(queue: Path) -> list[Path]:
    """Tickets that somebody holds, in order; under the queue's lock. Those of ended processes go."""
    waiting = []
    for path in sorted(queue.glob("*.ticket")):
        if locks.is_held(path):
            waiting.append(path)
        else:
            path.unlink(missing_ok=True)
    return waiting
