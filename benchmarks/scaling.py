"""How cost grows: rows 10⁴ → 10⁷, streams 1 → 64, workers 1 → 2. What docs/scaling.md is written from.

    python benchmarks/scaling.py [rows|streams|workers] [--rows 10000 100000 1000000] [--streams 1 4 16 64]
        [--ray] [--out docs/evidence/scaling.json]

Each size of a table runs in a process of its own, so that its peak memory is its own; a step that does not
fit ``--limit-gb`` is said to have failed there. CPU seconds stand beside wall seconds: on a shared machine
they are what can be compared. Results of earlier parts stay in ``--out``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from corpus import manifest

DATA = Path(__file__).resolve().parents[1] / "data"
STEPS = ("import", "filter", "check", "split", "export")


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


def rows_here(path: Path, folder: Path, limit_gb: float) -> Iterator[dict[str, Any]]:
    """Open, check, split and export one manifest in this process, within a limit of memory."""
    import duckdb  # noqa: F401
    import pandas  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    from workbench.corpus.checks import run_checks
    from workbench.corpus.export import export
    from workbench.corpus.sources import import_source
    from workbench.corpus.splits import split
    from workbench.corpus.table import Corpus

    resource.setrlimit(resource.RLIMIT_DATA, (int(limit_gb * 1e9), resource.RLIM_INFINITY))
    made: list[Corpus] = []
    acts: dict[str, Callable[[], Any]] = {
        "import": lambda: made.append(import_source(path, folder / "c", name="c")),
        "filter": lambda: len(made[0].where("target_lang = 'el-GR' AND duration > 2")),
        "check": lambda: run_checks(made[0]),
        "split": lambda: split(made[0], seed=1),
        "export": lambda: export(made[0], folder / "out", "nemo", only="not_rejected"),
    }
    for name in STEPS:
        found: dict[str, Any] = {"step": name}
        try:
            with measured(found):
                acts[name]()
        except Exception as error:  # a step that fails is a result: where this size breaks
            found["failed"] = f"{type(error).__name__}: {error}"[:200]
        yield found


def rows(options: argparse.Namespace) -> list[dict[str, Any]]:
    results = []
    for count in options.rows:
        with tempfile.TemporaryDirectory(dir=options.scratch) as name:
            path = manifest(Path(name) / "m.jsonl", count)
            size = path.stat().st_size / 1e6
            command = [sys.executable, __file__, "--one", str(path), "--limit-gb", str(options.limit_gb)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
                for line in process.stdout or ():
                    found = {"rows": count, "manifest_mb": round(size, 1), **json.loads(line)}
                    results.append(found)
                    print(json.dumps(found), flush=True)
            if process.returncode:
                results.append({"rows": count, "failed": f"the process ended with {process.returncode}"})
                print(json.dumps(results[-1]), flush=True)
    return results


def streams(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Sessions stepped together, unpaced: CPU seconds a second of audio and memory a stream."""
    import torch
    from streaming import load_clips, our_pool

    from workbench.recognizer.checkpoint import Checkpoint

    torch.set_num_threads(1)
    checkpoint = Checkpoint.open(options.checkpoint)
    clips = load_clips(8, 2.0, 5.0)
    our_pool(checkpoint, clips[:1], options.lookahead_ms, 1)
    results = []
    for count in options.streams:
        many = [clips[i % len(clips)] for i in range(max(count, 8))]
        audio_s = sum(len(pcm) for pcm in many) / 16000
        found: dict[str, Any] = {"streams": count, "lookahead_ms": options.lookahead_ms}
        with measured(found):
            our_pool(checkpoint, many, options.lookahead_ms, count)
        found["cpu_s_per_audio_s"] = round(found["cpu_s"] / audio_s, 4)
        results.append(found)
        print(json.dumps(found), flush=True)
    return results


def workers(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One scan with one and two workers: local processes, and Ray's where asked for."""
    from signal_scan import prepare

    from workbench.corpus import signal
    from workbench.corpus.sources import import_source

    results = []
    with tempfile.TemporaryDirectory(dir=options.scratch) as name:
        folder = Path(name)
        path, _ = prepare(folder / "clips", options.clips, "ogg")
        for engine in ("local", "ray") if options.ray else ("local",):
            for count in (1, 2):
                if engine == "ray":
                    import ray

                    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
                    ray.init(address="local", num_cpus=count, include_dashboard=False, log_to_driver=False)
                corpus = import_source(path, folder / f"{engine}{count}", name="c")
                begin = time.perf_counter()
                signal.scan(corpus, processes=count, engine=engine)
                wall = time.perf_counter() - begin
                if engine == "ray":
                    ray.shutdown()
                found = {"engine": engine, "workers": count, "clips": options.clips, "wall_s": round(wall, 2)}
                results.append(found)
                print(json.dumps(found), flush=True)
    return results


PARTS: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = {
    "rows": rows,
    "streams": streams,
    "workers": workers,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all where none is named")
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--limit-gb", type=float, default=4.0)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--lookahead-ms", type=int, default=560)
    parser.add_argument("--checkpoint", type=Path, default=DATA / "checkpoint" / "starter.nemo")
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--ray", action="store_true", help="scan on Ray too")
    parser.add_argument("--scratch", help="folder for the files that are made")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        for found in rows_here(options.one, options.one.parent, options.limit_gb):
            print(json.dumps(found), flush=True)
        return
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
