"""Do the tests bite? Mutants of the rules that must not be wrong, by mutmut; the score is evidence."""

from __future__ import annotations

import datetime
import json
import shutil
import subprocess
import sys
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EVIDENCE = ROOT / "docs" / "evidence" / "mutation.json"
AIM = 0.9
TARGETS = {
    "verdicts": ("workbench/release/verdicts.py", ("tests/release/test_verdicts_exact.py",)),
    "significance": (
        "workbench/evaluation/significance.py",
        ("tests/evaluation/test_significance.py", "tests/evaluation/test_significance_exact.py"),
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
    "undo": (
        "workbench/corpus/review/decisions.py::undo,redo,_switch,history,state",
        ("tests/corpus/test_decisions.py",),
    ),
    "paths": ("workbench/ingest/paths.py", ("tests/ingest/test_paths_exact.py",)),
}
"""What is mutated (a file, or functions of one) and the tests that must see it."""
KINDS = {1: "killed", 3: "killed", 5: "no_tests", 33: "no_tests", 36: "timeout"}
KINDS |= dict.fromkeys((24, -24, 152, 255), "timeout")  # processor time, by what ran out
"""Exit codes that mutmut keeps of a mutant; with any other it lived."""


def _scored(folder: Path, source: str, tests: tuple[str, ...]) -> Counter[str]:
    """Mutants killed, survived and without a test, in a copy of the checkout."""
    file, _, functions = source.partition("::")
    shutil.copytree(ROOT / "workbench", folder / "workbench", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("tests", "data", "tooling"):
        (folder / name).symlink_to(ROOT / name)
    listed = ", ".join(json.dumps(test) for test in tests)
    (folder / "pyproject.toml").write_text(
        "[tool.mutmut]\n"
        f'source_paths = ["workbench"]\nonly_mutate = ["{file}"]\n'
        f"pytest_add_cli_args_test_selection = [{listed}]\n"
        'pytest_add_cli_args = ["-p", "no:cacheprovider", "-m", "not soak and not screenshots"]\n'
        'also_copy = ["data", "tooling"]\n'
        '[tool.pytest.ini_options]\nmarkers = ["soak", "screenshots"]\n',
        encoding="utf-8",
    )
    # Names of mutants: module.x_function__mutmut_1, module.xǁClassǁmethod__mutmut_1.
    patterns = [f"*{mark}{name}__mutmut_*" for name in functions.split(",") if name for mark in ("x_", "ǁ")]
    mutmut = [sys.executable, "-m", "mutmut"]
    subprocess.run(
        [*mutmut, "run", "--max-children", "1", *patterns], cwd=folder, check=False, capture_output=True
    )
    kept = json.loads((folder / "mutants" / f"{file}.meta").read_text("utf-8"))["exit_code_by_key"]
    codes = [
        code for name, code in kept.items() if not patterns or any(fnmatch(name, one) for one in patterns)
    ]
    assert codes
    assert None not in codes, "mutmut was broken off"
    return Counter(KINDS.get(code, "survived") for code in codes) + Counter(total=len(codes))


@pytest.mark.soak
@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("name", TARGETS)
def test_mutants_are_killed(name: str, tmp_path: Path) -> None:
    source, tests = TARGETS[name]
    found = _scored(tmp_path, source, tests)
    score = (found["killed"] + found["timeout"]) / found["total"]
    counts = {kind: found[kind] for kind in ("total", "killed", "timeout", "survived", "no_tests")}
    kept = json.loads(EVIDENCE.read_text("utf-8")) if EVIDENCE.is_file() else {"aim": AIM, "rooms": {}}
    today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    kept["rooms"][name] = {"source": source, "date": today, "score": round(score, 3), **counts}
    EVIDENCE.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    assert score >= AIM, f"{found['survived']} of {found['total']} mutants of {source} lived"
