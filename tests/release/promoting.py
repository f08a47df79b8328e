"""Promotion as the tests ask for it: gated, released, served."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from bound import gated_on_suite

from workbench.release import promotion
from workbench.release.promotion import Pointers, pointers, stage
from workbench.workspace.folder import WorkspaceFolder


def promote(ws: WorkspaceFolder, **options: Any) -> Pointers:
    """Decided on the state of now."""
    return promotion.promote(ws, **{"generation": pointers(ws).generation, **options})


def roll_back(ws: WorkspaceFolder, **options: Any) -> Pointers:
    return promotion.roll_back(ws, **{"generation": pointers(ws).generation, **options})


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def gated(ws: WorkspaceFolder, path: Path, verdict: str = "pass") -> None:
    gated_on_suite(ws, sha256(path), verdict)


def released(ws: WorkspaceFolder, checkpoints: dict[str, Path], *names: str) -> None:
    for name in names:
        stage(ws, name, checkpoints[name])
        gated(ws, checkpoints[name])
        promote(ws)


def served(ws: WorkspaceFolder, role: str = "production") -> str:
    return sha256(ws.releases / "current" / f"{role}.nemo")
