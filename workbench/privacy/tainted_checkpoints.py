"""Marks on checkpoints that were trained on data since erased: hash → numbers of the erasure certificates."""

from __future__ import annotations

import json
from collections.abc import Iterable

from workbench.errors import WorkbenchError
from workbench.files import digest_fault, write_atomic
from workbench.locks import alone
from workbench.reading import RESTORE, read_json, readable
from workbench.workspace.folder import WorkspaceFolder


def read(ws: WorkspaceFolder) -> dict[str, tuple[str, ...]]:
    """All marks of a workspace.

    Raises:
        WorkbenchError: the file cannot be read; nothing may be promoted until it can.
    """
    path = ws.path / "erasures" / "marks.json"
    if (fault := digest_fault(path)) is not None:
        raise WorkbenchError(f"the list of marked checkpoints {fault}", where=str(path), hint=RESTORE)
    if not path.exists():
        return {}
    raw = read_json(path, "list of marked checkpoints", 1)
    with readable(path, "the list of marked checkpoints"):
        return {str(digest): tuple(map(str, certificates)) for digest, certificates in raw["marks"].items()}


def add(ws: WorkspaceFolder, digests: Iterable[str], certificate: str) -> None:
    """Mark checkpoints; marking twice is harmless, and nothing takes a mark away."""
    folder = ws.path / "erasures"
    folder.mkdir(exist_ok=True, mode=0o700)
    with alone(ws.path / "locks" / "lists"):
        marks = {digest: set(certificates) for digest, certificates in read(ws).items()}
        for digest in digests:
            marks.setdefault(digest, set()).add(certificate)
        body = {digest: sorted(certificates) for digest, certificates in sorted(marks.items())}
        write_atomic(
            folder / "marks.json", json.dumps({"schema_version": 1, "marks": body}, indent=1), digest=True
        )
