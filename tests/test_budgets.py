"""The table of budgets: what was measured is judged, what was not is said, each benchmark hands in."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import budgets  # noqa: E402


def test_medians_are_held_against_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "FOLDER", tmp_path)
    budgets.record("session", [1.0, 1.04, 9.0])
    budgets.record("signal_scan", [2.0, 3.0, 4.0])
    lines = {line.split("|")[1].strip(): line for line in budgets.table().splitlines() if line.count("|") > 3}
    assert "1.04 x (1 to 9, 3)" in lines["a streaming session"]
    assert "kept" in lines["a streaming session"]
    assert "MISSED" in lines["signal scan"]
    assert "not measured" in lines["N sessions at once"]
    assert len(lines) == len(budgets.BUDGETS) + 2
    with pytest.raises(ValueError, match="no budget 'speed'"):
        budgets.record("speed", [1.0])


def test_every_budget_is_handed_in_by_a_benchmark_that_runs() -> None:
    text = "".join((BENCHMARKS / f"{script}.py").read_text("utf-8") for script in budgets.SCRIPTS)
    calls = " ".join(re.findall(r"budgets\.record\([^\n]*", text)) + text
    for name in budgets.BUDGETS:
        whole = re.search(rf"\"{name}\"", calls)
        built = name.startswith("scoring_") and 'f"scoring_{kind}"' in calls
        looped = name in ("session", "pool") and 'for what in ("session", "pool")' in calls
        assert whole or built or looped, name
