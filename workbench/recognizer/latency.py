"""Latency as a caller has it: audio comes at its own pace, and each token is timed when it is there.

Two things are kept apart. The *algorithmic* delay is what the look-ahead costs before any computing: a chunk
must be complete, so a sound waits up to ``lookahead_ms``, plus half a feature window. What is *measured* is
from the sound to its token on this machine: algorithmic delay, computing and queueing together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import WorkbenchError
from workbench.recognizer.pool import Member, Pool
from workbench.recognizer.words import WordClock

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.recognizer.checkpoint import Checkpoint

    Pcm = NDArray[np.float32]

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Latency:
    """One measurement; times in ms as {'p50', 'p95', 'p99', 'max', 'count'}.

    Attributes:
        algorithmic_ms: the longest wait that the look-ahead itself causes.
        first_token_ms: from the audio frame of a stream's first token to its coming.
        word_ms: from the end of each word's last spoken frame to the last change of its letters. At 80 ms it
            may be below zero: a frame counts as 80 ms of sound, and its token can come half a window
            (12.5 ms) after the frame's start.
        last_token_ms: from the end of a stream's audio to its last event.
        step_ms: of each batched step.
        real_time_factor: computing over audio, the audio of all streams added up.
        backlog_s: the most audio that a stream had waiting.
        cache_bytes: held per session.
        wall_s: how long the measurement took. ``busy``: the part of it that was computing; near 1 the machine
            cannot keep up.
        given_up: more audio waited than allowed, so the measurement was cut off there.
    """

    lookahead_ms: int
    streams: int
    audio_s: float
    algorithmic_ms: float
    first_token_ms: dict[str, float]
    word_ms: dict[str, float]
    last_token_ms: dict[str, float]
    step_ms: dict[str, float]
    real_time_factor: float
    backlog_s: float
    cache_bytes: int
    wall_s: float = 0.0
    busy: float = 0.0
    given_up: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class _Caller:
    """One stream of the measurement: a clip that is spoken from ``start_s`` on."""

    member: Member
    pcm: Pcm
    start_s: float
    sent: int = 0
    heard_first: bool = False
    clock: WordClock = field(default_factory=WordClock)
    cache_bytes: int = 0


@dataclass
class _Times:
    first: list[float] = field(default_factory=list)
    word: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    step: list[float] = field(default_factory=list)
    backlog_s: float = 0.0
    cache_bytes: int = 0
    audio_s: float = 0.0
    wall_s: float = 0.0
    given_up: bool = False


class IdleCore:
    """A clock and a sleep as on a core that nobody else uses: computing takes the CPU seconds of this process
    and waiting passes at once. Measures a busy machine's code, not its queues; for one thread only."""

    def __init__(self) -> None:
        self.slept_s = 0.0

    def clock(self) -> float:
        return time.process_time() + self.slept_s

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds


def measure(
    checkpoint: Checkpoint,
    clips: Sequence[Pcm],
    *,
    lookahead_ms: int | None = None,
    locale: str = "auto",
    streams: int = 1,
    packet_ms: int = 20,
    backlog_limit_s: float | None = None,
    device: str = "auto",
    precision: str = "auto",
    runtime: str = "auto",
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> Latency:
    """Play clips at their own pace to a pool, ``streams`` at a time, and time what comes out.

    Args:
        clips: each (samples,) float32 at the checkpoint's rate; each is one session.
        packet_ms: audio arrives in packets of this length, as from a telephone line or a browser.
        backlog_limit_s: stop when a stream has this much audio waiting beyond its chunk: overload.
        device, precision, runtime: as ``Checkpoint.engine``.
        clock, sleep: seconds; :class:`IdleCore` has others.

    Raises:
        WorkbenchError: no clips, or as ``Pool.join``.
    """
    if not clips or not streams >= 1:
        raise WorkbenchError("nothing to measure", hint="Give clips, and streams of at least 1.")
    rate = checkpoint.info.sample_rate
    place = {"device": device, "precision": precision, "runtime": runtime}
    pool = Pool(checkpoint, max_batch=streams, max_backlog_s=float("inf"), **place, clock=clock)
    waiting, callers = list(clips), list[_Caller]()
    times, begin = _Times(), clock()
    # Streams do not start together: real callers do not, and in step they would always form one batch.
    chunk_s = (checkpoint.right_context(lookahead_ms) + 1) * checkpoint.info.frame_ms / 1000
    starts = [begin + chunk_s * number / streams for number in range(streams)]
    while waiting or callers:
        while waiting and len(callers) < streams:
            start_s = max(starts.pop() if starts else clock(), clock())
            callers.append(_Caller(pool.join(locale, lookahead_ms), waiting.pop(0), start_s))
        for caller in callers:
            _speak(caller, clock(), rate, packet_ms * rate // 1000)
        times.backlog_s = max(times.backlog_s, *(caller.member.backlog_s for caller in callers))
        if backlog_limit_s is not None and times.backlog_s > chunk_s + backlog_limit_s:
            times.given_up = True
            break
        before = clock()
        if pool.step():
            times.step.append(clock() - before)
            for caller in callers:
                _listen(caller, clock(), rate, times)
                times.audio_s += len(caller.pcm) / rate if caller.member.done else 0.0
            callers = [caller for caller in callers if not caller.member.done]
        else:
            due = min(c.start_s + (c.sent + packet_ms * rate // 1000) / rate for c in callers)
            sleep(max(0.0, due - clock()))
    times.audio_s += sum(caller.sent for caller in callers) / rate
    times.wall_s = clock() - begin
    return _report(checkpoint, lookahead_ms, streams, pool, times)


def _speak(caller: _Caller, now_s: float, rate: int, packet: int) -> None:
    """Send every packet whose last sample has been spoken by now."""
    spoken = min(len(caller.pcm), max(0, int((now_s - caller.start_s) * rate + 0.5)))
    upto = spoken if spoken == len(caller.pcm) else spoken // packet * packet
    if upto > caller.sent:
        caller.member.feed(caller.pcm[caller.sent : upto], rate)
        caller.sent = upto
    if caller.sent == len(caller.pcm):
        caller.member.finish()


def _listen(caller: _Caller, now_s: float, rate: int, times: _Times) -> None:
    at_s = now_s - caller.start_s
    for event in caller.member.events():
        if event.new_tokens and not caller.heard_first:
            caller.heard_first = True
            times.first.append(at_s - event.new_tokens[0].time_s)
        caller.clock.hear(event.words, event.final_words, at_s)
        times.cache_bytes = max(times.cache_bytes, event.cache_bytes)
        if event.is_last:
            times.word += caller.clock.late_s(event.words)
            times.last.append(at_s - len(caller.pcm) / rate)


def _report(
    checkpoint: Checkpoint, lookahead_ms: int | None, streams: int, pool: Pool, times: _Times
) -> Latency:
    frames = checkpoint.right_context(lookahead_ms) + 1
    compute_s = pool.load().compute_s
    reach_ms = 1000 * pool.engine.frontend.reach / checkpoint.info.sample_rate
    return Latency(
        lookahead_ms=frames * checkpoint.info.frame_ms,
        streams=streams,
        audio_s=times.audio_s,
        algorithmic_ms=frames * checkpoint.info.frame_ms + reach_ms,
        first_token_ms=_percentiles(times.first),
        word_ms=_percentiles(times.word),
        last_token_ms=_percentiles(times.last),
        step_ms=_percentiles(times.step),
        real_time_factor=compute_s / times.audio_s if times.audio_s else 0.0,
        backlog_s=times.backlog_s,
        cache_bytes=times.cache_bytes,
        wall_s=times.wall_s,
        busy=compute_s / times.wall_s if times.wall_s else 0.0,
        given_up=times.given_up,
    )


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    if not seconds:
        return {"count": 0}
    found = np.percentile(seconds, PERCENTILES) * 1000
    named = {f"p{p}": round(float(v), 2) for p, v in zip(PERCENTILES, found, strict=True)}
    return {**named, "max": round(max(seconds) * 1000, 2), "count": len(seconds)}
