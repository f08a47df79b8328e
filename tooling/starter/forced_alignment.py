"""When each letter of an utterance is spoken: a flat-started hidden Markov model for each voice.

A network on little speech learns slowly from losses that must find the alignment by themselves. A letter
model with Gaussian mixtures needs no network: it starts from an even cut, and Viterbi training (Rabiner 1989,
section IV) finds the times in seconds for minutes of speech. Used in training only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

STATES = 2  # of each letter, one after the other: at least 20 ms at 10 ms a frame
SILENCE = 0
CEPSTRA = 13
PASSES = 24
GROW_AT = {6: 2, 10: 4, 14: 8}  # pass → Gaussians of each state
FLOOR = 0.15  # of a state's variance, as a share of the voice's own
FRAMES_PER_GAUSSIAN = 12


@dataclass(frozen=True, slots=True)
class Chain:
    """The states of one clip in order; ``skip`` marks a state that may follow the one before its predecessor
    (a pause between two words is optional); ``letter`` is the letter's place in the spelling, -1: a pause."""

    states: Ints
    skip: npt.NDArray[np.bool_]
    letter: Ints


def cepstra(mel: Floats) -> Floats:
    """Log-mel (frames, bands) → (frames, 39): 13 cepstra with first and second differences."""
    bands = mel.shape[1]
    turns = np.arange(CEPSTRA)[:, None] * (np.arange(bands)[None, :] + 0.5) * np.pi / bands
    static = mel @ np.cos(turns).T.astype(np.float32)
    slope = np.gradient(static, axis=0) if len(static) > 1 else np.zeros_like(static)
    curve = np.gradient(slope, axis=0) if len(static) > 1 else np.zeros_like(static)
    return np.concatenate([static, slope, curve], axis=1).astype(np.float32)


def chain(letters: str, classes: dict[str, int]) -> Chain:
    """The states of a spelling: pauses at both ends and, optional, between words."""
    states, skip, places = [SILENCE], [False], [-1]
    after_pause = False
    for place, letter in enumerate(letters):
        if letter == " ":
            states.append(SILENCE)
            skip.append(False)
            places.append(-1)
            after_pause = True
            continue
        first = 1 + classes[letter] * STATES
        for state in range(STATES):
            states.append(first + state)
            skip.append(state == 0 and after_pause)
            places.append(place)
        after_pause = False
    states.append(SILENCE)
    skip.append(False)
    places.append(-1)
    return Chain(np.array(states), np.array(skip), np.array(places))


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _viterbi(scores: Floats, states: Ints, skip: npt.NDArray[np.bool_]) -> Ints:
    """Best place in the chain for each frame; ``scores`` is (frames, states of the voice)."""
    frames, places = scores.shape[0], states.shape[0]
    best = np.full(places, -1e30)
    back = np.zeros((frames, places), np.int8)
    best[0] = scores[0, states[0]]
    if places > 1:
        best[1] = scores[0, states[1]]
    for frame in range(1, frames):
        for place in range(places - 1, -1, -1):
            top, step = best[place], 0
            if place >= 1 and best[place - 1] > top:
                top, step = best[place - 1], 1
            if place >= 2 and skip[place] and best[place - 2] > top:
                top, step = best[place - 2], 2
            best[place] = top + scores[frame, states[place]]
            back[frame, place] = step
    path = np.zeros(frames, np.int64)
    place = places - 1
    if places > 1 and best[places - 2] > best[places - 1]:
        place = places - 2
    for frame in range(frames - 1, -1, -1):
        path[frame] = place
        place -= back[frame, place]
    return path


class VoiceModel:
    """Diagonal Gaussian mixtures of one voice's letter states, trained on its own clips."""

    def __init__(self, clips: list[Floats], spellings: list[str]) -> None:
        letters = sorted({c for s in spellings for c in s if c != " "})
        self.classes = {letter: i for i, letter in enumerate(letters)}
        self.states = 1 + STATES * len(letters)
        self.chains = [chain(s, self.classes) for s in spellings]
        feats = [cepstra(clip) for clip in clips]
        everything = np.concatenate(feats)
        mean, std = everything.mean(0), everything.std(0) + 1e-6
        self.feats = [(f - mean) / std for f in feats]
        quiet = np.quantile(everything[:, 0], 0.1)
        self.paths = [_even(c, f[:, 0] > quiet) for c, f in zip(self.chains, feats, strict=True)]

    def train(self, rng: np.random.Generator) -> None:
        frames = np.concatenate(self.feats)
        size = 1
        for number in range(PASSES):
            size = GROW_AT.get(number, size)
            state_of = np.concatenate([c.states[p] for c, p in zip(self.chains, self.paths, strict=True)])
            self._fit(frames, state_of, size, rng)
            self.paths = [
                _viterbi(self._scores(f), c.states, c.skip)
                for f, c in zip(self.feats, self.chains, strict=True)
            ]

    def _fit(self, frames: Floats, state_of: Ints, size: int, rng: np.random.Generator) -> None:
        """Means, variances and weights of every state: ``size`` Gaussians by a few rounds of k-means."""
        means = np.zeros((self.states, size, frames.shape[1]), np.float32)
        variances = np.ones_like(means)
        weights = np.full((self.states, size), 1e-10, np.float32)
        for state in range(self.states):
            own = frames[state_of == state]
            if len(own) < 2:
                weights[state, 0] = 1.0
                continue
            k = min(size, max(1, len(own) // FRAMES_PER_GAUSSIAN))
            centers = own[rng.choice(len(own), k, replace=False)] if k > 1 else own.mean(0, keepdims=True)
            nearest = np.zeros(len(own), np.int64)
            for _ in range(5 if k > 1 else 0):
                nearest = ((own[:, None] - centers[None]) ** 2).sum(-1).argmin(1)
                centers = np.stack(
                    [own[nearest == i].mean(0) if (nearest == i).any() else centers[i] for i in range(k)]
                )
            for i in range(k):
                held = own[nearest == i]
                means[state, i] = centers[i]
                weights[state, i] = max(1e-3, len(held) / len(own))
                if len(held) > 1:
                    variances[state, i] = np.maximum(held.var(0), FLOOR)
        self.inverse = 1.0 / variances
        self.means = means
        self.constant = np.log(weights) - 0.5 * (np.log(2 * np.pi * variances) + means**2 * self.inverse).sum(
            -1
        )

    def _scores(self, frames: Floats) -> Floats:
        """Log-likelihood (frames, states)."""
        shape = self.constant.shape
        flat = (-1, frames.shape[1])
        quadratic = (frames**2) @ self.inverse.reshape(flat).T
        linear = frames @ (self.means * self.inverse).reshape(flat).T
        scores = (linear - 0.5 * quadratic).reshape(len(frames), *shape) + self.constant
        top = scores.max(-1, keepdims=True)
        total: Floats = (top[..., 0] + np.log(np.exp(scores - top).sum(-1))).astype(np.float32)
        return total

    def spoken(self, number: int) -> Ints:
        """Place in the spelling of the letter spoken in each 10 ms of clip ``number``; -1 in a pause."""
        return self.chains[number].letter[self.paths[number]]


def _even(chain_: Chain, loud: npt.NDArray[np.bool_]) -> Ints:
    """The flat start: the chain's letters spread evenly over the loud frames, pauses elsewhere."""
    places = np.flatnonzero(chain_.letter >= 0)
    at = np.flatnonzero(loud)
    path = np.zeros(len(loud), np.int64)
    if not len(at) or not len(places):
        return path
    first, last = at[0], at[-1] + 1
    path[first:last] = places[(np.arange(last - first) * len(places)) // (last - first)]
    path[last:] = len(chain_.states) - 1
    return path


def align(clips: Sequence[Floats], spellings: Sequence[str], seed: int) -> list[Ints]:
    """Place in the spelling of the letter spoken in each log-mel frame of every clip of one voice, or -1.

    Args:
        clips: log-mel features, (frames, bands) each, 10 ms a frame.
        spellings: what is said, as ``emissions.spelling`` gives it.
    """
    from threadpoolctl import threadpool_limits

    model = VoiceModel(list(clips), list(spellings))
    with threadpool_limits(1):  # products too small to share; on busy cores the threads wait for each other
        model.train(np.random.default_rng(seed))
    return [model.spoken(number) for number in range(len(clips))]
