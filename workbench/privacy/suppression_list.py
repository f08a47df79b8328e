"""What was erased stays known, and nobody can tell whose it was: keyed hashes of what rows are known by.

Whoever holds the workspace's key can test a guess; without it an entry says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.files import digest_fault, write_atomic
from workbench.locks import alone
from workbench.privacy.erasure_request import SHORTEST_ID, Target
from workbench.reading import RESTORE
from workbench.workspace.folder import WorkspaceFolder


def erased_before(ws: WorkspaceFolder, rows: Iterable[Mapping[str, Any]]) -> list[bool]:
    """Which of the rows were erased before: an import leaves them out.

    Known again by speaker, source, recording with offset, or id: a row under another path, id and speaker is
    not.
    """
    known = read(ws)
    if not known:
        return [False for _ in rows]
    return [not known.isdisjoint(ws.pseudonym("tomb", text) for text in _identities(row)) for row in rows]


def suppressed(ws: WorkspaceFolder, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the rows that were erased before; see :func:`erased_before`."""
    rows = list(rows)
    return [row for row, gone in zip(rows, erased_before(ws, rows), strict=True) if gone]


def place(ws: WorkspaceFolder, target: Target) -> None:
    """Put an erasure on the list; putting it there twice is harmless."""
    added: set[str] = set()
    for clip in target.clips:
        # Not of the speaker or source: a single recording's erasure says nothing about the rest of them.
        own = {k: clip.get(k) for k in ("id", "audio_filepath", "offset")}
        added |= {ws.pseudonym("tomb", text) for text in _identities(own)}
    if target.kind in ("speaker", "source"):
        added.add(ws.pseudonym("tomb", f"{target.kind}\0{target.value}"))
    (ws.path / "erasures").mkdir(exist_ok=True, mode=0o700)
    with alone(ws.path / "locks" / "lists"):
        known = "\n".join(sorted(read(ws) | added))
        write_atomic(ws.path / "erasures" / "tombstones.txt", known + "\n", digest=True)


def read(ws: WorkspaceFolder) -> set[str]:
    """The keyed hashes of all that was erased.

    Raises:
        WorkbenchError: the list was there and is missing, empty or changed now.
    """
    path = ws.path / "erasures" / "tombstones.txt"
    if (fault := digest_fault(path)) is not None:
        raise WorkbenchError(f"the list of what was erased {fault}", where=str(path), hint=RESTORE)
    return set(path.read_text().split()) if path.exists() else set()


def _identities(row: Mapping[str, Any]) -> set[str]:
    """What a row may be known by. A short id ("12") stands in many sources; it counts with a file name."""
    clip, path = str(row.get("id")), str(row.get("audio_filepath"))
    found = {f"recording\0{path}\0{row.get('offset') or 0:g}", f"clip\0{clip}\0{Path(path).name}"}
    if len(clip) >= SHORTEST_ID:
        found.add(f"id\0{clip}")
    return found | {f"{k}\0{row[k]}" for k in ("speaker", "source") if row.get(k)}
