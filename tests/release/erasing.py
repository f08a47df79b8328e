"""An erasure that is killed with -9 at one of its steps: a change in the file system or an SQL statement.

Steps are counted by audit events (files opened for writing, renamed, removed, made, folders removed), by
``fsync`` and by the statements of every SQLite connection. Run in a process of its own.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

_CHANGES = frozenset({"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.truncate", "os.link"})


class Reaper:
    """Counts steps once it is armed, and kills its process at the wanted one; without one it only counts."""

    def __init__(self, at: int | None) -> None:
        self.at, self.steps, self.armed = at, 0, False

    def step(self) -> None:
        if self.armed:
            self.steps += 1
            if self.steps == self.at:
                os.kill(os.getpid(), signal.SIGKILL)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CHANGES or (event == "open" and _writes(arguments)):
            self.step()

    def arm(self) -> None:
        """Watch from now on. Connections that exist already are not heard."""
        connect, sync = sqlite3.connect, os.fsync

        def watched(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connection = connect(*arguments, **options)
            connection.set_trace_callback(lambda _: self.step())
            return connection

        def counted(descriptor: int) -> None:
            self.step()
            sync(descriptor)

        sqlite3.connect, os.fsync = watched, counted  # type: ignore[assignment]
        sys.addaudithook(self.hear)
        self.armed = True


def _writes(arguments: tuple[Any, ...]) -> bool:
    path, _, flags = arguments
    to_write = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
    return bool(to_write and isinstance(path, str | bytes | Path))


def erase_and_die(workspace: str, at: int | None, told: Any) -> None:
    """Erase Maria, killed at step ``at``; without one, ``told`` (a queue) hears how many steps there are."""
    from workbench.release import privacy
    from workbench.workspace import WorkspaceFolder

    plan = privacy.plan_erasure(WorkspaceFolder(workspace), speaker="Maria")
    reaper = Reaper(at)
    reaper.arm()
    privacy.erase(WorkspaceFolder(workspace), plan)
    reaper.armed = False
    told.put(reaper.steps)


def finish_and_look(workspace: str, told: Any) -> None:
    """What a later session finds after the kill, once it has completed what was cut off."""
    from erasable import traces_in

    from workbench.release import marks
    from workbench.release.privacy import certificates, finish_erasures
    from workbench.release.tombstones import tombstoned
    from workbench.workspace import WorkspaceFolder

    ws = WorkspaceFolder(workspace)
    begun = bool(list((ws.path / "erasures").glob("*.pending.json")))
    finished = finish_erasures(ws)
    made = certificates(ws)
    told.put({
        "begun": begun,
        "finished": len(finished),
        "ledger": ws.ledger.verify().ok,
        "certificates": len(made),
        "remaining": [c.remaining for c in made],
        "marks": len(marks.read(ws)),
        "left": traces_in(ws.path, "Maria", "nine four eight", "maria-1"),
        "pending": [p.name for p in (ws.path / "erasures").glob("*.pending.json")],
        "known_again": len(tombstoned(ws, [{"speaker": "Maria"}])),
        "finished_again": len(finish_erasures(ws)),
    })  # fmt: skip
