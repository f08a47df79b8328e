"""The way of a candidate with the starter checkpoint: gate, promote, roll back, measure."""

from __future__ import annotations

import hashlib

import pytest
from candidates import POLICY, on_suite

from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.privacy import tainted_checkpoints
from workbench.release import Release
from workbench.release.gates import FAIL, PASS
from workbench.release.promotion import GATED, pointers, verify
from workbench.workspace.folder import WorkspaceFolder


def test_gate_promote_and_roll_back_by_name(home: WorkspaceFolder) -> None:
    first = Release(home, candidate="base", base="tuned")
    assert first.gate(POLICY).verdict == FAIL
    with pytest.raises(WorkbenchError, match="gate says fail"):
        first.promote()
    first.promote(override="first release, nothing to compare with")
    release = Release(home, candidate="tuned", base="base")
    assert release.gate(POLICY).verdict == PASS
    with pytest.raises(WorkbenchError, match="picked by hand, not on a suite"):
        release.promote()
    run = on_suite(home)
    report = release.gate(POLICY, run)
    assert report.verdict == PASS, str(report)
    assert report.candidate_sha256 == release.candidate_sha256
    event = home.ledger.latest(GATED)
    assert event is not None
    assert event.payload is not None
    text = (home.reports / "gates" / f"{event.payload['report']}.json").read_bytes()
    assert hashlib.sha256(text).hexdigest() == event.payload["report"]
    # The first was gated on predictions picked by hand: its figures are not held against those of a suite.
    assert any(line.startswith("Figures are not compared: ") for line in release.changes())
    assert release.promote().production == pointers(home).production
    assert release.roll_back().production == pointers(home).production
    now = pointers(home).production
    assert now is not None
    assert now.sha256 == first.candidate_sha256
    assert verify(home) == []
    assert home.ledger.verify().ok


def test_unknown_names_and_missing_predictions_say_what_there_is(home: WorkspaceFolder) -> None:
    with pytest.raises(WorkbenchError, match="There is base, tuned"):
        Release(home, candidate="nobody", base="base")
    (home.corpora / "calls" / "predictions" / "base.parquet").unlink()
    with pytest.raises(WorkbenchError, match="Transcribe with both"):
        Release(home, candidate="tuned", base="base").gate(POLICY)


def test_a_mark_set_after_the_gate_blocks_and_fails_the_next_gate(home: WorkspaceFolder) -> None:
    release = Release(home, candidate="tuned", base="base")
    release.gate(POLICY)
    tainted_checkpoints.add(home, [release.candidate_sha256], "erasure-1")
    with pytest.raises(WorkbenchError, match="erasure-1"):
        release.promote()
    assert release.gate("checks:\n- kind: erasure\n").verdict == FAIL


@pytest.mark.model
def test_latency_and_memory_are_measured_in_a_process_of_its_own(home: WorkspaceFolder) -> None:
    release = Release(home, candidate="tuned", base="base")
    found = release.measure(Corpus.open(home.corpus_folder("calls")).where("duration < 3"), clips=2)
    assert found.checkpoint_sha256 == release.candidate_sha256
    assert found.lookahead_ms == 560
    assert found.audio_s > 0
    assert found.real_time_factor > 0
    assert found.memory_mib > 100
    assert found.weights_mib > 0
    assert found.loading_mib > 100
    report = release.gate("checks:\n- {kind: memory, maximum_mib: 100}\n")
    assert report.verdict == FAIL
    with pytest.raises(WorkbenchError, match="measuring failed"):
        release.measure(Corpus.open(home.corpus_folder("calls")), clips=1, lookahead_ms=123)
