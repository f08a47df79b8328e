"""The record of a corpus, ``source.json``: where it came from, where its sound lies, which its rows are.

It ends with a digest of itself, so that a disk that changes it is found out. What it says about places inside
the workspace holds after the workspace was moved or copied.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import WorkbenchError
from workbench.files import digest_fault, replacing, sha256_file, write_atomic
from workbench.ingest.schema import SCHEMA_VERSION
from workbench.locks import alone
from workbench.reading import RESTORE, read_json, read_parquet, readable

NAME, ROWS = "source.json", "utterances.parquet"
_NEXT = "next"
"""What the record will say of rows that are about to be replaced."""
_NEEDED = {"name": str, "audio_roots": list, "columns": list, "rows": int, "utterances_sha256": str}


def read(folder: Path) -> dict[str, Any]:
    """What the record of a corpus says.

    Raises:
        WorkbenchError: no corpus lies here, its record is damaged, or it is of a newer schema.
    """
    path = folder / NAME
    if not path.exists():
        raise WorkbenchError("no corpus lies here", where=str(folder), hint="Import one first.")
    facts = read_json(path, "record of the corpus", SCHEMA_VERSION)
    for name, kind in _NEEDED.items():
        if not isinstance(facts.get(name), kind):
            raise WorkbenchError(
                f"the record of the corpus is damaged: {name}", where=str(path), hint=RESTORE
            )
    roots = facts["audio_roots"]
    if not roots or not all(isinstance(root, str) and root for root in roots):
        raise WorkbenchError(
            "the record of the corpus is damaged: audio_roots", where=str(path), hint=RESTORE
        )
    if "digest" in facts and facts["digest"] != _digest(facts):
        raise WorkbenchError("the record of the corpus was changed", where=str(path), hint=RESTORE)
    return facts


def write(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the record, with where the corpus lies now and the digest of it all."""
    full = {**facts, "folder": str(folder.absolute())}
    full["digest"] = _digest(full)
    with readable(folder / NAME, "the record of the corpus"):
        text = json.dumps(full, ensure_ascii=False, indent=1) + "\n"
    write_atomic(folder / NAME, text)


def roots(folder: Path) -> list[Path]:
    """The folders that the sound of a corpus may lie in; what was relative is so to the first.

    Raises:
        WorkbenchError: as :func:`read`.
    """
    return [Path(root) for root in read(folder)["audio_roots"]]


def replace_rows(folder: Path, table: pa.Table, facts: Mapping[str, Any] | None = None) -> None:
    """Put other rows in place, and say so in the record. Under :func:`alone_with`.

    Args:
        folder: of the corpus. ``table``: its rows.
        facts: what else the record is to say.
    """
    path, before = folder / ROWS, read(folder)
    with replacing(path) as draft:
        pq.write_table(table, draft, write_page_checksum=True)
        now = {**(facts or {}), "rows": table.num_rows, "utterances_sha256": sha256_file(draft)}
        # Both count until the rows are in their place: after a kill in between, `settle` sees which they are.
        write(folder, {**before, _NEXT: now})
    write(folder, {**before, **now})


def settle(folder: Path) -> None:
    """What a kill left of :func:`replace_rows`: the record says what the rows are, old or new."""
    facts = read(folder)
    if _NEXT in facts:
        with alone_with(folder):
            facts = read(folder)
            now = facts.pop(_NEXT, {})
            write(
                folder, facts | now if sha256_file(folder / ROWS) == now.get("utterances_sha256") else facts
            )


def alone_with(folder: Path) -> Any:
    """Of all notebooks and processes, one at a time changes the rows of a corpus."""
    return alone(folder / "lock")


def follow(folder: Path) -> None:
    """After the workspace was moved or copied: what lay inside it is looked for where it lies now.

    Raises:
        WorkbenchError: the rows cannot be read.
    """
    facts = read(folder)
    before = Path(facts.get("folder") or _folder_of(facts) or folder)
    if (
        before == folder.absolute()
        or before.parent.name != "corpora"
        or folder.absolute().parent.name != "corpora"
    ):
        return
    reroot(folder, before.parent.parent, folder.absolute().parent.parent)


def reroot(folder: Path, old: Path, new: Path) -> int:
    """Look for the sound below ``new`` where it was below ``old``; returns how many rows name it so.

    Args:
        folder: of the corpus.
        old, new: absolute paths of folders; files are not touched.

    Raises:
        WorkbenchError: the rows cannot be read.
    """
    with alone_with(folder):
        facts = read(folder)
        moved = [_under(root, old, new) for root in facts["audio_roots"]]
        table = read_parquet(folder / ROWS, "rows of the corpus")
        written = table["audio_filepath"].to_pylist()
        paths = [path if path is None else _under(path, old, new) for path in written]
        changed = sum(a != b for a, b in zip(written, paths, strict=True))
        if changed:
            at = table.column_names.index("audio_filepath")
            table = table.set_column(at, "audio_filepath", pa.array(paths, pa.string()))
            replace_rows(folder, table, {"audio_roots": moved})
        else:
            write(folder, {**facts, "audio_roots": moved})
        return int(table.num_rows) if moved != facts["audio_roots"] else changed


def faults(folder: Path) -> list[str]:
    """What does not hold of a corpus, its rows and what was measured of them, one sentence each."""
    try:
        if os.access(folder, os.W_OK):
            settle(folder)
        facts = read(folder)
    except WorkbenchError as error:
        return [str(error)]
    found = []
    rows = folder / ROWS
    if not rows.is_file():
        found.append("the rows are missing")
    elif sha256_file(rows) != facts["utterances_sha256"]:
        found.append("the rows were changed: their bytes do not match their digest")
    for path in sorted([*folder.glob("*.parquet"), *(folder / "predictions").glob("*.parquet")]):
        if (fault := digest_fault(path)) is not None:
            found.append(f"{path.relative_to(folder)} {fault}")
    for kept in sorted(
        [*folder.glob(".*.parquet.sha256"), *(folder / "predictions").glob(".*.parquet.sha256")]
    ):
        path = kept.with_name(kept.name[1 : -len(".sha256")])
        if not path.exists():
            found.append(f"{path.relative_to(folder)} is missing (where that is meant, delete {kept.name})")
    return found


def _digest(facts: Mapping[str, Any]) -> str:
    body = {name: value for name, value in facts.items() if name != "digest"}
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def _folder_of(facts: Mapping[str, Any]) -> Path | None:
    """Where a corpus of an earlier version lay: its own ``audio/`` was the last of its roots."""
    last = Path(facts["audio_roots"][-1])
    return last.parent if last.name == "audio" and last.parent.parent.name == "corpora" else None


def _under(path: str, old: Path, new: Path) -> str:
    return str(new / Path(path).relative_to(old)) if Path(path).is_relative_to(old) else path
