"""Adapters as files of their own: one base in memory, and a few hundred kB a locale that are swapped in.

NeMo's ``save_adapters`` pickles its configuration beside the weights, and its ``load_adapters`` then refuses
the file where torch accepts weights alone (its default). What is written here is tensors and plain values.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.files import replacing
from workbench.recognizer import torch_file
from workbench.recognizer.nemo_restore import restore as from_archive

if TYPE_CHECKING:
    import torch

    from workbench.finetuning.base import Base

ADAPTER_NAME = "workbench"
ADAPTER_ENCODER = "nemo.collections.asr.modules.conformer_encoder.ConformerEncoderAdapter"
SCHEMA_VERSION = 1
MAX_DIM = 8192
_MARK = f".adapter_layer.{ADAPTER_NAME}."


@dataclass(frozen=True)
class Adapter:
    """Weights of one adapter by their names in the model; ``base_sha256``: the only base they fit."""

    base_sha256: str
    dim: int
    weights: dict[str, torch.Tensor]

    @property
    def parameters(self) -> int:
        return sum(value.numel() for value in self.weights.values())


def restore(base: Base, device: str, adapter_dim: int | None = None) -> Any:
    """NeMo's model of a base; with room for adapters in every encoder layer, and one of ``adapter_dim`` in it
    (a base that has one already keeps that), where a width is given."""

    def with_room(config: dict[str, Any]) -> None:
        config["encoder"]["_target_"] = ADAPTER_ENCODER

    model = from_archive(base.checkpoint.archive, with_room if adapter_dim is not None else None).to(device)
    if adapter_dim is not None:
        add(model, adapter_dim)
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


def weights_of(model: Any) -> dict[str, torch.Tensor]:
    """The adapter's tensors in a model, by name."""
    return {name: value for name, value in model.state_dict().items() if _MARK in name}


def save(model: Any, path: Path, base_sha256: str, dim: int) -> None:
    """Write the model's adapter, atomically."""
    import torch

    weights = {name: value.detach().cpu().clone() for name, value in weights_of(model).items()}
    held = {"schema_version": SCHEMA_VERSION, "base_sha256": base_sha256, "dim": dim, "weights": weights}
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
    sha256, dim, weights = held.get("base_sha256"), held.get("dim"), held.get("weights")
    told = version == SCHEMA_VERSION and isinstance(sha256, str) and type(dim) is int and 0 < dim <= MAX_DIM
    if not told or not isinstance(weights, dict):
        hint = "An adapter is what a fine-tuning run of adapters saves."
        raise WorkbenchError("not an adapter of this workbench", where=str(path), hint=hint)
    for name, value in weights.items():
        dense = isinstance(value, torch.Tensor) and value.layout is torch.strided
        if not isinstance(name, str) or _MARK not in name or not dense or not value.is_floating_point():
            raise WorkbenchError(f"{str(name)[:60]!r} is no weight of an adapter", where=str(path))
    return Adapter(str(sha256), int(str(dim)), weights)


class AdapterBank:
    """One base in memory, and the adapters of several locales to swap in.

    Raises:
        WorkbenchError: no adapter, one of another base, or widths that differ.
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
        widths = {adapter.dim for adapter in self.adapters.values()}
        if len(widths) > 1:
            raise WorkbenchError(f"adapters of different widths: {sorted(widths)}", hint="Use one bank each.")
        self.model = restore(base, device, widths.pop())
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
        self.model.set_enabled_adapters(f"encoder:{ADAPTER_NAME}", enabled=tag is not None)
        if tag is not None:
            self.model.load_state_dict(self.adapters[tag].weights, strict=False)
        self.current = tag
        return time.perf_counter() - began
