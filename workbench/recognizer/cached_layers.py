"""The encoder's layers over one chunk, with what does not change kept: NeMo's own weights, fewer steps.

NeMo keeps the *inputs* of attention between chunks, and projects all of them to keys and values again with
each chunk; it projects the table of relative positions in every layer and chunk; and its convolutions of
width one run as convolutions. At 80 ms two thirds of all work is that. Here keys and values are kept,
positions are projected once, and such convolutions are the matrix products that they are. The sums are the
same sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from workbench.recognizer.stream import Caches

MAX_LEFT = 1024
"""Frames of left context up to which positions are kept."""
_MASKED = -10_000.0
"""What NeMo puts where a frame may not look."""


class CachedLayers:
    """The layers of an encoder.

    Args:
        encoder: NeMo's, that :meth:`suits`; its modules are called, its look-ahead is the one in force.
    """

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder
        contexts = encoder.att_context_size_all
        self.longest = max(int(left) + int(right) + 1 for left, right, *_ in contexts)
        self._versions: tuple[int, ...] = ()
        self._positions: list[torch.Tensor] = []

    @staticmethod
    def suits(encoder: Any) -> bool:
        """Whether an encoder's layers are those that are known here."""
        if encoder.self_attention_model != "rel_pos" or encoder.att_context_style != "chunked_limited":
            return False
        plain = {"RelPositionMultiHeadAttention", "ConformerConvolution"}
        return (
            encoder.reduction_position is None
            and all(
                0 <= int(left) <= MAX_LEFT and int(right) >= 0 for left, right in encoder.att_context_size_all
            )
            and all(
                {type(one.self_attn).__name__, type(one.conv).__name__} == plain for one in encoder.layers
            )
            and not any(one.self_attn.use_pytorch_sdpa for one in encoder.layers)
            and all(one.conv.pointwise_activation == "glu_" for one in encoder.layers)
        )

    def initial(self, dtype: torch.dtype, device: torch.device) -> Caches:
        """Of one stream that has heard nothing: keys and values (layers, 1, 2, left, d_model), the inputs of
        convolutions (layers, 1, d_model, kernel - 1), frames that are in them (1,)."""
        channel, time, length = self.encoder.get_initial_cache_state(1, dtype, device)
        return torch.stack([channel, channel], dim=2), time, length

    def positions(self) -> list[torch.Tensor]:
        """Of each layer the projected positions, (heads, width, 2 · longest - 1); again where the layer that
        projects them was exchanged, its weights changed in place, or its adapter switched."""
        attentions = [layer.self_attn for layer in self.encoder.layers]
        versions = tuple(state for attention in attentions for state in _state(attention.linear_pos))
        if not self._positions or versions != self._versions:
            table = self.encoder.pos_enc.pe
            middle = table.size(1) // 2 + 1
            table = table[:, middle - self.longest : middle + self.longest - 1]
            with torch.no_grad():
                self._positions = [_projected(attention, table) for attention in attentions]
            self._versions = versions
        return self._positions

    def __call__(
        self, frames: torch.Tensor, lengths: torch.Tensor, caches: Caches
    ) -> tuple[torch.Tensor, Caches]:
        """(B, T, d_model) frames after subsampling → the same after all layers, and the caches after them.

        Args:
            lengths: (B,) frames that count. ``caches``: as of :meth:`initial`, with a row for each stream.
        """
        encoder, (channel, time, length) = self.encoder, caches
        steps, left = frames.size(1), channel.size(3)
        total = steps + left
        pad_mask, mask = encoder._create_masks(
            att_context_size=encoder.att_context_size,
            padding_length=lengths + left,
            max_audio_length=total,
            offset=left - length,
            device=frames.device,
        )
        pad_mask, mask = pad_mask[:, left:], mask[:, left:].unsqueeze(1)
        x = frames * encoder.xscale if encoder.xscale else frames
        channels, times = [], []
        first = self.longest - total
        for number, (layer, positions) in enumerate(zip(encoder.layers, self.positions(), strict=True)):
            near = positions[:, :, first : first + total + steps - 1]
            x, kept, heard = _layer(layer, x, near, mask, pad_mask, channel[number], time[number])
            channels.append(kept)
            times.append(heard)
        if encoder.out_proj is not None:
            x = encoder.out_proj(x)
        return x, (torch.stack(channels), torch.stack(times), torch.clamp(length + steps, max=left))


def _state(linear: Any) -> Iterator[int]:
    """Numbers that change when what a layer computes does."""
    yield id(linear)
    yield int(getattr(linear, "enabled", True))
    for weight in linear.parameters():
        yield 0 if weight.is_inference() else weight._version


def _projected(attention: Any, table: torch.Tensor) -> torch.Tensor:
    """(1, N, d_model) → (heads, width, N)."""
    found = attention.linear_pos(table)[0]
    return found.view(-1, attention.h, attention.d_k).permute(1, 2, 0).contiguous()


def _layer(
    layer: Any,
    x: torch.Tensor,
    positions: torch.Tensor,
    mask: torch.Tensor,
    pad_mask: torch.Tensor,
    kept: torch.Tensor,
    heard: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``ConformerLayer.forward`` with caches, outside of training."""
    residual = x + layer.feed_forward1(layer.norm_feed_forward1(x)) * layer.fc_factor
    attended, kept = _attention(layer.self_attn, layer.norm_self_att(residual), positions, mask, kept)
    residual = residual + attended
    adapted = layer.is_adapter_available()
    if adapted:
        residual = layer.forward_enabled_adapters({"x": residual, "loc": "mha", "att_mask": mask})["x"]
    convolved, heard = _convolution(layer.conv, layer.norm_conv(residual), pad_mask, heard)
    residual = residual + convolved
    residual = residual + layer.feed_forward2(layer.norm_feed_forward2(residual)) * layer.fc_factor
    x = layer.norm_out(residual)
    if adapted:
        x = layer.forward_enabled_adapters({"x": x, "loc": "post"})["x"]
    return x, kept, heard


def _attention(
    attention: Any, x: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor, kept: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    batch, steps, width = x.shape
    both = torch.stack([attention.linear_k(x), attention.linear_v(x)], dim=1)
    both = torch.cat([kept, both], dim=2)
    total = both.size(2)
    keys, values = both.view(batch, 2, total, attention.h, attention.d_k).transpose(2, 3).unbind(1)
    query = attention.linear_q(x).view(batch, steps, attention.h, attention.d_k)
    alike = torch.matmul((query + attention.pos_bias_u).transpose(1, 2), keys.transpose(2, 3))
    near = torch.matmul((query + attention.pos_bias_v).transpose(1, 2), positions)
    scores = (alike + attention.rel_shift(near)[..., :total]) / attention.s_d_k
    weights = torch.softmax(scores.masked_fill(mask, _MASKED), dim=-1).masked_fill(mask, 0.0)
    found = torch.matmul(weights, values).transpose(1, 2).reshape(batch, steps, width)
    return attention.linear_out(found), both[:, :, steps:]


def _convolution(
    conv: Any, x: torch.Tensor, pad_mask: torch.Tensor, heard: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    x = functional.glu(_pointwise(conv.pointwise_conv1, x), dim=-1)
    x = x.masked_fill(pad_mask.unsqueeze(-1), 0.0)
    x, heard = conv.depthwise_conv(x.transpose(1, 2), cache=heard)
    if conv.norm_type == "layer_norm":
        x = conv.batch_norm(x.transpose(1, 2))
    else:
        x = conv.batch_norm(x).transpose(1, 2)
    return _pointwise(conv.pointwise_conv2, conv.activation(x)), heard


def _pointwise(conv: Any, x: torch.Tensor) -> torch.Tensor:
    """(B, T, C) → (B, T, C')."""
    if type(conv) is torch.nn.Conv1d:
        return functional.linear(x, conv.weight[:, :, 0], conv.bias)
    found: torch.Tensor = conv(x.transpose(1, 2)).transpose(1, 2)
    return found
