"""Launch scripts: what stands in them, and that torchrun's really trains the run of its folder."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest

from workbench.errors import WorkbenchError
from workbench.finetuning import Run
from workbench.finetuning.launch import SLURM, TORCHRUN, prepare_launch, slurm_script, torchrun_script

pytestmark = pytest.mark.model


def test_a_slurm_script_asks_for_what_the_recipe_says(recipe, tmp_path):
    asked = recipe.changed(devices=8, nodes=2, device="cuda", loader_workers=6)
    folder = tmp_path / "my run"
    text = slurm_script(
        asked, tmp_path / "run", {"partition": "gpu", "time": "24:00:00"}, ["module load cuda"], "/opt/py"
    )
    lines = text.splitlines()
    for option in (
        "nodes=2", "ntasks-per-node=8", "gpus-per-node=8", "cpus-per-task=8", "partition=gpu",
        "time=24:00:00", "signal=TERM@180", "open-mode=append", f"output={tmp_path}/run/run.log",
    ):  # fmt: skip
        assert f"#SBATCH --{option}" in lines
    assert lines.index("module load cuda") < len(lines) - 1
    assert lines[-1].startswith("exec srun --kill-on-bad-exit=1 /opt/py -m workbench.finetuning.worker ")
    assert "gpus-per-node" not in slurm_script(recipe.changed(device="cpu"), tmp_path / "r", {}, [], "py")
    spaced = torchrun_script(asked, folder, [], "py").splitlines()[-1]
    assert shlex.split(spaced)[-1] == str(folder)
    assert "--nnodes=2" in spaced
    assert '"${HEAD:?host:port}"' in spaced


@pytest.mark.parametrize(
    ("slurm", "setup"),
    [({"time": "1:00:00\nrm -rf ~"}, []), ({"wrap; rm": "x"}, []), ({"account": ""}, []), ({}, ["a\nb"])],
)
def test_options_that_would_be_something_else_are_refused(recipe, tmp_path, slurm, setup):
    with pytest.raises(WorkbenchError):
        prepare_launch(recipe, tmp_path / "run", slurm=slurm, setup=setup)
    assert not (tmp_path / "run").exists()


def test_a_prepared_run_waits_and_its_scripts_are_valid_shell(recipe, tmp_path):
    run = prepare_launch(recipe, tmp_path / "run")
    state = run.state
    assert (state["status"], state["message"]) == ("interrupted", "made, not started")
    assert run.folder.plan.exists()
    for name in (SLURM, TORCHRUN):
        subprocess.run(["bash", "-n", run.folder.path / name], check=True)
    with pytest.raises(WorkbenchError, match="holds a run"):
        prepare_launch(recipe, tmp_path / "run")


@pytest.mark.parametrize("change", [{"devices": 2}, {"nodes": 2}, {"accumulate": 3}])
def test_another_number_of_processes_is_refused_on_resume(recipe, tmp_path, change):
    from workbench.finetuning.provenance import refuse_changes

    run = prepare_launch(recipe, tmp_path / "run")
    refuse_changes(run.folder, run.recipe)
    [name] = change
    with pytest.raises(WorkbenchError, match=f"{name} was {getattr(recipe, name)} at the start"):
        refuse_changes(run.folder, run.recipe.changed(**change))


def test_ranks_share_the_plan_out_and_take_nothing_twice(recipe):
    """Four ranks on two nodes: every use in the plan is one rank's alone, and none is left out."""
    import numpy as np

    from workbench.finetuning import plan
    from workbench.finetuning.data import PlanBatches

    asked = recipe.changed(devices=2, nodes=2, accumulate=2, steps=2)
    sources = plan.read_training(asked, [])
    table = plan.draw(asked, sources)
    assert set(table["part"]) == set(range(8))
    parts = [
        PlanBatches(
            table, sources, asked, lambda text: [], dict.fromkeys(table["prompt"], 0), rank=rank
        )._uses
        for rank in range(4)
    ]
    assert all(len(part) for part in parts)
    together = np.concatenate(parts)
    wanted = table[["step", "part", "source", "row"]].to_numpy()
    assert sorted(map(tuple, together.tolist())) == sorted(map(tuple, wanted.tolist()))


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_two_processes_of_torchrun_train_the_run(recipe, tmp_path):
    """Started by the script alone; the losses follow one process that accumulates the same batches."""
    from workbench.finetuning import Augmentation, start

    plain = recipe.changed(
        augmentation=Augmentation(freq_masks=0, time_masks=0), dropout=0.0, validation=(), steps=3,
        warmup_steps=1, save_every=1,
    )  # fmt: skip
    run = prepare_launch(plain.changed(devices=2, device="cpu"), tmp_path / "run", python=sys.executable)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(["bash", TORCHRUN], cwd=run.folder.path, env=environment, capture_output=True)
    found = Run.attach(run.folder.path)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    assert found.state["status"] == "finished"
    alone = start(plain.changed(accumulate=2), tmp_path / "alone")
    assert alone.wait(1200)["status"] == "finished"
    losses = [one.metrics("train")["loss"].to_numpy() for one in (alone, found)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
