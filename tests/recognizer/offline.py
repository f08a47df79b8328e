"""What NeMo itself decodes from a whole clip: the yardstick of parity, built from none of our engine."""

from __future__ import annotations

from typing import Any

import numpy as np


def offline(checkpoint: Any, pcm: np.ndarray, lookahead_ms: int, locale: str = "auto") -> tuple[Any, Any]:
    """(NeMo's hypothesis, encoder output (frames, d_model) with the prompt applied)."""
    import torch

    engine = checkpoint.engine("cpu")
    model = engine.model
    with engine.lock, torch.inference_mode():
        engine.set_context(checkpoint.right_context(lookahead_ms))
        encoded, lengths = model.forward(
            input_signal=torch.from_numpy(pcm)[None],
            input_signal_length=torch.tensor([len(pcm)]),
            prompt_indices=torch.tensor([checkpoint.prompt_index(locale)]),
        )
        [found] = model.decoding.rnnt_decoder_predictions_tensor(
            encoder_output=encoded, encoded_lengths=lengths, return_hypotheses=True
        )
    return found, encoded[0, :, : int(lengths[0])].T


def streamed(session: Any, pieces: list[np.ndarray], rate: int = 16000) -> tuple[list[int], list[int]]:
    """(token numbers, frames) of a session fed piece by piece."""
    events = [event for piece in pieces for event in session.feed(piece, rate)] + session.finish()
    tokens = [token for event in events for token in event.new_tokens]
    return [token.id for token in tokens], [token.frame for token in tokens]


def cut(pcm: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    """The clip cut into pieces of these sizes, again and again to its end."""
    pieces, start, turn = [], 0, 0
    while start < len(pcm):
        pieces.append(pcm[start : start + sizes[turn % len(sizes)]])
        start, turn = start + sizes[turn % len(sizes)], turn + 1
    return pieces


def decision_gap(checkpoint: Any, pcm: np.ndarray, lookahead_ms: int, streamed_clip: Any) -> float:
    """How far apart the two best logits are, offline, at the first decision that streaming took otherwise.

    Walks the greedy search frame by frame; ``streamed_clip`` has ``ids`` and ``frames``. Infinity where the
    decisions agree to the end.
    """
    import torch

    model = checkpoint.engine("cpu").model
    encoded = offline(checkpoint, pcm, lookahead_ms)[1]
    blank, taken = model.decoder.blank_idx, 0
    with torch.inference_mode():
        projected = model.joint.project_encoder(encoded[None])
        output, state, *_ = model.decoder.predict(None, None, add_sos=False, batch_size=1)
        for frame in range(projected.shape[1]):
            for _ in range(10):
                logits = model.joint.joint_after_projection(
                    projected[:, frame : frame + 1], model.joint.project_prednet(output)
                ).flatten()
                best, second = logits.topk(2).values.tolist()
                here = taken < len(streamed_clip.ids) and streamed_clip.frames[taken] == frame
                choice = int(logits.argmax())
                if choice != (streamed_clip.ids[taken] if here else blank):
                    return best - second
                if choice == blank:
                    break
                taken += 1
                label = torch.tensor([[choice]])
                output, state, *_ = model.decoder.predict(label, state, add_sos=False, batch_size=1)
    return float("inf")
