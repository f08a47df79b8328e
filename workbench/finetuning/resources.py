"""What a run takes of memory and disk, from the sizes of its model and of what trains; what the machine has.

Every figure is computed from the checkpoint's own tensors and the longest batch, none is of one checkpoint
alone. ``docs/evidence/preflight.json`` holds them against real runs.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from workbench.finetuning.adapters import shape_of
from workbench.finetuning.sounds import SAMPLE_RATE

if TYPE_CHECKING:
    import pandas as pd

    from workbench.finetuning.base import Base
    from workbench.finetuning.recipe import Recipe
    from workbench.finetuning.rows import Utterance

RUNTIME_MB = 1040.0
"""Resident memory of a training process beside its model: torch, NeMo, Lightning, what they compile."""
CACHE_MB = 512
"""Decoded training audio held in memory, loader processes together: decoding Opus took a third of loading a
batch."""
VALIDATION_BATCH_S = 60.0
"""Audio of a batch of a validation."""
FP32 = 4
HELD = 1.3
"""Weights while they load and train, in sizes of themselves: they are mapped and assigned, and copied in part
where states are written."""
_FROZEN = {"encoder_frozen": ("encoder.",), "decoder_joint": ("encoder.", "prompt_kernel.")}
_KEPT = {"full": 58.0, "lora": 70.0, "adapter": 30.0, "encoder_frozen": 0.0, "decoder_joint": 0.0}
"""Values of ``d_model`` that an encoder layer keeps of a frame for the backward pass: what the gradients of
its weights and of its inputs are computed from. A frozen encoder keeps none."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Numbers of weights: all, and those that train."""

    total: int
    trained: int


def weights(recipe: Recipe, base: Base) -> Weights:
    """What trains of a base, by the names and shapes of its tensors."""
    shapes = {k: v for k, v in base.checkpoint.archive.shapes.items() if not k.startswith("preprocessor.")}
    total = sum(map(math.prod, shapes.values()))
    shape = shape_of(recipe)
    if shape is None:
        frozen = _FROZEN.get(recipe.trains, ())
        frozen = frozen if recipe.train_subsampling else (*frozen, "encoder.pre_encode.")
        return Weights(total, sum(math.prod(v) for k, v in shapes.items() if not k.startswith(frozen)))
    if shape.kind == "linear":
        own = base.checkpoint.info.layers * 2 * base.d_model * (shape.dim + 1)
    else:
        ends = tuple(f".{name}.weight" for name in shape.targets)
        chosen = [v for k, v in shapes.items() if k.startswith("encoder.layers.") and k.endswith(ends)]
        own = sum(shape.dim * sum(v) for v in chosen)
    return Weights(total + own, own)


def estimate_memory_mb(
    recipe: Recipe, base: Base, drawn: pd.DataFrame, rows: Sequence[Utterance], device: str = "cpu"
) -> float:
    """Peak of the training process, in MB of 10⁶ bytes; on a GPU, of its memory.

    Of the heaviest step of the plan: weights, gradients and both moments of what trains, what the backward
    pass keeps, and the audio that the process holds.

    Args:
        drawn: the plan of all steps. ``rows``: the utterances that it is drawn from.
        device: 'cpu' or 'cuda'.
    """
    held = weights(recipe, base)
    weight_mb = held.total * FP32 / 1e6
    trained_mb = held.trained * FP32 / 1e6
    if device == "cuda":
        return weight_mb + 3 * trained_mb + _kept_mb(recipe, base, drawn, rows, on_gpu=True)
    kept = max(_kept_mb(recipe, base, drawn, rows, on_gpu=False), _validating_mb(recipe, base))
    audio = audio_mb(recipe, drawn)
    return RUNTIME_MB + HELD * weight_mb + 3 * trained_mb + kept + audio


def audio_mb(recipe: Recipe, drawn: pd.DataFrame) -> float:
    """Decoded training audio that the process keeps once all of a plan was read, in MB."""
    once = drawn.drop_duplicates(["source", "row"])["duration_s"].sum()
    return 0.0 if recipe.loader_workers else min(float(CACHE_MB), float(once) * SAMPLE_RATE * FP32 / 1e6)


def _first_convolution(base: Base, seconds: float) -> float:
    """Values that the first convolution of the encoder makes of so much audio; the later ones make few."""
    config = base.config["encoder"]
    channels = int(config.get("subsampling_conv_channels") or base.d_model)
    mels = int(base.config["preprocessor"].get("features", 80))
    return channels * (seconds * 100 / 2) * (mels / 2)


def _validating_mb(recipe: Recipe, base: Base) -> float:
    """What one batch of a validation takes for a while, in MB."""
    return 2.0 * _first_convolution(base, VALIDATION_BATCH_S) * FP32 / 1e6 if recipe.validation else 0.0


def _kept_mb(
    recipe: Recipe, base: Base, drawn: pd.DataFrame, rows: Sequence[Utterance], *, on_gpu: bool
) -> float:
    """What the backward pass of the heaviest batch of a plan keeps, in MB."""
    info, config = base.checkpoint.info, base.config["encoder"]
    batches = drawn.groupby(["step", "part"])["duration_s"].agg(["max", "size"])
    length_s, size = batches["max"].to_numpy(float), batches["size"].to_numpy(float)
    frames, kept = length_s * 1000 / info.frame_ms, _KEPT[recipe.trains]
    values = info.layers * frames * kept * info.d_model
    if kept:  # scores, their shifted positions, weights, mask and dropout: frames by frames, each head
        values += info.layers * int(config.get("n_heads", 8)) * 7 * frames**2
    whole = recipe.trains == "full" and recipe.train_subsampling
    values += (3.0 if whole else 2.0) * _first_convolution(base, 1.0) * length_s
    if on_gpu:  # NeMo's joint keeps the logits of every cell; on a CPU they are packed and let go
        densest = max(rows, key=lambda row: len(row.text) / row.duration_s)
        labels = length_s * len(base.checkpoint.tokenizer().encode(densest.text)) / densest.duration_s + 3
        values += 3 * frames * labels * (info.vocabulary + 1)
    return float((size * values).max()) * FP32 / 1e6


@dataclass(frozen=True, slots=True)
class Disk:
    """MB of 10⁶ bytes that a run writes: into its folder, and for a while into the folder for temporary
    files."""

    folder_mb: float
    temporary_mb: float


def disk(recipe: Recipe, base: Base) -> Disk:
    """The state to resume from (weights and two moments of what trains) with its successor, the best weights
    with the next, and the ``.nemo`` files: one of an adapter run, two of others."""
    held = weights(recipe, base)
    weight_mb, trained_mb = held.total * FP32 / 1e6, held.trained * FP32 / 1e6
    best = max(1, recipe.average_best) + 1
    archives = 1 if recipe.trains_adapter else 2
    kept = 2 * 3 * trained_mb + best * trained_mb + archives * weight_mb
    kept += 2 * trained_mb if recipe.trains_adapter else 0.0
    # NeMo writes the weights before it packs them; a checkpoint is unpacked while it is loaded.
    return Disk(kept, weight_mb)


def disk_free_mb(place: Path) -> float:
    """Free space of the disk that a folder is on, or will be on."""
    place = place.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free / 1e6


def disk_faults(found: Disk, place: Path) -> list[str]:
    """What does not fit: in the run's folder, or where temporary files go."""
    place = place.absolute()
    while not place.exists():
        place = place.parent
    temporary = Path(tempfile.gettempdir())
    shared = place.stat().st_dev == temporary.stat().st_dev
    needed = found.folder_mb + (found.temporary_mb if shared else 0.0)
    faults = []
    if needed > disk_free_mb(place):
        faults.append(f"the run needs {needed:.0f} MB of disk, {disk_free_mb(place):.0f} MB are free")
    if not shared and found.temporary_mb > disk_free_mb(temporary):
        faults.append(
            f"loading and saving need {found.temporary_mb:.0f} MB in {temporary}, "
            f"{disk_free_mb(temporary):.0f} MB are free: set TMPDIR"
        )
    return faults


@dataclass(frozen=True, slots=True)
class Place:
    """Where a recipe will train here: 'cpu' or 'cuda', the memory free there, and why it cannot."""

    device: str
    free_mb: float
    faults: tuple[str, ...] = ()


def place_of(recipe: Recipe) -> Place:
    """The device that a run of this recipe takes on this machine."""
    free_mb = psutil.virtual_memory().available / 1e6
    if recipe.device == "cpu":
        return Place("cpu", free_mb)
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if recipe.device == "cuda" and count < recipe.devices:
        there = f"there are {count}" if count else "there is none"
        what = f"the recipe asks for {recipe.devices} on CUDA, {there} here"
        return Place("cuda", math.inf, (f"{what}: use device: cpu, or run the pre-flight where it trains",))
    if not count:
        return Place("cpu", free_mb)
    return Place("cuda", min(torch.cuda.mem_get_info(n)[0] for n in range(min(count, recipe.devices))) / 1e6)
