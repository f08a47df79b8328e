"""Governance events of a workspace: append-only, hash-chained, erasable.

Two tables. ``events`` is the chain: each row's hash covers the hash before it, its own kind and time, and
a *salted digest* of its payload. ``payloads`` holds payload and salt; a row there can be erased without
breaking the chain, and once the salt is gone the digest says nothing about what it covered.

What a chain can show, and what it cannot: an edited, inserted, reordered or removed event in the middle is
always found. Removing the newest events, or recomputing the whole chain, is found only against a head that
was kept elsewhere (a bundle, a model card, a git commit); ``verify()`` says which of the two it checked.

Payloads hold hashes, counts, measurements and opaque ids. Text with spaces, path separators or letters
outside ASCII is refused: names, transcripts and paths have no place in a record that outlives them.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.database import Connections, as_integer, transaction
from workbench.errors import WorkbenchError
from workbench.glance import MOST_ROWS, Glance, as_html, as_text, counted
from workbench.signatures import public
from workbench.times import utc_now

SCHEMA_VERSION = 1
ERASED = "payload.erased"
_PAGE = 20_000
_TOKEN = re.compile(r"[A-Za-z0-9_.:+\-=%]{0,160}\Z")
_KIND = re.compile(r"[a-z][a-z0-9_.-]{0,63}\Z")

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE events (
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at TEXT NOT NULL, kind TEXT NOT NULL,
  digest BLOB NOT NULL, hash BLOB NOT NULL);
CREATE TABLE payloads (seq INTEGER PRIMARY KEY, salt BLOB NOT NULL, payload TEXT NOT NULL);
CREATE INDEX events_kind ON events (kind, seq);
CREATE TRIGGER events_fixed BEFORE UPDATE ON events
  BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
CREATE TRIGGER events_kept BEFORE DELETE ON events
  BEGIN SELECT RAISE(ABORT, 'events are never removed'); END;
"""


@dataclass(frozen=True, slots=True)
class Event:
    """One governance event. ``payload`` is None once erased; ``hash`` is hexadecimal, the chain so far."""

    seq: int
    id: str
    at: str
    kind: str
    payload: dict[str, Any] | None
    hash: str

    @property
    def erased(self) -> bool:
        return self.payload is None

    @property
    def actor(self) -> str | None:
        """Opaque id of who acted, where it was recorded and is not erased."""
        return None if self.payload is None else self.payload.get("actor")


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain at one moment; ``str(head)`` kept outside shows later rewriting."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"

    @classmethod
    def parse(cls, text: str | Head) -> Head:
        """Read ``seq:hash``.

        Raises:
            WorkbenchError: not in that form.
        """
        if isinstance(text, Head):
            return text
        match = re.fullmatch(r"(\d{1,15}):([0-9a-f]{64})", text.strip())
        if not match:
            raise WorkbenchError(
                "not a ledger head", where=text[:40], hint="A head reads NUMBER:64 hex digits."
            )
        return cls(int(match[1]), match[2])


@dataclass(frozen=True, slots=True)
class Verification:
    """What ``verify`` found. ``anchored``: an outside head was given and met, so truncation and rewriting up
    to that head are excluded; without one, ``str()`` says that they are not."""

    events: int
    erased: int
    head: Head
    anchored: bool
    faults: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.faults

    def __str__(self) -> str:
        if self.faults:
            more = f" (and {len(self.faults) - 3} more)" if len(self.faults) > 3 else ""
            return f"broken: {'; '.join(self.faults[:3])}{more}"
        text = f"intact: {self.events} events, {self.erased} erased"
        if self.anchored:
            return f"{text}; agrees with the outside head"
        return f"{text}; no outside head given, so removed newest events or a rewritten chain would not show"

    __repr__ = __str__


@public
class Ledger:
    """The ledger in one SQLite file; safe for several threads, notebooks and processes at once.

    A rollback journal, not WAL: homes on network drives cannot share WAL's memory file, and events are few.
    """

    def __init__(self, path: str | Path) -> None:
        """Open, creating where missing.

        Raises:
            WorkbenchError: not a ledger, of a newer schema, or it was there and is missing or empty now.
        """
        self.path = Path(path)
        self._connections = Connections(self.path, "secure_delete = ON", "synchronous = FULL")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = {"schema_version": str(SCHEMA_VERSION), "ledger": secrets.token_hex(16)}
        meta = "".join(f"INSERT INTO meta VALUES ('{name}', '{value}');\n" for name, value in new.items())
        self._connections.create(_SCHEMA + meta, "ledger")
        try:
            self._check_schema()
        except sqlite3.DatabaseError as error:
            what, hint = f"not a readable ledger ({error})", "Restore it from a backup."
            raise WorkbenchError(what, where=str(self.path), hint=hint) from error

    def append(self, kind: str, payload: Mapping[str, Any] | None = None) -> Event:
        """Add one event; when this returns it is on disk.

        Raises:
            WorkbenchError: the payload holds something other than hashes, counts and opaque ids.
        """
        return self.append_many([(kind, payload or {})])[-1]

    def append_many(self, items: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Event]:
        """Add events in one transaction: all of them or none."""
        ready = [(check_kind(kind), _canonical(check_payload(kind, payload))) for kind, payload in items]
        connection = self._connections.get()
        with transaction(connection):
            return self._insert(connection, ready)

    def append_once(self, kind: str, act: str, payload: Mapping[str, Any] | None = None) -> Event:
        """Add the event of an act unless it is there: whoever was cut off between an act and its record
        records it later, and nobody records it twice.

        Args:
            act: an opaque id of the act, kept in the payload.

        Raises:
            WorkbenchError: as :meth:`append`.
        """
        full = check_payload(kind, {**(payload or {}), "act": act})
        connection = self._connections.get()
        if (known := self.of_act(check_kind(kind), act)) is not None:
            return known
        with transaction(connection):
            return self.of_act(kind, act) or self._insert(connection, [(kind, _canonical(full))])[0]

    def of_act(self, kind: str, act: str) -> Event | None:
        """The event that records an act, see :meth:`append_once`; None where none does."""
        sql = (
            "SELECT e.seq FROM events e JOIN payloads p USING (seq) "
            "WHERE e.kind = ? AND instr(p.payload, ?) > 0 ORDER BY e.seq LIMIT 1"
        )
        row = self._connections.get().execute(sql, (kind, f'"act":{json.dumps(act)}')).fetchone()
        return None if row is None else next(self.events(after=row[0] - 1, limit=1))

    def _glance(self) -> Glance:
        many = len(self)
        if not many:
            return Glance("The ledger is empty: nothing was recorded yet.")
        last = list(self.events(after=many - MOST_ROWS))[::-1]
        head = "number", "when (UTC)", "what", "by", "payload"
        rows = [
            (str(e.seq), e.at[:19].replace("T", " "), e.kind, e.actor or "–", _brief(e.payload)) for e in last
        ]
        newest = f"the last {last[0].kind} on {last[0].at[:10]}"
        said = f"{counted(many, 'event')}, {newest}; verify() walks the chain."
        more = f"<p>Head, to be kept elsewhere: <code>{self.head()}</code></p>"
        return Glance(said, head, rows, many, more=more, about="the head of the chain")

    __repr__, _repr_html_ = as_text, as_html

    @property
    def read_only(self) -> bool:
        """Whether events can only be read here."""
        return self._connections.read_only

    def events(self, kind: str | None = None, after: int = 0, limit: int | None = None) -> Iterator[Event]:
        """Events in order, read in pages so that a long walk never holds the file locked.

        Args:
            kind: only this kind.
            after: only events with a larger ``seq``.
            limit: at most this many.
        """
        if kind is not None and not isinstance(kind, str):
            raise TypeError(f"kind is {str(kind)[:40]!r}: give the kind of an event, such as 'export'")
        left = limit
        while left is None or left > 0:
            rows = self._page(kind, as_integer(after), min(_PAGE, left) if left is not None else _PAGE)
            for seq, key, at, name, text, chain in rows:
                yield Event(seq, key, at, name, None if text is None else json.loads(text), chain.hex())
            if not rows:
                return
            after = rows[-1][0]
            left = None if left is None else left - len(rows)

    def latest(self, kind: str) -> Event | None:
        """The newest event of a kind."""
        if not isinstance(kind, str):
            raise TypeError(f"kind is {str(kind)[:40]!r}: give the kind of an event, such as 'export'")
        sql = "SELECT seq FROM events WHERE kind = ? ORDER BY seq DESC LIMIT 1"
        row = self._connections.get().execute(sql, (kind,)).fetchone()
        return None if row is None else next(self.events(after=row[0] - 1, limit=1))

    def find(self, event_id: str) -> Event:
        """The event of an id.

        Raises:
            WorkbenchError: there is none.
        """
        row = self._connections.get().execute("SELECT seq FROM events WHERE id = ?", (event_id,)).fetchone()
        if row is None:
            raise WorkbenchError(f"no event {event_id[:40]!r}", where=str(self.path))
        return next(self.events(after=row[0] - 1, limit=1))

    def __len__(self) -> int:
        return int(self._connections.get().execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])

    def head(self) -> Head:
        """The end of the chain now."""
        seq, chain = self._tail(self._connections.get())
        return Head(seq, chain.hex())

    def erase(self, event_id: str) -> Event:
        """Erase one event's payload and salt, and record that it was erased (never what it held).

        The freed bytes are overwritten in the file (``secure_delete``); copies in backups and in the storage
        below the file system are out of reach. Erasing twice is harmless. Returns the erasure's own event.

        Raises:
            WorkbenchError: no such event, or it is itself the record of an erasure.
        """
        event = self.find(event_id)
        if event.kind == ERASED:
            raise WorkbenchError("the record of an erasure holds nothing to erase", where=event_id)
        connection = self._connections.get()
        with transaction(connection):
            connection.execute("DELETE FROM payloads WHERE seq = ?", (event.seq,))
            record = _canonical({"event": event.id, "seq": event.seq})
            return self._insert(connection, [(ERASED, record)])[0]

    def verify(self, expected_head: str | Head | None = None) -> Verification:
        """Walk the chain and say what holds.

        Args:
            expected_head: a head kept outside the workspace; the ledger may have grown since.
        """
        expected = Head.parse(expected_head) if expected_head is not None else None
        try:
            return _walk(self, expected)
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            fault = f"the file cannot be read ({type(error).__name__})"
            return Verification(0, 0, Head(0, "0" * 64), False, (fault,))

    def close(self) -> None:
        """Close this thread's connection; it opens again when needed."""
        self._connections.close()

    def _insert(self, connection: sqlite3.Connection, ready: list[tuple[str, str]]) -> list[Event]:
        seq, previous = self._tail(connection)
        events, rows, payloads = [], [], []
        for kind, text in ready:
            seq += 1
            at, identity, salt = utc_now(), secrets.token_hex(8), secrets.token_bytes(16)
            digest = _digest(salt, text)
            previous = _link(previous, seq, identity, at, kind, digest)
            rows.append((seq, identity, at, kind, digest, previous))
            payloads.append((seq, salt, text))
            events.append(Event(seq, identity, at, kind, json.loads(text), previous.hex()))
        connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.executemany("INSERT INTO payloads VALUES (?, ?, ?)", payloads)
        return events

    def _check_schema(self) -> None:
        sql = "SELECT value FROM meta WHERE key = 'schema_version'"
        row = self._connections.get().execute(sql).fetchone()
        if row is None or not str(row[0]).isdigit():
            raise sqlite3.DatabaseError("it names no schema")
        if int(row[0]) > SCHEMA_VERSION:
            raise WorkbenchError(
                f"ledger of schema {row[0]}", where=str(self.path), hint="Update the workbench."
            )

    def _tail(self, connection: sqlite3.Connection) -> tuple[int, bytes]:
        row = connection.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        return (row[0], bytes(row[1])) if row else (0, self._genesis(connection))

    def _genesis(self, connection: sqlite3.Connection) -> bytes:
        row = connection.execute("SELECT value FROM meta WHERE key = 'ledger'").fetchone()
        return hashlib.sha256(f"workbench ledger {row[0] if row else ''}".encode()).digest()

    def _page(self, kind: str | None, after: int, limit: int) -> list[tuple[Any, ...]]:
        where = "e.seq > ?" + ("" if kind is None else " AND e.kind = ?")
        arguments = (after, limit) if kind is None else (after, kind, limit)
        sql = (
            "SELECT e.seq, e.id, e.at, e.kind, p.payload, e.hash FROM events e "
            f"LEFT JOIN payloads p USING (seq) WHERE {where} ORDER BY e.seq LIMIT ?"
        )
        return self._connections.get().execute(sql, arguments).fetchall()


def _brief(payload: Mapping[str, Any] | None) -> str:
    """The first plain values of a payload, digests shortened."""
    if payload is None:
        return "erased"
    told = {
        k: v for k, v in payload.items() if isinstance(v, str | int | float) and k not in ("actor", "act")
    }
    parts = [f"{name} {str(value)[:12]}" for name, value in list(told.items())[:3]]
    return ", ".join(parts) or "–"


def check_kind(kind: str) -> str:
    """The kind if it is a short lower-case word; raises ``WorkbenchError`` otherwise."""
    if not _KIND.match(kind):
        raise WorkbenchError(f"{kind[:40]!r} is no event kind", hint="Use words such as corpus.import.")
    return kind


def check_payload(kind: str, value: Any, where: str = "") -> Any:
    """The payload if it holds only numbers, flags, null and short ASCII tokens, in lists and mappings.

    Raises:
        WorkbenchError: the message names the field, never its content.
    """
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, str) and _TOKEN.match(value):
        return value
    if isinstance(value, Mapping):
        keys = {str(k): v for k, v in value.items()}
        if all(_TOKEN.match(k) for k in keys):
            return {k: check_payload(kind, v, f"{where}.{k}".lstrip(".")) for k, v in keys.items()}
    if isinstance(value, list | tuple):
        return [check_payload(kind, v, f"{where}[{i}]") for i, v in enumerate(value)]
    raise WorkbenchError(
        "the ledger keeps hashes, counts and opaque ids, not text, names or paths",
        where=f"{kind} {where}".strip(),
        hint="Record its digest or an opaque id instead.",
    )


def _walk(ledger: Ledger, expected: Head | None) -> Verification:
    connection = ledger._connections.get()
    previous, after, erased_without_record = ledger._genesis(connection), 0, set[int]()
    faults: list[str] = []
    erased, met = 0, expected is not None and expected.seq == 0
    sql = (
        "SELECT e.seq, e.id, e.at, e.kind, e.digest, e.hash, p.salt, p.payload FROM events e "
        "LEFT JOIN payloads p USING (seq) WHERE e.seq > ? ORDER BY e.seq LIMIT ?"
    )
    while rows := connection.execute(sql, (after, _PAGE)).fetchall():
        for seq, identity, at, kind, digest, chain, salt, text in rows:
            if seq != after + 1:
                faults.append(f"events {after + 1} to {seq - 1} are missing")
            if _link(previous, seq, identity, at, kind, digest) != chain:
                faults.append(f"event {seq} does not continue the chain")
            if text is None:
                erased += 1
                erased_without_record.add(seq)
            elif _digest(salt, text) != digest:
                faults.append(f"the payload of event {seq} was changed")
            if expected is not None and seq == expected.seq:
                met = chain.hex() == expected.hash
            previous, after = chain, seq
    # Read after the walk: an erasure recorded meanwhile must not look like a missing payload.
    recorded = {e.payload["seq"] for e in ledger.events(kind=ERASED) if e.payload}
    unrecorded = sorted(erased_without_record - recorded)
    faults += [f"the payload of event {seq} is gone without a recorded erasure" for seq in unrecorded[:100]]
    orphans = connection.execute("SELECT count(*) FROM payloads WHERE seq > ? OR seq < 1", (len(ledger),))
    if (count := orphans.fetchone()[0]) > 0:
        faults.append(f"{count} payloads belong to no event: the newest events were removed")
    if expected is not None and not met:
        what = "is missing" if expected.seq > after else "differs"
        faults.append(
            f"event {expected.seq} of the outside head {what}: the ledger was truncated or rewritten"
        )
    return Verification(after, erased, Head(after, previous.hex()), met, tuple(faults))


def _link(previous: bytes, seq: int, identity: str, at: str, kind: str, digest: bytes) -> bytes:
    return hashlib.sha256(
        b"%b%b%d\n%b" % (previous, digest, seq, f"{identity}\n{at}\n{kind}".encode())
    ).digest()


def _digest(salt: bytes, text: str) -> bytes:
    return hashlib.sha256(salt + text.encode()).digest()


def _canonical(payload: Any) -> str:
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), allow_nan=False)
