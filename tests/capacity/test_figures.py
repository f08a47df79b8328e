"""The charts show what was measured, mark what holds, and keep other people's figures apart."""

from __future__ import annotations

import pytest
from test_search import capacity, measurement, tradeoff

from workbench.capacity import choose
from workbench.capacity.search import Largest
from workbench.widgets.capacity_figures import capacity_chart, choice_chart


def test_every_measured_point_is_drawn_and_the_largest_that_held_is_ringed() -> None:
    measurements = [measurement(560, streams, busy=streams / 20) for streams in (2, 8, 16)] + [
        measurement(80, 2)
    ]
    figure = capacity_chart(capacity(measurements, [Largest(560, 8, 16, 3, 3)]))
    lines = {(trace.name, trace.yaxis): trace for trace in figure.data if trace.mode == "lines+markers"}
    assert list(lines["560 ms", "y"].x) == [2, 8, 16]
    assert list(lines["560 ms", "y"].y) == [200.0] * 3
    assert list(lines["560 ms", "y2"].y) == [0.1, 0.4, 0.8]
    assert list(lines["80 ms", "y"].x) == [2]
    rings = [trace for trace in figure.data if trace.mode == "markers" and len(trace.x)]
    assert [list(ring.x) for ring in rings] == [[8]]
    notes = [note.text for note in figure.layout.annotations]
    [budget] = [note for note in figure.layout.annotations if note.text == "budget 300 ms"]
    assert 10**budget.y == pytest.approx(300)  # at its line: the axis is logarithmic
    assert figure.layout.yaxis.type == "log"
    [published] = [text for text in notes if "H100" in text]
    assert "not measured here" in published
    assert "2,400 streams at 1120 ms" in published


def test_numbers_below_the_axis_leave_room_for_each_other() -> None:
    measurements = [measurement(560, streams) for streams in (1, 2, 32, 48, 54, 56, 64)]
    axis = capacity_chart(capacity(measurements, [Largest(560, 54, 56, 2, 2)])).layout.xaxis
    assert list(axis.tickvals) == [1, 2, 32, 54]


def test_nothing_measured_is_an_empty_chart() -> None:
    assert not [trace for trace in capacity_chart(capacity([], [])).data if len(trace.x)]


def test_the_choice_is_a_star_and_what_is_beaten_is_hollow() -> None:
    # At 560 ms nothing is better than at 80 ms; at 1120 ms fewer errors.
    found = choose(tradeoff(el_GR=[0.3, 0.3, 0.2]), latency_p95_s=2.0)
    [line] = choice_chart(found).data
    assert [round(float(value), 3) for value in line.x] == [0.08, 0.56, 1.12]
    symbols = list(line.marker.symbol)
    assert symbols[2] == "star"
    assert symbols[1] == f"{symbols[0]}-open"
    assert all(abs(v - 0.02) < 1e-9 for v in line.error_y.array)
