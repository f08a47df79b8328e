"""Transcripts and speakers lie where docs/governance.md says, and nowhere else: no log, traceback, ledger,
run folder, suite, release or temporary file holds one after a workspace was worked with."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from small_workspace import small_workspace

import workbench as wb
from workbench.privacy.erasure import erase, plan_erasure

NEEDLES = ("is here", "was here", "Edited.", "speaker 1")
PLACES = ("corpora/", "exports/", "recordings/", "reports/errors.")
"""Where docs/governance.md says that they lie."""
POLICY = "checks:\n- {kind: erasure}\n- {kind: not_worse}\n- {kind: leakage}\n"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    tempfile.tempdir = None


def holders(folder: Path) -> list[str]:
    """Files below a folder that hold one of the needles; tables are read, not searched."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".wav", ".nemo")):
        table = path.suffix == ".parquet"
        data = pd.read_parquet(path).to_json(force_ascii=False).encode() if table else path.read_bytes()
        found += [path.relative_to(folder).as_posix()] if any(n.encode() in data for n in NEEDLES) else []
    return found


def worked_with(ws: wb.Workspace) -> list[str]:
    """A working day without a recognizer; what every call that was refused says, with its traceback."""
    corpus = ws.corpus("calls")
    evaluation = wb.evaluate(corpus, "base", "tuned")
    evaluation.report(ws.reports / "errors.html")
    wb.run_checks(corpus)
    ws.suite("pilot").create(["calls"])
    release = ws.release("base", base="base")
    refused: list[Callable[[], Any]] = [
        lambda: release.gate(wb.Policy.from_yaml(POLICY), evaluation=evaluation),
        lambda: corpus.where("text = (select 1)"),
        lambda: corpus.row("clip/99"),
        lambda: evaluation.alignment("base", "clip/99"),
        lambda: ws.import_corpus(
            "bad", [{"text": "The sea is here.", "speaker": "speaker 1", "duration": -1}]
        ),
        lambda: ws.import_prediction(corpus, {"none": "The sea is here."}, "nothing"),
        lambda: corpus.export(ws.path / "exports" / "calls"),
        lambda: corpus.edit("target_lang", "nowhere"),
        lambda: ws.finetune(ws.run("small").recipe, "small"),
        lambda: wb.score_nothing(),  # type: ignore[attr-defined]
    ]
    told = []
    for call in refused:
        try:
            call()
        except Exception:
            told.append(traceback.format_exc())
    with contextlib.suppress(wb.WorkbenchError):
        ws.release("base", base="base").card()
    ws.retraining_status()
    ws.overview()
    ws.verify()
    return told


def test_text_lies_where_it_may(
    tmp_path: Path, temporary: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        ws = small_workspace(tmp_path / "ws")
        told = worked_with(ws)
    places = holders(ws.path)
    assert [name for name in places if not name.startswith(PLACES)] == []
    assert {name.split("/")[0] for name in places} >= {"corpora", "exports", "recordings", "reports"}
    assert holders(temporary) == []
    assert len(told) > 5
    source = "lambda: ws.import_"  # what this test itself wrote into its lines
    for text in [*told, caplog.text, *capfd.readouterr()]:
        lines = [line for line in text.splitlines() if source not in line]
        assert [line for line in lines if any(needle in line for needle in NEEDLES)] == []


def test_who_was_erased_is_named_nowhere(tmp_path: Path, temporary: Path) -> None:
    ws = small_workspace(tmp_path / "ws")
    worked_with(ws)
    done = erase(ws, plan_erasure(ws, speaker="speaker 1", originals=False))
    assert done.remaining == 0
    evaluation = wb.evaluate(ws.corpus("calls"), "base", "tuned")
    evaluation.report(ws.reports / "after.html")
    texts = [
        *(
            (ws.reports / name).read_text("utf-8")
            for name in ("errors.html", "after.html")
            if (ws.reports / name).exists()
        ),
        *(
            str(part)
            for part in (ws.release("base", base="base"), ws.overview(), ws.verify(), ws.retraining_status())
        ),
    ]
    assert not [text for text in texts if "speaker 1" in text]
    assert not any("speaker 1" in str(event) for event in ws.ledger.events())
    kept = {name for name in holders(ws.path) if b"speaker 1" in (ws.path / name).read_bytes()}
    assert {name for name in kept if not name.startswith("recordings/")} == set()
