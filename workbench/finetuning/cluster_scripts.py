"""A run for a cluster's own scheduler: its folder made here, its processes started there.

Training on many GPUs or nodes is Lightning's DDP; who starts the processes is the scheduler's business. What
is written is a script or manifest that a person can read, change and keep; it starts the same worker on the
same run folder as everywhere, so the monitor shows it, cancelling works and submitting it again goes on.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.finetuning.folder import RunFolder
from workbench.finetuning.kubernetes import kubernetes_manifest
from workbench.finetuning.recipe import Recipe
from workbench.finetuning.run import Run, prepare

SLURM, TORCHRUN = "launch.slurm.sh", "launch.torchrun.sh"
KUBERNETES = "launch.kubernetes.yaml"
GRACE_S = 180
"""Slurm sends SIGTERM so long before the time limit, Kubernetes before it kills: the run ends its step and
saves. ``torchrun`` itself waits 30 s for that."""


def prepare_launch(
    recipe: Recipe,
    folder: str | Path,
    *,
    slurm: Mapping[str, str] | None = None,
    kubernetes: Mapping[str, str] | None = None,
    setup: Sequence[str] = (),
    python: str = sys.executable,
) -> Run:
    """Make a run's folder with its batch plan and launch scripts, and start nothing.

    Args:
        recipe: ``devices`` processes on each of ``nodes`` nodes. Paths must be the same on every node.
        slurm: further options of ``sbatch``: ``{"partition": "gpu", "time": "24:00:00", "account": …}``.
        kubernetes: makes a manifest too: ``{"image": …, "claim": …, "mount": "/data"}`` and more, see
            :data:`workbench.finetuning.kubernetes.OPTIONS`.
        setup: shell lines before the start, such as ``module load cuda``.
        python: of the nodes.

    Returns:
        The run, not started; ``launch.slurm.sh``, ``launch.torchrun.sh`` and, if asked for,
        ``launch.kubernetes.yaml`` lie in its folder.

    Raises:
        WorkbenchError: the recipe is faulty, the folder holds a run, or an option that is no option.
    """
    target = Path(folder).absolute()
    texts = {
        SLURM: slurm_script(recipe, target, dict(slurm or {}), setup, python),
        TORCHRUN: torchrun_script(recipe, target, setup, python),
    }
    if kubernetes is not None:
        texts[KUBERNETES] = kubernetes_manifest(recipe, target, kubernetes, TORCHRUN, GRACE_S)
    state = {"message": "made, not started", "hint": f"Start it with {' or '.join(texts)}."}
    return prepare(recipe, folder, texts=texts, state={"status": "interrupted", **state})


def slurm_script(
    recipe: Recipe, folder: Path, options: Mapping[str, str], setup: Sequence[str], python: str
) -> str:
    """Text for ``sbatch``: one task per process, as Lightning reads Slurm's variables."""
    wanted = {
        "job-name": _plain(folder.name),
        "nodes": str(recipe.nodes),
        "ntasks-per-node": str(recipe.devices),
        **({} if recipe.device == "cpu" else {"gpus-per-node": str(recipe.devices)}),
        "cpus-per-task": str(recipe.loader_workers + 2),
        "output": str(RunFolder(folder).log),
        "open-mode": "append",
        "signal": f"TERM@{GRACE_S}",
        **{_option(name): value for name, value in options.items()},
    }
    lines = [f"#SBATCH --{name}={_value(name, value)}" for name, value in wanted.items()]
    start = f"srun --kill-on-bad-exit=1 {_worker(python, folder)}"
    return _script(f"sbatch {SLURM}", lines, setup, start)


def torchrun_script(recipe: Recipe, folder: Path, setup: Sequence[str], python: str) -> str:
    """Text to run once on every node; on one node it needs nothing else, on several it needs ``HEAD``."""
    where = "--standalone"
    if recipe.nodes > 1:
        where = f'--nnodes={recipe.nodes} --rdzv-backend=c10d --rdzv-endpoint="${{HEAD:?host:port}}"'
    start = (
        f"{shlex.quote(python)} -m torch.distributed.run {where} --nproc-per-node={recipe.devices} "
        f"-m workbench.finetuning.worker {shlex.quote(str(folder))}"
    )
    how = f"bash {TORCHRUN}"
    return _script(
        how if recipe.nodes == 1 else f"HEAD=first-node:29400 {how}, on each node", [], setup, start
    )


def _script(how: str, options: Sequence[str], setup: Sequence[str], start: str) -> str:
    for line in setup:
        if "\n" in line:
            raise WorkbenchError("a setup line has a line break", hint="Give one list entry per line.")
    return "\n".join(
        [
            "#!/bin/bash",
            f"# Trains the run in this folder. Start it with: {how}",
            "# The same again goes on from the last checkpoint, after a time limit or a failure.",
            *options,
            "set -euo pipefail",
            *setup,
            "export PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1",
            f"exec {start}",
            "",
        ]
    )


def _worker(python: str, folder: Path) -> str:
    return f"{shlex.quote(python)} -m workbench.finetuning.worker {shlex.quote(str(folder))}"


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


def _option(name: str) -> str:
    plain = name.replace("_", "-")
    if not plain.replace("-", "").isalnum() or not plain.isascii():
        raise WorkbenchError(f"{name!r} is no option of sbatch", hint="Give names such as partition.")
    return plain


def _value(name: str, value: str) -> str:
    """Slurm reads these lines itself, up to a blank: no shell quoting helps."""
    text = str(value)
    if not text or any(c.isspace() or not c.isprintable() for c in text):
        raise WorkbenchError(
            f"{text!r} has blanks or is empty", where=f"sbatch --{name}", hint="Use a path without blanks."
        )
    return text
