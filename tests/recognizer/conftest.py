"""A small random model of the real class, and clips of the starter corpus.

Tests of the streaming engine must not depend on how well a checkpoint reads, and must emit tokens at a rate
like speech: the blank's bias is set so that about a fifth of the frames emit. Prompts are made to matter.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from workbench.recognizer.checkpoint import Checkpoint

STARTER = Path(__file__).parents[2] / "data" / "starter"
NETWORK = {
    "layers": 3,
    "d_model": 48,
    "heads": 4,
    "subsampling_channels": 16,
    "conv_kernel": 9,
    "predictor": 32,
    "look_aheads": [13, 6, 3, 1, 0],
}
LOCALES = ("en-US", "el-GR", "fr-CA", "it-IT")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Kernels this small gain nothing from a second thread, and beside other work wait long for it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _one_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    with one_thread() if request.node.get_closest_marker("model") else contextlib.nullcontext():
        yield


@pytest.fixture(scope="session")
def rows() -> list[dict[str, Any]]:
    """Rows of the starter corpus, two lengths from every source, shortest first."""
    lines = (STARTER / "manifest.jsonl").read_text("utf-8").splitlines()
    sources: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        row = json.loads(line)
        sources.setdefault(row["source"], []).append(row)
    chosen = []
    for held in sources.values():
        held.sort(key=lambda row: row["duration"])
        chosen += [held[len(held) * part // 10] for part in (2, 7)]
    return sorted(chosen, key=lambda row: row["duration"])


@pytest.fixture(scope="session")
def clips(rows: list[dict[str, Any]]) -> list[np.ndarray]:
    """16 kHz mono float32 of ``rows``."""
    return [soundfile.read(STARTER / row["audio_filepath"], dtype="float32")[0] for row in rows]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, clips: list[np.ndarray]) -> Checkpoint:
    folder = tmp_path_factory.mktemp("tiny")
    path = folder / "tiny.nemo"
    with one_thread():
        build(folder / "tokenizer", path, clips[::4])
    return Checkpoint.open(path)


def build(tokenizer_folder: Path, path: Path, heard: list[np.ndarray]) -> None:
    """Write a random model of ``NETWORK`` whose blank is calibrated on ``heard``."""
    import torch

    from tooling import true_size
    from tooling.starter import network, tokenizer
    from workbench.recognizer.quiet import quiet_nemo

    lines = (STARTER / "manifest.jsonl").read_text("utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines[::6]]
    tokenizer.train(texts, tokenizer_folder, model_type="bpe", vocab_size=420)
    torch.manual_seed(7)
    with quiet_nemo():
        model = network.build(NETWORK, 40, tokenizer_folder)
        true_size.make_it_speak(model, heard)
        model.save_to(str(path))
