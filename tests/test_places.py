"""A workspace that was moved or copied, can only be read, is another account's, or whose disk is full."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_workspace import copied, small_workspace

from workbench.api import Workspace
from workbench.errors import WorkbenchError
from workbench.finetuning.folder import RunFolder
from workbench.finetuning.provenance import refuse_changes

NOBODY = 65_534
_LOOK = """
import os, sys, json
from workbench.api import Workspace
from workbench.errors import WorkbenchError
def look(path):
    ws = Workspace(path)
    corpus = ws.corpus("calls")
    said = {"rows": len(corpus), "accepted": len(corpus.where("status = 'accepted'")),
            "prediction": len(corpus.prediction("base")), "overview": "calls" in repr(ws.overview())}
    said["ok"], said["faults"] = ws.verify().ok, str(ws.verify())
    for name, act in (("decided", corpus.accept), ("terms", lambda: ws.set_terms("calls", license="other"))):
        try:
            act()
            said["wrote"] = name
        except WorkbenchError as error:
            said[name] = str(error)
    return said
look(sys.argv[3])  # as root: the other account cannot reach the modules
uid = int(sys.argv[2])
os.setgroups([]); os.setgid(uid); os.setuid(uid)
try:
    print(json.dumps(look(sys.argv[1])))
except WorkbenchError as error:
    print(json.dumps({"error": str(error)}))
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return small_workspace(tmp_path_factory.mktemp("places") / "ws")


@pytest.fixture
def street() -> Iterator[Path]:
    """A folder that every account can enter, as pytest's own cannot be."""
    place = Path(tempfile.mkdtemp(prefix="workbench-test-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def _look(path: Path, uid: int, warm: Path) -> dict[str, object]:
    command = [sys.executable, "-c", _LOOK, str(path), str(uid), str(warm)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr[-2000:]
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def _open_to_all(path: Path, uid: int) -> None:
    """Readable by all, changed by none."""
    for place in (path, *path.rglob("*")):
        if not place.is_symlink():
            os.chown(place, uid, uid)
            place.chmod(0o555 if place.is_dir() else 0o444)


def test_a_moved_workspace_knows_its_sound_and_its_slots(whole: Workspace, tmp_path: Path) -> None:
    path = copied(whole, tmp_path / "first")
    before = Workspace(path).corpus("calls")
    assert before.audio_root == path / "recordings"
    moved = tmp_path / "elsewhere" / "second"
    moved.parent.mkdir()
    shutil.move(path, moved)
    corpus = Workspace(moved).corpus("calls")
    assert corpus.audio_root == moved / "recordings"
    assert len(corpus.audio("clip/0")) == 16_000
    assert len(corpus.where("status = 'accepted'")) == 7
    assert Workspace(moved).verify().ok
    assert not path.exists()


def test_a_moved_run_means_its_own_workspace(whole: Workspace, tmp_path: Path) -> None:
    """Launch scripts are written for where they were made; all else is told from the run's folder."""
    for path in (p for p in whole.runs.rglob("*") if p.is_file() and not p.name.startswith("launch.")):
        assert str(whole.path).encode() not in path.read_bytes(), path.name
    moved = Workspace(copied(whole, tmp_path / "copy"))
    run = moved.run("small")
    assert Path(run.recipe.base) == moved.checkpoint_path("base")
    assert Path(run.recipe.sources[0].manifest).is_relative_to(moved.path)
    assert run.recipe.sources[0].audio_root == str(moved.path / "recordings")
    refuse_changes(run.folder, run.recipe)
    (moved.path / "exports" / "calls" / "train.jsonl").write_text("{}")
    with pytest.raises(WorkbenchError, match="manifest has changed"):
        refuse_changes(run.folder, run.recipe)


def test_a_copied_run_waits_at_the_slots_of_the_copy(whole: Workspace, tmp_path: Path) -> None:
    path = copied(whole, tmp_path / "copy")
    run = RunFolder(path / "runs" / "small")
    for written in ("../../slots", str(whole.slots)):  # as it is written now, and as it was
        run.job.write_text(json.dumps({"slots_folder": written, "slots": 2}))
        assert run.slots() == (path / "slots", 2)


def test_recordings_that_lie_elsewhere_now_are_found_after_one_call(whole: Workspace, tmp_path: Path) -> None:
    path = copied(whole, tmp_path / "ws")
    ws = Workspace(path)
    ws.corpus("calls")
    shutil.move(path / "recordings", tmp_path / "archive")
    with pytest.raises(WorkbenchError):
        ws.corpus("calls").audio("clip/0")
    assert ws.reroot(path / "recordings", tmp_path / "archive") == 8
    assert len(ws.corpus("calls").audio("clip/0")) == 16_000
    assert ws.verify().ok


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two accounts")
def test_a_workspace_that_can_only_be_read_is_read(whole: Workspace, tmp_path: Path, street: Path) -> None:
    path = copied(whole, street / "ws")
    shutil.rmtree(path / "recordings")  # linked: their mode is the original's
    Workspace(path).corpus("calls").close()
    for link in [p for p in path.rglob("*.nemo") if not p.is_symlink()]:
        kept = link.read_bytes()
        link.unlink()
        link.write_bytes(kept)
    _open_to_all(path, NOBODY)
    said = _look(path, NOBODY, copied(whole, tmp_path / "warm"))
    assert said["rows"] == 8, said
    assert said["accepted"] == 7
    assert said["prediction"] == 8
    assert said["overview"] is True
    assert "wrote" not in said
    assert "only be read" in str(said["decided"]), said
    assert "not permitted" in str(said["terms"]) or "only be read" in str(said["terms"]), said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two accounts")
def test_another_account_gets_one_line_and_takes_no_file(
    whole: Workspace, tmp_path: Path, street: Path
) -> None:
    path = copied(whole, tmp_path / "ws")
    for place in (path, *path.rglob("*")):
        if not place.is_symlink() and place.suffix != ".wav":
            os.chown(place, NOBODY, NOBODY)
    before = {p: (p.stat().st_uid, p.stat().st_mode) for p in path.rglob("*") if p.is_file()}
    with pytest.raises(WorkbenchError, match="belongs to another account"):
        Workspace(path)
    assert {p: (p.stat().st_uid, p.stat().st_mode) for p in path.rglob("*") if p.is_file()} == before
    other = copied(whole, street / "mine")
    assert "belongs to another account" in str(
        _look(other, NOBODY, copied(whole, tmp_path / "warm"))["error"]
    )


_FULL = """
import resource, sys
from workbench.api import Workspace
from workbench.errors import WorkbenchError
ws = Workspace(sys.argv[1])
corpus = ws.corpus("calls")
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
acts = {
    "decide": lambda: corpus.decisions.tag([f"clip/{n}" for n in range(8)], "x" * 100),
    "many": lambda: corpus.decisions.tag([f"clip/{n:0200d}" for n in range(9000)], "y"),
    "ledger": lambda: [ws.record("note", {"n": [0] * 900}) for _ in range(60)],
    "terms": lambda: [ws.set_terms(f"source{n}", license="x" * 3000) for n in range(40)],
    "export": lambda: corpus.export(sys.argv[1] + "/exports/more" + sys.argv[2]),
    "import": lambda: ws.import_corpus("more" + sys.argv[2], sys.argv[1] + "/recordings/manifest.jsonl"),
    "checkpoint": lambda: ws.add_checkpoint("more" + sys.argv[2], ws.checkpoint_path("base")),
    "stage": lambda: ws.release("base", base="base").stage(),
}
for name, act in acts.items():
    try:
        act()
        print(name, "done")
    except WorkbenchError as error:
        print(name, "full" if "disk is full" in str(error) else f"OTHER {error}")
    except Exception as error:
        print(name, f"RAW {type(error).__name__}: {error}")
"""


def test_a_full_disk_is_named_as_such_and_nothing_is_half_written(whole: Workspace, tmp_path: Path) -> None:
    path = copied(whole, tmp_path / "ws")
    Workspace(path).corpus("calls").close()
    said: set[str] = set()
    for limit in (2_000, 40_000, 200_000):
        done = subprocess.run(
            [sys.executable, "-c", _FULL, str(path), str(limit)], capture_output=True, text=True, check=False
        )
        lines = done.stdout.splitlines()
        assert len(lines) == 8, done.stderr[-2000:]
        assert not [line for line in lines if "RAW" in line or "OTHER" in line], lines
        said.update(lines)
        found = Workspace(path).verify()
        assert found.ok, str(found)
    assert {f"{name} full" for name in ("decide", "many", "ledger", "terms", "checkpoint", "stage")} <= said
