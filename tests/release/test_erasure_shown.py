"""The plan of an erasure in a notebook: short whatever a speaker left, and nothing of it hidden or live."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.privacy.erasure import ErasurePlan
from workbench.privacy.erasure_request import Target, Trace


@pytest.mark.parametrize("files", [1, 3_000])
def test_a_plan_is_shown_by_kind(files: int) -> None:
    traces = [Trace("audio", Path(f"/ws/<b>{n}.wav"), "delete", 1, "") for n in range(files)]
    traces += [Trace("decisions", Path("/ws/decisions.sqlite"), "erase decisions", 7, "its values")]
    plan = ErasurePlan("e1", Target("speaker", "x", {"calls": ["a"]}), tuple(traces), ("ck",))
    shown = plan._repr_html_()
    assert shown.count("<tr") == 1 + 3
    assert f">{files:,}</td>" in shown
    assert ">7</td>" in shown
    assert "&lt;b&gt;0.wav" in shown
    assert len(plan.frame()) == files + 2
