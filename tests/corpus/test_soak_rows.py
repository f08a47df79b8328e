"""Ten million rows opened, checked, split and exported within 4 GB: the proof, and what was kept of it."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from workbench.workspace import json_store

HERE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(HERE / "benchmarks"))

import rows  # noqa: E402
import synthetic  # noqa: E402

EVIDENCE = HERE / "docs" / "evidence" / "rows.json"
MANY = 10_000_000
LIMIT_MB = 3_814
"""4 GB in units of 2**20 bytes."""


def judged(results: list[dict[str, Any]], count: int) -> None:
    """All steps went through, over all rows, each within the limit with its children."""
    by_step = {result["step"]: result for result in results}
    assert list(by_step) == list(rows.STEPS)
    for result in results:
        assert "failed" not in result
        assert result["rows"] == count
        assert result["peak_mb"] + result.get("children_peak_mb", 0) < LIMIT_MB
    assert (
        by_step["import"]["found"] == by_step["check"]["rows_checked"] == by_step["split"]["found"] == count
    )
    assert by_step["export"]["found"] + by_step["export"]["left_out"] == count


def test_the_kept_proof_is_of_all_steps_within_the_limit() -> None:
    with json_store.reading(EVIDENCE, "a proof of many rows", 1) as held:
        judged(held["results"], MANY)


@pytest.mark.soak
def test_ten_million_rows(tmp_path: Path) -> None:
    """Writes ``docs/evidence/rows.json``. WORKBENCH_SOAK_ROWS: fewer rows, and nothing is written."""
    count = int(os.environ.get("WORKBENCH_SOAK_ROWS", MANY))
    results = rows.measure(count, tmp_path)
    judged(results, count)
    if count == MANY:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=HERE, capture_output=True, text=True)
        facts = {
            "commit": commit.stdout.strip(),
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "cores": os.cpu_count(),
            "processor": platform.machine(),
        }
        json_store.write(EVIDENCE, {"schema_version": 1, **facts, "limit_mb": LIMIT_MB, "results": results})


def test_the_synthetic_rows_are_the_same_every_time_and_hold_what_they_say(tmp_path: Path) -> None:
    one, two = (synthetic.manifest(tmp_path / name, 20_000).read_bytes() for name in "ab")
    assert one == two
    made = [json.loads(line) for line in one.splitlines()]
    texts = [row["text"] for row in made]
    assert len({row["id"] for row in made}) == 20_000
    assert 20 < 20_000 - len({row["audio_filepath"] for row in made}) < 70
    assert 20 < sum("112" in text or "[" in text or not text for text in texts) < 80
    assert 100 < 20_000 - len({(row["target_lang"], row["text"]) for row in made}) < 350
    assert 150 < sum("speaker" not in row for row in made) < 450
