"""Long recordings of a corpus cut into utterances: channel by channel, resumable, on a cluster too.

What was found of each recording is kept in ``segments.jsonl`` of the corpus, one line a channel, written as
soon as it is done: a stopped call goes on where it was. A line counts while file, limits and row are as they
were.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from workbench.cluster import KeptLines, check_engine, over_ray
from workbench.errors import Problem, WorkbenchError
from workbench.ingest.audio import channel_of, locate_text, mono_blocks, probe, regular
from workbench.ingest.voice_activity import RATE, SegmentRules, probabilities, segments
from workbench.locks import alone

if TYPE_CHECKING:
    from workbench.corpus.query.view import View

FILE = "segments.jsonl"
SCHEMA_VERSION = 1
_CARRIED = ("target_lang", "accent", "domain", "source", "license", "consent", "recorded_at")


@dataclass(frozen=True, slots=True)
class Task:
    """One channel of one row. ``key``: digest of all that its segments depend on."""

    id: str
    path: str
    offset_s: float
    duration_s: float | None
    channel: tuple[int, ...] | None
    rules: SegmentRules
    key: str


@dataclass(frozen=True, slots=True)
class Cut:
    """What came of a corpus.

    Attributes:
        rows: of the segments, as an import takes them.
        problems: recordings that could not be cut, and why.
        seconds: of the channels listened to; ``speech_s``: in segments.
    """

    rows: list[dict[str, Any]]
    problems: list[Problem]
    seconds: float
    speech_s: float


def segment(
    corpus: View,
    rules: SegmentRules,
    *,
    engine: str = "local",
    address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Cut:
    """Find the utterances in the recordings of a view.

    Args:
        corpus: its rows are recordings, or stretches of them.
        rules: limits of the segments.
        engine: 'local', or 'ray' on a cluster at ``address``.
        progress: called with (channels done, channels in all). ``cancel``: asked after each.

    Raises:
        WorkbenchError: cancelled, another process cuts this corpus, or the engine's.
    """
    check_engine(engine, address)
    busy = "another process is segmenting this corpus"
    with alone(corpus.folder / ".segments.lock", timeout_s=0, busy=busy):
        rows = corpus.frame().to_dict("records")
        tasks, problems = _tasks(corpus, rows, rules)
        kept = KeptLines(corpus.folder / FILE)
        waiting = [task for task in tasks if task.key not in kept.by_key]
        done = len(tasks) - len(waiting)
        with kept.open():
            for line in _found(waiting, engine, address, cancel):
                kept.add(line)
                done += 1
                if progress is not None:
                    progress(done, len(tasks))
        lines = [kept.by_key[task.key] for task in tasks if task.key in kept.by_key]
        if len(lines) < len(tasks):
            what = f"cancelled after {len(lines)} of {len(tasks)} channels"
            raise WorkbenchError(what, hint="Repeat the call to go on.")
    problems += [Problem(x["id"], x["error"], "Check the file.") for x in lines if "error" in x]
    good = [line for line in lines if "error" not in line]
    made = _rows({str(row["id"]): row for row in rows}, good, rules)
    speech_s = sum(row["duration"] for row in made)
    return Cut(made, problems, sum(line["seconds"] for line in good), speech_s)


def find_segments(task: Task) -> dict[str, Any]:
    """The segments of one channel as they are kept; ``error`` where it cannot be read."""
    begin = time.process_time()
    line: dict[str, Any] = {"key": task.key, "id": task.id, "channel": task.channel}
    try:
        blocks = mono_blocks(task.path, task.offset_s, task.duration_s, RATE, task.channel)
        speech, samples = probabilities(blocks)
        found = segments(speech, samples, task.rules)
    except WorkbenchError as error:
        return {**line, "error": error.what}
    line["segments"] = [[one.start_s, one.end_s, one.speech] for one in found]
    cpu_s = round(time.process_time() - begin, 3)
    return {**line, "seconds": samples / RATE, "cpu_s": cpu_s, "schema_version": SCHEMA_VERSION}


def _tasks(
    corpus: View, rows: Sequence[dict[str, Any]], rules: SegmentRules
) -> tuple[list[Task], list[Problem]]:
    """Each channel of each row: the one that it names, or every one that its file has."""
    tasks: list[Task] = []
    problems: list[Problem] = []
    for row in rows:
        try:
            path = locate_text(str(row["audio_filepath"]), corpus.audio_roots)
            stamp, named = regular(path), channel_of(row)
            count = 1 if named is not None else probe(path).channels
        except WorkbenchError as error:
            problems.append(Problem(str(row["id"]), error.what, error.hint))
            continue
        duration = row["duration"]
        whole = not row["offset"]
        part = None if whole or duration != duration else duration
        for channel in [named] if named is not None else [(n,) for n in range(count)]:
            facts = [str(row["id"]), path, stamp.st_size, stamp.st_mtime_ns, row["offset"], part, channel]
            text = json.dumps([*facts, asdict(rules), SCHEMA_VERSION])
            key = hashlib.sha256(text.encode()).hexdigest()[:32]
            single = channel if count > 1 or named is not None else None
            tasks.append(Task(str(row["id"]), path, float(row["offset"] or 0), part, single, rules, key))
    return tasks, problems


def _found(
    tasks: Sequence[Task], engine: str, address: str | None, cancel: Callable[[], bool] | None
) -> Iterator[dict[str, Any]]:
    if engine == "ray":
        shards = ((task,) for task in tasks)
        yield from (line for _, line in over_ray(find_segments, shards, address=address, cancel=cancel))
        return
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="segments") as pool:
        size = 2 * (os.cpu_count() or 1)
        for at in range(0, len(tasks), size):
            yield from pool.map(find_segments, tasks[at : at + size])
            if cancel is not None and cancel():
                return


def _rows(
    by_id: dict[str, dict[str, Any]], lines: Sequence[dict[str, Any]], rules: SegmentRules
) -> list[dict[str, Any]]:
    """Rows of the segments, with what is known of their recording."""
    made = []
    settings = json.dumps(asdict(rules))
    for line in lines:
        parent = by_id[line["id"]]
        channel = None if line["channel"] is None else list(line["channel"])
        carried = {name: _known(parent.get(name)) for name in _CARRIED}
        speaker = _known(parent.get("speaker"))
        if channel is not None and speaker is None:
            speaker = f"{line['id']}#{'+'.join(map(str, channel))}"
        for start, end, speech in line["segments"]:
            offset = round(float(parent["offset"] or 0.0) + start, 4)
            name = "" if channel is None else f"-{'+'.join(map(str, channel))}"
            made.append(
                {
                    "id": f"{line['id']}{name}-{round(1000 * offset):09d}",
                    "audio_filepath": str(parent["audio_filepath"]), "offset": offset,
                    "duration": round(end - start, 4), "text": None, **carried, "speaker": speaker,
                    "channel": None if channel is None else channel[0] if len(channel) == 1 else channel,
                    "recording": line["id"], "speech": speech, "segmented_by": settings,
                }
            )  # fmt: skip
    return made


def _known(value: Any) -> Any:
    return None if value is None or value != value else value
