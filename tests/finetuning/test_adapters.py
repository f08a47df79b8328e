"""Adapters as files: what they hold, whom they fit; swapped in, one gives its run's own checkpoint."""

from __future__ import annotations

import pytest

from workbench.errors import WorkbenchError
from workbench.finetuning import Run, adapters
from workbench.finetuning.base import read_base
from workbench.finetuning.run import _prepare

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def adapted(base, corpus, tmp_path_factory):
    """Two finished adapter runs on one base."""
    from workbench.finetuning import Recipe, Source
    from workbench.finetuning.worker import _run

    folder, runs = tmp_path_factory.mktemp("adapted"), {}
    for tag in ("el-GR", "it-IT"):
        recipe = Recipe(
            name=tag, base=str(base), sources=(Source(str(corpus), locales=(tag,), split="train"),),
            trains="adapter", adapter_dim=4, steps=3, warmup_steps=1, learning_rate=5e-3, batch_s=8,
            max_duration_s=8, device="cpu",
        )  # fmt: skip
        runs[tag] = Run(folder / tag)
        _prepare(runs[tag].folder, recipe)
        assert _run(runs[tag].folder) == "finished"
    return runs


def files(runs):
    return {tag: run.checkpoint_path.with_suffix(".adapter.pt") for tag, run in runs.items()}


def encoded(model):
    import torch

    torch.manual_seed(0)
    signal = torch.randn(1, 16000)
    model.eval()
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
    assert held["base_sha256"] == read_base(base).checkpoint.sha256
    assert path.stat().st_size < base.stat().st_size / 2
    other = tmp_path / "other.pt"
    torch.save({**held, "base_sha256": "0" * 64}, other)
    with pytest.raises(WorkbenchError, match="another base"):
        adapters.AdapterBank(read_base(base), {"el-GR": other})
    other.write_bytes(b"no adapter")
    with pytest.raises(WorkbenchError, match="not an adapter that can be read"):
        adapters.read(other)
