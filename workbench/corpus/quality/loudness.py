"""Integrated loudness as ITU-R BS.1770-4 defines it, in LUFS: K-weighting, blocks of 0.4 s, two gates.

Speech at one RMS level sounds louder or quieter by its spectrum and its pauses; loudness weighs both as
listeners do. The filter is the standard's for any sample rate (B. De Man, "Evaluation of implementations of
the EBU R128 loudness measurement", AES 2018, which gives the standard's own figures at 48 kHz). All channels
count alike: recordings of speech have no surround channels.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

MEASURED = "measured"
TOO_SHORT = "shorter than 0.4 s: no loudness"
TOO_QUIET = "below -70 LUFS throughout: no loudness"
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = 10.0
_BLOCK = 4
"""Steps of 0.1 s in a gating block; blocks overlap by three of them."""


@functools.cache
def weighting(sample_rate: int) -> tuple[np.float32, ...]:
    """Coefficients of the K-weighting at a rate in Hz: of the shelf b0, b1, b2, a1, a2, and of the high pass
    a1, a2, whose numerator is 1, -2, 1."""
    k, q = math.tan(math.pi * 1681.974450955533 / sample_rate), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    middle = high**0.4996667741545416
    whole = 1 + k / q + k * k
    shelf = [(high + middle * k / q + k * k), 2 * (k * k - high), (high - middle * k / q + k * k)]
    shelf += [2 * (k * k - 1), 1 - k / q + k * k]
    low, q = math.tan(math.pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    rest = 1 + low / q + low * low
    pass_ = [2 * (low * low - 1) / rest, (1 - low / q + low * low) / rest]
    return tuple(np.float32(value) for value in [*(value / whole for value in shelf), *pass_])


class Weighed:
    """One channel's K-weighted energy in steps of 0.1 s, from blocks of samples in order.

    Args:
        sample_rate: Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._hop = max(2, round(sample_rate / 10))
        self._held: Array | None = None
        self._lead = 0
        self._energies: list[Array] = []

    def add(self, samples: Array) -> None:
        """samples: (frames,) float32 in [-1, 1] or int16, of one kind throughout."""
        from workbench.corpus.quality import sound_kernels

        held = samples if self._held is None else np.concatenate([self._held, samples])
        steps = (len(held) - self._lead) // self._hop
        if steps > 0:
            energies = np.empty(steps)
            sound_kernels.weighted_energies(held, self._lead, self._hop, weighting(self._rate), energies)
            scale = 1 / self._hop if held.itemsize == 4 else 1 / self._hop / 32768**2
            self._energies.append(energies * scale)
            stop = self._lead + steps * self._hop
            # What the filter still rings with is what lies just before the next step.
            before = min(stop, self._hop)
            held, self._lead = held[stop - before :], before
        self._held = held.copy()

    def energies(self) -> Array:
        """Mean square of each whole step, of full scale, (steps,)."""
        return np.concatenate(self._energies) if self._energies else np.empty(0)


def integrated(energies: Array) -> tuple[float | None, str]:
    """Loudness of a recording.

    Args:
        energies: K-weighted mean squares, summed over channels, of steps of 0.1 s, (steps,).

    Returns:
        LUFS, and :data:`MEASURED`; or None, and why there is none.
    """
    if len(energies) < _BLOCK:
        return None, TOO_SHORT
    blocks = np.convolve(energies, np.full(_BLOCK, 1 / _BLOCK), "valid")
    heard = blocks[blocks >= _power(ABSOLUTE_GATE_LUFS)]
    if not len(heard):
        return None, TOO_QUIET
    gate = float(heard.mean()) * 10 ** (-RELATIVE_GATE_LU / 10)
    return -0.691 + 10 * math.log10(float(heard[heard > gate].mean())), MEASURED


def of_channels(samples: Array, sample_rate: int) -> dict[str, Any]:
    """``loudness_lufs`` and ``loudness_note`` of (frames, channels), float32 or int16."""
    if sample_rate < 4_000:  # the shelf of the weighting lies beyond what such a recording holds
        return {"loudness_lufs": None, "loudness_note": "sample rate below 4 kHz: no loudness"}
    return found([of_samples(np.ascontiguousarray(one), sample_rate) for one in samples.T])


def of_samples(mono: Array, sample_rate: int) -> Weighed:
    """The whole of one channel, weighed."""
    made = Weighed(sample_rate)
    made.add(mono)
    return made


def found(channels: list[Weighed]) -> dict[str, Any]:
    """``loudness_lufs`` and ``loudness_note`` of channels that were weighed."""
    lufs, note = integrated(np.sum([one.energies() for one in channels], axis=0))
    return {"loudness_lufs": lufs, "loudness_note": note}


def _power(lufs: float) -> float:
    return float(10 ** ((lufs + 0.691) / 10))
