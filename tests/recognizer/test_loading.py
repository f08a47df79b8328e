"""Loading a checkpoint: as NeMo loads it, nothing made in vain, and one engine for one file's bytes."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import test_other_checkpoints as others

from workbench.api import Workspace
from workbench.errors import WorkbenchError
from workbench.recognizer import loading, nemo_restore
from workbench.recognizer.archive import Archive
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.quiet import quiet_nemo
from workbench.starter_files import CHECKPOINT

pytestmark = pytest.mark.model


def of_nemo(path: Path) -> Any:
    with quiet_nemo():
        from nemo.collections.asr.models import ASRModel

        return ASRModel.restore_from(str(path), map_location="cpu").eval()


def same_weights(one: Any, other: Any) -> None:
    import torch

    mine, theirs = one.state_dict(), other.state_dict()
    assert list(mine) == list(theirs)
    for name, value in mine.items():
        assert value.dtype == theirs[name].dtype
        assert torch.equal(value, theirs[name]), name
    assert [n for n, _ in one.named_parameters()] == [n for n, _ in other.named_parameters()]


def test_weights_and_configuration_are_those_that_nemo_restores(tiny):
    from omegaconf import OmegaConf

    mine, theirs = nemo_restore.restore(tiny.archive), of_nemo(tiny.path)
    same_weights(mine, theirs)
    held = [OmegaConf.to_container(model.cfg) for model in (mine, theirs)]
    pieces = held[1].pop("labels")
    assert held[0].pop("labels") is None
    assert held[1]["joint"].pop("vocabulary") == pieces == mine.joint.vocabulary
    assert held[0]["joint"].pop("vocabulary") is None
    for part in ("preprocessor", "encoder", "decoder", "joint", "model_defaults", "loss"):
        assert held[0][part] == held[1][part]
    assert mine.decoding.blank_id == theirs.decoding.blank_id == len(pieces)
    assert "----" not in f"{mine.hparams_initial}{mine.hparams}{mine.cfg}{mine.joint.to_config_dict()}"


def test_a_model_that_is_saved_again_names_its_pieces(tiny, tmp_path):
    mine, again = nemo_restore.restore(tiny.archive), tmp_path / "again.nemo"
    with quiet_nemo():
        mine.save_to(str(again))
    theirs = of_nemo(again)
    same_weights(mine, theirs)
    pieces = list(theirs.tokenizer.tokenizer.get_vocab())
    held = Archive(again).config
    assert held["labels"] == held["joint"]["vocabulary"] == pieces
    assert mine.cfg.labels is None


def test_no_weight_is_made_before_the_files_are_there(tiny, monkeypatch):
    """Random numbers are not drawn, and what training changes is not what the file holds."""
    import torch

    before = torch.get_rng_state()
    first, second = (nemo_restore.restore(tiny.archive) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    with torch.no_grad():
        for value in first.parameters():
            value.add_(1)
    same_weights(second, of_nemo(tiny.path))


def test_weights_that_are_one_stay_one_and_other_kinds_of_number_become_the_models(tmp_path):
    import torch

    def halved(config: dict[str, Any], state: dict[str, Any]) -> None:
        config["encoder"]["untie_biases"] = False
        layers = "encoder.layers"
        for name in ("pos_bias_u", "pos_bias_v"):
            one = state[f"{layers}.0.self_attn.{name}"]
            state.update({key: one for key in list(state) if key.endswith(f"self_attn.{name}")})
        state.update({key: v.bfloat16() for key, v in state.items() if key.startswith("decoder.")})

    checkpoint = others.made(tmp_path / "tied.nemo", halved)
    mine = nemo_restore.restore(checkpoint.archive)
    same_weights(mine, of_nemo(checkpoint.path))
    biases = {id(layer.self_attn.pos_bias_u) for layer in mine.encoder.layers}
    assert len(biases) == 1
    assert {value.dtype for value in mine.parameters()} == {torch.float32}

    def lower(config: dict[str, Any], state: dict[str, Any]) -> None:
        state.update({key: v.bfloat16() for key, v in state.items() if not key.startswith("preprocessor.")})

    checkpoint = others.made(tmp_path / "lower.nemo", lower)
    same_weights(nemo_restore.restore(checkpoint.archive), of_nemo(checkpoint.path))


def test_one_engine_for_the_same_bytes_wherever_they_are(tmp_path):
    first = Checkpoint.open(CHECKPOINT)
    engine = first.engine("cpu")
    copied, linked = tmp_path / "copy.nemo", tmp_path / "link.nemo"
    shutil.copyfile(CHECKPOINT, copied)
    os.link(copied, linked)
    assert Checkpoint.open(copied).engine("cpu") is engine
    assert Checkpoint.open(linked).engine("cpu") is engine
    assert first.engine("cpu", "bf16") is not engine

    def louder(config: dict[str, Any], state: dict[str, Any]) -> None:
        state["joint.pred.bias"] += 1

    other = others.made(tmp_path / "other.nemo", louder)
    assert other.engine("cpu") is not engine
    assert other.engine("cpu") is not Checkpoint.open(copied).engine("cpu")
    others.made(copied, louder)
    assert Checkpoint.open(copied).engine("cpu") is other.engine("cpu")
    assert len(loading._sources) <= len(loading._engines)


def test_adding_the_same_checkpoint_again_copies_nothing(tmp_path):
    ws = Workspace(tmp_path / "ws")
    path = ws.add_checkpoint("base", CHECKPOINT).path
    before = path.stat()
    assert ws.add_checkpoint("base", CHECKPOINT).path == path
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    other = others.made(tmp_path / "other.nemo", others.without_prompt)
    with pytest.raises(WorkbenchError, match="there is another checkpoint"):
        ws.add_checkpoint("base", other.path)


def test_a_line_of_nemo_that_helps_nobody_is_not_shown():
    from nemo.utils import logging as nemo_logging

    from workbench.recognizer.quiet import quiet_nemo

    with quiet_nemo():
        pass
    heard = []
    handler = logging.Handler()
    handler.emit = lambda record: heard.append(record.getMessage())
    logger = logging.getLogger("nemo_logger")
    logger.addHandler(handler)
    try:
        nemo_logging.warning("No adapter compatible with the current module. Skipping adapter forward pass.")
        nemo_logging.warning("a warning of another kind")
    finally:
        logger.removeHandler(handler)
    assert [line for line in heard if "another kind" in line], "NeMo's logger is another one now"
    assert not [line for line in heard if "adapter" in line]
