"""Erasure in a file of decisions: what was decided on clips, and texts that others' decisions repeat."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from workbench.corpus.review import decision_digests
from workbench.corpus.review import decision_queries as queries
from workbench.database import transaction
from workbench.names import current_user
from workbench.times import utc_now


def erase(connection: sqlite3.Connection, ids: Iterable[str], texts: Iterable[str]) -> int:
    """Remove the targets of clips, the values of events that named only them, and every value, reason or
    filter that holds one of ``texts``; the freed bytes are overwritten. Returns the events touched."""
    connection.execute("PRAGMA secure_delete = ON")
    with transaction(connection):
        found = [(clip,) for clip in dict.fromkeys(ids)]
        touched = {
            row[0] for clip in found
            for row in connection.execute("SELECT seq FROM targets WHERE clip = ?", clip)
        }  # fmt: skip
        connection.executemany("DELETE FROM targets WHERE clip = ?", found)
        for seq in touched:
            left = connection.execute("SELECT count(*) FROM targets WHERE seq = ?", (seq,)).fetchone()[0]
            if not left:
                sql = "UPDATE events SET value = NULL, reason = NULL, filter = NULL WHERE seq = ?"
                connection.execute(sql, (seq,))
        for column in ("value", "reason", "filter"):
            for text in texts:
                of_it = f"instr({column}, ?) > 0"
                touched |= {
                    s for (s,) in connection.execute(f"SELECT seq FROM events WHERE {of_it}", (text,))
                }
                connection.execute(f"UPDATE events SET {column} = NULL WHERE {of_it}", (text,))
        for seq in touched:
            decision_digests.keep(connection, seq)
        row = (utc_now(), current_user(), "erase", None, None, None, None, len(found), None)
        decision_digests.keep(connection, queries.insert(connection, row))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return len(touched)
