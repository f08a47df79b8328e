"""How cost grows: rows 10⁴ → 10⁷, streams 1 → 64, workers 1 → 2. What docs/scaling.md is written from.

    python benchmarks/scaling.py [rows|streams|workers] [--rows 10000 100000 1000000] [--streams 1 4 16 64]
        [--ray] [--out docs/evidence/scaling.json]

Each step over a table runs in a process of its own, so that its peak memory is its own (``rows.py``; ten
million rows take 10 GB of disk and half an hour of CPU). CPU seconds stand beside wall seconds: on a shared
machine they are what can be compared. Results of earlier parts stay in ``--out``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
DATA = Path(__file__).resolve().parents[1] / "data"


@contextmanager
def measured(found: dict[str, Any]) -> Iterator[None]:
    """Wall and CPU seconds, and the peak of resident memory over what was resident before, in MB."""
    import psutil

    process = psutil.Process()
    before, ended = process.memory_info().rss, threading.Event()
    peak = [before]

    def watch() -> None:
        while not ended.wait(0.02):
            peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        yield
    finally:
        found["wall_s"] = round(time.perf_counter() - wall, 3)
        found["cpu_s"] = round(time.process_time() - cpu, 3)
        ended.set()
        watcher.join()
        found["peak_mb"] = round((max(peak[0], process.memory_info().rss) - before) / 1e6, 1)


def rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Open, filter, check, split and export synthetic manifests, each step in a process of its own."""
    from rows import measure

    results = []
    for count in options.rows:
        with tempfile.TemporaryDirectory(dir=options.scratch) as name:
            results += measure(count, Path(name))
    return results


def streams(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Sessions stepped together, unpaced, in interleaved rounds: CPU seconds a second of audio, memory."""
    import torch
    from streaming import load_clips, our_pool

    from workbench.recognizer.checkpoint import Checkpoint

    torch.set_num_threads(1)
    checkpoint = Checkpoint.open(options.checkpoint)
    clips = load_clips(8, 2.0, 5.0)
    our_pool(checkpoint, clips[:1], options.lookahead_ms, 1)
    took: dict[int, list[dict[str, Any]]] = {count: [] for count in options.streams}
    for _ in range(options.rounds):
        for count in options.streams:
            many = [clips[i % len(clips)] for i in range(max(count, 8))]
            found: dict[str, Any] = {"audio_s": sum(len(pcm) for pcm in many) / 16000}
            with measured(found):
                our_pool(checkpoint, many, options.lookahead_ms, count)
            took[count].append(found)
    results = []
    for count, rounds in took.items():
        cpu = [found["cpu_s"] / found["audio_s"] for found in rounds]
        results.append(
            {
                "streams": count,
                "lookahead_ms": options.lookahead_ms,
                "audio_s": round(rounds[0]["audio_s"], 1),
                "cpu_s_per_audio_s": round(statistics.median(cpu), 4),
                "range": [round(min(cpu), 4), round(max(cpu), 4)],
                "rounds": options.rounds,
                "peak_mb": max(found["peak_mb"] for found in rounds),
            }
        )
        print(json.dumps(results[-1]), flush=True)
    return results


def workers(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The same shards on one worker and on two, in interleaved rounds, each round's workers warm.

    Wall seconds are of the calls; CPU seconds of the workers and of the calling process stand apart: on a
    busy machine they are what can be compared.
    """
    from signal_scan import prepare

    from workbench.corpus.quality.measure_rows import measure_rows
    from workbench.recognizer.batches import decode_shard

    results = []
    with tempfile.TemporaryDirectory(dir=options.scratch) as name:
        path = prepare(Path(name) / "clips", options.clips, "ogg", False)
        rows = [json.loads(line) for line in path.open(encoding="utf-8")]
        scans = [(str(n), str(path.parent / row["audio_filepath"]), 0.0, None, None, None, None)
                 for n, row in enumerate(rows)]  # fmt: skip
        jobs: dict[str, tuple[Any, list[Any], int]] = {
            "signal scan": (
                measure_rows,
                [(scans[i : i + 64],) for i in range(0, len(scans), 64)],
                len(scans),
            )
        }
        if options.ray:
            batches, count = transcription(path, rows[: options.transcribed], options)
            jobs["transcription"] = (decode_shard, batches, count)
        for job, (function, shards, count) in jobs.items():
            for engine in ("local", "ray") if options.ray else ("local",):
                if job == "transcription" and engine == "local":
                    continue  # one process decodes there, with torch's threads
                found = compared(engine, function, shards, options.rounds)
                for many, rounds in found.items():
                    results.append({"job": job, "engine": engine, "workers": many, "clips": count, **rounds})
                    print(json.dumps(results[-1]), flush=True)
    return results


def transcription(
    path: Path, rows: list[dict[str, Any]], options: argparse.Namespace
) -> tuple[list[tuple[Any, ...]], int]:
    """Batches of a streaming transcription at one look-ahead, as ``transcribe`` sends them to workers."""
    from workbench.ingest.audio import RowReader, roots_of
    from workbench.recognizer.batches import Decoding, cut
    from workbench.recognizer.checkpoint import Checkpoint

    checkpoint = Checkpoint.open(options.checkpoint)
    how = Decoding(checkpoint.right_context(options.lookahead_ms), streaming=True, device="cpu")
    load = RowReader(roots_of(path.parent), checkpoint.info.sample_rate)
    prepared = [
        ({**row, "id": str(n)}, checkpoint.prompt_index(row["target_lang"])) for n, row in enumerate(rows)
    ]
    shards = [(str(options.checkpoint), [batch], how, load, 1) for batch in cut(prepared, 30.0)]
    return shards, len(rows)


def compared(engine: str, function: Callable[..., Any], shards: list[Any], rounds: int) -> dict[int, Any]:
    """Seconds of ``rounds`` rounds on one worker and on two, after one that is not counted."""
    took: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    with pools(engine, function) as work:
        for number in range(rounds + 1):
            for many in (1, 2) if number % 2 else (2, 1):
                before, wall, own = workers_cpu_s(engine), time.perf_counter(), time.process_time()
                assert sum(1 for _ in work[many](shards)) == len(shards)
                found = {
                    "wall_s": time.perf_counter() - wall,
                    "cpu_s": sum(s - before.get(pid, 0.0) for pid, s in workers_cpu_s(engine).items()),
                    "caller_cpu_s": time.process_time() - own,
                }
                if number:
                    took[many].append(found)
    return {
        many: {name: [round(one[name], 3) for one in rounds_] for name in rounds_[0]}
        for many, rounds_ in took.items()
    }


@contextmanager
def pools(engine: str, function: Callable[..., Any]) -> Iterator[dict[int, Callable[[list[Any]], Any]]]:
    """How one and two workers are given shards: processes here, or Ray's on a cluster of two cores here."""
    if engine == "local":
        with ProcessPoolExecutor(1) as one, ProcessPoolExecutor(2) as two:
            yield {1: lambda some: one.map(function, *zip(*some, strict=True)),
                   2: lambda some: two.map(function, *zip(*some, strict=True))}  # fmt: skip
        return
    import ray

    from workbench.cluster import Needs, over_ray

    # Ray's workers would give way to everything else on the machine, and end while the others are measured.
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_worker_niceness="0", RAY_num_workers_soft_limit="8")
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        yield {1: lambda some: over_ray(function, some, needs=Needs(cpus=2.0)),
               2: lambda some: over_ray(function, some, needs=Needs(cpus=1.0))}  # fmt: skip
    finally:
        ray.shutdown()


def workers_cpu_s(engine: str) -> dict[int, float]:
    """CPU seconds so far of each worker that this process has started, by process id; Ray's own servants are
    left out."""
    import psutil

    found: dict[int, float] = {}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            title = (process.cmdline() or [""])[0]
            if engine == "local" or (title.startswith("ray::") and not title.endswith("Agent")):
                found[process.pid] = sum(process.cpu_times()[:2])
    return found


PARTS: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = {
    "rows": rows,
    "streams": streams,
    "workers": workers,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all where none is named")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--lookahead-ms", type=int, default=560)
    parser.add_argument("--checkpoint", type=Path, default=DATA / "checkpoint" / "starter.nemo")
    parser.add_argument("--clips", type=int, default=640, help="scanned by one and two workers")
    parser.add_argument("--transcribed", type=int, default=160, help="of them")
    parser.add_argument("--rounds", type=int, default=5, help="of streams and of workers")
    parser.add_argument("--ray", action="store_true", help="scan and transcribe on Ray too")
    parser.add_argument("--scratch", help="folder for the files that are made")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    for part in options.parts or PARTS:
        print(f"== {part}", flush=True)
        facts = {
            "commit": head,
            "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
            "cores": os.cpu_count(),
            "processor": platform.machine(),
            "load_1min": round(os.getloadavg()[0], 1),
        }
        results = PARTS[part](options)
        if options.out:
            held = json.loads(options.out.read_text("utf-8")) if options.out.exists() else {}
            held[part] = {**facts, "results": results}
            options.out.write_text(json.dumps(held, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
