"""Digests of decisions: what a disk changed by itself in a file of decisions is found by ``verify``.

The digest of an event covers its words and the clips it names, those in no order. Whether an event stands
follows from the later ones that undo and redo it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_COVERED = "at, reviewer, action, field, value, reason, filter, clips, refers"
_MODULUS = 1 << 64


class ClipSum:
    """Adds up the clips that go by."""

    def __init__(self) -> None:
        self.total = self.count = 0

    def over(self, clips: Iterable[str]) -> Iterator[str]:
        """The same clips, added up as they go by."""
        for clip in clips:
            mark = hashlib.blake2b(clip.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            self.total = (self.total + int.from_bytes(mark, "big")) % _MODULUS
            self.count += 1
            yield clip


def add_column(connection: sqlite3.Connection) -> None:
    """Give a file of an earlier version room for digests; its events stay without one."""
    if not has_column(connection) and not connection.execute("PRAGMA query_only").fetchone()[0]:
        connection.execute("ALTER TABLE events ADD COLUMN digest BLOB")


def has_column(connection: sqlite3.Connection) -> bool:
    return any(row[1] == "digest" for row in connection.execute("PRAGMA table_info(events)"))


def keep(connection: sqlite3.Connection, seq: int, summed: ClipSum | None = None) -> None:
    """Write down the digest of an event.

    Args:
        summed: its clips, where they were added up already.
    """
    digest = _digest(_row(connection, seq), summed or _sum_of(connection, seq))
    connection.execute("UPDATE events SET digest = ? WHERE seq = ?", (digest, seq))


def faults(connection: sqlite3.Connection) -> list[str]:
    """What does not hold, one sentence each: the file itself, the digests, which events stand."""
    found = [
        f"the file is damaged: {row[0]}"
        for row in connection.execute("PRAGMA integrity_check(5)")
        if row[0] != "ok"
    ]
    if has_column(connection):
        held = connection.execute("SELECT seq, digest FROM events WHERE digest IS NOT NULL").fetchall()
        found += [
            f"event {seq} was changed"
            for seq, digest in held
            if _digest(_row(connection, seq), _sum_of(connection, seq)) != digest
        ]
    wrong = """
        SELECT e.seq FROM events e WHERE e.action NOT IN ('undo', 'redo', 'erase') AND e.stands <> coalesce(
          (SELECT u.action = 'redo' FROM events u WHERE u.refers = e.seq AND u.action IN ('undo', 'redo')
           ORDER BY u.seq DESC LIMIT 1), 1)
    """
    found += [
        f"event {seq} stands or does not against what was undone" for (seq,) in connection.execute(wrong)
    ]
    return found


def _row(connection: sqlite3.Connection, seq: int) -> Sequence[Any]:
    found: Sequence[Any] = connection.execute(
        f"SELECT {_COVERED} FROM events WHERE seq = ?", (seq,)
    ).fetchone()
    return found


def _sum_of(connection: sqlite3.Connection, seq: int) -> ClipSum:
    summed = ClipSum()
    rows = connection.execute("SELECT clip FROM targets WHERE seq = ?", (seq,))
    for _ in summed.over(row[0] for row in rows):
        pass
    return summed


def _digest(row: Sequence[Any], summed: ClipSum) -> bytes:
    text = json.dumps([*row, summed.count, summed.total], default=str)
    return hashlib.sha256(text.encode()).digest()
