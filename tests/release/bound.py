"""Gate events that a promotion accepts: a report bound to a suite of one clip and to its predictions."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
import soundfile

from workbench.corpus.importing import import_source
from workbench.release.gate_report import GateReport
from workbench.release.promotion import GATED
from workbench.release.verdicts import Check, Finding, Verdict
from workbench.suites.run import SuiteRun
from workbench.suites.store import Suite
from workbench.workspace.folder import WorkspaceFolder


def gated_on_suite(ws: WorkspaceFolder, digest: str, verdict: str = "pass") -> SuiteRun:
    """Record that a checkpoint was gated, on a suite that really lies in the workspace."""
    run = _run(ws, digest)
    said: Verdict = "pass" if verdict == "pass" else "fail" if verdict == "fail" else "not enough data"
    check = Check("c", "memory", "", said, "", (Finding("all", said, ""),))
    report = GateReport(
        "p", "ab" * 32, "base", "tuned", None, digest, (check,), 1, "2026-01-01T00:00:00+00:00",
        suite=run.binding("tuned"),
    )  # fmt: skip
    text = report.to_json()
    name = hashlib.sha256(text.encode()).hexdigest()
    (ws.reports / "gates").mkdir(exist_ok=True)
    (ws.reports / "gates" / f"{name}.json").write_text(text)
    event = {"candidate": digest, "verdict": verdict, "report": name, "suite": run.version.digest}
    ws.record(GATED, event)
    return run


def _run(ws: WorkspaceFolder, digest: str) -> SuiteRun:
    suite = Suite(ws, "bound")
    if not suite.versions:
        place = ws.path / "recordings"
        place.mkdir()
        soundfile.write(place / "a.wav", 0.1 * np.ones(1600, np.float32), 16000)
        row = {"id": "a", "audio_filepath": "a.wav", "duration": 0.1, "text": "yes", "target_lang": "en-US"}
        (place / "m.jsonl").write_text(json.dumps({**row, "offset": 0.0, "split": "test"}) + "\n")
        import_source(place / "m.jsonl", ws.corpus_folder("bound"), name="bound")
        suite.create("bound")
    suite.freeze(suite.latest)
    run = SuiteRun(suite, suite.latest, {"tuned": digest})
    path = run.path("bound", digest, run.points[0])
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"checkpoint_sha256": digest, "lookahead_ms": None, "prompt_mode": "langID", "streaming": False}
    pd.DataFrame([{"id": "a", "hypothesis": "yes", **facts, "runtime": "torch"}]).to_parquet(path)
    return run
