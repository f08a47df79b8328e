"""A package is run by Transformers' own class, streamed and whole, and says what the checkpoint says."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from workbench import deployment
from workbench.deployment import transformers
from workbench.deployment.package import Package
from workbench.errors import WorkbenchError
from workbench.recognizer.checkpoint import Checkpoint
from workbench.recognizer.clips import Clip, stream_together
from workbench.starter_files import CHECKPOINT, CORPUS, MANIFEST

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return Checkpoint.open(CHECKPOINT)


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    found = [json.loads(line) for line in MANIFEST.read_text().splitlines()]
    return [row for row in found if 2 < row["duration"] < 6][::250][:12]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, checkpoint: Checkpoint, rows: list[dict]) -> Package:
    clips = [CORPUS / rows[0]["audio_filepath"]]
    folder = tmp_path_factory.mktemp("package") / "transformers"
    return deployment.export_model(checkpoint, folder, to="transformers", clips=clips)


def pcm_of(row: dict) -> Any:
    return soundfile.read(CORPUS / row["audio_filepath"], dtype="float32")[0]


@pytest.mark.parametrize("lookahead_ms", [80, 160, 320, 560, 1120])
def test_streams_say_what_the_checkpoint_says(checkpoint, package, rows, lookahead_ms):
    """Token by token and frame by frame, with the tag and with auto."""
    right = checkpoint.right_context(lookahead_ms)
    reader, engine = transformers.Reader(package, checkpoint, right), checkpoint.engine("cpu", "fp32")
    tokens = 0
    for number, row in enumerate(rows if lookahead_ms > 100 else rows[:4]):
        pcm, locale = pcm_of(row), ("auto", row["target_lang"])[number % 2]
        [wanted] = stream_together(engine, [Clip(reader.filled(pcm), checkpoint.prompt_index(locale))], right)
        said = reader.read(pcm, locale)
        assert (said.ids, said.frames) == (wanted.ids, wanted.frames)
        np.testing.assert_allclose(said.confidences, wanted.confidences, atol=1e-3)
        tokens += len(said.ids)
    assert tokens > 40


def test_whole_clips_say_what_offline_decoding_says(checkpoint, package, rows):
    right = checkpoint.right_context(1120)
    reader, engine = transformers.Reader(package, checkpoint, right), checkpoint.engine("cpu", "fp32")
    for row in rows:
        clip = Clip(pcm_of(row), checkpoint.prompt_index(row["target_lang"]))
        [wanted] = stream_together(engine, [clip], right)
        said = reader.read(clip.pcm, row["target_lang"], streaming=False)
        assert (said.ids, said.frames) == (wanted.ids, wanted.frames)


def test_its_guide_works_as_it_is_written(package, checkpoint, rows, monkeypatch):
    """The Python of its card is run in its folder."""
    monkeypatch.chdir(package.path)
    card = (package.path / "README.md").read_text("utf-8")
    blocks = [part.split("```")[0] for part in card.split("```python\n")[1:]]
    said: list[Any] = []
    names: dict[str, Any] = {"print": said.append}
    for block in blocks:
        exec(block, names)
    [[text]] = said
    assert text
    assert "<" not in text
    streamed = names["processor"].batch_decode(names["found"].sequences, skip_special_tokens=True)[0]
    assert streamed.split()[:1] == text.split()[:1]


def test_pieces_keep_their_numbers_and_texts(package, checkpoint):
    from transformers import Nemotron3_5AsrProcessor

    held = Nemotron3_5AsrProcessor.from_pretrained(package.path, local_files_only=True)
    pieces = checkpoint.tokenizer()
    for text in ("¿Dónde está la letra A?", "Привет, как дела?", "Καλημέρα.", "L'école est là."):
        ids = pieces.encode(text)
        assert held.tokenizer(text, add_special_tokens=False)["input_ids"] == ids
        assert held.batch_decode([ids])[0] == pieces.decode(ids)
    tag = pieces.piece_to_id("<en-US>")
    assert held.batch_decode([[tag]], skip_special_tokens=True) == [""]
    assert held.prompt_dictionary == checkpoint.info.prompts
    assert sorted(held.supported_streaming_latencies_ms.values()) == sorted(checkpoint.info.lookaheads_ms)


@pytest.mark.parametrize(("hidden", "joint"), [(3, 5), (5, 3), (4, 4)])
def test_filling_up_with_zeros_changes_no_value(hidden, joint):
    """Predictor and joint of unlike sizes against the same made of one size, on random weights."""
    rng = torch.Generator().manual_seed(7)
    width, encoder, vocabulary = max(hidden, joint), 6, 9

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=rng)

    state = {
        "decoder.prediction.embed.weight": drawn(vocabulary, hidden),
        **{f"decoder.prediction.dec_rnn.lstm.{name}_l0": drawn(4 * hidden, hidden)
           for name in ("weight_ih", "weight_hh")},
        **{f"decoder.prediction.dec_rnn.lstm.{name}_l0": drawn(4 * hidden)
           for name in ("bias_ih", "bias_hh")},
        "joint.pred.weight": drawn(joint, hidden), "joint.pred.bias": drawn(joint),
        "joint.enc.weight": drawn(joint, encoder), "joint.enc.bias": drawn(joint),
        "joint.joint_net.2.weight": drawn(vocabulary, joint), "joint.joint_net.2.bias": drawn(vocabulary),
    }  # fmt: skip
    labels, frame = torch.tensor([[1, 4, 2, 8]]), drawn(1, encoder)

    def logits(weights: dict[str, torch.Tensor], names: tuple[str, ...], units: int) -> torch.Tensor:
        embed, lstm, pred, enc, head = names
        rnn = torch.nn.LSTM(units, units, batch_first=True)
        rnn.load_state_dict({name.removeprefix(lstm): value for name, value in weights.items()
                             if name.startswith(lstm)})  # fmt: skip
        said = rnn(weights[embed + "weight"][labels])[0] @ weights[pred + "weight"].T + weights[pred + "bias"]
        heard = frame @ weights[enc + "weight"].T + weights[enc + "bias"]
        return torch.relu(said + heard) @ weights[head + "weight"].T + weights[head + "bias"]

    theirs = transformers.weights_of(state, hidden, joint)
    before = logits(
        state, ("decoder.prediction.embed.", "decoder.prediction.dec_rnn.lstm.", "joint.pred.", "joint.enc.",
                "joint.joint_net.2."), hidden,
    )  # fmt: skip
    after = logits(
        theirs, ("decoder.embedding.", "decoder.lstm.", "decoder.decoder_projector.", "encoder_projector.",
                 "joint.head."), width,
    )  # fmt: skip
    torch.testing.assert_close(after, before)


def test_what_its_class_does_not_have_is_refused(checkpoint, tmp_path):
    with pytest.raises(WorkbenchError, match="no Transformers package of int8"):
        deployment.export_model(checkpoint, tmp_path / "a", to="transformers", precision="int8")
    other = Checkpoint.open(CHECKPOINT)
    other.info = dataclasses.replace(other.info, prompts={}, tokenizer="sentencepiece unigram")
    with pytest.raises(
        WorkbenchError, match="takes no language prompt; its tokenizer is sentencepiece unigram"
    ):
        transformers.write_package(other, tmp_path / "b")
    assert not (tmp_path / "b").exists()
    featurizer = checkpoint.engine("cpu", "fp32").frontend.featurizer
    kept = featurizer.fb
    featurizer.fb = kept * 0.9
    try:
        with pytest.raises(WorkbenchError, match="features are made in another way"):
            transformers.write_package(checkpoint, tmp_path / "c")
    finally:  # not by monkeypatch, which takes a module's buffer away instead of putting it back
        featurizer.fb = kept
