"""The static form of playback: a picture of sound, chunks and words, and the transcript with its times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench.widgets.static import (
    MUTED,
    Markup,
    box,
    escape,
    isolated,
    marked,
    right_to_left,
    seconds,
    svg,
    table,
    waveform_svg,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WIDTH = 820


def playback_html(
    pcm: NDArray[np.float32],
    clip: Mapping[str, Any],
    lanes: Sequence[Mapping[str, Any]],
    condition: str,
) -> str:
    """Everything playback shows, at the end of the recording."""
    about = f"{clip['audio_s']:.2f} s · {condition} · replayed events, not paced"
    head = (
        f'<p style="margin:0 0 6px"><b dir="auto">{escape(clip["title"] or "Recording")}</b> '
        f'<span style="{MUTED}">{escape(about)}</span></p>'
    )
    reference = clip["reference"]
    spoken = (
        f'<p><span style="{MUTED}">Reference: </span><bdi>{escape(reference)}</bdi></p>' if reference else ""
    )
    return box(head, *(_lane(pcm, clip, lane) for lane in lanes), spoken, label="Playback")


def _lane(pcm: NDArray[np.float32], clip: Mapping[str, Any], lane: Mapping[str, Any]) -> str:
    settings = lane["settings"]
    title = f"{settings['checkpoint']} · {settings['locale']} · {settings['lookahead_ms']} ms"
    heading = f'<p style="margin:10px 0 4px"><b>{escape(title)}</b></p>'
    if lane["state"] != "ready":
        return (
            heading + f'<p style="{MUTED}">{escape(lane["message"] or "Recognition is still running.")}</p>'
        )
    words = [tuple(row) for row in lane["words"]]
    marks = lane["marks"] or ["equal"] * len(words)
    text = marked(zip(marks, (str(row[0]) for row in words), strict=False))
    picture = svg(_picture(pcm, clip, lane), WIDTH, 150, f"Waveform, chunks and words of {title}")
    runs = right_to_left(str(lane["final"]))
    rows = [
        (isolated(str(word), runs), seconds(start), seconds(end), seconds(at), _late(end, at))
        for word, start, end, at, _ in words
    ]
    figures = lane["figures"]
    facts = (
        f"first word after {seconds(figures['first_word_s'])}, "
        f"median lateness {seconds(figures['late_p50_s'])}, "
        f"language {lane['lang'] or 'not reported'}{_kept(lane.get('style') or {})}"
    )
    times = table(("word", "spoken from", "to", "on screen", "late by"), rows)
    summary = f'<summary style="{MUTED};cursor:pointer">Times of {len(rows)} words</summary>'
    return (
        f'{heading}{picture}<p dir="auto" style="font-size:16px;margin:6px 0">{text}</p>'
        f'<p style="{MUTED};margin:2px 0">{escape(facts)}</p><details>{summary}{times}</details>'
    )


def _kept(style: Mapping[str, Sequence[int]]) -> str:
    parts = (f", {kind} kept {kept} of {of}" for kind, (kept, of) in style.items() if of)
    return "".join(parts)


def _late(end: float | None, at: float | None) -> str:
    return "–" if end is None or at is None else f"{at - end:+.2f} s"


def _picture(pcm: NDArray[np.float32], clip: Mapping[str, Any], lane: Mapping[str, Any]) -> list[str]:
    """Waveform; under it chunks (gray), compute (orange), and a line from each word's end to its emission."""
    total = float(clip["total_s"])

    def x(at_s: float) -> float:
        return round(at_s / total * WIDTH, 1)

    parts = [waveform_svg(pcm, total, float(clip["audio_s"]), WIDTH)]
    for index, (start, end, compute, emission, *_) in enumerate(lane["events"]):
        shade = "#b9c3d6" if index % 2 else "#d3dae8"
        chunk = max(0.6, x(end) - x(start))
        parts.append(f'<rect x="{x(start)}" y="80" width="{chunk:.1f}" height="12" fill="{shade}"/>')
        begin = emission - compute
        width = max(0.8, x(emission) - x(begin))
        parts.append(f'<rect x="{x(begin)}" y="95" width="{width:.1f}" height="8" fill="#d55e00"/>')
    free = 0.0
    for word, _, end, at, _ in lane["words"]:
        if end is not None and at is not None:
            parts.append(f'<path d="M{x(end)} 92L{x(at)} 112" stroke="#5f6f8f" fill="none"/>')
            if x(at) >= free:
                parts.append(_label(str(word), x(at)))
                free = x(at) + 14
    return parts


def _label(word: str, x: float) -> Markup:
    place = f'x="{x}" y="124" transform="rotate(28 {x} 124)"'
    return Markup(f'<text {place} font-size="10" fill="#566072">{escape(word[:18])}</text>')
