"""What a capacity sweep found: its measurements, the largest numbers, memory, what may be said of them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from workbench.capacity.measurement import Budget, Measurement, Memory
from workbench.capacity.search import Largest
from workbench.glance import counted
from workbench.shown import show_rows
from workbench.signatures import public
from workbench.views import view
from workbench.workspace import json_store

if TYPE_CHECKING:
    import plotly.graph_objects as go

SCHEMA_VERSION = 2
PUBLISHED: tuple[dict[str, Any], ...] = (
    {"lookahead_ms": 80, "streams": 240},
    {"lookahead_ms": 1120, "streams": 2400},
)
PUBLISHED_AS = "NVIDIA's model card of Nemotron 3.5 ASR, one H100: for scale only, not measured here"
_LATENCIES = ("first_token", "word", "last_token")


@public
@dataclass
class Capacity:
    """Results of :func:`workbench.capacity.measure_capacity`; also readable from its JSON half-way.

    Attributes:
        machine: cores, threads, memory, GPU of the measuring process.
        measurements: in the order they were taken. ``largest``: one per look-ahead that was searched.
        status: 'running', 'complete', 'cancelled' or 'failed'.
    """

    checkpoint: str
    checkpoint_sha256: str
    locale: str
    background_load: int
    call_s: float
    calls: int
    seed: int
    budget: Budget | None
    started_at: str
    finished_at: str | None = None
    status: str = "running"
    machine: dict[str, Any] = field(default_factory=dict)
    measurements: list[Measurement] = field(default_factory=list)
    largest: list[Largest] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)

    @property
    def lookaheads_ms(self) -> list[int]:
        """Chunk lengths that were measured, ascending."""
        return sorted(
            {measurement.lookahead_ms for measurement in self.measurements}
            | {m.lookahead_ms for m in self.memory}
        )

    def frame(self) -> pd.DataFrame:
        """One row a look-ahead and number of streams: medians over the repeats, with the least and the most.

        Returns:
            ``lookahead_ms, streams, repeats``; for first_token, word, last_token and p50, p95, p99:
            ``<name>_<p>_ms``; ``last_token_p95_low_ms, last_token_p95_high_ms``; ``real_time_factor, busy,
            cpu_share, machine_cpu_share, gpu_share, rss_mib, given_up, kept`` (repeats that kept the budget;
            None without one).
        """
        records = []
        keys = sorted({(measurement.lookahead_ms, measurement.streams) for measurement in self.measurements})
        for lookahead_ms, streams in keys:
            measurements = [
                c for c in self.measurements if (c.lookahead_ms, c.streams) == (lookahead_ms, streams)
            ]
            record: dict[str, Any] = {
                "lookahead_ms": lookahead_ms,
                "streams": streams,
                "repeats": len(measurements),
            }
            for name in _LATENCIES:
                for p in ("p50", "p95", "p99"):
                    record[f"{name}_{p}_ms"] = _median(
                        [getattr(c, f"{name}_ms").get(p) for c in measurements]
                    )
            p95 = [c.last_token_ms["p95"] for c in measurements if "p95" in c.last_token_ms]
            record["last_token_p95_low_ms"] = min(p95, default=None)
            record["last_token_p95_high_ms"] = max(p95, default=None)
            for name in ("real_time_factor", "busy", "cpu_share", "machine_cpu_share", "gpu_share"):
                record[name] = _median([getattr(c, name) for c in measurements])
            record["rss_mib"] = max(c.rss_mib for c in measurements)
            record["given_up"] = sum(c.given_up for c in measurements)
            record["kept"] = sum(c.holds(self.budget) for c in measurements) if self.budget else None
            records.append(record)
        said = f"{counted(len(records), 'load')} measured of {self.checkpoint}."
        seen = "lookahead_ms", "streams", "repeats", "last_token_p95_ms", "busy", "kept"
        return show_rows(pd.DataFrame(records), said, seen)

    def streams_at(self, lookahead_ms: int) -> Largest | None:
        """What the search found at a look-ahead."""
        return next((found for found in self.largest if found.lookahead_ms == lookahead_ms), None)

    def latency_table(self) -> pd.DataFrame:
        """Word latency where each look-ahead is loaded with the largest number of streams that held the
        budget (without a search: the fewest streams measured).

        Returns:
            ``lookahead_ms, streams, latency_p50_s, latency_p95_s``: what
            ``Evaluation.tradeoff(latency=…)`` takes.
        """
        frame, rows = self.frame(), []
        for lookahead_ms in sorted(set(frame["lookahead_ms"])) if len(frame) else []:
            part = frame[frame["lookahead_ms"] == lookahead_ms]
            found = self.streams_at(lookahead_ms)
            wanted = found.streams if found is not None and found.streams else part["streams"].min()
            row = part[part["streams"] == wanted].iloc[0]
            p50, p95 = row["word_p50_ms"], row["word_p95_ms"]
            streams = int(wanted) if found is None or found.streams else 0
            rows.append((lookahead_ms, streams, _seconds(p50), _seconds(p95)))
        columns = "lookahead_ms", "streams", "latency_p50_s", "latency_p95_s"
        said = f"Word latency at {counted(len(rows), 'look-ahead')}, loaded as the budget allows."
        return show_rows(pd.DataFrame(rows, columns=list(columns)), said, columns)

    def extrapolations(self) -> list[dict[str, Any]]:
        """What was *not* measured and follows from a straight line; every entry says so.

        Returns:
            dictionaries with ``lookahead_ms, what, streams, because`` and ``kind`` 'extrapolated'.
        """
        found = []
        for lookahead_ms in self.lookaheads_ms:
            largest = self.streams_at(lookahead_ms)
            measured = largest is not None and largest.fails_at is not None
            # A machine at its limit batches more: what it was busy with then says nothing about more streams.
            measurements = [
                c for c in self.measurements if c.lookahead_ms == lookahead_ms and 0 < c.busy <= 0.8
            ]
            if measurements and not measured:
                most = max(measurements, key=lambda c: c.streams)
                because = (
                    f"{most.streams} streams kept the recognizer busy {most.busy:.0%} of the time; "
                    "taken as proportional, latency not considered"
                )
                streams = int(most.streams / most.busy)
                # Larger batches cost less a stream: what was measured may be past the straight line.
                if largest is None or streams > largest.streams:
                    found.append(_extrapolated(lookahead_ms, "computing", streams, because))
            for memory in self.memory:
                if memory.lookahead_ms != lookahead_ms or not memory.straight:
                    continue
                on_gpu = memory.device == "cuda"
                total = self.machine.get("gpu_memory_mib" if on_gpu else "memory_mib") or 0.0
                because = (
                    f"{memory.slope_mib:.2f} MiB per stream over {memory.base_mib:.0f} MiB "
                    f"(R² {memory.r_squared:.2f}), all {total:.0f} MiB of the machine taken"
                )
                streams = int(max(0.0, total - memory.base_mib) / memory.slope_mib + 1e-6)
                found.append(_extrapolated(lookahead_ms, "memory", streams, because))
        return found

    def lines(self) -> list[str]:
        """Sentences for the release card: one per look-ahead, measured figures only."""
        other = f" beside {self.background_load} process(es) of other load" if self.background_load else ""
        machine, found = self.machine_line(), []
        for largest in self.largest:
            slope = next((m for m in self.memory if m.lookahead_ms == largest.lookahead_ms), None)
            memory = f", {slope.slope_mib:.2f} MiB per stream" if slope and slope.straight else ""
            cut = "" if largest.complete else "; the search was cut off"
            found.append(
                f"{largest.lookahead_ms} ms look-ahead: {largest} streams at once hold {self.budget} in "
                f"{largest.kept} of {largest.repeats} repeats{memory}{other}, on {machine}"
                f"{self._others(largest)}{cut}."
            )
        if not found:
            for row in self.frame().to_dict("records"):
                found.append(
                    f"{row['lookahead_ms']} ms look-ahead, {row['streams']} streams: last token p95 "
                    f"{_ms(row['last_token_p95_ms'])}, busy {row['busy']:.0%}{other}, on {machine}."
                )
        return found

    @property
    def answer(self) -> str:
        """How many callers a machine? What was measured at the limit of this machine, in one sentence; never
        what memory would hold."""
        held = [found for found in self.largest if found.streams]
        if held:
            most = max(held, key=lambda found: found.streams)
            rest = [
                f"{'at least ' if f.fails_at is None else ''}{f.streams} at {f.lookahead_ms} ms"
                for f in self.largest
                if f is not most
            ]
            others = f" ({', '.join(rest)})" if rest else ""
            start = "At least " if most.fails_at is None else ""
            return (
                f"{start}{most.streams} callers at once on this machine at {most.lookahead_ms} ms "
                f"look-ahead{others}, within {self.budget}, on {self.machine_line()}."
            )
        if self.largest:
            return f"Not one caller: {self.budget} was missed with a single stream, on {self.machine_line()}."
        rows = self.frame().to_dict("records")
        if not rows:
            return "Capacity was not measured."
        fullest = max(rows, key=lambda row: int(row["streams"]))
        return (
            f"At least {fullest['streams']} callers at once were served at {fullest['lookahead_ms']} ms "
            f"look-ahead, the processor busy {fullest['busy']:.0%} of the time; the limit was not searched: "
            "give a budget."
        )

    def __repr__(self) -> str:
        return "\n".join([self.answer, *self.lines()])

    def _repr_html_(self) -> str:
        """The answer, then a line per look-ahead; what was not measured behind it, and called so."""
        lines = "".join(f"<li>{escape(line)}</li>" for line in self.lines())
        guessed = "".join(
            f"<li>{found['lookahead_ms']} ms, {escape(found['what'])}: {found['streams']:,} streams "
            f"({escape(found['because'])})</li>"
            for found in self.extrapolations()
        )
        more = (
            f"<details><summary>Not measured: extrapolated</summary><ul>{guessed}</ul></details>"
            if guessed
            else ""
        )
        return f"<p><b>{escape(self.answer)}</b></p><ul>{lines}</ul>{more}"

    def line(self) -> str:
        """The first of :meth:`lines`, or that nothing was measured."""
        return next(iter(self.lines()), "Capacity was not measured.")

    def _others(self, found: Largest) -> str:
        """That the machine was not ours alone, where it was not: with that many streams or more, since fewer
        leave time to others that they would not have had."""
        measurements = [
            c
            for c in self.measurements
            if c.lookahead_ms == found.lookahead_ms and c.streams >= found.streams
        ]
        share = _median([c.machine_cpu_share - c.cpu_share for c in measurements]) or 0.0
        share -= self.background_load / (self.machine.get("cores") or 1)
        return f", where other processes took {share:.0%} of the cores" if share > 0.1 else ""

    def machine_line(self) -> str:
        """The machine in words."""
        gpu = self.machine.get("gpu")
        where = f"{gpu}, {self.machine.get('precision')}" if gpu else self.machine.get("processor", "unknown")
        threads = self.machine.get("threads", "?")
        asleep = " that sleep while they wait" if self.machine.get("waiting") == "passive" else ""
        return f"{where}, " + ("1 thread" if threads == 1 else f"{threads} threads{asleep}")

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, published figures and extrapolations labeled and apart."""
        return {
            "schema_version": SCHEMA_VERSION,
            **{
                name: getattr(self, name)
                for name in (
                    "checkpoint", "checkpoint_sha256", "locale", "background_load", "call_s", "calls", "seed",
                    "started_at", "finished_at", "status", "machine",
                )
            },
            "budget": self.budget.to_dict() if self.budget else None,
            "largest": [found.to_dict() for found in self.largest],
            "memory": [found.to_dict() for found in self.memory],
            "measurements": [measurement.to_dict() for measurement in self.measurements],
            "extrapolated": self.extrapolations(),
            "published": {"source": PUBLISHED_AS, "figures": list(PUBLISHED)},
        }  # fmt: skip

    def save(self, path: Path) -> Path:
        """Write the JSON: whole or not at all."""
        return json_store.write(path, self.to_dict())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a JSON of :meth:`save`, finished or not.

        Raises:
            WorkbenchError: not such a file, or of a newer schema.
        """
        with json_store.reading(path, "a capacity file", SCHEMA_VERSION) as held:
            for name in ("extrapolated", "published"):
                held.pop(name, None)
            held["budget"] = Budget(**held["budget"]) if held["budget"] else None
            held["largest"] = [Largest(**found) for found in held["largest"]]
            held["memory"] = [Memory.of(found) for found in held["memory"]]
            if "beside" in held:  # files of schema 1
                held["background_load"] = held.pop("beside")
            taken = held.pop("cells", None) or held["measurements"]  # files of schema 1 say cells
            held["measurements"] = [Measurement.of(measurement) for measurement in taken]
            return cls(**held)

    def chart(self, *, title: str = "") -> go.Figure:
        """Latency and share of computing against streams, a line per look-ahead."""
        return view("capacity_figures").capacity_chart(self, title=title)

    def held_against(self, budget: Budget) -> Capacity:
        """The same measurements judged by another budget; a search made for the old one is left out."""
        return replace(self, budget=budget, largest=[])


def _extrapolated(lookahead_ms: int, what: str, streams: int, because: str) -> dict[str, Any]:
    return {
        "lookahead_ms": lookahead_ms,
        "what": what,
        "streams": streams,
        "because": because,
        "kind": "extrapolated",
    }


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(statistics.median(known)) if known else None


def _seconds(milliseconds: Any) -> float:
    known = milliseconds is not None and milliseconds == milliseconds
    return float(milliseconds) / 1000 if known else float("nan")


def _ms(value: float | None) -> str:
    return "not timed" if value is None or value != value else f"{value:.0f} ms"
