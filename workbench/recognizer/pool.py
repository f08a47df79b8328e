"""Many sessions in one process: those that have a chunk ready move forward together, as one batch.

NeMo's ``CacheAwareRNNTPipeline`` was judged first. It batches streams and keeps a prompt and a boosting list
for each, but all streams share one look-ahead and one frame size, and a frame is a whole chunk of samples; it
pads the last chunk with zeros instead of ending as offline does, so last tokens and tags differ. So the pool
batches ``engine.step`` itself, over NeMo's modules. ``benchmarks/streaming.py`` measures both: the pool takes
0.77 to 0.90 of the pipeline's CPU seconds at 1, 4 and 16 streams, although it computes the tails that the
pipeline leaves out (``docs/evidence/streaming-speed.json``).

A member that has no audio waits without holding the others; one that falls behind shows it in ``backlog_s``
and is refused audio beyond ``max_backlog_s``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.recognizer.boosting import Boost
from workbench.recognizer.runtimes import settle
from workbench.recognizer.stream_pipeline import StreamPipeline

if TYPE_CHECKING:
    from workbench.recognizer.checkpoint import Checkpoint
    from workbench.recognizer.events import StreamEvent

log = logging.getLogger("workbench.recognizer.pool")


@dataclass(frozen=True, slots=True)
class PoolLoad:
    """How a pool stands. ``backlog_s``: the most that one member has waiting; ``mean_batch``: streams per
    step so far; ``compute_s``: spent in steps; ``cache_bytes``: of all members' model states;
    ``waiting_bytes``: of the audio that all of them have waiting."""

    members: int
    ready: int
    backlog_s: float
    steps: int
    mean_batch: float
    compute_s: float
    cache_bytes: int
    waiting_bytes: int


class Member:
    """A session of a pool; made by :meth:`Pool.join`. ``feed`` only stores; the pool's steps compute."""

    def __init__(self, pool: Pool, listener: StreamPipeline, locale: str, lookahead_ms: int) -> None:
        self.locale, self.lookahead_ms = locale, lookahead_ms
        self._pool, self._listener = pool, listener
        self._events: deque[StreamEvent] = deque()
        self._since: float | None = None
        self.done = False

    @property
    def kind(self) -> tuple[int, str]:
        """What members of one step share: look-ahead and runtime."""
        return self.lookahead_ms, self._listener.engine.runtime

    @property
    def backlog_s(self) -> float:
        """Seconds of audio that wait to be decoded; up to one chunk is normal."""
        return self._listener.backlog_s

    def feed(self, pcm: Any, sample_rate: int) -> float:
        """Store audio, as ``Session.feed`` takes it; returns :attr:`backlog_s`.

        Raises:
            WorkbenchError: beyond the pool's backlog limit, or as ``Session.feed``; nothing is stored then.
        """
        with self._pool.changed:
            limit = self._pool.max_backlog_s
            coming_s = len(pcm) / sample_rate if sample_rate else 0.0
            if self.backlog_s + coming_s > limit + self.lookahead_ms / 1000:
                raise WorkbenchError(
                    f"{coming_s:.1f} s of audio more, while {self.backlog_s:.1f} s wait (limit {limit:g} s)",
                    hint="Send shorter pieces or slower, use a longer look-ahead, or fewer sessions.",
                )
            self._listener.push(pcm, sample_rate)
            self._mark()
            return self.backlog_s

    def finish(self) -> None:
        """No more audio; the event with ``is_last`` comes with a later step, and the member leaves then."""
        with self._pool.changed:
            if not self._listener.ended:
                self._listener.end()
                self._mark()

    def leave(self) -> None:
        """Leave at once; what was not decoded is dropped."""
        self._pool._remove(self)

    def events(self) -> list[StreamEvent]:
        """Events since the last call."""
        found = []
        while self._events:
            found.append(self._events.popleft())
        return found

    def _mark(self) -> None:
        if self._since is None and (self._listener.stream.ready or self._listener.ended):
            self._since = time.monotonic()
            self._pool.changed.notify_all()


class Pool:
    """Sessions over one loaded model.

    Args:
        checkpoint: whose model decodes.
        max_batch: streams in one step at most.
        max_backlog_s: audio that one member may have waiting, beyond its chunk.
        device, precision: as ``Checkpoint.model``.
        runtime: as ``Checkpoint.engine``; with 'auto', members with a boosting list run in torch.
        clock: seconds, by which the computing of a step is timed.

    Use ``step()`` from the caller's own loop, or ``with Pool(...) as pool`` for a thread that steps.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        max_batch: int = 32,
        max_backlog_s: float = 30.0,
        device: str = "auto",
        precision: str = "auto",
        runtime: str = "auto",
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._clock = clock
        self.checkpoint, self.max_batch, self.max_backlog_s = checkpoint, max_batch, max_backlog_s
        self.changed = threading.Condition(threading.RLock())
        self._place, self._asked = (device, precision), runtime
        self.runtime = settle(checkpoint, runtime, device, precision)
        self.engine = checkpoint.engine(device, precision, self.runtime)
        self._members: list[Member] = []
        self._thread: threading.Thread | None = None
        self._closing = False
        self._steps = self._stepped = 0
        self._compute_s = 0.0

    def join(self, locale: str = "auto", lookahead_ms: int | None = None, boost: Any = None) -> Member:
        """A new member; at any time. ``boost``: words and phrases to favor.

        Raises:
            WorkbenchError: unknown locale or look-ahead.
        """
        right, prompt_index = (
            self.checkpoint.right_context(lookahead_ms),
            self.checkpoint.prompt_index(locale),
        )
        favored = Boost.of(boost)
        engine = self.engine
        if favored is not None and self.runtime != "torch":
            engine = self.checkpoint.engine(
                *self._place, settle(self.checkpoint, self._asked, *self._place, boosted=True)
            )
        listener = StreamPipeline(engine, self.checkpoint.tokenizer(), right, prompt_index, favored)
        member = Member(self, listener, locale, (right + 1) * self.checkpoint.info.frame_ms)
        with self.changed:
            self._members.append(member)
        return member

    def step(self) -> int:
        """Move every member forward that has a chunk ready and shares the look-ahead of the one that waited
        longest; returns how many moved."""
        with self.changed:
            batch = self._next_batch()
            due = [member._listener.due_samples() for member in batch]
            decoding = [m for m in batch if m._listener.stream.ready or m._listener.stream.rest > 0]
        begin = self._clock()
        streams = [member._listener.stream for member in decoding]
        decoded = iter(decoding[0]._listener.engine.step(streams) if streams else ())
        spent_s = self._clock() - begin
        with self.changed:
            for member, samples in zip(batch, due, strict=True):
                self._deliver(member, next(decoded) if member in decoding else None, samples, spent_s)
            if streams:
                self._steps, self._stepped = self._steps + 1, self._stepped + len(streams)
                self._compute_s += spent_s
            self.changed.notify_all()
        return len(batch)

    def load(self) -> PoolLoad:
        """How the pool stands now."""
        with self.changed:
            members = list(self._members)
            return PoolLoad(
                members=len(members),
                ready=sum(m._since is not None for m in members),
                backlog_s=max((m.backlog_s for m in members), default=0.0),
                steps=self._steps,
                mean_batch=self._stepped / self._steps if self._steps else 0.0,
                compute_s=self._compute_s,
                cache_bytes=sum(m._listener.stream.cache_bytes for m in members),
                waiting_bytes=sum(m._listener.stream.mel.waiting_bytes for m in members),
            )

    def drain(self) -> None:
        """Step until no member has anything ready."""
        while self.step():
            pass

    def __enter__(self) -> Pool:
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="streaming-pool", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        with self.changed:
            self._closing = True
            self.changed.notify_all()
        assert self._thread is not None
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self.changed:
                while not self._closing and not any(m._since is not None for m in self._members):
                    self.changed.wait()
                if self._closing:
                    return
            self.step()

    def _next_batch(self) -> list[Member]:
        waiting = sorted((m for m in self._members if m._since is not None), key=lambda m: m._since or 0.0)
        alike = [m for m in waiting if m.kind == waiting[0].kind]
        return alike[: self.max_batch]

    def _deliver(self, member: Member, decoded: Any, samples: int, spent_s: float) -> None:
        listener = member._listener
        last = listener.ended and not listener.stream.ready and listener.stream.rest <= 0
        samples = listener.stream.mel.samples if last else samples
        member._events.append(listener.event(decoded, samples, spent_s, last))
        member._since = time.monotonic() if listener.stream.ready or (listener.ended and not last) else None
        if last:
            member.done = True
            self._remove(member)

    def _remove(self, member: Member) -> None:
        with self.changed:
            if member in self._members:
                self._members.remove(member)
