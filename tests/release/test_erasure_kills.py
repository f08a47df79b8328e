"""Erasure under kill -9: at every file call and SQL statement it is either not begun or completed later."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
import subprocess
from collections import Counter
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from erasable import filled
from erasing import erase_and_die, finish_and_look

from workbench.workspace import WorkspaceFolder

REPO = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> WorkspaceFolder:
    return filled(WorkspaceFolder(tmp_path_factory.mktemp("erasure") / "ws"))


@pytest.fixture(scope="module")
def processes() -> Any:
    """Processes forked from one that holds the libraries but has run none of their threads."""
    context = multiprocessing.get_context("forkserver")
    # Imported once: what the erasure and the look afterwards would import each time.
    libraries = ["pandas", "pyarrow.parquet", "duckdb", "soundfile", "yaml"]
    rooms = ["workbench.release.privacy", "workbench.finetuning.folder", "workbench.finetuning.plan"]
    context.set_forkserver_preload(["erasing", "erasable", *rooms, *libraries])
    return context


def run(processes: Any, work: Any, *arguments: Any) -> tuple[int | None, Any]:
    """Exit code of a process and what it told, if anything."""
    told = processes.SimpleQueue()
    process: BaseProcess = processes.Process(target=work, args=(*arguments, told))
    process.start()
    process.join()
    return process.exitcode, None if told.empty() else told.get()


def killed_at(
    processes: Any, home: WorkspaceFolder, copy: Path, step: int | None
) -> tuple[Any, dict[str, Any]]:
    """Erase in a copy of the workspace, killed at a step; then have it finished. Steps, and what is found."""
    shutil.copytree(home.path, copy)
    facts = copy / "corpora" / "calls" / "source.json"
    facts.write_text(facts.read_text().replace(str(home.path), str(copy)))
    code, steps = run(processes, erase_and_die, str(copy), step)
    assert code == (0 if step is None else -signal.SIGKILL)
    code, found = run(processes, finish_and_look, str(copy))
    assert code == 0
    shutil.rmtree(copy)
    return steps, found


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


def test_kill_9_in_erasure_is_completed_later(processes: Any, home: WorkspaceFolder, tmp_path: Path) -> None:
    steps, found = killed_at(processes, home, tmp_path / "whole", None)
    assert check(found) == "done before the kill"
    outcomes = []
    for share in (0.02, 0.3, 0.6, 0.9):
        _, found = killed_at(processes, home, tmp_path / f"copy{share}", max(1, round(share * steps)))
        outcomes.append(check(found))
    assert outcomes == ["nothing begun", *["completed afterwards"] * 3]


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_kill_9_at_every_step_of_an_erasure(processes: Any, home: WorkspaceFolder, tmp_path: Path) -> None:
    steps, _ = killed_at(processes, home, tmp_path / "whole", None)
    assert steps > 100
    outcomes = Counter(
        check(killed_at(processes, home, tmp_path / f"copy{step}", step)[1]) for step in range(1, steps + 1)
    )
    assert outcomes["completed afterwards"] > steps / 2
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=REPO, capture_output=True, text=True, check=False
    ).stdout.strip()
    told = {
        "what": "An erasure killed with -9 at each change of the file system and each SQL statement of its, "
        "then completed by a later session: outcomes by step. Every one left an intact ledger, no trace of "
        "the speaker once begun, both checkpoints marked, tombstones set, and nothing to finish twice.",
        "commit": commit,
        "date": datetime.now(UTC).date().isoformat(),
        "steps": steps,
        "killed_at": steps,
        "outcomes": dict(outcomes),
    }
    (REPO / "docs" / "evidence" / "erasure.json").write_text(json.dumps(told, indent=1) + "\n")
