"""Several processes, and other precisions, as far as a machine without a GPU can show them."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.finetuning import Augmentation, start
from workbench.finetuning import folder as files

pytestmark = pytest.mark.model


def plain(recipe, **changes):
    """No chance but what the batch's number seeds: the look-ahead of each batch."""
    values = {"augmentation": Augmentation(freq_masks=0, time_masks=0), "dropout": 0.0, "validation": ()}
    return recipe.changed(**{**values, "steps": 3, "warmup_steps": 1, "save_every": 1, **changes})


@pytest.mark.timeout(1500)
def test_two_processes_learn_what_one_does_that_accumulates_two(recipe, tmp_path):
    """Lightning's DDP over gloo: the second process is started by the first, and no lock or state is torn."""
    import torch

    alone = start(plain(recipe, accumulate=2), tmp_path / "alone")
    together = start(plain(recipe, devices=2), tmp_path / "together")
    for run in (alone, together):
        assert run.wait(1200)["status"] == "finished", run.log_tail()
    first, second = (run.metrics("train") for run in (alone, together))
    assert list(second["step"]) == [1, 2, 3]
    assert second["loss"].to_numpy() == pytest.approx(first["loss"].to_numpy(), rel=1e-4)
    assert second["audio_s"].to_numpy() == pytest.approx(first["audio_s"].to_numpy())
    weights = [torch.load(run.folder.last, weights_only=True)["state_dict"] for run in (alone, together)]
    for name, value in weights[0].items():
        np.testing.assert_allclose(value.float().numpy(), weights[1][name].float().numpy(), atol=1e-5)


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true"])
def test_half_precision_trains(recipe, tmp_path, precision):
    from workbench.finetuning.run import prepare
    from workbench.finetuning.worker import _run

    run = prepare(plain(recipe, precision=precision, steps=2), tmp_path / "run", check=False)
    assert _run(run.folder) == "finished"
    assert np.isfinite(run.metrics("train")["loss"]).all()


def test_a_gpu_that_is_not_there_is_said(recipe, tmp_path):
    import torch

    from workbench.errors import WorkbenchError
    from workbench.finetuning.worker import _device

    if torch.cuda.is_available():
        assert _device(recipe.changed(device="cuda")) == "cuda"
    else:
        with pytest.raises(WorkbenchError, match="no CUDA device"):
            _device(recipe.changed(device="cuda"))


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0", "NODE_RANK": "0"}, True),
        ({"LOCAL_RANK": "1"}, False),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, False),
        ({"RANK": "2", "LOCAL_RANK": "0"}, False),
        ({"RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"SLURM_PROCID": "3"}, False),
    ],
)
def test_the_first_of_several_processes_is_known(variables, first, monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert files.is_first_rank() is first
