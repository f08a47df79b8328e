"""Compiled loops of the measures of sound: each sample is looked at once, while the cache still holds it.

Plain numpy passes over a clip a dozen times, which costs more than the transform. The loops run without the
interpreter's lock, so that threads measure side by side; numba keeps the compiled code beside this file, so
only the very first call on a machine compiles.

Samples are int16, or float32 where a decoder gives those. Magnitudes are compared as whole numbers: a
float32 without its sign is ordered as its bits are. Inner loops count from 0 over a slice: only then does the
compiler take sixteen samples at a time.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

_WITHOUT_SIGN = np.int32(0x7FFFFFFF)
_LANES = 32


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _magnitude(bits: Any, floats: bool) -> np.int32:
    return np.int32(bits) & _WITHOUT_SIGN if floats else abs(np.int32(bits))


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _reaching(value: float, floats: bool) -> int:
    """The least magnitude that is at least ``value``, of full scale and rounded as a float32 is."""
    single = np.float32(value)
    return int(single.view(np.int32)) if floats else int(np.ceil(single * np.float32(32768)))


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})  # type: ignore[untyped-decorator]
def _sums(mono: Array, size: int, squares: Array) -> float:
    """Fill ``squares`` with the sum of squares of each frame of ``size`` samples; returns the sum of all."""
    total = 0.0
    for frame in range(len(squares)):
        square, plain = np.float32(0), np.float32(0)
        block = mono[frame * size : min(len(mono), (frame + 1) * size)]
        for i in range(len(block)):
            value = np.float32(block[i])
            square += value * value
            plain += value
        squares[frame] = square
        total += float(plain)
    return total


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _peaks(bits: Array, floats: bool, size: int, peaks: Array) -> None:
    """Fill ``peaks`` with the largest magnitude of each frame."""
    for frame in range(len(peaks)):
        peak = np.int32(0)
        block = bits[frame * size : min(len(bits), (frame + 1) * size)]
        if floats:
            for i in range(len(block)):
                peak = max(peak, np.int32(block[i]) & _WITHOUT_SIGN)
        else:
            for i in range(len(block)):
                peak = max(peak, abs(np.int32(block[i])))
        peaks[frame] = peak


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def course(
    mono: Array, bits: Array, size: int, floor_db: float, levels: Array, peaks: Array
) -> tuple[float, float, float]:
    """Levels and peaks of a channel in frames.

    Args:
        mono: int16 or float32 (frames,).
        bits: the same memory as int16 or int32.
        size: of a frame, in samples; the last may be shorter.
        floor_db: least level given.
        levels: filled with each frame's level in dB of full scale, float64; peaks: with its largest
            magnitude, int32.

    Returns:
        Mean sample, mean square and peak, of full scale.
    """
    floats = mono.itemsize == 4
    scale = 1.0 if floats else 1 / 32768
    total = _sums(mono, size, levels)
    _peaks(bits, floats, size, peaks)
    power, floor = 0.0, 10 ** (floor_db / 10)
    for frame in range(len(levels)):
        square = levels[frame] * scale * scale
        power += square
        count = min(size, len(mono) - frame * size)
        levels[frame] = 10 * np.log10(max(square / count, floor))
    top = peaks.max()
    peak = float(np.int32(top).view(np.float32)) if floats else top * scale
    return total * scale / len(mono), power / len(mono), peak


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def flat_runs(bits: Array, size: int, peaks: Array, least: float, below: float) -> tuple[int, int, int]:
    """Runs of three or more samples of magnitude ``least`` and above: samples in them, and runs; and samples
    from ``below`` to there, of which a rounded top has as many and a cut one hardly any.

    Only frames whose peak reaches ``least`` are looked into.
    """
    floats = bits.itemsize == 4
    limit, lower = _reaching(least, floats), _reaching(below, floats)
    inside, runs, near, run = 0, 0, 0, 0
    for frame in range(len(peaks)):
        if peaks[frame] < limit:
            run = 0
            continue
        for i in range(frame * size, min(len(bits), (frame + 1) * size)):
            magnitude = _magnitude(bits[i], floats)
            if magnitude >= limit:
                run += 1
                if run == 3:
                    inside += 3
                    runs += 1
                elif run > 3:
                    inside += 1
            else:
                run = 0
                near += magnitude >= lower
    return inside, runs, near


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def flat_runs_on(bits: Array, least: float, below: float, found: Array) -> None:
    """The same over one block after the other; ``found``, int64: samples in runs, runs, samples near, and the
    run that the next block goes on with."""
    floats = bits.itemsize == 4
    limit, lower = _reaching(least, floats), _reaching(below, floats)
    for i in range(len(bits)):
        magnitude = _magnitude(bits[i], floats)
        if magnitude >= limit:
            found[3] += 1
            if found[3] == 3:
                found[0] += 3
                found[1] += 1
            elif found[3] > 3:
                found[0] += 1
        else:
            found[3] = 0
            found[2] += magnitude >= lower


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _heard(bits: Array, size: int, peaks: Array, least: float) -> tuple[int, int]:
    """From the first to behind the last sample of magnitude ``least`` and above; all where none is."""
    floats = bits.itemsize == 4
    limit = max(1, _reaching(least, floats))
    first, last = 0, len(peaks) - 1
    while first <= last and peaks[first] < limit:
        first += 1
    if first > last:
        return 0, len(bits)
    while peaks[last] < limit:
        last -= 1
    start, stop = first * size, min(len(bits), (last + 1) * size)
    while _magnitude(bits[start], floats) < limit:
        start += 1
    while _magnitude(bits[stop - 1], floats) < limit:
        stop -= 1
    return start, stop


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def windowed(
    mono: Array, bits: Array, size: int, peaks: Array, least: float, window: Array, frames: Array
) -> None:
    """Fill ``frames`` (n, len(window)) with windowed stretches that lie evenly over what is heard.

    Args:
        mono, bits, size, peaks: as in :func:`course`.
        least: magnitude of full scale that is heard; all counts where nothing is. Where that is less than
            one window, what lacks is silence.
        window: float32; brings integers to full scale 1 as well.
        frames: float32.
    """
    start, stop = _heard(bits, size, peaks, least)
    count, width = frames.shape
    room = max(0, stop - start - width)
    for frame in range(count):
        begin = start + int(room * frame / (count - 1))
        block, row = mono[begin : min(stop, begin + width)], frames[frame]
        for i in range(len(block)):
            row[i] = np.float32(block[i]) * window[i]
        row[len(block) :] = 0


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})  # type: ignore[untyped-decorator]
def powers(spectra: Array, edges: Array, mean: Array, bands: Array) -> None:
    """Power of spectra, averaged two ways in one pass.

    Args:
        spectra: float32 (frames, 2 x bins), real and imaginary parts in turn.
        edges: of bands, in bins, (bands + 1,), none beyond the last bin.
        mean: (bins,), filled with the mean over frames.
        bands: (stretches, bands), filled with the sum of each band, averaged over a stretch of the frames.
    """
    count, bins = len(spectra), len(mean)
    stretches, width = bands.shape
    each = count // stretches
    power = np.empty(bins, np.float32)
    mean[:] = 0
    bands[:] = 0
    for frame in range(count):
        row = spectra[frame]
        for i in range(bins):
            power[i] = row[2 * i] * row[2 * i] + row[2 * i + 1] * row[2 * i + 1]
            mean[i] += power[i]
        for band in range(width):
            total, part = np.float32(0), power[edges[band] : edges[band + 1]]
            for i in range(len(part)):
                total += part[i]
            bands[frame // each, band] += total / each
    for i in range(bins):
        mean[i] /= count


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def fingerprint(bands: Array, scaled: Array) -> bool:
    """Log energies centered by column, as int8 in ``scaled``; False where all are alike."""
    stretches, width = bands.shape
    floor = np.float32(1e-9 * bands.max() + 1e-12)
    logs = np.empty((stretches, width), np.float32)
    largest = np.float32(0)
    for band in range(width):
        total = np.float32(0)
        for i in range(stretches):
            logs[i, band] = np.log10(bands[i, band] + floor)
            total += logs[i, band]
        for i in range(stretches):
            logs[i, band] -= total / np.float32(stretches)
            largest = max(largest, abs(logs[i, band]))
    if not largest:
        return False
    for i in range(stretches):
        for band in range(width):
            scaled[i, band] = np.int8(np.rint(logs[i, band] / largest * np.float32(127)))
    return True


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"}, inline="always")  # type: ignore[untyped-decorator]
def _weighted_step(held: Array, k: Any) -> None:
    """One sample of each lane through two filters of second order; rows of ``held``: sample, four states of
    the filters, sum of squares. One array, so that the compiler sees that the rows do not overlap."""
    for lane in range(_LANES):
        value = held[0, lane]
        shelf = k[0] * value + held[1, lane]
        held[1, lane] = k[1] * value - k[3] * shelf + held[2, lane]
        held[2, lane] = k[2] * value - k[4] * shelf
        passed = shelf + held[3, lane]
        held[3, lane] = held[4, lane] - np.float32(2) * shelf - k[5] * passed
        held[4, lane] = shelf - k[6] * passed
        held[5, lane] += passed * passed


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})  # type: ignore[untyped-decorator]
def weighted_energies(mono: Array, lead: int, size: int, k: Any, energies: Array) -> None:
    """Sum of squares of each step of a channel behind the K-weighting of ITU-R BS.1770.

    A recursive filter waits for each sample's result; so 32 parts of the recording go through it side by
    side, each a little early: after half a step, 50 ms, no trace of where it began is left (poles of 38 Hz).

    Args:
        mono: int16 or float32 (frames,).
        lead: frames before the first step that belong to what was weighed before.
        size: of a step, in samples.
        k: see :func:`workbench.corpus.quality.loudness.weighting`.
        energies: filled, float64 (steps,); at least one.
    """
    steps, early = len(energies), size // 2
    each = -(-steps // _LANES)
    held = np.zeros((6, _LANES), np.float32)
    starts, begins = np.empty(_LANES, np.int64), np.empty(_LANES, np.int64)
    for lane in range(_LANES):
        starts[lane] = min(lane * each, steps - each)
        begins[lane] = lead + starts[lane] * size
    for i in range(early):
        for lane in range(_LANES):
            held[0, lane] = np.float32(mono[max(0, begins[lane] - early) + i])
        _weighted_step(held, k)
    for lane in range(_LANES):
        if begins[lane] < early:  # the very beginning: nothing was before
            held[:, lane] = 0
    for step in range(each):
        held[5] = 0
        for i in range(step * size, (step + 1) * size):
            for lane in range(_LANES):
                held[0, lane] = np.float32(mono[begins[lane] + i])
            _weighted_step(held, k)
        for lane in range(_LANES):
            energies[starts[lane] + step] = held[5, lane]
