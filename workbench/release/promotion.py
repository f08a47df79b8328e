"""Which checkpoint is in production: three pointers that move together, and bytes that can be brought back.

    releases/store/SHA256.nemo                      every released file, under its own hash, never changed
    releases/generations/000007/                    pointers.json and links production, candidate, previous
    releases/current -> generations/000007          one rename moves all three

A move is: write the next generation, record it in the ledger, turn ``current``. The record is the commit: a
process killed before it leaves nothing, a process killed after it is completed by whoever comes next. Serve
``releases/current/production.nemo``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.files import held_draft, sha256_file, sync, write_atomic
from workbench.glance import Glance, as_html, as_text
from workbench.locks import alone
from workbench.names import check_name
from workbench.privacy import tainted_checkpoints
from workbench.recognizer.archive import Archive
from workbench.suites.predictions import unbound
from workbench.workspace.folder import WorkspaceFolder
from workbench.workspace.roles import require

log = logging.getLogger("workbench.release.promotion")
MOVED, GATED = "release.move", "release.gate"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Pointer:
    """A checkpoint in the store. ``gate``: digest of the report it was let through on; ``reason``: why it was
    let through without one that passes (kept here, not in the ledger)."""

    name: str
    sha256: str
    since: str
    gate: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Pointers:
    """The three pointers at one generation."""

    generation: int = 0
    production: Pointer | None = None
    candidate: Pointer | None = None
    previous: Pointer | None = None

    def _glance(self) -> Glance:
        places = {"production": self.production, "candidate": self.candidate, "previous": self.previous}
        rows = [
            (place, found.name, found.sha256[:12], found.since) if found else (place, "–", "–", "–")
            for place, found in places.items()
        ]
        first = f"{self.production.name} is" if self.production else "Nothing is"
        said = f"{first} in production; generation {self.generation}."
        return Glance(said, ("pointer", "release", "digest", "since"), rows)

    __repr__, _repr_html_ = as_text, as_html

    def to_json(self) -> str:
        return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(self)}, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Pointers:
        raw = json.loads(text)
        made = {n: Pointer(**raw[n]) if raw[n] else None for n in ("production", "candidate", "previous")}
        return cls(int(raw["generation"]), **made)


def pointers(ws: WorkspaceFolder) -> Pointers:
    """Where the pointers stand; a move that was recorded and then cut off is completed first.

    Raises:
        WorkbenchError: the pointers on disk are not those of the ledger.
    """
    with _locked(ws):
        return _settle(ws)


def stage(ws: WorkspaceFolder, name: str, checkpoint: Path, *, generation: int | None = None) -> Pointers:
    """Copy a checkpoint into the store and make it the candidate.

    Args:
        generation: of the pointers that were looked at; None: whatever candidate there is gives way.

    Raises:
        WorkbenchError: no such file, a hostile archive (see ``recognizer.archive``), or the pointers moved
            meanwhile.
    """
    require(ws, "trainer", "release.stage")
    check_name(name)
    Archive(Path(checkpoint))
    digest = _into_store(ws, Path(checkpoint))
    with _locked(ws):
        now = _settle(ws)
        if generation is not None:
            _expect(now, generation)
        return _move(ws, "stage", replace(now, candidate=Pointer(name, digest, _now())))


def promote(
    ws: WorkspaceFolder, *, generation: int, candidate: str | None = None, override: str | None = None
) -> Pointers:
    """Make the candidate production, and production previous; a candidate that is in production already
    leaves previous as it is.

    Args:
        generation: the generation of the pointers that the decision was made on.
        candidate: SHA-256 of the checkpoint that is meant; another candidate is refused.
        override: a reason to promote without a gate report that passes; recorded as an override.

    Raises:
        WorkbenchError: no candidate; no passing gate report on a suite for its bytes, or suite, predictions
            or report changed since; its bytes changed; trained on data
            since erased; someone else moved first; or the user is no releaser.
    """
    require(ws, "releaser", "release.promote")
    with _locked(ws):
        now = _settle(ws)
        _expect(now, generation)
        if now.candidate is None:
            raise WorkbenchError(
                "there is no candidate", hint="Stage one first; or it was promoted meanwhile."
            )
        staged = now.candidate
        if candidate is not None and staged.sha256 != candidate:
            raise WorkbenchError("another candidate is staged", where=staged.name, hint="Stage this one.")
        _verified(ws, staged)
        if erased := tainted_checkpoints.read(ws).get(staged.sha256):
            text = f"the candidate was trained on data since erased ({', '.join(erased)})"
            raise WorkbenchError(text, hint="Train again without it.")
        report = _gate_of(ws, staged.sha256)
        if not override and (verdict := _not_let_through(ws, report)):
            raise WorkbenchError(
                f"not promoted: {verdict}", where=staged.name, hint="Gate it, or give override='why'."
            )
        made = replace(staged, since=_now(), gate=report["report"] if report else None, reason=override)
        again = now.production is not None and now.production.sha256 == made.sha256
        previous = now.previous if again else now.production
        after = Pointers(now.generation, production=made, candidate=None, previous=previous)
        return _move(ws, "promote", after, override=bool(override))


def roll_back(ws: WorkspaceFolder, *, generation: int, production: str | None = None) -> Pointers:
    """Bring the previous checkpoint back; the one that was in production becomes previous.

    The bytes are hashed before the pointers move and again through the link that is served.

    Args:
        generation: the generation of the pointers that the decision was made on.
        production: SHA-256 of the release that is to be taken back; refused where another one is served.

    Raises:
        WorkbenchError: nothing to go back to, its bytes changed, someone else moved first, or no releaser.
    """
    require(ws, "releaser", "release.roll_back")
    with _locked(ws):
        now = _settle(ws)
        _expect(now, generation)
        if production is not None and (now.production is None or now.production.sha256 != production):
            served = now.production.name if now.production else "no release"
            raise WorkbenchError(
                f"not rolled back: in production is {served}, not the release to be taken back",
                hint="It may have been rolled back already; look again first.",
            )
        if now.previous is None:
            raise WorkbenchError("there is no previous release to go back to")
        _verified(ws, now.previous)
        after = replace(now, production=replace(now.previous, since=_now()), previous=now.production)
        moved = _move(ws, "roll_back", after)
    link = ws.releases / "current" / "production.nemo"
    assert moved.production is not None
    if sha256_file(link) != moved.production.sha256:
        raise WorkbenchError("the restored file changed under way", where=str(link), hint="Roll back again.")
    return moved


def verify(ws: WorkspaceFolder) -> list[str]:
    """Faults of the pointers and of the files behind them, one sentence each; empty when all is well."""
    try:
        now = pointers(ws)
    except WorkbenchError as error:
        return [str(error)]
    faults = []
    for role in ("production", "candidate", "previous"):
        pointer: Pointer | None = getattr(now, role)
        if pointer is not None:
            try:
                _verified(ws, pointer)
            except WorkbenchError as error:
                faults.append(f"{role}: {error}")
                continue
            link = ws.releases / "current" / f"{role}.nemo"
            if not link.exists() or link.resolve() != stored(ws, pointer.sha256).resolve():
                faults.append(f"{role}: its link points elsewhere")
    return faults


def stored(ws: WorkspaceFolder, digest: str) -> Path:
    """Where the store keeps the file of a hash."""
    return ws.releases / "store" / f"{digest}.nemo"


def _into_store(ws: WorkspaceFolder, checkpoint: Path) -> str:
    store = ws.releases / "store"
    store.mkdir(exist_ok=True, mode=0o700)
    with held_draft(store / "incoming") as draft:
        shutil.copyfile(checkpoint, draft)
        # The copy is hashed, not the original: it cannot be swapped between hashing and copying.
        digest = sha256_file(draft)
        draft.chmod(0o400)
        sync(draft)
        os.replace(draft, stored(ws, digest))
        sync(store)
    return digest


def _verified(ws: WorkspaceFolder, pointer: Pointer) -> None:
    path = stored(ws, pointer.sha256)
    if not path.exists() or sha256_file(path) != pointer.sha256:
        what = "is missing" if not path.exists() else "was changed: its bytes do not match its hash"
        raise WorkbenchError(
            f"the stored checkpoint {what}", where=pointer.name, hint="Restore it from a bundle."
        )


def _gate_of(ws: WorkspaceFolder, digest: str) -> dict[str, Any] | None:
    """The newest gate event on these bytes."""
    found = None
    for event in ws.ledger.events(kind=GATED):
        if event.payload and event.payload.get("candidate") == digest:
            found = event.payload
    return found


def _not_let_through(ws: WorkspaceFolder, gated: Mapping[str, Any] | None) -> str:
    """Why the last gate does not let a candidate out; empty where it does. A pass holds only on a suite, and
    only while suite, predictions and report are those it was given on."""
    if gated is None:
        return "it was not gated"
    if gated["verdict"] != "pass":
        return f"its gate says {gated['verdict']}"
    if not gated.get("suite"):
        return "its gate rests on predictions picked by hand, not on a suite"
    path = ws.reports / "gates" / f"{gated['report']}.json"
    text = path.read_bytes() if path.is_file() else b""
    if sha256(text).hexdigest() != gated["report"]:
        return f"its gate report {'was changed' if text else 'is missing'}"
    bound = json.loads(text)["suite"]
    if bound["digest"] != gated["suite"]:
        return "its gate report is bound to another suite"
    return "since its gate, " + "; ".join(changed) if (changed := unbound(ws, bound)) else ""


def _expect(now: Pointers, generation: int) -> None:
    if generation != now.generation:
        raise WorkbenchError(
            f"the pointers moved meanwhile (generation {now.generation}, not {generation})",
            hint="Look again first.",
        )


@contextlib.contextmanager
def _locked(ws: WorkspaceFolder) -> Iterator[None]:
    with alone(ws.releases / "lock"):
        yield


def _move(ws: WorkspaceFolder, move: str, after: Pointers, **facts: Any) -> Pointers:
    after = replace(after, generation=after.generation + 1)
    folder = _folder(ws, after.generation)
    draft = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True, mode=0o700)
    text = after.to_json()
    write_atomic(draft / "pointers.json", text)
    hashes = {}
    for role in ("production", "candidate", "previous"):
        pointer: Pointer | None = getattr(after, role)
        hashes[role] = pointer.sha256 if pointer else None
        if pointer is not None:
            (draft / f"{role}.nemo").symlink_to(Path("../../store") / f"{pointer.sha256}.nemo")
    sync(draft)
    os.rename(draft, folder)
    sync(folder.parent)
    digest = sha256(text.encode()).hexdigest()
    event = {"move": move, "generation": after.generation, "pointers": digest, **hashes, **facts}
    ws.record(MOVED, event)
    _turn(ws, folder)
    log.info("%s: generation %d", move, after.generation)
    return after


def _turn(ws: WorkspaceFolder, folder: Path) -> None:
    link = ws.releases / ".current.part"
    link.unlink(missing_ok=True)
    link.symlink_to(folder.relative_to(ws.releases))
    os.replace(link, ws.releases / "current")
    sync(ws.releases)


def _settle(ws: WorkspaceFolder) -> Pointers:
    """Complete a recorded move, drop one that was not recorded, and read the pointers; under the lock."""
    event = ws.ledger.latest(MOVED)
    generation = int(event.payload["generation"]) if event and event.payload else 0
    for folder in (ws.releases / "generations").glob("*"):
        if folder.name.startswith(".") or int(folder.name) > generation:
            shutil.rmtree(folder)
    if event is None or event.payload is None:
        return Pointers()
    folder = _folder(ws, generation)
    path = folder / "pointers.json"
    text = path.read_text() if path.exists() else ""
    if sha256(text.encode()).hexdigest() != event.payload["pointers"]:
        raise WorkbenchError(
            "the release pointers were changed outside the workbench", where=str(path), hint="Restore them."
        )
    current = ws.releases / "current"
    if not current.is_symlink() or os.readlink(current) != str(folder.relative_to(ws.releases)):
        _turn(ws, folder)
    return Pointers.from_json(text)


def _folder(ws: WorkspaceFolder, generation: int) -> Path:
    return ws.releases / "generations" / f"{generation:06d}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


__all__ = ["Pointer", "Pointers", "pointers", "promote", "roll_back", "stage", "stored", "verify"]
