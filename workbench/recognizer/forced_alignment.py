"""A known text laid onto a recording by the transducer itself: the best path of its tokens.

The path is Viterbi's through the lattice of encoder frames and tokens (Graves, "Sequence Transduction with
Recurrent Neural Networks", 2012, section 2.4): a blank goes one frame on, a label one token on. Encoder,
predictor and joint are the checkpoint's own, streamed: of a recording of hours one chunk is in memory, and of
the lattice a corridor. It is as wide as the text between two *anchors*, words whose times are about known.

Legend: T encoder frames, U tokens of the text, V tokens with the blank, D width of the encoder's frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from workbench.recognizer.known_text import Anchor, Part
from workbench.recognizer.stream import Stream
from workbench.recognizer.words import BOUNDARY, is_spoken

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from workbench.recognizer.engine import Engine

    Floats = NDArray[np.float32]
    Pcm = NDArray[np.float32]

SLACK_S = 2.0
"""How far from where it was recognized an anchor may be said."""
WIDEST = 600
"""Tokens that the corridor has at most: two minutes of speech. Where anchors are farther apart, it follows
the time."""
CELLS = 1 << 22
"""Logits that are computed at once: frames × tokens of the text × V."""


@dataclass(frozen=True, slots=True)
class TimedPart:
    """When a part of the text is said, from the first to the last spoken token, in seconds of the recording.
    ``confidence``: geometric mean of the probabilities of these tokens, 0 to 1."""

    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True, slots=True)
class _Text:
    """Tokens of all parts, one after the other. ``owned``: first token of each part, and the one behind its
    last; characters that one token spells share it."""

    ids: list[int]
    spoken: list[bool]
    owned: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class _Block:
    """Some frames of the corridor: whether each node was reached by a label, and the labels' scores; both
    (frames, nodes). ``first``: the node of the first column."""

    first: int
    by_label: NDArray[np.uint8]
    label: NDArray[np.float16]  # an hour's corridor at its widest is 80 MB then


def align_parts(
    engine: Engine,
    tokenizer: Any,
    blocks: Iterable[Pcm],
    prompt: int | None,
    right: int,
    parts: Sequence[Part],
    anchors: Sequence[Anchor],
    length_s: float,
) -> list[TimedPart]:
    """When each part of a text is said.

    Args:
        engine: of torch; its checkpoint streams.
        tokenizer: of the checkpoint.
        blocks: the recording, (samples,) float32 mono at the checkpoint's rate, piece by piece.
        prompt: index of the language; None where the class takes none.
        right: look-ahead in encoder frames.
        parts, anchors: of the text, see :mod:`known_text`.
        length_s: of the recording, about.

    Returns:
        One a part, in order. A part without any token lasts no time, with confidence 0.

    Raises:
        WorkbenchError: the recording cannot be read, or the checkpoint cannot stream.
    """
    text = _tokens(tokenizer, parts)
    if not text.ids:
        return [TimedPart(0.0, 0.0, 0.0) for _ in parts]
    low, high = _corridor(text, anchors, math.ceil(length_s / engine.frame_s) + 1, engine.frame_s)
    lattice = _Lattice(engine.model, text.ids)
    waiting = None
    for encoded in _encoded(engine, blocks, prompt, right):
        if waiting is not None:
            lattice.extend(waiting, low, high)
        waiting = encoded
    if waiting is None:
        return [TimedPart(0.0, 0.0, 0.0) for _ in parts]
    lattice.extend(waiting, low, high, last=True)
    frames, scores = lattice.best_path()
    return [_timed(text, part, frames, scores, engine.frame_s) for part in range(len(parts))]


class _Lattice:
    """The corridor of the lattice, frame by frame."""

    def __init__(self, model: Any, ids: Sequence[int]) -> None:
        self._model, self._ids, self._blank = model, ids, model.joint.num_classes_with_blank - 1
        self._scores = np.full(len(ids) + 1, -math.inf)
        self._scores[0] = 0.0
        self._frames, self._blocks = 0, list[_Block]()
        self._predicted: torch.Tensor | None = None
        self._first, self._state = 0, None  # node of the first row of ``_predicted``; state after the last

    def extend(
        self, encoded: torch.Tensor, low: NDArray[Any], high: NDArray[Any], last: bool = False
    ) -> None:
        """Take the next frames (T, D). ``low`` and ``high``: first and last node of the corridor at each
        frame; ``last``: the text has ended with them."""
        count = len(encoded)
        rows = np.minimum(np.arange(self._frames, self._frames + count), len(low) - 1)
        lows, highs = low[rows], high[rows].copy()
        if last:
            highs[-1] = len(self._ids)
        lows = np.minimum(lows, np.concatenate([highs[:1], highs[:-1]]))
        first, end = int(lows[0]), int(highs[-1]) + 1
        blank, label = self._log_probs(encoded, first, end)
        by_label = np.zeros(label.shape, np.uint8)
        _advance(self._scores, blank, label, lows, highs, first, by_label)
        self._blocks.append(_Block(first, by_label, label.astype(np.float16)))
        self._frames += count

    def best_path(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Of each token the frame in which it is emitted and the logarithm of its probability there."""
        count = len(self._ids)
        frames, scores, node, frame = (
            np.zeros(count, np.int64),
            np.full(count, -math.inf),
            count,
            self._frames,
        )
        for block in reversed(self._blocks):
            frame -= len(block.by_label)
            label = block.label.astype(np.float32)
            node = _back(block.by_label, label, block.first, node, frame, frames, scores)
        return frames, scores

    def _log_probs(self, encoded: torch.Tensor, first: int, end: int) -> tuple[Floats, Floats]:
        """Log-probabilities (T, end − first) of the blank and of the next label from each node; the last node
        of the text has no next."""
        import torch

        joint = self._model.joint
        with torch.inference_mode():
            nodes, frames = self._nodes(first, end), joint.project_encoder(encoded[None])
            labels = torch.tensor([*self._ids[first:end], *([self._blank] * (end > len(self._ids)))])
            labels = labels.to(nodes.device)
            width = max(1, CELLS // (len(encoded) * (self._blank + 1)))
            blanks, others = [], []
            for at in range(0, end - first, width):
                logits = joint.joint_after_projection(frames, nodes[None, at : at + width])[0]
                scores = torch.log_softmax(logits.float(), dim=-1)
                wanted = labels[None, at : at + width, None].expand(len(encoded), -1, 1)
                blanks.append(scores[..., self._blank])
                others.append(scores.gather(-1, wanted)[..., 0])
            return torch.cat(blanks, 1).cpu().numpy(), torch.cat(others, 1).cpu().numpy()

    def _nodes(self, first: int, end: int) -> torch.Tensor:
        """The predictor's projected output at some nodes of the text; what lies before is forgotten."""
        import torch

        predictor, joint = self._model.decoder, self._model.joint
        if self._predicted is None:
            start, self._state = predictor.predict(None, None, add_sos=False, batch_size=1)
            self._predicted = joint.project_prednet(start)[0]
        self._predicted, self._first = self._predicted[first - self._first :], first
        known = first + len(self._predicted)
        if known < end:
            more = torch.tensor([self._ids[known - 1 : end - 1]], device=self._predicted.device)
            found, self._state = predictor.predict(more, self._state, add_sos=False, batch_size=1)
            self._predicted = torch.cat([self._predicted, joint.project_prednet(found)[0]])
        return self._predicted[: end - first]


def _encoded(engine: Engine, blocks: Iterable[Pcm], prompt: int | None, right: int) -> Iterator[torch.Tensor]:
    """(T, D) frames of a recording, chunk by chunk, behind the prompt."""
    stream = Stream(engine, right, prompt)
    for block in blocks:
        stream.push(block)
        while stream.ready:
            yield engine.encode(stream)
    while stream.ready or stream.rest > 0:
        yield engine.encode(stream)


def _tokens(tokenizer: Any, parts: Sequence[Part]) -> _Text:
    """Word by word, as the model was trained on them: with the tag of the language where a sentence ends."""
    ids, spoken, owned = list[int](), list[bool](), list[tuple[int, int]]()
    tags = {part.lang: _tag(tokenizer, part.lang) for part in parts if part.lang is not None}
    for word in _words(parts):
        start = len(ids)
        ids += tokenizer.encode("".join(part.text for part in word))
        pieces = [tokenizer.id_to_piece(one) for one in ids[start:]]
        spoken += [is_spoken(piece) for piece in pieces]
        owned += [(start + first, start + end) for first, end in _owned(word, pieces)]
        if word[-1].closes and word[-1].lang is not None:
            ids += tags[word[-1].lang]
            spoken += [False] * (len(ids) - len(spoken))
    return _Text(ids, spoken, owned)


def _tag(tokenizer: Any, lang: str) -> list[int]:
    """The tokens of a language's tag; none where the checkpoint does not have it."""
    found: list[int] = tokenizer.encode(f"<{lang}>")
    return found if tokenizer.id_to_piece(found[-1]) == f"<{lang}>" else []


def _words(parts: Sequence[Part]) -> Iterator[Sequence[Part]]:
    """Parts without a space between them, together."""
    start = 0
    for at in range(1, len(parts) + 1):
        if at == len(parts) or not parts[at].glued:
            yield parts[start:at]
            start = at


def _owned(word: Sequence[Part], pieces: Sequence[str]) -> list[tuple[int, int]]:
    """Tokens of each part of a word: those that spell a character of it; all, where they spell something
    else."""
    letters = [number for number, piece in enumerate(pieces) for _ in piece.replace(BOUNDARY, "")]
    bare = "".join(piece.replace(BOUNDARY, "") for piece in pieces)
    if len(word) == 1 or bare != "".join(part.text for part in word):
        return [(0, len(pieces))] * len(word)
    found, at = [], 0
    for part in word:
        found.append((letters[at], letters[at + len(part.text) - 1] + 1))
        at += len(part.text)
    return found


def _corridor(
    text: _Text, anchors: Sequence[Anchor], frames: int, frame_s: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last node of the text at each of so many frames: an anchor has begun when its time and the
    slack are over, and has not before; between two anchors all tokens are there, up to :data:`WIDEST`."""
    count, times = len(text.ids), np.arange(frames) * frame_s
    low, high = np.zeros(frames, np.int64), np.full(frames, count, np.int64)
    places, nodes = [0.0], [0.0]
    for anchor in anchors:
        node = text.owned[anchor.part][0]
        low[times > anchor.end_s + SLACK_S] = node
        if anchor.start_s > places[-1]:
            places.append(anchor.start_s)
            nodes.append(float(node))
    for anchor in reversed(anchors):
        high[times < anchor.start_s - SLACK_S] = text.owned[anchor.part][0]
    end_s = max(times[-1], places[-1] + frame_s)
    middle = np.interp(times, [*places, end_s], [*nodes, float(count)]).astype(np.int64)
    low = np.maximum(low, middle - WIDEST // 2)
    high = np.minimum(high, middle + WIDEST // 2)
    low, high = np.maximum.accumulate(low), np.maximum.accumulate(high)
    return np.minimum(low, high), high


def _timed(
    text: _Text, part: int, frames: NDArray[np.int64], scores: NDArray[np.float64], frame_s: float
) -> TimedPart:
    own = range(*text.owned[part])
    said = [token for token in own if text.spoken[token]] or list(own)
    if not said:
        at = round(float(frames[min(own.start, len(frames) - 1)]) * frame_s, 3)
        return TimedPart(at, at, 0.0)
    start, end = int(frames[said[0]]), int(frames[said[-1]]) + 1
    sure = math.exp(float(np.mean(scores[said])))
    return TimedPart(round(start * frame_s, 3), round(end * frame_s, 3), sure)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _advance(
    scores: NDArray[Any],
    blank: NDArray[Any],
    label: NDArray[Any],
    lows: NDArray[Any],
    highs: NDArray[Any],
    first: int,
    by_label: NDArray[Any],
) -> None:
    """Best scores of the nodes before some frames → after them, in place; which were reached by a label."""
    for t in range(len(lows)):
        scores[: lows[t]] = -np.inf
        for node in range(lows[t] + 1, highs[t] + 1):
            emitted = scores[node - 1] + label[t, node - 1 - first]
            if emitted > scores[node]:
                scores[node] = emitted
                by_label[t, node - first] = 1
        for node in range(lows[t], highs[t] + 1):
            scores[node] += blank[t, node - first]


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _back(
    by_label: NDArray[Any],
    label: NDArray[Any],
    first: int,
    node: int,
    start: int,
    frames: NDArray[Any],
    scores: NDArray[Any],
) -> int:
    """Walk the best path back through some frames; the node before them."""
    for t in range(len(by_label) - 1, -1, -1):
        while node > first and by_label[t, node - first]:
            node -= 1
            frames[node] = start + t
            scores[node] = label[t, node - first]
    return node
