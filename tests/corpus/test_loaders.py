"""NeMo's own loader decodes a batch of each export, with the right prompt per clip, and the starter
checkpoint, of the real class, takes a training step on it. Lhotse's own loaders read what is theirs.

NeMo reads manifests, tarred manifests, Shar and Parquet. It has no reader for a saved Hugging Face dataset
or a CSV, so these go through ``datasets``, as their users would: ``load_from_disk`` and ``to_parquet`` for
NeMo's Parquet reader; ``load_dataset("csv")`` and ``to_json``, whose lines are a NeMo manifest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from workbench import locales
from workbench.corpus.export.export import Export
from workbench.corpus.query.table import Corpus

pytestmark = pytest.mark.model

FORMATS = ("nemo", "tarred", "shar", "hf", "csv")


class Letters:
    """A tokenizer that keeps code points: what the loader hands on can be read back."""

    def __call__(self, text: str) -> list[int]:
        return [ord(c) for c in text]


COMMON = {
    "sample_rate": 16_000, "batch_size": 4, "shuffle": False, "num_workers": 0, "use_lhotse": True,
    "lang_field": "target_lang", "text_field": "text", "force_finite": True, "seed": 0,
    "prompt_dictionary": locales.prompt_dictionary(), "num_prompts": locales.NUM_PROMPTS,
}  # fmt: skip


def source_of(made: Export, format: str, scratch: Path) -> dict[str, Any]:
    """The keys of NeMo's data configuration that name the training rows of an export."""
    if format == "nemo":
        return {"manifest_filepath": str(made.manifest("train"))}
    if format == "tarred":
        sound = str(made.manifest("train")).replace("manifest_", "audio_").replace(".json", ".tar")
        return {"manifest_filepath": str(made.manifest("train")), "tarred_audio_filepaths": sound}
    if format == "shar":
        return {"shar_path": str(made.path / "train")}
    import datasets

    # NeMo's exports say langID on each row; the other two say it here.
    common = {"tags": {"prompt_mode": "langID"}, "lang_field": "target_lang"}
    if format == "hf":
        rows = datasets.load_from_disk(str(made.path / "dataset"))["train"]
        rows.to_parquet(str(scratch / "train.parquet"))
        return {
            "input_cfg": [{"type": "parquet", "manifest_filepath": str(scratch / "train.parquet"), **common}]
        }
    table = datasets.load_dataset(
        "csv", data_files=str(made.path / "utterances.csv"), encoding="utf-8-sig", split="train",
        cache_dir=str(scratch / "cache"),
    )  # fmt: skip
    table.filter(lambda row: row["split"] == "train").to_json(str(scratch / "train.jsonl"), force_ascii=False)
    return {"input_cfg": [{"type": "nemo", "manifest_filepath": str(scratch / "train.jsonl"), **common}]}


def loader(made: Export, format: str, tokenizer: Any, scratch: Path) -> Any:
    """Batches of NeMo's data loader and of the data set class that the prompt model trains with."""
    from nemo.collections.asr.data.audio_to_text_lhotse_prompt_index import (
        LhotseSpeechToTextBpeDatasetWithPromptIndex,
    )
    from nemo.collections.common.data.lhotse import get_lhotse_dataloader_from_config
    from omegaconf import OmegaConf

    config = OmegaConf.create({**COMMON, **source_of(made, format, scratch)})
    dataset = LhotseSpeechToTextBpeDatasetWithPromptIndex(tokenizer=tokenizer, cfg=config)
    return get_lhotse_dataloader_from_config(config, global_rank=0, world_size=1, dataset=dataset)


def exported(corpus: Corpus, folder: Path, format: str) -> Export:
    corpus.split(seed=3, speakers="shared")
    corpus.accept()
    return corpus.export(folder, format)


def expected(corpus: Corpus) -> dict[str, tuple[int, float]]:
    """Transcript with tag → prompt index and seconds, of the training rows."""
    return {
        f"{row['text']} <{row['target_lang']}>": (
            locales.locale(row["target_lang"]).prompt_index,
            row["duration"],
        )
        for row in corpus.where("split = 'train'").page(0, 1000)
    }


@pytest.fixture(scope="module")
def starter() -> Any:
    """The starter checkpoint as NeMo loads it, with the transducer loss of the workbench, nothing random."""
    from nemo.collections.asr.models import ASRModel

    from workbench.finetuning.transducer_loss import install
    from workbench.starter_files import CHECKPOINT

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


@pytest.mark.parametrize("format", FORMATS)
def test_the_starter_takes_a_training_step(real: Corpus, tmp_path: Path, starter: Any, format: str) -> None:
    import torch
    from lightning.pytorch import Callback, Trainer

    made = exported(real, tmp_path / "x", format)
    batch = next(iter(loader(made, format, starter.tokenizer, tmp_path)))
    losses: list[float] = []

    class Record(Callback):
        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
            losses.append(float(outputs["loss"]))

    before = {name: value.detach().clone() for name, value in starter.named_parameters()}

    def optimizer() -> Any:
        starter._optimizer = torch.optim.SGD(starter.parameters(), lr=0.02)
        return starter._optimizer

    starter.configure_optimizers = optimizer
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


@pytest.mark.parametrize("format", FORMATS)
def test_nemo_decodes_each_batch_with_its_prompts(real: Corpus, tmp_path: Path, format: str) -> None:
    made = exported(real, tmp_path / "x", format)
    facts = expected(real)
    seen = 0
    for batch in loader(made, format, Letters(), tmp_path):
        sound, lengths, tokens, token_lengths, prompts = batch[:5]
        for i in range(len(sound)):
            text = "".join(chr(c) for c in tokens[i][: token_lengths[i]].tolist())
            prompt_index, seconds = facts[text]
            assert int(prompts[i]) == prompt_index
            assert abs(int(lengths[i]) / 16_000 - seconds) < 0.02
            assert float(sound[i].abs().max()) > 0.01
            seen += 1
    assert seen == made.counts["split_train"] == len(facts)


def test_lhotse_decodes_a_hugging_face_batch(real: Corpus, tmp_path: Path) -> None:
    """Lhotse's own ``CutSet.from_huggingface_dataset``; its ``from_shar`` stands in test_export.py."""
    import datasets
    import lhotse
    from lhotse.dataset.collation import collate_audio

    made = exported(real, tmp_path / "x", "hf")
    rows = datasets.load_from_disk(str(made.path / "dataset"))["train"]
    cuts = lhotse.CutSet.from_huggingface_dataset(rows, text_key="text", lang_key="target_lang")
    facts = expected(real)
    some = cuts.subset(first=4).to_eager()
    sound, lengths = collate_audio(some)
    assert len(sound) == 4
    for i, cut in enumerate(some):
        prompt_index, seconds = facts[cut.supervisions[0].text]
        assert locales.locale(cut.supervisions[0].language).prompt_index == prompt_index
        assert abs(int(lengths[i]) / cut.sampling_rate - seconds) < 0.02
        assert float(sound[i].abs().max()) > 0.01
