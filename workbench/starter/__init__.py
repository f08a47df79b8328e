"""How ``data/`` was made: the starter corpus from Debian packages, the starter checkpoint from that corpus.

``WORKBENCH_DATA`` names another folder of the same layout; by default it is ``data/`` of the checkout.
"""

from __future__ import annotations

import os
from pathlib import Path

DATA = Path(os.environ.get("WORKBENCH_DATA") or Path(__file__).resolve().parents[2] / "data")
CORPUS = DATA / "starter"
MANIFEST = CORPUS / "manifest.jsonl"
CHECKPOINT = DATA / "checkpoint" / "starter.nemo"
