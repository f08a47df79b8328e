"""Low-rank adapters (LoRA, Hu et al. 2021) of the encoder's linear layers: put in, taken out, merged.

A layer keeps its weight and its name; what is learned is ``up · down``, a matrix of low rank that is added to
what the layer gives. Merged, it is part of the weight, and the model is a plain one again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

DOWN, UP = "lora_down", "lora_up"


class LoraLinear(torch.nn.Linear):  # type: ignore[misc]
    """A linear layer whose own weight rests. ``enabled``: whether what was learned is added."""

    def __init__(self, plain: torch.nn.Linear, rank: int, alpha: float, chance: torch.Generator) -> None:
        torch.nn.Module.__init__(self)
        self.in_features, self.out_features = plain.in_features, plain.out_features
        self.weight, self.bias = plain.weight, plain.bias
        self.scale, self.enabled = alpha / rank, True
        down = torch.empty(rank, plain.in_features)
        bound = 1 / math.sqrt(plain.in_features)
        down.uniform_(-bound, bound, generator=chance)
        like = {"device": plain.weight.device, "dtype": plain.weight.dtype}
        self.lora_down = torch.nn.Parameter(down.to(**like))
        # Zero: the first step starts from the base as it is.
        self.lora_up = torch.nn.Parameter(torch.zeros(plain.out_features, rank, **like))

    def forward(self, input: Tensor) -> Tensor:
        plain = functional.linear(input, self.weight, self.bias)
        if not self.enabled:
            return plain
        learned = functional.linear(functional.linear(input, self.lora_down), self.lora_up)
        return plain + self.scale * learned

    def merged(self) -> torch.nn.Linear:
        """A plain layer with what was learned in its weight, which is changed for good."""
        with torch.no_grad():
            self.weight.addmm_(self.lora_up, self.lora_down, alpha=self.scale)
        plain = torch.nn.Linear(self.in_features, self.out_features, self.bias is not None, device="meta")
        plain.weight, plain.bias = self.weight, self.bias
        return plain.train(self.training)


def insert(model: Any, rank: int, alpha: float, targets: Iterable[str], seed: int = 0) -> None:
    """Make low-rank adapters of the encoder's linear layers of these names, in every layer.

    Args:
        rank, alpha: of ``up · down``, which is added times ``alpha / rank``.
        targets: the layers' names, such as ``linear_q``.
        seed: of the random start.
    """
    wanted, chance = set(targets), torch.Generator().manual_seed(seed)
    for owner, name, layer in list(_linear(model)):
        if name in wanted and type(layer) is torch.nn.Linear:
            setattr(owner, name, LoraLinear(layer, rank, alpha, chance))


def layers(model: Any) -> list[LoraLinear]:
    """The low-rank adapters of a model."""
    return [layer for _, _, layer in _linear(model) if isinstance(layer, LoraLinear)]


def enable(model: Any, enabled: bool) -> None:
    """Switch all of them on or off: off, the model is the base."""
    for layer in layers(model):
        layer.enabled = enabled


def merge(model: Any) -> None:
    """Add what was learned to the weights, for good; the model's layers are plain ones then."""
    for owner, name, layer in list(_linear(model)):
        if isinstance(layer, LoraLinear):
            setattr(owner, name, layer.merged())


def _linear(model: Any) -> Iterator[tuple[Any, str, torch.nn.Linear]]:
    """(module, name, linear layer in it) of the encoder's layers, in their order."""
    for owner in model.encoder.layers.modules():
        for name, layer in owner.named_children():
            if isinstance(layer, torch.nn.Linear):
                yield owner, name, layer
