"""Fine-tuning: recipes, pre-flight, the batch plan, and runs that survive their starter.

    recipe = preset("quick_cpu", base, manifest, "el-GR")
    preflight(recipe)
    run = start(recipe, folder)
    run.wait(); run.metrics("validation"); run.checkpoint_path

torch and NeMo are loaded by the training process only.
"""

from __future__ import annotations

from workbench.finetuning.preflight import Preflight, preflight
from workbench.finetuning.presets import PRESETS, preset
from workbench.finetuning.recipe import Augmentation, Recipe, Source, ValidationSet
from workbench.finetuning.registry import Registry
from workbench.finetuning.run import Run, start

__all__ = [
    "PRESETS", "Augmentation", "Preflight", "Recipe", "Registry", "Run", "Source", "ValidationSet",
    "preflight", "preset", "start",
]  # fmt: skip
