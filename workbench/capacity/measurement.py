"""One measurement of a capacity sweep, and the budget it is held against. Plain values, without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np

from workbench.errors import WorkbenchError
from workbench.signatures import public

Metric = Literal["first_token", "word", "last_token"]
Percentile = Literal["p50", "p95", "p99"]


@public
@dataclass(frozen=True, slots=True)
class Budget:
    """The most that callers may wait.

    Attributes:
        latency_ms: at ``percentile`` of ``metric``.
        metric: 'word': from a word's end to its text, look-ahead included; 'first_token': from a stream's
            first token in the audio to its coming; 'last_token': from the end of the audio to the last text.
        backlog_s: no stream may have more audio waiting than this beyond its chunk.
    """

    latency_ms: float
    metric: Metric = "last_token"
    percentile: Percentile = "p95"
    backlog_s: float = 1.0

    def __post_init__(self) -> None:
        if self.metric not in get_args(Metric) or self.percentile not in get_args(Percentile):
            raise WorkbenchError(
                f"no latency {self.metric!r} at {self.percentile!r}",
                where="budget",
                hint=f"Use {', '.join(get_args(Metric))} at {', '.join(get_args(Percentile))}.",
            )
        if not (self.latency_ms > 0 and self.backlog_s > 0):
            raise WorkbenchError("a budget is above zero", where="budget", hint="Give milliseconds.")

    def __str__(self) -> str:
        return f"{self.metric.replace('_', '-')} {self.percentile} ≤ {self.latency_ms:g} ms"

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What ``streams`` paced streams at one look-ahead did; one repeat.

    Attributes:
        background_load: processes that burned a core each meanwhile.
        purpose: 'grid' or 'search'.
        calls: clips spoken one after the other on every stream. ``audio_s``: of all streams together.
        first_token_ms, word_ms, last_token_ms, step_ms: {'p50', 'p95', 'p99', 'max', 'count'}; only
            {'count': 0} where the checkpoint emitted nothing.
        real_time_factor: computing over audio. ``busy``: computing over wall clock; the load generator and
            the features of arriving audio are not in it, ``cpu_share`` has them.
        cpu_share: of the cores that this process may use, by this process. ``machine_cpu_share``: of the
            same cores by everybody; well above ``cpu_share``, it says that they were not ours alone.
        gpu_share: mean utilization as the driver reports it; None without a GPU or its library.
        rss_mib: highest resident memory during the measurement.
        given_up: so much audio waited that the measurement was cut off; latencies are then too low.
    """

    lookahead_ms: int
    streams: int
    repeat: int
    background_load: int
    purpose: str
    calls: int
    audio_s: float
    wall_s: float
    algorithmic_ms: float
    first_token_ms: dict[str, float]
    word_ms: dict[str, float]
    last_token_ms: dict[str, float]
    step_ms: dict[str, float]
    real_time_factor: float
    busy: float
    cpu_share: float
    machine_cpu_share: float
    gpu_share: float | None
    rss_mib: float
    gpu_mib: float | None
    backlog_s: float
    cache_bytes: int
    given_up: bool
    at: str

    def latency_ms(self, budget: Budget) -> float | None:
        """The latency that the budget is about; None where there was nothing to time."""
        times: dict[str, float] = getattr(self, f"{budget.metric}_ms")
        return times.get(budget.percentile)

    def holds(self, budget: Budget) -> bool:
        """Whether this measurement kept the budget; nothing to time keeps none."""
        latency_ms = self.latency_ms(budget)
        waits = self.backlog_s - self.lookahead_ms / 1000 > budget.backlog_s
        return not self.given_up and not waits and latency_ms is not None and latency_ms <= budget.latency_ms

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, held: dict[str, Any]) -> Measurement:
        """From a dictionary; keys of later versions are left out."""
        if "beside" in held:  # files of schema 1
            held = {**held, "background_load": held["beside"]}
        return cls(**{f.name: held[f.name] for f in fields(cls)})


@dataclass(frozen=True, slots=True)
class Memory:
    """What a session costs in memory: a straight line through resident memory against open sessions.

    Attributes:
        sessions, mib: the points: so many sessions opened and fed two chunks each, memory after that.
        slope_mib: per session. ``base_mib``: the line at no session: NeMo, weights, buffers.
        r_squared: how straight the line is; below 0.9 the slope is not to be trusted.
        cache_mib: what the caches of one session must take by their shapes, to compare with the slope.
        device: 'host' (resident memory of the process) or 'cuda' (allocated tensors).
    """

    lookahead_ms: int
    sessions: tuple[int, ...]
    mib: tuple[float, ...]
    slope_mib: float
    base_mib: float
    r_squared: float
    cache_mib: float
    device: str = "host"

    @property
    def straight(self) -> bool:
        """Whether the slope may be used."""
        return self.slope_mib > 0.001 and self.r_squared >= 0.9

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, held: dict[str, Any]) -> Memory:
        return cls(**{**held, "sessions": tuple(held["sessions"]), "mib": tuple(held["mib"])})


def fitted(sessions: list[int], mib: list[float]) -> tuple[float, float, float]:
    """(slope, value at none, R²) of a least-squares line."""
    x, y = np.asarray(sessions, float), np.asarray(mib, float)
    slope, base = (float(v) for v in np.polyfit(x, y, 1))
    spread = float(np.sum((y - y.mean()) ** 2))
    left = float(np.sum((y - slope * x - base) ** 2))
    return slope, base, 1 - left / spread if spread > 0 else 0.0
