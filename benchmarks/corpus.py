"""The corpus beside what it replaces: a Python ``json`` loop, and a bare SQLite commit.

Medians of interleaved rounds, least and most in brackets; ratios are taken within a round.

    python benchmarks/corpus.py [--lines 300000] [--memory-lines 1000000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import budgets

STARTER = Path(__file__).resolve().parents[1] / "data" / "starter" / "manifest.jsonl"
FIELDS = ("audio_filepath", "duration", "text", "target_lang", "lang", "speaker", "accent", "split")


def manifest(path: Path, lines: int, wide: bool = False) -> Path:
    """A manifest of so many lines made of the starter's rows with new ids and paths; ``wide``: with all of
    its twenty fields."""
    rows = [json.loads(line) for line in STARTER.open(encoding="utf-8")]
    with path.open("w", encoding="utf-8") as stream:
        for i in range(lines):
            source = rows[i % len(rows)]
            row = {**source} if wide else {"id": "", **{name: source[name] for name in FIELDS}}
            row["id"] = f"u{i:08d}"
            row["audio_filepath"] = f"{i:08d}.ogg"
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


def clock(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def clocks(act: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - wall, time.process_time() - cpu


def show(name: str, values: list[float], unit: str = "s") -> None:
    print(f"{name:58s} {statistics.median(values):9.4f} {unit} [{min(values):.4f}-{max(values):.4f}]")


def opening(folder: Path, lines: int, rounds: int, wide: bool = False) -> None:
    from workbench.corpus.importing import import_source
    from workbench.corpus.query.table import Corpus

    path = manifest(folder / "m.jsonl", lines, wide)

    def loop() -> int:
        rows = [json.loads(line) for line in path.open(encoding="utf-8")]
        return sum(row["target_lang"] == "el-GR" and row["duration"] > 2 for row in rows)

    def first() -> int:
        shutil.rmtree(folder / "c", ignore_errors=True)
        return len(
            import_source(path, folder / "c", name="c").where("target_lang = 'el-GR' AND duration > 2")
        )

    def again() -> int:
        return len(Corpus.open(folder / "c").where("target_lang = 'el-GR' AND duration > 2"))

    assert loop() == first() == again()
    times: dict[str, list[float]] = {"json": [], "first": [], "again": []}
    processor: dict[str, list[float]] = {name: [] for name in times}
    for _ in range(rounds):
        for name, act in (("json", loop), ("first", first), ("again", again)):
            wall, cpu = clocks(act)
            times[name].append(wall)
            processor[name].append(cpu)
    fields = "the starter's twenty fields" if wide else f"{len(FIELDS) + 1} fields"
    print(f"\n{lines:,} lines of {fields}, {path.stat().st_size / 1e6:.0f} MB: open and filter")
    for name in ("first", "again"):
        ratios = [a / b for a, b in zip(processor[name], processor["json"], strict=True)]
        show(f"{name}: processor time over the loop's", ratios, "x")
    show("Python json loop", times["json"])
    show("first time: read, check, ids, Parquet, filter", times["first"])
    ratios = [a / b for a, b in zip(times["first"], times["json"], strict=True)]
    show("  ratio", ratios, "x")
    if wide:
        return
    budgets.record("manifest_open", ratios, lines=lines)
    show("every later time: open, filter", times["again"])
    ratios = [a / b for a, b in zip(times["again"], times["json"], strict=True)]
    show("  ratio", ratios, "x")
    budgets.record("manifest_reopen", ratios, lines=lines)
    corpus = Corpus.open(folder / "c")
    pages = [
        clock(lambda at=at: corpus.page(at, 100, order_by="duration")) for at in (0, lines // 2, lines - 200)
    ]
    show("a sorted page of 100", pages)
    show(
        "groups by locale and accent",
        [clock(lambda: corpus.groups("target_lang", "accent")) for _ in range(3)],
    )


WATCH = """
import sys, threading, time, psutil
from workbench.corpus.importing import import_source
from workbench.corpus.query.table import Corpus
import duckdb, pyarrow.parquet, pyarrow.json, pandas
duckdb.connect().execute("SELECT 1").fetchall()
process = psutil.Process(); before = process.memory_info().rss; peak = [before]
def watch():
    while True:
        peak[0] = max(peak[0], process.memory_info().rss); time.sleep(0.01)
threading.Thread(target=watch, daemon=True).start()
if sys.argv[1] == "import":
    import_source(sys.argv[2], sys.argv[3], name="c")
else:
    corpus = Corpus.open(sys.argv[3])
    len(corpus.where("target_lang = 'el-GR' AND duration > 2"))
    corpus.groups("target_lang", "accent")
    for offset in (0, 500_000, 900_000):
        corpus.page(min(offset, len(corpus) - 100), 100, order_by="duration")
time.sleep(0.1)
print((peak[0] - before) / 1e6, (process.memory_info().rss - before) / 1e6)
"""


def memory(folder: Path, lines: int) -> None:
    path = manifest(folder / "big.jsonl", lines)
    size = path.stat().st_size / 1e6
    print(f"\n{lines:,} lines, {size:.0f} MB: memory above the libraries' own, in a process of its own")
    for step in ("import", "use"):
        command = [sys.executable, "-c", WATCH, step, str(path), str(folder / "big")]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        peak, after = map(float, out)
        print(f"{step:58s} peak {peak:6.0f} MB = {peak / size:.2f}x the file; after {after:.0f} MB")
        budgets.record({"import": "import_memory", "use": "table_memory"}[step], [peak / size], lines=lines)


def decisions(folder: Path, rounds: int, each: int = 40) -> None:
    from workbench.corpus.review.decisions import DecisionStore

    store = DecisionStore(folder / "decisions.sqlite")
    bare = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute("CREATE TABLE t (seq INTEGER PRIMARY KEY, clip TEXT, value TEXT)")

    def commit(i: int) -> None:
        bare.execute("BEGIN IMMEDIATE")
        bare.execute("INSERT INTO t (clip, value) VALUES (?, ?)", (f"u{i}", "accepted"))
        bare.execute("COMMIT")

    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(clock(lambda: [commit(i) for i in range(each)]) / each * 1e3)
        ours.append(clock(lambda: [store.accept(f"u{i}", reviewer="r") for i in range(each)]) / each * 1e3)
    print("\none durable decision")
    show("bare SQLite commit of one row", theirs, "ms")
    show("one decision", ours, "ms")
    show("  ratio", [a / b for a, b in zip(ours, theirs, strict=True)], "x")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=300_000)
    parser.add_argument("--memory-lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        opening(Path(name), arguments.lines, arguments.rounds)
        opening(Path(name), arguments.lines, arguments.rounds, wide=True)
        memory(Path(name), arguments.memory_lines)
        decisions(Path(name), max(5, arguments.rounds))


if __name__ == "__main__":
    main()
