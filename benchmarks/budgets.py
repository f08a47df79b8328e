"""Every budget beside its peer, in one table; ``make bench`` runs the benchmarks first.

    python benchmarks/budgets.py [--only streaming widgets] [--table] [--out bench.json] [--markdown FILE]

Each benchmark runs in a process of its own, in the smallest size that its budget speaks of; one that fails or
does not end hides no other. It hands in what it measured with ``record(name, values)``, a value for each pair
or round; that is ``build/bench/NAME.json``. A budget without values is in the table as not measured, with the
reason: nothing is left out. ``--table`` runs nothing and shows what was measured last; ``--only`` runs some
and shows all. ``--markdown`` writes the table between two marks of a file (``BEGIN`` and ``END``).

Speech Data Explorer needs an environment of its own (see evaluation.py): its Python in ``BENCH_PEER_PYTHON``
and its file in ``BENCH_PEER_SOURCE``, or ``build/peer/bin/python`` and ``build/data_explorer.py``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "build" / "bench"
PEER = FOLDER.parent / "peer" / "bin" / "python", FOLDER.parent / "data_explorer.py"
BEGIN, END = "<!-- budgets -->", "<!-- /budgets -->"


@dataclass(frozen=True)
class Benchmark:
    """A script of this folder: which budgets it hands in, in which size, within how many seconds."""

    budgets: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    limit_s: float = 900.0


SCRIPTS = {
    "transducer_loss": Benchmark(("transducer_loss",)),
    "corpus": Benchmark(
        ("manifest_open", "manifest_reopen", "import_memory", "table_memory"), ("--rounds", "5")
    ),
    "evaluation": Benchmark(("scoring_load", "scoring_report"), ("--pairs", "5")),
    "signal_scan": Benchmark(("signal_scan",), ("--clips", "400", "--rounds", "5", "--kinds", "wav")),
    "streaming": Benchmark(("session", "pool"), ("--clips", "4", "--pairs", "7")),
    "widgets": Benchmark(("widget_bytes", "widget_kernel"), ("--rounds", "3")),
    "playback": Benchmark(("playback_late",), ("--clips", "2")),
}


@dataclass(frozen=True)
class Budget:
    """A limit on a measured value: at least where ``least``, else at most."""

    work: str
    limit: float
    unit: str
    peer: str
    least: bool = False

    def kept(self, value: float) -> bool:
        return value >= self.limit if self.least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.least else '≤'} {self.limit:g} {self.unit}"


SDE = "Speech Data Explorer"
BUDGETS = {
    "transducer_loss": Budget("transducer loss, gradient on CPU", 30, "x", "NeMo's default CPU loss", True),
    "manifest_open": Budget("open 300,000 lines, ready to filter", 0.333, "x", "Python json loop"),
    "manifest_reopen": Budget("  every later time", 0.333, "x", "Python json loop"),
    "scoring_load": Budget("load, WER, CER, accuracy of 100,000", 10, "x", f"{SDE}'s load", True),
    "scoring_report": Budget("full error report of the same", 2, "x", f"{SDE}'s load", True),
    "session": Budget("a streaming session", 1.05, "x", "NeMo's cache-aware loop"),
    "pool": Budget("N sessions at once", 1.0, "x", "NeMo's RNNT pipeline"),
    "signal_scan": Budget("signal scan", 8, "x", f"{SDE}'s audio metrics", True),
    "widget_bytes": Budget("100,000 utterances: first page", 1000, "kB", "–"),
    "widget_kernel": Budget("  in the kernel", 1.0, "s", "–"),
    "table_memory": Budget("memory of the table, over the manifest", 1.5, "x", "–"),
    "import_memory": Budget("  while importing", 1.5, "x", "–"),
    "playback_late": Budget("a word lands late in playback", 150, "ms", "–"),
}


def record(name: str, values: Sequence[float], **facts: Any) -> None:
    """Keep what was measured of a budget: one value for each pair or round, in the budget's unit."""
    if name not in BUDGETS or not values:
        raise ValueError(f"no budget {name!r}, or nothing measured")
    FOLDER.mkdir(parents=True, exist_ok=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=HERE)
    held = {
        "values": [float(value) for value in values],
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "commit": commit.stdout.strip(),
        "load_1min": round(os.getloadavg()[0], 1),
        **facts,
    }
    (FOLDER / f"{name}.json").write_text(json.dumps(held, indent=1) + "\n", "utf-8")


def measured(name: str) -> dict[str, Any]:
    """What was handed in last of a budget; ``values`` is empty where nothing was, ``failed`` may say why."""
    path = FOLDER / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {"values": []}


def table() -> str:
    """Markdown: work, budget, measured (least to most), peer, kept or missed, when and under what load."""
    rows = [("work", "budget", "measured: median (min to max, n)", "peer", "", "when, commit, load")]
    for name, budget in BUDGETS.items():
        held = measured(name)
        values = held["values"]
        if not values:
            why = f": {held['failed']}" if "failed" in held else ""
            rows.append((budget.work, str(budget), f"not measured{why}", budget.peer, "", ""))
            continue
        middle = statistics.median(values)
        span = f"{middle:.3g} {budget.unit} ({min(values):.3g} to {max(values):.3g}, {len(values)})"
        verdict = "kept" if budget.kept(middle) else "MISSED"
        when = f"{held['date']}, {held['commit']}, {held['load_1min']:g}"
        rows.append((budget.work, str(budget), span, budget.peer, verdict, when))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]])


def evidence() -> dict[str, Any]:
    """Every budget with what was measured, as JSON."""
    found: dict[str, Any] = {}
    for name, budget in BUDGETS.items():
        held = measured(name)
        limit = {"limit": budget.limit, "unit": budget.unit, "sense": "least" if budget.least else "most"}
        found[name] = {"work": budget.work.strip(), **limit, "peer": budget.peer, **held}
        if held["values"]:
            middle = statistics.median(held["values"])
            found[name] |= {"median": middle, "kept": budget.kept(middle)}
    return {"schema_version": 1, "cores": os.cpu_count(), "processor": platform.machine(), "budgets": found}


def write_table(path: Path) -> None:
    """Put the table between the marks of a Markdown file.

    Raises:
        SystemExit: the file has not both marks.
    """
    text = path.read_text("utf-8")
    head, begun, rest = text.partition(BEGIN)
    _, ended, tail = rest.partition(END)
    if not begun or not ended:
        raise SystemExit(f"{path}: no place for the table; write {BEGIN} and {END} where it belongs")
    path.write_text(f"{head}{BEGIN}\n{table()}\n{END}{tail}", "utf-8")


def run(script: str, benchmark: Benchmark) -> str:
    """Run a benchmark to its end; what it did not hand in is marked with the reason, which is returned."""
    for name in benchmark.budgets:
        (FOLDER / f"{name}.json").unlink(missing_ok=True)
    command = [sys.executable, str(HERE / f"{script}.py"), *benchmark.arguments, *_peer(script)]
    # A group of its own: what a benchmark has started ends with it.
    process = subprocess.Popen(command, start_new_session=True)
    why = ""
    try:
        if code := process.wait(benchmark.limit_s):
            why = f"{script}.py ended with {code}"
    except subprocess.TimeoutExpired:
        why = f"{script}.py had not ended after {benchmark.limit_s:g} s"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    missing = [name for name in benchmark.budgets if not measured(name)["values"]]
    if missing and not why and script == "evaluation":
        why = "the peer is not installed"
    for name in missing:
        FOLDER.mkdir(parents=True, exist_ok=True)
        failed = {"values": [], "failed": why or f"{script}.py handed nothing in"}
        (FOLDER / f"{name}.json").write_text(json.dumps(failed) + "\n", "utf-8")
    return why


def _peer(script: str) -> list[str]:
    """Arguments that name Speech Data Explorer to the benchmarks beside it, where it is there."""
    python = os.environ.get("BENCH_PEER_PYTHON") or (str(PEER[0]) if PEER[0].exists() else "")
    source = os.environ.get("BENCH_PEER_SOURCE") or (str(PEER[1]) if PEER[1].exists() else "")
    if script == "evaluation" and python and source:
        return ["--peer-python", python, "--peer-source", source]
    return ["--peer-source", source] if script == "signal_scan" and source else []


def main() -> int:
    """Run the benchmarks one after the other, then print the table; 1 where one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=list(SCRIPTS), help="run these alone")
    parser.add_argument("--table", action="store_true", help="run nothing")
    parser.add_argument("--out", type=Path, help="write every value as JSON too")
    parser.add_argument("--markdown", type=Path, help="write the table into this file, between its marks")
    options = parser.parse_args()
    faults = []
    for script in [] if options.table else options.only:
        print(f"\n== {script}", flush=True)
        begun = time.monotonic()
        if why := run(script, SCRIPTS[script]):
            faults.append(why)
        print(f"-- {script}: {time.monotonic() - begun:.0f} s {why}", flush=True)
    print(f"\n{table()}")
    if options.out:
        options.out.write_text(json.dumps(evidence(), indent=1) + "\n", "utf-8")
    if options.markdown:
        write_table(options.markdown)
    if faults:
        print(f"\nfailed, or missed their budget: {'; '.join(faults)}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
