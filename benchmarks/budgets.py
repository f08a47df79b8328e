"""Every budget beside its peer, in one table; ``make bench`` runs the benchmarks first.

    python benchmarks/budgets.py [--table]      # --table: only what was measured last

A benchmark hands in what it measured with ``record(name, values)``, a value for each pair or round; that is
``build/bench/NAME.json``. A budget without a file is in the table as not measured: nothing is left out.
The peer's scoring needs an environment of its own (see evaluation.py); name it in ``BENCH_PEER_PYTHON`` and
``BENCH_PEER_SOURCE``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "build" / "bench"
SCRIPTS = ("transducer_loss", "corpus", "evaluation", "signal_scan", "streaming", "widgets", "playback")


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


def table() -> str:
    """Markdown: work, budget, measured (least to most), peer, kept or missed, when and under what load."""
    rows = [("work", "budget", "measured: median (min to max, n)", "peer", "", "when, commit, load")]
    for name, budget in BUDGETS.items():
        path = FOLDER / f"{name}.json"
        if not path.exists():
            rows.append((budget.work, str(budget), "not measured", budget.peer, "", ""))
            continue
        held = json.loads(path.read_text("utf-8"))
        values = held["values"]
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


def main() -> int:
    """Run the benchmarks one after the other, then print the table; 1 where one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--table", action="store_true", help="run nothing")
    options = parser.parse_args()
    failed = []
    for script in () if options.table else SCRIPTS:
        command = [sys.executable, str(HERE / f"{script}.py")]
        peer = os.environ.get("BENCH_PEER_PYTHON"), os.environ.get("BENCH_PEER_SOURCE")
        if script == "evaluation" and all(peer):
            command += ["--peer-python", str(peer[0]), "--peer-source", str(peer[1])]
        print(f"\n== {script}", flush=True)
        if subprocess.run(command).returncode:
            failed.append(script)
    print(f"\n{table()}")
    if failed:
        print(f"\nfailed, or missed their budget: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
