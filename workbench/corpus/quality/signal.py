"""Measure the sound of every utterance: level, noise, clipping, bandwidth, silence. All cores, resumable.

Results are kept in ``signal.parquet`` of the corpus, so that a second scan measures only what is new. A file
of known name, size and time is not even opened; one that was moved, copied or touched is hashed, and its
measures are those of the same content and stretch. A killed scan loses at most the last seconds of work.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.cluster import check_engine, over_ray
from workbench.corpus.quality.measure_rows import channel_text, measure_rows, measure_rows_loud
from workbench.corpus.quality.measures import COLUMNS, hash_file
from workbench.corpus.workers import Answer, WorkerPool
from workbench.errors import WorkbenchError
from workbench.files import replacing
from workbench.glance import counted
from workbench.ingest.audio import CHANNEL_COLUMNS, channel_of, locate_text
from workbench.locks import alone, unerased
from workbench.reading import read_parquet
from workbench.signatures import public

if TYPE_CHECKING:
    import pandas as pd

    from workbench.corpus.query.view import View

VERSION = 5
"""Of the measures; results of another version are measured anew."""
_BATCH = 64
_SMALL_BATCH = 16
"""For threads, to which handing over costs little: none is left with much when the others are done."""
_FLUSH_EVERY = 2_560
"""Rows between writes of a part."""
_MEND = "Scan again with processes=1 to see which clip; what was measured is kept."
_IN_PROCESS = 5_000
"""Fewer rows than this are not worth starting processes for: threads decode side by side as well, since
libsndfile runs without the interpreter's lock."""

Task = tuple[str, str, float, float | None, tuple[int, ...] | None, str | None, str | None]
"""id, path, offset s, duration s, channels, known hash, fault met before reading."""


@public
def scan(
    corpus: View,
    *,
    processes: int | None = None,
    loudness: bool = False,
    engine: str = "local",
    address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> pd.DataFrame:
    """Measure the rows of a view. The file that is kept is the same whoever measured, and in what order.

    Args:
        corpus: the rows.
        processes: default one per core.
        loudness: measure each clip's loudness too (LUFS, ITU-R BS.1770-4), for the rules on it: about half as
            much work again on WAV files, little beside the decoding of compressed ones. What was measured
            without it is measured again.
        engine: 'local', or 'ray': measured on a cluster, at ``address`` (see
            :func:`workbench.cluster.over_ray`).
        progress: called with (rows measured, rows in all), rows known from before included.
        cancel: asked between batches; True stops and returns what there is.

    Returns:
        DataFrame with a row per utterance: ``id``, the measures of :mod:`workbench.corpus.quality.measures`,
        ``audio_sha256`` and ``error`` (null where the audio was read).

    Raises:
        WorkbenchError: the engine's.
    """
    check_engine(engine, address)
    busy = "another process is scanning this corpus"
    with unerased(corpus.folder), alone(corpus.folder / ".scan.lock", timeout_s=0, busy=busy):
        found = _scan(corpus, processes, loudness, engine, address, progress, cancel)
    return _shown(found)


def _shown(found: pd.DataFrame) -> pd.DataFrame:
    from workbench.shown import show_rows

    unread = int(found["error"].notna().sum())
    said = f"{counted(len(found), 'utterance')} measured; {unread:,} could not be read."
    measures = "id", "duration_s", "rms_dbfs", "snr_db", "clipping_ratio", "error"
    return show_rows(found, said, measures)


def _scan(
    corpus: View,
    processes: int | None,
    loudness: bool,
    engine: str,
    address: str | None,
    progress: Callable[[int, int], None] | None,
    cancel: Callable[[], bool] | None,
) -> pd.DataFrame:
    tasks = list(_tasks(corpus))
    ids = [task[0] for task in tasks]
    known = [row for row in _known(corpus.folder) if row["loudness_note"] or not loudness]
    work = measure_rows_loud if loudness else measure_rows
    stamped = {_row_key(row) for row in known}
    tasks = [task for task in tasks if _key(task) not in stamped] if stamped else tasks
    pending = _same_content(tasks, known) if known else []
    again = {row["id"] for row in pending}
    tasks = [task for task in tasks if task[0] not in again]
    done = len(ids) - len(tasks)
    if progress is not None:
        progress(done, len(ids))
    parts = corpus.folder / "signal.parts"
    measured: Iterator[list[dict[str, Any]]]
    if engine == "ray":
        shards = ((batch,) for batch in _batches(tasks))
        measured = (rows for _, rows in over_ray(work, shards, address=address, cancel=cancel))
    else:
        measured = _measured(work, tasks, processes or os.cpu_count() or 1, cancel)
    for rows in measured:
        pending += rows
        done += len(rows)
        if len(pending) >= _FLUSH_EVERY:
            parts.mkdir(exist_ok=True, mode=0o700)
            _write(parts / f"{os.getpid()}-{done:09d}.parquet", _table(pending))
            pending = []
        if progress is not None:
            progress(done, len(ids))
    return _merge(corpus.folder, parts, pending, ids)


def read(corpus: View) -> pd.DataFrame | None:
    """What has been measured of the rows of a view; None before the first scan."""
    path = corpus.folder / "signal.parquet"
    if not path.exists():
        return None
    return _of(read_parquet(path, "table of measurements"), corpus.ids())


def has_loudness(corpus: View) -> bool:
    """Whether the loudness of any recording of the corpus was measured."""
    path = corpus.folder / "signal.parquet"
    if not path.exists() or "loudness_note" not in pq.read_schema(path).names:
        return False
    notes = read_parquet(path, "table of measurements")["loudness_note"]
    return bool(notes.null_count < len(notes))


def _tasks(corpus: View) -> Iterator[Task]:
    roots = [str(root) for root in corpus.facts["audio_roots"]]
    names = ["id", "audio_filepath", "offset", "duration"]
    names += [name for name in CHANNEL_COLUMNS if name in corpus.columns]
    for row in corpus.table(names).to_pylist():
        path, channel, fault = "", None, None
        try:
            path = locate_text(str(row["audio_filepath"]), roots)
            channel = channel_of(row)
        except WorkbenchError as error:
            fault = error.what
        # The whole file where the row names no part: a stated duration that is short must not hide its end.
        whole = not row["offset"]
        yield row["id"], path, row["offset"] or 0.0, None if whole else row["duration"], channel, None, fault


def _key(task: Task) -> tuple[Any, ...]:
    """Same file by name, size and time, same stretch: measured already."""
    try:
        found = os.stat(task[1])
        stamp = (found.st_size, found.st_mtime_ns)
    except (OSError, ValueError):
        return (None,)
    asked_s = -1.0 if task[3] is None else round(task[3], 4)
    return (task[0], *stamp, round(task[2], 4), asked_s, channel_text(task[4]))


def _row_key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("id", "size", "mtime_ns", "offset", "asked_s", "channel"))


def _known(folder: Path) -> list[dict[str, Any]]:
    """Rows measured before, without fault, by this version."""
    found: list[dict[str, Any]] = []
    for path in [folder / "signal.parquet", *sorted((folder / "signal.parts").glob("*.parquet"))]:
        if not path.exists():
            continue
        try:
            rows = pq.read_table(path).to_pylist()
        except (pa.ArrowException, OSError):
            continue
        found += [row for row in rows if row.get("version") == VERSION and not row.get("error")]
    return found


def _same_content(tasks: Sequence[Task], known: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows for the tasks whose file holds what was measured under another name or time."""
    by_content = {(row["audio_sha256"], row["offset"], row["asked_s"], row["channel"]): row for row in known}
    sizes = {row["size"] for row in known}
    # A file of a size never met cannot hold the same bytes: it is not read just to learn that.
    likely = [(task, key) for task in tasks if (key := _key(task))[0] is not None and key[1] in sizes]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        digests = list(pool.map(lambda pair: _hash(pair[0][1]), likely))
    found = []
    for (task, (id_, size, mtime_ns, *stretch)), digest in zip(likely, digests, strict=True):
        row = by_content.get((digest, *stretch))
        if row is not None and task[6] is None:
            found.append({**row, "id": id_, "size": size, "mtime_ns": mtime_ns})
    return found


def _hash(path: str) -> str | None:
    try:
        return hash_file(Path(path))
    except (OSError, WorkbenchError):
        return None


def _batches(tasks: Sequence[Task], size: int = _BATCH) -> list[Sequence[Task]]:
    return [tasks[i : i + size] for i in range(0, len(tasks), size)]


def _measured(
    work: Callable[[Sequence[Task]], list[dict[str, Any]]],
    tasks: Sequence[Task],
    processes: int,
    cancel: Callable[[], bool] | None,
) -> Iterator[list[dict[str, Any]]]:
    threads = len(tasks) < _IN_PROCESS or processes == 1
    batches = _batches(tasks, _SMALL_BATCH if threads else _BATCH)
    with _Threads(processes) if threads else WorkerPool(processes, _MEND) as pool:
        waiting: set[Future[list[dict[str, Any]]]] = set()
        queue = iter(batches)
        for batch in queue:
            waiting.add(pool.submit(work, batch))
            if len(waiting) >= 4 * processes:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
            if cancel is not None and cancel():
                break
        for future in waiting:
            yield future.result()


class _Threads:
    """The same as :class:`WorkerPool`, in this process."""

    def __init__(self, count: int) -> None:
        self._threads = ThreadPoolExecutor(count)

    def __enter__(self) -> _Threads:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(cancel_futures=True)

    def submit(self, work: Callable[[Any], Answer], task: Any) -> Future[Answer]:
        return self._threads.submit(work, task)


def _table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([{**row, "version": VERSION} for row in rows], schema=_schema())


def _schema() -> pa.Schema:
    kinds = {"float": pa.float64(), "int": pa.int64(), "text": pa.string()}
    return pa.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()] + [("version", pa.int64())])


def _write(path: Path, table: pa.Table) -> None:
    with replacing(path, digest=path.name == "signal.parquet") as draft:
        pq.write_table(table, draft, compression="zstd", write_page_checksum=True)


def _merge(folder: Path, parts: Path, pending: Sequence[dict[str, Any]], ids: Sequence[str]) -> pd.DataFrame:
    """What was known, parts and the rest become one file, newest result per id, in the order of ids: batches
    may end in any order."""
    path = folder / "signal.parquet"
    new = [_current(part) for part in sorted(parts.glob("*.parquet"))]
    new += [_table(pending)] if pending else []
    old = [_current(path)] if path.exists() else []
    table = pa.concat_tables([*old, *new]) if old or new else _schema().empty_table()
    if new or not old:
        last = {id_: index for index, id_ in enumerate(table["id"].to_pylist())}
        table = table.take(pa.array([last[id_] for id_ in sorted(last)], pa.int64()))
        _write(path, table)
    shutil.rmtree(parts, ignore_errors=True)
    return _of(table, ids)


def _current(path: Path) -> pa.Table:
    """Results of this version; others are dropped, they were measured otherwise."""
    try:
        table = read_parquet(path, "table of measurements")
    except WorkbenchError:  # damaged: it is measured again
        return _schema().empty_table()
    table = table.filter(pc.equal(table["version"], VERSION))
    return table.cast(_schema()) if table.schema.names == _schema().names else _schema().empty_table()


def _of(table: pa.Table, ids: Sequence[str]) -> pd.DataFrame:
    hidden = ["size", "mtime_ns", "offset", "asked_s", "channel", "version"]
    places = {id_: place for place, id_ in enumerate(table["id"].to_pylist())}
    wanted = pa.array([places[id_] for id_ in ids if id_ in places], pa.int64())
    return table.drop_columns(hidden).take(wanted).to_pandas()
