"""Parts of static forms: what stands in exported HTML and where no widget can run. Texts are escaped."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FONT = "font:13px/1.45 system-ui,-apple-system,'Segoe UI',Roboto,sans-serif"
MUTED = "color:#6b7484"
# Shape and color both say what a word is: struck through, dotted under, boxed.
WORD_STYLES = {
    "equal": "",
    "style": "border-bottom:1.5px dotted #9a6700",
    "substitute": "background:#ffe2df;color:#8c1d18;border-bottom:2px solid #b3261e",
    "insert": "background:#fff0cf;color:#6b4200;border:1px dashed #855200",
    "delete": "color:#8c1d18;text-decoration:line-through",
}
WORD_NAMES = {
    "equal": "right",
    "style": "other case or marks",
    "substitute": "wrong word",
    "insert": "added word",
    "delete": "missed word",
}


def escape(value: object) -> str:
    return html.escape(str(value), quote=True)


def box(*parts: str, label: str) -> str:
    """The frame around a static form."""
    return (
        f'<section aria-label="{escape(label)}" style="{FONT};border:1px solid rgba(125,133,144,.35);'
        f'border-radius:8px;padding:14px 16px;margin:6px 0">{"".join(parts)}</section>'
    )


def table(header: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """A plain table; cells are text, unless they are already ``Markup``."""
    cell = "padding:3px 10px 3px 0;text-align:left;vertical-align:top;border-bottom:1px solid #7d859038"
    head = "".join(f'<th scope="col" style="{cell};font-weight:600">{escape(name)}</th>' for name in header)
    body = "".join(
        "<tr>" + "".join(f'<td style="{cell}" dir="auto">{_cell(value)}</td>' for value in row) + "</tr>"
        for row in rows
    )
    title = (
        f'<caption style="text-align:left;padding:4px 0;{MUTED}">{escape(caption)}</caption>'
        if caption
        else ""
    )
    parts = f"{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<table style="border-collapse:collapse;margin:6px 0">{parts}</table>'


class Markup(str):
    """HTML made here from escaped parts; never from data."""

    __slots__ = ()


def _cell(value: object) -> str:
    if isinstance(value, Markup):
        return str(value)
    return "–" if value is None else escape(value)


def marked(words: Iterable[tuple[str, str]]) -> Markup:
    """A line of (operation, word) with each operation's look, and its name as a title."""
    spans, rows = [], list(words)
    line = right_to_left("".join(word for _, word in rows))
    for operation, word in rows:
        look = WORD_STYLES.get(operation, "")
        name = f' title="{escape(WORD_NAMES[operation])}"' if look else ""
        spans.append(isolated(word, line, f"{look};border-radius:3px;padding:0 2px" if look else "", name))
    text = " ".join(spans)
    # Said in so many words: dir="auto" passes over <bdi>.
    return Markup(f'<span dir="rtl">{text}</span>' if line else text)


def isolated(word: str, line_right_to_left: bool, look: str = "", attributes: str = "") -> Markup:
    """A word kept apart from its neighbors; digits and marks alone ("17:45.") stand as their line runs."""
    alone = line_right_to_left and not any(letter.isalpha() for letter in word)
    run = ' dir="rtl"' if alone else ""
    style = f' style="{look}"' if look else ""
    return Markup(f"<bdi{run}{style}{attributes}>{escape(word)}</bdi>")


def right_to_left(text: str) -> bool:
    """Whether a text's first letter belongs to a right-to-left script."""
    strong = (unicodedata.bidirectional(letter) for letter in text)
    return next((kind for kind in strong if kind in ("L", "R", "AL")), "L") != "L"


def seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"


def waveform_svg(
    pcm: NDArray[np.float32], total_s: float, audio_s: float, width: int = 820, height: int = 72
) -> str:
    """The recording's envelope as an SVG path over ``total_s`` seconds."""
    from workbench.widgets.audio import peaks

    columns = max(1, int(width * audio_s / total_s / 2))
    heights = [float(value) for value in peaks(pcm, columns)]
    loudest = max(heights, default=0.0) or 1.0
    middle = height / 2
    tall = [value / loudest * (middle - 3) for value in heights]
    bars = "".join(f"M{2 * i + 1} {middle - up:.1f}V{middle + up:.1f}" for i, up in enumerate(tall))
    return f'<path d="{bars}" stroke="#7f92b8" stroke-width="1.3" fill="none"/>'


def svg(parts: Iterable[str], width: int, height: int, label: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(label)}" '
        f'viewBox="0 0 {width} {height}" style="width:100%;max-width:{width}px;height:auto;display:block">'
        f"{''.join(parts)}</svg>"
    )


def percent(value: Any, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * float(value):.{digits}f} %"
