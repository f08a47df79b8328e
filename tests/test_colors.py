"""Colors of better and worse are told apart with every kind of color vision, in light and dark; in black and
white the sign says it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from color_vision import SEEN, contrast, distance, mixed, rgb

from workbench.evaluation.readings import BETTER, TOO_FEW, UNCLEAR, WORSE
from workbench.evaluation.small_figures import ACCENT
from workbench.suites.matrix import _TONES, ForgettingMatrix
from workbench.widgets.figures import COLORS

STYLES = Path(__file__).parents[1] / "workbench" / "widgets" / "js"
LIGHT, DARK = (STYLES / "theme.css").read_text("utf-8").split('[data-jp-theme-light="false"] .nwb {', 1)
GROUNDS = {"light": "#ffffff", "dark": "#111111"}


def token(name: str, theme: str) -> str:
    """A color token of the widgets' theme."""
    found = re.search(rf"--nwb-{name}: (#\w{{6}});", LIGHT if theme == "light" else DARK)
    assert found, name
    return found[1]


def soft(name: str, theme: str) -> np.ndarray:
    """A soft ground of the theme, mixed over the page."""
    text = LIGHT if theme == "light" else DARK
    found = re.search(rf"--nwb-{name}-soft: color-mix\(in srgb, var\(--nwb-bg\) (\d+)%, (#\w{{6}})\);", text)
    assert found, name
    return mixed(found[2], 1 - int(found[1]) / 100, GROUNDS[theme])


@pytest.mark.parametrize("seen", SEEN)
@pytest.mark.parametrize("theme", GROUNDS)
def test_better_and_worse_are_told_apart(theme: str, seen: str) -> None:
    assert distance(rgb(token("good", theme)), rgb(token("bad", theme)), seen) > 30
    assert distance(soft("good", theme), soft("bad", theme), seen) > 5
    cells = dict(re.findall(r"nwb-cell-(good|bad) \{ background-color: color-mix\(in srgb, (#\w{6})",
                            (STYLES / "explorer.css").read_text("utf-8")))  # fmt: skip
    for depth in (0.25, 0.45, 0.6):
        good, bad = (mixed(cells[way], depth, GROUNDS[theme]) for way in ("good", "bad"))
        assert distance(good, bad, seen) > 10


@pytest.mark.parametrize("theme", GROUNDS)
def test_words_in_these_colors_can_be_read(theme: str) -> None:
    for name in ("good", "bad", "warn", "text", "muted", "accent"):
        assert contrast(rgb(token(name, theme)), rgb(GROUNDS[theme])) > 4.5, name


@pytest.mark.parametrize("seen", SEEN)
def test_the_forgetting_matrix_tells_its_verdicts_apart(seen: str) -> None:
    tones = {name: rgb(color) for name, color in _TONES.items()}
    assert distance(tones[BETTER], tones[WORSE], seen) > 20
    for way in (BETTER, WORSE):
        assert distance(tones[way], tones[UNCLEAR], seen) > 10
        assert contrast(tones[way], rgb("#1c1c1a")) > 7
    assert set(tones) == {BETTER, WORSE, UNCLEAR, TOO_FEW}


def test_without_color_the_matrix_says_the_same() -> None:
    rows = [{"engine": "new", "target_lang": tag, "rate_base": 0.5, "rate": 0.5 + d, "difference": d,
             "low": d - 0.01, "high": d + 0.01, "metric": "wer", "because": "", "verdict": v,
             "reference_words": 900}
            for tag, d, v in (("a", -0.1, BETTER), ("b", 0.1, WORSE))]  # fmt: skip
    whole = pd.DataFrame({"engine": []})
    page = ForgettingMatrix("old", "offline", pd.DataFrame(rows), whole)._repr_html_()
    text = re.sub(r"<[^>]+>", " ", page)
    assert "−10.0" in text
    assert "+10.0" in text
    assert "fewer errors" in text
    assert "more errors" in text
    assert "print-color-adjust:exact" in page


@pytest.mark.parametrize("seen", SEEN)
def test_series_differ(seen: str) -> None:
    """The first four series of a chart; they differ by dash and marker, too."""
    for place, one in enumerate(COLORS[:4]):
        for other in COLORS[place + 1 : 4]:
            assert distance(rgb(one), rgb(other), seen) > 8, (one, other)
    assert contrast(rgb(ACCENT), rgb("#ffffff")) > 3
    assert contrast(rgb(ACCENT), rgb("#111111")) > 3
