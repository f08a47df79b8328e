"""What was erased stays out: rows of an import on the suppression list are dropped, with their audio."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import Problem
from workbench.ingest.reader import FILE, LINE
from workbench.ingest.row_validation import REPORTED, Admitted, numbered

Erased = Callable[[Sequence[Mapping[str, Any]]], Sequence[bool]]
_ASKED = ("id", "audio_filepath", "offset", "speaker", "source")
_WHAT = "the person, recording or source of this row was erased from the workspace"
_MEND = "It stays out; remove it from the source too."


def without_erased(
    utterances: Path, admitted: Admitted, erased: Erased, folder: Path, problems: list[Problem]
) -> Admitted:
    """Drop the erased rows of a Parquet that was just written, and audio that was copied in for them alone.

    Args:
        utterances: the Parquet, rewritten in place where anything is dropped.
        erased: one answer a row, from ``id``, ``audio_filepath``, ``offset``, ``speaker`` and ``source``.
        folder: the corpus folder; audio below its ``audio/`` came with this import.
        problems: one is added for each row dropped, at most REPORTED, then one that counts the rest.
    """
    table = numbered(pq.read_table(utterances))
    gone = list(erased(table.select(list(_ASKED)).to_pylist()))
    if not any(gone):
        return admitted
    dropped = table.filter(pa.array(gone, pa.bool_()))
    kept = table.filter(pa.array([not is_gone for is_gone in gone], pa.bool_()))
    at = kept.column_names.index("row_index")
    kept = kept.set_column(at, "row_index", pa.array(range(kept.num_rows), table.schema.field(at).type))
    pq.write_table(kept, utterances)
    paths = [set(some["audio_filepath"].to_pylist()) for some in (dropped, kept)]
    _forget_audio(folder, paths[0] - paths[1])
    places = dropped.select([FILE, LINE]).to_pylist()
    problems += [Problem(place[FILE] or "", _WHAT, _MEND, place[LINE]) for place in places[:REPORTED]]
    if len(places) > REPORTED:
        problems.append(Problem("", f"{_WHAT}: {len(places) - REPORTED:,} more rows", _MEND))
    return replace(admitted, rows=kept.num_rows, left_out=admitted.left_out + len(places))


def _forget_audio(folder: Path, names: set[str]) -> None:
    inside = (folder / "audio").resolve()
    for name in names:
        for path in ((folder / name).resolve(), (inside / name).resolve()):
            if path.is_relative_to(inside) and path.is_file():
                path.unlink()
