"""Joint and loss in one step: the same loss and gradients as NeMo's joint and the plain loss after it."""

from __future__ import annotations

import pytest
import torch

from workbench.finetuning import packed_joint
from workbench.finetuning.packed_joint import install, packed_loss
from workbench.finetuning.transducer_loss import TransducerLoss

pytestmark = pytest.mark.model
SIZES = [([9, 4, 12], [3, 0, 5]), ([1], [2]), ([30, 2, 7, 7, 1], [12, 4, 1, 9, 0])]


def made_joint(activation="relu", dropout=0.0):
    from nemo.collections.asr.modules.rnnt import RNNTJoint

    torch.manual_seed(1)
    net = {"encoder_hidden": 6, "pred_hidden": 5, "joint_hidden": 8, "activation": activation}
    return RNNTJoint({**net, "dropout": dropout}, num_classes=6, log_softmax=False)


def made_batch(frames, counts):
    torch.manual_seed(2)
    encoded = torch.randn(len(frames), max(frames) + 1, 6, requires_grad=True)  # one frame of padding
    predicted = torch.randn(len(frames), max(counts) + 1, 5, requires_grad=True)
    labels = torch.randint(0, 6, (len(frames), max(counts)))
    return encoded, predicted, labels, torch.tensor(frames), torch.tensor(counts)


def plain_loss(joint, encoded, predicted, labels, frames, counts):
    logits = joint.joint(encoded, predicted)
    return TransducerLoss(6)(acts=logits, labels=labels, act_lens=frames, label_lens=counts)


def gradients(loss, joint, *tensors):
    trained = [p for p in joint.parameters() if p.requires_grad]
    return torch.autograd.grad(loss, [*tensors, *trained])


@pytest.mark.parametrize(("frames", "counts"), SIZES)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("cells", [1, 40, 4096])
def test_equals_joint_then_loss(frames, counts, activation, cells, monkeypatch):
    monkeypatch.setattr(packed_joint, "CELLS", cells)
    joint, batch = made_joint(activation), made_batch(frames, counts)
    weights = torch.linspace(0.5, 2.0, len(frames))
    expected = (plain_loss(joint, *batch) * weights).sum()
    found = packed_loss(joint, *batch, weights)
    torch.testing.assert_close(found, expected)
    # The loss is scaled afterwards too: accumulation divides it.
    pairs = zip(
        gradients(found / 3, joint, *batch[:2]), gradients(expected / 3, joint, *batch[:2]), strict=True
    )
    for own, theirs in pairs:
        torch.testing.assert_close(own, theirs, rtol=1e-4, atol=1e-5)


def test_frozen_weights_get_no_gradient():
    joint, batch = made_joint(), made_batch([5, 3], [2, 1])
    joint.joint_net.requires_grad_(False)
    packed_loss(joint, *batch, torch.ones(2)).backward()
    assert all(parameter.grad is None for parameter in joint.joint_net.parameters())
    assert joint.enc.weight.grad.abs().sum() > 0


def test_padding_gets_no_gradient():
    encoded, predicted, *rest = made_batch([5, 3], [2, 1])
    packed_loss(made_joint(), encoded, predicted, *rest, torch.ones(2)).backward()
    assert encoded.grad[1, 3:].abs().max() == 0
    assert encoded.grad[:, 5:].abs().max() == 0
    assert predicted.grad[1, 2:].abs().max() == 0


def test_masks_the_predictor_as_nemo_does():
    joint, batch = made_joint(), made_batch([9, 4, 12], [3, 2, 5])
    joint.masking_prob = 0.5
    for training in (True, False):
        joint.train(training)
        torch.manual_seed(3)
        expected = plain_loss(joint, *batch).sum()
        torch.manual_seed(3)
        found = packed_loss(joint, *batch, torch.ones(3))
        torch.testing.assert_close(found, expected)


def test_unfit_lengths_are_refused():
    encoded, predicted, labels, frames, counts = made_batch([5, 3], [2, 1])
    with pytest.raises(ValueError, match="act_lens"):
        packed_loss(made_joint(), encoded, predicted, labels, frames + 9, counts, torch.ones(2))
    with pytest.raises(ValueError, match="blank"):
        packed_loss(
            made_joint(), encoded, predicted, torch.full_like(labels, 6), frames, counts, torch.ones(2)
        )


@pytest.mark.parametrize("reduction", ["mean_batch", "mean", "sum", "mean_volume"])
def test_reduces_as_nemo_does(reduction):
    from nemo.collections.asr.losses.rnnt import RNNTLoss

    wrapper = RNNTLoss(num_classes=6, reduction=reduction)
    wrapper._loss = TransducerLoss(6)
    batch = made_batch([9, 4, 12], [3, 2, 5])
    model = torch.nn.Module()
    model.joint, model.loss, model.wer = made_joint(), wrapper, None
    logits = model.joint.joint(*batch[:2])
    named = {"targets": batch[2], "input_lengths": batch[3], "target_lengths": batch[4]}
    expected = wrapper(log_probs=logits, **named)
    assert install(model)
    found = model.joint(
        encoder_outputs=batch[0].transpose(1, 2),
        decoder_outputs=batch[1].transpose(1, 2),
        encoder_lengths=batch[3],
        transcripts=batch[2],
        transcript_lengths=batch[4],
    )[0]
    torch.testing.assert_close(found, expected)


def test_joints_of_other_kinds_are_left_alone():
    from nemo.collections.asr.losses.rnnt import RNNTLoss

    model = torch.nn.Module()
    model.joint, model.loss, model.wer = made_joint(), RNNTLoss(num_classes=6), None
    assert not install(model)  # NeMo's own loss is still in place
    model.loss._loss = TransducerLoss(6)
    model.joint.temperature = 0.5
    assert not install(model)
    assert not model.joint.fuse_loss_wer


def test_training_steps_of_a_run_take_it(base, recipe):
    """The real model's training step, packed and not: one loss, one gradient."""
    from workbench.finetuning import data, plan
    from workbench.finetuning import model as models
    from workbench.finetuning.base import read_base

    facts = read_base(base)
    model = models.load(recipe.changed(dropout=0.0), facts, "cpu")
    assert model.joint.fuse_loss_wer
    sources = plan.read_training(recipe, [])
    batches = data.PlanBatches(
        plan.draw(recipe, sources), sources, recipe, model.tokenizer.text_to_ids, facts.prompts
    )
    signal, lengths, labels, counts, prompt_indices = next(iter(batches))
    model.eval()  # nothing drawn
    encoded, frames = model.forward(
        input_signal=signal, input_signal_length=lengths, prompt_indices=prompt_indices
    )
    predicted, _, _ = model.decoder(targets=labels, target_length=counts)
    pair = encoded.transpose(1, 2), predicted.transpose(1, 2)
    expected = plain_of(model, *pair, labels, frames, counts)
    found = model.joint(
        encoder_outputs=encoded,
        decoder_outputs=predicted,
        encoder_lengths=frames,
        transcripts=labels,
        transcript_lengths=counts,
    )[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def plain_of(model, encoded, predicted, labels, frames, counts):
    logits = model.joint.joint(encoded, predicted)
    return model.loss(log_probs=logits, targets=labels, input_lengths=frames, target_lengths=counts)
