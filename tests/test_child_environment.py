"""Processes that the package starts do not let their threads turn in a loop while they wait."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.machine import child_environment

PACKAGE = Path(__file__).parents[1] / "workbench"
STARTERS = {"Popen", "run"}


def test_waiting_threads_sleep_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os; print(os.environ['OMP_WAIT_POLICY'], os.environ['ADDED'])"
    for told, expected in ((None, "passive"), ("active", "active")):
        if told is None:
            monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
        else:
            monkeypatch.setenv("OMP_WAIT_POLICY", told)
        child = [sys.executable, "-c", code]
        done = subprocess.run(child, env=child_environment(ADDED="1"), capture_output=True, text=True)
        assert done.stdout.split() == [expected, "1"]


def test_no_environment_is_made_by_hand() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Dict) and path.name != "machine.py":
                copied = [value for key, value in zip(node.keys, node.values, strict=True) if key is None]
                found += [f"{path.name}:{node.lineno}" for one in copied if ast.unparse(one) == "os.environ"]
            if isinstance(node, ast.Call) and ast.unparse(node) == "dict(os.environ)":
                found.append(f"{path.name}:{node.lineno}")
    assert not found
