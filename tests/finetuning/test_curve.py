"""The learning curve: shares within each other, hours projected along a known law, real runs behind it."""

from __future__ import annotations

import json
import math

import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.finetuning import plan
from workbench.finetuning.learning_curve import Curve, learning_curve, of_share


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
    assert str(found).startswith("extrapolation beyond 1.0 h: about 16.0 h to 20% WER")
    near = curve(law).project(0.5)
    assert near.hours == pytest.approx(0.4096, rel=1e-6)
    assert not near.extrapolated
    assert "extrapolation" not in str(near)


def test_less_certain_points_make_a_wider_interval():
    law = [0.4 * hours**-0.25 for hours in (0.1, 0.3, 1.0)]
    sharp, vague = (curve(law, wide=wide).project(0.2) for wide in (0.005, 0.05))
    assert vague.low < sharp.low
    assert vague.high > sharp.high


def test_a_flat_curve_leads_nowhere():
    found = curve([0.5, 0.5, 0.5]).project(0.2)
    assert math.isinf(found.hours)
    assert "does not fall" in str(found)
    with pytest.raises(WorkbenchError, match="no rate"):
        curve([0.5, 0.4, 0.3]).project(20)


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


@pytest.mark.model
@pytest.mark.timeout(1500)
def test_real_runs_are_measured_and_kept(recipe, corpus, tmp_path):
    rows = [json.loads(line) for line in corpus.read_text("utf-8").splitlines()]
    rows = [row for row in rows if row["split"] == "validation" and row["target_lang"] == "el-GR"]
    short = recipe.changed(steps=2, warmup_steps=1, validation=())
    found = learning_curve(short, tmp_path, rows, corpus.parent, shares=(0.5, 1.0))
    assert found.table["share"].tolist() == [0.0, 0.5, 1.0]
    assert found.table["hours"].is_monotonic_increasing
    assert (found.table["utterances"] == 4).all()
    assert ((found.table["low"] <= found.table["rate"]) & (found.table["rate"] <= found.table["high"])).all()
    again = learning_curve(short, tmp_path, rows, corpus.parent, shares=(0.5, 1.0))
    assert again.table.equals(found.table)
