"""Two verbs at once, by two processes: as if one came after the other, or one is refused in a line."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from killing import VERBS
from small_workspace import small_workspace

ROOT = Path(__file__).parents[1]
EVIDENCE = ROOT / "docs" / "evidence" / "pairs-of-verbs.json"


class Street:
    """A process that lets pairs of verbs meet."""

    def __init__(self, home: Path, scratch: Path) -> None:
        script = Path(__file__).with_name("pairing.py")
        command = [sys.executable, str(script), str(home), str(scratch)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def faults(self, first: str, second: str) -> list[str]:
        """What went wrong where the two met."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([first, second]) + "\n")
        self.process.stdin.flush()
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        if told["found"] is None:
            return [f"{first} | {second}: cannot be opened any more"]
        wrong = [said for said in told["said"] if said.startswith("raw")]
        wrong += told["found"]["faults"]
        if not told["possible"]:
            wrong.append(f"as after neither order; told {told['said']}: {str(told['found']['state'])[:1500]}")
        return [f"{first} | {second}: {fault}" for fault in wrong]

    def close(self) -> None:
        self.process.communicate()


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    folder = tmp_path_factory.mktemp("pairs")
    found = Street(small_workspace(folder / "ws").path, folder)
    yield found
    found.close()


@pytest.mark.parametrize(
    ("first", "second"),
    [("import", "import"), ("set terms", "set pilot"), ("export replace", "export replace"),
     ("import replace", "accept"), ("remove corpus", "erase"), ("export", "erase"), ("import", "erase"),
     ("import prediction", "erase"), ("prepare launch", "erase"), ("import replace", "export outside")],
)  # fmt: skip
def test_two_at_once_are_one_after_the_other(street: Street, first: str, second: str) -> None:
    assert street.faults(first, second) == []


@pytest.mark.soak
@pytest.mark.timeout(8 * 3600)
def test_all_against_all(street: Street) -> None:
    pairs = list(itertools.combinations_with_replacement(VERBS, 2))
    most = int(os.environ.get("PAIRS", len(pairs)))
    faults = [fault for first, second in pairs[:most] for fault in street.faults(first, second)]
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    told = {
        "what": "Two verbs at once, by two processes, on a copy of a small workspace. A fault: a raw "
        "exception, what verify finds, or a state that neither order of the two leaves.",
        "command": "python -m pytest -m soak tests/test_pairs.py",
        "commit": commit.stdout.strip(),
        "date": datetime.now(UTC).date().isoformat(),
        "verbs": list(VERBS),
        "pairs": most,
        "of": len(pairs),
        "faults": faults,
    }
    EVIDENCE.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    assert faults == []
