"""SQLite as the ledger and the decisions use it: a connection for each thread, transactions."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

BUSY_S = 60


class Connections:
    """Connections to one file. SQLite forbids carrying one to another thread or across a fork, so each thread
    gets its own, and a new one after a fork."""

    def __init__(self, path: Path, *pragmas: str) -> None:
        """``pragmas``: set on every new connection, such as ``synchronous = FULL``."""
        self.path, self.pragmas = path, pragmas
        self._local = threading.local()

    def create_private(self) -> None:
        """Make the file, readable by its owner alone, where it is missing."""
        if not self.path.exists():
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))

    def get(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit: group statements with :func:`transaction`."""
        if getattr(self._local, "pid", None) != os.getpid():
            self._local.connection = None
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None)
            for pragma in self.pragmas:
                connection.execute(f"PRAGMA {pragma}")
            self._local.connection, self._local.pid = connection, os.getpid()
        return connection

    def close(self) -> None:
        """Close this thread's connection; it opens again when needed."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All statements inside or none; waits for other writers first, so that what is read stays true."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
