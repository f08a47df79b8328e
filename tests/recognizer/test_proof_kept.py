"""A long proof that was broken off goes on where it was, and forgets what another checkpoint gave."""

from __future__ import annotations

import shutil

from evidence import CHECKPOINT, Progress

from workbench.recognizer.checkpoint import Checkpoint


def test_a_broken_off_proof_goes_on(tmp_path):
    checkpoint = Checkpoint.open(CHECKPOINT)
    first = Progress("proof", checkpoint, tmp_path)
    first.add("560 a", {"tokens": 3})
    first.add("560 b", {"tokens": 4})
    # The machine stopped in the middle of a line.
    with first.path.open("a") as file:
        file.write('{"key": "560 c", "tok')
    second = Progress("proof", checkpoint, tmp_path)
    assert [entry["tokens"] for entry in second.done.values()] == [3, 4]
    second.add("560 c", {"tokens": 5})
    assert list(Progress("proof", checkpoint, tmp_path).done) == ["560 a", "560 b", "560 c"]


def test_results_of_another_checkpoint_or_other_code_do_not_count(tmp_path, monkeypatch):
    checkpoint = Checkpoint.open(CHECKPOINT)
    Progress("proof", checkpoint, tmp_path).add("560 a", {"tokens": 3})
    other = tmp_path / "other.nemo"
    shutil.copy(CHECKPOINT, other)
    with other.open("ab") as file:
        file.write(bytes(512))
    assert Progress("proof", Checkpoint.open(other), tmp_path).done == {}
    monkeypatch.setattr(Progress, "DECODING", ("clips", "engine"))
    assert Progress("proof", checkpoint, tmp_path).done == {}
