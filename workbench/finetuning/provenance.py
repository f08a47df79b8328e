"""What a run was made from: base, data, recipe, code and machine, by digest."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.files import sha256_file
from workbench.finetuning.folder import RunFolder, now, write_json
from workbench.finetuning.run_paths import portable, settled
from workbench.ingest.manifest import expand
from workbench.reading import read_json

if TYPE_CHECKING:
    from workbench.finetuning.recipe import Recipe

SCHEMA_VERSION = 1
PACKAGES = ("torch", "nemo_toolkit", "lightning", "numba", "numpy", "soundfile", "soxr", "sentencepiece")


def gather(recipe: Recipe, folder: RunFolder) -> dict[str, Any]:
    """Digests and environment of a run about to start; the plan must have been written."""
    return {
        "schema_version": SCHEMA_VERSION,
        "created_at": now(),
        "base": {"name": Path(recipe.base).name, "sha256": sha256_file(Path(recipe.base))},
        "data": {portable(path, folder.path): digest for path, digest in digests(recipe).items()},
        "plan_sha256": sha256_file(folder.plan),
        "processes": _processes(recipe),
        "recipe_sha256": hashlib.sha256(recipe.to_yaml().encode()).hexdigest(),
        "environment": environment(),
        "git": git_state(Path(__file__).parent),
    }


def _processes(recipe: Recipe) -> dict[str, int]:
    """Into how many parts the plan cuts a step."""
    return {"devices": recipe.devices, "nodes": recipe.nodes, "accumulate": recipe.accumulate}


def digests(recipe: Recipe) -> dict[str, str]:
    """SHA-256 of each manifest file that the recipe names."""
    named = [s.manifest for s in recipe.sources] + [s.manifest for s in recipe.validation]
    names = dict.fromkeys(named)
    return {str(path): sha256_file(path) for name in names for path in expand(Path(name))}


def environment() -> dict[str, Any]:
    """Versions, processor and threads; nothing that names a person or a host."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = ""
    return {
        "python": platform.python_version(),
        "packages": versions,
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
    }


def git_state(folder: Path) -> dict[str, Any]:
    """Commit of the code and whether it was changed since; empty outside a repository."""

    def ask(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()

    try:
        return {
            "commit": ask("rev-parse", "HEAD"),
            "changed": bool(ask("status", "--porcelain", "--", str(folder))),
        }
    except (OSError, subprocess.SubprocessError):
        return {}


def write(folder: RunFolder, recipe: Recipe) -> None:
    write_json(folder.provenance, gather(recipe, folder))


def read(folder: RunFolder) -> dict[str, Any]:
    """What the run was made from. Raises WorkbenchError if it was never written."""
    found = read_json(folder.provenance, "provenance of the run")
    return {**found, "data": settled_data(found, folder.path)}


def settled_data(found: Mapping[str, Any], run: Path) -> dict[str, str]:
    """Manifest → digest of a provenance, each manifest where it lies now."""
    data = found.get("data", {})
    return (
        {settled(str(path), run): digest for path, digest in data.items()} if isinstance(data, dict) else {}
    )


def refuse_changes(folder: RunFolder, recipe: Recipe) -> None:
    """The plan counts rows of the manifests it was drawn from: a run goes on with those or not at all.

    Raises:
        WorkbenchError: base, plan, a manifest or the number of processes is not that of the start.
    """
    before = read(folder)
    hint = "Restore it, or start a new run."
    if sha256_file(Path(recipe.base)) != before["base"]["sha256"]:
        raise WorkbenchError("the base checkpoint has changed since the start", where=recipe.base, hint=hint)
    if sha256_file(folder.plan) != before["plan_sha256"]:
        raise WorkbenchError("the batch plan has changed since the start", where=str(folder.plan), hint=hint)
    for name, number in before.get("processes", {}).items():
        if _processes(recipe)[name] != number:
            raise WorkbenchError(
                f"{name} was {number} at the start, and the batch plan is drawn for that",
                where="recipe",
                hint=hint,
            )
    found = digests(recipe)
    for path, digest in before["data"].items():
        if found.get(path) != digest:
            raise WorkbenchError("the manifest has changed since the start", where=path, hint=hint)
