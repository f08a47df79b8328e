"""Which clips stand in which batch: drawn from the seed, so that a resumed stage goes on bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.starter.features import FeatureCache

FRAMES_PER_S = 100


def encoder_frames(frames: int) -> int:
    """Frames of the encoder for a clip of log-mel ``frames``: three causal convolutions that halve each."""
    for _ in range(3):
        frames = frames // 2 + 1
    return frames


@dataclass(frozen=True, slots=True)
class Span:
    """Part of a clip: log-mel frames ``first`` to ``last`` at the sample's speed (None: its end) and the
    words spoken there (None: the whole transcript)."""

    clip: int
    first: int = 0
    last: int | None = None
    words: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One training utterance: spans of one voice spoken one after the other, at one speed."""

    spans: tuple[Span, ...]
    speed: int
    frames: int


def epoch(
    voices: list[str],
    caches: list[FeatureCache],
    stage: dict[str, Any],
    words: list[list[Span]],
    rng: np.random.Generator,
) -> list[list[Sample]]:
    """One pass over all clips, each at a drawn speed, some joined to the next of the same voice, and a share
    (``stage["splices"]``) of made-up sentences: ``words`` of each clip, at the plain speed, in a new order,
    so that no sentence can be learnt by heart.

    Batches hold samples of similar length and at most ``stage["batch_s"]`` seconds, padding included.
    """
    lengths = [cache.lengths() for cache in caches]
    samples = []
    for voice in sorted(set(voices)):
        own = [i for i, v in enumerate(voices) if v == voice]
        pool = [span for i in own for span in words[i]]
        made = round(stage.get("splices", 0.0) * len(own))
        samples += [_splice(pool, lengths, stage, rng) for _ in range(made) if pool]
        rng.shuffle(own)
        samples += _join(own, lengths, stage, rng)
    samples.sort(key=lambda s: s.frames * rng.uniform(0.85, 1.15))
    batches = _fill(samples, int(stage["batch_s"] * FRAMES_PER_S))
    return [batches[i] for i in rng.permutation(len(batches))]


def _speed(lengths: list[npt.NDArray[np.int64]], stage: dict[str, Any], rng: np.random.Generator) -> int:
    """Which speed; the plain one stands in the middle. ``stage["speeds"]``: the share of changed ones, which
    are other voices to the network (pitch moves with speed) and cost it room for those it is tested on."""
    plain = len(lengths) // 2
    if not stage["augment"] or ("speeds" in stage and rng.random() >= stage["speeds"]):
        return plain
    return int(rng.integers(len(lengths)))


def _splice(
    pool: list[Span], lengths: list[npt.NDArray[np.int64]], stage: dict[str, Any], rng: np.random.Generator
) -> Sample:
    """Two to six words of a voice, stretched to one drawn speed."""
    speed, plain = _speed(lengths, stage, rng), len(lengths) // 2
    spans = []
    for index in rng.integers(len(pool), size=int(rng.integers(2, 7))):
        span = pool[index]
        stretch = lengths[speed][span.clip] / lengths[plain][span.clip]
        first, last = int(span.first * stretch), int((span.last or 0) * stretch)
        spans.append(Span(span.clip, first, max(first + 1, last), span.words))
    return Sample(tuple(spans), speed, sum((s.last or 0) - s.first for s in spans))


def _join(
    clips: list[int], lengths: list[npt.NDArray[np.int64]], stage: dict[str, Any], rng: np.random.Generator
) -> list[Sample]:
    limit, share = int(stage["max_clip_s"] * FRAMES_PER_S), stage["joins"]
    samples = []
    while clips:
        speed = _speed(lengths, stage, rng)
        taken = [clips.pop()]
        frames = int(lengths[speed][taken[0]])
        while clips and rng.random() < share and frames + lengths[speed][clips[-1]] <= limit:
            taken.append(clips.pop())
            frames += int(lengths[speed][taken[-1]])
        if frames <= limit:
            samples.append(Sample(tuple(Span(clip) for clip in taken), speed, frames))
    return samples


def _fill(samples: list[Sample], limit: int) -> list[list[Sample]]:
    batches: list[list[Sample]] = []
    longest = 0
    for sample in samples:
        longest = max(longest, sample.frames)
        if not batches or longest * (len(batches[-1]) + 1) > limit:
            batches.append([])
            longest = sample.frames
        batches[-1].append(sample)
    return batches


def features(sample: Sample, caches: list[FeatureCache]) -> npt.NDArray[np.float32]:
    """The sample's log-mel features, (frames, mels)."""
    cache = caches[sample.speed]
    return np.concatenate([cache.clip(s.clip)[s.first : s.last] for s in sample.spans]).astype(np.float32)


def augment(mel: npt.NDArray[np.float32], masks: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Random gain and ``2 · masks`` masks over time and frequency, filled with the mean (SpecAugment)."""
    if not masks:
        return mel
    mel = mel + np.float32(rng.uniform(-1.0, 0.5))
    fill = mel.mean()
    frames, bands = mel.shape
    for _ in range(2 * masks):
        width = int(rng.integers(0, max(2, min(25, frames // 8))))
        at = int(rng.integers(0, max(1, frames - width)))
        mel[at : at + width] = fill
        width = int(rng.integers(0, 12))
        at = int(rng.integers(0, bands - width))
        mel[:, at : at + width] = fill
    return mel
