"""Promotions and roll-backs that meet, and that are killed on the way: one wins, nothing is torn."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from promoting import gated, promote, released, roll_back, served, sha256

from workbench.errors import WorkbenchError
from workbench.release import Release
from workbench.release.promotion import MOVED, pointers, stage, verify
from workbench.workspace.folder import WorkspaceFolder


def test_of_two_promotions_at_once_one_wins(ws: WorkspaceFolder, checkpoints: dict[str, Path]) -> None:
    released(ws, checkpoints, "base")
    stage(ws, "tuned", checkpoints["tuned"])
    gated(ws, checkpoints["tuned"])
    seen = pointers(ws).generation
    outcomes: list[str] = []
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        try:
            promote(WorkspaceFolder(ws.path), generation=seen)
            outcomes.append("moved")
        except WorkbenchError:
            outcomes.append("refused")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["moved", "refused", "refused", "refused"]
    assert pointers(ws).generation == seen + 1
    assert served(ws) == sha256(checkpoints["tuned"])
    assert served(ws, "previous") == sha256(checkpoints["base"])
    with pytest.raises(WorkbenchError, match="moved meanwhile"):
        roll_back(ws, generation=seen)


_AT_ONCE = """
import sys, time
from pathlib import Path
from workbench.errors import WorkbenchError
from workbench.release.promotion import promote
from workbench.workspace.folder import WorkspaceFolder
ws, gate, me = WorkspaceFolder(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
(gate / me).touch()
while len(list(gate.iterdir())) < 3:
    time.sleep(0.01)
try:
    promote(ws, generation=int(sys.argv[4]))
except WorkbenchError as error:
    sys.exit(f"refused: {error}")
"""


def test_of_promotions_in_processes_of_their_own_one_wins(
    ws: WorkspaceFolder, checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    released(ws, checkpoints, "base")
    stage(ws, "tuned", checkpoints["tuned"])
    gated(ws, checkpoints["tuned"])
    seen, gate = pointers(ws).generation, tmp_path / "gate"
    gate.mkdir()
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _AT_ONCE, str(ws.path), str(gate), str(number), str(seen)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    said = [process.communicate(timeout=120)[1] for process in started]
    assert sorted(process.returncode for process in started) == [0, 1, 1]
    assert sum("moved meanwhile" in text for text in said) == 2
    assert pointers(ws).generation == seen + 1
    assert served(ws) == sha256(checkpoints["tuned"])
    assert verify(ws) == []
    assert ws.ledger.verify().ok


_KILLED = """
import os, signal, sys
from workbench.release import promotion
from workbench.workspace.folder import WorkspaceFolder
calls, at = 0, int(sys.argv[2])
def deadly(function):
    def call(*a, **k):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*a, **k)
    return call
ws = WorkspaceFolder(sys.argv[1])
ws.ledger.head()
for name in ("replace", "rename", "fsync", "symlink", "mkdir", "unlink"):
    setattr(os, name, deadly(getattr(os, name)))
ws.ledger.append_many = deadly(ws.ledger.append_many)
getattr(promotion, sys.argv[3])(ws, generation=int(sys.argv[4]))
"""


@pytest.mark.parametrize("action", ["promote", "roll_back"])
def test_kill_9_at_any_step_leaves_the_old_or_the_new_release_whole(
    ws: WorkspaceFolder, checkpoints: dict[str, Path], tmp_path: Path, action: str
) -> None:
    released(ws, checkpoints, "base", "tuned")
    stage(ws, "again", checkpoints["base"])
    gated(ws, checkpoints["base"])
    before, old = pointers(ws), served(ws)
    new = served(ws, "candidate" if action == "promote" else "previous")
    ends = set()
    for step in range(1, 60):
        copy = tmp_path / f"copy{step}"
        # Links inside stay links; the store is shared by hard link so that a copy costs nothing.
        shutil.copytree(ws.path, copy, symlinks=True, copy_function=_link_large)
        code = subprocess.run(
            [sys.executable, "-c", _KILLED, str(copy), str(step), action, str(before.generation)], check=False
        ).returncode
        after_kill = sha256(copy / "releases" / "current" / "production.nemo")
        assert after_kill in (old, new)
        found = WorkspaceFolder(copy)
        now = pointers(found)
        assert now.generation in (before.generation, before.generation + 1)
        moved = now.generation > before.generation
        assert served(found) == (new if moved else old)
        assert found.ledger.verify().ok
        assert verify(found) == []
        recorded = [e for e in found.ledger.events(kind=MOVED) if e.payload and e.payload["move"] == action]
        assert len(recorded) == moved + (2 if action == "promote" else 0)
        ends.add((code, moved))
        shutil.rmtree(copy)
        if code == 0:
            break
    assert ends == {(-signal.SIGKILL, False), (-signal.SIGKILL, True), (0, True)}


def _link_large(source: str, target: str) -> str:
    if source.endswith(".nemo"):
        os.link(source, target)
        return target
    return shutil.copy2(source, target)


_ROUNDS = """
import os, sys, time
from pathlib import Path
from workbench.errors import WorkbenchError
from workbench.release import Release
from workbench.workspace.folder import WorkspaceFolder
me, verb = sys.argv[1:3]
print("ready", flush=True)
for line in sys.stdin:
    ws = WorkspaceFolder(line.strip())
    release = Release(ws, candidate="tuned", base="base")
    print(release.seen.generation, flush=True)
    sys.stdin.readline()
    try:
        release.promote(override="race") if verb == "promote" else release.roll_back()
        print("moved", flush=True)
    except WorkbenchError as error:
        print(f"refused: {error}", flush=True)
"""


class Racer:
    """A person at a notebook of his own: looks at the release, then acts when told."""

    def __init__(self, name: str, verb: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _ROUNDS, name, verb],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.hear() == "ready"

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.mark.parametrize("verbs", [("roll_back", "roll_back"), ("promote", "roll_back")])
def test_of_two_who_decided_on_one_state_one_moves_it_twenty_times_of_twenty(
    ws: WorkspaceFolder, checkpoints: dict[str, Path], tmp_path: Path, verbs: tuple[str, str]
) -> None:
    for name, path in checkpoints.items():
        shutil.copy(path, ws.checkpoint_path(name))
    released(ws, checkpoints, "base", "tuned")
    before = pointers(ws).generation
    racers = [Racer(str(number), verb) for number, verb in enumerate(verbs)]
    for number in range(20):
        copy = tmp_path / f"race{number}"
        shutil.copytree(ws.path, copy, symlinks=True, copy_function=_link_large)
        for racer in racers:
            racer.say(str(copy))
        assert [racer.hear() for racer in racers] == [str(before)] * 2
        for racer in racers:
            racer.say("go")
        said = [racer.hear() for racer in racers]
        assert sorted(text.split(":")[0] for text in said) == ["moved", "refused"], said
        assert any("moved meanwhile" in text or "not the release" in text for text in said), said
        found = WorkspaceFolder(copy)
        if verbs == ("roll_back", "roll_back"):
            assert served(found) == sha256(checkpoints["base"])  # never back to the bad one
        assert verify(found) == []
        shutil.rmtree(copy)
    for racer in racers:
        racer.process.communicate()


def test_who_comes_later_with_a_fresh_look_does_not_bring_the_bad_release_back(
    ws: WorkspaceFolder, checkpoints: dict[str, Path]
) -> None:
    for name, path in checkpoints.items():
        shutil.copy(path, ws.checkpoint_path(name))
    released(ws, checkpoints, "base", "tuned")
    Release(ws, candidate="tuned", base="base").roll_back()
    with pytest.raises(WorkbenchError, match="in production is base"):
        Release(ws, candidate="tuned", base="base").roll_back()
    stale = Release(ws, candidate="tuned", base="base")
    roll_back(ws)
    with pytest.raises(WorkbenchError, match="moved meanwhile"):
        stale.roll_back()
    with pytest.raises(WorkbenchError, match="moved meanwhile"):
        stale.promote(override="late")
    assert stale.look() == pointers(ws)
    assert stale.roll_back().production == pointers(ws).production
    assert served(ws) == sha256(checkpoints["base"])
