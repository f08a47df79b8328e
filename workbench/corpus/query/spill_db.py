"""Room on disk for what does not fit into memory: beside the corpus, gone with the process that needed it."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

MEMORY_LIMIT = "700MB"
PREFIX = ".scratch-"
"""How such a folder's name begins."""


def folder(home: Path) -> Path:
    """A path for such a folder in a corpus folder, not made yet; what killed processes left there goes.

    DuckDB makes the folder once it needs it, and removes it when its database is closed.
    """
    here = f"{PREFIX}{socket.gethostname()}-"
    for left in home.glob(f"{here}*"):
        pid = left.name.removeprefix(here).split("-")[0]
        if pid.isdigit() and not _runs(int(pid)):
            shutil.rmtree(left, ignore_errors=True)
    return home / f"{here}{os.getpid()}-{secrets.token_hex(4)}"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def database(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB of one's own, empty, that puts on disk what is beyond MEMORY_LIMIT."""
    place = folder(home)
    connection = duckdb.connect(
        ":memory:", config={"memory_limit": MEMORY_LIMIT, "temp_directory": str(place)}
    )
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET preserve_insertion_order = false")
    try:
        yield connection
    finally:
        connection.close()
        shutil.rmtree(place, ignore_errors=True)
