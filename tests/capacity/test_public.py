"""Capacity from the public face and the command line: what is written, shown, and said on the model card."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import workbench as wb
from workbench.capacity import Capacity, measure_capacity
from workbench.cli import main
from workbench.recognizer.checkpoint import Checkpoint
from workbench.starter_files import CHECKPOINT


@pytest.mark.model
def test_a_sweep_from_the_command_line_reaches_chart_and_card(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace, page = wb.starter(tmp_path / "ws"), tmp_path / "chart.html"
    asked = ["starter", "starter", "--where", "split = 'test' AND duration < 3", "--lookaheads-ms", "1120"]
    asked += ["--streams", "1", "--budget-ms", "60000", "--ceiling", "2", "--repeats", "1", "--call-s", "1.5"]
    asked += ["--memory-sessions", "4,12", "--threads", "1", "--chart", str(page)]
    told = main(["--workspace", str(workspace.path), "capacity", *asked])
    assert told == 0
    said = capsys.readouterr().out
    found = workspace.measured_capacity("starter")
    assert found.status == "complete"
    assert {measurement.purpose for measurement in found.measurements} == {"grid", "search"}
    [largest] = found.largest
    assert (largest.streams, largest.fails_at) == (2, None)
    assert "at least 2 streams at once hold last-token p95 ≤ 60000 ms" in said
    assert said.count("extrapolated, not measured") == len(found.extrapolations())
    held = json.loads(Path(said.splitlines()[-1]).read_text("utf-8"))
    assert {p["streams"] for p in held["published"]["figures"]} == {240, 2400}
    assert "not measured here" in held["published"]["source"]
    assert "plotly" in page.read_text("utf-8").lower()
    # The card speaks of sweeps of this very checkpoint, and never of what was extrapolated.
    card = workspace.release("starter").card().markdown()
    assert "1120 ms look-ahead: at least 2 streams at once hold" in card
    assert "extrapolated" not in card


def test_an_interrupt_leaves_a_file_that_says_cancelled(tmp_path: Path) -> None:
    out = tmp_path / "capacity.json"

    def interrupt() -> bool:
        raise KeyboardInterrupt

    clips = [np.zeros(16_000, np.float32)]
    with pytest.raises(KeyboardInterrupt):
        measure_capacity(Checkpoint.open(CHECKPOINT), clips, out=out, cancel=interrupt)
    assert Capacity.load(out).status == "cancelled"


def test_a_fault_on_the_command_line_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = wb.starter(tmp_path / "ws")
    asked = ["capacity", "starter", "starter", "--lookaheads-ms", "333"]
    assert main(["--workspace", str(workspace.path), *asked]) == 2
    # The bar of progress may stand before it.
    [line] = [line for line in capsys.readouterr().err.splitlines() if "workbench: " in line]
    assert "no look-ahead of 333 ms" in line
