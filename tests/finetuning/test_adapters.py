"""Adapters as files: what they hold, whom they fit; swapped in, one gives its run's own checkpoint."""

from __future__ import annotations

import pytest

from workbench.errors import WorkbenchError
from workbench.finetuning import adapters, lora
from workbench.finetuning.base import read_base
from workbench.finetuning.run import prepare

pytestmark = pytest.mark.model


@pytest.fixture(scope="module", params=["adapter", "lora"])
def adapted(request, base, corpus, tmp_path_factory):
    """Two finished adapter runs of a kind on one base."""
    from workbench.finetuning import Recipe, Source
    from workbench.finetuning.worker import _run

    folder, runs = tmp_path_factory.mktemp("adapted"), {}
    for tag in ("el-GR", "it-IT"):
        recipe = Recipe(
            name=tag, base=str(base), sources=(Source(str(corpus), locales=(tag,), split="train"),),
            trains=request.param, adapter_dim=4, lora_rank=4, steps=3, warmup_steps=1, learning_rate=5e-3,
            batch_s=8, max_duration_s=8, device="cpu",
        )  # fmt: skip
        runs[tag] = prepare(recipe, folder / tag, check=False)
        assert _run(runs[tag].folder) == "finished"
    return runs


def files(runs):
    return {tag: run.checkpoint_path.with_suffix(".adapter.pt") for tag, run in runs.items()}


def encoded(model):
    import torch

    torch.manual_seed(0)
    signal = torch.randn(1, 16000)
    model.eval()
    model.encoder.set_default_att_context_size(list(model.encoder.att_context_size_all[0]))
    with torch.inference_mode():
        features, lengths = model.preprocessor(input_signal=signal, length=torch.tensor([16000]))
        return model.encoder(audio_signal=features, length=lengths)[0]


def test_a_swapped_adapter_is_the_checkpoint_of_its_run(adapted, base):
    import torch

    bank = adapters.AdapterBank(read_base(base), files(adapted))
    plain = encoded(bank.model)
    torch.testing.assert_close(plain, encoded(adapters.restore(read_base(base), "cpu")))
    for tag in ("el-GR", "it-IT", "el-GR"):
        assert bank.use(tag) >= 0
        whole = adapters.restore(read_base(adapted[tag].checkpoint_path), "cpu")
        torch.testing.assert_close(encoded(bank.model), encoded(whole))
        assert not torch.equal(encoded(bank.model), plain)
    bank.use(None)
    torch.testing.assert_close(encoded(bank.model), plain)
    with pytest.raises(WorkbenchError, match="no adapter of sv-SE"):
        bank.use("sv-SE")


def test_files_hold_plain_values_and_fit_one_base(adapted, base, tmp_path):
    import torch

    path = files(adapted)["el-GR"]
    held = torch.load(path, weights_only=True)
    assert held["dim"] == 4
    assert held["kind"] in ("linear", "lora")
    assert held["base_sha256"] == read_base(base).checkpoint.sha256
    assert path.stat().st_size < base.stat().st_size / 2
    other = tmp_path / "other.pt"
    torch.save({**held, "base_sha256": "0" * 64}, other)
    with pytest.raises(WorkbenchError, match="another base"):
        adapters.AdapterBank(read_base(base), {"el-GR": other})
    other.write_bytes(b"no adapter")
    with pytest.raises(WorkbenchError, match="not an adapter that can be read"):
        adapters.read(other)


def test_a_first_schema_is_read_as_a_linear_adapter(adapted, base, tmp_path):
    import torch

    held = torch.load(files(adapted)["el-GR"], weights_only=True)
    old = {"schema_version": 1, **{name: held[name] for name in ("base_sha256", "dim", "weights")}}
    torch.save(old, tmp_path / "old.pt")
    if held["kind"] == "linear":
        assert adapters.read(tmp_path / "old.pt").shape == adapters.AdapterShape("linear", 4)
    else:
        with pytest.raises(WorkbenchError, match="no weight of an adapter"):
            adapters.read(tmp_path / "old.pt")


@pytest.fixture(scope="module")
def learned(base):
    """A base with low-rank adapters that say something: offline and streamed, they change the text."""
    import torch

    model = adapters.restore(read_base(base), "cpu", adapters.AdapterShape("lora", 3, 6.0, ("linear_q",)))
    lora.insert(model, 3, 6.0, ("linear_k", "linear_v", "linear_out", "linear_pos", "linear1", "linear2"))
    chance = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for layer in lora.layers(model):
            layer.lora_up.normal_(0, 0.5, generator=chance)
    return model


def test_every_layer_of_the_encoder_gets_one_and_the_start_is_the_base(base):
    import torch

    plain = adapters.restore(read_base(base), "cpu")
    shape = adapters.AdapterShape("lora", 2, 4.0, ("linear_q", "linear2"))
    model = adapters.restore(read_base(base), "cpu", shape)
    assert len(lora.layers(model)) == 2 * (1 + 2)  # layers x (linear_q, two linear2)
    torch.testing.assert_close(encoded(model), encoded(plain), rtol=0, atol=0)
    again = adapters.restore(read_base(base), "cpu", shape)
    for mine, other in zip(lora.layers(model), lora.layers(again), strict=True):
        assert torch.equal(mine.lora_down, other.lora_down)


def said(model, right):
    """Tokens and frames of noise, streamed at a look-ahead; with the confidences, which are finer."""
    import numpy as np

    from workbench.recognizer.clips import Clip, stream_together
    from workbench.recognizer.engine import Engine

    model.eval()
    chance = np.random.default_rng(0)
    clips = [
        Clip((0.1 * chance.standard_normal(32_000)).astype("f4"), prompt_index) for prompt_index in (0, 7)
    ]
    found = stream_together(Engine(model), clips, right)
    return [(f.ids, f.frames, [round(c, 4) for c in f.confidences]) for f in found]


def test_merged_is_unmerged_offline_and_streamed(learned, base, tmp_path):
    """What is served is what was trained and validated; the saved file is a plain checkpoint of the base."""
    import torch

    plain = adapters.restore(read_base(base), "cpu")
    apart, streams = encoded(learned), [said(learned, right) for right in (0, 6)]
    assert (apart - encoded(plain)).abs().max() > 1e-2
    assert streams != [said(plain, right) for right in (0, 6)]
    lora.enable(learned, False)
    torch.testing.assert_close(encoded(learned), encoded(plain), rtol=0, atol=0)
    lora.enable(learned, True)

    adapters.save(learned, tmp_path / "a.pt", "0" * 64, adapters.AdapterShape("lora", 3, 6.0, ("linear_q",)))
    assert adapters.read(tmp_path / "a.pt").parameters == sum(
        layer.lora_up.numel() + layer.lora_down.numel() for layer in lora.layers(learned)
    )
    lora.merge(learned)
    assert not lora.layers(learned)
    assert set(learned.state_dict()) == set(plain.state_dict())
    torch.testing.assert_close(encoded(learned), apart, rtol=1e-4, atol=1e-5)
    assert [said(learned, right) for right in (0, 6)] == streams
