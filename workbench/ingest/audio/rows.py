"""What a row's locator means: its channel, mono samples, resampled once, and the checks on them."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr

from workbench.errors import WorkbenchError
from workbench.ingest.audio.locating import locate_text, regular
from workbench.ingest.audio.reading import read, stretch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

Channel = tuple[int, ...] | None
"""Channels that are averaged; None for all."""

CHANNEL_COLUMNS = ("channel", "channel_selector", "source_channel")
"""Where a row may name its channels: ours, NeMo's, and what a source wrote that is more than one number."""
LOUDEST = 16.0
"""Float samples beyond this are integers that nobody scaled; decoded speech may exceed 1 a little."""
SHORT_S, SHORT_SHARE = 0.05, 0.02
"""A recording may lack so much of what its row states, the greater of the two."""


def channel_of(row: Mapping[str, Any]) -> Channel:
    """The channels of a row, from ``channel`` or else NeMo's ``channel_selector``; all where neither says.

    A number from 0, a list of numbers, or ``"average"`` (all); lists may be JSON text. A source's own column
    ``channel`` may mean something else ("telephone"): what is no choice there says nothing.

    Raises:
        WorkbenchError: anything else.
    """
    for name in CHANNEL_COLUMNS:
        value = row.get(name)
        if value is None or (isinstance(value, str | float) and (value == "" or value != value)):
            continue
        found = _channels(value)
        if found == () and name == "source_channel":
            continue
        if found == ():
            raise WorkbenchError(
                f"a channel {str(value)[:40]!r}",
                where=name,
                hint='Write a number from 0, a list of numbers, or "average".',
            )
        return found
    return None


def _channels(value: Any) -> Channel:
    """As :func:`channel_of`; empty where it is no choice of channels."""
    if isinstance(value, str):
        text = value.strip().lower()
        if text in ("average", "mean"):
            return None
        try:
            value = json.loads(text)
        except ValueError:
            return ()
    if hasattr(value, "tolist"):  # numpy's
        value = value.tolist()
    numbers: list[int] = []
    for one in value if isinstance(value, list | tuple) else [value]:
        if isinstance(one, bool) or not isinstance(one, int | float) or one not in range(1_000):
            return ()
        numbers.append(int(one))
    return tuple(numbers)


def chosen(samples: Samples, channel: Channel, where: str = "") -> Samples:
    """The chosen of the channels (frames, channels); all of them where None.

    Raises:
        WorkbenchError: there is no such channel.
    """
    count = samples.shape[1]
    if channel is None:
        return samples
    beyond = [one for one in channel if one >= count]
    if beyond:
        counted = "1 channel" if count == 1 else f"{count} channels"
        raise WorkbenchError(
            f"no channel {beyond[0]}: the recording has {counted}", where=where, hint="Channels count from 0."
        )
    return samples[:, channel[0] : channel[0] + 1] if len(channel) == 1 else samples[:, list(channel)]


def mix(samples: Samples, channel: Channel, where: str = "") -> Samples:
    """Samples (frames, channels) as mono (frames,): the channels averaged, all of them where None.

    Raises:
        WorkbenchError: there is no such channel.
    """
    samples = chosen(samples, channel, where)
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)
    return np.ascontiguousarray(mono, np.float32)


def checked(samples: Samples, where: str = "audio", first: int = 0) -> Samples:
    """The samples (n,), if they are numbers and of scale 1.

    Args:
        first: number of the first of them, for the message.

    Raises:
        WorkbenchError: NaN or infinity, or integers that nobody scaled.
    """
    if not samples.size:
        return samples
    # One pass for both faults: NaN and infinity come through the extremes.
    peak = max(float(samples.max()), -float(samples.min()))
    if not np.isfinite(peak):
        bad = ~np.isfinite(samples)
        place = first + int(bad.argmax())
        raise WorkbenchError(
            f"{int(bad.sum())} of {samples.size} samples are not finite, the first at {place}",
            where=where,
            hint="Replace NaN and infinity, for example with numpy.nan_to_num.",
        )
    if peak > LOUDEST:
        raise WorkbenchError(
            f"float samples reach {peak:.0f}",
            where=where,
            hint="Scale to -1..1, or write 16-bit PCM.",
        )
    return samples


def read_mono(
    path: str | Path, offset_s: float = 0.0, duration_s: float | None = None, sample_rate: int | None = None,
    channel: int | Channel = None,
) -> Samples:  # fmt: skip
    """A stretch of a file as mono float32 (frames,), checked, and resampled by soxr (HQ) where asked for.

    Args:
        channel: number, several to be averaged, or None for the average of all.

    Raises:
        WorkbenchError: as :func:`workbench.ingest.audio.reading.read`; no such channel; samples that are no
            numbers or not scaled; no samples at all.
    """
    return _mono(
        path, offset_s, duration_s, sample_rate, (channel,) if isinstance(channel, int) else channel
    )[0]


def _mono(
    path: str | Path, offset_s: float, duration_s: float | None, sample_rate: int | None, channel: Channel
) -> tuple[Samples, int]:
    samples, rate = read(path, offset_s, duration_s)
    name = os.path.basename(path)
    mono = checked(mix(samples, channel, name), name)
    if not len(mono):
        raise WorkbenchError("the recording holds no samples", where=name, hint="Fetch it again.")
    if sample_rate is None or sample_rate == rate:
        return mono, rate

    resampled: Samples = soxr.resample(mono, rate, sample_rate, quality="HQ")
    return resampled, sample_rate


def mono_blocks(
    path: str | Path, offset_s: float, duration_s: float | None, sample_rate: int, channel: Channel = None
) -> Iterator[Samples]:
    """The same samples as :func:`read_mono`, in pieces: memory does not grow with the length.

    Raises:
        WorkbenchError: as there, when the piece at fault is reached.
    """
    found, name, done = stretch(path, offset_s, duration_s), os.path.basename(path), 0
    resampler = None
    if found.rate != sample_rate:
        resampler = soxr.ResampleStream(found.rate, sample_rate, 1, dtype="float32", quality="HQ")
    for block in found.blocks:
        mono = checked(mix(block, channel, name), name, done)
        done += len(mono)
        yield mono if resampler is None else resampler.resample_chunk(mono)
    if not done:
        raise WorkbenchError("the recording holds no samples", where=name, hint="Fetch it again.")
    if resampler is not None:
        yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def place_of(row: Mapping[str, Any], roots: Sequence[str]) -> tuple[str, float, float | None, Channel]:
    """File, offset and duration in seconds, and channels of a row.

    Raises:
        WorkbenchError: the file lies outside the roots, or the channel is none.
    """
    path = locate_text(str(row["audio_filepath"]), roots)
    return path, _seconds(row.get("offset")) or 0.0, _seconds(row.get("duration")), channel_of(row)


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and value == value else None


def read_row(
    row: Mapping[str, Any], roots: Sequence[str], sample_rate: int | None = None, *, complete: bool = False
) -> tuple[Samples, int]:
    """A row's sound as mono float32 (samples,), and its rate in Hz; its own where none is asked for.

    Args:
        row: ``audio_filepath`` (relative to the first root, or inside any), ``offset``, ``duration``,
            ``channel``.
        roots: folders that may be read.
        complete: refuse a recording that is shorter than the row states.

    Raises:
        WorkbenchError: as :func:`read_mono` and :func:`place_of`; shorter than its row.
    """
    path, offset_s, duration_s, channel = place_of(row, roots)
    found, rate = _mono(path, offset_s, duration_s, sample_rate, channel)
    if complete and duration_s is not None:
        refuse_shorter(duration_s, len(found) / rate, os.path.basename(path))
    return found, rate


def refuse_shorter(stated_s: float, there_s: float, where: str) -> None:
    """
    Raises:
        WorkbenchError: so much of what the row states is missing that its transcript cannot fit.
    """
    if stated_s - there_s > max(SHORT_S, SHORT_SHARE * stated_s):
        raise WorkbenchError(
            f"the recording has {there_s:.2f} of the {stated_s:.2f} s that its row states",
            where=where,
            hint="Fetch it again, or correct the duration.",
        )


@dataclass(frozen=True, slots=True)
class RowReader:
    """Reads rows: called with one, gives (n,) float32 mono at ``sample_rate`` Hz; pickles, for workers.

    Attributes:
        roots: folders that may be read; paths are relative to the first.
    """

    roots: tuple[str, ...]
    sample_rate: int

    def __call__(self, row: Mapping[str, Any]) -> Samples:
        return read_row(row, self.roots, self.sample_rate)[0]

    def blocks(self, row: Mapping[str, Any]) -> Iterator[Samples]:
        """The same in pieces, for rows of hours."""
        path, offset_s, duration_s, channel = place_of(row, self.roots)
        return mono_blocks(path, offset_s, duration_s, self.sample_rate, channel)

    def stamp(self, row: Mapping[str, Any]) -> Stamp | None:
        """The state of the row's file; None where it cannot be read."""
        try:
            return stamp(locate_text(str(row["audio_filepath"]), self.roots))
        except WorkbenchError:
            return None


@dataclass(frozen=True, slots=True)
class Stamp:
    """The state a file is in. ``sha256``: of its bytes."""

    size: int
    mtime_ns: int
    sha256: str


def audio_digests(rows: Iterable[Mapping[str, Any]], roots: Sequence[str]) -> list[str | None]:
    """SHA-256 of each row's file, hexadecimal; None where it cannot be read. A file is read once."""
    reader = RowReader(tuple(roots), 0)
    return [None if (found := reader.stamp(row)) is None else found.sha256 for row in rows]


def stamp(path: str | Path) -> Stamp:
    """Size, time and digest of a file; hashed once while size and time stay the same.

    Raises:
        WorkbenchError: it is missing or no regular file.
    """
    found = regular(path)
    key = os.fspath(path), found.st_size, found.st_mtime_ns
    return Stamp(found.st_size, found.st_mtime_ns, digest_of(*key))


@functools.lru_cache(maxsize=65_536)
def digest_of(path: str, size: int, mtime_ns: int) -> str:
    """SHA-256 of a file in one state: the hundreds of parts of a long recording hash it once."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
