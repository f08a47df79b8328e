"""How many paced callers a websocket server holds, seen from outside: latency, faults, memory, processor.

It speaks the protocol of sherpa-onnx's streaming server: binary messages of float samples, the text ``Done``
at the end; answers in JSON with ``text`` and ``timestamps``, then ``Done!``. Each caller is a thread with a
clock of its own: a packet is sent when it would have been spoken, however slow the answers are.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import websocket

from workbench.capacity.sweep import spoken_calls
from workbench.errors import WorkbenchError
from workbench.files import write_atomic
from workbench.signatures import public

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pcm = NDArray[np.float32]

PACKET_MS = 100
FRAME_S = 0.08
_ADDRESS = re.compile(r"^wss?://[^\s/:]+(:\d{1,5})?(/\S*)?$")
_WAIT_S = 20.0
"""Longest wait for the last text after the audio; after it, the call counts as timed out."""


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """What a number of callers got at once.

    Attributes:
        streams: callers, each with one call. ``finished``: calls that came to their end.
        first_text_ms: from the beginning of a call to its first text. ``token_ms``: from the end of a token's
            frame in the audio to its coming. ``last_text_ms``: from the end of the audio to the last answer.
            Each {'p50', 'p95', 'p99', 'max', 'count'}.
        late_packets: sent more than a packet late: this machine, not the server, is then too slow.
        faults: kind → calls: 'refused', 'dropped' (the server or the line went away), 'timed out', 'left'
            (callers that were told to hang up half way).
        slow_readers: callers that read nothing until their audio ended; their times are not counted.
        cpu_share: of one core by the server's process, ``rss_mib``: its most memory; None where it is not
            on this machine, or not to be found.
    """

    streams: int
    repeat: int
    audio_s: float
    finished: int
    first_text_ms: dict[str, float]
    token_ms: dict[str, float]
    last_text_ms: dict[str, float]
    late_packets: int
    faults: dict[str, int]
    slow_readers: int
    cpu_share: float | None
    rss_mib: float | None

    def holds(self, budget_ms: float) -> bool:
        """Whether no call failed and the last text came in time at the 95th percentile."""
        failed = sum(count for kind, count in self.faults.items() if kind != "left")
        return not failed and self.last_text_ms.get("p95", float("inf")) <= budget_ms


@public
@dataclass
class ServerCapacity:
    """What was measured of a server. ``address``: as given; ``loads``: one for each number of callers and
    repeat; ``budget_ms``: the most that the last text may take, at the 95th percentile."""

    address: str
    call_s: float
    budget_ms: float | None
    loads: list[ServerLoad] = field(default_factory=list)

    @property
    def largest(self) -> int | None:
        """The most callers at which most repeats kept the budget; None without a budget."""
        if self.budget_ms is None:
            return None
        kept: dict[int, list[bool]] = {}
        for load in self.loads:
            kept.setdefault(load.streams, []).append(load.holds(self.budget_ms))
        return max((n for n, held in kept.items() if sum(held) * 2 > len(held)), default=0)

    def lines(self) -> list[str]:
        """The figures in words."""
        found = []
        for load in self.loads:
            last = load.last_text_ms
            faults = ", ".join(f"{count} {kind}" for kind, count in sorted(load.faults.items())) or "no fault"
            times = f"last text {last['p50']:.0f} ms, p95 {last['p95']:.0f}" if last["count"] else "no text"
            server = "" if load.rss_mib is None else f", {load.cpu_share:.2f} cores, {load.rss_mib:.0f} MiB"
            found.append(f"{load.streams} callers: {times}; {faults}{server}")
        if self.budget_ms is not None:
            found.append(f"{self.largest} callers within {self.budget_ms:g} ms")
        return found

    def __str__(self) -> str:
        return "\n".join(self.lines())

    __repr__ = __str__

    def to_dict(self) -> dict[str, Any]:
        """Every figure as plain values."""
        return {**asdict(self), "largest": self.largest}


def measure_server(
    address: str,
    clips: Sequence[Pcm],
    *,
    streams: Sequence[int] = (1, 2, 4, 8),
    call_s: float = 6.0,
    repeats: int = 3,
    budget_ms: float | None = None,
    padding_ms: int = 0,
    leaving: int = 0,
    slow_readers: int = 0,
    sample_rate: int = 16_000,
    seed: int = 20260823,
    out: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> ServerCapacity:
    """Drive a server with paced callers.

    Args:
        address: ``ws://HOST:PORT``.
        clips: float32 mono at ``sample_rate``; joined into calls of ``call_s``.
        streams: numbers of callers at once. ``repeats``: of each.
        budget_ms: the most that the last text may take after the audio.
        padding_ms: of silence before the audio, as the package says.
        leaving: of the callers, those that hang up half way. ``slow_readers``: those that read nothing until
            their audio has ended. Faults that the others must not feel.
        out: JSON, written anew after every measurement.
        progress: called with (done, total). ``cancel``: asked before each measurement.

    Raises:
        WorkbenchError: no such address, no clips, or no server that answers at all.
    """
    if not _ADDRESS.match(address):
        raise WorkbenchError(f"no server address: {address[:80]!r}", hint="Write ws://127.0.0.1:6006.")
    if not streams or repeats < 1 or any(n < 1 for n in streams):
        raise WorkbenchError("streams and repeats are at least 1", where="capacity")
    calls = spoken_calls(clips, sample_rate, call_s, seed)
    _must_answer(address)
    found, plan = (
        ServerCapacity(address, call_s, budget_ms),
        [(r, n) for r in range(repeats) for n in streams],
    )
    for done, (repeat, count) in enumerate(plan):
        if cancel is not None and cancel():
            break
        callers = [
            Caller(
                address, calls[(repeat + number) % len(calls)], sample_rate, padding_ms,
                leaves=number < min(leaving, count - 1),
                reads_late=min(leaving, count - 1) <= number < min(leaving + slow_readers, count - 1),
            )
            for number in range(count)
        ]  # fmt: skip
        found.loads.append(_load(callers, address, repeat))
        if out is not None:
            out.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(out, json.dumps(found.to_dict(), indent=1) + "\n")
        if progress is not None:
            progress(done + 1, len(plan))
    return found


class Caller(threading.Thread):
    """One call: audio at its own pace, answers timed as they come."""

    def __init__(
        self,
        address: str,
        pcm: Pcm,
        sample_rate: int,
        padding_ms: int,
        *,
        leaves: bool = False,
        reads_late: bool = False,
    ) -> None:
        super().__init__(daemon=True)
        self.address, self.sample_rate = address, sample_rate
        self.pcm, self.padding = pcm, np.zeros(sample_rate * padding_ms // 1000, np.float32)
        self.leaves, self.reads_late = leaves, reads_late
        self.fault: str | None = None
        self.text = ""
        self.late_packets = 0
        self.first_ms: float | None = None
        self.last_ms: float | None = None
        self.token_ms: list[float] = []
        self._seen = 0
        self._begin = 0.0

    def run(self) -> None:
        """Speak the call, and note what came of it; no fault of the line is raised."""
        try:
            line = websocket.create_connection(self.address, timeout=_WAIT_S)
        except (OSError, websocket.WebSocketException):
            self.fault = "refused"
            return
        try:
            reader = threading.Thread(target=self._read, args=(line,), daemon=True)
            if not self.reads_late:
                reader.start()
            self._speak(line)
            if self.leaves:
                self.fault = "left"
                return
            if self.reads_late:
                reader.start()
            reader.join(_WAIT_S)
            if reader.is_alive() and self.fault is None:
                self.fault = "timed out"
        except (OSError, websocket.WebSocketException):
            self.fault = self.fault or "dropped"
        finally:
            line.close(timeout=0)

    def _speak(self, line: Any) -> None:
        line.send_binary(self.padding.tobytes())
        self._begin = time.perf_counter()
        size = self.sample_rate * PACKET_MS // 1000
        for start in range(0, len(self.pcm), size):
            packet = self.pcm[start : start + size]
            due = self._begin + (start + len(packet)) / self.sample_rate
            wait_s = due - time.perf_counter()
            if wait_s > 0:
                time.sleep(wait_s)
            self.late_packets += wait_s < -PACKET_MS / 1000
            line.send_binary(packet.tobytes())
            if self.leaves and start > len(self.pcm) / 2:
                return
        line.send("Done")

    def _read(self, line: Any) -> None:
        ended_s = len(self.pcm) / self.sample_rate
        try:
            while True:
                answer = line.recv()
                now_s = time.perf_counter() - self._begin
                if answer in ("", "Done!"):
                    self.last_ms = 1000 * (now_s - ended_s)
                    self.fault = self.fault or (None if answer else "dropped")
                    return
                self._take(json.loads(answer), now_s)
        except (OSError, ValueError, websocket.WebSocketException):
            self.fault = self.fault or "dropped"

    def _take(self, answer: dict[str, Any], now_s: float) -> None:
        self.text = str(answer.get("text", ""))
        times = list(answer.get("timestamps") or ())
        if self.text and self.first_ms is None:
            self.first_ms = 1000 * now_s
        shift_s = len(self.padding) / self.sample_rate
        fresh = times[self._seen :]
        self.token_ms += [1000 * (now_s - (float(at) - shift_s + FRAME_S)) for at in fresh]
        self._seen = len(times)


def _load(callers: Sequence[Caller], address: str, repeat: int) -> ServerLoad:
    watched, begin, rss = _process_of(address), time.perf_counter(), 0.0
    before = _cpu_s(watched)
    for number, caller in enumerate(callers):
        caller.start()
        time.sleep(PACKET_MS / 1000 / len(callers) if number + 1 < len(callers) else 0)
    while any(caller.is_alive() for caller in callers):
        rss = max(rss, _rss_mib(watched))
        time.sleep(0.1)
    spent, wall = _cpu_s(watched) - before, time.perf_counter() - begin
    timed = [c for c in callers if c.fault is None and not c.reads_late]
    return ServerLoad(
        streams=len(callers),
        repeat=repeat,
        audio_s=round(sum(len(c.pcm) for c in callers) / callers[0].sample_rate, 3),
        finished=sum(c.fault is None for c in callers),
        first_text_ms=_spread([c.first_ms for c in timed if c.first_ms is not None]),
        token_ms=_spread([ms for c in timed for ms in c.token_ms]),
        last_text_ms=_spread([c.last_ms for c in timed if c.last_ms is not None]),
        late_packets=sum(c.late_packets for c in callers),
        faults=dict(Counter(c.fault for c in callers if c.fault is not None)),
        slow_readers=sum(c.reads_late for c in callers),
        cpu_share=round(spent / wall, 4) if watched is not None else None,
        rss_mib=round(rss, 1) if watched is not None else None,
    )


def _spread(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {"count": 0}
    p50, p95, p99 = (float(v) for v in np.percentile(values, [50, 95, 99]))
    return {"p50": p50, "p95": p95, "p99": p99, "max": max(values), "count": len(values)}


def _must_answer(address: str) -> None:
    try:
        websocket.create_connection(address, timeout=_WAIT_S).close()
    except (OSError, websocket.WebSocketException) as error:
        raise WorkbenchError(
            f"no server answers: {error}", where=address, hint="Start one: workbench serve-model PACKAGE."
        ) from None


def _process_of(address: str) -> psutil.Process | None:
    """The process of this machine that listens where the address leads; None where it is not to be found."""
    host, _, port = address.split("//", 1)[1].split("/")[0].partition(":")
    if host not in ("127.0.0.1", "localhost") or not port:
        return None
    try:
        for one in psutil.net_connections("tcp"):
            if one.laddr and one.laddr.port == int(port) and one.status == psutil.CONN_LISTEN and one.pid:
                return psutil.Process(one.pid)
    except psutil.Error:
        return None
    return None


def _cpu_s(process: psutil.Process | None) -> float:
    try:
        times = process.cpu_times() if process is not None else None
    except psutil.Error:
        return 0.0
    return 0.0 if times is None else float(times.user + times.system)


def _rss_mib(process: psutil.Process | None) -> float:
    try:
        return float(process.memory_info().rss) / 2**20 if process is not None else 0.0
    except psutil.Error:
        return 0.0
