"""The recordings behind rows that were taken in: durations that no column states, and what is missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import Problem, WorkbenchError
from workbench.ingest.audio import locate, locate_text, probe
from workbench.ingest.reader import FILE, INSIDE, LINE
from workbench.ingest.row_validation import REPORTED, connect, numbered
from workbench.ingest.schema import literal
from workbench.ingest.validation_sql import RowRules

ALL_UP_TO = 20_000
"""Recordings that are all looked for; of more, SOME of them."""
SOME = 2_000
_TOLD_EACH = 50


def measure(
    utterances: Path,
    rules: RowRules,
    problems: list[Problem],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Durations from the headers, in seconds, for the rows that state none; they stay null where a recording
    cannot be read, and each such row is named. ``progress``: called with (recordings looked at, all)."""
    with connect() as connection:
        asked = f"SELECT count(*) FROM read_parquet({literal(utterances)}) WHERE duration IS NULL"
        if not connection.execute(asked).fetchall()[0][0]:
            return
    table = numbered(pq.read_table(utterances))
    rows = table.select(["audio_filepath", "offset", "duration", LINE, FILE]).to_pylist()
    unknown = [at for at, row in enumerate(rows) if row["duration"] is None]
    roots = [Path(root) for root in rules.roots]
    paths = list(dict.fromkeys(rows[at]["audio_filepath"] for at in unknown))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        asked_for = [pool.submit(_length, path, roots) for path in paths]
        try:
            for done in range(0, len(paths) if progress is not None else 0, _TOLD_EACH):
                asked_for[done].result()
                if progress is not None:
                    progress(done, len(paths))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        lengths = {path: one.result() for path, one in zip(paths, asked_for, strict=True)}
    durations: list[float | None] = [row["duration"] for row in rows]
    silent = 0
    for at in unknown:
        row = rows[at]
        length = lengths[row["audio_filepath"]]
        if isinstance(length, float) and length > row["offset"]:
            durations[at] = round(length - row["offset"], 4)
            continue
        if length == "":
            continue
        said = length if isinstance(length, str) else "the offset lies beyond the end of the recording"
        silent += 1
        if silent <= REPORTED:
            problems.append(
                Problem(row[FILE] or rules.name, f"duration not known: {said}", "", row[LINE], "duration")
            )
    if silent > REPORTED:
        problems.append(Problem("", f"duration not known: {silent - REPORTED:,} more rows", field="duration"))
    at = table.column_names.index("duration")
    pq.write_table(table.set_column(at, "duration", pa.array(durations, pa.float64())), utterances)


def _length(written: str, roots: Sequence[Path]) -> float | str:
    if written.startswith(INSIDE):
        return ""
    try:
        seconds = probe(locate(written, roots)).duration_s
        return seconds if seconds > 0 else "the recording holds no sound"
    except (WorkbenchError, ValueError, OSError) as error:
        return str(error)


@dataclass(frozen=True)
class Missing:
    """Recordings that are not where rows say.

    Attributes:
        missing: how many of those looked for.
        looked_for: recordings looked for; all of them up to ALL_UP_TO.
        recordings: how many there are.
        first: the first that is missing.
    """

    missing: int
    looked_for: int
    recordings: int
    first: str = ""

    @property
    def all(self) -> bool:
        return bool(self.recordings) and self.missing == self.looked_for == self.recordings

    def __str__(self) -> str:
        of = f"{self.looked_for:,} recordings" + (
            "" if self.looked_for == self.recordings else f" looked for, of {self.recordings:,}"
        )
        return f"{self.missing:,} of {of} are missing, first {self.first[:120]!r}"


def missing(utterances: Path, roots: Sequence[Path]) -> Missing:
    """Look for the recordings of a Parquet of rows.

    Where some are looked for and all of these are missing, the others are looked for until one is found.
    """
    with connect() as connection:
        relation = f"read_parquet({literal(utterances)})"
        found = connection.sql(
            f"SELECT DISTINCT audio_filepath FROM {relation} "
            f"WHERE NOT starts_with(audio_filepath, {literal(INSIDE)})"
        )
        paths: pa.Array = found.to_arrow_table()["audio_filepath"]
    count = len(paths)
    step = 1 if count <= ALL_UP_TO else count // SOME
    texts = [os.fspath(root) for root in roots]
    some = [paths[at].as_py() for at in range(0, count, step)]
    gone = sorted(_gone(some, texts))
    if step > 1 and len(gone) == len(some):
        rest = _gone((path.as_py() for path in paths), texts)
        number = sum(1 for _ in rest)
        return Missing(number, count, count, gone[0])
    return Missing(len(gone), len(some), count, gone[0] if gone else "")


def _gone(paths: Iterator[str] | Sequence[str], roots: Sequence[str]) -> Iterator[str]:
    for path in paths:
        try:
            there = os.path.isfile(locate_text(path, roots))
        except WorkbenchError:
            there = False
        if not there:
            yield path
