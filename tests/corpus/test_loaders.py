"""NeMo's own loader decodes a batch of each export that is meant for it, with the right prompt per clip; the
starter checkpoint, of the real class, takes a training step on one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from workbench import locales
from workbench.corpus.export import Export
from workbench.corpus.table import Corpus

pytestmark = pytest.mark.model


class Letters:
    """A tokenizer that keeps code points: what the loader hands on can be read back."""

    def __call__(self, text: str) -> list[int]:
        return [ord(c) for c in text]


COMMON = {
    "sample_rate": 16_000, "batch_size": 4, "shuffle": False, "num_workers": 0, "use_lhotse": True,
    "lang_field": "target_lang", "text_field": "text", "force_finite": True, "seed": 0,
    "prompt_dictionary": locales.prompt_dictionary(), "num_prompts": locales.NUM_PROMPTS,
}  # fmt: skip


def data_set(config: Any, tokenizer: Any) -> Any:
    from nemo.collections.asr.data.audio_to_text_lhotse_prompt_index import (
        LhotseSpeechToTextBpeDatasetWithPromptIndex,
    )

    return LhotseSpeechToTextBpeDatasetWithPromptIndex(tokenizer=tokenizer, cfg=config)


def loader(made: Export, format: str, tokenizer: Any) -> Any:
    """Batches of NeMo's data loader."""
    from nemo.collections.common.data.lhotse import get_lhotse_dataloader_from_config
    from omegaconf import OmegaConf

    source = {
        "nemo": {"manifest_filepath": str(made.path / "train.jsonl")},
        "tarred": {
            "manifest_filepath": str(made.manifest("train")),
            "tarred_audio_filepaths": str(made.manifest("train"))
            .replace("manifest_", "audio_")
            .replace(".json", ".tar"),
        },
        "shar": {"shar_path": str(made.path / "train")},
    }[format]
    config = OmegaConf.create({**COMMON, **source})
    dataset = data_set(config, tokenizer)
    return get_lhotse_dataloader_from_config(config, global_rank=0, world_size=1, dataset=dataset)


@pytest.fixture(scope="module")
def starter() -> Any:
    """The starter checkpoint as NeMo loads it, with the transducer loss of the workbench, nothing random."""
    from nemo.collections.asr.models import ASRModel

    from workbench.finetuning.transducer_loss import install
    from workbench.starter import CHECKPOINT

    model = ASRModel.restore_from(str(CHECKPOINT), map_location="cpu")
    assert install(model)
    model.spec_augmentation = None
    model.preprocessor.featurizer.dither = 0.0
    for module in model.modules():
        if hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = 0.0
        if type(module).__name__ == "Dropout":
            module.p = 0.0
    return model


def test_the_starter_takes_a_training_step(real: Corpus, tmp_path: Path, starter: Any) -> None:
    import torch
    from lightning.pytorch import Callback, Trainer

    real.split(seed=3, speakers="shared")
    real.accept()
    made = real.export(tmp_path / "x", "nemo")
    batch = next(iter(loader(made, "nemo", starter.tokenizer)))
    losses: list[float] = []

    class Record(Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
            losses.append(float(outputs["loss"]))

    before = {name: value.detach().clone() for name, value in starter.named_parameters()}

    def optimiser() -> Any:
        starter._optimizer = torch.optim.SGD(starter.parameters(), lr=0.02)
        return starter._optimizer

    starter.configure_optimizers = optimiser
    trainer = Trainer(
        accelerator="cpu", max_steps=2, logger=False, enable_checkpointing=False, gradient_clip_val=1.0,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[Record()],
    )  # fmt: skip
    try:
        twice = torch.utils.data.DataLoader([batch, batch], batch_size=None)
        trainer.fit(starter, train_dataloaders=twice)
        moved = [n for n, value in starter.named_parameters() if not torch.equal(value, before[n])]
    finally:
        starter.load_state_dict(before, strict=False)
    assert len(batch[0]) == 4
    assert 0 < losses[1] < losses[0] < float("inf")
    assert {name.split(".")[0] for name in moved} >= {"encoder", "decoder", "joint", "prompt_kernel"}


@pytest.mark.parametrize("format", ["nemo", "tarred", "shar"])
def test_nemo_decodes_a_batch_with_its_prompts(real: Corpus, tmp_path: Path, format: str) -> None:
    real.split(seed=3, speakers="shared")
    real.accept()
    made = real.export(tmp_path / "x", format)
    expected = {
        f"{row['text']} <{row['target_lang']}>": (locales.locale(row["target_lang"]).slot, row["duration"])
        for row in real.where("split = 'train'").page(0, 1000)
    }
    seen = 0
    for batch in loader(made, format, Letters()):
        sound, lengths, tokens, token_lengths, prompts = batch[:5]
        for i in range(len(sound)):
            text = "".join(chr(c) for c in tokens[i][: token_lengths[i]].tolist())
            slot, seconds = expected[text]
            prompt = prompts[i]
            assert (
                int(prompt.reshape(-1)[0] if prompt.numel() == 1 else prompt.argmax(-1).reshape(-1)[0])
                == slot
            )
            assert abs(int(lengths[i]) / 16_000 - seconds) < 0.02
            assert float(sound[i].abs().max()) > 0.01
            seen += 1
    assert seen == made.counts["split_train"]
