"""A rehearsed log: real predictions at made-up times, the change from its week on and in its clips only."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.field import read_log, watch_log
from workbench.field.simulated_log import simulate_log

ROWS = pd.DataFrame(
    {
        "id": [f"c{n}" for n in range(20)],
        "target_lang": ["el-GR", "es-US"] * 10,
        "audio_filepath": [f"{n}.wav" for n in range(20)],
        "duration": 2.0,
        "consent": "yes",
    }
)


def read(**changes: Any) -> pd.DataFrame:
    usual = {"hypothesis": "ένα, δύο τρία.", "confidence": 0.8, "detected_lang": "el-GR", "compute_s": 0.2}
    return pd.DataFrame({"id": ROWS["id"], **usual, **changes})


def test_the_change_begins_in_its_week_and_only_where_it_was_given(tmp_path: Path) -> None:
    changed = read(hypothesis="", confidence=None, compute_s=9.0).iloc[::2]
    path = simulate_log(ROWS, read(), tmp_path / "log.jsonl", changed=changed, changed_from_week=8, weeks=10)
    log = read_log(path, now=datetime(2026, 6, 1, tzinfo=UTC))
    assert not log.problems
    late = log.rows["time"] >= pd.Timestamp("2026-03-02", tz="UTC")
    assert ((log.rows["words"] == 0) == (late & (log.rows["requested_lang"] == "el-GR"))).all()
    assert (log.rows["latency_ms"] == 200).all()
    assert {json.loads(line)["source"] for line in path.read_text("utf-8").splitlines()} == {"simulated"}
    found = watch_log(log)
    assert {(a["locale"], a["week"]) for a in found.alarms.to_dict("records")} == {
        ("el-GR", "2026-03-02"),
        ("el-GR", "2026-03-09"),
    }
    assert simulate_log(ROWS, read(), tmp_path / "b.jsonl", weeks=2).read_bytes() == (
        simulate_log(ROWS, read(), tmp_path / "c.jsonl", weeks=2).read_bytes()
    )


def test_predictions_of_other_clips_are_no_rehearsal(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="no prediction belongs to a row"):
        simulate_log(ROWS.assign(id="other"), read(), tmp_path / "log.jsonl")
