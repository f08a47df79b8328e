"""The process that measures: loads the checkpoint once, answers requests, one JSON object per line.

A process of its own, because memory and CPU share of a notebook kernel say nothing about a service, and so
that a measurement can be cancelled at any moment. Requests come on standard input, answers leave on standard
output; the process ends when its input closes. Run as ``python -m workbench.capacity.worker``.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from workbench.capacity.measurement import Measurement, Memory, fitted
from workbench.errors import WorkbenchError
from workbench.machine import trim_memory
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.latency import measure
from workbench.recognizer.pool import Pool

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MIB = 1 << 20


class Watcher(threading.Thread):
    """Takes resident memory and GPU utilization five times a second, and CPU times over the whole block."""

    def __init__(self, cuda: bool) -> None:
        super().__init__(daemon=True)
        self.cuda, self.peak_rss, self.gpu = cuda, 0, list[float]()
        self.cpu_share = self.machine_cpu_share = 0.0
        self._ended = threading.Event()

    def __enter__(self) -> Watcher:
        self._begin = time.process_time(), time.perf_counter(), _core_times()
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self.join()
        process_s, wall_s, before = self._begin
        elapsed_s = max(time.perf_counter() - wall_s, 1e-9)
        self.cpu_share = (time.process_time() - process_s) / elapsed_s / len(usable_cores())
        busy, total = (after - was for after, was in zip(_core_times(), before, strict=True))
        self.machine_cpu_share = busy / total if total > 0 else 0.0

    def run(self) -> None:
        process = psutil.Process()
        while True:
            self.peak_rss = max(self.peak_rss, process.memory_info().rss)
            if self.cuda and (share := _gpu_share()) is not None:
                self.gpu.append(share)
            if self._ended.wait(0.2):
                return


def usable_cores() -> list[int]:
    """Numbers of the cores that this process may use; all of them where the system does not say."""
    count = psutil.cpu_count() or 1
    if not hasattr(os, "sched_getaffinity"):
        return list(range(count))
    return sorted(core for core in os.sched_getaffinity(0) if core < count)


def _core_times() -> tuple[float, float]:
    """Seconds (not idle, all) of the cores that this process may use: other cores are no load on it."""
    times = psutil.cpu_times(percpu=True)
    chosen = [times[core] for core in usable_cores()]
    idle = sum(core.idle + getattr(core, "iowait", 0.0) for core in chosen)
    total = sum(sum(core) for core in chosen)
    return total - idle, total


class Worker:
    """One loaded checkpoint and the clips that every measurement speaks."""

    def __init__(self, job: dict[str, Any]) -> None:
        import torch

        if job.get("threads"):
            torch.set_num_threads(int(job["threads"]))
        self.checkpoint = Checkpoint.open(job["checkpoint"])
        self.device, self.locale, self.runtime = job["device"], job["locale"], job["runtime"]
        with np.load(job["clips"]) as held:
            self.clips: list[NDArray[np.float32]] = [held[name] for name in held.files]
        self.cuda = self.checkpoint.engine(self.device, runtime=self.runtime).device.type == "cuda"
        self._warm = set[tuple[int, int]]()

    def machine(self) -> dict[str, Any]:
        """What measured: it belongs beside every figure."""
        import torch

        engine = self.checkpoint.engine(self.device, runtime=self.runtime)
        name = torch.cuda.get_device_name() if self.cuda else None
        cores, threads = len(usable_cores()), torch.get_num_threads()
        return {
            "processor": f"{platform.machine()}, {cores} core{'s' * (cores > 1)} usable",
            "cores": cores,
            "threads": threads,
            "waiting": os.environ.get("OMP_WAIT_POLICY", "active").lower(),
            "load_1min": round(os.getloadavg()[0], 1),
            "memory_mib": psutil.virtual_memory().total / _MIB,
            "gpu": name,
            "gpu_memory_mib": torch.cuda.get_device_properties(0).total_memory / _MIB if self.cuda else None,
            "precision": str(engine.dtype).removeprefix("torch."),
            "runtime": engine.runtime,
        }

    def measure(self, asked: dict[str, Any]) -> dict[str, Any]:
        """A measurement: ``streams × calls`` clips at their own pace."""
        streams, lookahead_ms, calls = asked["streams"], asked["lookahead_ms"], asked["calls"]
        self._warm_up(lookahead_ms, streams)
        first = asked["repeat"] * streams * calls
        spoken = [self.clips[(first + i) % len(self.clips)] for i in range(streams * calls)]
        self._reset_gpu_peak()
        with Watcher(self.cuda) as seen:
            found = measure(
                self.checkpoint,
                spoken,
                lookahead_ms=lookahead_ms,
                locale=self.locale,
                streams=streams,
                backlog_limit_s=asked["backlog_limit_s"],
                device=self.device,
                runtime=self.runtime,
            )
        measurement = Measurement(
            **{k: v for k, v in found.to_dict().items() if k not in ("lookahead_ms", "streams")},
            lookahead_ms=lookahead_ms,
            streams=streams,
            repeat=asked["repeat"],
            background_load=asked["background_load"],
            purpose=asked["purpose"],
            calls=calls,
            cpu_share=seen.cpu_share,
            machine_cpu_share=seen.machine_cpu_share,
            gpu_share=sum(seen.gpu) / len(seen.gpu) / 100 if seen.gpu else None,
            rss_mib=seen.peak_rss / _MIB,
            gpu_mib=self._gpu_mib(),
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        return measurement.to_dict()

    def memory(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Memory against open sessions: sessions stay open, so memory only grows."""
        lookahead_ms, counts = asked["lookahead_ms"], sorted(set(asked["sessions"]))
        rate, process = self.checkpoint.info.sample_rate, psutil.Process()
        chunk = (self.checkpoint.right_context(lookahead_ms) + 1) * self.checkpoint.info.frame_ms
        heard = self.clips[0][: (2 * chunk + 100) * rate // 1000]
        self._warm_up(lookahead_ms, 1)
        pool = Pool(self.checkpoint, max_batch=8, device=self.device, runtime=self.runtime)
        members, points, cache_mib = list[Any](), list[float](), 0.0
        for count in counts:
            while len(members) < count:
                member = pool.join(self.locale, lookahead_ms)
                member.feed(heard, rate)
                members.append(member)
            pool.drain()
            gc.collect()
            trim_memory()
            used = self._gpu_allocated() if self.cuda else process.memory_info().rss
            points.append(used / _MIB)
            cache_mib = pool.load().cache_bytes / count / _MIB
        slope, base, straight = fitted(counts, points)
        device = "cuda" if self.cuda else "host"
        found = Memory(
            lookahead_ms, tuple(counts), tuple(points), slope, base, straight, cache_mib, device=device
        )
        return found.to_dict()

    def _warm_up(self, lookahead_ms: int, streams: int) -> None:
        """The first batch of a size pays for allocation, threads and, on a GPU, graphs."""
        size = 1 << (streams - 1).bit_length()
        if (lookahead_ms, size) in self._warm:
            return
        pool = Pool(self.checkpoint, max_batch=streams, device=self.device, runtime=self.runtime)
        rate = self.checkpoint.info.sample_rate
        for i in range(streams):
            member = pool.join(self.locale, lookahead_ms)
            member.feed(self.clips[i % len(self.clips)][: 2 * lookahead_ms * rate // 1000], rate)
            member.finish()
        pool.drain()
        self._warm.add((lookahead_ms, size))

    def _gpu_allocated(self) -> int:
        import torch

        torch.cuda.synchronize()
        return int(torch.cuda.memory_allocated())

    def _reset_gpu_peak(self) -> None:
        if self.cuda:
            import torch

            torch.cuda.reset_peak_memory_stats()

    def _gpu_mib(self) -> float | None:
        if not self.cuda:
            return None
        import torch

        return float(torch.cuda.max_memory_allocated()) / _MIB


def _gpu_share() -> float | None:
    """Percent as the driver says; None where its library is missing."""
    import torch

    try:
        return float(torch.cuda.utilization())
    except (ModuleNotFoundError, RuntimeError):
        return None


def serve(lines: Any, answer: Callable[[dict[str, Any]], None]) -> None:
    """Answer requests until the input ends. The first line is the job."""
    worker: Worker | None = None
    for line in lines:
        asked = json.loads(line)
        try:
            if worker is None:
                worker = Worker(asked)
                answer({"ready": worker.machine()})
            elif asked["do"] == "memory":
                answer({"memory": worker.memory(asked)})
            else:
                answer({"measurement": worker.measure(asked)})
        except WorkbenchError as error:
            answer({"error": [error.what, error.where, error.hint]})


def _main() -> int:
    # NeMo and its libraries write to standard output: answers leave through a descriptor of their own.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(reply: dict[str, Any]) -> None:
        out.write(json.dumps(reply) + "\n")
        out.flush()

    serve(sys.stdin, answer)
    return 0


if __name__ == "__main__":
    sys.exit(_main())
