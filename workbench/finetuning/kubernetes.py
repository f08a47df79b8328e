"""A run's processes on Kubernetes: a pod a node, and in each of them ``torchrun`` on the same folder.

Nothing but the cluster's own objects is used: an Indexed Job (Kubernetes documentation, "Indexed Job for
parallel processing with static work assignment") and a headless Service that gives its pods their names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from workbench.errors import WorkbenchError
from workbench.finetuning.recipe import Recipe

PORT = 29400
"""Of the rendezvous, in the first pod."""
OPTIONS = {
    "image": "container image with this package installed",
    "claim": "name of the PersistentVolumeClaim that holds run, recordings and base checkpoint",
    "mount": "where it is mounted; paths of the recipe and the run lie below it",
    "gpu": "resource name of a GPU",
    "cpu": "cores of a pod, such as 32",
    "memory": "main memory of a pod, such as 256Gi",
    "queue": "of Kueue, where the cluster has it",
}
_DEFAULTS = {"gpu": "nvidia.com/gpu"}
_NEEDED = ("image", "claim", "mount")
_INCIDENTS = 3
"""How often pods may fail together before the Job is given up."""


def kubernetes_manifest(
    recipe: Recipe, folder: Path, options: Mapping[str, str], script: str, grace_s: int
) -> str:
    """YAML for ``kubectl apply``.

    Args:
        options: see ``OPTIONS``; image, claim and mount are needed.
        script: of ``torchrun`` in the run's folder; it reads ``HEAD`` where there are several nodes.
        grace_s: a pod that is evicted is left so long after SIGTERM.

    Raises:
        WorkbenchError: an unknown or a missing option, or a folder that is not below ``mount``.
    """
    given = {**_DEFAULTS, **_checked(options)}
    if not folder.is_relative_to(given["mount"]):
        raise WorkbenchError(
            f"the run lies outside {given['mount']}",
            where=str(folder),
            hint="Pods see only what is mounted: make the run in a workspace below it.",
        )
    name = label(folder.name)
    documents = [_service(name), _job(recipe, folder / script, given, name, grace_s)]
    return _HEAD + _yaml(documents)


_HEAD = """# Trains the run in this folder. Start it with: kubectl apply -f launch.kubernetes.yaml
# Deleted (kubectl delete -f) and applied again it goes on from the last checkpoint.
"""


def label(name: str) -> str:
    """A name as Kubernetes allows it (RFC 1123, with room for the number of a pod)."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:50].strip("-")
    return plain if plain[:1].isalpha() else f"run-{plain}".rstrip("-")


def _checked(options: Mapping[str, str]) -> dict[str, str]:
    for name, value in options.items():
        if name not in OPTIONS:
            raise WorkbenchError(
                f"{name!r} is no option of kubernetes", hint=f"There are {', '.join(OPTIONS)}."
            )
        if not str(value).strip() or not str(value).isprintable():
            raise WorkbenchError(f"{value!r} is empty or not printable", where=f"kubernetes [{name}]")
    for name in _NEEDED:
        if name not in options:
            raise WorkbenchError(f"kubernetes needs {name}", hint=f"Give the {OPTIONS[name]}.")
    return {name: str(value) for name, value in options.items()}


def _service(name: str) -> dict[str, Any]:
    """Pods are reached by name, before they are ready: they wait for each other to become so."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {"job-name": name},
            "ports": [{"name": "rendezvous", "port": PORT}],
        },
    }


def _job(recipe: Recipe, script: Path, given: Mapping[str, str], name: str, grace_s: int) -> dict[str, Any]:
    pod = {
        "subdomain": name,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": grace_s,
        "containers": [_container(recipe, script, given, name)],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": given["claim"]}},
            # Batches go from the readers to the trainer through shared memory; a pod has 64 MB of it.
            {"name": "shared-memory", "emptyDir": {"medium": "Memory"}},
        ],
    }
    labels = {"labels": {"kueue.x-k8s.io/queue-name": given["queue"]}} if "queue" in given else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, **labels},
        "spec": {
            "completionMode": "Indexed",
            "completions": recipe.nodes,
            "parallelism": recipe.nodes,
            "backoffLimit": _INCIDENTS * recipe.nodes,
            # A second pod beside one that still ends would find the run's lock held.
            "podReplacementPolicy": "Failed",
            "template": {"spec": pod},
        },
    }


def _container(recipe: Recipe, script: Path, given: Mapping[str, str], name: str) -> dict[str, Any]:
    limits: dict[str, Any] = {} if recipe.device == "cpu" else {given["gpu"]: recipe.devices}
    limits |= {kind: given[kind] for kind in ("cpu", "memory") if kind in given}
    return {
        "name": "train",
        "image": given["image"],
        "command": ["bash", str(script)],
        "env": [{"name": "HEAD", "value": f"{name}-0.{name}:{PORT}"}],
        **({"resources": {"limits": limits}} if limits else {}),
        "volumeMounts": [
            {"name": "data", "mountPath": given["mount"]},
            {"name": "shared-memory", "mountPath": "/dev/shm"},
        ],
    }


def _yaml(documents: list[dict[str, Any]]) -> str:
    return str(yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True, width=200))
