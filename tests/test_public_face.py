"""The public face: one class a noun, every argument named, a misspelled keyword refused by name."""

import pandas as pd

import workbench as wb
from workbench.evaluation import Evaluation, score_predictions


def scored() -> Evaluation:
    rows = pd.DataFrame({"id": ["a", "b"], "text": ["one two", "three"], "target_lang": ["en-US", "el-GR"]})
    return score_predictions(rows, {"base": pd.DataFrame({"id": ["a", "b"], "hypothesis": ["one", "three"]})})


def test_an_evaluation_with_other_settings_still_has_its_explorer():
    found = scored().with_settings(resamples=50)
    assert found.settings.resamples == 50
    explorer = found.explorer()
    assert "el-GR" in explorer.static_html()
    explorer.close()


def test_a_workspace_says_what_it_is(tmp_path):
    assert repr(wb.Workspace(tmp_path / "ws")) == f"Workspace({str(tmp_path / 'ws')!r})"
