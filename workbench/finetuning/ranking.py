"""Which weights of a run were best: the best k are kept on disk, their average too if it wins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.files import replacing
from workbench.finetuning.folder import RunFolder, write_json
from workbench.reading import readable
from workbench.recognizer import torch_file

if TYPE_CHECKING:
    from workbench.finetuning.recipe import Recipe


def score(recipe: Recipe, records: list[dict[str, Any]], baseline: list[dict[str, Any]]) -> float | None:
    """Lower is better: mean CER of the locales adapted to, plus what the others lost against the base.

    Offline records of the first prompt mode count. Means over locales are unweighted, so that a small
    locale counts as much as a large one. None without a validated target locale.
    """
    target = set(recipe.best_by) or targets(recipe)
    mine, others = _means(recipe, records, target)
    before = _means(recipe, baseline, target)[1]
    if mine is None:
        return others
    lost = max(0.0, others - before) if others is not None and before is not None else 0.0
    return mine + recipe.forgetting_weight * lost


def targets(recipe: Recipe) -> set[str]:
    """Locales named by the target sources; empty where they take all of a manifest."""
    return {tag for source in recipe.sources if source.role == "target" for tag in source.locales}


def _means(
    recipe: Recipe, records: list[dict[str, Any]], target: set[str]
) -> tuple[float | None, float | None]:
    mode = recipe.prompt_modes[0] if recipe.prompt_modes else ""
    rates = [
        (record["locale"], record["cer"])
        for record in records
        if not record["streaming"] and record["prompt_mode"] == mode and record["cer"] is not None
    ]
    mine = [rate for locale, rate in rates if not target or locale in target]
    others = [rate for locale, rate in rates if target and locale not in target]
    return _mean(mine), _mean(others)


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def read(folder: RunFolder) -> list[dict[str, Any]]:
    """Kept weights, best first: ``{"step", "score", "file"}``."""
    if not folder.ranking.exists():
        return []
    with readable(folder.ranking, "the ranking of the checkpoints"):
        found: list[dict[str, Any]] = json.loads(folder.ranking.read_text("utf-8"))
    return [entry for entry in found if (folder.checkpoints / entry["file"]).exists()]


def enter(folder: RunFolder, weights: dict[str, Any], step: int, value: float, keep: int) -> bool:
    """Keep these weights if they are among the best ``keep``; True if they are now the best of all."""
    import torch

    entries = [entry for entry in read(folder) if entry["step"] != step]
    name = f"weights-{step:08d}.pt"
    entries.append({"step": step, "score": value, "file": name})
    # Of equal scores the earlier one stays: less training for the same result.
    entries.sort(key=lambda entry: (entry["score"], entry["step"]))
    kept = entries[: max(1, keep)]
    if any(entry["file"] == name for entry in kept):
        with replacing(folder.checkpoints / name) as draft:
            torch.save(weights, draft)
        write_json(folder.ranking, kept)
    _sweep(folder, {entry["file"] for entry in kept})
    return bool(kept[0]["file"] == name)


def cut_after(folder: RunFolder, step: int) -> None:
    """Forget weights of later steps: a resumed run finds them again."""
    kept = [entry for entry in read(folder) if entry["step"] <= step]
    if folder.ranking.exists():
        write_json(folder.ranking, kept)
    _sweep(folder, {entry["file"] for entry in kept})


def _sweep(folder: RunFolder, kept: set[str]) -> None:
    for path in folder.checkpoints.glob("weights-*.pt"):
        if path.name not in kept:
            path.unlink(missing_ok=True)


def load(path: Path) -> dict[str, Any]:
    """Weights by name; only tensors are accepted from the file."""
    weights: dict[str, Any] = torch_file.load(path, "weights of a run")
    return weights


def average(folder: RunFolder, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean of the weights of several entries; whole-number buffers are taken from the best one."""
    states = [load(folder.checkpoints / entry["file"]) for entry in entries]
    mean: dict[str, Any] = {}
    for name, value in states[0].items():
        if value.is_floating_point():
            total = sum(state[name].double() for state in states)
            mean[name] = (total / len(states)).to(value.dtype)
        else:
            mean[name] = value
    return mean
