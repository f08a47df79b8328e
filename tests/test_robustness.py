"""Marks and capitals under worsening conditions: counted in a lane, and over an evaluation for the chart."""

from __future__ import annotations

import pandas as pd
import pytest

from workbench.evaluation import score_predictions
from workbench.widgets.figures import conditions_chart
from workbench.widgets.playback_lane import align, style_kept
from workbench.widgets.robustness import robustness

SAID = "Yes, Anna is here. Is Bob?"
WORSE = ["yes anna is here. Is Rob?", "yes anna"]


@pytest.mark.parametrize(
    ("heard", "marks", "capitals"),
    [
        (SAID, [3, 3], [4, 4]),
        ("yes, anna is here. is bob?", [3, 3], [0, 4]),
        ("Yes Anna is here. Is Rob?", [2, 3], [3, 4]),  # Rob is no Bob, but its question mark stands
        ("Yes. Anna", [0, 3], [2, 4]),
        ("", [0, 3], [0, 4]),
    ],
)
def test_what_a_lane_keeps_of_the_reference(heard: str, marks: list[int], capitals: list[int]) -> None:
    kept = style_kept(align(SAID.split(), heard.split(), "en-US"), "en-US")
    assert kept == {"marks": marks, "capitals": capitals}


def test_opening_marks_count_where_the_language_has_them() -> None:
    pairs = align(["¿Dónde", "está?"], ["Dónde", "está?"], "es-US")
    assert style_kept(pairs, "es-US")["marks"] == [1, 2]
    assert style_kept(pairs, None)["marks"] == [1, 1]


def test_the_chart_shows_what_each_condition_leaves() -> None:
    rows = pd.DataFrame({"id": ["a", "b"], "text": [SAID, SAID], "target_lang": "en-US", "duration": 2.0})
    conditions = {"as recorded": [SAID, SAID], "street 5 dB": WORSE, "street 0 dB": ["", ""]}
    heard = {name: pd.DataFrame({"id": ["a", "b"], "hypothesis": said}) for name, said in conditions.items()}
    table = robustness(score_predictions(rows, heard))
    assert list(table["condition"]) == list(conditions)
    assert list(table["marks"]) == [6, 6, 6]
    assert list(table["marks_kept"]) == pytest.approx([1, 2 / 6, 0])
    assert table["capitals"][0] == 12
    assert table["capitals_kept"][0] == 1.0
    assert 0 < table["capitals_kept"][1] < 1
    assert table["error_rate"][0] == 0 < table["error_rate"][1] < table["error_rate"][2] == 1
    chart = conditions_chart(table)
    assert [trace.name for trace in chart.data] == ["error rate", "punctuation kept", "capitalization kept"]
    assert list(chart.data[1].y) == pytest.approx([1, 2 / 6, 0])
    assert list(chart.data[1].x) == list(conditions)
    # No line leads to a condition that is no step of the ladder.
    apart = conditions_chart(table, apart=["street 0 dB"]).data[1]
    assert list(apart.x) == [*conditions, "street 0 dB"]
    assert list(apart.y)[:2] == list(chart.data[1].y)[:2]
    assert apart.y[2] is None
    assert apart.y[3] == chart.data[1].y[2]
