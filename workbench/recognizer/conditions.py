"""Acoustic conditions of a call over a clean recording: noise at a chosen SNR, telephone band, room, gain.

A ``Condition`` is a frozen value with its seed, so the same clip under the same condition is the same samples
on every machine. Order of the path, as in a real call: room, noise (in the room), gain, then the line.

Reverberation is Polack's model (a decaying burst of Gaussian noise), or an impulse response of the user's
own: lhotse's generator needs torchaudio, which is not among the dependencies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from scipy.signal import butter, fftconvolve, resample_poly, sosfiltfilt

from workbench.errors import WorkbenchError
from workbench.signatures import public, takes_fields

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pcm = NDArray[np.float32]

Noise = Literal["white", "pink", "street", "babble"]
TELEPHONE_BAND_HZ = (300.0, 3400.0)
TELEPHONE_RATE = 8000


@public
@dataclass(frozen=True, slots=True)
class Condition:
    """One set of conditions. ``None`` or 0 means: leave as it is.

    Attributes:
        snr_db: speech to noise, measured over the samples that carry speech; None adds no noise.
        noise: 'white', 'pink' (1/f), 'street' (rumble with passing swells), 'babble' (needs ``voices``).
        telephone: 300–3400 Hz, 8 kHz and G.711 µ-law, then back to the rate it came at.
        gain_db: applied before the line; what exceeds full scale is clipped, as a converter does.
        rt60_s: time in which the room's echo falls by 60 dB.
        seed: of noise and room.
    """

    snr_db: float | None = None
    noise: Noise = "street"
    telephone: bool = False
    gain_db: float = 0.0
    rt60_s: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.noise not in get_args(Noise):
            raise WorkbenchError(
                f"unknown noise '{self.noise}'", hint=f"Choose from {', '.join(get_args(Noise))}."
            )
        if not 0 <= self.rt60_s <= 5:
            raise WorkbenchError(f"rt60_s is {self.rt60_s}", hint="Give the room 0 to 5 seconds.")

    @property
    def label(self) -> str:
        """A short name for axes and headings: ``street 10 dB · telephone``."""
        parts = [f"room {self.rt60_s:g} s"] if self.rt60_s else []
        parts += [f"{self.noise} {self.snr_db:g} dB"] if self.snr_db is not None else []
        parts += [f"gain {self.gain_db:+g} dB"] if self.gain_db else []
        parts += ["telephone"] if self.telephone else []
        return " · ".join(parts) or "as recorded"

    def apply(self, pcm: Pcm, sample_rate: int, voices: Sequence[Pcm] = ()) -> Pcm:
        """The recording under these conditions.

        Args:
            pcm: float samples, shape (samples,), full scale ±1.
            sample_rate: in Hz; unchanged on return, as is the length.
            voices: other speakers' recordings at the same rate, for ``babble``.

        Raises:
            WorkbenchError: babble without voices.
        """
        out = np.asarray(pcm, dtype=np.float32)
        if not out.size:
            return out
        if self.rt60_s:
            out = reverberate(out, room_response(self.rt60_s, sample_rate, self.seed))
        if self.snr_db is not None:
            out = add_noise(
                out,
                make_noise(self.noise, len(out), sample_rate, self.seed, voices),
                self.snr_db,
                sample_rate,
            )
        if self.gain_db:
            out = gain(out, self.gain_db)
        return telephone_line(out, sample_rate) if self.telephone else out


def gain(pcm: Pcm, gain_db: float) -> Pcm:
    """Louder or quieter by ``gain_db``, clipped at full scale."""
    return np.asarray(np.clip(pcm * 10 ** (gain_db / 20), -1.0, 1.0), dtype=np.float32)


def add_noise(pcm: Pcm, noise: Pcm, snr_db: float, sample_rate: int) -> Pcm:
    """Mix at a signal-to-noise ratio; a sum that would clip is scaled down whole, which keeps the ratio."""
    noise_level = float(np.sqrt(np.mean(np.square(noise, dtype=np.float64))))
    if noise_level == 0:
        return pcm
    mixed = pcm + noise * (speech_level(pcm, sample_rate) / noise_level * 10 ** (-snr_db / 20))
    peak = float(np.max(np.abs(mixed)))
    return np.asarray(mixed / max(peak, 1.0), dtype=np.float32)


def speech_level(pcm: Pcm, sample_rate: int, frame_s: float = 0.02, floor_db: float = 30.0) -> float:
    """RMS over the frames within ``floor_db`` of the loudest: pauses would otherwise raise every SNR."""
    frame = max(1, int(frame_s * sample_rate))
    whole = len(pcm) // frame * frame
    if not whole:
        return float(np.sqrt(np.mean(np.square(pcm, dtype=np.float64)))) if len(pcm) else 0.0
    power = np.mean(np.square(pcm[:whole].reshape(-1, frame), dtype=np.float64), axis=1)
    return float(np.sqrt(np.mean(power[power >= power.max() * 10 ** (-floor_db / 10)])))


def make_noise(kind: Noise, samples: int, sample_rate: int, seed: int = 0, voices: Sequence[Pcm] = ()) -> Pcm:
    """Seeded noise of a named color, shape (samples,); the level is arbitrary."""
    rng = np.random.default_rng(seed)
    if kind == "babble":
        return _babble(samples, rng, voices)
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    hz = np.fft.rfftfreq(samples, 1 / sample_rate)
    if kind == "pink":
        spectrum /= np.sqrt(np.maximum(hz, 20.0))
    elif kind == "street":
        # Tyre and engine noise: flat to about 400 Hz, then falling 9 dB an octave.
        spectrum *= (hz > 30) / (1 + (hz / 400.0) ** 1.5)
    out = np.fft.irfft(spectrum, samples)
    if kind == "street":
        t = np.arange(samples) / sample_rate
        swell_hz, phase = rng.uniform(0.05, 0.25, 3), rng.uniform(0, 2 * np.pi, 3)
        passing = sum(np.sin(2 * np.pi * f * t + p) for f, p in zip(swell_hz, phase, strict=True))
        out *= 10 ** (passing * 2 / 20)
    return np.asarray(out, dtype=np.float32)


def _babble(samples: int, rng: np.random.Generator, voices: Sequence[Pcm]) -> Pcm:
    usable = [np.asarray(voice, dtype=np.float32) for voice in voices if len(voice)]
    if not usable:
        raise WorkbenchError(
            "babble needs other speakers' recordings", hint="Pass voices=[pcm, …], or choose 'street'."
        )
    out = np.zeros(samples, dtype=np.float32)
    for voice in usable:
        start = int(rng.integers(len(voice)))
        level = float(np.sqrt(np.mean(np.square(voice)))) or 1.0
        out += np.resize(np.roll(voice, -start), samples) / level
    return out


def room_response(rt60_s: float, sample_rate: int, seed: int = 0, direct_to_late_db: float = 3.0) -> Pcm:
    """Impulse response of a room by Polack's model: direct sound, then noise falling 60 dB in ``rt60_s``."""
    length = max(2, int(rt60_s * sample_rate))
    t = np.arange(length) / sample_rate
    tail = np.random.default_rng(seed).standard_normal(length) * 10 ** (-3 * t / rt60_s)
    tail[: int(0.002 * sample_rate) + 1] = 0
    energy = float(np.sum(tail**2)) or 1.0
    response = tail * np.sqrt(10 ** (-direct_to_late_db / 10) / energy)
    response[0] = 1.0
    return np.asarray(response, dtype=np.float32)


def reverberate(pcm: Pcm, response: Pcm) -> Pcm:
    """The recording in the room of ``response``; same length and RMS, so loudness is not what changes."""
    wet = fftconvolve(pcm, response)[: len(pcm)]
    before, after = (float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) for x in (pcm, wet))
    return np.asarray(np.clip(wet * (before / after if after else 1.0), -1.0, 1.0), dtype=np.float32)


def telephone_line(pcm: Pcm, sample_rate: int) -> Pcm:
    """Band-limited, at 8 kHz, through G.711 µ-law, and back to ``sample_rate``; same length."""
    narrow = resample_poly(pcm, TELEPHONE_RATE, sample_rate) if sample_rate != TELEPHONE_RATE else pcm
    sos = butter(4, TELEPHONE_BAND_HZ, btype="bandpass", fs=TELEPHONE_RATE, output="sos")
    narrow = sosfiltfilt(sos, narrow) if len(narrow) > 30 else narrow
    coded = mu_law(np.asarray(narrow, dtype=np.float32))
    wide = resample_poly(coded, sample_rate, TELEPHONE_RATE) if sample_rate != TELEPHONE_RATE else coded
    out = np.zeros(len(pcm), dtype=np.float32)
    out[: min(len(wide), len(out))] = wide[: len(out)]
    return np.clip(out, -1.0, 1.0)


def mu_law(pcm: Pcm, mu: float = 255.0) -> Pcm:
    """Through an 8-bit µ-law coder and back (the continuous curve of G.711, rounded to 8 bits)."""
    x = np.clip(pcm, -1.0, 1.0)
    code = np.round(np.sign(x) * np.log1p(mu * np.abs(x)) / np.log1p(mu) * 127) / 127
    return np.asarray(np.sign(code) * np.expm1(np.abs(code) * np.log1p(mu)) / mu, dtype=np.float32)


@public
@takes_fields(Condition)
def ladder(base: Condition, **steps: Iterable[Any]) -> list[Condition]:
    """Conditions that differ in one field: ``ladder(Condition(), snr_db=[None, 20, 10, 5, 0])``.

    Raises:
        WorkbenchError: not exactly one field.
    """
    if len(steps) != 1:
        raise WorkbenchError(
            "a ladder varies one field", hint="Call it once per field, such as snr_db=[20, 10, 0]."
        )
    ((field, values),) = steps.items()
    return [replace(base, **{field: value}) for value in values]
