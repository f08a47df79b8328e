"""The widgets' JavaScript: unit tests of its pure parts, and the limits that its linter does not know."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "workbench/widgets/js").glob("*.js"))


def test_units_pass() -> None:
    """Node comes with the environment; these tests need no package."""
    command = [sys.executable, "tooling/javascript.py", "test"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    passed = re.search(r"pass (\d+)", done.stdout)
    assert passed
    assert int(passed[1]) >= 20


def test_no_long_lines_and_no_long_files() -> None:
    for path in SOURCES:
        lines = path.read_text("utf-8").splitlines()
        assert max(map(len, lines)) <= 120, path.name
        # A list of words is read in one place, however long it is.
        assert len(lines) <= (900 if path.name == "strings.js" else 600), path.name


def test_the_lock_names_no_registry() -> None:
    text = (ROOT / "package-lock.json").read_text("utf-8")
    assert not re.search(r"https?://(?!opencollective|github)[^\"]+\.tgz", text)
    packages = json.loads(text)["packages"]
    assert all("resolved" not in package for package in packages.values())
    wanted = json.loads((ROOT / "package.json").read_text("utf-8"))["devDependencies"]
    for name, version in wanted.items():
        assert packages[f"node_modules/{name}"]["version"] == version
        assert packages[f"node_modules/{name}"]["integrity"].startswith("sha512-")
