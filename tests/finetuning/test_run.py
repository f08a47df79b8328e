"""Runs: killed and resumed they end as if nothing had happened; cancelled, queued, refused."""

from __future__ import annotations

import os
import signal
import time

import pytest

from workbench.errors import WorkbenchError
from workbench.finetuning import Registry, Run, start
from workbench.finetuning import folder as files
from workbench.finetuning.run import prepare
from workbench.workspace.slots import hold_slot

pytestmark = pytest.mark.model


def wait_for(condition, timeout_s=1500):
    """Wait for a moment in the run's life; the limit only ends a test that hangs."""
    limit = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < limit, "it never came"
        time.sleep(0.01)


def worker_of(run):
    """The worker's process id, from the handle that started it."""
    return run._process.pid


def losses(run):
    return run.metrics("train").set_index("step")["loss"]


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.mark.timeout(3000)  # five processes load NeMo; minutes each where the machine is busy
def test_killed_and_resumed_ends_like_an_unbroken_run(recipe, unbroken):
    from workbench.finetuning.worker import _run

    whole = prepare(recipe, unbroken / "whole", check=False)
    assert _run(whole.folder) == "finished"

    broken = start(recipe, unbroken / "broken")
    for step in (3, 7, 10):
        wait_for(lambda step=step: len(broken.metrics("train")) and losses(broken).index.max() >= step)
        os.kill(worker_of(broken), signal.SIGKILL)
        broken._process.wait()
        assert not broken.alive
        assert broken.state["status"] == "interrupted"
        broken.resume()
    assert broken.wait(1500)["status"] == "finished", broken.log_tail()

    first, second = losses(whole), losses(broken)
    assert list(second.index) == list(range(1, 13))  # no step twice, none missing
    assert second.to_numpy() == pytest.approx(first.to_numpy(), abs=1e-3)
    keys = ["step", "locale", "prompt_mode", "streaming", "cer", "wer", "utterances"]
    assert whole.metrics("validation")[keys].equals(broken.metrics("validation")[keys])
    assert whole.samples().equals(broken.samples())
    assert broken.state["attempts"] == 4
    assert sorted(path.name for path in broken.folder.checkpoints.glob(".*")) == []

    table = Registry(unbroken).table().set_index("run")
    assert list(table["status"]) == ["finished", "finished"]
    assert set(Registry(unbroken).compare("whole", "broken")["kind"]) <= {"provenance"}


def test_what_a_finished_run_leaves(unbroken, recipe):
    from workbench.recognizer.checkpoint import Checkpoint

    run = Run.attach(unbroken / "whole")
    assert run.checkpoint_path.name == "best.nemo"
    assert Checkpoint.open(run.checkpoint_path).info == replace_size(Checkpoint.open(recipe.base).info, run)
    table = run.metrics("validation")
    assert set(table["locale"]) == {"el-GR", "en-US", "it-IT"}
    assert set(zip(table["prompt_mode"], table["streaming"], strict=True)) == {
        ("langID", False), ("auto", False), ("langID", True),
    }  # fmt: skip
    assert sorted(set(table["step"])) == [0, 6, 12]
    train = run.metrics("train")
    assert train["learning_rate"].max() == pytest.approx(recipe.effective_peak())
    hours = run.consumed_hours()
    assert hours["hours"].sum() == pytest.approx(train["audio_s"].sum() / 3600, rel=1e-3)
    replayed = hours[hours["source"] == 1]["hours"].sum() / hours["hours"].sum()
    assert replayed == pytest.approx(0.5, abs=0.1)
    with pytest.raises(WorkbenchError, match="finished"):
        run.resume()
    again, changed = Registry(unbroken).reproduce("whole", "again")
    assert again.changed(name="tiny") == recipe
    assert not any("base" in line or "manifest" in line for line in changed)
    assert Registry(unbroken).continue_from("whole", "more").base == str(run.checkpoint_path)


def replace_size(info, run):
    """The same facts with the size of the run's own file: archives differ by a few bytes."""
    from dataclasses import replace

    return replace(info, size_bytes=run.checkpoint_path.stat().st_size)


@pytest.mark.parametrize("trains", ["encoder_frozen", "decoder_joint", "adapter", "lora"])
def test_frozen_weights_stay_and_a_cancelled_run_goes_on(recipe, tmp_path, trains):
    import torch

    from workbench.finetuning import model as models
    from workbench.finetuning.base import read_base
    from workbench.finetuning.worker import _run

    short = recipe.changed(trains=trains, steps=3, warmup_steps=1, validation=(), accumulate=2, adapter_dim=4)
    run = prepare(short, tmp_path / trains, check=False)
    run.cancel()
    assert _run(run.folder) == "cancelled"
    assert run.state["step"] == 1
    assert (run.folder.last).exists()
    run.folder.cancel.unlink()
    assert _run(run.folder) == "finished"
    assert list(losses(run).index) == [1, 2, 3]

    held = torch.load(run.folder.last, weights_only=True)["state_dict"]
    model = models.load(short, read_base(recipe.base), "cpu")
    assert set(held) == set(models.trained_state(model)), "what rests is in the base alone"
    if trains == "lora":
        assert {name.rsplit(".", 1)[1] for name in held if "layers." in name} == {"lora_down", "lora_up"}
        assert run.checkpoint_path.with_suffix(".adapter.pt").exists()
        return

    before = models.load(short, read_base(recipe.base), "cpu")
    after = models.load(short.changed(base=str(run.checkpoint_path)), read_base(run.checkpoint_path), "cpu")
    trained = {name for name, parameter in before.named_parameters() if parameter.requires_grad}
    old, new = before.state_dict(), after.state_dict()
    moved = {name for name in old if not torch.equal(old[name], new[name])}
    assert moved
    assert moved <= trained
    heads = {name.split(".")[0] for name in trained}
    expected = {
        "encoder_frozen": {"prompt_kernel", "decoder", "joint"},
        "decoder_joint": {"decoder", "joint"},
        "adapter": {"encoder"},
    }
    assert heads == expected[trains]
    if trains == "adapter":
        assert run.checkpoint_path.with_suffix(".adapter.pt").exists()


def test_a_run_waits_for_a_slot_and_can_be_cancelled_there(recipe, tmp_path):
    with hold_slot(tmp_path / "slots", 1):
        run = start(recipe, tmp_path / "run", slots=tmp_path / "slots", slot_count=1)
        wait_for(lambda: "preparing" not in run.state["status"] and run.alive)
        assert run.state["status"] == "queued"
        same = Run.attach(tmp_path / "run")
        assert same.alive
        with pytest.raises(WorkbenchError, match="still running"):
            same.resume()
        same.cancel()
        assert run.wait(120)["status"] == "cancelled"
    assert not same.alive
    with pytest.raises(WorkbenchError, match="holds a run"):
        start(recipe, tmp_path / "run")


def test_a_changed_manifest_or_plan_is_refused_on_resume(recipe, corpus, tmp_path):
    from workbench.finetuning.provenance import refuse_changes

    run = prepare(recipe, tmp_path / "run", check=False)
    refuse_changes(run.folder, recipe)
    run.folder.plan.write_bytes(run.folder.plan.read_bytes() + b" ")
    with pytest.raises(WorkbenchError, match="batch plan has changed"):
        refuse_changes(run.folder, recipe)


def test_a_full_disk_leaves_the_old_checkpoint_whole(recipe, tmp_path, monkeypatch):
    """A limit on file size makes real writes fail in the middle, as a full disk does."""
    import resource

    import torch

    from workbench.finetuning.worker import _failed, _run

    short = recipe.changed(validation=(), steps=6, save_every=1, warmup_steps=1)
    run = prepare(short, tmp_path / "run", check=False)
    run.cancel()
    assert _run(run.folder) == "cancelled"
    run.folder.cancel.unlink()
    size = run.folder.last.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, hard))
        with pytest.raises(Exception) as caught:  # torch's writer wraps the fault  # noqa: PT011
            _run(run.folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    _failed(run.folder, caught.value)
    assert run.state["status"] == "failed"
    assert "disk" in run.state["message"], run.state
    assert torch.load(run.folder.last, weights_only=True)["global_step"] == 1
    assert _run(run.folder) == "finished"
    assert list(losses(run).index) == [1, 2, 3, 4, 5, 6]


def test_torn_lines_are_skipped_and_later_steps_cut(tmp_path):
    path = tmp_path / "metrics.jsonl"
    files.append(path, [{"step": 1}, {"step": 2}, {"step": 3}])
    with path.open("a") as stream:
        stream.write('{"step": 4, "lo')
    assert [record["step"] for record in files.records(path)] == [1, 2, 3]
    files.cut_after(path, 2)
    files.append(path, [{"step": 3}])
    assert [record["step"] for record in files.records(path)] == [1, 2, 3]
