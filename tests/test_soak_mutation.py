"""Do the tests bite? Mutants of the rules that must not be wrong, by mutmut; the score is evidence."""

from __future__ import annotations

import datetime
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EVIDENCE = ROOT / "docs" / "evidence" / "mutation.json"
AIM = 0.9
TARGETS = {
    "verdicts": ("workbench/release/verdicts.py", ("tests/release/test_verdicts_exact.py",)),
    "significance": (
        "workbench/evaluation/significance.py",
        ("tests/evaluation/test_significance_exact.py",),
    ),
    "intervals": (
        "workbench/evaluation/intervals.py",
        ("tests/evaluation/test_significance.py", "tests/evaluation/test_intervals_exact.py"),
    ),
    "rates": ("workbench/evaluation/rates.py", ("tests/evaluation/test_rates_exact.py",)),
    "readings": ("workbench/evaluation/readings.py", ("tests/evaluation/test_readings_exact.py",)),
    "gates": (
        "workbench/release/rate_checks.py",
        ("tests/release/test_rate_checks_exact.py",),
    ),
    "undo": ("workbench/corpus/review/decisions.py", ("tests/corpus/test_decisions.py",)),
    "paths": ("workbench/ingest/paths.py", ("tests/ingest/test_paths_exact.py",)),
}
"""What is mutated and the tests that must see it."""


def _scored(folder: Path, source: str, tests: tuple[str, ...]) -> dict[str, int]:
    """Mutants killed, survived and without a test, in a copy of the checkout."""
    shutil.copytree(ROOT / "workbench", folder / "workbench", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("tests", "data", "tooling"):
        (folder / name).symlink_to(ROOT / name)
    listed = ", ".join(json.dumps(test) for test in tests)
    (folder / "pyproject.toml").write_text(
        "[tool.mutmut]\n"
        f'source_paths = ["workbench"]\nonly_mutate = ["{source}"]\n'
        f"pytest_add_cli_args_test_selection = [{listed}]\n"
        'pytest_add_cli_args = ["-p", "no:cacheprovider", "-m", "not soak and not screenshots"]\n'
        'also_copy = ["data", "tooling"]\n'
        '[tool.pytest.ini_options]\nmarkers = ["soak", "screenshots"]\n',
        encoding="utf-8",
    )
    mutmut = [sys.executable, "-m", "mutmut"]
    subprocess.run([*mutmut, "run", "--max-children", "1"], cwd=folder, check=False, capture_output=True)
    subprocess.run([*mutmut, "export-cicd-stats"], cwd=folder, check=True, capture_output=True)
    found: dict[str, int] = json.loads((folder / "mutants" / "mutmut-cicd-stats.json").read_text("utf-8"))
    return {kind: found[kind] for kind in ("total", "killed", "timeout", "survived", "no_tests")}


@pytest.mark.soak
@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("name", TARGETS)
def test_mutants_are_killed(name: str, tmp_path: Path) -> None:
    source, tests = TARGETS[name]
    found = _scored(tmp_path, source, tests)
    score = (found["killed"] + found["timeout"]) / found["total"]
    kept = json.loads(EVIDENCE.read_text("utf-8")) if EVIDENCE.is_file() else {"aim": AIM, "rooms": {}}
    today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    kept["rooms"][name] = {"source": source, "date": today, "score": round(score, 3), **found}
    EVIDENCE.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    assert score >= AIM, f"{found['survived']} of {found['total']} mutants of {source} lived"
