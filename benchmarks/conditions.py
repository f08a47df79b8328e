"""What noise and the line cost the starter, per locale: every ratio and band on clips of 2 to 6 seconds.

Run: OMP_NUM_THREADS=1 python benchmarks/conditions.py WORKSPACE [--snr-db 20 10 5 0]

Writes docs/evidence/conditions.json. The sweep lies in the workspace and goes on where it was cut off.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import workbench as wb

REPO = Path(__file__).resolve().parents[1]
CLIPS = "split = 'test' AND duration BETWEEN 2 AND 6"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--snr-db", type=float, nargs="*", default=[20.0, 10.0, 5.0, 0.0])
    given = parser.parse_args()
    ws = wb.starter(given.workspace)
    found = ws.conditions("starter", ws.corpus("starter").where(CLIPS), snr_db=(None, *given.snr_db))
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=REPO, capture_output=True, text=True, check=True
    )
    made = {
        "what": "Errors, empty outputs and punctuation of the starter by noise and band, per locale, over "
        "test clips of 2 to 6 seconds: the same clips under every condition. snr_db null: no noise added.",
        "commit": commit.stdout.strip(),
        "date": datetime.now(UTC).date().isoformat(),
        "clips": CLIPS,
        **found.to_dict(),
    }
    out = REPO / "docs" / "evidence" / "conditions.json"
    out.write_text(json.dumps(made, indent=1, allow_nan=False) + "\n", "utf-8")
    print(found.table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
