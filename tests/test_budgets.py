"""The table of budgets: what was measured is judged, what was not is said, each benchmark hands in."""

from __future__ import annotations

import json
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


GOOD = """
import sys; sys.path.insert(0, {here!r}); import budgets
from pathlib import Path; budgets.FOLDER = Path({folder!r})
budgets.record("session", [1.01])
"""


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Benchmarks of which one works, one fails, one never ends and one says nothing."""
    monkeypatch.setattr(budgets, "FOLDER", tmp_path / "bench")
    monkeypatch.setattr(budgets, "HERE", tmp_path)
    texts = {
        "bad": "raise SystemExit(3)",
        "slow": "import time; time.sleep(60)",
        "mute": "",
        "good": GOOD.format(here=str(BENCHMARKS), folder=str(tmp_path / "bench")),
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    made = {
        "bad": budgets.Benchmark(("signal_scan",)),
        "slow": budgets.Benchmark(("pool",), limit_s=0.5),
        "mute": budgets.Benchmark(("widget_kernel",)),
        "good": budgets.Benchmark(("session",), limit_s=60),
    }
    monkeypatch.setattr(budgets, "SCRIPTS", made)
    return tmp_path


def test_one_that_fails_hides_no_other_and_no_old_figure_passes_for_new(
    scripts: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    budgets.record("signal_scan", [9.0])  # of an earlier run
    place = scripts / "page.md"
    place.write_text(f"before\n{budgets.BEGIN}\nold\n{budgets.END}\nafter\n")
    asked = ["budgets.py", "--out", str(scripts / "bench.json"), "--markdown", str(place)]
    monkeypatch.setattr(sys, "argv", asked)
    assert budgets.main() == 1
    said = capsys.readouterr().out
    assert "not measured: bad.py ended with 3" in said
    assert "not measured: slow.py had not ended after 0.5 s" in said
    assert "not measured: mute.py handed nothing in" in said
    assert "1.01 x (1.01 to 1.01, 1)" in said
    held = json.loads((scripts / "bench.json").read_text())["budgets"]
    assert set(held) == set(budgets.BUDGETS)
    assert (held["session"]["median"], held["session"]["kept"]) == (1.01, True)
    assert held["signal_scan"]["values"] == []
    page = place.read_text()
    assert page.startswith(f"before\n{budgets.BEGIN}\n| work")
    assert page.endswith(f"|\n{budgets.END}\nafter\n")
    assert "old" not in page
    monkeypatch.setattr(sys, "argv", ["budgets.py", "--only", "good", "--markdown", str(scripts / "good.py")])
    with pytest.raises(SystemExit, match="no place for the table"):
        budgets.main()


def test_every_budget_is_handed_in_by_a_benchmark_that_runs() -> None:
    text = "".join((BENCHMARKS / f"{script}.py").read_text("utf-8") for script in budgets.SCRIPTS)
    calls = " ".join(re.findall(r"budgets\.record\([^\n]*", text)) + text
    promised = [name for benchmark in budgets.SCRIPTS.values() for name in benchmark.budgets]
    assert sorted(promised) == sorted(budgets.BUDGETS)
    for name in budgets.BUDGETS:
        whole = re.search(rf"\"{name}\"", calls)
        built = name.startswith("scoring_") and 'f"scoring_{kind}"' in calls
        looped = name in ("session", "pool") and 'for what in ("session", "pool")' in calls
        assert whole or built or looped, name
