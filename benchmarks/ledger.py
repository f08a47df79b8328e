"""The ledger at a million events: append, reopen, look up, verify, erase.

    python benchmarks/ledger.py [EVENTS]

Peer in the same run: the same rows into a plain SQLite table without chain, salt or payload check.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from workbench.workspace.ledger import Ledger

BATCH = 10_000


def payload(i: int) -> dict[str, Any]:
    return {"actor": "actor-0b11723968ba8051", "digest": f"{i:064x}", "rows": i, "verdict": "pass"}


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def plain_table(path: Path, events: int) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (seq INTEGER PRIMARY KEY, kind TEXT, payload TEXT)")
        for start in range(0, events, BATCH):
            rows = ((i, "run.step", json.dumps(payload(i))) for i in range(start, min(start + BATCH, events)))
            connection.executemany("INSERT INTO events VALUES (?, ?, ?)", rows)
            connection.commit()


def fill(ledger: Ledger, events: int) -> None:
    for start in range(0, events, BATCH):
        ledger.append_many(("run.step", payload(i)) for i in range(start, min(start + BATCH, events)))


def main(events: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        chained, _ = timed(lambda: fill(Ledger(path), events))
        plain, _ = timed(lambda: plain_table(Path(folder) / "plain.sqlite", events))
        opened, ledger = timed(lambda: Ledger(path))
        single = [timed(lambda: ledger.append("run.step", payload(1)))[0] for _ in range(50)]
        ledger.append("release.gate", payload(2))
        latest, _ = timed(lambda: ledger.latest("release.gate"))
        head, _ = timed(ledger.head)
        walk, count = timed(lambda: sum(1 for _ in ledger.events()))
        first = next(ledger.events())
        erase, _ = timed(lambda: ledger.erase(first.id))
        verify, verification = timed(lambda: ledger.verify(ledger.head()))
        size = path.stat().st_size / 2**20
    if not verification.ok or count < events:
        raise SystemExit(f"the ledger does not hold: {verification}")
    lines = {
        f"append {events:,} events in batches of {BATCH:,}": f"{chained:.2f} s (plain table: {plain:.2f} s)",
        "open": f"{1000 * opened:.1f} ms",
        "append one, on disk (median of 50, min-max)": (
            f"{1000 * median(single):.1f} ms ({1000 * min(single):.1f}-{1000 * max(single):.1f})"
        ),
        "latest of a kind": f"{1000 * latest:.2f} ms",
        "head": f"{1000 * head:.2f} ms",
        "walk all, payloads parsed": f"{walk:.2f} s",
        "erase one": f"{1000 * erase:.1f} ms",
        "verify all": f"{verify:.2f} s ({events / verify:,.0f} events a second)",
        "file": f"{size:.0f} MiB",
    }
    for name, value in lines.items():
        sys.stdout.write(f"{name:55} {value}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
