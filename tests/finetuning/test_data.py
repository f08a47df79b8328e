"""What a step reads and what trains: the audio held in memory, dropout, the first convolutions, the clock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.finetuning import folder as files
from workbench.finetuning.data import AudioCache
from workbench.finetuning.rows import read_source
from workbench.finetuning.sounds import read_audio


@pytest.fixture
def utterances(corpus, tmp_path):
    """Twelve utterances of copies, so that files may be taken away."""
    import shutil

    from workbench.finetuning import Source

    for path in corpus.parent.glob("el-GR-*.wav"):
        shutil.copy(path, tmp_path)
    source = Source(str(corpus), locales=("el-GR",), split="train")
    rows = read_source(source, ["el-GR", "en-US", "it-IT"], [], (0, 100))
    return [replace(row, audio=tmp_path / row.audio.name) for row in rows]


def test_held_audio_is_not_decoded_again(utterances):
    cache = AudioCache()
    first = [cache.read(row).copy() for row in utterances]
    for row, pcm in zip(utterances, first, strict=True):
        np.testing.assert_array_equal(pcm, read_audio(row))
        row.audio.unlink()
    for row, pcm in zip(utterances, first, strict=True):
        np.testing.assert_array_equal(cache.read(row), pcm)
    with pytest.raises(WorkbenchError, match="is missing"):
        AudioCache().read(utterances[0])


def test_the_longest_unused_goes_first(utterances):
    sizes = [read_audio(row).nbytes for row in utterances[:3]]
    cache = AudioCache(limit_mb=(sum(sizes) - 1) / 1e6)  # one byte short of three
    first, second, third = utterances[:3]
    for row in (first, second, first, third):
        cache.read(row)
    second.audio.unlink()
    first.audio.unlink()
    cache.read(first)  # used since, still held
    with pytest.raises(WorkbenchError, match="is missing"):
        cache.read(second)


def test_an_utterance_longer_than_the_limit_is_still_read(utterances):
    cache = AudioCache(limit_mb=1e-6)
    for row in utterances[:3]:
        assert len(cache.read(row))
    assert len(cache) == 1


@pytest.mark.model
@pytest.mark.parametrize(("rate", "active"), [(None, None), (0.0, False), (0.3, True)])
def test_dropout_of_the_encoder(recipe, rate, active):
    import torch

    from workbench.finetuning import model as models
    from workbench.finetuning.base import read_base

    chosen = recipe.changed(dropout=rate, train_subsampling=rate is None)
    model = models.load(chosen, read_base(recipe.base), "cpu")
    for _ in range(2):  # as after a validation
        model.eval()
        models.apply_training_mode(model, chosen)
    found = [m for m in model.encoder.modules() if isinstance(m, torch.nn.Dropout)]
    assert found
    if active is None:
        assert all(m.training for m in found)
        assert {m.p for m in found} >= {0.1}
    else:
        assert {(m.training, m.p) for m in found} == {(active, rate)}
    front = {p.requires_grad for p in model.encoder.pre_encode.parameters()}
    assert front == {rate is None}
    assert all(p.requires_grad for p in model.encoder.layers.parameters())


def test_seconds_of_all_attempts_are_added():
    first = files.Clock({}).read()
    second = files.Clock({"busy_s": 100.0, "processor_s": 50.0}).read()
    assert 0 <= first["busy_s"] < 60
    assert 100 <= second["busy_s"] < 160
    assert second["processor_s"] >= 50 + first["processor_s"]
