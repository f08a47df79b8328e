"""NeMo's tarred data sets: ``shard_id`` in the manifest, ``audio_N.tar`` beside it, copied out unchanged."""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from workbench.errors import Problem
from workbench.ingest import json_text
from workbench.ingest.reader import FILE, LINE, keep_bytes

_PART = re.compile(r"-sub\d+(?=\.\w+$|$)")
"""What NeMo adds to the name of a recording for each further stretch of it; the archive holds it once."""


def is_tarred(files: Sequence[Path]) -> bool:
    """Whether the first line names a shard whose archive lies beside the manifest or one folder above."""
    try:
        first = json.loads(next(json_text.lines(files[0], []), (1, b"", True))[1])
    except (ValueError, OSError, RecursionError):
        return False
    shard = first.get("shard_id") if isinstance(first, dict) else None
    return isinstance(shard, int) and _archive(files[0], shard) is not None


def with_audio(table: pa.Table, file: Path, folder: Path | None, problems: list[Problem]) -> pa.Table:
    """Rows with paths of their own; those whose audio is not in its archive become problems.

    Args:
        table: rows of one manifest with ``audio_filepath``, ``shard_id`` and line numbers.
        file: the manifest.
        folder: of the corpus; audio goes below its ``audio/``, each recording once. None only to look.
    """
    if not {"audio_filepath", "shard_id"} <= set(table.column_names):
        return table
    rows = table.select(["audio_filepath", "shard_id", LINE]).to_pylist()
    found: list[str | None] = [None] * len(rows)
    by_shard: dict[Any, list[int]] = {}
    for at, row in enumerate(rows):
        by_shard.setdefault(row["shard_id"], []).append(at)
    for shard, places in by_shard.items():
        held = dict(_copied(file, shard, {_member(rows[at]) for at in places}, folder, problems))
        for at in places:
            found[at] = held.get(_member(rows[at]))
            if found[at] is None:
                what = f"no such recording in audio_{shard}.tar"
                hint = "Is it the archive of this manifest?"
                problems.append(Problem(file.name, what, hint, rows[at][LINE], "audio_filepath"))
    table = table.set_column(
        table.column_names.index("audio_filepath"), "audio_filepath", pa.array(found, pa.string())
    )
    if FILE not in table.column_names:
        table = table.append_column(FILE, pa.array([file.name] * len(table), pa.string()))
    return table.filter(pa.array([path is not None for path in found], pa.bool_()))


def _member(row: dict[str, Any]) -> str:
    return _PART.sub("", str(row["audio_filepath"]))


def _copied(
    file: Path, shard: Any, names: set[str], folder: Path | None, problems: list[Problem]
) -> Iterator[tuple[str, str]]:
    """Member of an archive → where its bytes were put."""
    archive = _archive(file, shard) if isinstance(shard, int) else None
    if archive is None:
        return
    try:
        # Names are only looked up, never written to: what a member is called cannot lead anywhere.
        with tarfile.open(archive) as opened:
            for member in opened:
                if member.isreg() and member.name in names and (data := opened.extractfile(member)):
                    yield member.name, keep_bytes(data.read(), folder, Path(member.name).suffix.lower())
    except (tarfile.TarError, OSError, EOFError) as error:
        problems.append(
            Problem(archive.name, f"the archive is damaged ({type(error).__name__})", "Fetch it again.")
        )


def _archive(file: Path, shard: int) -> Path | None:
    for folder in (file.parent, file.parent.parent):
        path = folder / f"audio_{shard}.tar"
        if path.is_file():
            return path
    return None
