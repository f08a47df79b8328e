"""Launch scripts: what stands in them, and that torchrun's really trains the run of its folder."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time

import psutil
import pytest
import yaml

from workbench.errors import WorkbenchError
from workbench.finetuning import Run
from workbench.finetuning.cluster_scripts import (
    KUBERNETES,
    SLURM,
    TORCHRUN,
    prepare_launch,
    slurm_script,
    torchrun_script,
)
from workbench.finetuning.kubernetes import kubernetes_manifest, label

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


def test_a_kubernetes_manifest_starts_the_same_script_in_every_pod(recipe, tmp_path):
    asked = recipe.changed(devices=8, nodes=2, device="cuda")
    options = {
        "image": "registry.example/workbench:1",
        "claim": "speech",
        "mount": str(tmp_path),
        "memory": "256Gi",
    }
    run = prepare_launch(asked, tmp_path / "My_Run", kubernetes=options)
    text = (run.folder.path / KUBERNETES).read_text("utf-8")
    service, job = yaml.safe_load_all(text)
    assert (service["kind"], job["kind"], job["apiVersion"]) == ("Service", "Job", "batch/v1")
    name = job["metadata"]["name"]
    assert service["metadata"]["name"] == name == "my-run"
    assert service["spec"]["selector"] == {"job-name": name}
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 2, 2)
    pod = spec["template"]["spec"]
    assert (pod["subdomain"], pod["restartPolicy"]) == (name, "Never")
    [train] = pod["containers"]
    assert train["command"] == ["bash", str(run.folder.path / TORCHRUN)]
    assert train["env"] == [{"name": "HEAD", "value": "my-run-0.my-run:29400"}]
    assert train["resources"]["limits"] == {"nvidia.com/gpu": 8, "memory": "256Gi"}
    mounts = {mount["name"]: mount["mountPath"] for mount in train["volumeMounts"]}
    assert mounts == {"data": str(tmp_path), "shared-memory": "/dev/shm"}
    assert "nvidia.com/gpu" not in kubernetes_manifest(
        asked.changed(device="cpu"), tmp_path / "r", options, "s", 9
    )
    assert "kubernetes" in run.state["hint"]


def test_what_kubernetes_cannot_run_is_refused(recipe, tmp_path):
    good = {"image": "i", "claim": "c", "mount": str(tmp_path)}
    for change, says in (
        ({"claim": None}, "kubernetes needs claim"),
        ({"pods": "3"}, "'pods' is no option"),
        ({"image": "a\nb"}, "not printable"),
        ({"mount": "/elsewhere"}, "outside /elsewhere"),
    ):
        options = {name: value for name, value in {**good, **change}.items() if value is not None}
        with pytest.raises(WorkbenchError, match=says):
            prepare_launch(recipe, tmp_path / "run", kubernetes=options)
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["el-GR full", "9to5", "Ü", "a" * 80, "x" * 49 + "-y", "__"])
def test_names_fit_kubernetes(name):
    found = label(name)
    assert re.fullmatch(r"[a-z]([a-z0-9-]{0,53}[a-z0-9])?", found)


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
@pytest.mark.parametrize("ended_by", [None, signal.SIGTERM, signal.SIGKILL], ids=str)
def test_two_processes_of_torchrun_train_the_run(recipe, tmp_path, ended_by):
    """Started by the script alone, ended in the middle and started again; the losses follow one process that
    accumulates the same batches."""
    from workbench.finetuning import Augmentation, start

    plain = recipe.changed(
        augmentation=Augmentation(freq_masks=0, time_masks=0), dropout=0.0, validation=(), steps=24,
        warmup_steps=1, save_every=1,
    )  # fmt: skip
    run = prepare_launch(plain.changed(devices=2, device="cpu"), tmp_path / "run", python=sys.executable)
    if ended_by is not None:
        script = begin(run)
        while not (run.folder.metrics.exists() and len(run.metrics("train")) >= 2):
            assert script.poll() is None, (run.folder.path / "out").read_text()[-3000:]
            time.sleep(0.05)
        # A scheduler that stops a job sends SIGTERM to the script; one that kills, kills all.
        processes = psutil.Process(script.pid).children(recursive=True) if ended_by == signal.SIGKILL else []
        for process in (script, *processes):
            process.send_signal(ended_by)
        psutil.wait_procs(processes, 60)
        script.wait(120)
        assert Run.attach(run.folder.path).state["status"] == "interrupted"
        assert 2 <= len(run.metrics("train")) < 24
    script = begin(run)
    assert script.wait(900) == 0, (run.folder.path / "out").read_text()[-3000:]
    found = Run.attach(run.folder.path)
    assert found.state["status"] == "finished"
    alone = start(plain.changed(accumulate=2), tmp_path / "alone")
    assert alone.wait(1200)["status"] == "finished"
    assert list(found.metrics("train")["step"]) == list(range(1, 25))
    losses = [one.metrics("train")["loss"].to_numpy() for one in (alone, found)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def begin(run):
    """Start the run's script in a process group of its own, its words kept in the folder."""
    out = (run.folder.path / "out").open("ab")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        ["bash", TORCHRUN],
        cwd=run.folder.path,
        env=environment,
        stdout=out,
        stderr=out,
        start_new_session=True,
    )
