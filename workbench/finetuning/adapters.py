"""Adapters as files of their own: one base in memory, and a few hundred kB a locale that are swapped in.

Two kinds: linear ones after every encoder layer, which NeMo builds, and low-rank ones (``lora``) of the
encoder's own linear layers. NeMo's ``save_adapters`` pickles its configuration beside the weights, and its
``load_adapters`` then refuses the file where torch accepts weights alone (its default). What is written here
is tensors and plain values.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from workbench.errors import WorkbenchError
from workbench.files import replacing
from workbench.finetuning.recipe import LoraTarget
from workbench.recognizer import torch_file
from workbench.recognizer.nemo_restore import restore as from_archive
from workbench.recognizer.quiet import quiet_nemo

if TYPE_CHECKING:
    import torch

    from workbench.finetuning.base import Base
    from workbench.finetuning.recipe import Recipe

ADAPTER_NAME = "workbench"
ADAPTER_ENCODER = "nemo.collections.asr.modules.conformer_encoder.ConformerEncoderAdapter"
SCHEMA_VERSION = 2
MAX_DIM = 8192
Kind = Literal["linear", "lora"]
_MARKS = {"linear": (f".adapter_layer.{ADAPTER_NAME}.",), "lora": (".lora_down", ".lora_up")}
"""What the names of a kind's weights hold."""


@dataclass(frozen=True, slots=True)
class AdapterShape:
    """What room an adapter needs in a model: ``dim`` is the width, or the rank; the rest is of LoRA."""

    kind: Kind
    dim: int
    alpha: float = 0.0
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Adapter:
    """Weights of one adapter by their names in the model; ``base_sha256``: the only base they fit."""

    base_sha256: str
    shape: AdapterShape
    weights: dict[str, torch.Tensor]

    @property
    def parameters(self) -> int:
        return sum(value.numel() for value in self.weights.values())


def shape_of(recipe: Recipe) -> AdapterShape | None:
    """The adapter that a recipe trains; None where it trains the model's own weights."""
    if recipe.trains == "adapter":
        return AdapterShape("linear", recipe.adapter_dim)
    if recipe.trains == "lora":
        return AdapterShape("lora", recipe.lora_rank, recipe.lora_alpha, recipe.lora_targets)
    return None


def restore(base: Base, device: str, shape: AdapterShape | None = None, seed: int = 0) -> Any:
    """NeMo's model of a base; with an adapter of ``shape`` in it where one is given (a base that has a linear
    one already keeps that), its random start drawn from ``seed``."""

    def with_room(config: dict[str, Any]) -> None:
        config["encoder"]["_target_"] = ADAPTER_ENCODER

    is_linear = shape is not None and shape.kind == "linear"
    with quiet_nemo():
        model = from_archive(base.checkpoint.archive, with_room if is_linear else None).to(device)
    if shape is not None and shape.kind == "linear":
        add(model, shape.dim)
    elif shape is not None:
        from workbench.finetuning import lora

        lora.insert(model, shape.dim, shape.alpha, shape.targets, seed)
    return model


def add(model: Any, dim: int) -> None:
    """Enable this workbench's adapter, a new one unless the base has it; every other one is switched off."""
    from nemo.collections.common.parts.adapter_modules import LinearAdapterConfig

    name = f"encoder:{ADAPTER_NAME}"
    if not (model.is_adapter_available() and ADAPTER_NAME in model.get_enabled_adapters()):
        width = int(model.cfg.encoder.d_model)
        model.add_adapter(name, LinearAdapterConfig(in_features=width, dim=dim))
    model.set_enabled_adapters(enabled=False)
    model.set_enabled_adapters(name, enabled=True)


def weights_of(model: Any, kind: Kind = "linear") -> dict[str, torch.Tensor]:
    """The tensors of a model's adapter of a kind, by name."""
    return {name: value for name, value in model.state_dict().items() if is_weight(name, kind)}


def is_weight(name: str, kind: str) -> bool:
    """Whether a tensor of this name belongs to an adapter of a kind."""
    return any(mark in name for mark in _MARKS[kind])


def save(model: Any, path: Path, base_sha256: str, shape: AdapterShape) -> None:
    """Write the model's adapter, atomically."""
    import torch

    weights = {name: value.detach().cpu().clone() for name, value in weights_of(model, shape.kind).items()}
    told = {**asdict(shape), "targets": list(shape.targets)}
    held = {"schema_version": SCHEMA_VERSION, "base_sha256": base_sha256, **told, "weights": weights}
    with replacing(path) as draft:
        torch.save(held, draft)


def read(path: Path) -> Adapter:
    """Read an adapter; nothing but tensors and plain values is accepted.

    Raises:
        WorkbenchError: missing, damaged, or no adapter of this workbench.
    """
    import torch

    held = torch_file.load(path, "an adapter")
    held = held if isinstance(held, dict) else {}
    version = held.get("schema_version")
    if type(version) is int and version > SCHEMA_VERSION:
        raise WorkbenchError("an adapter of a newer schema", where=str(path), hint="Update the workbench.")
    shape, sha256, weights = _shape(held), held.get("base_sha256"), held.get("weights")
    if shape is None or not isinstance(sha256, str) or not isinstance(weights, dict):
        hint = "An adapter is what a fine-tuning run of adapters saves."
        raise WorkbenchError("not an adapter of this workbench", where=str(path), hint=hint)
    for name, value in weights.items():
        dense = isinstance(value, torch.Tensor) and value.layout is torch.strided
        if (
            not isinstance(name, str)
            or not is_weight(name, shape.kind)
            or not dense
            or not value.is_floating_point()
        ):
            raise WorkbenchError(f"{str(name)[:60]!r} is no weight of an adapter", where=str(path))
    return Adapter(sha256, shape, weights)


def _shape(held: Mapping[str, Any]) -> AdapterShape | None:
    """The shape that a file states; None where it states none. The first schema knew linear ones alone."""
    version, dim = held.get("schema_version"), held.get("dim")
    if version not in (1, SCHEMA_VERSION) or type(dim) is not int or not 0 < dim <= MAX_DIM:
        return None
    kind = held.get("kind") if version == SCHEMA_VERSION else "linear"
    if kind == "linear":
        return AdapterShape("linear", dim)
    alpha, targets = held.get("alpha"), held.get("targets")
    known = isinstance(targets, list) and targets and set(map(str, targets)) <= set(get_args(LoraTarget))
    if kind != "lora" or not known or not isinstance(alpha, float) or not math.isfinite(alpha):
        return None
    return AdapterShape("lora", dim, alpha, tuple(map(str, targets or ())))


class AdapterBank:
    """One base in memory, and the adapters of several locales to swap in.

    Raises:
        WorkbenchError: no adapter, one of another base, or shapes that differ.
    """

    def __init__(self, base: Base, paths: Mapping[str, Path], device: str = "cpu") -> None:
        began = time.perf_counter()
        self.adapters = {tag: read(path) for tag, path in paths.items()}
        if not self.adapters:
            raise WorkbenchError("no adapter", hint="Give a file for each locale.")
        for tag, adapter in self.adapters.items():
            if adapter.base_sha256 != base.checkpoint.sha256:
                raise WorkbenchError(
                    f"the adapter of {tag} was trained on another base",
                    where=str(paths[tag]),
                    hint=f"It fits {adapter.base_sha256[:12]}, this is {base.checkpoint.sha256[:12]}.",
                )
        shapes = {adapter.shape for adapter in self.adapters.values()}
        if len(shapes) > 1:
            said = " and ".join(sorted(f"{s.kind} of {s.dim}" for s in shapes))
            raise WorkbenchError(f"adapters of different shapes: {said}", hint="Use one bank each.")
        self._shape = shapes.pop()
        self.model = restore(base, device, self._shape)
        self.model.eval()
        self.model.requires_grad_(False)
        self.load_s = time.perf_counter() - began
        self.current: str | None = None
        self.use(None)

    def use(self, tag: str | None) -> float:
        """Swap in the adapter of a locale, or none; returns the seconds it took.

        Raises:
            WorkbenchError: no adapter of that name.
        """
        began = time.perf_counter()
        if tag is not None and tag not in self.adapters:
            raise WorkbenchError(f"no adapter of {tag}", hint=f"There are {', '.join(self.adapters)}.")
        if self._shape.kind == "lora":
            from workbench.finetuning import lora

            lora.enable(self.model, tag is not None)
        else:
            self.model.set_enabled_adapters(f"encoder:{ADAPTER_NAME}", enabled=tag is not None)
        if tag is not None:
            self.model.load_state_dict(self.adapters[tag].weights, strict=False)
        self.current = tag
        return time.perf_counter() - began
