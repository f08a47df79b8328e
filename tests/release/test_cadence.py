"""When retraining is due, and where the overview says so."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from candidates import POLICY

from workbench.api import Workspace
from workbench.corpus.query.table import Corpus
from workbench.release import Release, retraining_schedule
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


def test_a_slice_that_slipped_is_named(home: WorkspaceFolder) -> None:
    evaluation = Release(home, candidate="tuned", base="base").evaluation()
    assert retraining_schedule.regressed(evaluation, "base", "tuned", 0.02) == []
    reasons = retraining_schedule.regressed(evaluation, "tuned", "base", 0.02)
    assert len(reasons) == 1
    assert reasons[0].startswith("it-IT regressed by ")
