"""What lies between a made voice and the ear: another throat, a room, a telephone line, noise, level."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr
from scipy.signal import butter, fftconvolve, sosfilt

from tooling.starter.recordings import SAMPLE_RATE

Sound = npt.NDArray[np.float32]
FORMANTS = (0.86, 1.18)  # the spectrum is moved by this factor: length of the throat
EDGE_S = (0.02, 0.35)  # silence left before and after speech


def vary(pcm: Sound, rng: np.random.Generator) -> Sound:
    """The clip as another speaker, room and line would give it."""
    sound = trimmed(pcm, rng)
    if rng.random() < 0.7:
        sound = throat(sound, float(rng.uniform(*FORMANTS)))
    if rng.random() < 0.4:
        sound = room(sound, float(rng.uniform(0.08, 0.4)), rng)
    if rng.random() < 0.25:
        sound = telephone(sound)
    sound = sound * np.float32(10 ** (rng.uniform(-30, -14) / 20) / (np.sqrt(np.mean(sound**2)) + 1e-6))
    if rng.random() < 0.35:
        sound = noisy(sound, float(rng.uniform(10, 35)), rng)
    return np.clip(sound, -1, 1).astype(np.float32)


def trimmed(pcm: Sound, rng: np.random.Generator) -> Sound:
    """Speech with a short random silence at both ends, as recordings have it."""
    loud = np.flatnonzero(np.abs(pcm) > 0.02 * np.max(np.abs(pcm), initial=1e-6))
    if not len(loud):
        return pcm
    before, after = (np.zeros(int(rng.uniform(*EDGE_S) * SAMPLE_RATE), np.float32) for _ in range(2))
    return np.concatenate([before, pcm[loud[0] : loud[-1] + 1], after])


def throat(pcm: Sound, factor: float) -> Sound:
    """Pitch and formants moved by ``factor``; the tempo moves with them."""
    moved: Sound = soxr.resample(pcm, SAMPLE_RATE * factor, SAMPLE_RATE).astype(np.float32)
    return moved


def room(pcm: Sound, seconds: float, rng: np.random.Generator) -> Sound:
    """Reverberation that falls by 60 dB in ``seconds``."""
    size = int(seconds * SAMPLE_RATE)
    tail = rng.normal(0, 1, size) * 10 ** (-3 * np.arange(size) / size) * rng.uniform(0.01, 0.05)
    tail[0] = 1.0
    heard: Sound = fftconvolve(pcm, tail)[: len(pcm)].astype(np.float32)
    return heard


def telephone(pcm: Sound) -> Sound:
    """The band of a telephone line, 300 to 3,400 Hz."""
    band = butter(4, (300, 3400), "bandpass", fs=SAMPLE_RATE, output="sos")
    passed: Sound = sosfilt(band, pcm).astype(np.float32)
    return passed


def noisy(pcm: Sound, snr_db: float, rng: np.random.Generator) -> Sound:
    """Noise between white and brown at the signal-to-noise ratio."""
    spectrum = np.fft.rfft(rng.normal(0, 1, len(pcm)))
    noise = np.fft.irfft(spectrum * np.arange(1, len(spectrum) + 1) ** -rng.uniform(0, 1), len(pcm))
    level = np.sqrt(np.mean(pcm**2) / (np.mean(noise**2) + 1e-12)) * 10 ** (-snr_db / 20)
    heard: Sound = (pcm + noise * level).astype(np.float32)
    return heard
