"""The scan's measures of a batch of rows: each recording is read once, a long one block by block."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from workbench.corpus.quality.long_measures import measure_blocks
from workbench.corpus.quality.measures import contents, measure, wav_samples
from workbench.errors import WorkbenchError
from workbench.ingest import audio

LONG_S = 600.0
"""From this length on a recording is measured block by block."""
_AT_ONCE = 64 << 20
"""A file of more bytes is hashed and decoded in pieces."""


def measure_rows(tasks: Sequence[Any]) -> list[dict[str, Any]]:
    """Measure a batch; a clip that cannot be read gives a row with ``error``."""
    return [_row(*task) for task in tasks]


def measure_rows_loud(tasks: Sequence[Any]) -> list[dict[str, Any]]:
    """The same with each clip's loudness."""
    return [_row(*task, loud=True) for task in tasks]


def _row(
    id: str,
    path: str,
    offset_s: float,
    duration_s: float | None,
    channel: tuple[int, ...] | None,
    _: Any,
    fault: str | None,
    *,
    loud: bool = False,
) -> dict[str, Any]:
    asked_s = -1.0 if duration_s is None else round(duration_s, 4)
    row: dict[str, Any] = {"id": id, "offset": round(offset_s, 4), "asked_s": asked_s}
    row["channel"] = channel_text(channel)
    if fault is not None:
        return {**row, "error": fault}
    try:
        found = audio.regular(path)
        row.update(size=found.st_size, mtime_ns=found.st_mtime_ns)
        decoded, whole = None, not offset_s and duration_s is None
        if path[-4:].lower() == ".wav" and whole and found.st_size <= _AT_ONCE:
            # One read serves the hash and the samples.
            data = contents(path, found.st_size)
            row["audio_sha256"] = hashlib.sha256(data).hexdigest()
            decoded = wav_samples(data)
        else:
            row["audio_sha256"] = audio.digest_of(path, found.st_size, found.st_mtime_ns)
        if decoded is None:
            row.update(_of_stretch(path, offset_s, duration_s, channel, loud))
        else:
            samples, rate = decoded
            row.update(
                measure(samples if channel is None else audio.chosen(samples, channel), rate, loud=loud)
            )
            row["header_s"] = row["duration_s"]
        if not whole:
            row["header_s"] = None
    except WorkbenchError as error:
        row["error"] = error.what
    except (OSError, ValueError, MemoryError) as error:
        row["error"] = type(error).__name__
    return row


def channel_text(channel: tuple[int, ...] | None) -> str | None:
    """Channels as the scan keeps them."""
    return None if channel is None else ",".join(map(str, channel))


def _of_stretch(
    path: str, offset_s: float, duration_s: float | None, channel: tuple[int, ...] | None, loud: bool
) -> dict[str, Any]:
    """Measures of what any decoder reads; what is longer than LONG_S is gone over block by block."""

    def blocks() -> Iterator[Any]:
        again = audio.stretch(path, offset_s, duration_s)
        return (block if channel is None else audio.chosen(block, channel) for block in again.blocks)

    opened = audio.stretch(path, offset_s, duration_s)
    held, count = [], 0
    for block in opened.blocks:
        held.append(block if channel is None else audio.chosen(block, channel))
        count += len(block)
        if count > LONG_S * opened.rate:
            width = held[0].shape[1]
            held.clear()
            return {**measure_blocks(blocks, opened.rate, width, loud=loud), "header_s": opened.stated_s}
    if not held:
        return {"header_s": opened.stated_s, "error": "the recording holds no samples"}
    samples = held[0] if len(held) == 1 else np.concatenate(held)
    audio.checked(audio.mix(samples, None))
    return {**measure(samples, opened.rate, loud=loud), "header_s": opened.stated_s}
