"""An erasure and those who write what they read from rows: one after the other, never through each other."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from erasable import filled

from workbench.corpus.importing import remove
from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.locks import alone, erasure_lock, unerased
from workbench.privacy import erasure
from workbench.privacy.erasure import certificates, erase, finish_erasures, plan_erasure
from workbench.workspace.folder import WorkspaceFolder


def test_an_erasure_waits_for_who_writes_and_says_so_where_that_lasts(
    ws: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "WAIT_S", 0.1)
    plan = plan_erasure(filled(ws), speaker="Maria")
    held, done = threading.Event(), threading.Event()

    def write() -> None:
        with unerased(ws.corpus_folder("calls")), unerased(ws.corpus_folder("other")):
            held.set()
            done.wait(30)

    writer = threading.Thread(target=write)
    writer.start()
    held.wait(30)
    with pytest.raises(WorkbenchError, match="still writing"):
        erase(ws, plan)
    done.set()
    writer.join()
    assert erase(ws, plan).remaining == 0


def test_an_export_waits_for_an_erasure(ws: WorkspaceFolder, tmp_path: Path) -> None:
    corpus = Corpus.open(filled(ws).corpus_folder("calls"))
    made = threading.Thread(target=lambda: corpus.export(tmp_path / "out", only="not_rejected"))
    with alone(erasure_lock(ws.path)):
        made.start()
        made.join(0.5)
        assert made.is_alive()
        assert not (tmp_path / "out").exists()
    made.join(30)
    assert (tmp_path / "out" / "export.json").exists()


def test_outside_a_workspace_nobody_waits(tmp_path: Path) -> None:
    with alone(tmp_path / "locks" / "erasure"), unerased(tmp_path / "calls"):
        pass


def test_a_corpus_that_went_meanwhile_stops_no_erasure(ws: WorkspaceFolder) -> None:
    plan = plan_erasure(filled(ws), speaker="Maria")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(erasure, "_carry_out", lambda *_: None)
        erase(ws, plan)
    remove(ws.corpus_folder("calls"))
    assert [made.id for made in finish_erasures(ws)] == [plan.id]
    assert len(certificates(ws)) == 1
