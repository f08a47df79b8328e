"""The parts of a model that become ONNX graphs: NeMo's modules, called as the streaming engine calls them."""

from __future__ import annotations

from typing import Any

import torch


class Subsampling(torch.nn.Module):  # type: ignore[misc]
    """Features to frames, through the encoder's causal convolutions."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.pre_encode = encoder.pre_encode

    def forward(self, features: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """(B, time, features), (B,) → (B, frames, d_model)."""
        frames, _ = self.pre_encode(x=features, lengths=lengths)
        found: torch.Tensor = frames
        return found


class Encoder(torch.nn.Module):  # type: ignore[misc]
    """Frames and caches to what the joint adds up: the layers, the language prompt, the joint's projection.

    Args:
        model: NeMo's transducer. ``layers``: its :class:`CachedLayers`, or None where NeMo's own are called.
        size: frames of left context that the channel cache holds.
    """

    def __init__(self, model: Any, layers: Any, size: int) -> None:
        super().__init__()
        self.encoder, self.joint_projection, self.size = model.encoder, model.joint.enc, size
        self.layers = layers
        if layers is not None:
            layers.positions()  # before the trace: they are constants of it
        self.prompt_kernel = model.prompt_kernel if getattr(model, "concat", False) else None
        one_hot = torch.eye(int(model.num_prompts)) if self.prompt_kernel is not None else torch.zeros(0)
        self.register_buffer("one_hot", one_hot, persistent=False)

    def forward(
        self,
        frames: torch.Tensor,
        lengths: torch.Tensor,
        channel: torch.Tensor,
        time: torch.Tensor,
        length: torch.Tensor,
        prompt: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, ...]:
        """(B, T, d_model), (B,), (layers, B, 2, size, d_model), (layers, B, d_model, kernel - 1), (B,), (B,)
        → (B, T, joint) and the three caches."""
        if self.layers is not None:
            found, (channel, time, length) = self.layers(frames, lengths, (channel, time, length))
        else:
            encoded, _, channel, time, length = self.encoder.forward_internal(
                frames, lengths, channel, time, length, bypass_pre_encode=True
            )
            channel = channel[:, :, channel.shape[2] - self.size :]
            found = encoded.transpose(1, 2)
        if self.prompt_kernel is not None and prompt is not None:
            chosen = self.one_hot[prompt].unsqueeze(1).expand(-1, found.shape[1], -1)
            found = self.prompt_kernel(torch.cat([found, chosen], dim=-1))
        return self.joint_projection(found), channel, time, length


class Predictor(torch.nn.Module):  # type: ignore[misc]
    """A label and the state after it, projected for the joint."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.decoder, self.joint_projection = model.decoder, model.joint.pred

    def forward(
        self, labels: torch.Tensor, hidden: torch.Tensor, cell: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(B, 1), (layers, B, width) twice → (B, 1, joint) and the two states."""
        found, (hidden, cell) = self.decoder.predict(labels, [hidden, cell], add_sos=False)
        return self.joint_projection(found), hidden, cell


class Joint(torch.nn.Module):  # type: ignore[misc]
    """The best label of each frame after one label, and all logits."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.joint = model.joint

    def forward(self, projected: torch.Tensor, predicted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, T, joint), (N, 1, joint) → (N, T) and (N, T, labels)."""
        logits = self.joint.joint_after_projection(projected, predicted)[:, :, 0]
        return logits.argmax(dim=-1), logits


class ServedEncoder(torch.nn.Module):  # type: ignore[misc]
    """Features and caches to frames, as runtimes outside the workbench call an encoder, with the prompt.

    NeMo's ``forward_for_export`` and what it leaves out: the projection of the language prompt.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder = model.encoder
        self.prompt_kernel = model.prompt_kernel if getattr(model, "concat", False) else None
        one_hot = torch.eye(int(model.num_prompts)) if self.prompt_kernel is not None else torch.zeros(0)
        self.register_buffer("one_hot", one_hot, persistent=False)

    def forward(
        self,
        audio_signal: torch.Tensor,
        length: torch.Tensor,
        channel: torch.Tensor,
        time: torch.Tensor,
        channel_length: torch.Tensor,
        prompt: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, ...]:
        """(B, mels, time), (B,), caches with the batch first → (B, d_model, frames), lengths, caches."""
        found, lengths, *caches = self.encoder.forward_for_export(
            audio_signal, length, channel, time, channel_length
        )
        if self.prompt_kernel is not None and prompt is not None:
            frames = found.transpose(1, 2)
            chosen = self.one_hot[prompt].unsqueeze(1).expand(-1, frames.shape[1], -1)
            found = self.prompt_kernel(torch.cat([frames, chosen], dim=-1)).transpose(1, 2)
        return found, lengths, *caches
