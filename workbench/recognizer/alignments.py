"""Known transcripts of many recordings laid onto them: resumable, on a cluster too.

What was found of a recording is kept in ``alignments.jsonl``, one line each, written as soon as it is done: a
stopped call goes on where it was. A line counts while checkpoint, file, transcript and anchors are as they
were. It holds times and confidences, no text.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cluster import KeptLines, Needs, check_engine, over_ray
from workbench.errors import WorkbenchError
from workbench.ingest.audio import RowReader
from workbench.locks import alone
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.forced_alignment import TimedPart, align_parts
from workbench.recognizer.known_text import Anchor, Part

if TYPE_CHECKING:
    from workbench.ingest.audio import Stamp

FILE = "alignments.jsonl"
SCHEMA_VERSION = 1
_WORKER_BYTES = 3 << 29
"""What a worker holds beside the weights: torch, NeMo, a chunk and the corridor."""


@dataclass(frozen=True, slots=True)
class Task:
    """A recording and what is said in it.

    Attributes:
        id: of the row.
        row: ``audio_filepath, offset, duration, channel``; the duration is known.
        locale: a tag of the checkpoint, or ``auto``.
        parts: of the transcript. anchors: of them, in order.
    """

    id: str
    row: Mapping[str, Any]
    locale: str
    parts: tuple[Part, ...]
    anchors: tuple[Anchor, ...]


def align_tasks(
    checkpoint: Checkpoint,
    tasks: Sequence[Task],
    roots: Sequence[str],
    folder: Path,
    *,
    engine: str = "local",
    address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> dict[str, list[TimedPart] | str]:
    """When each part of each transcript is said.

    Args:
        roots: folders that audio may lie in.
        folder: where what was found is kept.
        engine: 'local', or 'ray' on a cluster at ``address``.
        progress: called with (recordings done, recordings in all). ``cancel``: asked after each.

    Returns:
        By id: one a part in order, or why the recording could not be aligned.

    Raises:
        WorkbenchError: the checkpoint cannot stream, cancelled, another process aligns here, or the engine's.
    """
    check_engine(engine, address)
    if not checkpoint.info.lookaheads_ms:
        hint = "Align with a checkpoint that streams: checkpoint=…"
        raise WorkbenchError("it decodes offline only", where=checkpoint.path.name, hint=hint)
    with alone(folder / ".alignments.lock", timeout_s=0, busy="another process is aligning this corpus"):
        reader = RowReader(tuple(roots), checkpoint.info.sample_rate)
        keys = {task.id: _key(checkpoint.sha256, task, reader.stamp(task.row)) for task in tasks}
        kept = KeptLines(folder / FILE)
        waiting = [task for task in tasks if keys[task.id] not in kept.by_key]
        done = len(tasks) - len(waiting)
        with kept.open():
            for line in _found(checkpoint, waiting, reader, engine, address, cancel):
                kept.add({"key": keys[line["id"]], **line})
                done += 1
                if progress is not None:
                    progress(done, len(tasks))
    if done < len(tasks):
        what = f"cancelled after {done} of {len(tasks)} recordings"
        raise WorkbenchError(what, hint="Repeat the call to go on.")
    lines = {task.id: kept.by_key[keys[task.id]] for task in tasks}
    return {id: line.get("error") or [TimedPart(*one) for one in line["parts"]] for id, line in lines.items()}


def align_task(checkpoint: Checkpoint, task: Task, reader: RowReader) -> dict[str, Any]:
    """The parts of one recording as they are kept; ``error`` where it cannot be read."""
    begin = time.process_time()
    right = checkpoint.right_context(max(checkpoint.info.lookaheads_ms))
    engine = checkpoint.engine()
    try:
        found = align_parts(
            engine, checkpoint.tokenizer(), reader.blocks(task.row),
            checkpoint.prompt_index(task.locale), right, task.parts, task.anchors, task.row["duration"],
        )  # fmt: skip
    except WorkbenchError as error:
        return {"id": task.id, "error": str(error)}
    parts = [[one.start_s, one.end_s, round(one.confidence, 6)] for one in found]
    cpu_s = round(time.process_time() - begin, 3)
    return {"id": task.id, "parts": parts, "cpu_s": cpu_s, "schema_version": SCHEMA_VERSION}


def align_shard(path: str, task: Task, reader: RowReader, threads: int) -> dict[str, Any]:
    """:func:`align_task` in a worker's process, which keeps the checkpoint loaded for the next recording.

    Args:
        path: of the ``.nemo`` file.
        threads: of torch, as many as the caller has: sums may differ in their last digits with them.
    """
    import torch

    torch.set_num_threads(threads)
    return align_task(Checkpoint.open(path), task, reader)


def _found(
    checkpoint: Checkpoint,
    tasks: Sequence[Task],
    reader: RowReader,
    engine: str,
    address: str | None,
    cancel: Callable[[], bool] | None,
) -> Iterator[dict[str, Any]]:
    if engine == "ray":
        import torch

        shards = ((str(checkpoint.path), task, reader, torch.get_num_threads()) for task in tasks)
        needs = Needs(1.0, 2 * checkpoint.info.memory_bytes + _WORKER_BYTES, None)
        for _, line in over_ray(align_shard, shards, address=address, needs=needs, cancel=cancel):
            yield line
        return
    for task in tasks:
        yield align_task(checkpoint, task, reader)
        if cancel is not None and cancel():
            return


def _key(sha256: str, task: Task, stamp: Stamp | None) -> str:
    text = json.dumps([sha256, asdict(task), None if stamp is None else asdict(stamp), SCHEMA_VERSION])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
