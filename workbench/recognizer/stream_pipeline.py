"""One stream from PCM to events, without deciding when it is computed: what a session and a pool share."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.recognizer.audio import Resampler
from workbench.recognizer.boosting import Boost
from workbench.recognizer.events import StreamEvent
from workbench.recognizer.stream import Stream
from workbench.recognizer.transcript import Transcript

if TYPE_CHECKING:
    from workbench.recognizer.decoder import Decoded
    from workbench.recognizer.engine import Engine


class StreamPipeline:
    """Samples in, decoded chunks in, events out.

    Args:
        engine: that encodes and decodes. ``tokenizer``: of its checkpoint.
        right: look-ahead in encoder frames; ``prompt_index``: of the prompt; ``boost``: phrases to favor.
    """

    def __init__(
        self,
        engine: Engine,
        tokenizer: Any,
        right: int,
        prompt_index: int | None,
        boost: Boost | None = None,
    ) -> None:
        self.stream = Stream(engine, right, prompt_index)
        if boost is not None:
            with engine.lock:
                self.stream.boost = engine.boosts.attach(boost, self.stream)
        self.transcript = Transcript(tokenizer, engine.frame_s)
        self.ended = False
        self.index = 0
        self.engine, self._rate = engine, engine.sample_rate
        self._resampler = Resampler(engine.sample_rate)
        self._audio_s = self._emission_s = self._carried_s = 0.0

    def push(self, pcm: Any, sample_rate: int) -> None:
        """Take PCM; as ``Session.feed``.

        Raises:
            WorkbenchError: after :meth:`end`, or what ``Resampler.push`` raises; nothing is taken then.
        """
        if self.ended:
            raise WorkbenchError("the session is finished", hint="Call reset(), or open another session.")
        begin = time.perf_counter()
        self.stream.push(self._resampler.push(pcm, sample_rate))
        self._carried_s += time.perf_counter() - begin

    def end(self) -> None:
        """No more audio will come; what the resampler holds is heard."""
        self.ended = True
        self.stream.push(self._resampler.flush())

    @property
    def backlog_s(self) -> float:
        """Seconds of audio that were pushed and not yet decoded."""
        return max(0.0, self.stream.mel.samples / self._rate - self._audio_s)

    def due_samples(self) -> int:
        """Samples up to which the chunk reaches that is computed next."""
        if self.stream.ready:
            return self.engine.frontend.samples_for(self.stream.next_features)
        return self.stream.mel.samples

    def event(self, decoded: Decoded | None, samples: int, compute_s: float, last: bool) -> StreamEvent:
        """The event of a chunk that was decoded; ``samples`` is :meth:`due_samples` from before the step."""
        begin, transcript = time.perf_counter(), self.transcript
        if decoded is None:
            tokens = transcript.add((), (), (), self.stream.emitted)
        else:
            tokens = transcript.add(decoded.ids, decoded.frames, decoded.confidences, self.stream.emitted)
        if last:
            transcript.end()
        start_s, self._audio_s = self._audio_s, samples / self._rate
        final, partial, words = transcript.final, transcript.partial, transcript.words
        compute_s += self._carried_s + time.perf_counter() - begin
        self._carried_s = 0.0
        self._emission_s = max(self._emission_s, self._audio_s) + compute_s
        self.index += 1
        return StreamEvent(
            index=self.index - 1,
            audio_start_s=start_s,
            audio_end_s=self._audio_s,
            compute_s=compute_s,
            emission_s=self._emission_s,
            final_transcript=final,
            partial_transcript=partial,
            new_tokens=tokens,
            words=words,
            detected_lang=transcript.detected_lang,
            cache_bytes=self.stream.cache_bytes,
            is_last=last,
            end_of_utterance=transcript.end_of_utterance,
            backlog_s=round(self.backlog_s, 4),
            spans=transcript.spans,
            final_words=transcript.final_words,
        )
