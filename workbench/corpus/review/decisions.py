"""What reviewers decided: every event kept, the current state a fold over the events that stand.

One SQLite file per corpus (WAL, ``synchronous=FULL``): when a call returns, its decision is on disk. An event
names its clips one by one, never only the filter that found them. Undo and redo are events too; they switch
what they refer to off and on. What was decided stays: of two reviewers' words on one clip the later shows,
both are kept, and ``conflicts()`` lists them until someone resolves it. Updated in place are how many clips
an event names, whether it stands, and what an erasure must empty.
"""

from __future__ import annotations

import itertools
import sqlite3
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.corpus.review import decision_digests, decision_erasure
from workbench.corpus.review import decision_queries as queries
from workbench.corpus.review.decision_digests import ClipSum
from workbench.corpus.review.edited_values import checked_id, checked_tag, checked_value
from workbench.corpus.review.kappa import kappa
from workbench.database import Connections, as_integer, transaction
from workbench.errors import WorkbenchError
from workbench.glance import Glance, as_html, as_text, counted
from workbench.names import current_user
from workbench.signatures import public
from workbench.times import utc_now

ACCEPTED, REJECTED, PENDING = "accepted", "rejected", "pending"


@dataclass(frozen=True, slots=True)
class Decision:
    """One event as it stands now. ``clips``: how many it names; ``stands``: false once undone."""

    seq: int
    at: str
    reviewer: str
    action: str
    field: str | None
    value: str | None
    reason: str | None
    filter: str | None
    clips: int
    refers: int | None
    stands: bool


@dataclass(frozen=True, slots=True)
class Conflict:
    """A clip and field on which reviewers differ: reviewer → (value, reason, event)."""

    id: str
    field: str
    views: dict[str, tuple[str | None, str | None, int]]


@public
class DecisionStore:
    """The events of one corpus; safe for several threads, notebooks and processes at once.

    ``ids`` arguments take one id or many. ``reviewer`` defaults to the current user.
    """

    def __init__(
        self,
        path: str | Path,
        guard: Callable[[str, str | None], None] | None = None,
        only: str | None = None,
    ) -> None:
        """Open, creating where missing.

        Args:
            only: whose words are read, as in a blind review; those of all by default. What is written is
                the same either way.
            guard: called with what is to be decided and in whose name, before anything is written; raises
                where that is not allowed.

        Raises:
            WorkbenchError: not a decision file, of a newer schema, or it was there and is now missing or
                empty.
        """
        self._guard, self.only = guard, only
        self.path = Path(path)
        self._connections = Connections(self.path, "journal_mode = WAL", "synchronous = FULL")
        self.counter: Callable[[str], int] | None = None
        self._connections.create(queries.SCHEMA, "file of decisions")
        try:
            connection = self._connections.get()
            decision_digests.add_column(connection)
            version = int(connection.execute("SELECT value FROM meta").fetchone()[0])
        except sqlite3.DatabaseError as error:
            raise WorkbenchError(
                f"not a readable file of decisions ({error})", where=str(self.path), hint="Restore a backup."
            ) from error
        if version > queries.SCHEMA_VERSION:
            raise WorkbenchError(f"decisions of schema {version}", where=str(path), hint="Update.")

    def _glance(self) -> Glance:
        rows = self._connections.get().execute(queries.BY_REVIEWER, (self.only,)).fetchall()
        if not rows:
            return Glance("No decision yet.")
        events = counted(sum(row[1] for row in rows), "decision")
        who = f"of {self.only}, as in a blind review" if self.only else f"by {counted(len(rows), 'reviewer')}"
        lines = [(name, f"{n:,}", f"{clips:,}", last[:16].replace("T", " ")) for name, n, clips, last in rows]
        return Glance(f"{events} {who}.", ("reviewer", "decisions", "clips", "last (UTC)"), lines)

    __repr__, _repr_html_ = as_text, as_html

    def at_once(self) -> AbstractContextManager[None]:
        """What is decided within is decided whole or not at all; others wait."""
        return transaction(self._connections.get())

    def accept(self, ids: str | Iterable[str], *, reviewer: str | None = None, filter: str = "") -> int:
        """Fit for use. Returns the event's number."""
        return self._add("status", ids, reviewer, "status", ACCEPTED, None, filter)

    def reject(
        self, ids: str | Iterable[str], reason: str, *, reviewer: str | None = None, filter: str = ""
    ) -> int:
        """Not fit for use, and why.

        Raises:
            WorkbenchError: no reason is given.
        """
        if not reason or not reason.strip():
            raise WorkbenchError("a rejection needs a reason", hint="Say in a few words what is wrong.")
        return self._add("status", ids, reviewer, "status", REJECTED, reason.strip(), filter)

    def reopen(self, ids: str | Iterable[str], *, reviewer: str | None = None, filter: str = "") -> int:
        """Back to pending."""
        return self._add("status", ids, reviewer, "status", PENDING, None, filter)

    def edit(
        self,
        ids: str | Iterable[str],
        field: str,
        value: str | float | None,
        *,
        reason: str | None = None,
        reviewer: str | None = None,
        filter: str = "",
    ) -> int:
        """Change a field of ``EDITABLE``: ``text``, ``target_lang``, ``accent``, ``speaker``, ``split``, or
        ``offset`` and ``duration`` in seconds; None means not known.

        Raises:
            WorkbenchError: another field, an unknown locale tag, text that no transcript can hold, or a time
                that is none.
        """
        return self._add("edit", ids, reviewer, field, checked_value(field, value), reason, filter)

    def assign_split(
        self, ids: str | Iterable[str], split: str, *, reviewer: str | None = None, filter: str = ""
    ) -> int:
        """Put clips into a split; returns the event's number."""
        return self.edit(ids, "split", split, reviewer=reviewer, filter=filter)

    def tag(
        self, ids: str | Iterable[str], tag: str, *, reviewer: str | None = None, filter: str = ""
    ) -> int:
        """Put a tag on clips; putting it on twice changes nothing.

        Raises:
            WorkbenchError: empty, or longer than 100 characters.
        """
        return self._add("tag", ids, reviewer, f"tag:{checked_tag(tag)}", "1", None, filter)

    def untag(
        self, ids: str | Iterable[str], tag: str, *, reviewer: str | None = None, filter: str = ""
    ) -> int:
        """Take a tag off; returns the event's number."""
        return self._add("tag", ids, reviewer, f"tag:{checked_tag(tag)}", None, None, filter)

    def resolve(
        self,
        id: str,
        field: str,
        value: str | None,
        reason: str | None = None,
        *,
        reviewer: str | None = None,
    ) -> int:
        """End a conflict: this value holds, and earlier views on it no longer count as differing.

        Raises:
            WorkbenchError: a rejection without a reason, or a value that ``edit`` would refuse.
        """
        if field == "status":
            if value not in (ACCEPTED, REJECTED, PENDING):
                raise WorkbenchError(f"no status {value!r}", hint="accepted, rejected or pending.")
            if value == REJECTED and not (reason or "").strip():
                raise WorkbenchError("a rejection needs a reason")
        else:
            value = checked_value(field, value)
        return self._add("resolve", id, reviewer, field, value, reason, "")

    def edit_together(
        self,
        id: str,
        edits: Mapping[str, str | float | None],
        *,
        accept: bool = False,
        reason: str | None = None,
        reviewer: str | None = None,
    ) -> list[int]:
        """Several edits of one clip as one decision: all are on disk or none is, and one undo takes all back.

        Args:
            edits: field → value, as :meth:`edit` takes them.
            accept: the clip is accepted too.
            reason: kept with each edit.

        Returns:
            the numbers of the events, in order.

        Raises:
            WorkbenchError: no edit, or one that :meth:`edit` would refuse.
        """
        if not edits:
            raise WorkbenchError("no field is named", hint="Say what to change: {'offset': 1.5}.")
        words = [("edit", name, checked_value(name, value), reason) for name, value in edits.items()]
        words += [("status", "status", ACCEPTED, None)] if accept else []
        for action in dict.fromkeys(action for action, *_ in words):
            self._ask(action, reviewer)
        who, at, clip = reviewer or current_user(), utc_now(), checked_id(id)
        connection, made = self._connections.get(), list[int]()
        with transaction(connection):
            for action, field, value, why in words:
                first = made[0] if made else None
                seq = queries.insert(connection, (at, who, action, field, value, why, None, 1, first))
                connection.execute("INSERT INTO targets VALUES (?, ?)", (clip, seq))
                decision_digests.keep(connection, seq)
                made.append(seq)
        return made

    def undo(self, *, reviewer: str | None = None) -> Decision | None:
        """Take back this reviewer's latest decision that stands; None where there is none."""
        return self._switch("undo", reviewer)

    def redo(self, *, reviewer: str | None = None) -> Decision | None:
        """Bring back what this reviewer last undid, unless they decided something since."""
        return self._switch("redo", reviewer)

    def history(self, id: str) -> list[Decision]:
        """Every decision that names a clip, oldest first, undone ones included."""
        sql = f"SELECT {queries.COLUMNS} FROM events JOIN targets USING (seq) WHERE clip = ?"
        sql += f" AND {queries.BY} ORDER BY seq"
        return [_decision(row) for row in self._connections.get().execute(sql, (id, self.only))]

    def events(self, after: int = 0, limit: int = 1_000_000) -> list[Decision]:
        """Events in order, undo and redo among them."""
        sql = f"SELECT {queries.COLUMNS} FROM events WHERE seq > ? AND {queries.BY} ORDER BY seq LIMIT ?"
        rows = self._connections.get().execute(sql, (as_integer(after), self.only, as_integer(limit)))
        return [_decision(row) for row in rows]

    def clips_of(self, seq: int) -> list[str]:
        """The ids that an event names."""
        return list(self.iter_clips(seq))

    def iter_clips(self, seq: int) -> Iterator[str]:
        """The same, in order, read as they are asked for: an event may name millions."""
        sql = "SELECT clip FROM targets WHERE seq = ? ORDER BY clip"
        rows = self._connections.get().execute(sql, (as_integer(seq),))
        return (row[0] for row in rows)

    def conflicts(self) -> list[Conflict]:
        """Clips on which two reviewers' latest words differ and nobody has resolved it since."""
        if self._reviewers() < 2:
            return []
        found = []
        rows = self._connections.get().execute(queries.VIEWS)
        for (clip, field), words in itertools.groupby(rows, lambda row: row[:2]):
            by = {reviewer: (value, reason, seq) for _, _, reviewer, value, reason, seq in words}
            if differ(value for value, _, _ in by.values()):
                found.append(Conflict(clip, field, by))
        return found

    def _reviewers(self) -> int:
        sql = "SELECT count(DISTINCT reviewer) FROM events WHERE stands = 1"
        return int(self._connections.get().execute(sql).fetchone()[0])

    def agreement(self) -> dict[str, float | int | None]:
        """How far reviewers agree on accepting and rejecting the clips that two or more of them judged.

        Returns:
            ``clips`` judged by more than one, ``agreed`` among them, and ``kappa``: Cohen's (1960) where
            exactly two reviewers did so, Fleiss's (1971) where more did; None where one outcome occurs.
        """
        shared = []
        judged = self._connections.get().execute(queries.JUDGED) if self._reviewers() > 1 else ()
        for _, words in itertools.groupby(judged, lambda row: row[0]):
            views = {reviewer: value for _, reviewer, value in words if value in (ACCEPTED, REJECTED)}
            shared += [views] if len(views) > 1 else []
        agreed = sum(len(set(views.values())) == 1 for views in shared)
        from workbench.shown import Facts

        said = f"{counted(len(shared), 'clip')} judged by several reviewers; on {agreed:,} they agree."
        return Facts({"clips": len(shared), "agreed": agreed, "kappa": kappa(shared, ACCEPTED)}, said)

    def words_of_reviewers(self) -> Iterator[tuple[str, str, str, str | None]]:
        """(clip, field, reviewer, value): each reviewer's own last word that stands, resolutions left out."""
        yield from self._connections.get().execute(queries.WORDS)

    def version(self) -> int:
        """Grows with every event; equal versions mean equal state."""
        return int(self._connections.get().execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])

    def state(self, after: int = 0) -> Iterator[tuple[str, str, str | None, str | None]]:
        """The fold: (clip, field, value, reason), for clips named by an event later than ``after``.

        Clips whose decisions were all undone come once, with field ''.
        """
        sql = queries.STATE_SINCE if after else queries.STATE
        yield from self._connections.get().execute(sql, {"after": as_integer(after), "who": self.only})

    def verify(self) -> list[str]:
        """What does not hold in the file, one sentence each; empty where all is well."""
        try:
            return decision_digests.faults(self._connections.get())
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            return [f"the file cannot be read ({type(error).__name__})"]

    def erase(self, ids: Iterable[str], *, texts: Iterable[str] = ()) -> int:
        """Remove every trace of clips: their targets, and the values of events that named only them.

        For erasure requests; the file's freed bytes are overwritten. Returns the targets removed.

        Args:
            texts: what is to be found in no value, reason or filter of others' decisions either.

        Raises:
            TypeError: something other than text among them; nothing is removed then.
        """
        return decision_erasure.erase(self._connections.get(), *map(_only_texts, (ids, texts)))

    def close(self) -> None:
        """Close this thread's connection; it opens again when needed."""
        self._connections.close()

    def _add(
        self,
        action: str,
        ids: str | Iterable[str],
        reviewer: str | None,
        field: str,
        value: str | None,
        reason: str | None,
        filter: str,
    ) -> int:
        clips = [ids] if isinstance(ids, str) else ids
        if isinstance(clips, Sequence) and not clips:
            raise _nothing_named()
        self._ask(action, reviewer)
        who = reviewer or current_user()
        connection = self._connections.get()
        with transaction(connection):
            row = (utc_now(), who, action, field, value, reason, filter or None, 0, None)
            seq = queries.insert(connection, row)
            # One by one as they come: a decision may name millions.
            summed = ClipSum()
            count = connection.executemany(
                "INSERT OR IGNORE INTO targets VALUES (?, ?)",
                ((clip, seq) for clip in summed.over(map(checked_id, clips))),
            ).rowcount
            if count < 1:
                raise _nothing_named()
            connection.execute("UPDATE events SET clips = ? WHERE seq = ?", (count, seq))
            decision_digests.keep(connection, seq, summed if summed.count == count else None)
        return seq

    def _ask(self, action: str, reviewer: str | None) -> None:
        if self._guard is not None:
            self._guard(f"decision.{action}", reviewer)

    def _switch(self, action: str, reviewer: str | None) -> Decision | None:
        self._ask(action, reviewer)
        connection = self._connections.get()
        who = reviewer or current_user()
        with transaction(connection):
            row = connection.execute(
                queries.UNDOABLE if action == "undo" else queries.REDOABLE, {"who": who}
            ).fetchone()
            if row is None:
                return None
            found = _decision(row)
            group = connection.execute(queries.TOGETHER, {"first": found.refers or found.seq}).fetchall()
            for (seq,) in group:
                stands = int(action == "redo")
                connection.execute("UPDATE events SET stands = ? WHERE seq = ?", (stands, seq))
                row = (utc_now(), who, action, None, None, None, None, found.clips, seq)
                decision_digests.keep(connection, queries.insert(connection, row))
        return found


def differ(values: Iterable[str | None]) -> bool:
    """Whether reviewers' words on one field are not the same; how a letter is composed is no difference."""
    seen = {None if value is None else unicodedata.normalize("NFC", value) for value in values}
    return len(seen) > 1


def _nothing_named() -> WorkbenchError:
    return WorkbenchError("no clip is named", hint="The filter may have matched nothing.")


def _decision(row: Sequence[Any]) -> Decision:
    return Decision(*[*row[:10], bool(row[10])])


def _only_texts(values: Iterable[str]) -> list[str]:
    found: list[str] = []
    for value in [values] if isinstance(values, str) else values:
        if not isinstance(value, str):
            raise TypeError(f"{str(value)[:40]!r} is no text")
        found.append(value)
    return found
