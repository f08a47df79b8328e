"""Chunks decoded in few steps say, token for token, what NeMo's label looping says; the state is the same."""

from __future__ import annotations

import pytest
import torch

pytestmark = pytest.mark.model
FRAMES = 7


@pytest.fixture
def decoder(tiny):
    return tiny.engine("cpu").decoder


def encoded(decoder, batch: int, seed: int) -> torch.Tensor:
    """(batch, FRAMES, d_model) of noise wide enough that some frames have several tokens and some none."""
    width = decoder._model.joint.enc.in_features
    return 2 * torch.randn(batch, FRAMES, width, generator=torch.Generator().manual_seed(seed))


def both(decoder, chunks, lengths):
    """Chunks one after the other, the state handed on: what each way finds, and its last state."""
    found = []
    for decode in (decoder.decode_chunk, decoder.decode):
        state, tokens = None, []
        with torch.inference_mode():
            for chunk, count in zip(chunks, lengths, strict=True):
                result, state = decode(chunk, torch.tensor(count), state)
                tokens.append(result)
        found.append((tokens, state))
    return found


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("most", [10, 2, 1])
def test_tokens_and_states_equal_label_looping(decoder, monkeypatch, batch, most):
    """Streams of one batch end their chunk early, have no frame at all, or fill a frame with tokens."""
    monkeypatch.setattr(decoder._plain, "max_symbols", most)
    lengths = [[FRAMES] * batch, [(3 * row) % (FRAMES + 1) for row in range(batch)], [FRAMES] * batch]
    chunks = [encoded(decoder, batch, seed) for seed in range(3)]
    (own, state), (nemo, expected) = both(decoder, chunks, lengths)
    said = [one for chunk in nemo for one in chunk]
    assert sum(len(one.ids) for one in said) > 2 * batch
    assert any(len(one.ids) < FRAMES for one in said)
    if most > 1:
        assert any(len(set(one.frames)) < len(one.frames) for one in said), "several tokens in one frame"
    for mine, theirs in zip(own, nemo, strict=True):
        assert [(one.ids, one.frames) for one in mine] == [(one.ids, one.frames) for one in theirs]
        for one, other in zip(mine, theirs, strict=True):
            assert one.confidences == pytest.approx(other.confidences, abs=1e-5)
    for part, other in zip(state.predictor_states, expected.predictor_states, strict=True):
        torch.testing.assert_close(part, other)
    torch.testing.assert_close(state.predictor_outputs, expected.predictor_outputs)
    assert state.labels.tolist() == expected.labels.tolist()
    assert state.decoded_lengths.tolist() == expected.decoded_lengths.tolist()


def test_the_state_before_is_left_as_it_was(decoder):
    """Single streams hold views of a batch's state."""
    with torch.inference_mode():
        _, state = decoder.decode_chunk(encoded(decoder, 3, 0), torch.tensor([FRAMES] * 3), None)
        before = [part.clone() for part in (*state.predictor_states, state.predictor_outputs, state.labels)]
        decoder.decode_chunk(encoded(decoder, 3, 1), torch.tensor([FRAMES] * 3), state)
    after = (*state.predictor_states, state.predictor_outputs, state.labels)
    assert all(torch.equal(part, kept) for part, kept in zip(after, before, strict=True))


def test_whole_clips_and_other_predictors_stay_with_label_looping(tiny, decoder, monkeypatch):
    from workbench.recognizer.chunk_decoder import CHUNK_FRAMES, ChunkDecoder

    assert tiny.right_context(1120) < CHUNK_FRAMES
    assert ChunkDecoder.suits(decoder._model)
    calls: list[int] = []
    monkeypatch.setattr(decoder, "decode", lambda encoded, *rest: calls.append(encoded.shape[1]))
    decoder.decode_chunk(torch.zeros(1, CHUNK_FRAMES + 1, 4), torch.tensor([3]), None)
    monkeypatch.setattr(decoder, "_chunks", None)
    decoder.decode_chunk(torch.zeros(1, 2, 4), torch.tensor([2]), None)
    assert calls == [CHUNK_FRAMES + 1, 2]
