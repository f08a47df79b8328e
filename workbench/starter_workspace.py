"""The starter: open recordings and a small checkpoint to learn the workbench on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from workbench.api import Workspace
from workbench.errors import WorkbenchError
from workbench.signatures import public, takes_fields
from workbench.starter_files import CHECKPOINT, DATA, MANIFEST
from workbench.workspace.settings import Config


@takes_fields(Config)
def starter(path: str | Path | None = None, **settings: Any) -> Workspace:
    """A workspace that holds the starter corpus and the starter checkpoint, both named ``starter``.

    Args:
        path: default: ``WORKBENCH_WORKSPACE``, then ``workspace/`` of the checkout.
        settings: fields of ``Config`` that win over file and environment, e.g. ``slots=2``.
    """
    workspace = Workspace(
        path or os.environ.get("WORKBENCH_WORKSPACE") or DATA.parent / "workspace", **settings
    )
    if "starter" not in workspace.corpus_names():
        workspace.import_corpus("starter", MANIFEST)
    if "starter" not in workspace.checkpoint_names():
        workspace.add_checkpoint("starter", CHECKPOINT)
    return workspace


@public
def starter_manifest() -> Path:
    """The manifest of the starter's recordings.

    Raises:
        WorkbenchError: there is no starter here.
    """
    if not MANIFEST.is_file():
        raise WorkbenchError("no starter", where=str(MANIFEST))
    return MANIFEST
