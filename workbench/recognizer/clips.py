"""Clips decoded many at a time: offline as padded batches, or streamed chunk by chunk in step.

Both return what a session returns, in the order given. Offline runs the model's own preprocessor, encoder and
prompt projection; clips too long for full attention are streamed, which gives the same tokens.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.recognizer.decoder import Decoded
from workbench.recognizer.events import LanguageSpan, Word
from workbench.recognizer.stream import Stream
from workbench.recognizer.transcript import Transcript

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from workbench.recognizer.engine import Engine

    Pcm = NDArray[np.float32]

LONGEST_OFFLINE_S = 120.0
"""Attention costs memory with the square of the length: 120 s are 1,500 frames."""


@dataclass(frozen=True, slots=True)
class Clip:
    """Samples at the checkpoint's rate, and the prompt index (None where the class takes none)."""

    pcm: Pcm
    prompt_index: int | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read from one clip. ``detected_lang``: the language of most words; ``compute_s``: its share of
    the batch's time, by its length."""

    text: str
    detected_lang: str | None
    spans: tuple[LanguageSpan, ...]
    words: tuple[Word, ...]
    confidence: float | None
    decoded: Decoded
    compute_s: float


def read(engine: Engine, clips: Sequence[Clip], tokenizer: Any, right: int, streaming: bool) -> list[Reading]:
    """Decode clips as one batch.

    Args:
        right: look-ahead in encoder frames, offline and streaming alike.
        streaming: chunk by chunk with caches, as sessions do.
    """
    begin = time.perf_counter()
    rate = engine.sample_rate
    longest_s = max((clip.pcm.size for clip in clips), default=0) / rate
    if streaming or longest_s > LONGEST_OFFLINE_S or engine.runtime != "torch":
        decoded = stream_together(engine, clips, right)
    else:
        decoded = decode_offline(engine, clips, right)
    spent_s = time.perf_counter() - begin
    samples = sum(clip.pcm.size for clip in clips) or 1
    return [
        _reading(engine, tokenizer, found, spent_s * clip.pcm.size / samples)
        for clip, found in zip(clips, decoded, strict=True)
    ]


def read_blocks(
    engine: Engine, blocks: Iterable[Pcm], prompt_index: int | None, tokenizer: Any, right: int
) -> Reading:
    """Stream one clip whose samples come in pieces, chunk by chunk: the tokens of :func:`read` on the whole,
    in memory that does not grow with it.

    Raises:
        WorkbenchError: as reading the pieces does.
    """
    spent_s, result, stream = 0.0, Decoded([], [], []), Stream(engine, right, prompt_index)
    for block in blocks:
        begin = time.perf_counter()
        stream.push(block)
        while stream.ready:
            _extend(result, engine.step([stream])[0])
        spent_s += time.perf_counter() - begin
    begin = time.perf_counter()
    while stream.ready or stream.rest > 0:
        _extend(result, engine.step([stream])[0])
    return _reading(engine, tokenizer, result, spent_s + time.perf_counter() - begin)


def decode_offline(engine: Engine, clips: Sequence[Clip], right: int) -> list[Decoded]:
    """Tokens of whole clips at a look-ahead: (batch, samples) through preprocessor, encoder, prompt, decoder.

    A clip shorter than one feature frame has no tokens; NeMo would decode a masked frame.
    """
    import torch

    heard = [i for i, clip in enumerate(clips) if clip.pcm.size >= engine.hop]
    results = [Decoded([], [], []) for _ in clips]
    if not heard:
        return results
    lengths = torch.tensor([clips[i].pcm.size for i in heard])
    batch = torch.zeros(len(heard), int(lengths.max()))
    for row, i in enumerate(heard):
        batch[row, : lengths[row]] = torch.from_numpy(clips[i].pcm)
    with engine.lock, torch.inference_mode():
        engine.set_context(right)
        features, counts = engine.model.preprocessor(
            input_signal=batch.to(engine.device), length=lengths.to(engine.device)
        )
        encoded, counts = engine.encoder(audio_signal=features.to(engine.dtype), length=counts)
        encoded = engine.apply_prompt(encoded.transpose(1, 2), [clips[i].prompt_index for i in heard])
        decoded, _ = engine.decoder.decode(encoded, counts)
    for i, found in zip(heard, decoded, strict=True):
        results[i] = found
    return results


def stream_together(engine: Engine, clips: Sequence[Clip], right: int) -> list[Decoded]:
    """Tokens of clips streamed chunk by chunk, those that still have audio as one batch."""
    streams = [Stream(engine, right, clip.prompt_index) for clip in clips]
    results = [Decoded([], [], []) for _ in clips]
    for stream, clip in zip(streams, clips, strict=True):
        stream.push(clip.pcm)
    active = list(range(len(clips)))
    while active:
        active = [i for i in active if streams[i].ready or streams[i].rest > 0]
        if active:
            for i, found in zip(active, engine.step([streams[i] for i in active]), strict=True):
                _extend(results[i], found)
    return results


def _extend(result: Decoded, more: Decoded) -> None:
    result.ids.extend(more.ids)
    result.frames.extend(more.frames)
    result.confidences.extend(more.confidences)


def _reading(engine: Engine, tokenizer: Any, decoded: Decoded, compute_s: float) -> Reading:
    transcript = Transcript(tokenizer, engine.frame_s)
    transcript.add(decoded.ids, decoded.frames, decoded.confidences, 0)
    transcript.end()
    words = transcript.words
    confidence = sum(word.confidence for word in words) / len(words) if words else None
    return Reading(
        transcript.final, transcript.main_lang, transcript.spans, words, confidence, decoded, compute_s
    )
