"""Adaptation workbench for Nemotron 3.5 ASR: curate, stream, fine-tune, analyze errors, release.

``import workbench as wb`` is quick: it loads neither NeMo nor torch nor pandas; names are resolved when used.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# Nothing phones home. Set before any library that would is imported; a user's own setting is left alone.
for _name, _value in {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "WANDB_MODE": "disabled",
    "ONE_LOGGER_ENABLED": "0",
    "NEMO_ONE_LOGGER_ENABLED": "0",
}.items():
    os.environ.setdefault(_name, _value)

__version__ = "0.1.0"
_PUBLIC = {
    "Workspace": "workbench.api",
    "choose_lookahead": "workbench.capacity.choice",
    "ImportPlan": "workbench.ingest.plan",
    "inspect_source": "workbench.ingest.inspect",
    "evaluate": "workbench.evaluation.corpora",
    "starter": "workbench.api",
    "Recipe": "workbench.finetuning.recipe",
    "Policy": "workbench.release.gates",
    "LOCALES": "workbench.locales",
    "canonical": "workbench.locales",
    "WorkbenchError": "workbench.errors",
}
__all__ = [
    "LOCALES",
    "ImportPlan",
    "Policy",
    "Recipe",
    "WorkbenchError",
    "Workspace",
    "__version__",
    "canonical",
    "choose_lookahead",
    "evaluate",
    "inspect_source",
    "starter",
]

if TYPE_CHECKING:
    from workbench.api import Workspace, starter
    from workbench.capacity.choice import choose_lookahead
    from workbench.errors import WorkbenchError
    from workbench.evaluation.corpora import evaluate
    from workbench.finetuning.recipe import Recipe
    from workbench.ingest.inspect import inspect_source
    from workbench.ingest.plan import ImportPlan
    from workbench.locales import LOCALES, canonical
    from workbench.release.gates import Policy


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'workbench' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
