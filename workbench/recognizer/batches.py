"""Rows cut into batches, read from their files and decoded: the part of a transcription that runs anywhere.

Batches depend on the rows alone, not on what was done before or on who decodes them: padding changes the last
digits of a network's sums, so the same batches are what makes results the same on one machine and on many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from workbench.errors import Problem, WorkbenchError
from workbench.ingest.audio import RowReader
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.clips import Clip, read, read_blocks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.recognizer.clips import Reading

    Pcm = NDArray[np.float32]
    Loader = Callable[[Mapping[str, Any]], Pcm]

MAX_BATCH = 64
LONG_S = 600.0
"""A longer row is read and streamed block by block, so that memory does not grow with it."""
Prepared = tuple[Mapping[str, Any], int | None]
"""A row and its prompt index."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """How batches are decoded. ``right``: look-ahead in encoder frames."""

    right: int
    streaming: bool
    device: str = "auto"
    precision: str = "auto"
    runtime: str = "torch"


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Predictions of a batch, and its rows that could not be read."""

    predictions: list[dict[str, Any]]
    problems: list[Problem]

    def __len__(self) -> int:
        return len(self.predictions) + len(self.problems)


def cut(rows: Sequence[Prepared], batch_s: float) -> Iterator[list[Prepared]]:
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


def decode(
    checkpoint: Checkpoint, batches: Iterable[list[Prepared]], how: Decoding, load: Loader
) -> Iterator[BatchResult]:
    """Decode batches one after the other, the next one's audio read meanwhile."""
    for batch, faults in _loaded(batches, load):
        try:
            readings = _read(checkpoint, batch, how)
        except WorkbenchError as error:
            if not any(callable(sound) for _, _, sound in batch):
                raise
            # A row of hours is read while it is decoded, alone in its batch.
            yield BatchResult([], [*faults, *(_fault(row, error) for row, _, _ in batch)])
            continue
        found = [_prediction(row, reading) for (row, _, _), reading in zip(batch, readings, strict=True)]
        yield BatchResult(found, faults)


def decode_shard(
    path: str, batches: list[list[Prepared]], how: Decoding, load: Loader, threads: int
) -> list[BatchResult]:
    """:func:`decode` in a worker's process, which keeps the checkpoint loaded for the next shard.

    Args:
        path: of the ``.nemo`` file.
        threads: of torch, as many as the caller has: sums may differ in their last digits with them.
    """
    import torch

    torch.set_num_threads(threads)
    return list(decode(Checkpoint.open(path), batches, how, load))


def _duration_s(row: Mapping[str, Any]) -> float:
    value = row.get("duration")
    return float(value) if isinstance(value, int | float) and value == value else 10.0


Loaded = list[tuple[Mapping[str, Any], "int | None", "Pcm | Callable[[], Iterator[Pcm]]"]]


def _loaded(batches: Iterable[list[Prepared]], load: Loader) -> Iterator[tuple[Loaded, list[Problem]]]:
    def read(batch: list[Prepared]) -> tuple[Loaded, list[Problem]]:
        good: Loaded = []
        faults: list[Problem] = []
        for row, prompt_index in batch:
            try:
                good.append((row, prompt_index, _sound(load, row)))
            except (WorkbenchError, OSError, RuntimeError) as error:
                faults.append(_fault(row, error))
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


def _sound(load: Loader, row: Mapping[str, Any]) -> Pcm | Callable[[], Iterator[Pcm]]:
    """A row's samples, or for a row of more than LONG_S how to read them block by block."""
    if isinstance(load, RowReader) and _duration_s(row) > LONG_S:
        return partial(load.blocks, row)
    return load(row)


def _fault(row: Mapping[str, Any], error: Exception) -> Problem:
    hint = error.hint if isinstance(error, WorkbenchError) else "Check the file."
    what = error.what if isinstance(error, WorkbenchError) else f"cannot read audio: {error}"
    return Problem(str(row.get("audio_filepath")), what, hint, field=f"id {row['id']}")


def _read(checkpoint: Checkpoint, batch: Loaded, how: Decoding) -> list[Reading]:
    if not batch:
        return []
    engine, tokenizer = checkpoint.engine(how.device, how.precision, how.runtime), checkpoint.tokenizer()
    clips = [Clip(sound, prompt_index) for _, prompt_index, sound in batch if not callable(sound)]
    short = iter(read(engine, clips, tokenizer, how.right, how.streaming))
    return [
        read_blocks(engine, sound(), prompt_index, tokenizer, how.right) if callable(sound) else next(short)
        for _, prompt_index, sound in batch
    ]


def _prediction(row: Mapping[str, Any], reading: Reading) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "hypothesis": reading.text,
        "detected_lang": reading.detected_lang,
        "confidence": reading.confidence,
        "words": [word.to_dict() for word in reading.words],
        "spans": [span.to_dict() for span in reading.spans],
        "compute_s": reading.compute_s,
        "audio_sha256": row.get("audio_sha256"),
    }
