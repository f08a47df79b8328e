"""Checkpoints as others have them: each opens and works, or is refused in one line that names the cause."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile
import numpy as np
import pytest
import soundfile
import yaml
from sentencepiece import sentencepiece_model_pb2 as proto

from workbench.errors import WorkbenchError
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.clips import Clip, decode_offline, stream_together
from workbench.starter_files import CORPUS

Change = Callable[[dict[str, Any], dict[str, Any]], None]
PIECES, WIDTH = 288, 144


def made(path: Path, change: Change) -> Checkpoint:
    """The starter with its configuration and weights changed."""
    import torch

    config, weights = hostile.config(), io.BytesIO(hostile.starter()["model_weights.ckpt"])
    state = torch.load(weights, weights_only=True)
    change(config, state)
    saved = io.BytesIO()
    torch.save(state, saved)
    text = yaml.safe_dump(config, sort_keys=False).encode()
    hostile.packed(path, {"model_config.yaml": text, "model_weights.ckpt": saved.getvalue()})
    return Checkpoint.open(path)


def clip() -> tuple[np.ndarray, str]:
    with (CORPUS / "manifest.jsonl").open() as lines:
        row = next(row for row in map(json.loads, lines) if 2 < row["duration"] < 4)
    return soundfile.read(CORPUS / row["audio_filepath"], dtype="float32")[0], row["target_lang"]


def said(checkpoint: Checkpoint, locale: str) -> str:
    session = checkpoint.session(locale, 560, device="cpu")
    session.feed(clip()[0], 16_000)
    session.finish()
    return session.final_transcript


def without_prompt(config: dict[str, Any], state: dict[str, Any]) -> None:
    config["target"] = "nemo.collections.asr.models.rnnt_bpe_models.EncDecRNNTBPEModel"
    for key in ("prompt_dictionary", "num_prompts", "initialize_prompt_feature"):
        config["model_defaults"].pop(key)
    for key in [key for key in state if key.startswith("prompt_kernel.")]:
        del state[key]


def with_ctc(config: dict[str, Any], state: dict[str, Any]) -> None:
    import torch

    config["aux_ctc"] = {
        "ctc_loss_weight": 0.3,
        "use_cer": False,
        "decoder": {
            "_target_": "nemo.collections.asr.modules.ConvASRDecoder",
            "feat_in": None,
            "num_classes": -1,
            "vocabulary": [],
        },
        "decoding": {"strategy": "greedy"},
    }
    state["ctc_decoder.decoder_layers.0.weight"] = torch.zeros(PIECES + 1, WIDTH, 1)
    state["ctc_decoder.decoder_layers.0.bias"] = torch.zeros(PIECES + 1)


def hybrid(config: dict[str, Any], state: dict[str, Any]) -> None:
    name = "EncDecHybridRNNTCTCBPEModelWithPrompt"
    config["target"] = f"nemo.collections.asr.models.hybrid_rnnt_ctc_bpe_models_prompt.{name}"
    with_ctc(config, state)


@pytest.mark.model
@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_precision_files(tmp_path, kind):
    import torch

    def halved(config: dict[str, Any], state: dict[str, Any]) -> None:
        for key, value in state.items():
            if value.is_floating_point():
                state[key] = value.to(getattr(torch, kind))

    checkpoint = made(tmp_path / "half.nemo", halved)
    assert checkpoint.info.parameters == Checkpoint.open(hostile.STARTER).info.parameters
    assert next(checkpoint.model("cpu").parameters()).dtype is torch.float32
    whole = said(Checkpoint.open(hostile.STARTER), clip()[1])
    assert whole
    assert said(checkpoint, clip()[1])[:4] == whole[:4]


@pytest.mark.model
def test_a_hybrid_with_a_ctc_head_reads_as_its_transducer(tmp_path):
    checkpoint = made(tmp_path / "hybrid.nemo", hybrid)
    assert checkpoint.info.class_name == "EncDecHybridRNNTCTCBPEModelWithPrompt"
    assert said(checkpoint, clip()[1]) == said(Checkpoint.open(hostile.STARTER), clip()[1])


@pytest.mark.model
def test_a_sibling_without_a_prompt_streams(tmp_path):
    checkpoint = made(tmp_path / "english.nemo", without_prompt)
    assert checkpoint.info.prompts == {}
    assert checkpoint.prompt_index("auto") is None
    said(checkpoint, "auto")


@pytest.mark.model
@pytest.mark.parametrize("contexts", [[[70, 13], [70, 6], [70, 0]], [[28, 13], [56, 6], [70, 1]], [[70, 6]]])
def test_left_contexts_of_any_length_stream_as_they_decode_offline(tmp_path, contexts):
    """A sibling's ``[70, ...]``, a left context of its own for each look-ahead, and a single one."""

    def changed(config: dict[str, Any], state: dict[str, Any]) -> None:
        config["encoder"]["att_context_size"] = contexts

    checkpoint = made(tmp_path / "contexts.nemo", changed)
    assert checkpoint.info.lookaheads_ms == tuple(sorted(80 * (right + 1) for _, right in contexts))
    assert checkpoint.info.default_lookahead_ms == 80 * (contexts[0][1] + 1)
    engine, clips = checkpoint.engine("cpu"), [Clip(clip()[0], checkpoint.prompt_index(clip()[1]))]
    for _, right in contexts:
        offline, streamed = decode_offline(engine, clips, right), stream_together(engine, clips, right)
        assert offline[0].ids
        assert [(o.ids, o.frames) for o in offline] == [(s.ids, s.frames) for s in streamed]


def test_a_tokenizer_is_called_what_it_is(tmp_path):
    """NeMo's configuration says bpe of every SentencePiece model."""
    name = str(hostile.config()["tokenizer"]["model_path"]).removeprefix("nemo:")
    model = proto.ModelProto.FromString(hostile.starter()[name])
    for kind, said in ((proto.TrainerSpec.UNIGRAM, "unigram"), (proto.TrainerSpec.BPE, "bpe")):
        model.trainer_spec.model_type = kind
        path = tmp_path / f"{said}.nemo"
        hostile.packed(path, {name: model.SerializeToString()})
        assert Checkpoint.open(path).info.tokenizer == f"sentencepiece {said}"


def test_tags_that_nobody_trained_are_marked(tmp_path):
    def more(config: dict[str, Any], state: dict[str, Any]) -> None:
        config["model_defaults"]["prompt_dictionary"] |= {"cy-GB": 110, "el": 22}

    info = made(tmp_path / "more.nemo", more).info
    assert info.tiers["cy-GB"] == "untrained"
    assert info.tiers["en-US"] == "ready"
    assert set(info.tiers) == set(info.locales)
    assert "1 untrained" in repr(Checkpoint.open(tmp_path / "more.nemo"))
    assert "untrained" not in repr(Checkpoint.open(hostile.STARTER))


@pytest.mark.model
def test_an_offline_checkpoint_transcribes_and_says_that_it_cannot_stream(tmp_path):
    from workbench.recognizer.transcribe import transcribe

    def offline(config: dict[str, Any], state: dict[str, Any]) -> None:
        config["encoder"] |= {"att_context_size": [-1, -1], "att_context_style": "regular"}
        config["preprocessor"]["normalize"] = "per_feature"

    checkpoint = made(tmp_path / "offline.nemo", offline)
    assert checkpoint.info.lookaheads_ms == ()
    assert "offline only" in repr(checkpoint)
    with (CORPUS / "manifest.jsonl").open() as lines:
        rows = [json.loads(next(lines)) for _ in range(2)]
    rows = [{**row, "id": str(number), "offset": None} for number, row in enumerate(rows)]
    out = transcribe(checkpoint, rows, CORPUS, tmp_path / "out.parquet", device="cpu")
    assert out.is_file()
    with pytest.raises(WorkbenchError, match="decodes offline only"):
        checkpoint.session(clip()[1], 560)
    with pytest.raises(WorkbenchError, match="decodes offline only"):
        checkpoint.session(clip()[1], device="cpu")


@pytest.mark.model
def test_a_key_of_a_newer_nemo_is_named_with_the_version(tmp_path):
    def newer(config: dict[str, Any], state: dict[str, Any]) -> None:
        config["nemo_version"] = "3.4.0"
        config["encoder"]["rotary_base"] = 10_000

    checkpoint = made(tmp_path / "newer.nemo", newer)
    with pytest.raises(
        WorkbenchError, match=r"encoder.rotary_base is not known to NeMo 3\..*saved by NeMo 3\.4\.0"
    ):
        checkpoint.model("cpu")


@pytest.mark.model
def test_weights_that_do_not_fit_are_one_line(tmp_path):
    def cut(config: dict[str, Any], state: dict[str, Any]) -> None:
        del state["joint.enc.weight"]

    with pytest.raises(WorkbenchError, match="NeMo cannot restore it") as caught:
        made(tmp_path / "cut.nemo", cut).model("cpu")
    assert "\n" not in str(caught.value)


def test_transducers_with_durations_are_named(tmp_path):
    def tdt(config: dict[str, Any], state: dict[str, Any]) -> None:
        config["joint"]["num_extra_outputs"] = 5

    with pytest.raises(WorkbenchError, match="predicts durations"):
        made(tmp_path / "tdt.nemo", tdt)


@pytest.mark.model
def test_what_is_saved_holds_the_tokenizer_and_loads_again(tmp_path):
    import torch

    model = Checkpoint.open(hostile.STARTER).model("cpu")
    model.save_to(str(tmp_path / "again.nemo"))
    again = Checkpoint.open(tmp_path / "again.nemo")
    assert again.archive.shapes == Checkpoint.open(hostile.STARTER).archive.shapes
    assert again.tokenizer().get_piece_size() == PIECES
    for mine, other in zip(
        model.state_dict().values(), again.model("cpu").state_dict().values(), strict=True
    ):
        torch.testing.assert_close(mine, other, rtol=0, atol=0)
