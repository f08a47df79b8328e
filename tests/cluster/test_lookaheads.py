"""One call transcribes at several look-aheads and scores each; the engine goes through to every one."""

from __future__ import annotations

from pathlib import Path

import pytest

import workbench as wb
from workbench.errors import WorkbenchError


@pytest.mark.model
def test_each_lookahead_is_streamed_and_scored(tmp_path: Path) -> None:
    ws = wb.starter(tmp_path / "ws")
    few = ws.corpus("starter").where("split = 'test' AND target_lang = 'es-US' AND duration < 2").sample(3)
    found = ws.evaluate_lookaheads(few, "starter", [560, 1120], progress=lambda done, total: None)
    assert found.names == ["starter-560", "starter-1120"]
    for name, ms in zip(found.names, (560, 1120), strict=True):
        facts = found.facts(name)
        assert (facts["lookahead_ms"], facts["streaming"], facts["predicted"]) == (ms, True, 3)
    with pytest.raises(WorkbenchError, match="unknown engine 'spark'"):
        ws.evaluate_lookaheads(few, "starter", [80], engine="spark")
