"""Checkpoints made to do harm are refused before anything in them runs or leaves its folder."""

from __future__ import annotations

import io
import os
import pickle
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.release import Release
from workbench.release.promotion import pointers
from workbench.workspace.folder import WorkspaceFolder


def repacked(source: Path, target: Path, change: dict[str, bytes]) -> Path:
    """The archive with members replaced or added."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old:
            if Path(member.name).name not in change:
                new.addfile(member, old.extractfile(member) if member.isfile() else None)
        for name, data in change.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    return target


class Runs:
    """Unpickled, it would leave a file behind."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


def with_code(marker: Path) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as weights:
        weights.writestr("archive/data.pkl", pickle.dumps({"weight": Runs(marker)}))
    return made.getvalue()


@pytest.mark.parametrize("attack", ["garbage", "traversal", "foreign class", "foreign part", "pickled code"])
def test_hostile_checkpoints_cannot_be_staged(
    ws: WorkspaceFolder, checkpoints: dict[str, Path], tmp_path: Path, attack: str
) -> None:
    source, path = checkpoints["base"], tmp_path / "bad.nemo"
    with tarfile.open(source) as tar:
        names = {Path(n).name: n for n in tar.getnames()}
        held = tar.extractfile(names["model_config.yaml"])
        assert held is not None
        config = held.read().decode()
    if attack == "garbage":
        path.write_bytes(b"not an archive")
    elif attack == "traversal":
        repacked(source, path, {"../../outside.txt": b"x"})
    elif attack == "foreign class":
        at = re.search(r"^target: .*$", config, re.MULTILINE)
        assert at is not None
        repacked(
            source, path, {"model_config.yaml": config.replace(at[0], "target: subprocess.Popen").encode()}
        )
    elif attack == "foreign part":
        repacked(source, path, {"model_config.yaml": f"{config}\nextra:\n  _target_: os.system\n".encode()})
    else:
        repacked(source, path, {"model_weights.ckpt": with_code(tmp_path / "was-run")})
    shutil.copy(source, ws.checkpoint_path("base"))
    with pytest.raises(WorkbenchError, match=r"refused|not a readable"):
        Release(ws, candidate=str(path), base="base").stage()
    assert pointers(ws).candidate is None
    assert not (tmp_path / "was-run").exists()
    assert not (tmp_path.parent / "outside.txt").exists()
