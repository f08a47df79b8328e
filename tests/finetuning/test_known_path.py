"""The first steps of a run along one known path: when to emit what, and the loss of that path alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from workbench.finetuning import data, emissions, letter_times, plan
from workbench.finetuning.data import read_audio
from workbench.finetuning.packed_joint import packed_loss
from workbench.finetuning.rows import read_source

FRAMES, COUNTS = [9, 4, 12], [3, 2, 5]


def made():
    from nemo.collections.asr.modules.rnnt import RNNTJoint

    torch.manual_seed(1)
    net = {"encoder_hidden": 6, "pred_hidden": 5, "joint_hidden": 8, "activation": "relu", "dropout": 0.0}
    joint = RNNTJoint(net, num_classes=6, log_softmax=False)
    encoded = torch.randn(3, 12, 6, requires_grad=True)
    predicted = torch.randn(3, 6, 5, requires_grad=True)
    return joint, encoded, predicted, torch.randint(0, 6, (3, 5))


@pytest.mark.model
@pytest.mark.parametrize("cells", [1, 4096])
def test_an_utterance_with_emissions_counts_its_one_path_and_the_others_all(cells, monkeypatch):
    """Against cross-entropy on the cells of the path, written another way."""
    from workbench.finetuning import packed_joint
    from workbench.starter.paths import lattice_path, path_loss

    monkeypatch.setattr(packed_joint, "CELLS", cells)
    joint, encoded, predicted, labels = made()
    sizes = torch.tensor(FRAMES), torch.tensor(COUNTS)
    at = torch.full((3, 5), -1)
    at[0, :3] = torch.tensor([0, 4, 4])
    at[2, :5] = torch.tensor([1, 1, 7, 11, 99])  # the last one beyond the end: its last frame
    weights = torch.tensor([1.0, 0.5, 2.0])
    found = packed_loss(joint, encoded, predicted, labels, *sizes, weights, at)
    expected = packed_loss(
        joint, encoded[1:2, :4], predicted[1:2], labels[1:2], sizes[0][1:2], sizes[1][1:2], weights[1:2]
    )
    for b, frames in ((0, [0, 4, 4]), (2, [1, 1, 7, 11, 11])):
        path = lattice_path([np.array(frames)], [labels[b, : COUNTS[b]].tolist()], [FRAMES[b]], blank=6)
        expected = expected + weights[b] * path_loss(joint, encoded[b : b + 1], predicted[b : b + 1], path)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    own = torch.autograd.grad(found, [encoded, predicted, *joint.parameters()])
    theirs = torch.autograd.grad(expected, [encoded, predicted, *joint.parameters()])
    for one, other in zip(own, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_emissions_follow_the_speed_and_are_unknown_without_letter_times():
    pieces, letters = ["▁", "n", "o", ".", "▁<es-ES>"], np.repeat(np.array([-1, 0, 1, -1], np.int16), 40)
    at = emissions.emission_frames(pieces, "No.", letters, 160 * 160)
    assert at.tolist() == [10, 10, 15, 18, 18], "letters end at 80 and 120 of 160 log-mel frames"
    assert emissions.emission_frames(pieces, "No.", letters, 80 * 160).tolist() == [5, 5, 8, 10, 10]
    assert emissions.emission_frames(pieces, "No.", None, 160 * 160).tolist() == [-1] * 5


@pytest.fixture
def preprocessor(base):
    from workbench.finetuning import model as models
    from workbench.finetuning.base import read_base
    from workbench.finetuning.recipe import Recipe

    return models.load(Recipe("x", str(base), ()), read_base(base), "cpu").preprocessor


@pytest.mark.model
def test_letter_times_need_enough_of_a_voice(corpus, preprocessor, monkeypatch):
    from workbench.finetuning import Source

    rows = read_source(Source(str(corpus), locales=("el-GR",)), ["el-GR"], [], (0, 100))
    assert len(rows) == 16
    assert letter_times.of_utterances(rows, preprocessor, read_audio, 0) == [None] * 16
    monkeypatch.setattr(letter_times, "LEAST_UTTERANCES", 12)
    rows[3] = replace(rows[3], audio=rows[3].audio.with_name("gone.wav"))
    rows[5] = replace(rows[5], text="…")
    found = letter_times.of_utterances(rows, preprocessor, read_audio, 0)
    assert [i for i, own in enumerate(found) if own is None] == [3, 5]
    for row, own in zip(rows, found, strict=True):
        if own is not None:
            places = own[own >= 0]
            assert (np.diff(places) >= 0).all()
            spelt = emissions.spelling(row.text)
            assert set(places.tolist()) == {i for i, c in enumerate(spelt) if c != " "}


@pytest.mark.model
def test_only_the_first_steps_and_only_the_target_follow_a_path(recipe, monkeypatch, tmp_path):
    """Batches of a plan, then a run through the real model and Lightning."""
    from workbench.finetuning.run import Run, _prepare
    from workbench.finetuning.worker import _run

    monkeypatch.setattr(letter_times, "LEAST_UTTERANCES", 8)
    chosen = recipe.changed(aligned_steps=3, steps=6, validate_every=6, streaming_lookahead_ms=None)
    sources = plan.read_training(chosen, [])
    spoken = {(0, row): np.repeat(np.arange(4, dtype=np.int16), 20) for row in range(len(sources[0]))}
    table = plan.draw(chosen, sources)
    prompts = {"auto": 0, "el-GR": 1, "en-US": 2, "it-IT": 3}
    made_batches = data.PlanBatches(
        table, sources, chosen, lambda text: list(range(1, 6)), prompts,
        pieces=lambda ids: ["n", "o", "n", "o", "<el-GR>"], spoken=spoken,
    )  # fmt: skip
    batches = list(made_batches)
    assert [len(batch) for batch in batches] == [6, 6, 6, 5, 5, 5]
    seen = set()
    for step, batch in enumerate(batches[:3]):
        uses = table[table["step"] == step]
        for (_, use), at in zip(uses.iterrows(), batch[5], strict=True):
            known = bool((at[:5] >= 0).all())
            assert known == (use["source"] == 0)
            seen.add(known)
    assert seen == {True, False}

    run = Run(tmp_path / "run")
    _prepare(run.folder, chosen)
    assert _run(run.folder) == "finished"
    losses = run.metrics("train")["loss"]
    assert len(losses) == 6
    assert np.isfinite(losses).all()


def test_aligned_steps_that_cannot_be_are_refused(recipe):
    assert any("aligned_steps" in line for line in recipe.changed(aligned_steps=13).validate())
    faults = recipe.changed(aligned_steps=3, device="cuda").validate()
    assert any("aligned_steps" in line and "CPU" in line for line in faults)
