"""The transducer (RNN-T) loss on CPU, exact and fast enough to train with.

NeMo's CPU losses walk the lattice in Python (minutes for one batch). Here a compiled kernel, parallel over
the batch, walks it, and sees only what it needs: the log-probabilities of the blank and of the next
label. The gradient is taken with respect to the raw logits in closed form, so no autograd graph of the
softmax is kept.

The recursion and its gradient: Graves, "Sequence Transduction with Recurrent Neural Networks", 2012,
section 2.4.

Legend: B utterances, T encoder frames, U longest label sequence, V tokens with the blank.
"""

from __future__ import annotations

import logging
import math
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

logger = logging.getLogger("workbench.finetuning.transducer_loss")


@numba.njit(cache=True, inline="always")  # type: ignore[untyped-decorator]
def _log_add(a: float, b: float) -> float:
    if a < b:
        a, b = b, a
    if b == -math.inf:
        return a
    return a + math.log1p(math.exp(b - a))


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def backward_scores(blank: NDArray[Any], label: NDArray[Any], frames: int, labels: int) -> NDArray[Any]:
    """Log-probability of finishing from each node, ``(frames, labels + 1)``."""
    beta = np.empty((frames, labels + 1), np.float64)
    for t in range(frames - 1, -1, -1):
        for u in range(labels, -1, -1):
            stay = -math.inf
            if t + 1 < frames:
                stay = beta[t + 1, u] + blank[t, u]
            elif u == labels:
                stay = blank[t, u]
            emit = beta[t, u + 1] + label[t, u] if u < labels else -math.inf
            beta[t, u] = _log_add(stay, emit)
    return beta


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def occupancies(
    blank: NDArray[Any],
    label: NDArray[Any],
    beta: NDArray[Any],
    blank_occupancy: NDArray[Any],
    label_occupancy: NDArray[Any],
) -> None:
    """Posterior of every blank and label arc of one utterance; the forward pass keeps one row of alpha."""
    frames, nodes = beta.shape
    total = beta[0, 0]
    if total == -math.inf:  # no path at all: the loss is infinite and there is no direction to go
        return
    alpha = np.full(nodes, -math.inf)
    alpha[0] = 0.0
    for t in range(frames):
        for u in range(nodes):
            if u > 0:
                alpha[u] = _log_add(alpha[u], alpha[u - 1] + label[t, u - 1])
            if u + 1 < nodes:
                label_occupancy[t, u] = math.exp(alpha[u] + label[t, u] + beta[t, u + 1] - total)
            if t + 1 < frames:
                blank_occupancy[t, u] = math.exp(alpha[u] + blank[t, u] + beta[t + 1, u] - total)
            elif u + 1 == nodes:
                blank_occupancy[t, u] = math.exp(alpha[u] + blank[t, u] - total)
        for u in range(nodes):
            alpha[u] += blank[t, u]


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _lattice(
    blank: NDArray[Any],
    label: NDArray[Any],
    frames: NDArray[Any],
    labels: NDArray[Any],
    losses: NDArray[Any],
    blank_occupancy: NDArray[Any],
    label_occupancy: NDArray[Any],
    wants_gradient: bool,
    first: int,
    stride: int,
) -> None:
    """Losses ``(B,)``, arc posteriors ``(B, T, U + 1)`` and ``(B, T, U)``; padding is left alone.

    Works on every ``stride``-th utterance from ``first`` on.
    """
    for b in range(first, blank.shape[0], stride):
        beta = backward_scores(blank[b], label[b], frames[b], labels[b])
        losses[b] = -beta[0, 0]
        if wants_gradient:
            occupancies(blank[b], label[b], beta, blank_occupancy[b], label_occupancy[b])


def _walk(arrays: list[Any], wants_gradient: bool) -> None:
    """Share the batch among as many threads as torch uses.

    Plain threads and a kernel without the interpreter lock, not numba's ``prange``: its pool raises the
    thread count of the OpenMP runtime that torch shares, after which every torch operation waits at a
    barrier for a thread that may not be running (measured on two busy cores: 17 s a step instead of 0.4 s).
    """
    threads = min(torch.get_num_threads(), len(arrays[0]))
    if threads == 1:
        _lattice(*arrays, wants_gradient, 0, 1)
        return

    def part(first: int) -> None:
        _lattice(*arrays, wants_gradient, first, threads)

    list(_pool().map(part, range(threads)))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix="transducer-loss")


class _TransducerLoss(torch.autograd.Function):  # type: ignore[misc]
    """Negative log-likelihood ``(B,)`` of raw logits ``(B, T, U + 1, V)``."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, labels: Tensor, frames: Tensor, label_lengths: Tensor, blank: int
    ) -> Tensor:
        log_probs = torch.log_softmax(logits, dim=-1)
        index = labels.long()[:, None, :, None].expand(-1, logits.shape[1], -1, 1)
        blank_scores = log_probs[..., blank].contiguous()
        label_scores = log_probs[:, :, :-1].gather(-1, index).squeeze(-1)
        wants_gradient = bool(ctx.needs_input_grad[0])
        losses = torch.empty(logits.shape[0], dtype=torch.float64)
        blank_scores, label_scores = blank_scores.cpu(), label_scores.cpu()
        blank_occupancy = torch.zeros_like(blank_scores) if wants_gradient else blank_scores
        label_occupancy = torch.zeros_like(label_scores) if wants_gradient else label_scores
        lengths = frames.long().cpu(), label_lengths.long().cpu()
        results = losses, blank_occupancy, label_occupancy
        arrays = [tensor.numpy() for tensor in (blank_scores, label_scores, *lengths, *results)]
        _walk(arrays, wants_gradient)
        if wants_gradient:
            occupancies_there = blank_occupancy.to(logits.device), label_occupancy.to(logits.device)
            ctx.save_for_backward(log_probs, index, *occupancies_there)
            ctx.blank = blank
        return losses.to(logits)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor, None, None, None, None]:
        log_probs, index, blank_occupancy, label_occupancy = ctx.saved_tensors
        scale = grad_outputs[0][:, None, None]
        blank_occupancy = blank_occupancy * scale
        label_occupancy = label_occupancy * scale
        # d loss / d logit[k] = softmax[k] · P(node visited) − P(arc k taken)
        visited = blank_occupancy.clone()
        visited[:, :, :-1] += label_occupancy
        gradient = log_probs.exp().mul_(visited[..., None])
        gradient[..., ctx.blank] -= blank_occupancy
        gradient[:, :, :-1].scatter_add_(-1, index, -label_occupancy[..., None])
        return gradient, None, None, None, None


class TransducerLoss(torch.nn.Module):  # type: ignore[misc]
    """Transducer loss walked on the CPU, for ``model.loss._loss`` of a NeMo RNN-T model or on its own.

    Logits may lie on a GPU; only the scores of blanks and next labels travel.

    ``reduction``: None for one loss per utterance, ``"sum"`` or ``"mean_batch"``. NeMo's wrapper sets it to
    None around each call and reduces by itself. A padded position takes no part; its gradient is exactly
    zero. An utterance without a possible path (``-inf`` logits on all of them) has an infinite loss and a
    zero gradient.
    """

    def __init__(self, blank: int, reduction: str | None = None) -> None:
        super().__init__()
        if reduction not in (None, "none", "sum", "mean_batch"):
            raise ValueError(f"reduction is {reduction!r}; it must be None, 'none', 'sum' or 'mean_batch'")
        self.blank = blank
        self.reduction = reduction

    def forward(self, acts: Tensor, labels: Tensor, act_lens: Tensor, label_lens: Tensor) -> Tensor:
        """Loss of raw logits ``acts (B, T, U + 1, V)`` for ``labels (B, U)``; lengths ``(B,)``.

        Raises ValueError where lengths or labels do not fit the logits.
        """
        self._check(acts, labels, act_lens, label_lens)
        if acts.dtype in (torch.float16, torch.bfloat16):
            acts = acts.float()
        # One of the two may be padded wider than the other; padding must still be a valid index to gather.
        width = min(labels.shape[1], acts.shape[2] - 1)
        labels, acts = labels[:, :width].clamp(0, acts.shape[3] - 1), acts[:, :, : width + 1]
        losses: Tensor = _TransducerLoss.apply(acts, labels, act_lens, label_lens, self.blank)
        if self.reduction == "sum":
            return losses.sum()
        return losses.mean() if self.reduction == "mean_batch" else losses

    def _check(self, acts: Tensor, labels: Tensor, act_lens: Tensor, label_lens: Tensor) -> None:
        batch, frames, nodes, tokens = acts.shape
        if not (len(labels) == len(act_lens) == len(label_lens) == batch):
            raise ValueError(
                f"batch sizes differ: logits {batch}, labels {len(labels)}, lengths {len(act_lens)}"
            )
        if not 0 <= self.blank < tokens:
            raise ValueError(f"blank is {self.blank}, the logits have {tokens} tokens")
        check_lengths(labels, act_lens, label_lens, (frames, nodes, tokens), self.blank)


def check_lengths(
    labels: Tensor, act_lens: Tensor, label_lens: Tensor, shape: tuple[int, int, int], blank: int
) -> None:
    """Raises ValueError where lengths or labels do not fit logits of ``shape`` (T, U + 1, V)."""
    frames, nodes, tokens = shape
    if len(act_lens) == 0:
        raise ValueError("the batch is empty")
    if int(act_lens.min()) < 1 or int(act_lens.max()) > frames:
        raise ValueError(f"act_lens must lie in 1..{frames}, found {act_lens.tolist()}")
    longest = int(label_lens.max())
    if int(label_lens.min()) < 0 or longest > nodes - 1 or longest > labels.shape[1]:
        raise ValueError(f"label_lens must lie in 0..{nodes - 1}, found {label_lens.tolist()}")
    real = torch.arange(labels.shape[1])[None, :] < label_lens[:, None].cpu()
    used = labels[real]
    if used.numel() and (int(used.min()) < 0 or int(used.max()) >= tokens or bool((used == blank).any())):
        raise ValueError(f"a label is the blank or lies outside 0..{tokens - 1}")


def install(model: Any) -> bool:
    """Put this loss into a NeMo RNN-T model that will train on CPU; True if it was put in.

    Left alone: a model on a GPU (NeMo's own CUDA loss is faster), a loss of another kind (TDT, multi-blank),
    and NeMo's loss with FastEmit or clamping, which this one does not have.
    """
    if next(model.parameters()).is_cuda:
        return False
    current = model.loss._loss
    if isinstance(current, TransducerLoss):
        return True
    kind = type(current).__name__
    if kind not in ("RNNTLossNumba", "RNNTLossPytorch"):
        logger.warning("the loss %s is not a plain transducer loss; NeMo's slow CPU version stays", kind)
        return False
    if getattr(current, "fastemit_lambda", 0.0) or getattr(current, "clamp", -1) > 0:
        logger.warning("the loss uses FastEmit or clamping; NeMo's slow CPU version stays")
        return False
    model.loss._loss = TransducerLoss(current.blank)
    model.joint.log_softmax = False  # the loss takes raw logits, like NeMo's GPU loss
    return True
