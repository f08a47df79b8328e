"""The long proof: verbs with ``--engine ray`` on one, two and three nodes, workers killed and a node taken
away while they work, write what this machine writes: docs/evidence/cluster.json."""

from __future__ import annotations

import datetime
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import local_cluster
import pyarrow.parquet as pq
import pytest

import workbench as wb

pytestmark = [pytest.mark.soak, pytest.mark.model, pytest.mark.timeout(3 * 3600)]
EVIDENCE = Path(__file__).parents[2] / "docs" / "evidence" / "cluster.json"
TEST = "split = 'test' AND "
VERBS: dict[str, list[str]] = {
    "scan": ["scan", "starter", "--where", TEST + "true"],
    "transcribe": ["transcribe", "starter", "starter", "heard", "--lookahead-ms", "560", "--streaming",
                   "--where", TEST + "target_lang IN ('es-US', 'el-GR') AND duration < 3"],
    "lookaheads": ["lookaheads", "starter", "starter", "--where",
                   TEST + "target_lang = 'it-IT' AND duration < 2"],
    "conditions": ["conditions", "starter", "starter", "--snr-db", "5", "--where",
                   TEST + "target_lang = 'es-US' AND duration < 2"],
}  # fmt: skip
WORKS = {"scan": "measure_rows", "transcribe": "decode_shard", "lookaheads": "decode_shard",
         "conditions": "decode_shard"}  # fmt: skip
"""What a worker of each verb is called while it works."""
NODES = {"scan": (1, 2, 3), "transcribe": (1, 2, 3), "lookaheads": (2,), "conditions": (2,)}
"""Of three nodes one is taken away."""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace to copy: a scan in it would change the reports of other verbs."""
    folder = tmp_path_factory.mktemp("cluster") / "fresh"
    wb.starter(folder)
    return folder


def run(workspace: Path, verb: str, *more: str) -> float:
    """A verb in a process of its own, as from a shell; seconds."""
    report = (
        [] if verb in ("scan", "transcribe", "conditions") else ["--report", str(workspace / "report.html")]
    )
    command = [sys.executable, "-m", "workbench", "--workspace", str(workspace), *VERBS[verb], *report, *more]
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    return time.monotonic() - begun


class Killer(threading.Thread):
    """Kills workers at random moments of their work, and takes a node away after the first kill."""

    def __init__(self, function: str, kills: int, cluster: Any, node: Any | None) -> None:
        super().__init__(daemon=True)
        self.function, self.wanted, self.cluster, self.node = function, kills, cluster, node
        self.killed, self.ended = 0, threading.Event()
        self.removed = False
        self.rng = random.Random(kills)

    def run(self) -> None:
        while not self.ended.wait(0.02) and (self.killed < self.wanted or self.node is not None):
            at_work = local_cluster.workers(self.function)
            if not at_work:
                continue
            # Some are met while they load the checkpoint, others while they decode.
            self.ended.wait(self.rng.uniform(0.0, 0.3 if self.function == "measure_rows" else 12.0))
            if self.killed < self.wanted:
                self.killed += local_cluster.kill(self.rng.choice(at_work), self.function)
            elif self.node is not None:
                self.cluster.remove_node(self.node, allow_graceful=False)
                self.node, self.removed = None, True


def results(workspace: Path, verb: str) -> dict[str, bytes]:
    """What a verb wrote, without what is measured and never the same twice."""
    corpus = workspace / "corpora" / "starter"
    if verb == "scan":
        return {"signal.parquet": (corpus / "signal.parquet").read_bytes()}
    if verb == "conditions":
        [path] = (workspace / "reports" / "conditions").glob("*.json")
        return {path.name: path.read_bytes()}
    names = ["heard"] if verb == "transcribe" else [f"starter-{ms}" for ms in (80, 160, 320, 560, 1120)]
    found = {}
    for name in names:
        table = pq.read_table(corpus / "predictions" / f"{name}.parquet").drop_columns(["compute_s"])
        plain = workspace / f"{name}.plain"
        pq.write_table(table, plain)
        found[name] = plain.read_bytes()
    if verb == "lookaheads":
        found["report"] = json.dumps(
            _without_times(json.loads((workspace / "report.json").read_text()))
        ).encode()
    return found


def _without_times(held: Any) -> Any:
    if isinstance(held, dict):
        left_out = ("made_at", "latency_p50_s", "latency_p95_s")
        return {name: _without_times(value) for name, value in held.items() if name not in left_out}
    return [_without_times(value) for value in held] if isinstance(held, list) else held


def ids(workspace: Path, verb: str) -> Counter[str]:
    corpus = workspace / "corpora" / "starter"
    path = corpus / ("signal.parquet" if verb == "scan" else "predictions/heard.parquet")
    return Counter(pq.read_table(path, columns=["id"])["id"].to_pylist())


@pytest.mark.parametrize("verb", VERBS)
def test_a_cluster_whose_workers_die_writes_what_this_machine_writes(
    fresh: Path, tmp_path: Path, verb: str
) -> None:
    shutil.copytree(fresh, tmp_path / "local")
    run(tmp_path / "local", verb)
    wanted = results(tmp_path / "local", verb)
    cases = []
    for count in NODES[verb]:
        workspace = tmp_path / f"{count}"
        shutil.copytree(fresh, workspace)
        cluster = local_cluster.start(count)
        try:
            last = sorted(cluster.worker_nodes, key=str)[0] if count == 3 else None
            killer = Killer(WORKS[verb], 2, cluster, last)
            killer.start()
            seconds = run(workspace, verb, "--engine", "ray", "--address", cluster.address)
            killer.ended.set()
            killer.join()
        finally:
            cluster.shutdown()
        assert results(workspace, verb) == wanted
        assert killer.killed >= 1
        assert killer.removed == (count == 3)
        case: dict[str, Any] = {"nodes": count, "workers_killed": killer.killed}
        case |= {"nodes_removed": int(killer.removed), "seconds": round(seconds, 1), "identical": True}
        if verb in ("scan", "transcribe"):
            assert set(ids(workspace, verb).values()) == {1}
            case["rows"] = len(ids(workspace, verb))
        cases.append(case)
    keep(verb, cases)


def keep(verb: str, cases: list[dict[str, Any]]) -> None:
    held = json.loads(EVIDENCE.read_text("utf-8")) if EVIDENCE.exists() else {}
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    held[verb] = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "commit": head,
        "command": " ".join(VERBS[verb]),
        "cases": cases,
    }
    EVIDENCE.write_text(json.dumps(held, indent=1) + "\n", "utf-8")
