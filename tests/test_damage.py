"""Damaged files: each is said in one line that names it, verify finds it, nothing opens as if it were new."""

from __future__ import annotations

import json
import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from small_workspace import copied, small_workspace

import workbench as wb
from workbench.api import Workspace
from workbench.errors import WorkbenchError
from workbench.files import write_atomic
from workbench.finetuning.registry import Registry


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return small_workspace(tmp_path_factory.mktemp("damage") / "ws")


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    # In the middle; in a database, whose middle may be free, in what it holds.
    held = [at for at in (data.find(b"Edited."), data.find(b"override")) if at > 0]
    data[held[0] if path.suffix == ".sqlite" else len(data) // 2] ^= 0x10
    path.write_bytes(data)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


_FIELDS = ("name", "status", "schema_version", "marks", "digest", "rows", "base", "sources")
DAMAGES: dict[str, Callable[[Path], Any]] = {
    "emptied": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "flipped": _flip,
    "list": lambda path: path.write_text("[]"),
    "map": lambda path: path.write_text("{}"),
    "number": lambda path: path.write_text("9" * 5000),
    "deep": lambda path: path.write_text("[" * 100_000),
    "nul": lambda path: path.write_bytes(b"\0" * 4096),
    "other types": lambda path: path.write_text(json.dumps({name: [1e308] for name in _FIELDS})),
    "folder": _folder,
    "pipe": _pipe,
    "missing": lambda path: path.unlink(),
}  # fmt: skip

# Files that digests or chains cover: damage must be found by verify, whatever it is.
COVERED = (
    "ledger.sqlite", "corpora/calls/decisions.sqlite", "corpora/calls/source.json",
    "corpora/calls/utterances.parquet", "corpora/calls/signal.parquet",
    "corpora/calls/predictions/base.parquet", "keys/pseudonym.key", "erasures/marks.json",
    "erasures/tombstones.txt", "runs/small/plan.parquet", "checkpoints/base.nemo",
    "releases/generations/000002/pointers.json", "exports/calls/train.jsonl", "exports/calls/export.json",
)  # fmt: skip
OTHERS = (
    "workspace.toml", "runs/small/state.json", "runs/small/recipe.yaml", "runs/small/provenance.json",
    "corpora/calls/problems.jsonl", "exports/calls/data_card.json",
)  # fmt: skip


def looks(path: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What a notebook does first: every reading call, one by one."""
    yield "open", lambda: Workspace(path)
    yield "overview", lambda: Workspace(path).overview()._repr_html_()
    yield "corpus", lambda: len(Workspace(path).corpus("calls"))
    yield "page", lambda: Workspace(path).corpus("calls").where("status = 'accepted'").page(0, 5)
    yield "frame", lambda: Workspace(path).corpus("calls").frame()
    yield "problems", lambda: Workspace(path).corpus("calls").problems
    yield "conflicts", lambda: Workspace(path).corpus("calls").decisions.conflicts()
    yield "prediction", lambda: Workspace(path).corpus("calls").prediction("base")
    yield "evaluate", lambda: wb.evaluate(Workspace(path).corpus("calls"), "base", "tuned").rates("base")
    yield "run", lambda: (Workspace(path).run("small").state, Workspace(path).run("small").recipe)
    yield "metrics", lambda: Workspace(path).run("small").metrics()
    yield "hours", lambda: Workspace(path).run("small").consumed_hours()
    yield "registry", lambda: Registry(path / "runs").table()
    yield "release", lambda: Workspace(path).release("base", base="base").look()
    yield "due", lambda: Workspace(path).retraining_status()
    yield "graph", lambda: Workspace(path).release("base", base="base").graph()
    yield "export", lambda: Workspace(path).corpus("calls").export(path / "exports" / "again")
    yield "import", lambda: Workspace(path).import_corpus("more", path / "recordings" / "manifest.jsonl")
    yield "set terms", lambda: Workspace(path).set_terms("calls", consent="asked")


_OF_CORPUS = (
    "corpus",
    "page",
    "frame",
    "problems",
    "conflicts",
    "prediction",
    "evaluate",
    "export",
    "import",
)


def raw_exceptions(path: Path, file: str) -> list[str]:
    """What the calls raised that is no explained error of one line."""
    found = []
    for name, look in looks(path):
        if name in _OF_CORPUS and file.startswith(("runs/", "checkpoints/", "releases/")):
            continue  # they read nothing of it
        try:
            look()
        except WorkbenchError as error:
            if "\n" in str(error) or not str(error).strip():
                found.append(f"{name}: not one line: {error!r}")
        except Exception as error:
            found.append(f"{name}: {type(error).__name__}: {str(error)[:120]}")
    return found


def _cases() -> list[tuple[str, str]]:
    return [(file, damage) for file in (*COVERED, *OTHERS) for damage in DAMAGES]


def _damaged(whole: Workspace, tmp_path: Path, file: str, damage: str) -> Path:
    path = copied(whole, tmp_path / "ws")
    target = path / file
    if target.suffix == ".sqlite":  # what its writers have not folded in yet must not hide the damage
        for side in ("-wal", "-shm"):
            target.with_name(target.name + side).unlink(missing_ok=True)
    if target.suffix == ".nemo":  # linked, not copied
        kept = target.read_bytes()
        target.unlink()
        target.write_bytes(kept)
    DAMAGES[damage](target)
    return path


def _check(whole: Workspace, tmp_path: Path, file: str, damage: str) -> list[str]:
    path = _damaged(whole, tmp_path, file, damage)
    faults = [f"{file} {damage}: {fault}" for fault in raw_exceptions(path, file)]
    if file in COVERED:
        try:
            found = Workspace(path).verify()
        except WorkbenchError as error:  # not even opened, and said so
            found = None
            if Path(file).name not in str(error):
                faults.append(f"{file} {damage}: not named: {error}")
        if found is not None and found.ok:
            faults.append(f"{file} {damage}: verify finds nothing")
    shutil.rmtree(path)
    return faults


@pytest.fixture(scope="module", autouse=True)
def folded(whole: Workspace) -> None:
    """Everything that was written lies in the databases themselves."""
    import sqlite3

    with sqlite3.connect(whole.corpora / "calls" / "decisions.sqlite") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


@pytest.mark.parametrize(("file", "damage"), random.Random(20).sample(_cases(), 24))
def test_damage_is_said_in_one_line(whole: Workspace, tmp_path: Path, file: str, damage: str) -> None:
    assert _check(whole, tmp_path, file, damage) == []


@pytest.mark.soak
@pytest.mark.parametrize("file", [*COVERED, *OTHERS])
def test_every_damage_of_every_file_is_said_in_one_line(whole: Workspace, tmp_path: Path, file: str) -> None:
    faults = []
    for damage in DAMAGES:
        faults += _check(whole, tmp_path, file, damage)
    assert faults == []


def test_a_file_takes_the_place_of_no_device_pipe_or_folder(tmp_path: Path) -> None:
    """As root a rename would replace the device itself, for the whole machine."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "folder", "link"):
        with pytest.raises(WorkbenchError, match="nothing takes its place"):
            write_atomic(tmp_path / name, "text")
    with pytest.raises(WorkbenchError, match="nothing takes its place"):
        write_atomic(Path("/dev/zero"), "text")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert stat.S_ISCHR(Path("/dev/zero").stat().st_mode)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "link", "pipe"]
