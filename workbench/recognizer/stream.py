"""What a stream holds between chunks, and the batch that holds it for several streams stepped together."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from workbench.recognizer.frontend import MelFrontend, MelStream

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    Caches = tuple[torch.Tensor, torch.Tensor, torch.Tensor]

_numbers = itertools.count()


class StreamEngine(Protocol):
    """What a stream asks of the engine that steps it."""

    device: torch.device
    subsampling: int
    decoder: Any

    @property
    def frontend(self) -> MelFrontend: ...

    def encoder_frames(self, features: int) -> int: ...


class Stream:
    """One stream.

    Args:
        right: look-ahead in encoder frames. ``prompt``: its index; None: the class has none.
        boost: number of its boosting list, -1 for none.

    Attributes:
        cache_bytes: of the model's state between chunks: encoder caches, decoder state, features of context.
            The samples that wait are ``mel.waiting_bytes``.
    """

    def __init__(self, engine: StreamEngine, right: int, prompt: int | None, boost: int = -1) -> None:
        self.engine, self.right, self.prompt, self.boost = engine, right, prompt, boost
        self.number = next(_numbers)
        self.mel = MelStream(engine.frontend, engine.device)
        self.emitted = 0
        self.chunks = 0
        self.context: torch.Tensor | None = None
        self.caches: Caches | None = None
        self.decoder_item: Any = None
        self.shared: SharedState | None = None
        self.cache_bytes = 0

    def push(self, pcm: NDArray[np.float32]) -> None:
        self.mel.push(pcm)

    def hold(self, caches: Caches, decoder_item: Any) -> None:
        """Keep a state of its own."""
        self.caches, self.decoder_item, self.shared = caches, decoder_item, None
        held = [*caches, *decoder_item.predictor_state, decoder_item.predictor_output]
        self.cache_bytes = sum(map(_size, held)) + (0 if self.context is None else _size(self.context))

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


class SharedState:
    """Encoder caches and decoder state of streams that were stepped as one batch, kept as that batch.

    While the same streams go on together, nothing is copied apart and together again.

    Streams hold it, it holds them weakly; as soon as one of them steps without the others, :meth:`part` gives
    each its own copy, so that a stream that waits never keeps a whole batch in memory.

    Args:
        caches: (layers, batch, …) twice and (batch,), as the encoder gives them; ``decoder``: batched state.
    """

    def __init__(self, streams: Sequence[Stream], caches: Caches, decoder: Any) -> None:
        self._streams = [weakref.ref(stream) for stream in streams]
        self.caches, self.decoder = caches, decoder
        held = sum(_size(t) for t in (*caches, *decoder.predictor_states, decoder.predictor_outputs))
        for stream in streams:
            stream.shared, stream.caches, stream.decoder_item = self, None, None
            context = _size(stream.context) if stream.context is not None else 0
            stream.cache_bytes = held // len(streams) + context

    def of(self, streams: Sequence[Stream]) -> bool:
        """Whether it is the state of these streams, in this order."""
        return len(streams) == len(self._streams) and all(
            ref() is stream for ref, stream in zip(self._streams, streams, strict=True)
        )

    def part(self) -> None:
        """Give each stream that still lives its own state."""
        items: list[Any] | None = None
        for row, ref in enumerate(self._streams):
            stream = ref()
            if stream is None or stream.shared is not self:
                continue
            items = stream.engine.decoder.split(self.decoder) if items is None else items
            stream.hold(row_of(self.caches, row), items[row])


def row_of(caches: Caches, row: int) -> Caches:
    """One stream's share of a batch's caches, copied unless it is all of them."""
    channel, time, length = caches
    if len(length) == 1:
        return caches
    return channel[:, [row]], time[:, [row]], length[[row]]


def _size(tensor: torch.Tensor) -> int:
    return int(tensor.element_size() * tensor.nelement())
