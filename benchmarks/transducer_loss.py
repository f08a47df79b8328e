"""Transducer loss and gradient on CPU, beside NeMo's default CPU loss, in interleaved pairs.

Then joint and loss in one step on real cells, beside NeMo's joint and the fast loss one after the other.

Run: python benchmarks/transducer_loss.py [--pairs 5] [--batch 2] [--frames 60] [--labels 40] [--tokens 513]
Budget: at least 30 times faster, equal to 1e-4 in loss and gradient; the second has none.
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


def packed(pairs: int) -> None:
    """A training batch of 40 s of short utterances, with the starter's sizes: forward and backward."""
    from nemo.collections.asr.modules.rnnt import RNNTJoint

    from workbench.finetuning.packed_joint import packed_loss

    torch.manual_seed(0)
    net = {"encoder_hidden": 144, "pred_hidden": 96, "joint_hidden": 288, "activation": "relu"}
    joint = RNNTJoint(net, num_classes=288, log_softmax=False)
    frames = torch.randint(8, 26, (24,)).sort().values
    counts = (frames * torch.empty(24).uniform_(0.6, 2.0)).long()
    encoded = torch.randn(24, int(frames.max()), 144, requires_grad=True)
    predicted = torch.randn(24, int(counts.max()) + 1, 96, requires_grad=True)
    labels = torch.randint(0, 288, (24, int(counts.max())))
    loss, weights = TransducerLoss(288), torch.ones(24)
    wanted = [encoded, predicted, *joint.parameters()]

    def one_step() -> torch.Tensor:
        return packed_loss(joint, encoded, predicted, labels, frames, counts, weights)

    def two_steps() -> torch.Tensor:
        logits = joint.joint(encoded, predicted)
        return loss(acts=logits, labels=labels, act_lens=frames, label_lens=counts).sum()

    ratios = []
    for pair in range(pairs + 1):  # the first pair compiles
        found, spent = [], []
        for way in (one_step, two_steps):
            start = time.perf_counter()
            found.append(torch.autograd.grad(way(), wanted))
            spent.append(time.perf_counter() - start)
        gap = max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(*found, strict=True))
        if gap > 1e-4:
            raise SystemExit(f"gradients differ by {gap:.2e} of the largest")
        if pair:
            ratios.append(spent[1] / spent[0])
            print(f"pair {pair}: one step {spent[0]:.4f} s, joint then loss {spent[1]:.4f} s")
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    print(f"joint and loss: ratio median {middle:.2f} (min {low:.2f}, max {high:.2f})")


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
