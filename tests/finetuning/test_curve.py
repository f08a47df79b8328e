"""The learning curve: shares within each other, hours projected along a known law, real runs behind it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.finetuning import plan
from workbench.finetuning.learning_curve import of_share
from workbench.finetuning.projection import Curve, Projection


def curve(rates, hours=(0.1, 0.3, 1.0), wide=0.02):
    rows = [{"share": 0.0, "hours": 0.0, "rate": 0.99, "low": 0.98, "high": 1.0, "utterances": 9}]
    for share, (rate, own) in enumerate(zip(rates, hours, strict=True), start=1):
        rows.append(
            {
                "share": share / 3,
                "hours": own,
                "rate": rate,
                "low": rate - wide,
                "high": rate + wide,
                "utterances": 9,
            }
        )
    return Curve(pd.DataFrame(rows), "wer")


def test_a_power_law_is_followed():
    law = [0.4 * hours**-0.25 for hours in (0.1, 0.3, 1.0)]
    found = curve(law).project(0.2)
    assert found.hours == pytest.approx(16, rel=1e-6)
    assert found.low < 16 < found.high
    assert "unknown" in str(found)  # sixteen times what was measured
    closer = curve(law).project(0.3)
    assert closer.more == pytest.approx(closer.hours - 1)
    assert str(closer).startswith("extrapolation beyond 1.0 h: about 3.2 h to 30% WER")
    near = curve(law).project(0.5)
    assert near.hours == pytest.approx(0.4096, rel=1e-6)
    assert not near.extrapolated
    assert "extrapolation" not in str(near)


def test_less_certain_points_make_a_wider_interval():
    law = [0.4 * hours**-0.25 for hours in (0.1, 0.3, 1.0)]
    sharp, vague = (curve(law, wide=wide).project(0.5) for wide in (0.005, 0.05))
    assert vague.low < sharp.low
    assert vague.high > sharp.high


def test_a_flat_curve_leads_nowhere():
    found = curve([0.5, 0.5, 0.5]).project(0.2)
    assert math.isinf(found.hours)
    assert str(found).startswith("unknown how many hours lead to 20% WER: ")
    with pytest.raises(WorkbenchError, match="no rate"):
        curve([0.5, 0.4, 0.3]).project(20)


def test_what_the_points_do_not_say_is_unknown_not_a_figure():
    # Once answered with 453692173439241245687808.0 h.
    nearly_flat = curve([0.500, 0.497, 0.494]).project(0.1)
    assert nearly_flat.unknown
    assert "unknown" in str(nearly_flat)
    floor = [0.2 + 0.1 * hours**-0.5 for hours in (0.1, 0.3, 1.0)]
    assert curve(floor, wide=0.002).project(0.15).unknown
    assert curve(floor, wide=0.002).more_hours(5).hours == pytest.approx(4, rel=0.1)
    with pytest.raises(WorkbenchError, match="is no rate"):
        curve(floor).more_hours(31)


@pytest.mark.parametrize("floor", [0.0, 0.08])
@pytest.mark.parametrize("true_hours", [0.5, 3.0, 8.0])
def test_the_interval_holds_the_true_hours_with_a_floor_and_without(floor, true_hours):
    rng, inside = np.random.default_rng(5), 0
    hours = np.array([0.1, 0.3, 1.0])
    true = floor + 0.3 * hours**-0.3
    error = 1.5 * np.sqrt(true * (1 - true) / 2000)
    for _ in range(100):
        rates = true + error * rng.standard_normal(3)
        table = pd.DataFrame({"share": [0.1, 0.3, 1.0], "hours": hours, "rate": rates})
        table["low"], table["high"] = rates - 1.96 * error, rates + 1.96 * error
        found: Projection = Curve(table, "wer").project(floor + 0.3 * true_hours**-0.3)
        inside += found.low <= true_hours <= found.high
    assert inside >= 88


def test_shares_lie_within_each_other(recipe):
    ids = []
    for share in (0.25, 0.5, 1.0):
        target, replay = plan.read_training(of_share(recipe, share), [])
        assert len(target) == round(12 * share)
        assert len(replay) == 24
        ids.append({row.id for row in target})
    assert ids[0] < ids[1] < ids[2]
    with pytest.raises(WorkbenchError, match="no share"):
        of_share(recipe, 0.0)
