"""The proof that ONNX graphs say what the torch engine says: tokens and frames of fixed clips, at each
look-ahead.

The clips are those of the starter corpus that is beside this package, where it is, sounds made from a
seed, and what the caller adds. A proof without tokens proves nothing, and is not taken for one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
import soxr

from workbench.recognizer.clips import Clip, stream_together
from workbench.starter_files import CORPUS, MANIFEST

if TYPE_CHECKING:
    from workbench.recognizer.decoder import Decoded
    from workbench.recognizer.engine import Engine

STARTER_CLIPS = 6
LEAST_TOKENS = 40
"""In all clips together, of the torch engine at one look-ahead, for a proof to count."""


def fixed_clips(sample_rate: int, prompt_indices: Sequence[int | None]) -> list[Clip]:
    """Recordings of the starter and sounds like speech, made from a seed; prompts in turn.

    Args:
        sample_rate: Hz. ``prompt_indices``: prompts of the checkpoint; ``[None]`` where its class takes none.
    """
    found = []
    rng = np.random.default_rng(20)
    for seconds in (0.7, 2.3):
        time = np.arange(int(seconds * sample_rate)) / sample_rate
        pitch = 110 + 40 * np.sin(2 * np.pi * 1.3 * time)
        voiced = sum(np.sin(2 * np.pi * n * np.cumsum(pitch) / sample_rate) / n for n in range(1, 24))
        level = np.clip(np.sin(2 * np.pi * 3.1 * time), 0, 1)
        sound = 0.1 * level * voiced + 0.01 * rng.standard_normal(time.size)
        found.append(sound.astype(np.float32))
    if MANIFEST.is_file():
        lines = MANIFEST.read_text("utf-8").splitlines()
        for line in lines[:: max(1, len(lines) // STARTER_CLIPS)][:STARTER_CLIPS]:
            pcm, rate = soundfile.read(CORPUS / json.loads(line)["audio_filepath"], dtype="float32")
            found.append(
                pcm if rate == sample_rate else soxr.resample(pcm, rate, sample_rate).astype(np.float32)
            )
    return [Clip(pcm, prompt_indices[number % len(prompt_indices)]) for number, pcm in enumerate(found)]


def spoken(engine: Engine, clips: Sequence[Clip], rights: Sequence[int]) -> dict[int, list[Decoded]]:
    """What an engine says of each clip, streamed alone, at each look-ahead in encoder frames."""
    return {right: [stream_together(engine, [clip], right)[0] for clip in clips] for right in rights}


def compare(
    mine: dict[int, list[Decoded]], theirs: dict[int, list[Decoded]], frame_s: float
) -> dict[str, Any]:
    """How often two engines say the same.

    Args:
        mine: of the torch engine, as :func:`spoken`. ``theirs``: of the other.
        frame_s: seconds of an encoder frame.

    Returns:
        ``clips``, ``tokens`` of the torch engine at the look-ahead with the fewest, ``equal`` clips by
        look-ahead in ms, and ``proved``: all equal, in tokens and frames, with enough tokens.
    """
    equal = {
        str(round(1000 * (right + 1) * frame_s)): sum(
            a.ids == b.ids and a.frames == b.frames for a, b in zip(said, theirs[right], strict=True)
        )
        for right, said in mine.items()
    }
    clips = max((len(said) for said in mine.values()), default=0)
    least = min((sum(len(one.ids) for one in said) for said in mine.values()), default=0)
    proved = all(count == clips for count in equal.values()) and least >= LEAST_TOKENS
    return {"clips": clips, "tokens": least, "equal": equal, "proved": proved}
