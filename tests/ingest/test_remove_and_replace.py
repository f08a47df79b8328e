"""A corpus removed or replaced: recorded, whole or not at all, also where the process is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import workbench as wb
from workbench.corpus import importing
from workbench.errors import WorkbenchError
from workbench.locks import alone


def rows(folder: Path, count: int, text: str) -> Path:
    """A manifest of so many rows whose recordings exist."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{text}.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        for i in range(count):
            (folder / f"{i}.wav").touch()
            row = {
                "audio_filepath": f"{i}.wav",
                "duration": 1.0,
                "text": f"{text} {i}",
                "target_lang": "de-DE",
            }
            stream.write(json.dumps(row) + "\n")
    return path


@pytest.fixture
def workspace(tmp_path: Path) -> wb.Workspace:
    made = wb.Workspace(tmp_path / "ws")
    made.import_corpus("calls", rows(tmp_path / "audio", 5, "old")).accept()
    return made


def events(workspace: wb.Workspace, kind: str) -> int:
    return len(list(workspace.ledger.events(kind)))


def test_removed_is_gone_and_recorded_and_the_source_stays(workspace: wb.Workspace, tmp_path: Path) -> None:
    workspace.remove_corpus("calls")
    assert workspace.corpus_names() == []
    assert not workspace.corpus_folder("calls").exists()
    assert (tmp_path / "audio" / "0.wav").exists()
    assert (tmp_path / "audio" / "old.jsonl").exists()
    assert events(workspace, "corpus.remove") == 1
    assert not workspace.verify().faults
    with pytest.raises(WorkbenchError, match="no corpus"):
        workspace.remove_corpus("calls")
    workspace.import_corpus("calls", tmp_path / "audio" / "old.jsonl")
    assert {row["status"] for row in workspace.corpus("calls").page(0, 9)} == {"pending"}


def test_a_name_that_is_taken_is_kept_unless_replaced(workspace: wb.Workspace, tmp_path: Path) -> None:
    new = rows(tmp_path / "audio", 3, "new")
    with pytest.raises(WorkbenchError, match="already"):
        workspace.import_corpus("calls", new)
    assert len(workspace.corpus("calls")) == 5
    workspace.import_corpus("calls", new, replace=True)
    assert [row["text"] for row in workspace.corpus("calls").page(0, 9)] == ["new 0", "new 1", "new 2"]
    assert workspace.corpus_names() == ["calls"]
    assert events(workspace, "corpus.remove") == 1
    assert not [p for p in workspace.corpus_folder("calls").parent.iterdir() if p.name.endswith(".old")]


def test_a_replacement_that_fails_leaves_the_old_one_with_its_decisions(
    workspace: wb.Workspace, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text("no json\n")
    with pytest.raises(WorkbenchError):
        workspace.import_corpus("calls", bad, replace=True)
    kept = workspace.corpus("calls").page(0, 9)
    assert [row["text"] for row in kept] == [f"old {i}" for i in range(5)]
    assert {row["status"] for row in kept} == {"accepted"}
    assert events(workspace, "corpus.remove") == 0


def test_a_corpus_in_use_is_neither_removed_nor_replaced(workspace: wb.Workspace, tmp_path: Path) -> None:
    with alone(workspace.corpus_folder("calls") / "lock"):
        code = (
            "import sys, workbench as wb\nws = wb.Workspace(sys.argv[1])\n"
            "for act in (lambda: ws.remove_corpus('calls'),"
            " lambda: ws.import_corpus('calls', sys.argv[2], replace=True)):\n"
            "    try: act()\n    except wb.WorkbenchError as error: "
            "print('busy' if 'another' in str(error) else error)"
        )
        manifest = str(tmp_path / "audio" / "old.jsonl")
        done = subprocess.run(
            [sys.executable, "-c", code, str(workspace.path), manifest], capture_output=True, text=True
        )
    assert done.stdout.split() == ["busy", "busy"], done.stderr
    assert len(workspace.corpus("calls")) == 5


KILLED = """
import os, signal, sys
import workbench as wb
from workbench.corpus import importing
target, place = sys.argv[1], sys.argv[2]
holder, name = {"shutil": (importing.shutil, "rmtree"), "record": (importing.record, "write")}[place]
setattr(holder, name, lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL))
ws = wb.Workspace(target)
if sys.argv[3] == "remove":
    ws.remove_corpus("calls")
else:
    ws.import_corpus("calls", sys.argv[4], replace=True)
"""


@pytest.mark.parametrize(
    ("place", "act"), [("shutil", "remove"), ("record", "replace"), ("shutil", "replace")]
)
def test_killed_in_between_the_workspace_is_whole(
    workspace: wb.Workspace, tmp_path: Path, place: str, act: str
) -> None:
    """Never a corpus that is half there; the name can be used; what is replaced is old or new."""
    new = str(rows(tmp_path / "audio", 3, "new"))
    command = [sys.executable, "-c", KILLED, str(workspace.path), place, act, new]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    again = wb.Workspace(workspace.path)
    if act == "remove":
        assert again.corpus_names() == []
    else:
        texts = [row["text"] for row in again.corpus("calls").page(0, 9)]
        assert texts in ([f"new {i}" for i in range(3)], [f"old {i}" for i in range(5)])
    assert not again.verify().faults
    again.import_corpus("calls", new, replace=True)
    assert len(again.corpus("calls")) == 3
    assert importing.removal_facts(again.corpus_folder("calls"))["utterances"] == 3
