"""The starter checkpoint is of the real class, and its training can be stopped at any step."""

import json

import pytest

from workbench.locales import LOCALES, prompt_dictionary
from workbench.starter_files import CHECKPOINT

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


def test_a_stopped_training_goes_on_bit_for_bit(tmp_path, monkeypatch):
    import torch

    from tooling.starter import calibration, checkpoint

    heard = checkpoint.heard
    monkeypatch.setattr(checkpoint, "heard", lambda rows: heard(rows)[::40])  # aligning all takes minutes
    recipe = checkpoint.load_recipe()
    recipe["network"].update(layers=1, letter_layer=1, d_model=32, subsampling_channels=8, predictor=16)
    recipe["validation"] = {"every": 1000, "clips_per_voice": 1}
    recipe["calibration"] = {"every": 400}
    monkeypatch.setattr(calibration, "STOPS", (0.0, 1.0))  # an untrained network babbles; decoding is slow
    monkeypatch.setattr(calibration, "BOUNDARIES", (0.0,))
    short = {
        "batch_s": 8,
        "max_clip_s": 3,
        "lr": 1e-3,
        "lr_end": 1e-4,
        "warmup": 2,
        "dropout": 0.1,
        "joins": 0.3,
        "augment": 1,
        "tempo": 0.5,
        "silence": 0.5,
        "letters": 0.5,
        "blur": 0.1,
    }
    recipe["stages"] = [
        {"name": "path", "loss": "path", "steps": 3, **short},
        {"name": "transducer", "loss": "transducer", "steps": 4, **short},
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

        while not checkpoint.make(folder, folder / "out.nemo", _small(recipe), cancel=cancel):
            pass
        held = torch.load(folder / "state.pt", weights_only=True)
        assert (held["stage"], held["step"]) == (1, 4)
        weights[name] = held
        losses = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
        assert any("cer" in line for line in losses)
        assert (folder / "out.nemo").stat().st_size < 25e6
    for part in ("model", "letters"):
        for key, value in weights["whole"][part].items():
            assert torch.equal(value, weights["stopped"][part][key]), key


def _small(recipe):
    return json.loads(json.dumps(recipe))


def test_calibration_brings_back_sentence_ends_and_leaves_the_weights(model, tmp_path):
    import torch

    from tooling.starter import calibration, features
    from workbench.starter_files import CORPUS, MANIFEST

    rows = [row for row in features.read_rows(MANIFEST) if row["split"] == "validation"][::20]
    cache = features.cached(rows, CORPUS, model.preprocessor, tmp_path / "features.npz")
    bias = model.joint.joint_net[-1].bias
    trained = bias.detach().clone()
    with calibration.raised(model, -2.0, -1.0):
        assert int((bias != trained).sum()) == 2
        held = bias.detach().clone()
        shy_figures, found = calibration.calibrate(model, rows, cache)
        assert torch.equal(bias, held)
        with calibration.raised(model, found.full_stop, found.boundary):
            again, _ = calibration.calibrate(model, rows, cache)
    assert torch.equal(bias, trained)
    assert found.full_stop > 0
    assert found.tags_right > shy_figures.tags_right
    assert again.tags_right == found.tags_right  # measured anew with the chosen biases in place
