"""What learns: the model with its letter head, and the recipe that it learns by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from tooling.starter import network
from tooling.starter.tokenizer import tag_piece


@dataclass
class Learner:
    """The model, its letter head and what the recipe says about them."""

    recipe: dict[str, Any]
    model: Any
    letters: network.LetterHead

    def parameters(self) -> list[torch.nn.Parameter]:
        return [*self.model.parameters(), *self.letters.parameters()]

    def modules(self) -> dict[str, torch.nn.Module]:
        """What a saved state holds, by name."""
        return {"model": self.model, "letters": self.letters}

    def snapshot(self) -> dict[str, dict[str, torch.Tensor]]:
        """A copy of all weights, by module and name."""
        return {
            name: {key: value.detach().clone() for key, value in module.state_dict().items()}
            for name, module in self.modules().items()
        }

    def load(self, weights: dict[str, dict[str, torch.Tensor]]) -> None:
        for name, module in self.modules().items():
            module.load_state_dict(weights[name])

    def tokens(self, text: str, locale: str) -> list[int]:
        ids: list[int] = self.model.tokenizer.text_to_ids(f"{text} {tag_piece(locale)}")
        return ids

    @property
    def blank(self) -> int:
        return int(self.model.tokenizer.vocab_size)

    def encode(self, mels: torch.Tensor, lengths: torch.Tensor, prompts: torch.Tensor) -> tuple[Any, Any]:
        """Prompted encoder frames (batch, d_model, frames) and their counts."""
        return self.model.forward(  # type: ignore[no-any-return]
            processed_signal=mels, processed_signal_length=lengths, prompt_indices=prompts
        )
