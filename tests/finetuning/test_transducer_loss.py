"""The CPU transducer loss against NeMo's PyTorch loss, and against finite differences."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from workbench.finetuning.transducer_loss import TransducerLoss, install

BLANK = 6


def make_batch(frames, labels, tokens=7, dtype=torch.float32, seed=0):
    """Random logits ``(B, T, U + 1, V)`` and padded labels for utterances of the given lengths."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(
        len(frames), max(frames), max(labels) + 1, tokens, generator=generator, dtype=dtype
    )
    targets = torch.randint(0, tokens - 1, (len(frames), max(labels)), generator=generator)
    return logits, targets, torch.tensor(frames), torch.tensor(labels)


def loss_and_gradient(loss, logits, *rest, weights=None):
    logits = logits.clone().requires_grad_(True)
    losses = loss(acts=logits, labels=rest[0], act_lens=rest[1], label_lens=rest[2])
    (losses * (1.0 if weights is None else weights)).sum().backward()
    return losses.detach(), logits.grad


SHAPES = [
    ([5, 9, 3], [2, 4, 1]),
    ([1], [0]),
    ([1], [3]),
    ([6], [0]),
    ([40, 2, 17, 1], [0, 12, 30, 1]),  # very different lengths, more labels than frames, nothing said
]


@pytest.mark.model
@pytest.mark.parametrize(("frames", "labels"), SHAPES)
def test_equals_nemo_pytorch_loss(frames, labels):
    from nemo.collections.asr.losses.rnnt_pytorch import RNNTLossPytorch

    batch = make_batch(frames, labels)
    weights = torch.linspace(0.5, 2.0, len(frames))
    expected = loss_and_gradient(RNNTLossPytorch(BLANK, "none"), *batch, weights=weights)
    found = loss_and_gradient(TransducerLoss(BLANK), *batch, weights=weights)
    torch.testing.assert_close(found[0], expected[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-4, atol=1e-4)


def test_gradient_by_finite_differences():
    logits, targets, frames, labels = make_batch([4, 1, 3], [2, 1, 0], tokens=4, dtype=torch.float64)
    loss = TransducerLoss(blank=3)
    logits.requires_grad_(True)
    targets = targets % 3
    assert torch.autograd.gradcheck(lambda x: loss(x, targets, frames, labels), (logits,))


def test_equals_sum_over_every_path():
    frames, labels = 4, 3
    logits, targets, *lengths = make_batch([frames], [labels], dtype=torch.float64)
    log_probs = logits.log_softmax(-1)[0]
    likelihood = 0.0
    # A path orders T - 1 blanks and U labels freely; the last step is always a blank.
    for emits in itertools.combinations(range(frames - 1 + labels), labels):
        t = u = 0
        score = 0.0
        for step in range(frames - 1 + labels):
            if step in emits:
                score += float(log_probs[t, u, targets[0, u]])
                u += 1
            else:
                score += float(log_probs[t, u, BLANK])
                t += 1
        likelihood += math.exp(score + float(log_probs[t, u, BLANK]))
    assert float(TransducerLoss(BLANK)(logits, targets, *lengths)) == pytest.approx(-math.log(likelihood))


def test_padding_changes_nothing_and_gets_no_gradient():
    logits, targets, frames, labels = make_batch([5, 9], [2, 4])
    alone, alone_gradient = loss_and_gradient(
        TransducerLoss(BLANK), logits[:1, :5, :3], targets[:1, :2], frames[:1], labels[:1]
    )
    targets[0, 2:] = -1  # whatever a collator pads with
    both, gradient = loss_and_gradient(TransducerLoss(BLANK), logits, targets, frames, labels)
    torch.testing.assert_close(both[:1], alone)
    torch.testing.assert_close(gradient[:1, :5, :3], alone_gradient)
    assert gradient[0, 5:].abs().max() == 0
    assert gradient[0, :, 3:].abs().max() == 0


def test_thread_count_does_not_change_the_result():
    batch = make_batch([30, 12, 7, 25], [8, 9, 1, 12])
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(loss_and_gradient(TransducerLoss(BLANK), *batch))
            assert torch.get_num_threads() == threads  # the loss leaves torch's threads alone
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert torch.equal(other[0], results[0][0])
        assert torch.equal(other[1], results[0][1])


def test_impossible_utterance_has_infinite_loss_and_no_nan():
    logits, targets, frames, labels = make_batch([3, 3], [1, 1])
    logits[0, :, :, BLANK] = -math.inf
    losses, gradient = loss_and_gradient(TransducerLoss(BLANK), logits, targets, frames, labels)
    assert losses[0] == math.inf
    assert torch.isfinite(losses[1])
    assert torch.isfinite(gradient).all()


def test_half_precision_and_reductions():
    batch = make_batch([5, 9], [2, 4])
    losses, _ = loss_and_gradient(TransducerLoss(BLANK), *batch)
    half, gradient = loss_and_gradient(TransducerLoss(BLANK), batch[0].bfloat16(), *batch[1:])
    assert gradient.dtype == torch.bfloat16
    torch.testing.assert_close(half, losses, rtol=0.05, atol=0.1)
    assert TransducerLoss(BLANK, "sum")(*batch) == pytest.approx(float(losses.sum()))
    assert TransducerLoss(BLANK, "mean_batch")(*batch) == pytest.approx(float(losses.mean()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"act_lens": torch.tensor([0, 9])}, "act_lens"),
        ({"act_lens": torch.tensor([5, 10])}, "act_lens"),
        ({"label_lens": torch.tensor([2, 5])}, "label_lens"),
        ({"labels": torch.full((2, 4), BLANK)}, "blank"),
        ({"labels": torch.full((2, 4), 7)}, "label"),
        ({"act_lens": torch.tensor([5])}, "batch sizes"),
    ],
)
def test_unfit_input_is_refused(change, message):
    batch = dict(zip(("acts", "labels", "act_lens", "label_lens"), make_batch([5, 9], [2, 4]), strict=True))
    with pytest.raises(ValueError, match=message):
        TransducerLoss(BLANK)(**{**batch, **change})


@pytest.mark.model
def test_install_puts_it_into_nemos_wrapper_and_keeps_other_losses():
    from nemo.collections.asr.losses.rnnt import RNNTLoss

    class Model(torch.nn.Module):
        def __init__(self, **loss):
            super().__init__()
            self.joint = torch.nn.Linear(2, 2)
            self.joint.log_softmax = None
            self.loss = RNNTLoss(num_classes=BLANK, **loss)

    model = Model()
    batch = make_batch([5, 9], [2, 4])
    named = dict(zip(("log_probs", "targets", "input_lengths", "target_lengths"), batch, strict=True))
    reference = RNNTLoss(num_classes=BLANK, loss_name="pytorch")(**named)
    assert install(model)
    assert install(model)
    assert model.joint.log_softmax is False
    torch.testing.assert_close(model.loss(**named), reference, rtol=1e-4, atol=1e-4)
    assert not install(Model(loss_kwargs={"fastemit_lambda": 0.005, "clamp": -1.0}))
