"""Promotion and roll-back: which bytes are served, who may move them, and what survives a kill."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from promoting import gated, promote, released, roll_back, served, sha256

from workbench.errors import WorkbenchError
from workbench.privacy import tainted_checkpoints
from workbench.release.promotion import MOVED, pointers, stage, stored, verify
from workbench.workspace.folder import WorkspaceFolder


def test_promotion_and_roll_back_restore_the_bytes(ws: WorkspaceFolder, checkpoints: dict[str, Path]) -> None:
    released(ws, checkpoints, "base", "tuned")
    assert served(ws) == sha256(checkpoints["tuned"])
    assert served(ws, "previous") == sha256(checkpoints["base"])
    assert not (ws.releases / "current" / "candidate.nemo").exists()
    back = roll_back(ws)
    assert back.production is not None
    assert back.production.name == "base"
    assert served(ws) == sha256(checkpoints["base"])
    assert served(ws, "previous") == sha256(checkpoints["tuned"])
    assert verify(ws) == []
    assert [e.payload["move"] for e in ws.ledger.events(kind=MOVED) if e.payload] == [
        "stage", "promote", "stage", "promote", "roll_back",
    ]  # fmt: skip
    assert ws.ledger.verify().ok


def test_nothing_goes_out_without_a_gate_that_passes(
    ws: WorkspaceFolder, checkpoints: dict[str, Path]
) -> None:
    with pytest.raises(WorkbenchError, match="no candidate"):
        promote(ws)
    stage(ws, "tuned", checkpoints["tuned"])
    with pytest.raises(WorkbenchError, match="not gated"):
        promote(ws)
    gated(ws, checkpoints["base"])
    with pytest.raises(WorkbenchError, match="not gated"):
        promote(ws)
    gated(ws, checkpoints["tuned"], "fail")
    with pytest.raises(WorkbenchError, match="gate says fail"):
        promote(ws)
    gated(ws, checkpoints["tuned"])
    gated(ws, checkpoints["tuned"], "not enough data".replace(" ", "-"))
    with pytest.raises(WorkbenchError, match="gate says"):
        promote(ws)
    assert pointers(ws).production is None


def test_an_override_goes_out_and_is_recorded_as_one(
    ws: WorkspaceFolder, checkpoints: dict[str, Path]
) -> None:
    stage(ws, "tuned", checkpoints["tuned"])
    after = promote(ws, override="outage of the base, agreed by phone")
    assert after.production is not None
    assert after.production.reason == "outage of the base, agreed by phone"
    event = ws.ledger.latest(MOVED)
    assert event is not None
    assert event.payload is not None
    assert event.payload["override"] is True
    assert "phone" not in str(event)


def test_a_checkpoint_swapped_after_its_gate_is_refused(
    ws: WorkspaceFolder, checkpoints: dict[str, Path]
) -> None:
    stage(ws, "tuned", checkpoints["tuned"])
    gated(ws, checkpoints["tuned"])
    path = stored(ws, sha256(checkpoints["tuned"]))
    path.chmod(0o600)
    shutil.copyfile(checkpoints["base"], path)
    with pytest.raises(WorkbenchError, match="do not match its hash"):
        promote(ws)
    assert pointers(ws).production is None
    assert any("candidate" in fault for fault in verify(ws))


def test_roll_back_to_damaged_bytes_is_refused_and_production_stays(
    ws: WorkspaceFolder, checkpoints: dict[str, Path]
) -> None:
    with pytest.raises(WorkbenchError, match="no previous release"):
        roll_back(ws)
    released(ws, checkpoints, "base", "tuned")
    path = stored(ws, sha256(checkpoints["base"]))
    path.chmod(0o600)
    with path.open("r+b") as stream:
        stream.seek(1000)
        stream.write(b"flip")
    with pytest.raises(WorkbenchError, match="do not match its hash"):
        roll_back(ws)
    assert served(ws) == sha256(checkpoints["tuned"])
    path.unlink()
    with pytest.raises(WorkbenchError, match="is missing"):
        roll_back(ws)
    assert any("previous" in fault for fault in verify(ws))


def test_pointers_edited_on_disk_are_found(ws: WorkspaceFolder, checkpoints: dict[str, Path]) -> None:
    released(ws, checkpoints, "base", "tuned")
    path = (ws.releases / "current" / "pointers.json").resolve()
    path.write_text(path.read_text().replace("tuned", "nicer"))
    with pytest.raises(WorkbenchError, match="changed outside"):
        pointers(ws)
    assert verify(ws)


def test_a_link_turned_by_hand_is_turned_back(ws: WorkspaceFolder, checkpoints: dict[str, Path]) -> None:
    released(ws, checkpoints, "base", "tuned")
    current = ws.releases / "current"
    current.unlink()
    current.symlink_to("generations/000002")
    assert served(ws) == sha256(checkpoints["base"])
    pointers(ws)
    assert served(ws) == sha256(checkpoints["tuned"])
    link = ws.releases / "current" / "production.nemo"
    link.unlink()
    link.symlink_to(checkpoints["base"])
    assert verify(ws) == ["production: its link points elsewhere"]


def test_training_data_erased_since_blocks_promotion_even_by_override(
    ws: WorkspaceFolder, checkpoints: dict[str, Path]
) -> None:
    stage(ws, "tuned", checkpoints["tuned"])
    gated(ws, checkpoints["tuned"])
    tainted_checkpoints.add(ws, [sha256(checkpoints["tuned"])], "certificate-1")
    for override in (None, "please"):
        with pytest.raises(WorkbenchError, match="certificate-1"):
            promote(ws, override=override)


def test_promoting_what_is_in_production_keeps_the_way_back(
    ws: WorkspaceFolder, checkpoints: dict[str, Path]
) -> None:
    released(ws, checkpoints, "base", "tuned", "tuned")
    assert served(ws) == sha256(checkpoints["tuned"])
    assert served(ws, "previous") == sha256(checkpoints["base"])
    assert roll_back(ws).production == pointers(ws).production
    assert served(ws) == sha256(checkpoints["base"])
