"""Silence written over seconds of a recording that others speak in too: all else stays, sample for sample."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from workbench.errors import WorkbenchError
from workbench.files import replacing
from workbench.ingest.audio import stretch
from workbench.ingest.audio.containers import Wav, wav_facts

_ALAW, _ULAW = 6, 7
_AT_ONCE = 1 << 22
_FLAC_BITS = {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}


@dataclass(frozen=True, slots=True)
class Silenced:
    """Seconds to silence: ``duration_s`` None is the rest; ``channels`` None are all."""

    offset_s: float
    duration_s: float | None
    channels: tuple[int, ...] | None = None


def can_silence(path: Path) -> bool:
    """Whether a file's samples can be replaced with nothing else changed: WAV of fixed frames, and FLAC."""
    try:
        return _wav(path) is not None or _flac_bits(path) is not None
    except OSError:
        return False


def silence(path: Path, parts: Sequence[Silenced]) -> None:
    """Zero the parts, atomically; done twice it changes nothing more.

    Raises:
        WorkbenchError: no such file, or its format cannot be changed without loss.
    """
    facts = _wav(path)
    bits = None if facts is not None else _flac_bits(path)
    if facts is None and bits is None:
        raise WorkbenchError("its format cannot be cut without loss", where=path.name)
    with replacing(path) as draft:
        if facts is not None:
            _silence_wav(path, draft, facts, parts)
        elif bits is not None:
            _silence_flac(path, draft, bits, parts)


def _wav(path: Path) -> Wav | None:
    with path.open("rb") as stream:
        facts = wav_facts(stream, os.fstat(stream.fileno()).st_size)
    return facts if facts is not None and facts.frame_bytes and facts.rate and facts.channels else None


def _flac_bits(path: Path) -> int | None:
    with path.open("rb") as stream:
        if stream.read(4) != b"fLaC":
            return None
    try:
        return _FLAC_BITS.get(soundfile.info(str(path)).subtype)
    except (soundfile.LibsndfileError, RuntimeError):
        return None


def _silence_wav(path: Path, draft: Path, facts: Wav, parts: Sequence[Silenced]) -> None:
    shutil.copyfile(path, draft)
    width = facts.frame_bytes // facts.channels
    quiet = {_ALAW: 0xD5, _ULAW: 0xFF}.get(facts.kind, 0x80 if width == 1 else 0)
    size = facts.there if facts.streamed else min(facts.stated, facts.there)
    frames = size // facts.frame_bytes
    with draft.open("r+b") as stream:
        for part in parts:
            begin, end = _range(part, facts.rate, frames)
            while begin < end:
                count = min(end - begin, _AT_ONCE // facts.frame_bytes + 1)
                place = facts.first + begin * facts.frame_bytes
                stream.seek(place)
                data = np.frombuffer(stream.read(count * facts.frame_bytes), np.uint8)
                shaped = data.reshape(-1, facts.channels, width).copy()
                shaped[:, _chosen(part, facts.channels)] = quiet
                stream.seek(place)
                stream.write(shaped.tobytes())
                begin += count


def _silence_flac(path: Path, draft: Path, bits: int, parts: Sequence[Silenced]) -> None:
    found = stretch(path)
    subtype = next(name for name, size in _FLAC_BITS.items() if size == bits)
    done = 0
    with soundfile.SoundFile(
        draft, "w", found.rate, found.channels, subtype=subtype, format="FLAC"
    ) as target:
        for block in found.blocks:
            # 24 bits fit a float's 24: by 32-bit integers nothing is rounded on the way back.
            samples = (block.astype(np.float64) * 2.0**31).astype(np.int32)
            for part in parts:
                begin, end = _range(part, found.rate, done + len(block))
                some = slice(max(0, begin - done), max(0, end - done))
                for channel in _chosen(part, found.channels):
                    samples[some, channel] = 0
            target.write(samples)
            done += len(block)


def _range(part: Silenced, rate: int, frames: int) -> tuple[int, int]:
    begin = round(part.offset_s * rate)
    return begin, frames if part.duration_s is None else min(frames, begin + round(part.duration_s * rate))


def _chosen(part: Silenced, channels: int) -> list[int]:
    return [c for c in range(channels) if part.channels is None or c in part.channels]
