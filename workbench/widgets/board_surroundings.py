"""A segment in its recording: the sound around it, its neighbors, and whether its ends may be moved there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.ingest.audio import channel_of, locate_text, probe, read_row
from workbench.ingest.schema import literal
from workbench.widgets.audio import peaks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from workbench.corpus.query.table import Corpus

AROUND_S = 6.0
"""Seconds shown before and after a segment."""
POINTS = 1200
RATE = 16_000
SHORTEST_S = 0.05
_WHOLE_S = 0.05
"""A row that lacks no more of its file is the whole file."""


def surroundings(corpus: Corpus, clip: str) -> tuple[dict[str, Any], list[bytes]]:
    """What a board shows of a clip in its recording.

    Args:
        corpus: the clip's, filtered or not: neighbors are shown in any case.
        clip: its id.

    Returns:
        ``id, length_s`` (of the recording), ``offset_s, duration_s`` (of the clip), ``start_s, end_s`` (of
        what is shown) and ``neighbors`` (``id, start_s, end_s, same_channel, status, text``), all in seconds
        of the recording; and the peaks of the stretch, float32. Where the clip is its whole recording,
        ``length_s`` is None and there are no peaks.

    Raises:
        WorkbenchError: the recording is missing or cannot be read.
    """
    row = corpus.row(clip)
    offset_s, duration_s, length_s = place_in_recording(corpus, row)
    if length_s - duration_s <= _WHOLE_S:
        return {"id": clip, "length_s": None}, []
    start_s, end_s = max(0.0, offset_s - AROUND_S), min(length_s, offset_s + duration_s + AROUND_S)
    stretch = {**row, "offset": start_s, "duration": end_s - start_s}
    sound, _ = read_row(stretch, corpus.audio_roots, RATE)
    answer = {
        "id": clip, "length_s": length_s, "offset_s": offset_s, "duration_s": duration_s,
        "start_s": start_s, "end_s": end_s, "neighbors": _neighbors(corpus, row, start_s, end_s),
    }  # fmt: skip
    return answer, [peaks(sound, POINTS).tobytes()]


def checked_move(corpus: Corpus, clip: str, offset_s: float, duration_s: float) -> dict[str, float]:
    """The new stretch of a clip, as ``edit_together`` takes it.

    Raises:
        WorkbenchError: it begins before its recording, ends after it, or lasts under 0.05 s.
    """
    _, _, length_s = place_in_recording(corpus, corpus.row(clip))
    good = offset_s >= 0 and duration_s >= SHORTEST_S and offset_s + duration_s <= length_s + 0.001
    if not good:
        raise WorkbenchError(
            f"{offset_s:.2f} to {offset_s + duration_s:.2f} s is no part of a recording of {length_s:.2f} s",
            where=clip,
            hint=f"A segment lasts {SHORTEST_S} s or more, inside its recording.",
        )
    return {"offset": round(offset_s, 3), "duration": round(min(duration_s, length_s - offset_s), 3)}


def place_in_recording(corpus: Corpus, row: Mapping[str, Any]) -> tuple[float, float, float]:
    """Offset and duration of a row, and the length of its recording, in seconds."""
    length_s = probe(locate_text(str(row["audio_filepath"]), corpus.audio_roots)).duration_s
    offset_s = float(row["offset"] or 0.0)
    stated = row["duration"]
    known = isinstance(stated, int | float) and stated == stated
    return offset_s, float(stated) if known else length_s - offset_s, length_s


def _neighbors(corpus: Corpus, row: Mapping[str, Any], start_s: float, end_s: float) -> list[dict[str, Any]]:
    """The other rows of the recording that reach into a stretch of it, in order."""
    path, own = str(row["audio_filepath"]), channel_of(row)
    near = corpus.whole.where(
        f"audio_filepath = {literal(path)} AND id <> {literal(str(row['id']))} "
        f'AND coalesce("offset", 0) < {end_s!r} AND coalesce("offset", 0) + duration > {start_s!r}'
    )
    found = []
    for other in near.table().to_pylist():
        begin_s = float(other["offset"] or 0.0)
        found.append(
            {
                "id": other["id"], "start_s": begin_s, "end_s": begin_s + float(other["duration"]),
                "same_channel": channel_of(other) == own, "status": other["status"],
                "text": other["text"] or "",
            }
        )  # fmt: skip
    return sorted(found, key=lambda one: (one["start_s"], one["id"]))
