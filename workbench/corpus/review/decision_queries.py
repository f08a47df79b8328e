"""The tables of decisions, and the folds over them, in SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

SCHEMA_VERSION = 1

SCHEMA = f"""
PRAGMA journal_mode = WAL;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, reviewer TEXT NOT NULL, action TEXT NOT NULL,
  field TEXT, value TEXT, reason TEXT, filter TEXT, clips INTEGER NOT NULL, refers INTEGER,
  stands INTEGER NOT NULL DEFAULT 1, digest BLOB);
CREATE TABLE targets (clip TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (clip, seq))
  WITHOUT ROWID;
CREATE INDEX targets_seq ON targets (seq);
INSERT INTO meta VALUES ('schema_version', '{SCHEMA_VERSION}');
"""

COLUMNS = "events.seq, at, reviewer, action, field, value, reason, filter, clips, refers, stands"
BY = "(?2 IS NULL OR reviewer = ?2 OR action = 'erase')"
"""Of one reviewer and of erasures, or, where the second parameter is null, of all."""
BY_REVIEWER = """
SELECT reviewer, count(*), sum(clips), max(at) FROM events
WHERE stands = 1 AND action NOT IN ('undo', 'redo', 'erase') AND (?1 IS NULL OR reviewer = ?1)
GROUP BY reviewer ORDER BY count(*) DESC, reviewer
"""
# Latest standing word on each (clip, field): SQLite takes the other columns from the row with max(seq).
STATE = """
SELECT clip, field, value, reason FROM (
  SELECT clip, field, value, reason, max(events.seq) FROM events JOIN targets USING (seq)
  WHERE stands = 1 AND (:who IS NULL OR reviewer = :who) GROUP BY clip, field)
"""
TOUCHED = """
  SELECT clip FROM targets WHERE seq > :after
  UNION
  SELECT clip FROM targets WHERE seq IN (SELECT refers FROM events WHERE seq > :after AND refers NOT NULL)
"""
STATE_SINCE = f"""
WITH touched AS MATERIALIZED ({TOUCHED})
SELECT clip, field, value, reason FROM (
  SELECT clip, field, value, reason, max(events.seq)
  FROM touched CROSS JOIN targets USING (clip) JOIN events USING (seq)
  WHERE stands = 1 AND (:who IS NULL OR reviewer = :who) GROUP BY clip, field)
UNION ALL SELECT clip, '', NULL, NULL FROM touched
"""
JUDGED = """
SELECT clip, reviewer, value FROM (
  SELECT clip, reviewer, value, max(events.seq) FROM events JOIN targets USING (seq)
  WHERE stands = 1 AND field = 'status' GROUP BY clip, reviewer) ORDER BY clip, reviewer
"""
# Each reviewer's own last word; who resolves a difference has seen the others'.
WORDS = """
SELECT clip, field, reviewer, value FROM (
  SELECT clip, field, reviewer, value, max(events.seq) FROM events JOIN targets USING (seq)
  WHERE stands = 1 AND action IN ('edit', 'status') GROUP BY clip, field, reviewer)
ORDER BY clip, field, reviewer
"""
# A resolution wipes the slate: only words from it on count as differing.
VIEWS = """
WITH views AS (
  SELECT clip, field, reviewer, value, reason, events.seq AS seq, action
  FROM events JOIN targets USING (seq) WHERE stands = 1 AND field NOT LIKE 'tag:%'),
settled AS (SELECT clip, field, max(seq) AS seq FROM views WHERE action = 'resolve' GROUP BY clip, field)
SELECT v.clip, v.field, v.reviewer, v.value, v.reason, max(v.seq)
FROM views v LEFT JOIN settled s ON v.clip = s.clip AND v.field = s.field
WHERE v.seq >= coalesce(s.seq, 0) GROUP BY v.clip, v.field, v.reviewer ORDER BY v.clip, v.field, v.reviewer
"""
UNDOABLE = f"""
SELECT {COLUMNS} FROM events WHERE reviewer = :who AND stands = 1 AND action NOT IN ('undo', 'redo', 'erase')
ORDER BY seq DESC LIMIT 1
"""
# The latest undone one whose undoing is younger than the reviewer's latest decision.
_SWITCHED = "(SELECT max(u.seq) FROM events u WHERE u.refers = events.seq AND u.action IN ('undo', 'redo'))"
REDOABLE = f"""
SELECT {COLUMNS} FROM events WHERE reviewer = :who AND stands = 0 AND action NOT IN ('undo', 'redo', 'erase')
  AND {_SWITCHED} > coalesce((
    SELECT max(d.seq) FROM events d WHERE d.reviewer = :who AND d.action NOT IN ('undo', 'redo', 'erase')), 0)
ORDER BY {_SWITCHED} DESC LIMIT 1
"""
# What was decided in one with an event: a later one of a group refers to its first.
TOGETHER = """
SELECT seq FROM events WHERE (seq = :first OR refers = :first) AND action NOT IN ('undo', 'redo', 'erase')
ORDER BY seq
"""


def insert(connection: sqlite3.Connection, row: Sequence[Any]) -> int:
    """Write an event: at, reviewer, action, field, value, reason, filter, clips, refers. Its number."""
    sql = (
        "INSERT INTO events (at, reviewer, action, field, value, reason, filter, clips, refers) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )
    return int(connection.execute(sql, row).lastrowid or 0)
