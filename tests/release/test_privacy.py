"""Erasure: what a dry run finds, what is gone afterwards, what stays whole, and what survives a kill."""

from __future__ import annotations

import json
import os
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from erasable import RATE, SENTENCE, SHARED, filled, row, traces_in

from workbench.corpus.importing import import_source
from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.files import sha256_file, write_atomic
from workbench.privacy import erasure, tainted_checkpoints
from workbench.privacy.erasure import certificates, erase, plan_erasure, plan_expired, with_terms
from workbench.privacy.suppression_list import suppressed
from workbench.workspace.folder import WorkspaceFolder
from workbench.workspace.roles import adopt


@pytest.fixture
def home(ws: WorkspaceFolder) -> WorkspaceFolder:
    return filled(ws)


def test_the_dry_run_finds_everything_and_touches_nothing(home: WorkspaceFolder) -> None:
    before = {p: p.read_bytes() for p in home.path.rglob("*") if p.is_file() and "sqlite" not in p.name}
    plan = plan_erasure(home, speaker="Maria")
    assert plan.utterances == 4
    found = {(t.where, t.path.name, t.action) for t in plan.traces}
    assert found >= {
        ("audio", "maria-0.wav", "delete"),
        ("audio", "talk.wav", "silence"),
        ("table", "utterances.parquet", "drop rows"),
        ("predictions", "base.parquet", "drop rows"),
        ("corpus", "decisions.sqlite", "erase decisions"),
        ("export", "first", "delete"),
        ("run", "plan.parquet", "drop rows"),
        ("run", "samples.jsonl", "drop lines"),
        ("run", "run.log", "drop lines"),
        ("report", "errors.html", "delete"),
    }
    assert not any(t.path.name == "other.html" for t in plan.traces)
    assert len(plan.marked) == 2
    after = {p: p.read_bytes() for p in home.path.rglob("*") if p.is_file() and "sqlite" not in p.name}
    assert after == before
    assert set(plan.frame()["action"]) >= {"mark", "delete", "drop rows"}
    assert "Maria" not in str(plan)


def test_erasure_leaves_no_trace_of_one_and_all_of_the_other(home: WorkspaceFolder) -> None:
    shared_before = soundfile.read(home.path / "recordings" / "talk.wav")[0]
    plan = plan_erasure(home, speaker="Maria")
    certificate = erase(home, plan)
    said = [f"{SENTENCE['Maria']} 1", f"{SENTENCE['Maria']} 2", "nine four eight"]
    assert traces_in(home.path, "Maria", "maria-0", "maria-1", "maria-2", *said) == []
    corpus = Corpus.open(home.corpus_folder("calls"))
    assert sorted(corpus.ids()) == ["B0", "B1", "B2", "B9"]
    assert corpus.row("B1")["tags"] == ["clear"]
    assert corpus.row("B0")["text"] == SHARED
    assert list(pd.read_parquet(corpus.folder / "predictions" / "base.parquet")["id"]) == [
        "B0",
        "B1",
        "B2",
        "B9",
    ]
    assert not (corpus.folder / "exports" / "first").exists()
    assert (home.run_folder("greek") / "run.log").read_text() == "start\nend\n"
    assert (home.reports / "other.html").exists()
    kept = soundfile.read(home.path / "recordings" / "talk.wav")[0]
    assert not kept[:RATE].any()
    assert np.array_equal(kept[RATE:], shared_before[RATE:])
    assert certificate.remaining == 0
    assert certificate.utterances == 4
    assert home.ledger.verify().ok
    assert not list((home.path / "erasures").glob("*.pending.json"))


def test_the_certificate_names_nobody_and_an_edited_one_is_found(home: WorkspaceFolder) -> None:
    certificate = erase(home, plan_erasure(home, speaker="Maria"))
    text = certificate.to_json()
    assert "Maria" not in text
    assert "maria" not in text
    assert certificate.subject == home.pseudonym("speaker", "Maria")
    assert certificates(home) == [certificate]
    path = home.path / "erasures" / f"{certificate.id}.json"
    write_atomic(path, text.replace('"remaining": 0', '"remaining": 7'))
    with pytest.raises(WorkbenchError, match="was changed"):
        certificates(home)


def test_checkpoints_trained_on_it_and_their_children_are_marked(home: WorkspaceFolder) -> None:
    certificate = erase(home, plan_erasure(home, speaker="Maria"))
    digests = {
        n: sha256_file(home.run_folder(n) / "checkpoints" / "best.nemo") for n in ("greek", "child", "clean")
    }
    assert set(tainted_checkpoints.read(home)) == {digests["greek"], digests["child"]}
    assert set(certificate.marked_checkpoints) == {digests["greek"], digests["child"]}


def test_a_single_recording_goes_and_the_speaker_stays(home: WorkspaceFolder) -> None:
    certificate = erase(home, plan_erasure(home, recording="maria-2.wav"))
    assert certificate.utterances == 1
    assert sorted(Corpus.open(home.corpus_folder("calls")).ids()) == [
        "B0",
        "B1",
        "B2",
        "B9",
        "M0",
        "M1",
        "M9",
    ]
    assert suppressed(home, [row("M5", "maria-5.wav", "hello", "Maria")]) == []


def test_a_source_goes_whole(home: WorkspaceFolder) -> None:
    certificate = erase(home, plan_erasure(home, source="hotline"))
    assert certificate.utterances == 8
    assert traces_in(home.path, "Maria", "Bob", "account number") == []


def test_recordings_outside_the_workspace_need_a_word_of_their_own(
    ws: WorkspaceFolder, tmp_path: Path
) -> None:
    outside = tmp_path / "archive"
    outside.mkdir()
    soundfile.write(outside / "m.wav", np.zeros(RATE), RATE)
    (outside / "manifest.jsonl").write_text(
        json.dumps(row("M0", "m.wav", "hello there my friend", "Maria")) + "\n"
    )
    other = row("B0", "b.wav", "good day to you sir", "Bob")
    soundfile.write(outside / "b.wav", np.zeros(RATE), RATE)
    with (outside / "manifest.jsonl").open("a") as stream:
        stream.write(json.dumps(other) + "\n")
    import_source(outside / "manifest.jsonl", ws.corpus_folder("calls"), name="calls")
    certificate = erase(ws, plan_erasure(ws, recording="m.wav"))
    assert (outside / "m.wav").exists()
    assert sum(certificate.left.values()) == 2
    again = plan_erasure(ws, recording="b.wav", originals=True)
    assert ("audio", "delete") in {(t.where, t.action) for t in again.traces}
    erase(ws, again)
    assert not (outside / "b.wav").exists()


def test_unknown_names_and_unclear_requests_are_refused(home: WorkspaceFolder) -> None:
    with pytest.raises(WorkbenchError, match="no utterance of this speaker"):
        plan_erasure(home, speaker="Nobody")
    with pytest.raises(WorkbenchError, match="name one"):
        plan_erasure(home)
    with pytest.raises(WorkbenchError, match="name one"):
        plan_erasure(home, speaker="Maria", source="hotline")


def test_a_speaker_that_a_reviewer_named_is_found_too(home: WorkspaceFolder) -> None:
    corpus = Corpus.open(home.corpus_folder("calls"))
    corpus.decisions.edit(["B2"], "speaker", "Maria")
    assert plan_erasure(home, speaker="Maria").utterances == 5


def test_keeping_time_runs_from_the_recording_or_the_import(home: WorkspaceFolder) -> None:
    assert plan_expired(home) is None
    home.set_terms("hotline", keep_days=30)
    assert plan_expired(home) is None
    late = datetime(2990, 1, 1, tzinfo=UTC)
    plan = plan_expired(home, now=late)
    assert plan is not None
    assert plan.utterances == 8
    assert erase(home, plan).remaining == 0
    assert plan_expired(home, now=late) is None


def test_terms_of_a_source_fill_what_rows_do_not_say(home: WorkspaceFolder) -> None:
    home.set_terms("hotline", license="internal", consent="contract", purpose="training")
    rows = pd.DataFrame({"id": ["a", "b"], "source": ["hotline", "web"], "license": ["CC0-1.0", None]})
    filled = with_terms(home, rows)
    assert filled["license"].fillna("?").tolist() == ["CC0-1.0", "?"]
    assert filled["consent"].fillna("?").tolist() == ["contract", "?"]


def test_only_a_steward_erases(
    home: WorkspaceFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORKBENCH_USER", "ben")
    path = tmp_path / "roles.yaml"
    path.write_text("people:\n  ben: [steward]\n  eve: [releaser]\n")
    adopt(home, path)
    plan = plan_erasure(home, speaker="Maria")
    monkeypatch.setenv("WORKBENCH_USER", "eve")
    with pytest.raises(WorkbenchError, match="eve lacks the steward"):
        erase(home, plan)
    assert len(Corpus.open(home.corpus_folder("calls")).ids()) == 8


def test_drafts_of_writes_that_were_cut_off_go_too(home: WorkspaceFolder) -> None:
    folder = home.corpus_folder("calls")
    packed, plain, young, old = (
        folder / f".{n}.part" for n in ("a.parquet.x", "b.json.x", "c.json.x", "d.x")
    )
    shutil.copy(folder / "utterances.parquet", packed)
    plain.write_text("a remark of Maria")
    young.write_text("someone else's, being written")
    old.write_text("someone else's, of a job long dead")
    os.utime(old, (1, 1))
    (home.path / "erasures").mkdir(mode=0o700)
    request = home.path / "erasures" / ".erasure-0.pending.json.x.part"
    request.write_text('{"value": "Maria"')
    assert erase(home, plan_erasure(home, speaker="Maria")).remaining == 0
    assert [p.exists() for p in (packed, plain, young, old, request)] == [False, False, True, False, False]


def test_erasures_cut_off_are_completed_once_by_two_sessions_at_once(home: WorkspaceFolder) -> None:
    plan = plan_erasure(home, speaker="Maria")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(erasure, "_carry_out", lambda *_: None)
        erasure.erase(home, plan)
    made: list[int] = []
    threads = [
        threading.Thread(target=lambda: made.append(len(erasure.finish_erasures(WorkspaceFolder(home.path)))))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [0, 0, 1]
    assert len(certificates(home)) == 1
    assert home.ledger.verify().ok
