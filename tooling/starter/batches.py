"""Which clips stand in which batch: drawn from the seed, so that a resumed stage goes on bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tooling.starter.features import FeatureCache

FRAMES_PER_S = 100
MADE = "made-"  # how the sources of made voices begin
LONGEST_LEAD, LONGEST_GAP, LONGEST_TAIL = 120, 40, 80  # log-mel frames of silence
TEMPO = (0.87, 1.15)
DIGITAL_SILENCE = np.float32(-16.6355)  # log of 2 ** -24, which NeMo's preprocessor adds


def encoder_frames(frames: int) -> int:
    """Frames of the encoder for a clip of log-mel ``frames``: three causal convolutions that halve each."""
    for _ in range(3):
        frames = frames // 2 + 1
    return frames


@dataclass(frozen=True, slots=True)
class Span:
    """Part of a clip: log-mel frames ``first`` to ``last`` (None: its end) at its own tempo, and the words
    spoken there (None: the whole transcript); ``glued``: no space before them."""

    clip: int
    first: int = 0
    last: int | None = None
    words: str | None = None
    glued: bool = False

    def frames(self, lengths: npt.NDArray[np.int64], tempo: float) -> int:
        """Log-mel frames of the span when spoken ``tempo`` times as fast."""
        last = int(lengths[self.clip]) if self.last is None else self.last
        return max(1, round((last - self.first) / tempo))


@dataclass(frozen=True, slots=True)
class Sample:
    """One training utterance: spans of one voice one after the other at one tempo, ``pauses[i]`` log-mel
    frames of silence before span i and ``pauses[-1]`` after the last."""

    spans: tuple[Span, ...]
    pauses: tuple[int, ...]
    tempo: float
    frames: int


def epoch(
    voices: list[str],
    lengths: npt.NDArray[np.int64],
    stage: dict[str, Any],
    words: list[list[Span]],
    rng: np.random.Generator,
    compose: Callable[[str, np.random.Generator], list[Span]] | None = None,
) -> list[list[Sample]]:
    """One pass over all clips, some joined to the next of the same voice, a share (``stage["splices"]``) of
    made-up sentences: ``words`` of each clip in a new order, so that no sentence can be learned by heart.

    ``stage["made"]`` is the share of clips of made voices in a pass, drawn anew each time;
    ``stage["composed"]`` the share of phrases that ``compose`` makes, by clips of the voice.

    Batches hold samples of similar length and at most ``stage["batch_s"]`` seconds, padding included.
    """
    samples = []
    for voice in sorted(set(voices)):
        own = [i for i, v in enumerate(voices) if v == voice]
        if voice.startswith(MADE):
            own = [i for i in own if rng.random() < stage.get("made", 1.0)]
        elif compose:
            phrases = (compose(voice, rng) for _ in range(round(stage.get("composed", 0.0) * len(own))))
            samples += [_sample(p, _tempo(stage, rng), lengths, stage, rng) for p in phrases if p]
        pool = [span for i in own for span in words[i]]
        made = round(stage.get("splices", 0.0) * len(own))
        samples += [_splice(pool, lengths, stage, rng) for _ in range(made) if pool]
        rng.shuffle(own)
        samples += _join(own, lengths, stage, rng)
    samples.sort(key=lambda s: s.frames * rng.uniform(0.85, 1.15))
    batches = _fill(samples, int(stage["batch_s"] * FRAMES_PER_S))
    return [batches[i] for i in rng.permutation(len(batches))]


def _sample(
    spans: list[Span],
    tempo: float,
    lengths: npt.NDArray[np.int64],
    stage: dict[str, Any],
    rng: np.random.Generator,
) -> Sample:
    """The spans with their pauses: before in a share ``stage["silence"]`` of the samples, after in a share
    ``stage["tail"]`` (a clip that ends at once must be closed too), between whole clips always, as a
    telephone system leaves them."""
    before, between = stage.get("silence", 0.0), float(spans[0].words is None)
    shares = [before, *[between] * (len(spans) - 1), stage.get("tail", before)]
    longest = [LONGEST_LEAD, *[LONGEST_GAP] * (len(spans) - 1), LONGEST_TAIL]
    draws = [rng.random() < share for share in shares]
    pauses = tuple(
        int(rng.integers(limit)) if drawn else 0 for limit, drawn in zip(longest, draws, strict=True)
    )
    frames = sum(span.frames(lengths, tempo) for span in spans) + sum(pauses)
    return Sample(tuple(spans), pauses, tempo, frames)


def _tempo(stage: dict[str, Any], rng: np.random.Generator) -> float:
    """How fast a sample is spoken; ``stage["tempo"]`` is the share of changed ones. The pitch stays: another
    pitch is another voice, and costs the network room for those it is tested on."""
    return float(rng.uniform(*TEMPO)) if rng.random() < stage.get("tempo", 0.0) else 1.0


def _splice(
    pool: list[Span], lengths: npt.NDArray[np.int64], stage: dict[str, Any], rng: np.random.Generator
) -> Sample:
    """Two to six words of a voice."""
    spans = [pool[index] for index in rng.integers(len(pool), size=int(rng.integers(2, 7)))]
    return _sample(spans, _tempo(stage, rng), lengths, stage, rng)


def _join(
    clips: list[int], lengths: npt.NDArray[np.int64], stage: dict[str, Any], rng: np.random.Generator
) -> list[Sample]:
    limit, share = int(stage["max_clip_s"] * FRAMES_PER_S), stage["joins"]
    samples = []
    while clips:
        tempo = _tempo(stage, rng)
        taken = [Span(clips.pop())]
        frames = taken[0].frames(lengths, tempo)
        while clips and rng.random() < share:
            following = Span(clips[-1])
            frames += following.frames(lengths, tempo) + LONGEST_GAP
            if frames > limit:
                break
            taken.append(following)
            clips.pop()
        sample = _sample(taken, tempo, lengths, stage, rng)
        if sample.frames <= limit + LONGEST_LEAD + LONGEST_TAIL:
            samples.append(sample)
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


def features(sample: Sample, cache: FeatureCache, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """The sample's log-mel features, (frames, mels)."""
    lengths = cache.lengths()
    spoken = [
        _stretched(cache.clip(s.clip)[s.first : s.last], s.frames(lengths, sample.tempo))
        for s in sample.spans
    ]
    if not any(sample.pauses):
        return np.concatenate(spoken)
    floor = np.percentile(np.concatenate(spoken), 5, axis=0)
    floor = floor + (DIGITAL_SILENCE - floor) * np.float32(rng.choice([0.0, 1.0, rng.random()]))
    pieces = [_silence(floor, sample.pauses[0], rng)]
    for piece, pause in zip(spoken, sample.pauses[1:], strict=True):
        pieces += [piece, _silence(floor, pause, rng)]
    return np.concatenate(pieces)


def _stretched(mel: npt.NDArray[np.float16], frames: int) -> npt.NDArray[np.float32]:
    """Log-mel frames drawn out or pressed together to ``frames``, linearly between neighbors."""
    if frames == len(mel):
        return mel.astype(np.float32)
    at = np.linspace(0, len(mel) - 1, frames)
    low = at.astype(np.int64)
    high, share = np.minimum(low + 1, len(mel) - 1), (at - low).astype(np.float32)[:, None]
    drawn: npt.NDArray[np.float32] = mel[low] * (1 - share) + mel[high] * share
    return drawn


def _silence(
    floor: npt.NDArray[np.float32], frames: int, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    flicker = rng.normal(0.0, rng.uniform(0.0, 0.8), (frames, len(floor)))
    quiet: npt.NDArray[np.float32] = np.maximum(floor + flicker, DIGITAL_SILENCE).astype(np.float32)
    return quiet


def augment(mel: npt.NDArray[np.float32], masks: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Random gain, noise under every fifth sample, and ``2 · masks`` masks over time and frequency, filled
    with the mean (SpecAugment)."""
    if not masks:
        return mel
    mel = mel + np.float32(rng.uniform(-1.5, 0.8))
    if rng.random() < 0.2:
        loudest = np.percentile(mel, 90)
        tilt = np.linspace(rng.uniform(-1, 1), rng.uniform(-1, 1), mel.shape[1])
        noise = loudest - rng.uniform(4.0, 9.0) + tilt + rng.normal(0.0, 0.6, mel.shape)
        mel = np.logaddexp(mel, noise.astype(np.float32))
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
