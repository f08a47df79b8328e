"""Which utterances cannot be trained on for what is in their recordings, found before the first step."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from workbench.errors import Problem, WorkbenchError
from workbench.ingest.audio import read_mono, refuse_shorter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.finetuning.rows import Utterance

SAMPLE_RATE = 16_000
SYMBOLS_PER_FRAME = 10
"""The most tokens that greedy decoding takes from one encoder frame, as NeMo sets it."""
_AT_ONCE = 64


def read_audio(utterance: Utterance) -> NDArray[np.float32]:
    """The utterance's samples at 16 kHz, mono, shape ``(samples,)``: those that every other part hears.

    Raises:
        WorkbenchError: missing, unreadable, samples that are no numbers or not scaled, a recording shorter
            than its row or than 20 ms, or no such channel.
    """
    name = utterance.audio.name
    mono = read_mono(
        utterance.audio, utterance.offset_s, utterance.duration_s, SAMPLE_RATE, utterance.channel
    )
    refuse_shorter(utterance.duration_s, len(mono) / SAMPLE_RATE, name)
    if len(mono) < SAMPLE_RATE // 50:
        raise WorkbenchError("audio is shorter than 20 ms", where=name)
    return mono


def refuse_dense(tokens: int, seconds: float, frame_s: float, where: str) -> None:
    """
    Args:
        tokens: of the transcript with its tag. frame_s: of an encoder frame.

    Raises:
        WorkbenchError: more tokens than can come out of so many frames: the transcript is not of this clip.
    """
    frames = max(1, round(seconds / frame_s))
    if tokens > SYMBOLS_PER_FRAME * frames:
        raise WorkbenchError(
            f"{tokens} tokens in {frames} frames ({seconds:.2f} s), {SYMBOLS_PER_FRAME} a frame at most",
            where=where,
            hint="Is it the transcript of this clip?",
        )


def problem_of(utterance: Utterance, error: WorkbenchError) -> Problem:
    """A row that is left out, as the run's problems list it."""
    field = "text" if "tokens" in error.what else "audio_filepath"
    return Problem(utterance.file, str(error), line=utterance.line, field=field)


def unusable(
    rows: Sequence[Utterance], tokens: Callable[[str], int], frame_s: float, most_s: float = 60.0
) -> tuple[list[Problem], int]:
    """Read recordings until time is up; those of a run are read again as they are trained on.

    Args:
        rows: utterances, longest known to shortest or in any order.
        tokens: how many tokens a transcript with its tag has.
        most_s: seconds that may be spent.

    Returns:
        One problem for each row that will be left out, and how many rows were read.
    """

    def attempt(row: Utterance) -> Problem | None:
        try:
            seconds = len(read_audio(row)) / SAMPLE_RATE
            refuse_dense(tokens(row.label), seconds, frame_s, row.audio.name)
        except WorkbenchError as error:
            return problem_of(row, error)
        return None

    begin, found, read = time.monotonic(), list[Problem](), 0
    with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="sounds") as pool:
        while read < len(rows) and time.monotonic() - begin < most_s:
            part = rows[read : read + _AT_ONCE]
            found += [problem for problem in pool.map(attempt, part) if problem is not None]
            read += len(part)
    return found, read
