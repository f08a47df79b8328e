"""The sweep: streams × look-ahead on a grid, then the largest number that holds a budget, then memory.

Every finished measurement is in the JSON file before the next one begins; a cancelled, killed or failed sweep
keeps what it measured. Repeats are the outer loop and the order within one is drawn, so that a machine that
grows slower meanwhile does not make one look-ahead look worse than another.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from workbench.capacity.bench import Bench, CancelledError
from workbench.capacity.load_generator import generated_load
from workbench.capacity.measurement import Budget, Measurement
from workbench.capacity.result import Capacity
from workbench.capacity.search import Search
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workbench.recognizer.checkpoint import Checkpoint

    Pcm = NDArray[np.float32]

log = logging.getLogger("workbench.capacity.sweep")
GAP_S = 0.3
MEMORY_SESSIONS = (8, 24, 48, 72, 96)


def measure_capacity(
    checkpoint: Checkpoint,
    clips: Sequence[Pcm],
    *,
    streams: Sequence[int] = (1, 2, 4, 8),
    lookaheads_ms: Sequence[int] | None = None,
    budget: Budget | None = None,
    repeats: int = 3,
    ceiling: int = 512,
    call_s: float = 6.0,
    calls: int = 1,
    background_load: int = 0,
    memory_sessions: Sequence[int] = MEMORY_SESSIONS,
    locale: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    runtime: str = "auto",
    seed: int = 20260823,
    out: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Capacity:
    """Measure how many paced streams this machine serves with a checkpoint.

    Args:
        clips: float32 mono at the checkpoint's rate; joined into calls of ``call_s`` that all streams speak.
        streams: the grid; empty for a search alone.
        lookaheads_ms: chunk lengths; all of the checkpoint's by default.
        budget: with one, the largest number of streams that holds it is searched at every look-ahead.
        repeats: of every grid point, and per number in the search (most of them decide).
        calls: spoken one after the other on every stream of a measurement.
        background_load: processes that burn a core each meanwhile. None are started unless asked for.
        memory_sessions: open sessions at which memory is taken; empty leaves memory out.
        threads: of torch in the measuring process. ``runtime``: as ``Checkpoint.engine``.
        out: JSON file, written anew after every measurement.
        progress: called with (done, total); during a search the total is an upper bound.
        cancel: asked four times a second; the measurement under way is dropped, the finished ones are kept
            and ``status`` says 'cancelled'. An interrupt does the same to ``out``, and is raised on.

    Raises:
        WorkbenchError: no clips, unknown look-ahead, or the measuring process died; its message is the last
            line of its log, and ``out`` holds what was measured until then.
    """
    lookaheads = list(lookaheads_ms or checkpoint.info.lookaheads_ms)
    for lookahead_ms in lookaheads:
        checkpoint.right_context(lookahead_ms)
    if repeats < 1 or calls < 1 or any(n < 1 for n in streams):
        raise WorkbenchError("streams, repeats and calls are at least 1", where="capacity")
    spoken = spoken_calls(clips, checkpoint.info.sample_rate, call_s, seed)
    result = Capacity(
        checkpoint=checkpoint.path.stem,
        checkpoint_sha256=checkpoint.sha256,
        locale=locale,
        background_load=background_load,
        call_s=call_s,
        calls=calls,
        seed=seed,
        budget=budget,
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    keeper = _Keeper(result, out, progress)
    try:
        with (
            generated_load(background_load),
            Bench(
                checkpoint,
                spoken,
                locale=locale,
                device=device,
                threads=threads,
                runtime=runtime,
                cancel=cancel,
            ) as bench,
        ):
            result.machine = bench.machine
            _run(bench, keeper, list(streams), lookaheads, repeats, ceiling, list(memory_sessions))
        result.status = "complete"
    except CancelledError:
        result.status = "cancelled"
        log.info("cancelled after %d measurements, which are kept", len(result.measurements))
    except BaseException as error:
        result.status = "cancelled" if isinstance(error, KeyboardInterrupt) else "failed"
        raise
    finally:
        result.finished_at = datetime.now(UTC).isoformat(timespec="seconds")
        keeper.save()
    return result


def spoken_calls(clips: Sequence[Pcm], sample_rate: int, call_s: float, seed: int) -> list[Pcm]:
    """Calls of one length: clips in a drawn order with pauses between, cut at ``call_s``.

    Equal lengths keep the number of streams constant from the first to the last second. Each call begins
    with another clip.

    Raises:
        WorkbenchError: no clip holds a sample.
    """
    usable = [np.asarray(clip, dtype=np.float32) for clip in clips if len(clip)]
    if not usable:
        raise WorkbenchError(
            "no clips to speak", where="capacity", hint="Give a view of a corpus with audio."
        )
    draw, samples = random.Random(seed), int(call_s * sample_rate)
    gap = np.zeros(int(GAP_S * sample_rate), dtype=np.float32)
    made = []
    for clip in usable:
        parts, length = [clip], len(clip)
        while length < samples:
            parts += [gap, draw.choice(usable)]
            length += len(gap) + len(parts[-1])
        made.append(np.concatenate(parts)[:samples])
    return made


class _Keeper:
    """Writes the result after every measurement and reports progress."""

    def __init__(
        self, result: Capacity, out: Path | None, progress: Callable[[int, int], None] | None
    ) -> None:
        self.result, self.out, self.progress, self.done = result, out, progress, 0

    def measurement(self, measurement: Measurement, left: int) -> None:
        self.result.measurements.append(measurement)
        self.step(left)

    def step(self, left: int) -> None:
        self.done += 1
        self.save()
        if self.progress is not None:
            self.progress(self.done, self.done + left)

    def save(self) -> None:
        if self.out is not None:
            self.result.save(self.out)


def _run(
    bench: Bench,
    keeper: _Keeper,
    streams: list[int],
    lookaheads: list[int],
    repeats: int,
    ceiling: int,
    memory_sessions: list[int],
) -> None:
    result, budget = keeper.result, keeper.result.budget
    order = random.Random(result.seed)
    plan = []
    for repeat in range(repeats):
        points = [(lookahead_ms, count) for lookahead_ms in lookaheads for count in streams]
        order.shuffle(points)
        plan += [(*point, repeat) for point in points]
    searches = [Search(ms, ceiling=ceiling, repeats=repeats) for ms in lookaheads] if budget else []
    memories = lookaheads if len(memory_sessions) >= 2 else []
    left = len(plan) + len(memories) + sum(search.most_left() for search in searches)
    for lookahead_ms in memories:
        result.memory.append(bench.memory(lookahead_ms, memory_sessions))
        left -= 1
        keeper.step(left)
    for number, (lookahead_ms, count, repeat) in enumerate(plan, 1):
        measurement = _measured(bench, result, lookahead_ms, count, repeat, "grid")
        keeper.measurement(measurement, left - number)
    for place, search in enumerate(searches):
        search.start = _first_try(result, search)
        later = sum(other.most_left() for other in searches[place + 1 :])
        for _ in _searched(bench, keeper, search, later):
            result.largest = [s.found() for s in searches[: place + 1]]
        result.largest = [s.found() for s in searches[: place + 1]]


def _first_try(result: Capacity, search: Search) -> int:
    """The largest number of the grid that held in every repeat: the search need not begin below it."""
    assert result.budget is not None
    tried: dict[int, bool] = {}
    for measurement in result.measurements:
        if measurement.lookahead_ms == search.lookahead_ms:
            tried[measurement.streams] = tried.get(measurement.streams, True) and measurement.holds(
                result.budget
            )
    return min(search.ceiling, max((n for n, held in tried.items() if held), default=search.start))


def _searched(bench: Bench, keeper: _Keeper, search: Search, later: int) -> Iterator[int]:
    result, budget = keeper.result, keeper.result.budget
    assert budget is not None

    def trial(streams: int, repeat: int) -> bool:
        measurement = _measured(bench, result, search.lookahead_ms, streams, repeat, "search")
        keeper.measurement(measurement, later + search.most_left())
        return measurement.holds(budget)

    yield from search.steps(trial)


def _measured(
    bench: Bench, result: Capacity, lookahead_ms: int, streams: int, repeat: int, purpose: str
) -> Measurement:
    backlog_s = result.budget.backlog_s if result.budget else 5.0
    return bench.measurement(
        lookahead_ms=lookahead_ms,
        streams=streams,
        repeat=repeat,
        calls=result.calls,
        background_load=result.background_load,
        purpose=purpose,
        # Past this the number cannot hold; going on would only take as long as the machine is too slow.
        backlog_limit_s=2 * backlog_s,
    )
