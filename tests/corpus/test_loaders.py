"""NeMo's own loader decodes a batch of each export that is meant for it, with the right prompt per clip."""

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


def loader(made: Export, format: str) -> Any:
    from nemo.collections.asr.data.audio_to_text_lhotse_prompt_index import (
        LhotseSpeechToTextBpeDatasetWithPromptIndex,
    )
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
    common = {
        "sample_rate": 16_000, "batch_size": 4, "shuffle": False, "num_workers": 0, "use_lhotse": True,
        "lang_field": "target_lang", "text_field": "text", "force_finite": True, "seed": 0,
        "prompt_dictionary": locales.prompt_dictionary(), "num_prompts": locales.NUM_PROMPTS,
    }  # fmt: skip
    config = OmegaConf.create({**common, **source})
    dataset = LhotseSpeechToTextBpeDatasetWithPromptIndex(tokenizer=Letters(), cfg=config)
    return get_lhotse_dataloader_from_config(config, global_rank=0, world_size=1, dataset=dataset)


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
    for batch in loader(made, format):
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
