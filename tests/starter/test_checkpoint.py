"""The starter checkpoint is of the real class, and its training can be stopped at any step."""

import json

import pytest

from workbench.locales import LOCALES, prompt_dictionary
from workbench.starter import CHECKPOINT

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def model():
    from nemo.collections.asr.models import ASRModel

    return ASRModel.restore_from(str(CHECKPOINT), map_location="cpu").eval()


def test_class_size_tags_and_look_aheads(model):
    assert type(model).__name__ == "EncDecRNNTBPEModelWithPrompt"
    assert CHECKPOINT.stat().st_size <= 25e6
    assert dict(model.cfg.model_defaults.prompt_dictionary) == prompt_dictionary()
    assert model.encoder.att_context_size_all == [[56, 13], [56, 6], [56, 3], [56, 1], [56, 0]]
    for tag in LOCALES:
        assert len(model.tokenizer.text_to_ids(f"<{tag}>")) <= 2  # the piece, and the word boundary before it
        assert (
            f"<{tag}>" in model.tokenizer.tokenizer.get_vocab() or model.tokenizer.token_to_id(f"<{tag}>") > 0
        )


def test_the_transducer_starts_out_as_the_ctc_model():
    """The conversion's claim: logits of joint and CTC head are equal while the predictor is silent."""
    import torch

    from workbench.starter import network
    from workbench.starter.checkpoint import load_recipe

    recipe = load_recipe()["network"]
    from nemo.collections.asr.modules import RNNTJoint

    d_model, vocabulary = recipe["d_model"], 50
    joint = RNNTJoint(
        jointnet={
            "encoder_hidden": d_model,
            "pred_hidden": 8,
            "joint_hidden": 2 * d_model,
            "activation": "relu",
            "dropout": 0.0,
        },
        num_classes=vocabulary,
        log_softmax=False,
        fuse_loss_wer=False,
    )
    head = network.ctc_head(recipe, vocabulary)
    network.joint_from_ctc(type("Model", (), {"joint": joint})(), head)
    torch.manual_seed(1)
    encoded = torch.randn(2, d_model, 7)
    logits = joint(encoder_outputs=encoded, decoder_outputs=torch.zeros(2, 8, 1))
    assert torch.allclose(logits[:, :, 0], head(encoded.transpose(1, 2)), atol=1e-4)


def test_a_stopped_training_goes_on_bit_for_bit(tmp_path):
    import torch

    from workbench.starter import checkpoint

    recipe = checkpoint.load_recipe()
    recipe["network"].update(layers=1, letter_layer=1, d_model=32, subsampling_channels=8, predictor=16)
    recipe["features"]["speeds"] = [1.0]
    recipe["validation"] = {"every": 1000, "clips_per_voice": 1}
    short = {
        "batch_s": 8,
        "max_clip_s": 3,
        "lr": 1e-3,
        "lr_end": 1e-4,
        "warmup": 2,
        "dropout": 0.1,
        "joins": 0.3,
        "augment": 1,
        "letters": 0.5,
    }
    recipe["stages"] = [
        {"name": "ctc", "head": "ctc", "steps": 3, **short},
        {"name": "rnnt", "head": "rnnt", "steps": 4, **short},
    ]
    weights = {}
    for name, stops in (("whole", []), ("stopped", [2, 5])):
        folder = tmp_path / name
        folder.mkdir()
        asked = 0

        def cancel(stops=stops):
            nonlocal asked
            asked += 1
            return asked in stops

        while not checkpoint.make(folder, folder / "out.nemo", _small(recipe), cancel):
            pass
        held = torch.load(folder / "state.pt", weights_only=True)
        assert (held["stage"], held["step"]) == (1, 4)
        weights[name] = held
        losses = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
        assert any("cer" in line for line in losses)
        assert (folder / "out.nemo").stat().st_size < 25e6
    for part in ("model", "head"):
        for key, value in weights["whole"][part].items():
            assert torch.equal(value, weights["stopped"][part][key]), key


def _small(recipe):
    return json.loads(json.dumps(recipe))
