"""Where somebody speaks in a recording: silero-vad's probability every 32 ms, and the segments they make.

The model is the one in the wheel of ``silero-vad`` (MIT), run by ONNX Runtime block by block, so that memory
does not grow with the recording. From probabilities to stretches of speech it is that package's own rule;
only a stretch that is too long is cut here, where speech is least likely and not where the limit falls.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import WorkbenchError

RATE = 16_000
FRAME = 512
"""Samples that one probability stands for."""
_CONTEXT = 64
_MOST_FRAMES = 512
"""Frames that the model is handed at once (16 s)."""
_STATE = (1, 1, 128)
_MODEL = "data/silero_vad_16k_sequence.onnx"

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SegmentRules:
    """How recordings are cut; all in seconds but for the threshold.

    Attributes:
        shortest_s: less speech than this is no segment.
        longest_s: of a segment with its padding; a longer one is cut where speech is least likely.
        silence_s: a pause as long as this ends a segment.
        padding_s: kept before and after, at most half of the pause.
        threshold: probability from which on a frame is speech.
    """

    shortest_s: float = 0.3
    longest_s: float = 20.0
    silence_s: float = 0.5
    padding_s: float = 0.4
    threshold: float = 0.35

    def __post_init__(self) -> None:
        good = (
            0 < self.shortest_s < self.longest_s <= 120
            and 0.05 <= self.silence_s <= 10
            and 0 <= self.padding_s <= 2
            and 4 * self.padding_s < self.longest_s
            and 0 < self.threshold < 1
        )
        if not good:
            raise WorkbenchError(
                f"limits of segments that cannot hold: {asdict(self)}",
                hint="0 < shortest_s < longest_s <= 120, silence_s 0.05 to 10, padding_s 0 to 2, "
                "threshold between 0 and 1.",
            )


@dataclass(frozen=True, slots=True)
class Segment:
    """Seconds from the start of what was looked at. ``speech``: mean probability of its frames."""

    start_s: float
    end_s: float
    speech: float


def probabilities(blocks: Iterable[Samples]) -> tuple[NDArray[np.float32], int]:
    """Probability of speech in each frame of 32 ms, (frames,) in 0..1, and how many samples there were.

    Args:
        blocks: mono float32 at 16 kHz, in pieces of any length.
    """
    session = _session()
    context = np.zeros(_CONTEXT, np.float32)
    hidden, cell = np.zeros(_STATE, np.float32), np.zeros(_STATE, np.float32)
    rest, found, count = np.zeros(0, np.float32), list[Any](), 0

    def run(samples: Samples) -> None:
        nonlocal context, hidden, cell
        frames = samples.reshape(-1, FRAME)
        before = np.concatenate([context[None], frames[:-1, -_CONTEXT:]])
        context = frames[-1, -_CONTEXT:].copy()
        inputs = {"input": np.concatenate([before, frames], axis=1), "h": hidden, "c": cell}
        values, hidden, cell = session.run(["speech_probs", "hn", "cn"], inputs)
        found.append(np.asarray(values, np.float32).reshape(-1))

    size = FRAME * _MOST_FRAMES
    for block in blocks:
        count += len(block)
        rest = np.concatenate([rest, block]) if len(rest) else block
        while len(rest) >= size:
            run(np.ascontiguousarray(rest[:size], np.float32))
            rest = rest[size:]
    if len(rest):
        padded = np.zeros(-(-len(rest) // FRAME) * FRAME, np.float32)
        padded[: len(rest)] = rest
        run(padded)
    return (np.concatenate(found) if found else np.zeros(0, np.float32)), count


def segments(speech: NDArray[np.float32], samples: int, rules: SegmentRules) -> list[Segment]:
    """The segments of a recording, in order; they never overlap.

    Args:
        speech: of :func:`probabilities`. samples: that it has at 16 kHz.
    """
    from silero_vad.utils_vad import get_speech_timestamps_from_probs  # brings torch

    said = get_speech_timestamps_from_probs(
        speech.tolist(),
        RATE,
        rules.threshold,
        min_speech_duration_ms=round(1000 * rules.shortest_s),
        min_silence_duration_ms=round(1000 * rules.silence_s),
        speech_pad_ms=round(1000 * rules.padding_s),
        audio_length_samples=samples,
    )
    found: list[Segment] = []
    for one in said:
        for start, end in _not_longer(int(one["start"]), int(one["end"]), speech, rules):
            part = speech[start // FRAME : max(start // FRAME + 1, end // FRAME)]
            mean = float(part.mean()) if len(part) else 0.0
            found.append(Segment(round(start / RATE, 4), round(end / RATE, 4), round(mean, 4)))
    return found


def _not_longer(
    start: int, end: int, speech: NDArray[np.float32], rules: SegmentRules
) -> Sequence[tuple[int, int]]:
    """A stretch in samples, in pieces no longer than the limit: cut in the likeliest pause of the second half
    of what fits."""
    pieces = []
    most = round(rules.longest_s * RATE)
    smooth = np.convolve(speech, np.full(5, 0.2, np.float32), "same") if end - start > most else speech
    while end - start > most:
        first, last = (start + most // 2) // FRAME, (start + most) // FRAME
        place = FRAME * (first + int(smooth[first:last].argmin())) + FRAME // 2
        pieces.append((start, place))
        start = place
    return [*pieces, (start, end)]


@functools.cache
def _session() -> Any:
    """The model, once a process: it keeps no state of its own, and runs without the interpreter's lock.

    Raises:
        WorkbenchError: the package is not there.
    """
    import onnxruntime  # not for everyone who opens a workspace

    # Found without being imported: the package brings torch.
    found = importlib.util.find_spec("silero_vad")
    places = list(found.submodule_search_locations or ()) if found is not None else []
    paths = [path for place in places if (path := Path(place) / _MODEL).is_file()]
    if not paths:
        raise WorkbenchError("silero-vad is not installed", hint="pip install silero-vad -c constraints.txt")
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(paths[0]), options, providers=["CPUExecutionProvider"])
