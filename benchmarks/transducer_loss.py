"""Transducer loss and gradient on CPU, beside NeMo's default CPU loss, in interleaved pairs.

Run: python benchmarks/transducer_loss.py [--pairs 5] [--batch 2] [--frames 60] [--labels 40] [--tokens 513]
Budget: at least 30 times faster, equal to 1e-4 in loss and gradient.
"""

from __future__ import annotations

import argparse
import statistics
import time

import budgets
import torch

from workbench.finetuning.transducer_loss import TransducerLoss


def make_batch(batch: int, frames: int, labels: int, tokens: int) -> tuple[torch.Tensor, ...]:
    """Logits and labels of unequal lengths, from a fixed seed."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(batch, frames, labels + 1, tokens, generator=generator)
    targets = torch.randint(0, tokens - 1, (batch, labels), generator=generator)
    shrink = torch.linspace(1.0, 0.7, batch)
    return logits, targets, (frames * shrink).long(), (labels * shrink).long()


def timed(
    loss: torch.nn.Module, raw: bool, batch: tuple[torch.Tensor, ...]
) -> tuple[float, torch.Tensor, torch.Tensor]:
    """Seconds for loss and gradient of one batch; NeMo's CPU loss needs a log-softmax first, which counts."""
    logits = batch[0].clone().requires_grad_(True)
    start = time.perf_counter()
    acts = logits if raw else logits.log_softmax(-1)
    losses = loss(acts=acts, labels=batch[1], act_lens=batch[2], label_lens=batch[3])
    losses.sum().backward()
    return time.perf_counter() - start, losses.detach(), logits.grad


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("pairs", 5), ("batch", 2), ("frames", 60), ("labels", 40), ("tokens", 513)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    from nemo.collections.asr.parts.numba.rnnt_loss.rnnt_pytorch import RNNTLossNumba

    batch = make_batch(options.batch, options.frames, options.labels, options.tokens)
    blank = options.tokens - 1
    ours, nemo = TransducerLoss(blank), RNNTLossNumba(blank=blank, reduction="none")
    timed(ours, True, batch)  # compiles, or reads the compiled kernel from its cache
    ratios = []
    for pair in range(options.pairs):
        own_s, own_loss, own_gradient = timed(ours, True, batch)
        nemo_s, nemo_loss, nemo_gradient = timed(nemo, False, batch)
        loss_gap = float((own_loss - nemo_loss).abs().max())
        gradient_gap = float((own_gradient - nemo_gradient).abs().max())
        if max(loss_gap, gradient_gap) > 1e-4 * max(1.0, float(nemo_loss.max())):
            raise SystemExit(f"results differ: loss by {loss_gap:.2e}, gradient by {gradient_gap:.2e}")
        ratios.append(nemo_s / own_s)
        print(f"pair {pair}: ours {own_s:.4f} s, NeMo {nemo_s:.3f} s, ratio {ratios[-1]:.0f}")
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    print(f"ratio median {middle:.0f} (min {low:.0f}, max {high:.0f}); budget 30")
    budgets.record("transducer_loss", ratios)


if __name__ == "__main__":
    main()
