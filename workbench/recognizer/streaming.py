"""A streaming session: PCM in at any rate and cut, events out; its tokens equal offline decoding's.

``play`` runs a whole clip through a session as fast as the machine can and places each event on the media
clock. For many sessions in one process see ``pool``; for paced measurement see ``latency``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.recognizer.audio import Resampler
from workbench.recognizer.events import StreamEvent, Token, Word
from workbench.recognizer.transcript import Transcript

if TYPE_CHECKING:
    from workbench.recognizer.checkpoint import Checkpoint
    from workbench.recognizer.engine import Decoded, Stream

__all__ = ["Session", "StreamEvent", "Token", "Word", "play"]


class Session:
    """One speaker's stream.

    Args:
        checkpoint: whose model decodes; loaded on first use.
        locale: ``auto`` or a tag of its dictionary.
        lookahead_ms: one of its look-aheads; None is its default.
        boost: words and phrases to favour.

    Raises:
        WorkbenchError: unknown locale or look-ahead.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        locale: str = "auto",
        lookahead_ms: int | None = None,
        boost: Any = None,
        device: str = "auto",
    ) -> None:
        self.checkpoint, self.locale = checkpoint, locale
        self._right, self._slot = checkpoint.right_context(lookahead_ms), checkpoint.slot(locale)
        self.lookahead_ms = (self._right + 1) * checkpoint.info.frame_ms
        self._engine = checkpoint.engine(device)
        self._boost = boost
        self.reset()

    def reset(self) -> None:
        """Forget everything heard; the session can be fed again from its start."""
        self._stream: Stream = self._new_stream()
        self._resampler = Resampler(self.checkpoint.info.sample_rate)
        self._transcript = Transcript(self.checkpoint.tokenizer(), self._engine.frame_s)
        self._index, self._audio_s, self._emission_s, self._carried_s = 0, 0.0, 0.0, 0.0
        self.finished = False

    def feed(self, pcm: Any, sample_rate: int) -> list[StreamEvent]:
        """Hear any number of samples; one event for each chunk that became complete.

        Args:
            pcm: (samples,) or (samples, channels); int16, int32, uint8 or float in -1..1.
            sample_rate: Hz; the same in every call.

        Raises:
            WorkbenchError: after ``finish``; samples that are not finite, not scaled or not PCM. The session
                is as it was before the call.
        """
        if self.finished:
            raise WorkbenchError("the session is finished", mend="Call reset(), or open another session.")
        begin = time.perf_counter()
        self._stream.push(self._resampler.push(pcm, sample_rate))
        self._carried_s += time.perf_counter() - begin
        events = []
        while self._stream.ready:
            events.append(self._advance(last=False))
        return events

    def finish(self) -> list[StreamEvent]:
        """End the stream: what is left of the last chunk is decoded, as offline decodes a clip's end.

        The last event of the list has ``is_last``; a second call returns an empty list.
        """
        if self.finished:
            return []
        self._stream.push(self._resampler.flush())
        events = []
        while self._stream.ready:
            events.append(self._advance(last=False))
        events.append(self._advance(last=True))
        self.finished = True
        return events

    @property
    def final_transcript(self) -> str:
        """All words that cannot change any more."""
        return self._transcript.final

    @property
    def partial_transcript(self) -> str:
        """The last word while it may still grow."""
        return self._transcript.partial

    @property
    def words(self) -> tuple[Word, ...]:
        return self._transcript.words

    @property
    def detected_lang(self) -> str | None:
        """The last tag that the model emitted; None before one."""
        return self._transcript.detected_lang

    @property
    def cache_bytes(self) -> int:
        """Bytes held between chunks."""
        return self._stream.nbytes

    def _new_stream(self) -> Stream:
        from workbench.recognizer.engine import Stream

        return Stream(self._engine, self._right, self._slot)

    def _advance(self, last: bool) -> StreamEvent:
        begin = time.perf_counter()
        stream = self._stream
        need = self._engine.frontend.samples_for(stream.next_features)
        decoded: Decoded | None = None
        if not last or stream.rest > 0:
            [decoded] = self._engine.step([stream], last=last)
        tokens = self._take(decoded)
        if last:
            self._transcript.end()
        compute_s = time.perf_counter() - begin + self._carried_s
        self._carried_s = 0.0
        return self._event(tokens, stream.mel.samples if last else need, compute_s, last)

    def _take(self, decoded: Decoded | None) -> tuple[Token, ...]:
        if decoded is None:
            return self._transcript.add((), (), (), self._stream.emitted)
        return self._transcript.add(decoded.ids, decoded.frames, decoded.confidences, self._stream.emitted)

    def _event(self, tokens: tuple[Token, ...], samples: int, compute_s: float, last: bool) -> StreamEvent:
        start_s, self._audio_s = self._audio_s, samples / self.checkpoint.info.sample_rate
        self._emission_s = max(self._emission_s, self._audio_s) + compute_s
        self._index += 1
        return StreamEvent(
            index=self._index - 1,
            audio_start_s=start_s,
            audio_end_s=self._audio_s,
            compute_s=compute_s,
            emission_s=self._emission_s,
            final_transcript=self._transcript.final,
            partial_transcript=self._transcript.partial,
            new_tokens=tokens,
            words=self._transcript.words,
            detected_lang=self._transcript.detected_lang,
            cache_bytes=self._stream.nbytes,
            is_last=last,
            end_of_utterance=self._transcript.end_of_utterance,
        )


def play(
    checkpoint: Checkpoint,
    pcm: Any,
    sample_rate: int,
    locale: str = "auto",
    lookahead_ms: int | None = None,
    boost: Any = None,
) -> list[StreamEvent]:
    """Stream a whole clip as fast as possible; events carry emission times on the media clock.

    Args:
        pcm: (samples,) or (samples, channels), as ``Session.feed`` takes them.

    Raises:
        WorkbenchError: as ``Session``.
    """
    session = checkpoint.session(locale, lookahead_ms, boost)
    return [*session.feed(pcm, sample_rate), *session.finish()]
