"""Kill -9 at a step: a change in the file system or an SQL statement, counted in a fork of this process.

Steps are counted by audit events (files opened for writing, renamed, removed, made, folders removed), by
``fsync`` and by the statements of every SQLite connection.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
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


def forked(work: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
    """Exit code of a fork of this process that does the work, and what the work returned."""
    mouth, ear = os.pipe()[::-1]
    sys.stdout.flush()
    if (child := os.fork()) == 0:
        try:
            os.write(mouth, json.dumps(work(*arguments)).encode())
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(mouth)
    with os.fdopen(ear) as stream:
        told = stream.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, json.loads(told) if told else None
