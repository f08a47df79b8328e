"""Greedy transducer decoding over the checkpoint's own predictor and joint.

NeMo's label looping, except for chunks on CPU, which ``chunk_decoder`` searches in fewer steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.recognizer.boosting import BoostTable
from workbench.recognizer.chunk_decoder import CHUNK_FRAMES, ChunkDecoder

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Decoded:
    """Tokens of one stream or clip: numbers, encoder frames from the start, confidences."""

    ids: list[int]
    frames: list[int]
    confidences: list[float]


def confidence(probability: float, labels: int) -> float:
    """The confidence in a token as NeMo has it (its method ``max_prob``): 0 where all labels are as likely.

    Args:
        probability: of the token. ``labels``: how many there are, with the blank.
    """
    return min(1.0, max(0.0, (probability * labels - 1) / (labels - 1)))


class GreedyDecoder:
    """A checkpoint's decoder, with and without boosting.

    Its states are NeMo's: a *batched* state of several streams, or the *items* of single ones.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._plain = _computer(model, biasing=False)
        self._chunks = ChunkDecoder(self._plain) if ChunkDecoder.suits(model) else None
        self._biased: Any = None
        self._boosts: BoostTable | None = None

    @property
    def boosts(self) -> BoostTable:
        """The boosting lists of this engine's streams; the decoder that knows them is made on first use."""
        if self._boosts is None:
            self._biased = _computer(self._model, biasing=True)
            self._boosts = BoostTable(self._biased, self._model.tokenizer)
        return self._boosts

    def decode(
        self,
        encoded: torch.Tensor,
        lengths: torch.Tensor,
        state: Any = None,
        boosts: Sequence[int] | None = None,
    ) -> tuple[list[Decoded], Any]:
        """Decode a batch; ``state`` continues an earlier call.

        Args:
            encoded: (batch, frames, d_model); ``lengths``: (batch,) frames that count.
            boosts: numbers of boosting lists, -1 for none; None uses the decoder without boosting.

        Returns:
            One ``Decoded`` a row, and the batched state after it.
        """
        import torch

        ids = None if boosts is None else torch.tensor(boosts, device=encoded.device)
        computer = self._plain if boosts is None else self._biased
        found, state = computer(x=encoded, out_len=lengths, prev_batched_state=state, multi_biasing_ids=ids)
        counts = found.current_lengths.tolist()
        most = max(counts, default=0)
        if not most:
            return [Decoded([], [], []) for _ in counts], state
        transcript, frames = found.transcript[:, :most].tolist(), found.timestamps[:, :most].tolist()
        confidence = found.step_confidence[:, :most].float().clamp(0, 1).tolist()
        rows = zip(counts, transcript, frames, confidence, strict=True)
        return [Decoded(i[:n], f[:n], c[:n]) for n, i, f, c in rows], state

    def decode_chunk(
        self, encoded: torch.Tensor, lengths: torch.Tensor, state: Any
    ) -> tuple[list[Decoded], Any]:
        """As :meth:`decode` without boosting, for the few frames of a chunk: on CPU in fewer steps."""
        if self._chunks is None or encoded.shape[1] > CHUNK_FRAMES:
            return self.decode(encoded, lengths, state)
        found, state = self._chunks.decode(encoded, lengths, state)
        return [Decoded(*one) for one in found], state

    def merge(self, items: Sequence[Any], boosted: bool = False) -> Any:
        """The batched state of single streams' items; None where no stream has decoded yet.

        Args:
            boosted: all of them have a boosting list; else none of them has.
        """
        computer = self._biased if boosted else self._plain
        return None if all(item is None for item in items) else computer.merge_to_batched_state(list(items))

    def split(self, state: Any) -> list[Any]:
        """The items of a batched state; small views of it."""
        return list(self._plain.split_batched_state(state))


def most_symbols(model: Any) -> int:
    """Tokens that one frame may have at most."""
    greedy = model.cfg.decoding.get("greedy") or {}
    return int(greedy.get("max_symbols") or 10)


def _computer(model: Any, biasing: bool) -> Any:
    """NeMo's greedy label looping with token confidence, built from the checkpoint's own modules."""
    from nemo.collections.asr.parts.submodules.transducer_decoding.rnnt_label_looping import (
        GreedyBatchedRNNTLabelLoopingComputer,
    )
    from omegaconf import OmegaConf

    return GreedyBatchedRNNTLabelLoopingComputer(
        decoder=model.decoder,
        joint=model.joint,
        blank_index=model.decoder.blank_idx,
        max_symbols_per_step=most_symbols(model),
        preserve_step_confidence=True,
        exclude_blank_from_confidence=True,
        confidence_method_cfg=OmegaConf.create({"name": "max_prob", "alpha": 1.0}),
        allow_cuda_graphs=model.device.type == "cuda",
        enable_per_stream_biasing=biasing,
    )
