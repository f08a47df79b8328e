"""When retraining is due, and where the overview says so."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from candidates import POLICY

from workbench.api import Workspace
from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.files import sha256_file
from workbench.release import Release, retraining_schedule
from workbench.suites.run import SuiteRun
from workbench.suites.store import Suite
from workbench.workspace.folder import WorkspaceFolder
from workbench.workspace.settings import RetrainingSchedule


def test_retraining_falls_due_by_days_and_accepted_hours(home: WorkspaceFolder) -> None:
    assert retraining_schedule.retraining_status(home) is None
    Release(home, candidate="tuned", base="base").promote(override="test")
    assert retraining_schedule.retraining_status(home).due == ()
    late = datetime.now(UTC) + timedelta(days=91)
    assert retraining_schedule.retraining_status(home, now=late).due == (
        "91 days since tuned went out (every 90)",
    )
    home.configure(retraining_schedule=home.config.retraining_schedule.__class__(accepted_hours=0.001))
    corpus = Corpus.open(home.corpus_folder("calls"))
    # The release was made in this very second; decisions count from the next one on.
    before = datetime.now(UTC) - timedelta(hours=1)
    assert retraining_schedule.accepted_hours(home, before) == 0
    corpus.accept()
    total = corpus.frame()["duration"].sum() / 3600
    assert retraining_schedule.accepted_hours(home, before) == pytest.approx(total)
    assert retraining_schedule.accepted_hours(home, datetime.now(UTC) + timedelta(hours=1)) == 0


def test_the_overview_shows_the_cadence_and_what_the_last_release_changed(home: WorkspaceFolder) -> None:
    ws = Workspace(home.path)
    assert "No release yet" in ws.overview()._repr_html_()
    for name in ("base", "tuned"):
        release = Release(home, candidate=name, base="base" if name == "tuned" else "tuned")
        release.gate(POLICY)
        release.promote(override="test")
    shown = ws.overview()._repr_html_()
    assert "every 90 days" in shown
    assert "No retraining is due" in shown
    assert "What tuned changed" in shown
    assert re.search(r"Figure it-IT: [\d.]+ to [\d.]+ %", shown)
    ws.configure(retraining_schedule=RetrainingSchedule(days=0.0))
    shown = ws.overview()._repr_html_()
    assert "Retraining is due" in shown
    assert "days since tuned went out (every 0)" in shown


def _two_versions(home: WorkspaceFolder, worse: bool) -> tuple[SuiteRun, SuiteRun]:
    """Runs of a suite at the release, and renewed with calls that came since (texts of odd length)."""
    suite = Suite(home, "pilot")
    runs = []
    texts = Corpus.open(home.corpus_folder("calls")).frame().set_index("id")["text"]
    for where in ("length(text) % 2 = 0", "true"):
        version = suite.create({"calls": where})
        suite.freeze(version)
        digest = sha256_file(home.checkpoint_path("tuned"))
        run = SuiteRun(suite, version, {"tuned": digest})
        table = pd.read_parquet(home.corpus_folder("calls") / "predictions" / "tuned.parquet")
        other = pd.read_parquet(home.corpus_folder("calls") / "predictions" / "base.parquet")
        newer = (table["id"].map(texts).str.len() % 2 == 1) & worse
        table["hypothesis"] = table["hypothesis"].where(~newer, other["hypothesis"])
        path = run.path("calls", digest, version.points[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        table.assign(runtime="torch", precision="fp32").to_parquet(path)
        runs.append(run)
    return runs[0], runs[1]


def test_a_locale_that_regressed_since_the_release_is_named(home: WorkspaceFolder) -> None:
    Release(home, candidate="tuned", base="base").promote(override="test")
    then, today = _two_versions(home, worse=True)
    found = retraining_schedule.retraining_status(home, at_release=then, today=today)
    assert found is not None
    assert [reason.split(" by ")[0] for reason in found.due] == ["it-IT regressed"]
    assert "newer clips" in found.due[0]


def test_like_calls_since_the_release_are_no_reason(home: WorkspaceFolder) -> None:
    Release(home, candidate="tuned", base="base").promote(override="test")
    then, today = _two_versions(home, worse=False)
    assert retraining_schedule.retraining_status(home, at_release=then, today=today).due == ()
    with pytest.raises(WorkbenchError, match="version 2 twice"):
        retraining_schedule.retraining_status(home, at_release=today, today=today)
    with pytest.raises(WorkbenchError, match="one suite run alone"):
        retraining_schedule.retraining_status(home, today=today)
    other = SuiteRun(today.suite, today.version, {"other": "f" * 64})
    with pytest.raises(WorkbenchError, match="is not in the run today"):
        retraining_schedule.retraining_status(home, at_release=then, today=other)
