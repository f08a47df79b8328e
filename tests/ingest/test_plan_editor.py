"""The plan editor without a browser: corrections, sound, import, cancel."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.widgets.import_plan import PlanEditor

ROWS = 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Recordings and a table whose columns no guess knows; one recording is missing."""
    source = tmp_path / "calls"
    source.mkdir()
    rng = np.random.default_rng(0)
    with (source / "table.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["recording", "wortlaut", "notes", "language"])
        for i in range(ROWS):
            if i != 3:
                soundfile.write(source / f"{i}.wav", 0.1 * rng.standard_normal(8000), 8000)
            writer.writerow([f"{i}.wav", f"Guten Tag {i}", f"note {i}", "Danish"])
    return source


@pytest.fixture
def workspace(tmp_path: Path) -> wb.Workspace:
    return wb.Workspace(tmp_path / "ws")


def ask(view: PlanEditor, question: str, body: dict[str, Any]) -> dict[str, Any]:
    """A question as the browser asks it, and the answer once it is there."""
    sent: list[dict[str, Any]] = []
    view.send = lambda content, buffers=None: sent.append(content)  # type: ignore[method-assign]
    view._receive(view, {"ask": f"{question}-{time.monotonic_ns()}", "question": question, "body": body}, [])
    for _ in range(1_000):
        if found := [one for one in sent if "answer" in one]:
            return found[0]
        time.sleep(0.01)
    raise AssertionError(f"no answer to {question}")


def until(view: PlanEditor, *steps: str) -> str:
    for _ in range(2_000):
        if view.state["step"] in steps:
            return str(view.state["step"])
        time.sleep(0.01)
    raise AssertionError(view.state["step"])


def test_corrected_then_imported(folder: Path, workspace: wb.Workspace) -> None:
    mapping = {"audio_filepath": "recording", "text": "notes"}
    view = workspace.plan_import("calls", folder / "table.csv", mapping=mapping)
    assert view.plan.mapping["text"] == "notes"
    assert "error" not in ask(view, "change", {"feeds": {"wortlaut": "text"}})
    assert view.plan.mapping["text"] == "wortlaut"
    assert view.state["plan"]["examples"][0]["text"] == "Guten Tag 0"
    notes = next(one for one in view.state["plan"]["columns"] if one["name"] == "notes")
    assert notes["feeds"] == ""
    samples, rate = view.load_audio("0")
    assert len(samples) == rate
    with pytest.raises(WorkbenchError):
        view.load_audio("3")
    assert not workspace.corpus_names()
    ask(view, "import", {"name": "danish"})
    assert until(view, "imported", "failed") == "imported", view.state["message"]
    assert view.corpus is not None
    assert view.corpus.facts["plan"]["mapping"]["text"] == "wortlaut"
    assert len(workspace.corpus("danish")) == ROWS
    assert [row["text"] for row in view.corpus.page(0, 1)] == ["Guten Tag 0"]
    assert "already" in ask(view, "import", {"name": "danish"})["error"]


def test_a_column_can_be_told_to_ride_along(folder: Path, workspace: wb.Workspace) -> None:
    given = {"audio_filepath": "recording", "text": "wortlaut"}
    view = workspace.plan_import("calls", folder / "table.csv", mapping=given)
    assert view.plan.mapping["target_lang"] == "language"
    ask(view, "change", {"feeds": {"language": ""}})
    assert view.plan.mapping["target_lang"] == ""
    assert view.plan.questions
    ask(view, "change", {"locale": "da-DK"})
    assert not view.plan.questions
    ask(view, "import", {})
    assert until(view, "imported", "failed") == "imported", view.state["message"]
    assert {row["target_lang"] for row in view.corpus.page(0, ROWS)} == {"da-DK"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "body",
    [{"feeds": {"nothing": "text"}}, {"feeds": {"notes": "mood"}}, {"locale": "xx-YY"}, {"audio_root": "/no"},
     {"tags": {"Danish": "den"}}],
)  # fmt: skip
def test_a_wrong_correction_is_refused_and_changes_nothing(
    folder: Path, workspace: wb.Workspace, body: dict[str, Any]
) -> None:
    given = {"audio_filepath": "recording", "text": "wortlaut"}
    view = workspace.plan_import("calls", folder / "table.csv", mapping=given)
    before = view.plan.to_dict()
    assert ask(view, "change", body)["error"]
    assert view.plan.to_dict() == before


def test_a_cancelled_import_leaves_nothing(
    folder: Path, workspace: wb.Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"audio_filepath": "recording", "text": "wortlaut"}
    view = workspace.plan_import("calls", folder / "table.csv", mapping=given)
    monkeypatch.setattr(view, "run_in_queue", lambda _queue, work: (view._cancel.set(), work()))
    ask(view, "import", {})
    assert until(view, "cancelled", "imported", "failed") == "cancelled"
    assert not workspace.corpus_names()
    assert not workspace.corpus_folder("calls").exists()
    monkeypatch.undo()
    ask(view, "import", {})
    assert until(view, "imported", "failed") == "imported", view.state["message"]


def test_a_failed_import_says_why(folder: Path, workspace: wb.Workspace) -> None:
    given = {"audio_filepath": "recording", "text": "wortlaut"}
    view = workspace.plan_import("calls", folder / "table.csv", mapping=given)
    for file in folder.glob("*.wav"):
        file.unlink()
    ask(view, "import", {})
    assert until(view, "imported", "failed") == "failed"
    assert "every recording is missing" in view.state["message"]
    assert not workspace.corpus_names()


def test_the_static_form_escapes(folder: Path, workspace: wb.Workspace) -> None:
    rows = [{"audio_filepath": str(folder / "0.wav"), "text": "<img src=x onerror=alert(1)>"}]
    view = workspace.plan_import("calls", rows)
    assert "<img" not in view.static_html()
    assert "&lt;img" in view.static_html()
