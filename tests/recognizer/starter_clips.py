"""Clips of the starter for its checkpoint, and the checkpoint with adapters that change what it says."""

from __future__ import annotations

import json
from typing import Any

import soundfile

from workbench.finetuning import adapters
from workbench.finetuning.base import read_base
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.clips import Clip
from workbench.starter_files import CHECKPOINT, CORPUS, MANIFEST


def recordings(checkpoint: Checkpoint, every: int) -> list[Clip]:
    """Every so many rows of the corpus, each with its own prompt."""
    rows = [json.loads(line) for line in MANIFEST.read_text().splitlines()][::every]
    heard = [(soundfile.read(CORPUS / row["audio_filepath"], dtype="float32")[0], row) for row in rows]
    return [Clip(pcm, checkpoint.prompt_index(row["target_lang"])) for pcm, row in heard]


def adapted_starter() -> Any:
    """The NeMo model on the CPU, with linear adapters of drawn weights; nothing of it trains."""
    import torch

    model = adapters.restore(read_base(CHECKPOINT), "cpu", adapters.AdapterShape("linear", 4)).eval()
    torch.manual_seed(0)
    for name, value in model.named_parameters():
        if "adapter_layer" in name:
            value.data += 0.1 * torch.randn_like(value)
    model.requires_grad_(False)
    return model
