"""A streaming session: PCM in at any rate and cut, events out; its tokens equal offline decoding's.

``play`` runs a whole clip through a session as fast as the machine can and places each event on the media
clock. For many sessions in one process see ``pool``; for paced measurement see ``latency``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from workbench.recognizer.boosting import Boost
from workbench.recognizer.events import StreamEvent, Token, Word
from workbench.recognizer.runtimes import settle
from workbench.recognizer.stream_pipeline import StreamPipeline
from workbench.signatures import public

if TYPE_CHECKING:
    from workbench.recognizer.checkpoint_info import OpenCheckpoint

__all__ = ["Session", "StreamEvent", "Token", "Word", "play"]


@public
class Session:
    """One speaker's stream. Not to be fed from two threads at once; several sessions may be.

    Args:
        checkpoint: whose model decodes; loaded on first use.
        locale: ``auto`` or a tag of its dictionary.
        lookahead_ms: one of its look-aheads; None is its default.
        boost: words and phrases to favor: a list, or ``boosting.Boost``.
        device: 'cpu', 'cuda', or 'auto'. ``precision``: 'fp32', 'bf16', or 'auto' (bf16 on CUDA).

    Raises:
        WorkbenchError: unknown locale or look-ahead, no such device.
    """

    def __init__(
        self,
        checkpoint: OpenCheckpoint,
        *,
        locale: str = "auto",
        lookahead_ms: int | None = None,
        boost: Any = None,
        device: str = "auto",
        precision: str = "auto",
        runtime: str = "auto",
    ) -> None:
        self.checkpoint, self.locale = checkpoint, locale
        self._right, self._prompt_index = (
            checkpoint.right_context(lookahead_ms),
            checkpoint.prompt_index(locale),
        )
        self.lookahead_ms = (self._right + 1) * checkpoint.info.frame_ms
        self._boost = Boost.of(boost)
        self.runtime = settle(checkpoint, runtime, device, precision, self._boost is not None)
        self._engine = checkpoint.engine(device, precision, self.runtime)
        self.reset()

    def __repr__(self) -> str:
        return (
            f"Session of {self.checkpoint.path.name}: {self.locale}, {self.lookahead_ms} ms look-ahead, "
            f"{self.runtime}; feed(pcm, sample_rate) gives events."
        )

    def reset(self) -> None:
        """Forget everything heard; the session can be fed again from its start."""
        self._listener = StreamPipeline(
            self._engine, self.checkpoint.tokenizer(), self._right, self._prompt_index, self._boost
        )

    def feed(self, pcm: Any, sample_rate: int) -> list[StreamEvent]:
        """Hear any number of samples; one event for each chunk that became complete.

        Args:
            pcm: (samples,) or (samples, channels); int16, int32, uint8 or float in -1..1.
            sample_rate: Hz; the same in every call.

        Raises:
            WorkbenchError: after ``finish``; samples that are not finite, not scaled or not PCM. The session
                is as it was before the call.
        """
        self._listener.push(pcm, sample_rate)
        return self._advance()

    def finish(self) -> list[StreamEvent]:
        """End the stream: what is left of the last chunk is decoded, as offline decodes a clip's end.

        The last event of the list has ``is_last``; a second call returns an empty list.
        """
        if self.finished:
            return []
        self._listener.end()
        events = self._advance()
        samples, begin = self._listener.due_samples(), time.perf_counter()
        stream = self._listener.stream
        decoded = self._engine.step([stream])[0] if stream.rest > 0 else None
        spent_s = time.perf_counter() - begin
        return [*events, self._listener.event(decoded, samples, spent_s, last=True)]

    @property
    def finished(self) -> bool:
        """Whether the end of the audio was fed."""
        return self._listener.ended

    @property
    def final_transcript(self) -> str:
        """All words that cannot change any more."""
        return self._listener.transcript.final

    @property
    def partial_transcript(self) -> str:
        """The last word while it may still grow."""
        return self._listener.transcript.partial

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of the final transcript so far, with their times."""
        return self._listener.transcript.words

    @property
    def detected_lang(self) -> str | None:
        """The last tag that the model emitted; None before one."""
        return self._listener.transcript.detected_lang

    @property
    def cache_bytes(self) -> int:
        """Bytes of the model's state between chunks; flat once the first chunk is decoded."""
        return self._listener.stream.cache_bytes

    @property
    def backlog_s(self) -> float:
        """Seconds of audio that wait for their chunk to be complete."""
        return self._listener.backlog_s

    def _advance(self) -> list[StreamEvent]:
        listener, events = self._listener, []
        while listener.stream.ready:
            samples, begin = listener.due_samples(), time.perf_counter()
            [decoded] = self._engine.step([listener.stream])
            events.append(listener.event(decoded, samples, time.perf_counter() - begin, last=False))
        return events


def play(
    checkpoint: OpenCheckpoint,
    pcm: Any,
    sample_rate: int,
    locale: str = "auto",
    lookahead_ms: int | None = None,
    boost: Any = None,
    *,
    device: str = "auto",
    precision: str = "auto",
    runtime: str = "auto",
) -> list[StreamEvent]:
    """Stream a whole clip as fast as possible; events carry emission times on the media clock.

    Args:
        pcm: (samples,) or (samples, channels), as ``Session.feed`` takes them.

    Raises:
        WorkbenchError: as ``Session``.
    """
    session = Session(
        checkpoint, locale=locale, lookahead_ms=lookahead_ms, boost=boost, device=device, precision=precision,
        runtime=runtime,
    )  # fmt: skip
    return [*session.feed(pcm, sample_rate), *session.finish()]
