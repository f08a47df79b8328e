"""Erasure under kill -9: at every file call and SQL statement it is either not begun or completed later."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from erasable import filled

from workbench.workspace.folder import WorkspaceFolder

REPO = Path(__file__).parents[2]
YARDS = 6


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> WorkspaceFolder:
    return filled(WorkspaceFolder(tmp_path_factory.mktemp("erasure") / "ws"))


class Yard:
    """A process that erases in copies of a workspace, each time in a fork that is killed at a step."""

    def __init__(self, home: WorkspaceFolder, scratch: Path) -> None:
        script = Path(__file__).with_name("erasing.py")
        command = [sys.executable, str(script), str(home.path), str(scratch)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def killed_at(self, step: int | None) -> tuple[Any, dict[str, Any]]:
        """Steps that were made, where it was not killed, and what a later session finds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{json.dumps(step)}\n")
        self.process.stdin.flush()
        told = json.loads(self.process.stdout.readline())
        assert told["code"] == (0 if step is None else -signal.SIGKILL), told
        assert told["looked"] == 0, told
        return told["steps"], told["found"]

    def __enter__(self) -> Yard:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


def check(found: dict[str, Any]) -> str:
    """Nothing begun, or all done: which of the two."""
    assert found["finished"] == found["begun"]
    assert found["ledger"]
    assert found["pending"] == []
    assert found["finished_again"] == 0
    if not found["certificates"]:
        assert not found["begun"]
        assert found["left"]
        assert found["marks"] == found["known_again"] == 0
        return "nothing begun"
    assert found["left"] == []
    assert set(found["remaining"]) == {0}
    assert found["marks"] == 2
    assert found["known_again"] == 1
    return "completed afterwards" if found["finished"] else "done before the kill"


def test_kill_9_in_erasure_is_completed_later(home: WorkspaceFolder, tmp_path: Path) -> None:
    with Yard(home, tmp_path) as yard:
        steps, found = yard.killed_at(None)
        assert check(found) == "done before the kill"
        outcomes = [check(yard.killed_at(max(1, round(share * steps)))[1]) for share in (0.02, 0.3, 0.6, 0.9)]
    assert outcomes == ["nothing begun", *["completed afterwards"] * 3]


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_kill_9_at_every_step_of_an_erasure(home: WorkspaceFolder, tmp_path: Path) -> None:
    with Yard(home, tmp_path) as yard:
        steps, _ = yard.killed_at(None)
    assert steps > 100

    def some(first: int) -> list[str]:
        with Yard(home, tmp_path) as yard:
            return [check(yard.killed_at(step)[1]) for step in range(first, steps + 1, YARDS)]

    # Most of a pass is waiting for the disk: several go side by side.
    with ThreadPoolExecutor(YARDS) as pool:
        outcomes = Counter(outcome for part in pool.map(some, range(1, YARDS + 1)) for outcome in part)
    assert outcomes.total() == steps
    assert outcomes["completed afterwards"] > steps / 2
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=REPO, capture_output=True, text=True, check=False
    ).stdout.strip()
    told = {
        "what": "An erasure killed with -9 at each of its file changes and SQL statements, "
        "then completed by a later session: outcomes by step. Every one left an intact ledger, no trace of "
        "the speaker once begun, both checkpoints marked, tombstones set, and nothing to finish twice.",
        "commit": commit,
        "date": datetime.now(UTC).date().isoformat(),
        "steps": steps,
        "killed_at": steps,
        "outcomes": dict(outcomes),
    }
    (REPO / "docs" / "evidence" / "erasure.json").write_text(json.dumps(told, indent=1) + "\n")
