"""Flaws of sound, read off the measures of ``signal.scan``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.corpus.quality import duplicates, loudness_checks, measures, signal
from workbench.corpus.quality.rules import Rule
from workbench.corpus.quality.text_checks import Hit
from workbench.ingest.audio import CHANNEL_COLUMNS

if TYPE_CHECKING:
    from workbench.corpus.query.view import View

_BELOW = {
    "sample_rate": "sample_rate", "low_level": "rms_dbfs", "low_snr": "snr_db", "narrow_band": "bandwidth_hz",
}  # fmt: skip
_ABOVE = {
    "clipping": "clipping_ratio", "silence_start": "leading_silence_s", "silence_end": "trailing_silence_s",
}  # fmt: skip
"""Rule → measure that must not fall below, or rise above, its threshold."""


_CANCELS_DB = 20.0
_CANCELLED = "the channels cancel each other (opposite phase): name one channel"


def hits(corpus: View, rows: Iterable[Mapping[str, Any]], wanted: Mapping[str, Rule]) -> Iterator[Hit]:
    """Findings of the rules on sound, for the rows that were measured; ``rows`` are gone over three times."""
    frame = signal.read(corpus)
    if frame is None:
        return
    measured = {row["id"]: row for row in frame.to_dict("records")}
    shared = Counter(row["audio_filepath"] for row in rows)
    for row in rows:
        found = measured.get(row["id"])
        if found is not None:
            part = shared[row["audio_filepath"]] > 1 or bool(row["offset"])
            yield from ((row["id"], rule, value) for rule, value in _of_clip(row, found, part, wanted))
    yield from loudness_checks.hits(rows, measured, wanted)
    if "near_duplicate_audio" in wanted:
        yield from _near(list(measured.values()), wanted["near_duplicate_audio"].threshold or 0.985)


def _of_clip(
    row: Mapping[str, Any], found: Mapping[str, Any], part: bool, wanted: Mapping[str, Rule]
) -> Iterator[tuple[str, Any]]:
    error = found["error"]
    if isinstance(error, str):
        if "missing" in error:
            yield "audio_missing", error
        elif "empty" in error or "no samples" in error:
            yield "audio_empty", error
        else:
            yield "audio_unreadable", error
        return
    if _crosses(wanted, "audio_empty", found["peak_dbfs"], below=True):
        cancels = found["channel_peak_dbfs"] > found["peak_dbfs"] + _CANCELS_DB
        yield "audio_empty", _CANCELLED if cancels else round(found["peak_dbfs"], 1)
        return
    for rule, name in _BELOW.items():
        if _crosses(wanted, rule, found[name], below=True):
            yield rule, _rounded(found[name])
    for rule, name in _ABOVE.items():
        if _crosses(wanted, rule, found[name], below=False):
            yield rule, _rounded(found[name])
    if _crosses(wanted, "dc_offset", abs(found["dc_offset"]), below=False):
        yield "dc_offset", _rounded(found["dc_offset"])
    named = any(row.get(name) is not None for name in CHANNEL_COLUMNS)
    if not named and _crosses(wanted, "channels", found["channels"], below=False):
        yield "channels", int(found["channels"])
    yield from _lengths(row, found, part, wanted)
    stated, there = found["header_s"], found["duration_s"]
    differs = stated is not None and stated == stated and abs(stated - there) > max(0.02 * there, 0.05)
    if differs and "header_length" in wanted:
        yield "header_length", f"the header states {stated:.2f} s, the sound lasts {there:.2f} s"


def _lengths(
    row: Mapping[str, Any], found: Mapping[str, Any], part: bool, wanted: Mapping[str, Rule]
) -> Iterator[tuple[str, Any]]:
    stated = row["duration"]
    if stated is None:
        return
    missing = stated - found["duration_s"]
    if abs(missing) <= 0.02 * stated:
        return
    if _crosses(wanted, "audio_shorter", missing, below=False):
        yield "audio_shorter", _rounded(missing)
    if not part and _crosses(wanted, "audio_longer", -missing, below=False):
        yield "audio_longer", _rounded(-missing)


def _crosses(wanted: Mapping[str, Rule], rule: str, value: Any, *, below: bool) -> bool:
    if rule not in wanted or value is None or value != value:
        return False
    limit = wanted[rule].threshold
    return limit is not None and (value < limit if below else value > limit)


def _near(rows: Sequence[Mapping[str, Any]], threshold: float) -> Iterator[Hit]:
    usable = [row for row in rows if isinstance(row.get("fingerprint"), str)]
    if len(usable) < 2:
        return
    prints = np.stack([measures.read_fingerprint(row["fingerprint"]) for row in usable])
    seconds = np.array([row["duration_s"] for row in usable])
    ids, hashes = [row["id"] for row in usable], [row["audio_sha256"] for row in usable]
    for id_, other, _ in duplicates.near_sounds(ids, prints, seconds, hashes, threshold):
        yield id_, "near_duplicate_audio", other


def _rounded(value: Any) -> float:
    return round(float(value), 4)
