"""How ``data/`` was made: the starter corpus from Debian packages, the starter checkpoint from that corpus.

``WORKBENCH_DATA`` names another folder of the same layout; by default it is ``data/`` of the checkout.

``wb.starter()`` is a call and ``workbench.starter`` is this package: importing the one must not hide the
other, so the package can be called and hands on to :func:`workbench.api.starter`.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

DATA = Path(os.environ.get("WORKBENCH_DATA") or Path(__file__).resolve().parents[2] / "data")
CORPUS = DATA / "starter"
MANIFEST = CORPUS / "manifest.jsonl"
CHECKPOINT = DATA / "checkpoint" / "starter.nemo"


class _Callable(ModuleType):
    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        return importlib.import_module("workbench.api").starter(*arguments, **settings)


sys.modules[__name__].__class__ = _Callable
