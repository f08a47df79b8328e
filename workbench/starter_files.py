"""Where the starter lies: ``data/`` of the checkout, or the folder that ``WORKBENCH_DATA`` names."""

from __future__ import annotations

import os
from pathlib import Path

DATA = Path(os.environ.get("WORKBENCH_DATA") or Path(__file__).resolve().parents[1] / "data")
CORPUS = DATA / "starter"
MANIFEST = CORPUS / "manifest.jsonl"
CHECKPOINT = DATA / "checkpoint" / "starter.nemo"
