"""The end of a run: last, best and, if it wins, the average become ``.nemo`` checkpoints."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from workbench.finetuning import folder as files
from workbench.finetuning import model as models
from workbench.finetuning import ranking

if TYPE_CHECKING:
    from workbench.finetuning.folder import RunFolder
    from workbench.finetuning.recipe import Recipe

log = logging.getLogger("workbench.finetuning.finish")


def finish(folder: RunFolder, recipe: Recipe, model: Any, callback: Any) -> None:
    """Write ``best.nemo``, or ``last.nemo`` where nothing was validated; the state names it and says why.

    A run of the model's own weights leaves both; one of an adapter leaves the last one as its few weights.
    """
    if not callback_is_zero(callback, model):
        return
    model.eval()
    entries = ranking.read(folder)
    if entries and recipe.trains_adapter:
        models.save_adapter(model, folder.last_nemo, recipe)
    else:
        models.save(model, folder.last_nemo, recipe)
    if not entries:
        folder.update_state(checkpoint=folder.last_nemo.name, chosen="last: nothing was validated")
        return
    chosen = f"best of the validated steps: {entries[0]['step']}"
    weights = ranking.load(folder.checkpoints / entries[0]["file"])
    if recipe.average_best > 1 and len(entries) > 1:
        mean, value = _average(folder, recipe, model, callback, entries)
        if value is not None and value < entries[0]["score"]:
            weights, chosen = mean, f"average of the best {len(entries)} (score {value:.4f})"
    model.load_state_dict(weights, strict=False)
    models.save(model, folder.best_nemo, recipe)
    base_score = folder.state().get("base_score")
    if base_score is not None and entries[0]["score"] >= base_score:
        chosen += "; no step was better than the base"
        log.warning("no validated step was better than the base")
    folder.update_state(checkpoint=folder.best_nemo.name, chosen=chosen)


def callback_is_zero(callback: Any, model: Any) -> bool:
    return bool(model.trainer.is_global_zero)


def _average(
    folder: RunFolder, recipe: Recipe, model: Any, callback: Any, entries: list[dict[str, Any]]
) -> tuple[dict[str, Any], float | None]:
    """The averaged weights and their score, validated as every step was."""
    mean = ranking.average(folder, entries)
    model.load_state_dict(mean, strict=False)
    found, _ = callback.validator.run(model)
    head = {"kind": "average", "step": recipe.steps, "of_steps": [entry["step"] for entry in entries]}
    files.append(folder.metrics, [{**head, **record} for record in found])
    return mean, ranking.score(recipe, found, callback.baseline)
