"""The times of letters: found by the hidden Markov model, and turned into what each frame must say."""

from types import SimpleNamespace

import numpy as np
import pytest

from tooling.starter import alignment, emissions, forced_alignment, paths

LETTERS = "abcde"


def _voice(rng, clips=40):
    """Clips of a made-up voice: each letter has its own spectrum for 50 to 120 ms, with some pauses."""
    spectra = {c: rng.normal(0, 2, 80) for c in LETTERS}
    made = []
    for _ in range(clips):
        words = [
            "".join(rng.permutation(list(LETTERS))[: rng.integers(2, 5)]) for _ in range(rng.integers(1, 4))
        ]
        text, frames, truth = " ".join(words), [], []
        frames += [np.full(80, -6.0)] * 6
        for c in text:
            if c != " ":
                frames += [spectra[c]] * int(rng.integers(5, 13))
            elif rng.random() < 0.5:
                frames += [np.full(80, -6.0)] * 15
            truth.append(len(frames))
        frames += [np.full(80, -6.0)] * 6
        mel = np.asarray(frames) + rng.normal(0, 0.7, (len(frames), 80))
        made.append((text, mel.astype(np.float32), np.array(truth)))
    return made


def test_letter_ends_of_a_made_up_voice_are_found():
    made = _voice(np.random.default_rng(3))
    model = forced_alignment.VoiceModel([m for _, m, _ in made], [t for t, _, _ in made])
    model.train(np.random.default_rng(0))
    off = []
    for i, (text, _, truth) in enumerate(made):
        found = emissions.letter_ends(model.spoken(i), text)
        off.append(np.abs(found - truth[[j for j, c in enumerate(text) if c != " "]]))
    off = np.concatenate(off)
    assert np.median(off) <= 1, "10 ms frames"
    assert (off <= 3).mean() > 0.9


def test_a_pause_between_words_is_optional():
    chain = forced_alignment.chain("ab c", {"a": 0, "b": 1, "c": 2})
    assert chain.letter.tolist() == [-1, 0, 0, 1, 1, -1, 3, 3, -1]
    assert chain.skip.tolist() == [False] * 6 + [True, False, False]


SENTENCE = ["▁", "N", "o", ",", "▁", "s", "i", ".", "▁", "<es-ES>"]


@pytest.mark.parametrize(("frames", "closed"), [(60, 60), (200, 55 + emissions.SETTLE)])
def test_marks_come_with_the_next_letter_and_the_tag_when_the_sentence_has_settled(frames, closed):
    ends = emissions.token_ends(SENTENCE, np.array([10, 20, 40, 55]), frames)
    assert ends.tolist() == [10, 10, 20, 40, 40, 40, 55, closed, closed, closed]


def test_a_sentence_is_closed_before_the_next_one_begins():
    ends = emissions.token_ends(SENTENCE * 2, np.array([10, 20, 40, 55, 60, 70, 90, 105]), 300)
    assert ends[7:12].tolist() == [60, 60, 60, 60, 60], "the next letter ends at 60"
    assert ends[17:].tolist() == [125, 125, 125]


def test_the_path_emits_every_token_once_and_leaves_every_frame():
    path = paths.lattice_path([np.array([0, 2, 2])], [[5, 6, 7]], [4], blank=9)
    assert path.target.tolist() == [5, 9, 9, 6, 7, 9, 9]
    assert path.frame.tolist() == [0, 0, 1, 2, 2, 2, 3]
    assert path.emitted.tolist() == [0, 1, 1, 1, 2, 3, 3]


def test_words_are_cut_where_their_letters_are_spoken():
    text = "¡No, d'una 3 vez!"  # spelled "no d una 3 vez": places 0-1, 3, 5-7, 9, 11-13
    spoken = np.array([-1, 0, 1, 1, -1, 3, 5, 6, 7, 9, 11, 12, 13, 13, -1], np.int16)
    assert paths.words(text, spoken) == [(1, 4, "no"), (5, 9, "d'una"), (10, 14, "vez")]


def test_spliced_words_and_joined_clips_keep_to_one_voice_and_to_the_longest_clip():
    from tooling.starter import batches
    from tooling.starter.features import FeatureCache

    lengths = [120, 90, 200, 150]
    start = np.concatenate([[0], np.cumsum(lengths)])
    cache = FeatureCache(np.zeros((start[-1], 4), np.float16), start)
    stage = {
        "augment": 0, "joins": 0.5, "splices": 2.0, "max_clip_s": 4, "batch_s": 8, "tempo": 0.5,
        "silence": 0.5,
    }  # fmt: skip
    words = [[batches.Span(i, 10, 40, f"w{i}")] for i in range(4)]
    drawn = batches.epoch(["a", "a", "b", "b"], cache.lengths(), stage, words, np.random.default_rng(0))
    samples = [sample for batch in drawn for sample in batch]
    whole = sorted(s.clip for sample in samples for s in sample.spans if s.words is None)
    assert whole == [0, 1, 2, 3], "every clip once in a pass"
    assert sum(sample.spans[0].words is not None for sample in samples) == 8
    for sample in samples:
        assert len({span.clip // 2 for span in sample.spans}) == 1
        assert len(batches.features(sample, cache, np.random.default_rng(1))) == sample.frames
        assert len(sample.pauses) == len(sample.spans) + 1
    assert any(sample.pauses[0] for sample in samples)
    assert any(sample.tempo != 1.0 for sample in samples)
    assert all(max(s.frames for s in batch) * len(batch) <= 800 for batch in drawn)


@pytest.mark.model
def test_one_path_is_never_likelier_than_all_of_them():
    """-log p(path) ≥ -log Σ p, with equality where the lattice has but one path; one joint, both losses."""
    import torch
    from nemo.collections.asr.modules import RNNTJoint

    from workbench.finetuning.transducer_loss import TransducerLoss

    torch.manual_seed(0)
    net = {"encoder_hidden": 8, "pred_hidden": 6, "joint_hidden": 10, "activation": "relu", "dropout": 0.0}
    joint = RNNTJoint(jointnet=net, num_classes=9, log_softmax=False, fuse_loss_wer=False)
    for frames, labels in ((1, [3, 4]), (5, [3, 4, 1]), (4, [2])):
        encoded, predicted = torch.randn(1, frames, 8), torch.randn(1, len(labels) + 1, 6)
        logits = joint(encoder_outputs=encoded.transpose(1, 2), decoder_outputs=predicted.transpose(1, 2))
        total = TransducerLoss(blank=9, reduction=None)(
            acts=logits,
            labels=torch.tensor([labels]),
            act_lens=torch.tensor([frames]),
            label_lens=torch.tensor([len(labels)]),
        ).sum()
        at = np.minimum(np.arange(len(labels)), frames - 1)
        path = paths.lattice_path([at], [labels], [frames], blank=9)
        one = paths.path_loss(joint, encoded, predicted, path)
        assert one >= total - 1e-4
        if frames == 1:
            assert torch.isclose(one, total, atol=1e-4)


def test_encoder_frames_hear_the_end_of_a_letter():
    assert emissions.encoder_frames(np.array([0, 1, 8, 9, 80]), 10).tolist() == [0, 1, 1, 2, 9]


def test_what_is_spoken_moves_with_tempo_and_pauses():
    """The letters of a sample end where its features say so: twice as fast, after ten frames of silence."""
    from tooling.starter import batches, dataset
    from tooling.starter.features import FeatureCache

    spoken = np.repeat(np.array([-1, 0, 1, -1], np.int16), 10)
    cache = FeatureCache(np.zeros((40, 4), np.float16), np.array([0, 40]))
    times = alignment.Alignment(spoken, np.array([0, 40]))
    material = dataset.Material([{"text": "No."}], cache, times, [], cache)
    sample = batches.Sample((batches.Span(0),), (10, 6), 2.0, 36)
    own, spelled = dataset.spoken_letters(material, sample)
    assert spelled == "no"
    assert len(own) == sample.frames == len(batches.features(sample, cache, np.random.default_rng(0)))
    assert emissions.letter_ends(own, spelled).tolist() == [20, 25]


@pytest.mark.model
def test_joint_and_loss_in_one_step_are_what_they_are_one_after_the_other():
    import torch

    from tooling.starter import dataset, training
    from workbench.finetuning.transducer_loss import TransducerLoss

    class Joint(torch.nn.Module):
        num_classes_with_blank, masking_prob = 8, 0.0

        def __init__(self):
            super().__init__()
            self.enc, self.pred = torch.nn.Linear(4, 6), torch.nn.Linear(3, 6)
            self.joint_net = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(6, 8))
            self.project_encoder, self.project_prednet = self.enc, self.pred

        def forward(self, encoder_outputs, decoder_outputs):
            hidden = self.enc(encoder_outputs.transpose(1, 2))[:, :, None]
            return self.joint_net(hidden + self.pred(decoder_outputs.transpose(1, 2))[:, None])

    torch.manual_seed(0)
    joint = Joint()
    encoded, predicted = torch.randn(2, 4, 9), torch.randn(2, 3, 6)
    labels, counts, frames = torch.randint(0, 7, (2, 5)), torch.tensor([5, 2]), torch.tensor([7, 9])
    nothing = torch.zeros(0)
    batch = dataset.Batch(nothing, nothing, labels, counts, nothing, nothing, paths.Path(*[nothing] * 4))
    learner = SimpleNamespace(model=SimpleNamespace(joint=joint))
    loss = TransducerLoss(blank=7, reduction=None)
    found = training._transduced(learner, batch, encoded, predicted, frames, loss)
    apart = loss(acts=joint(encoded, predicted), labels=labels, act_lens=frames, label_lens=counts).sum()
    assert torch.isclose(found, apart)


def test_a_clip_must_be_closed_in_its_last_frame():
    """Cross-entropy of the last labels and of the blank there, clip by clip; no other logit counts."""
    import torch

    from tooling.starter import dataset, training

    torch.manual_seed(0)
    logits = torch.randn(2, 5, 6, 8, requires_grad=True)
    labels, counts, frames = torch.randint(0, 7, (2, 5)), torch.tensor([5, 2]), torch.tensor([4, 5])
    nothing = torch.zeros(0)
    batch = dataset.Batch(nothing, nothing, labels, counts, nothing, nothing, paths.Path(*[nothing] * 4))
    found = training._closing(logits[torch.arange(2), frames - 1], batch, blank=7)
    scores = torch.log_softmax(logits, -1)
    expected = -sum(scores[0, 3, u, labels[0, u]] for u in (2, 3, 4)) - scores[0, 3, 5, 7]
    expected = expected - sum(scores[1, 4, u, labels[1, u]] for u in (0, 1)) - scores[1, 4, 2, 7]
    assert torch.isclose(found, expected)
    found.backward()
    assert set(logits.grad.abs().sum((2, 3)).nonzero().flatten().tolist()) == {0, 3, 1, 4}
