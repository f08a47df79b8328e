"""Erasure: a person, a recording or a source leaves the workspace, and a certificate says what was done.

    plan = plan_erasure(ws, speaker="maria")      # the dry run: what is where
    certificate = erase(ws, plan)                 # does it

The order makes it safe to be killed at any point: the request is written down, checkpoints trained on the
data are marked, its name put on the suppression list, and only then is anything removed; every step may run
twice.
``finish_erasures`` completes what was cut off. The certificate holds counts and a keyed pseudonym, no name,
path or transcript. Backups and copies outside the workspace are beyond its reach; the certificate counts
those that were seen.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import shutil
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd

from workbench.corpus import record
from workbench.errors import WorkbenchError
from workbench.files import clear_folder_drafts, write_atomic
from workbench.finetuning import ancestry
from workbench.glance import Glance, as_html, as_text, counted, preformatted
from workbench.locks import WAIT_S, alone, erasure_lock, is_held
from workbench.privacy import removal, suppression_list, tainted_checkpoints, traces
from workbench.privacy.bleeping import UNFINISHED
from workbench.privacy.erasure_request import Target, Trace
from workbench.reading import read_json, readable
from workbench.shown import show_rows
from workbench.signatures import public
from workbench.times import parse_utc
from workbench.workspace.folder import WorkspaceFolder
from workbench.workspace.roles import require

log = logging.getLogger("workbench.privacy.erasure")
SCHEMA_VERSION = 1
BEGUN, ERASED = "erasure.begin", "erasure"
_BUSY = "another call is still writing with rows that it read before, or erases"


@public
@dataclass(frozen=True)
class ErasurePlan:
    """The dry run: every trace that was found and what would be done with it; nothing has been touched."""

    id: str
    target: Target
    traces: tuple[Trace, ...]
    marked: tuple[str, ...] = ()
    originals: bool = False

    @property
    def utterances(self) -> int:
        """How many utterances are to go."""
        return sum(len(ids) for ids in self.target.ids.values())

    def frame(self) -> pd.DataFrame:
        """One row a trace: ``where, path, action, count, why``."""
        rows = [{**asdict(trace), "path": str(trace.path)} for trace in self.traces]
        rows += [
            {"where": "checkpoint", "path": d, "action": "mark", "count": 1, "why": ""} for d in self.marked
        ]
        found = pd.DataFrame(rows, columns=["where", "path", "action", "count", "why"])
        return show_rows(found, f"{self}.", found.columns)

    def __str__(self) -> str:
        left = sum(trace.action == "leave" for trace in self.traces)
        return (
            f"{counted(self.utterances, 'utterance')} would be erased: "
            f"{counted(len(self.traces) - left, 'place')} changed or deleted, {left:,} left as they are, "
            f"{counted(len(self.marked), 'checkpoint')} marked as trained on them; nothing was touched yet"
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """By kind of trace, with the first of each: there may be thousands. All are in ``frame()``."""
        found = self.frame().fillna("").groupby(["where", "action", "why"], sort=False, as_index=False)
        table = found.agg(places=("path", "size"), traces=("count", "sum"), first=("path", "first"))
        rows = [
            (
                r["where"],
                r["action"],
                r["why"] or "–",
                f"{r['places']:,}",
                f"{int(r['traces']):,}",
                r["first"],
            )
            for r in table.to_dict("records")
        ]
        head = "where", "action", "why", "places", "traces", "first of them"
        return Glance(f"{self}.", head, rows).html(every=True)


@public
@dataclass(frozen=True)
class Certificate:
    """What an erasure did. ``subject``: keyed pseudonym; ``left``: what was seen and could not be removed, by
    reason; ``remaining``: traces that a second look still found (none, if all is well)."""

    id: str
    kind: str
    subject: str
    requested_at: str
    completed_at: str
    utterances: int
    done: dict[str, int]
    left: dict[str, int]
    remaining: int
    marked_checkpoints: tuple[str, ...]
    ledger_head: str
    schema_version: int = SCHEMA_VERSION
    digest: str = field(default="", compare=False)

    def _glance(self) -> Glance:
        state = "nothing remains" if not self.remaining else f"{counted(self.remaining, 'trace')} remain"
        marked = counted(len(self.marked_checkpoints), "checkpoint")
        said = f"{counted(self.utterances, 'utterance')} of one {self.kind} erased; {state}; {marked} marked."
        rows = [("done", what, f"{n:,}") for what, n in self.done.items()]
        rows += [("left", why, f"{n:,}") for why, n in self.left.items()]
        more = preformatted(self.to_json())
        return Glance(said, ("", "what", "traces"), rows, more=more, about="the certificate")

    __repr__, _repr_html_ = as_text, as_html

    def to_json(self) -> str:
        """The certificate as JSON text, without its digest."""
        body = {k: v for k, v in asdict(self).items() if k != "digest"}
        return json.dumps(body, indent=1, sort_keys=True)


@public
def plan_erasure(
    ws: WorkspaceFolder,
    *,
    speaker: str | None = None,
    recording: str | None = None,
    source: str | None = None,
    originals: bool = False,
) -> ErasurePlan:
    """Look for all traces of one speaker, recording or source. Touches nothing.

    Args:
        recording: ``audio_filepath`` as in its corpus, or the absolute path.
        originals: recordings that lie outside the workspace are to be deleted too.

    Raises:
        WorkbenchError: none or several of the three given, or nobody of that name.
    """
    given = {"speaker": speaker, "recording": recording, "source": source}
    named = [(kind, value) for kind, value in given.items() if value is not None]
    if len(named) != 1:
        raise WorkbenchError("name one speaker, recording or source", where="erase")
    finish_erasures(ws)
    kind, value = named[0]
    return _plan(ws, traces.select(ws, kind, value), originals)  # type: ignore[arg-type]


def plan_expired(
    ws: WorkspaceFolder, *, now: datetime | None = None, originals: bool = False
) -> ErasurePlan | None:
    """The dry run for everything past its keeping time; None where nothing is.

    ``keep_days`` comes from the row, else from the terms of its source, and counts from ``recorded_at``, else
    from the import.
    """
    finish_erasures(ws)
    ids = {name: _expired(ws, name, now or datetime.now(UTC)) for name in ws.corpus_names()}
    ids = {name: found for name, found in ids.items() if found}
    if not ids:
        return None
    return _plan(ws, traces.select(ws, "expired", "keep_days", ids), originals)


@public
def erase(ws: WorkspaceFolder, plan: ErasurePlan) -> Certificate:
    """Carry a plan out. Traces are looked for again, so that nothing written since the dry run is missed.

    Raises:
        WorkbenchError: the user lacks the steward role, or a run that trains on the data is still alive.
    """
    require(ws, "steward", "erase")
    _refuse_living_runs(ws, plan)
    folder = ws.path / "erasures"
    folder.mkdir(exist_ok=True, mode=0o700)
    target = plan.target
    request = {
        "id": plan.id,
        "requested_at": _now(),
        "originals": plan.originals,
        "target": {
            "kind": target.kind, "value": target.value, "ids": target.ids, "names": sorted(target.names),
            "texts": sorted(target.texts), "clips": target.clips,
        },
        "marked": ancestry.trained_on(ws, target.all_ids),
    }  # fmt: skip
    with alone(erasure_lock(ws.path), timeout_s=WAIT_S, busy=_BUSY):
        write_atomic(folder / f"{plan.id}.pending.json", json.dumps(request))
        return _carry_out(ws, folder / f"{plan.id}.pending.json")


def finish_erasures(ws: WorkspaceFolder) -> list[Certificate]:
    """Complete erasures that were cut off."""
    folder = ws.path / "erasures"
    if not any((*folder.glob("*.pending.json"), *folder.glob(".*.part"))):
        return []
    # Whoever else began to complete them is let finish.
    with alone(erasure_lock(ws.path), timeout_s=WAIT_S, busy=_BUSY):
        made = [_carry_out(ws, path) for path in sorted(folder.glob("*.pending.json"))]
        _shred_drafts(folder)
        return made


def certificates(ws: WorkspaceFolder) -> list[Certificate]:
    """All certificates, oldest first.

    Raises:
        WorkbenchError: one does not match the digest that the ledger holds.
    """
    digests = {
        e.payload["certificate"]: e.payload["digest"] for e in ws.ledger.events(kind=ERASED) if e.payload
    }
    found = []
    for path in (ws.path / "erasures").glob("erasure-*.json"):
        if path.name.endswith(".pending.json"):
            continue
        text = path.read_text(encoding="utf-8")
        digest = hashlib.sha256(text.encode()).hexdigest()
        if digests.get(path.stem) != digest:
            raise WorkbenchError(
                "a certificate was changed", where=str(path), hint="Restore it from a backup."
            )
        with readable(path, "the certificate"):
            raw = json.loads(text)
        raw["marked_checkpoints"] = tuple(raw["marked_checkpoints"])
        found.append(Certificate(**raw, digest=digest))
    return sorted(found, key=lambda c: c.completed_at)


def with_terms(ws: WorkspaceFolder, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with license, consent, purpose and keep_days of their source where they do not say themselves."""
    rows = rows.copy()
    source = rows.get("source")
    for name in ("license", "consent", "purpose", "keep_days"):
        held = {key: getattr(terms, name) for key, terms in ws.config.sources.items()}
        by_source = source.map(lambda s, held=held: held.get(s)) if source is not None else None
        if name not in rows:
            rows[name] = by_source
        elif by_source is not None:
            rows[name] = rows[name].astype(object).where(rows[name].notna(), by_source)
    return rows


def _plan(ws: WorkspaceFolder, target: Target, originals: bool) -> ErasurePlan:
    found = tuple(traces.find(ws, target, originals=originals))
    return ErasurePlan(
        f"erasure-{secrets.token_hex(6)}",
        target,
        found,
        tuple(ancestry.trained_on(ws, target.all_ids)),
        originals,
    )


def _clear_unfinished_copies(ws: WorkspaceFolder) -> None:
    """Take away what stopped calls left: a bleeping, whose voice is in it no table says, a run not yet made,
    whose plan names rows, which are made again; and an export that an erasure was about to delete."""
    for gone in ws.path.rglob(f".*{removal.ERASED}"):
        shutil.rmtree(gone, ignore_errors=True)
    clear_folder_drafts(ws.runs, older_s=1.0)
    for mark in ws.corpora.glob(f"*/{UNFINISHED}"):
        if mark.parent.name in ws.corpus_names():
            mark.unlink()
        else:
            shutil.rmtree(mark.parent)


def _carry_out(ws: WorkspaceFolder, pending: Path) -> Certificate:
    request = read_json(pending, "request for an erasure")
    raw = request["target"]
    target = Target(raw["kind"], raw["value"], raw["ids"], set(raw["names"]), set(raw["texts"]), raw["clips"])
    certificate = pending.parent / f"{request['id']}.json"
    utterances = sum(len(ids) for ids in target.ids.values())
    ws.record_once(BEGUN, request["id"], {"certificate": request["id"], "utterances": utterances})
    if ws.ledger.of_act(ERASED, request["id"]) is not None:  # cut off after it was recorded
        _forget_request(pending)
        return next(one for one in certificates(ws) if one.id == request["id"])
    tainted_checkpoints.add(ws, request["marked"], request["id"])
    suppression_list.place(ws, target)
    _clear_unfinished_copies(ws)
    found = traces.find(ws, target, originals=request["originals"])
    done: Counter[str] = Counter(request.get("done", {}))
    left: Counter[str] = Counter()
    for trace in found:
        if trace.action == "leave":
            left[f"{trace.where}: {trace.why}"] += trace.count
        else:
            removal.remove(trace, target)
            done[f"{trace.where}: {trace.action}"] += trace.count
            write_atomic(pending, json.dumps({**request, "done": done}))
    remaining = [t for t in traces.find(ws, target, originals=False) if t.action not in ("leave", "silence")]
    made = Certificate(
        id=request["id"],
        kind=target.kind,
        subject=ws.pseudonym(target.kind, target.value),
        requested_at=request["requested_at"],
        completed_at=_now(),
        utterances=utterances,
        done=dict(sorted(done.items())),
        left=dict(sorted(left.items())),
        remaining=len(remaining),
        marked_checkpoints=tuple(request["marked"]),
        ledger_head=str(ws.ledger.head()),
    )
    write_atomic(certificate, made.to_json())
    digest = hashlib.sha256(made.to_json().encode()).hexdigest()
    counts = {
        "utterances": made.utterances,
        "remaining": made.remaining,
        "marked": len(made.marked_checkpoints),
    }
    ws.record_once(ERASED, made.id, {"certificate": made.id, "digest": digest, **counts})
    _forget_request(pending)
    log.info("%s: %d utterances", made.id, made.utterances)
    return Certificate(**{**asdict(made), "digest": digest})


def _forget_request(pending: Path) -> None:
    # Renamed first: a request half overwritten could not be read again.
    os.replace(pending, pending.with_name(f".{pending.name}.part"))
    _shred_drafts(pending.parent)


def _shred_drafts(folder: Path) -> None:
    """Drafts that a kill left behind name the person as the request does. Under the lock none is written."""
    for path in folder.glob(".*.part"):
        removal.shred(path)


def _expired(ws: WorkspaceFolder, name: str, now: datetime) -> list[str]:
    folder = ws.corpora / name
    imported = parse_utc(str(record.read(folder).get("imported_at")))
    found = []
    for row in traces.rows_of(folder):
        terms = ws.config.sources.get(str(row.get("source")))
        days = row.get("keep_days")
        if days is None and terms is not None:
            days = terms.keep_days
        began = parse_utc(row["recorded_at"]) if row.get("recorded_at") else imported
        if days is not None and began is not None and began + timedelta(days=float(days)) < now:
            found.append(str(row["id"]))
    return found


def _refuse_living_runs(ws: WorkspaceFolder, plan: ErasurePlan) -> None:
    for trace in plan.traces:
        folder = next((p for p in trace.path.parents if p.parent == ws.runs), None)
        if folder is not None and is_held(folder / "lock"):
            raise WorkbenchError(
                "a run that uses these data is alive", where=folder.name, hint="Cancel it first."
            )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
