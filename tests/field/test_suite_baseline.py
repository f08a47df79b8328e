"""A baseline from a suite run: a log is judged from its first week, and unlike prompts are refused."""

from __future__ import annotations

import json
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
import soundfile

from workbench.api import Workspace
from workbench.errors import WorkbenchError
from workbench.field import Baseline, FieldLog, watch_log
from workbench.suites.points import OperatingPoint
from workbench.suites.run import SuiteRun

DIGEST, AUTO = "a" * 64, OperatingPoint(prompt_mode="auto")
TAGS = ("da-DK", "it-IT")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SuiteRun:
    """A suite of 150 clips a locale by 30 speakers, read with one empty output in twenty."""
    folder = tmp_path_factory.mktemp("suite")
    lines = []
    for tag in TAGS:
        for i in range(150):
            noise = np.random.default_rng(crc32(f"{tag}{i}".encode())).standard_normal(400)
            soundfile.write(folder / f"{tag}{i}.wav", 0.1 * noise, 16000)
            row = {"id": f"{tag}/{i}", "audio_filepath": f"{tag}{i}.wav", "offset": 0.0, "duration": 0.025}
            lines.append({**row, "text": f"one, two {i}.", "target_lang": tag, "speaker": f"{tag}{i % 30}"})
    manifest = folder / "m.jsonl"
    manifest.write_text("".join(json.dumps({**row, "split": "test"}) + "\n" for row in lines))
    ws = Workspace(folder / "ws")
    ws.import_corpus("calls", manifest)
    suite = ws.suite("pilot")
    version = suite.create("calls", points=[OperatingPoint(), AUTO])
    made = SuiteRun(suite, version, {"base": DIGEST})
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(made.rows_of("calls"))
    table = pd.DataFrame({"id": rows["id"], "detected_lang": rows["target_lang"]})
    table["hypothesis"] = np.where(rng.random(len(rows)) < 0.05, "", rows["text"])
    table["confidence"] = rng.normal(0.8, 0.05, len(rows))
    for point in version.points:
        path = made.path("calls", DIGEST, point)
        path.parent.mkdir(parents=True, exist_ok=True)
        table.assign(
            checkpoint_sha256=DIGEST, lookahead_ms=None, prompt_mode=point.prompt_mode, streaming=False,
            runtime="torch", precision="fp32", schema_version=2,
        ).to_parquet(path)  # fmt: skip
    return made


def calls(seed: int, empty: dict[str, float], weeks: int = 2, asked: str | None = None) -> FieldLog:
    """A log of 200 calls a locale and week."""
    rng, parts = np.random.default_rng(seed), []
    for tag in TAGS:
        n = 200 * weeks
        words = np.where(rng.random(n) < empty[tag], 0.0, 3.0)
        parts.append(
            pd.DataFrame(
                {
                    "time": pd.Timestamp("2026-03-02", tz="UTC")
                    + pd.to_timedelta(np.linspace(0, 7 * weeks - 1e-3, n), unit="D"),
                    "requested_lang": asked or tag,
                    "detected_lang": tag,
                    "words": words,
                    "marks": np.where(words > 0, 2.0, 0.0),
                    "confidence": rng.normal(0.8, 0.05, n),
                    "latency_ms": 300.0,
                    "release": "base",
                }
            )
        )
    rows = pd.concat(parts, ignore_index=True).sort_values("time").reset_index(drop=True)
    return FieldLog(rows.assign(text=None, audio_filepath=None, consent=None), lines=len(rows))


def test_a_log_is_judged_from_its_first_week(run: SuiteRun, tmp_path: Path) -> None:
    ws = Workspace(run.suite.workspace.path)
    baseline = ws.suite_baseline(run, "base", "base")
    assert set(baseline.levels["empty"]) == set(TAGS)
    assert baseline.levels["volume"] == {}
    assert baseline.dispersion["empty"][1] == 2 * 4  # five groups of thirty clips a locale
    with pytest.raises(WorkbenchError, match="whole weeks for a baseline"):
        watch_log(calls(1, dict.fromkeys(TAGS, 0.05)))
    quiet = watch_log(calls(1, dict.fromkeys(TAGS, 0.05)), baseline)
    assert not len(quiet.alarms)
    assert quiet.points["judged"].all()
    loud = watch_log(calls(1, {"da-DK": 0.3, "it-IT": 0.05}), baseline)
    assert set(loud.alarms["locale"]) == {"da-DK"}
    assert "clips of suite pilot v1 at offline, not calls" in loud.html()
    # Two weeks of one change are one sentence.
    assert len(loud.alarms) > 1
    assert len(loud.to_dict()["causes"]) == 1
    assert "since the week of 2026-03-02, 2 weeks" in loud.to_dict()["causes"][0]
    path = baseline.save(tmp_path / "baseline.json")
    assert Baseline.load(path).to_dict() == baseline.to_dict()


def test_unlike_facts_are_named(run: SuiteRun) -> None:
    ws = Workspace(run.suite.workspace.path)
    baseline = ws.suite_baseline(run, "base", "base")
    with pytest.raises(
        WorkbenchError, match="100% of the calls asked for auto, the baseline's prompt is langID"
    ):
        watch_log(calls(1, dict.fromkeys(TAGS, 0.05), asked="auto"), baseline)
    asked = watch_log(
        calls(1, dict.fromkeys(TAGS, 0.05), asked="auto"),
        ws.suite_baseline(run, "base", "base", point="offline-auto"),
    )
    assert not len(asked.alarms)
    with pytest.raises(WorkbenchError, match="the baseline is of release other"):
        watch_log(calls(1, dict.fromkeys(TAGS, 0.05)), ws.suite_baseline(run, "base", "other"))
    with pytest.raises(WorkbenchError, match="no engine 'tuned' in this run"):
        ws.suite_baseline(run, "tuned", "base")
