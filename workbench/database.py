"""SQLite as the ledger and the decisions use it: made whole, never made anew in place of one that was lost.

Beside each database lies a mark that it was made (``.NAME.made``, with its own number). Where the mark is and
the database is not, or is empty, it was lost or emptied, and that is said. What cannot be written (a mount
for reading) is read from a private copy, for SQLite wants to write where it reads.
"""

from __future__ import annotations

import contextlib
import operator
import os
import secrets
import shutil
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.files import clear_drafts, hold, naming_a_full_disk, sync, write_atomic

BUSY_S = 60
RESTORE = "Restore it from a backup."
_SIDES = ("-wal", "-shm", "-journal")
_MOST = (1 << 63) - 1


def as_integer(value: int) -> int:
    """The nearest number that SQLite can hold: no row has a larger one, and no limit needs one.

    Raises:
        TypeError: no whole number.
    """
    return max(-_MOST, min(operator.index(value), _MOST))


class Connections:
    """Connections to one file. SQLite forbids carrying one to another thread or across a fork, so each thread
    gets its own, and a new one after a fork."""

    def __init__(self, path: Path, *pragmas: str) -> None:
        """``pragmas``: set on every new connection, such as ``synchronous = FULL``."""
        self.path, self.pragmas = path, pragmas
        self._local = threading.local()
        self._read_from: Path | None = None

    @property
    def read_only(self) -> bool:
        """Whether the file can only be read; then what is read is a copy of it, made when it was opened."""
        return self._read_from is not None

    def create(self, script: str, what: str) -> None:
        """Make the database where there never was one; whole, or not at all.

        Args:
            script: SQL that makes its tables.
            what: how it is called in an error: "ledger".

        Raises:
            WorkbenchError: it was there and is missing or empty now, or cannot be made.
        """
        mark = mark_of(self.path)
        if self.path.exists():
            if not self.path.is_file():
                raise WorkbenchError(f"the {what} is no file", where=str(self.path), hint=RESTORE)
            if not self.path.stat().st_size:
                hint = f"{RESTORE} To begin anew, delete it and {mark.name}."
                raise WorkbenchError(f"the {what} is empty: it was emptied", where=str(self.path), hint=hint)
            if not os.access(self.path, os.W_OK) or not os.access(self.path.parent, os.W_OK):
                self._read_from = _copied(self.path)
                weakref.finalize(self, shutil.rmtree, self._read_from.parent, True)
            elif not mark.exists():  # whoever made it was cut off
                clear_drafts(self.path)
                write_atomic(mark, "")
            return
        if mark.exists():
            hint = f"{RESTORE} To begin anew, delete {mark.name}."
            raise WorkbenchError(
                f"the {what} is missing: it was there before", where=str(self.path), hint=hint
            )
        self._make(script)
        write_atomic(mark, "")

    def get(self) -> sqlite3.Connection:
        """This thread's connection, in autocommit: group statements with :func:`transaction`."""
        if getattr(self._local, "pid", None) != os.getpid():
            self._local.connection = None
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            # Never made by connecting: a file that is gone meanwhile is missing, not new.
            name = (self._read_from or self.path).absolute().as_uri()
            connection = sqlite3.connect(f"{name}?mode=rw", uri=True, timeout=BUSY_S, isolation_level=None)
            for pragma in self.pragmas:
                connection.execute(f"PRAGMA {pragma}")
            if self.read_only:
                connection.execute("PRAGMA query_only = ON")
            self._local.connection, self._local.pid = connection, os.getpid()
        return connection

    def close(self) -> None:
        """Close this thread's connection; it opens again when needed."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def _make(self, script: str) -> None:
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(6)}.part")
        try:
            with naming_a_full_disk(self.path):
                clear_drafts(self.path)
                living = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
                try:
                    hold(living)
                    connection = sqlite3.connect(draft, isolation_level=None)
                    try:
                        connection.executescript(script)
                    finally:
                        connection.close()
                    sync(draft)
                finally:
                    # Before others know the file: closing it later would drop their locks, of one process.
                    os.close(living)
                # Linked, not renamed: of two that make it at once, one database wins for both.
                with contextlib.suppress(FileExistsError):
                    os.link(draft, self.path)
                sync(self.path.parent)
        finally:
            draft.unlink(missing_ok=True)


def mark_of(path: Path) -> Path:
    """The file that says that a database was made here."""
    return path.with_name(f".{path.name}.made")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All statements inside or none; waits for other writers first, so that what is read stays true. One
    inside another is part of it.

    Raises:
        WorkbenchError: the disk is full, or nothing can be written here.
    """
    if connection.in_transaction:
        yield
        return
    with _explained(connection):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if connection.in_transaction:  # a full disk has rolled it back already
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


@contextlib.contextmanager
def _explained(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        with naming_a_full_disk(Path(_name(connection))):
            yield
    except sqlite3.OperationalError as error:
        if "readonly" in str(error):
            where, hint = _name(connection), "Open a workspace that can be written to."
            raise WorkbenchError("it can only be read", where=where, hint=hint) from error
        if "locked" in str(error) or "busy" in str(error):
            what = f"another process has been writing for {BUSY_S} s"
            raise WorkbenchError(what, where=_name(connection), hint="Try again.") from error
        raise


def _name(connection: sqlite3.Connection) -> str:
    return str(connection.execute("PRAGMA database_list").fetchone()[2])


def _copied(path: Path) -> Path:
    """A private copy, with what its writers have not folded in yet."""
    folder = Path(tempfile.mkdtemp(prefix="workbench-"))
    for side in ("", *_SIDES):
        source = path.with_name(path.name + side)
        if source.exists():
            shutil.copyfile(source, folder / source.name)
            (folder / source.name).chmod(0o600)
    return folder / path.name
