"""The starter: open recordings and a small checkpoint to learn the workbench on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from workbench.api import Workspace
from workbench.errors import WorkbenchError
from workbench.signatures import public, takes_fields
from workbench.starter_files import CHECKPOINT, DATA, MANIFEST, NO_STARTER, has_starter
from workbench.workspace.settings import Config


@public
@takes_fields(Config)
def starter(path: str | Path | None = None, **settings: Any) -> Workspace:
    """A workspace that holds the starter corpus and the starter checkpoint, both named ``starter``.

    Args:
        path: default: ``WORKBENCH_WORKSPACE``, then ``workspace/`` of the checkout, or of the current folder
            where the package was installed without one.
        settings: fields of ``Config`` that win over file and environment, e.g. ``slots=2``.

    Raises:
        WorkbenchError: the workspace has no starter and there is none here to put into it.
    """
    workspace = Workspace(path or _default(), **settings)
    missing = "starter" not in workspace.corpus_names() or "starter" not in workspace.checkpoint_names()
    if missing and not has_starter():
        raise WorkbenchError("there is no starter here", where=str(DATA), hint=NO_STARTER)
    if "starter" not in workspace.corpus_names():
        workspace.import_corpus("starter", MANIFEST)
    if "starter" not in workspace.checkpoint_names():
        workspace.add_checkpoint("starter", CHECKPOINT)
    return workspace


@public
def starter_manifest() -> Path:
    """The manifest of the starter's recordings: here, or where the workspace's starter corpus came from.

    Raises:
        WorkbenchError: there is no starter here.
    """
    if MANIFEST.is_file():
        return MANIFEST
    default = Path(_default())
    if (default / "corpora" / "starter" / "source.json").is_file():
        found = Workspace(default).corpus("starter").audio_root / MANIFEST.name
        if found.is_file():
            return found
    raise WorkbenchError("there is no starter here", where=str(DATA), hint=NO_STARTER)


def _default() -> str | Path:
    own = DATA.parent / "workspace" if has_starter() and "WORKBENCH_DATA" not in os.environ else "workspace"
    return os.environ.get("WORKBENCH_WORKSPACE") or own
