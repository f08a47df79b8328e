"""Whether a workspace is whole: its ledger's chain, every digest that was kept, what kills left behind."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workbench import drafts
from workbench.corpus import record
from workbench.corpus.export.export import folder_digest
from workbench.corpus.query import spill_db
from workbench.corpus.review.decisions import DecisionStore
from workbench.errors import WorkbenchError
from workbench.files import digest_fault, digest_path, sha256_file
from workbench.finetuning import ancestry
from workbench.finetuning.folder import RunFolder
from workbench.locks import is_held
from workbench.privacy import erasure, suppression_list, tainted_checkpoints
from workbench.reading import read_json
from workbench.release import promotion
from workbench.workspace import roles, settings
from workbench.workspace.folder import WorkspaceFolder
from workbench.workspace.ledger import Head, Verification

_DIGEST = re.compile(r"\.sha256\.[0-9a-f]{12}\.part\Z")
_LEFT = (".part", ".rows", ".draft", ".old", ".gone", ".erased")


@dataclass(frozen=True, slots=True)
class WorkspaceVerification:
    """What ``verify`` found.

    Attributes:
        ledger: of the chain; says whether an outside head was met.
        faults: what does not hold, one sentence each.
        leftovers: files that killed calls left, which hold copies of rows until the call is repeated.
    """

    ledger: Verification
    faults: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything holds; leftovers are no fault."""
        return self.ledger.ok and not self.faults

    def __str__(self) -> str:
        lines = [str(self.ledger), *self.faults]
        lines += [f"left by a killed call: {path}" for path in self.leftovers]
        return "\n".join(lines)

    __repr__ = __str__


def verify(ws: WorkspaceFolder, expected_head: str | Head | None = None) -> WorkspaceVerification:
    """Read everything that digests were kept of, and compare.

    Args:
        expected_head: a head of the ledger that was kept elsewhere.
    """
    parts = [
        *_settings(ws), *_named("release: ", promotion.verify(ws)), *_corpora(ws), *_runs(ws),
        *_checkpoints(ws), *_exports(ws), *_gates(ws), *_privacy(ws),
    ]  # fmt: skip
    return WorkspaceVerification(ws.ledger.verify(expected_head), tuple(parts), tuple(leftovers(ws)))


def leftovers(ws: WorkspaceFolder) -> Iterator[str]:
    """Hidden drafts of killed exports, imports and writes inside the workspace, and of exports outside it."""
    for name in ws.corpus_names():
        for draft in drafts.left(ws.corpora / name):
            if not draft.target.is_relative_to(ws.path):
                yield str(draft.path)
    for folder, folders, files in os.walk(ws.path):
        for name in sorted([*folders, *files]):
            if _DIGEST.search(name):
                continue  # of the digest of a file alone; it goes when that file is written again
            if name.startswith(".") and (name.endswith(_LEFT) or name.startswith(spill_db.PREFIX)):
                yield str((Path(folder) / name).relative_to(ws.path))
        folders[:] = [name for name in folders if not name.startswith(".")]


def _named(prefix: str, faults: list[str]) -> Iterator[str]:
    yield from (f"{prefix}{fault}" for fault in faults)


def _settings(ws: WorkspaceFolder) -> Iterator[str]:
    for look in (lambda: settings.load_file(ws.settings_path), lambda: roles.in_force(ws), ws.actor):
        try:
            look()
        except WorkbenchError as error:
            yield str(error)


def _corpora(ws: WorkspaceFolder) -> Iterator[str]:
    for folder in sorted(ws.corpora.iterdir()) if ws.corpora.is_dir() else ():
        if (folder / record.ROWS).exists() and not (folder / record.NAME).exists():
            yield f"corpus {folder.name}: its record is missing, or its import was cut off"
    for name in ws.corpus_names():
        folder = ws.corpora / name
        faults = record.faults(folder)
        try:
            store = DecisionStore(folder / "decisions.sqlite")
            faults += [f"decisions: {fault}" for fault in store.verify()]
            store.close()
        except WorkbenchError as error:
            faults.append(str(error))
        yield from _named(f"corpus {name}: ", faults)


def _runs(ws: WorkspaceFolder) -> Iterator[str]:
    for name in ws.run_names():
        run = RunFolder(ws.runs / name)
        if is_held(run.lock):
            continue  # alive: its files change
        try:
            run.state()
        except WorkbenchError as error:
            yield f"run {name}: {error}"
        if (fault := digest_fault(run.plan)) is not None:
            yield f"run {name}: the batch plan {fault}"
        for path in sorted(run.checkpoints.glob("*")):
            if not path.name.startswith(".") and (fault := digest_fault(path)) is not None:
                yield f"run {name}: {path.name} {fault}"
        if run.provenance.exists() and not ancestry.provenance(run.path):
            yield f"run {name}: its provenance cannot be read"


def _checkpoints(ws: WorkspaceFolder) -> Iterator[str]:
    for kept in sorted(ws.checkpoints.glob(".*.nemo.sha256")):
        path = kept.with_name(kept.name[1 : -len(".sha256")])
        if (fault := digest_fault(path)) is not None:
            yield f"checkpoint {path.stem} {fault}"
    for path in sorted(ws.checkpoints.glob("*.nemo")):
        if not digest_path(path).exists() and not path.stat().st_size:
            yield f"checkpoint {path.stem} is empty"


def _exports(ws: WorkspaceFolder) -> Iterator[str]:
    for path in sorted(p for p in ws.path.rglob("export.json") if ".part" not in str(p)):
        try:
            told = read_json(path, "record of the export").get("digest")
            if told != folder_digest(path.parent):
                yield f"export {path.parent.relative_to(ws.path)} was changed: it does not match its digest"
        except WorkbenchError as error:
            yield str(error)


def _gates(ws: WorkspaceFolder) -> Iterator[str]:
    for event in ws.ledger.events(kind=promotion.GATED):
        digest = (event.payload or {}).get("report")
        path = ws.reports / "gates" / f"{digest}.json"
        if digest and path.exists() and sha256_file(path) != digest:
            yield f"gate report {str(digest)[:12]}… was changed"


def _privacy(ws: WorkspaceFolder) -> Iterator[str]:
    looks = (
        lambda: erasure.certificates(ws), lambda: tainted_checkpoints.read(ws),
        lambda: suppression_list.read(ws),
    )  # fmt: skip
    for look in looks:
        try:
            look()
        except WorkbenchError as error:
            yield str(error)
    for path in sorted((ws.path / "erasures").glob("*.pending.json")):
        yield f"an erasure was cut off: {path.name} (it is completed by the next one)"
