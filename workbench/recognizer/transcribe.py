"""Batch transcription of rows into a Parquet of predictions: offline or streaming, resumable, by locale.

NeMo's own ``transcribe(paths, target_lang=…)`` ignores its ``target_lang``; here every row is decoded with
the prompt of its own tag (``prompt_mode='langID'``) or with ``auto``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import Problem, WorkbenchError
from workbench.recognizer.predictions import RunFacts, Shards, job_digest, write_problems

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.recognizer.checkpoint import Checkpoint
    from workbench.recognizer.clips import Reading

    Pcm = NDArray[np.float32]
    Loader = Callable[[Mapping[str, Any]], Pcm]

log = logging.getLogger("workbench.recognizer.transcribe")
PROMPT_MODES = ("langID", "auto")
SHARD_S = 20.0
MAX_BATCH = 64


def transcribe(
    checkpoint: Checkpoint,
    rows: Iterable[Mapping[str, Any]],
    audio_root: Path,
    out: Path,
    *,
    lookahead_ms: int | None = None,
    prompt_mode: str = "langID",
    streaming: bool = False,
    batch_s: float = 60.0,
    device: str = "auto",
    precision: str = "auto",
    load: Loader | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Path:
    """Write the predictions Parquet of utterance rows; a killed or cancelled call goes on when repeated.

    A finished file of the same checkpoint, settings and rows is returned as it is.

    Args:
        rows: utterance rows with ``id``, ``audio_filepath``, ``offset``, ``duration``, ``target_lang``.
        audio_root: folder that ``audio_filepath`` is relative to; paths that leave it are refused.
        lookahead_ms: a look-ahead of the checkpoint; None is its default (recorded as null when offline).
        prompt_mode: 'langID': each row's ``target_lang``; 'auto': the model finds the language.
        batch_s: seconds of audio in one batch, padding included.
        device, precision: as ``Checkpoint.model``.
        load: gives a row's samples, (n,) float32 mono at the checkpoint's rate; None reads the file.
        progress: called with (done, total) rows. ``cancel``: asked before each batch.

    Returns:
        ``out``. Rows that could not be read are in ``NAME.problems.jsonl`` beside it.

    Raises:
        WorkbenchError: unknown look-ahead or prompt mode, ids that repeat, or cancelled.
    """
    if prompt_mode not in PROMPT_MODES:
        raise WorkbenchError(f"unknown prompt mode {prompt_mode!r}", mend=f"Use {' or '.join(PROMPT_MODES)}.")
    right = checkpoint.right_context(lookahead_ms)
    recorded = (right + 1) * checkpoint.info.frame_ms if streaming or lookahead_ms is not None else None
    rows, out = list(rows), Path(out)
    order = {str(row["id"]): number for number, row in enumerate(rows)}
    if len(order) != len(rows):
        raise WorkbenchError(f"{len(rows) - len(order)} ids repeat", mend="Give every row an id of its own.")
    facts = RunFacts(checkpoint.sha256, recorded, prompt_mode, streaming)
    shards = Shards(out, facts, job_digest(facts, rows, precision))
    report = progress or (lambda done, total: None)
    if shards.finished():
        log.info("%s is already there for these rows and settings", out.name)
        report(len(rows), len(rows))
        return out
    done = shards.resume()
    todo, problems = _with_slots(checkpoint, [r for r in rows if str(r["id"]) not in done], prompt_mode)
    count = len(done) + len(problems)
    report(count, len(rows))
    loader = load or _Reader(Path(audio_root), checkpoint.info.sample_rate)
    saved_at = time.monotonic()
    for batch, faults in _loaded(_batches(todo, batch_s), loader):
        if cancel is not None and cancel():
            shards.flush()
            raise WorkbenchError(
                f"cancelled after {count} of {len(rows)} rows", mend="Repeat the call to go on."
            )
        problems += faults
        for row, reading in _read(checkpoint, batch, right, streaming, (device, precision)):
            shards.add(_prediction(row, reading))
        count += len(batch) + len(faults)
        if time.monotonic() - saved_at > SHARD_S:
            shards.flush()
            saved_at = time.monotonic()
        report(count, len(rows))
    write_problems(out.with_suffix(".problems.jsonl"), [problem.to_dict() for problem in problems])
    if problems:
        log.warning("%d of %d rows could not be transcribed: see the problems file", len(problems), len(rows))
    return shards.finish(order)


Prepared = tuple[Mapping[str, Any], int | None]


def _with_slots(
    checkpoint: Checkpoint, rows: Sequence[Mapping[str, Any]], prompt_mode: str
) -> tuple[list[Prepared], list[Problem]]:
    """Rows with their prompt slot, and those whose tag the checkpoint does not know."""
    slots: dict[str, int | None] = {}
    prepared: list[Prepared] = []
    problems: list[Problem] = []
    for row in rows:
        tag = "auto" if prompt_mode == "auto" else _text(row.get("target_lang"))
        try:
            if not tag and checkpoint.info.prompts:
                raise WorkbenchError("no target_lang", mend="Set it, or use prompt_mode='auto'.")
            if tag not in slots:
                slots[tag] = checkpoint.slot(tag)
            prepared.append((row, slots[tag]))
        except WorkbenchError as error:
            problems.append(Problem(str(row["id"]), error.what, error.mend, field="target_lang"))
    return prepared, problems


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _duration_s(row: Mapping[str, Any]) -> float:
    value = row.get("duration")
    return float(value) if isinstance(value, int | float) and value == value else 10.0


def _batches(rows: Sequence[Prepared], batch_s: float) -> Iterator[list[Prepared]]:
    """Rows of like length together, longest first: the first batch shows whether memory suffices."""
    batch: list[Prepared] = []
    for row in sorted(rows, key=lambda prepared: -_duration_s(prepared[0])):
        longest = _duration_s(batch[0][0]) if batch else 0.0
        if batch and (longest * (len(batch) + 1) > batch_s or len(batch) >= MAX_BATCH):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


Loaded = list[tuple[Mapping[str, Any], "int | None", "Pcm"]]


def _loaded(batches: Iterator[list[Prepared]], load: Loader) -> Iterator[tuple[Loaded, list[Problem]]]:
    """Batches with their audio, the next one read while the last is decoded."""

    def read(batch: list[Prepared]) -> tuple[Loaded, list[Problem]]:
        good: Loaded = []
        faults: list[Problem] = []
        for row, slot in batch:
            try:
                good.append((row, slot, load(row)))
            except (WorkbenchError, OSError, RuntimeError) as error:
                mend = error.mend if isinstance(error, WorkbenchError) else "Check the file."
                what = error.what if isinstance(error, WorkbenchError) else f"cannot read audio: {error}"
                faults.append(Problem(str(row.get("audio_filepath")), what, mend, field=f"id {row['id']}"))
        return good, faults

    with ThreadPoolExecutor(1, thread_name_prefix="audio") as pool:
        ahead = None
        for batch in batches:
            following = pool.submit(read, batch)
            if ahead is not None:
                yield ahead.result()
            ahead = following
        if ahead is not None:
            yield ahead.result()


def _read(
    checkpoint: Checkpoint, batch: Loaded, right: int, streaming: bool, place: tuple[str, str]
) -> Iterator[tuple[Mapping[str, Any], Reading]]:
    from workbench.recognizer.clips import Clip, read

    if batch:
        clips = [Clip(pcm, slot) for _, slot, pcm in batch]
        readings = read(checkpoint.engine(*place), clips, checkpoint.tokenizer(), right, streaming)
        yield from zip([row for row, _, _ in batch], readings, strict=True)


def _prediction(row: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "hypothesis": reading.text,
        "detected_lang": reading.detected_lang,
        "confidence": reading.confidence,
        "words": [word.to_dict() for word in reading.words],
        "compute_s": reading.compute_s,
    }


class _Reader:
    """Reads a row's segment from its file: soundfile, first and only what lies under the root."""

    def __init__(self, root: Path, sample_rate: int) -> None:
        self.root, self.sample_rate = root.resolve(), sample_rate

    def __call__(self, row: Mapping[str, Any]) -> Pcm:
        import soundfile
        import soxr

        from workbench.recognizer.audio import to_mono

        path = (self.root / str(row["audio_filepath"])).resolve()
        if not path.is_relative_to(self.root):
            raise WorkbenchError(
                "path leaves the audio folder", mend="Import the manifest with its own root."
            )
        with soundfile.SoundFile(path) as file:
            rate, start = (
                file.samplerate,
                min(round((row.get("offset") or 0.0) * file.samplerate), file.frames),
            )
            file.seek(start)
            count = file.frames - start
            duration_s = row.get("duration")
            # A manifest rounds durations: a row that reaches the end within 10 ms is read to the end.
            if duration_s is not None and duration_s * rate < count - 0.01 * rate:
                count = round(duration_s * rate)
            pcm = to_mono(file.read(count, dtype="float32"))
        if rate == self.sample_rate:
            return pcm
        return soxr.resample(pcm, rate, self.sample_rate)  # type: ignore[no-any-return]
