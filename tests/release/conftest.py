"""A workspace, and the starter checkpoint with variants of it that differ in bytes but read the same."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest
from candidates import with_candidates

from workbench.workspace.folder import WorkspaceFolder

STARTER = Path(__file__).parents[2] / "data" / "checkpoint" / "starter.nemo"


@pytest.fixture
def ws(tmp_path: Path) -> WorkspaceFolder:
    return WorkspaceFolder(tmp_path / "ws")


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The starter and the same packed again, so with another hash."""
    folder = tmp_path_factory.mktemp("checkpoints")
    unpacked = folder / "unpacked"
    with tarfile.open(STARTER) as tar:
        tar.extractall(unpacked, filter="data")
    again = folder / "tuned.nemo"
    with tarfile.open(again, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(unpacked.iterdir(), reverse=True):
            tar.add(path, arcname=path.name)
    shutil.copy(STARTER, folder / "base.nemo")
    return {"base": folder / "base.nemo", "tuned": again}


@pytest.fixture
def home(ws: WorkspaceFolder, checkpoints: dict[str, Path]) -> WorkspaceFolder:
    """Two candidates, their predictions and real clips; see ``candidates``."""
    return with_candidates(ws, checkpoints)
