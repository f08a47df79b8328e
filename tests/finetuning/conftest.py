"""A tiny base of the real class, and a little corpus cut from the starter's recordings' vocabulary."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

WORDS = {
    "el-GR": ["νερό", "ήλιος", "δέντρο", "σπίτι", "θάλασσα", "βουνό", "ψωμί", "γάλα"],
    "en-US": ["water", "sun", "tree", "house", "sea", "hill", "bread", "milk"],
    "it-IT": ["acqua", "sole", "albero", "casa", "mare", "monte", "pane", "latte"],
}


def say(words, rng):
    """Two tones a letter and a little noise: enough for loss, far from speech."""
    time_s = np.arange(int(16000 * 0.06)) / 16000
    tones = [np.sin(2 * np.pi * (200 + 37 * (ord(c) % 64)) * time_s) for c in " ".join(words)]
    pcm = 0.2 * np.concatenate(tones)
    return (pcm + 0.01 * rng.standard_normal(len(pcm))).astype(np.float32)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Manifest of three locales, 16 utterances each; sentences of train and validation differ."""
    import soundfile

    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    lines = []
    for locale, words in WORDS.items():
        for number in range(16):
            said = [words[number % 8], words[(number * 3 + 1) % 8], words[number // 2]]
            if number >= 12:
                said = [*reversed(said), words[number % 5]]
            pcm = say(said, rng)
            name = f"{locale}-{number}.wav"
            soundfile.write(folder / name, pcm, 16000)
            lines.append(
                {
                    "id": f"{locale}/{number}",
                    "audio_filepath": name,
                    "offset": 0.0,
                    "duration": len(pcm) / 16000,
                    "text": " ".join(said).capitalize() + ".",
                    "target_lang": locale,
                    "speaker": locale,
                    "split": "train" if number < 12 else "validation",
                }
            )
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (folder / "manifest.jsonl").write_text(text, encoding="utf-8")
    return folder / "manifest.jsonl"


@pytest.fixture(scope="session")
def base(tmp_path_factory, corpus):
    """An untrained checkpoint of the real class, small enough that a step takes milliseconds."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    from tooling.starter import network, tokenizer

    folder = tmp_path_factory.mktemp("base")
    texts = [json.loads(line)["text"] for line in corpus.read_text("utf-8").splitlines()]
    tokenizer.train(texts, folder / "tokens", model_type="bpe", vocab_size=130)
    torch.manual_seed(0)
    sizes = {
        "layers": 2, "d_model": 16, "heads": 2, "subsampling_channels": 8, "conv_kernel": 5,
        "predictor": 16, "look_aheads": [13, 6, 3, 1, 0],
    }  # fmt: skip
    model = network.build(sizes, 80, folder / "tokens")
    path = folder / "tiny.nemo"
    model.save_to(str(path))
    return path


@pytest.fixture
def recipe(base, corpus):
    """Twelve steps with replay, drop-out, masks, speeds and noise: all that chance touches."""
    from workbench.finetuning import Augmentation, Recipe, Source, ValidationSet

    return Recipe(
        name="tiny",
        base=str(base),
        sources=(
            Source(str(corpus), locales=("el-GR",), split="train"),
            Source(str(corpus), role="replay", except_locales=("el-GR",), split="train"),
        ),
        validation=(ValidationSet(str(corpus), split="validation", utterances_per_locale=1),),
        steps=12,
        warmup_steps=2,
        batch_s=8,
        max_duration_s=8,
        validate_every=6,
        save_every=2,
        streaming_lookahead_ms=560,
        streaming_utterances_per_locale=1,
        augmentation=Augmentation(
            speeds=(0.9, 1.0, 1.1),
            gain_db=3,
            noise_share=0.5,
            telephone_share=0.2,
            freq_masks=1,
            time_masks=1,
        ),
        device="cpu",
        seed=7,
    )
