"""One loaded model, and the step that moves any number of streams forward by one chunk.

The encoder, prompt projection, predictor, joint and greedy decoder are NeMo's own modules; what NeMo's loop
around them does differently from offline decoding is done here as offline does it:

* NeMo's ``CacheAwareStreamingAudioBuffer`` drops a last chunk of fewer than 8 feature frames, although
  offline subsampling makes an encoder frame of it (this loses final tokens and the language tag), and counts
  one feature frame too many (the centred STFT's last, which is masked offline). Here the tail is always
  encoded, with the frames that offline counts.
* At 80 ms its second chunk fills the missing subsampling context with zero features; offline, zeros stand at
  the input of *each* convolution. Here that chunk is subsampled together with the first frame.
* A prompt that nobody set is skipped silently (``_apply_prompt_to_encoded``). Here each stream has one.

Streams of one step share a look-ahead; they may be at different chunks, locales and boosting lists.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.recognizer.boosting import BoostTable
from workbench.recognizer.frontend import MelFrontend, MelStream

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

SMALL_STEP = 50_000_000
"""Parameters times streams up to which a step on CPU takes one thread."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Tokens of one stream or clip: numbers, encoder frames from the start, confidences."""

    ids: list[int]
    frames: list[int]
    confidences: list[float]


class Stream:
    """What one stream holds between chunks. ``prompt``: slot of the one-hot; None: the class has none."""

    def __init__(self, engine: Engine, right: int, prompt: int | None, boost: int = -1) -> None:
        self.engine, self.right, self.prompt, self.boost = engine, right, prompt, boost
        self.mel = MelStream(engine.frontend, engine.device)
        self.emitted = 0
        self.chunks = 0
        self.context: torch.Tensor | None = None
        self.caches: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None
        self.decoder_state: Any = None

    def push(self, pcm: NDArray[np.float32]) -> None:
        self.mel.push(pcm)

    @property
    def next_features(self) -> int:
        """Feature frames from the start that the next full chunk needs."""
        return self.engine.subsampling * (self.emitted + self.right) + 1

    @property
    def ready(self) -> bool:
        """Whether a full chunk can be computed now."""
        return self.mel.ready(self.next_features)

    @property
    def rest(self) -> int:
        """Encoder frames that remain if the stream ended now, counted as offline counts them."""
        return self.engine.encoder_frames(self.mel.total()) - self.emitted

    @property
    def nbytes(self) -> int:
        """Bytes held between chunks."""
        held = [self.context, *(self.caches or ()), *_tensors(self.decoder_state)]
        return self.mel.nbytes + sum(int(t.element_size() * t.nelement()) for t in held if t is not None)


class Engine:
    """A model on its device, and its streaming step. Thread-safe: one step at a time.

    Args:
        model: a restored NeMo transducer, in eval mode.

    Raises:
        WorkbenchError: an encoder that cannot stream.
    """

    def __init__(self, model: Any) -> None:
        self.model, self.encoder = model, model.encoder
        self.device = next(model.parameters()).device
        self.dtype = next(model.encoder.parameters()).dtype
        self.lock = threading.RLock()
        self.parameters = sum(p.numel() for p in model.parameters())
        self.frontend = MelFrontend(model.preprocessor.featurizer)
        self.subsampling = int(self.encoder.subsampling_factor)
        self.sample_rate = int(model.cfg.preprocessor.sample_rate)
        self.frame_s = self.subsampling * self.frontend.hop / self.sample_rate
        causal = getattr(self.encoder.pre_encode, "is_causal", False)
        if self.encoder.att_context_style != "chunked_limited" or not causal:
            raise WorkbenchError(
                "the checkpoint's encoder is not cache-aware",
                mend="Streaming needs att_context_style: chunked_limited and causal_downsampling: true.",
            )
        self.context_features = int(self.encoder.pre_encode.get_streaming_cache_size()[1])
        self.decoding = _computer(model, biasing=False)
        self._boosts: BoostTable | None = None
        self._biased: Any = None

    def encoder_frames(self, features: int) -> int:
        """Encoder frames of a clip of that many feature frames, as the causal convolutions count them."""
        frames = features
        for _ in range(self.subsampling.bit_length() - 1):
            frames = frames // 2 + 1
        return frames if features > 0 else 0

    def set_context(self, right: int) -> None:
        """Choose the look-ahead in encoder frames; cheap where it is the one in force."""
        # The encoder is asked, not our memory: others may hold the model and have changed it.
        if list(self.encoder.att_context_size)[1] != right:
            left = next(c[0] for c in self.encoder.att_context_size_all if c[1] == right)
            self.encoder.set_default_att_context_size([left, right])

    def step(self, streams: Sequence[Stream]) -> list[Decoded]:
        """Encode and decode the next chunk of each stream, all of one look-ahead, as one batch.

        Args:
            streams: each ``ready``, or ended with a ``rest`` of at least one frame: then its rest is taken.
        """
        import torch

        with self.lock, torch.inference_mode(), self._threads(len(streams)):
            self.set_context(streams[0].right)
            encoded, lengths = self._encode(streams)
            encoded = self.apply_prompt(encoded, [stream.prompt for stream in streams])
            return self._decode(streams, encoded, lengths)

    @contextlib.contextmanager
    def _threads(self, streams: int) -> Iterator[None]:
        """One thread for a small step on CPU. Its many tiny kernels gain nothing from more, and wait at each
        for a thread that other work holds up: beside one busy core of two, a chunk took 5 s, not 0.03 s."""
        import torch

        before = torch.get_num_threads()
        if self.device.type != "cpu" or before == 1 or self.parameters * streams > SMALL_STEP:
            yield
            return
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def apply_prompt(self, encoded: torch.Tensor, slots: Sequence[int | None]) -> torch.Tensor:
        """(B, T, D) → (B, T, D), the one-hot of each row's slot at every frame, as ``model.forward``."""
        import torch

        if not getattr(self.model, "concat", False):
            return encoded
        prompt = encoded.new_zeros(encoded.shape[0], 1, self.model.num_prompts)
        for row, slot in enumerate(slots):
            if slot is None:
                raise WorkbenchError("no locale was chosen", mend="Give a tag of the checkpoint, or auto.")
            prompt[row, 0, slot] = 1.0
        both = torch.cat([encoded, prompt.expand(-1, encoded.shape[1], -1)], dim=-1)
        return self.model.prompt_kernel(both)

    @property
    def boosts(self) -> BoostTable:
        """The boosting lists of this engine's streams; the decoder that knows them is made on first use."""
        if self._boosts is None:
            self._biased = _computer(self.model, biasing=True)
            self._boosts = BoostTable(self._biased, self.model.tokenizer)
        return self._boosts

    def decode(
        self,
        encoded: torch.Tensor,
        lengths: torch.Tensor,
        state: Any = None,
        boosts: Sequence[int] | None = None,
    ) -> tuple[list[Decoded], Any]:
        """Greedy transducer decoding with NeMo's label looping; ``state`` continues an earlier call.

        Args:
            encoded: (batch, frames, d_model); ``lengths``: (batch,) frames that count.
            boosts: numbers of boosting lists, -1 for none; None uses the decoder without boosting.
        """
        import torch

        ids = None if boosts is None else torch.tensor(boosts, device=self.device)
        computer = self.decoding if boosts is None else self._biased
        found, state = computer(x=encoded, out_len=lengths, prev_batched_state=state, multi_biasing_ids=ids)
        counts = found.current_lengths.tolist()
        most = max(counts, default=0)
        transcript, frames = found.transcript[:, :most].tolist(), found.timestamps[:, :most].tolist()
        confidence = found.step_confidence[:, :most].float().clamp(0, 1).tolist()
        rows = zip(counts, transcript, frames, confidence, strict=True)
        return [Decoded(i[:n], f[:n], c[:n]) for n, i, f, c in rows], state

    def _encode(self, streams: Sequence[Stream]) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        frames = [self._subsample(stream) for stream in streams]
        lengths = torch.tensor([f.shape[1] for f in frames], device=self.device)
        width = max(f.shape[1] for f in frames)
        audio = torch.cat([torch.nn.functional.pad(f, (0, 0, 0, width - f.shape[1])) for f in frames])
        channel, time, length = self._gather(streams)
        encoded, out_lengths, channel, time, length = self.encoder.forward_internal(
            audio, lengths, channel, time, length, bypass_pre_encode=True
        )
        size = self.encoder.streaming_cfg.last_channel_cache_size
        channel = channel[:, :, channel.shape[2] - size :]
        for row, stream in enumerate(streams):
            # Copies, not views: a stream that waits must not hold the whole batch in memory.
            stream.caches = (
                (channel, time, length)
                if len(streams) == 1
                else (channel[:, [row]], time[:, [row]], length[[row]])
            )
            stream.emitted += frames[row].shape[1]
            stream.chunks += 1
        return encoded.transpose(1, 2), out_lengths

    def _subsample(self, stream: Stream) -> torch.Tensor:
        """The next chunk's features through the convolutions: (1, frames, d_model), context dropped."""
        import torch

        start = stream.mel.frames
        new = stream.mel.take(stream.next_features) if stream.ready else stream.mel.take_rest()
        features = new if stream.context is None else torch.cat([stream.context, new], dim=1)
        stream.context = features[:, -self.context_features :].clone()
        begin = start + new.shape[1] - features.shape[1]
        batch = features[None].transpose(1, 2).to(self.dtype)
        length = torch.tensor([features.shape[1]], device=self.device)
        frames, _ = self.encoder.pre_encode(x=batch, lengths=length)
        count = self.encoder_frames(features.shape[1])
        # Output k of the convolutions ends at feature 8k: those of the context were emitted before.
        known = stream.emitted - begin // self.subsampling
        return frames[:, known:count]

    def _gather(self, streams: Sequence[Stream]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        import torch

        held = []
        for stream in streams:
            if stream.caches is None:
                stream.caches = self.encoder.get_initial_cache_state(1, self.dtype, self.device)
            held.append(stream.caches)
        if len(held) == 1:
            return held[0]
        channels, times, lengths = zip(*held, strict=True)
        return torch.cat(channels, dim=1), torch.cat(times, dim=1), torch.cat(lengths)

    def _decode(
        self, streams: Sequence[Stream], encoded: torch.Tensor, lengths: torch.Tensor
    ) -> list[Decoded]:
        plain = [row for row, stream in enumerate(streams) if stream.boost < 0]
        if len(plain) == len(streams):
            return self._decode_group(streams, encoded, lengths, None)
        boosted = [row for row, stream in enumerate(streams) if stream.boost >= 0]
        results: dict[int, Decoded] = {}
        for rows, numbers in ((plain, None), (boosted, [streams[row].boost for row in boosted])):
            if rows:
                group = [streams[row] for row in rows]
                found = self._decode_group(group, encoded[rows], lengths[rows], numbers)
                results.update(zip(rows, found, strict=True))
        return [results[row] for row in range(len(streams))]

    def _decode_group(
        self,
        streams: Sequence[Stream],
        encoded: torch.Tensor,
        lengths: torch.Tensor,
        boosts: list[int] | None,
    ) -> list[Decoded]:
        computer = self.decoding if boosts is None else self._biased
        states = [stream.decoder_state for stream in streams]
        if len(streams) == 1:
            [state] = states
            if state is not None and not hasattr(state, "predictor_states"):
                state = computer.merge_to_batched_state([state])
            decoded, streams[0].decoder_state = self.decode(encoded, lengths, state, boosts)
            return decoded
        # A stream stepped alone keeps a batched state of one; in a batch its item is taken out.
        items = [computer.split_batched_state(s)[0] if hasattr(s, "predictor_states") else s for s in states]
        state = None if all(item is None for item in items) else computer.merge_to_batched_state(items)
        decoded, state = self.decode(encoded, lengths, state, boosts)
        for stream, item in zip(streams, computer.split_batched_state(state), strict=True):
            stream.decoder_state = item
        return decoded


def _tensors(state: Any) -> list[Any]:
    if state is None:
        return []
    states = getattr(state, "predictor_states", None)
    output = getattr(state, "predictor_outputs", None)
    if states is None:
        states, output = state.predictor_state, state.predictor_output
    return [*states, output]


def _computer(model: Any, biasing: bool) -> Any:
    """NeMo's greedy label looping with token confidence, built from the checkpoint's own modules."""
    from nemo.collections.asr.parts.submodules.transducer_decoding.rnnt_label_looping import (
        GreedyBatchedRNNTLabelLoopingComputer,
    )
    from omegaconf import OmegaConf

    greedy = model.cfg.decoding.get("greedy") or {}
    return GreedyBatchedRNNTLabelLoopingComputer(
        decoder=model.decoder,
        joint=model.joint,
        blank_index=model.decoder.blank_idx,
        max_symbols_per_step=greedy.get("max_symbols") or 10,
        preserve_step_confidence=True,
        exclude_blank_from_confidence=True,
        confidence_method_cfg=OmegaConf.create({"name": "max_prob", "alpha": 1.0}),
        allow_cuda_graphs=model.device.type == "cuda",
        enable_per_stream_biasing=biasing,
    )
