"""A test suite read on a cluster whose worker is killed: the same rates and comparison as here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import local_cluster
import pandas as pd
import pytest

import workbench as wb
from workbench.starter_files import CHECKPOINT, MANIFEST

POINTS = [{}, {"prompt_mode": "auto"}, {"streaming": True, "lookahead_ms": 560, "runtime": "onnx"}]


@pytest.mark.model
@pytest.mark.timeout(1500)
def test_a_suite_on_a_cluster_reads_as_here(cluster: Any, tmp_path: Path) -> None:
    runs, killed = {}, 0

    def killing(done: int, total: int) -> None:
        nonlocal killed
        if 0 < done < total and killed < 1:
            killed += sum(
                local_cluster.kill(p, "decode_shard") for p in local_cluster.workers("decode_shard")
            )

    for engine in ("local", "ray"):
        ws = wb.Workspace(tmp_path / engine)
        ws.add_checkpoint("starter", CHECKPOINT)
        corpus = ws.import_corpus("starter", MANIFEST)
        chosen = corpus.where("split = 'test' AND duration < 3").sample(6, seed=4)
        ws.suite("pilot").create(chosen, points=POINTS)
        runs[engine] = ws.run_suite("pilot", "starter", engine=engine, progress=killing)
    assert killed
    here, there = runs["local"], runs["ray"]
    assert here.version.digest == there.version.digest
    pd.testing.assert_frame_equal(here.coverage(), there.coverage())
    assert there.coverage()["missing"].sum() == 0
    for point in here.points:
        made, wanted = (run.frame("starter", point) for run in (there, here))
        assert made is not None
        assert wanted is not None
        columns = [name for name in wanted.columns if name != "compute_s"]
        pd.testing.assert_frame_equal(made[columns], wanted[columns])
    before = [path.stat().st_mtime_ns for point in there.points for _, path in there.files("starter", point)]
    ws.run_suite("pilot", "starter", engine="ray")
    assert before == [
        path.stat().st_mtime_ns for point in there.points for _, path in there.files("starter", point)
    ]
