"""How many callers the starter holds on one core, which look-ahead to choose, and the same beside other load.

Run: taskset -c 1 nice -n -15 python benchmarks/capacity.py WORKSPACE [--ceiling 256] [--no-beside]

Writes docs/evidence/capacity.json. Callers are paced streams, one torch thread, last text within 500 ms of
the audio's end (95th percentile). Error rates are of every test clip of 1 to 12 seconds, streamed. What a
workspace holds already is not measured again, so that the sweep may run when the machine is quiet and the
transcripts when it is not.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import workbench as wb
from workbench.capacity.result import Capacity
from workbench.errors import WorkbenchError

REPO = Path(__file__).resolve().parents[1]
LOOKAHEADS_MS = (80, 560, 1120)
BUDGET_MS = 500
SPOKEN = "split = 'test' AND duration BETWEEN 2 AND 6"
SCORED = "split = 'test' AND duration BETWEEN 1 AND 12"
ASKED = ({"latency_p95_s": 0.8}, {"latency_p95_s": 2.0, "streams": 48}, {})


def swept(ws: Any, name: str, **options: Any) -> Capacity:
    """The sweep of that name, measured now unless the workspace has it whole."""
    try:
        held = ws.measured_capacity(name)
        if held.status == "complete":
            return held
    except WorkbenchError:
        pass
    corpus = ws.corpus("starter").where(SPOKEN)
    return ws.capacity("starter", corpus, name=name, budget_ms=BUDGET_MS, call_s=3, threads=1, **options)


def told(capacity: Capacity) -> dict[str, Any]:
    """What a sweep found, without its single measurements."""
    frame = capacity.frame()
    frame["at_limit"] = [
        (found := capacity.streams_at(int(ms))) is not None and found.streams == streams
        for ms, streams in zip(frame["lookahead_ms"], frame["streams"], strict=True)
    ]
    columns = [
        "lookahead_ms", "streams", "repeats", "kept", "at_limit", "last_token_p50_ms", "last_token_p95_ms",
        "last_token_p99_ms", "first_token_p95_ms", "word_p50_ms", "word_p95_ms", "real_time_factor", "busy",
        "cpu_share", "machine_cpu_share", "rss_mib",
    ]  # fmt: skip
    whole = capacity.to_dict()
    keys = (
        "machine",
        "budget",
        "background_load",
        "call_s",
        "started_at",
        "finished_at",
        "status",
        "largest",
        "memory",
    )
    return {
        **{key: whole[key] for key in keys},
        "sentences": capacity.lines(),
        "measured": rounded(frame[columns].to_dict("records")),
        "extrapolated": whole["extrapolated"],
        "published": whole["published"],
    }


def rounded(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Plain values, floats to three places, None for what is not known."""

    def plain(value: Any) -> Any:
        value = value.item() if hasattr(value, "item") else value
        if isinstance(value, float):
            return None if value != value else round(value, 3)
        return value

    return [{str(name): plain(value) for name, value in record.items()} for record in records]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--ceiling", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--no-beside", action="store_true")
    given = parser.parse_args()
    ws = wb.starter(given.workspace)
    load = [round(value, 1) for value in os.getloadavg()]
    options = {"repeats": given.repeats, "ceiling": given.ceiling}
    capacity = swept(ws, "starter", lookaheads_ms=LOOKAHEADS_MS, **options)
    beside = None
    if not given.no_beside:
        some = {"lookaheads_ms": (560,), "streams": (), "memory_sessions": (), "background_load": 1}
        beside = swept(ws, "starter-beside", **some, **options)
    test, names = ws.corpus("starter").where(SCORED), [f"choice-{ms}" for ms in LOOKAHEADS_MS]
    for name, ms in zip(names, LOOKAHEADS_MS, strict=True):
        if name not in test.prediction_names():
            ws.transcribe(test, "starter", name, lookahead_ms=ms, streaming=True)
    scored = wb.evaluate(test, *names, by=("target_lang",))
    choices = [wb.choose_lookahead(scored, capacity, **budget) for budget in ASKED]
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=REPO, capture_output=True, text=True, check=True
    )
    made = {
        "what": "Paced streams of the starter in one process on one core (one torch thread), searched at "
        f"three look-aheads: the largest number whose last text comes within {BUDGET_MS} ms of the audio's "
        "end (95th percentile). Then error rates of all suitable test clips at those look-aheads, and the "
        "setting recommended per locale for each stated budget, with word latency under the load found.",
        "commit": commit.stdout.strip(),
        "date": datetime.now(UTC).date().isoformat(),
        "checkpoint_sha256": capacity.checkpoint_sha256,
        "load_of_the_machine": {"now": load, "cores": os.cpu_count()},
        "capacity": told(capacity),
        "beside_other_load": told(beside) if beside else None,
        "scored": {
            "where": SCORED,
            "clips": len(test),
            "hours": round(test.frame()["duration"].sum() / 3600, 2),
        },
        "look_ahead": [
            {
                "budget": choice.budget_line(),
                "recommended": choice.recommended,
                "sentences": choice.sentences(),
                "table": rounded(choice.table.to_dict("records")),
            }
            for choice in choices
        ],
    }
    out = REPO / "docs" / "evidence" / "capacity.json"
    out.write_text(json.dumps(made, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
    print(*capacity.lines(), *(beside.lines() if beside else ()), *choices[0].sentences(), sep="\n")


if __name__ == "__main__":
    main()
