"""One loaded model, and the step that moves any number of streams forward by one chunk.

The encoder, prompt projection, predictor and joint are NeMo's own modules; so is the greedy decoder, except
for chunks on CPU (``chunk_decoder``). What NeMo's loop around them does differently from offline decoding is
done here as offline does it:

* NeMo's ``CacheAwareStreamingAudioBuffer`` drops a last chunk of fewer than 8 feature frames, although
  offline subsampling makes an encoder frame of it (this loses final tokens and the language tag), and counts
  one feature frame too many (the centered STFT's last, which is masked offline). Here the tail is always
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
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.recognizer.decoder import Decoded, GreedyDecoder
from workbench.recognizer.frontend import MelFrontend
from workbench.recognizer.stream import SharedState, row_of

if TYPE_CHECKING:
    import torch

    from workbench.recognizer.boosting import BoostTable
    from workbench.recognizer.stream import Caches, Stream

SMALL_STEP = 50_000_000
"""Parameters times streams up to which a step on CPU takes one thread."""


class Engine:
    """A model on its device, and its streaming step. Thread-safe: one step at a time.

    Args:
        model: a restored NeMo transducer, in eval mode.

    An encoder that attends to the whole clip, or features normalized over it, leave an engine that decodes
    offline only: ``cannot_stream`` says why.
    """

    runtime = "torch"

    def __repr__(self) -> str:
        return f"Engine: {self.runtime} on {self.device}, {self.parameters / 1e6:.1f}M weights"

    def __init__(self, model: Any) -> None:
        self.model, self.encoder = model, model.encoder
        self.device = next(model.parameters()).device
        self.dtype = next(model.encoder.parameters()).dtype
        self.lock = threading.RLock()
        self.parameters = sum(p.numel() for p in model.parameters())
        self.hop = int(model.preprocessor.featurizer.hop_length)
        self.subsampling = int(self.encoder.subsampling_factor)
        self.sample_rate = int(model.cfg.preprocessor.sample_rate)
        self.frame_s = self.subsampling * self.hop / self.sample_rate
        self.context_features = 0
        self.cannot_stream: WorkbenchError | None = None
        self._frontend: MelFrontend | None = None
        try:
            self._set_up_streaming()
        except WorkbenchError as error:
            self.cannot_stream = error
        self.decoder = GreedyDecoder(model)
        self._cached: Any = None
        if self.cannot_stream is None and self.device.type == "cpu":
            from workbench.recognizer.cached_layers import CachedLayers

            self._cached = CachedLayers(self.encoder) if CachedLayers.suits(self.encoder) else None

    def _set_up_streaming(self) -> None:
        causal = getattr(self.encoder.pre_encode, "is_causal", False)
        if self.encoder.att_context_style != "chunked_limited" or not causal:
            raise WorkbenchError(
                "the checkpoint decodes offline only: its encoder is not cache-aware",
                hint="Streaming needs att_context_style: chunked_limited and causal_downsampling: true.",
            )
        self.context_features = int(self.encoder.pre_encode.get_streaming_cache_size()[1])
        self._frontend = MelFrontend(self.model.preprocessor.featurizer)

    @property
    def frontend(self) -> MelFrontend:
        """The features of this engine's streams.

        Raises:
            WorkbenchError: the checkpoint cannot stream.
        """
        if self._frontend is None:
            assert self.cannot_stream is not None
            raise self.cannot_stream
        return self._frontend

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

        # In one order whatever the caller's: streams that go on together keep one batched state.
        batch = sorted(streams, key=lambda stream: stream.number)
        with self.lock, torch.inference_mode(), self._threads(len(batch)):
            self.set_context(batch[0].right)
            encoded, lengths, caches = self._encode(batch)
            boosted = any(stream.boost >= 0 for stream in batch)
            decode = self._decode_boosted if boosted else self._decode
            decoded = decode(batch, encoded, lengths, caches)
        found = {stream.number: one for stream, one in zip(batch, decoded, strict=True)}
        return [found[stream.number] for stream in streams]

    def encode(self, stream: Stream) -> torch.Tensor:
        """The next chunk of a stream through encoder and prompt alone: (frames, d_model); nothing is decoded.

        Args:
            stream: as :meth:`step` takes it, alone, and never decoded.
        """
        import torch

        with self.lock, torch.inference_mode(), self._threads(1):
            self.set_context(stream.right)
            encoded, lengths, stream.caches = self._encode([stream])
        found: torch.Tensor = encoded[0, : int(lengths[0])]
        return found

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

    def apply_prompt(self, encoded: torch.Tensor, prompt_indices: Sequence[int | None]) -> torch.Tensor:
        """(B, T, D) → (B, T, D), the one-hot of each row's prompt at every frame, as ``model.forward``."""
        import torch

        if not getattr(self.model, "concat", False):
            return encoded
        prompt = encoded.new_zeros(encoded.shape[0], 1, self.model.num_prompts)
        for row, prompt_index in enumerate(prompt_indices):
            if prompt_index is None:
                raise WorkbenchError("no locale was chosen", hint="Give a tag of the checkpoint, or auto.")
            prompt[row, 0, prompt_index] = 1.0
        both = torch.cat([encoded, prompt.expand(-1, encoded.shape[1], -1)], dim=-1)
        return self.model.prompt_kernel(both)

    @property
    def boosts(self) -> BoostTable:
        """The boosting lists of this engine's streams."""
        return self.decoder.boosts

    def _encode(self, streams: Sequence[Stream]) -> tuple[torch.Tensor, torch.Tensor, Caches]:
        """The next chunk of each stream through encoder and prompt: (B, T, D), (B,) that count, caches."""
        import torch

        audio, counts = self._subsample(streams)
        lengths = torch.tensor(counts, device=self.device)
        found = self._layers(audio, lengths, self._caches(streams), [stream.prompt for stream in streams])
        for stream, count in zip(streams, counts, strict=True):
            stream.emitted += count
            stream.chunks += 1
        return found

    def _layers(
        self, audio: torch.Tensor, lengths: torch.Tensor, caches: Caches, prompts: Sequence[int | None]
    ) -> tuple[torch.Tensor, torch.Tensor, Caches]:
        """(B, T, d_model) frames after subsampling → what the decoder takes, frames that count, caches."""
        if self._cached is not None:
            encoded, caches = self._cached(audio, lengths, caches)
            return self.apply_prompt(encoded, prompts), lengths, caches
        encoded, out_lengths, channel, time, length = self.encoder.forward_internal(
            audio, lengths, *caches, bypass_pre_encode=True
        )
        size = self.encoder.streaming_cfg.last_channel_cache_size
        channel = channel[:, :, channel.shape[2] - size :]
        encoded = self.apply_prompt(encoded.transpose(1, 2), prompts)
        return encoded, out_lengths, (channel, time, length)

    def _pre_encode(self, features: torch.Tensor) -> torch.Tensor:
        """(B, mels, time) → (B, frames, d_model), through the causal convolutions."""
        import torch

        lengths = torch.full((len(features),), features.shape[2], device=self.device)
        frames, _ = self.encoder.pre_encode(x=features.transpose(1, 2).to(self.dtype), lengths=lengths)
        found: torch.Tensor = frames
        return found

    def _initial_caches(self) -> Caches:
        """Of one stream that has heard nothing."""
        if self._cached is not None:
            found: Caches = self._cached.initial(self.dtype, self.device)
            return found
        found = self.encoder.get_initial_cache_state(1, self.dtype, self.device)
        return found

    def _subsample(self, streams: Sequence[Stream]) -> tuple[torch.Tensor, list[int]]:
        """The next chunks' features through the convolutions: (B, frames, d_model) padded, frames of each.

        Streams whose chunks have one shape, which is nearly all of them, are computed at once.
        """
        import torch

        groups: dict[tuple[int, int, int], list[int]] = {}
        for row, stream in enumerate(streams):
            start = stream.mel.frames
            upto = stream.next_features if stream.ready else stream.mel.total()
            context = 0 if stream.context is None else stream.context.shape[1]
            # Output k of the convolutions ends at feature 8k: those of the context were emitted before.
            known = stream.emitted - (start - context) // self.subsampling
            groups.setdefault((context, upto - start, known), []).append(row)
        if len(groups) == 1:
            [(shape, rows)] = groups.items()
            frames = self._subsample_alike([streams[row] for row in rows], *shape)
            return frames, [frames.shape[1]] * len(rows)
        found: list[torch.Tensor] = [torch.empty(0)] * len(streams)
        for shape, rows in groups.items():
            frames = self._subsample_alike([streams[row] for row in rows], *shape)
            for row, one in zip(rows, frames, strict=True):
                found[row] = one
        return torch.nn.utils.rnn.pad_sequence(found, batch_first=True), [len(one) for one in found]

    def _subsample_alike(self, streams: Sequence[Stream], context: int, new: int, known: int) -> torch.Tensor:
        """Streams with as many features of context and new ones: (B, frames, d_model), context dropped."""
        import torch

        signals = torch.stack([stream.mel.signal(stream.mel.frames + new) for stream in streams])
        features = self.frontend.mel(signals, new)
        if context:
            features = torch.cat([torch.stack([s.context for s in streams]), features], dim=2)
        for row, stream in enumerate(streams):
            # A copy, not a view: a stream that waits must not hold the whole batch in memory.
            stream.context = features[row, :, -self.context_features :].clone()
        frames = self._pre_encode(features)
        return frames[:, known : self.encoder_frames(context + new)]

    def _caches(self, streams: Sequence[Stream]) -> Caches:
        """The encoder caches of a batch, from what its streams hold together or each for itself."""
        import torch

        together = streams[0].shared
        if together is not None and together.of(streams):
            return together.caches
        for stream in streams:
            if stream.shared is not None:
                stream.shared.part()
        held = [stream.caches or self._initial_caches() for stream in streams]
        if len(held) == 1:
            return held[0]
        channels, times, lengths = zip(*held, strict=True)
        return torch.cat(channels, dim=1), torch.cat(times, dim=1), torch.cat(lengths)

    def _decode(
        self, streams: Sequence[Stream], encoded: torch.Tensor, lengths: torch.Tensor, caches: Caches
    ) -> list[Decoded]:
        """What each stream's chunk says; the streams then hold their state together."""
        together = streams[0].shared
        if together is not None and together.of(streams):
            state = together.decoder
        else:
            state = self.decoder.merge([stream.decoder_item for stream in streams])
        decoded, state = self.decoder.decode_chunk(encoded, lengths, state)
        SharedState(streams, caches, state)
        return decoded

    def _decode_boosted(
        self, streams: Sequence[Stream], encoded: torch.Tensor, lengths: torch.Tensor, caches: Caches
    ) -> list[Decoded]:
        """As :meth:`_decode` where some streams have a boosting list; each then holds its own state.

        Those without a list are decoded by the decoder without one, as if they were alone.
        """
        results: dict[int, Decoded] = {}
        for boosted in (False, True):
            rows = [row for row, stream in enumerate(streams) if (stream.boost >= 0) == boosted]
            if rows:
                numbers = [streams[row].boost for row in rows] if boosted else None
                state = self.decoder.merge([streams[row].decoder_item for row in rows], boosted)
                found, state = self.decoder.decode(encoded[rows], lengths[rows], state, numbers)
                for row, one, item in zip(rows, found, self.decoder.split(state), strict=True):
                    streams[row].hold(row_of(caches, row), item)
                    results[row] = one
        return [results[row] for row in range(len(streams))]
