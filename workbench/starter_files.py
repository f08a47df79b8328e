"""Where the starter lies: ``data/`` of the checkout, or the folder that ``WORKBENCH_DATA`` names."""

from __future__ import annotations

import os
from pathlib import Path

DATA = Path(os.environ.get("WORKBENCH_DATA") or Path(__file__).resolve().parents[1] / "data")
CORPUS = DATA / "starter"
MANIFEST = CORPUS / "manifest.jsonl"
CHECKPOINT = DATA / "checkpoint" / "starter.nemo"
NO_STARTER = (
    "A wheel holds none. Begin with your own recordings, wb.Workspace().import_corpus(name, source), or set "
    "WORKBENCH_DATA to the folder data/ of a checkout."
)


def has_starter() -> bool:
    """Whether recordings and checkpoint are here."""
    return MANIFEST.is_file() and CHECKPOINT.is_file()
