"""The sweep of noise and band on the starter: every condition, per locale, kept when it is cut off."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from workbench import starter
from workbench.api import Corpus, Workspace
from workbench.cli import main
from workbench.errors import WorkbenchError
from workbench.field import sweep_conditions
from workbench.field.conditions import COLUMNS, ConditionSweep

WHERE = "split = 'test' AND target_lang IN ('el-GR', 'es-US') AND duration BETWEEN 1 AND 2.5"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return starter(tmp_path_factory.mktemp("noise") / "workspace")


@pytest.fixture(scope="module")
def clips(home: Workspace) -> Corpus:
    held = home.corpus("starter")
    ids = [held.where(f"{WHERE} AND target_lang = '{tag}'").ids()[:2] for tag in ("el-GR", "es-US")]
    return held.where(f"id IN ({', '.join(repr(i) for part in ids for i in part)})")


@pytest.mark.model
def test_every_condition_is_there_by_locale_and_a_cut_off_sweep_goes_on(
    home: Workspace, clips: Corpus
) -> None:
    path, seen = home.reports / "conditions" / "cut.json", list[int]()
    # Cancelled as the second condition begins: the first one's figures stay.
    cut = sweep_conditions(
        home.checkpoint("starter"), clips, snr_db=(None, 0), out=path,
        progress=lambda done, total: seen.append(done), cancel=lambda: len(clips) in seen,
    )  # fmt: skip
    assert cut.status == "cancelled"
    assert {(row["band"], row["snr_db"]) for row in cut.rows} == {("wide", None)}
    assert ConditionSweep.load(path) == cut
    seen.clear()
    found = home.conditions(
        "starter", clips, name="cut", snr_db=(None, 0), progress=lambda done, total: seen.append(done)
    )
    assert min(seen) == len(clips)  # what was measured is not measured again
    assert found.status == "complete"
    table = found.table
    assert list(table["locale"]) == ["el-GR"] * 4 + ["es-US"] * 4
    assert list(table["band"]) == ["wide", "wide", "telephone", "telephone"] * 2
    assert list(table["snr_db"].fillna(99)) == [99, 0] * 4
    assert set(table["utterances"]) == {2}
    first = [row for row in found.rows if (row["band"], row["snr_db"]) == ("wide", None)]
    assert first == cut.rows
    # Noise as loud as the speech changes what is read.
    assert table["rate"].nunique() > 1 or table["empty"].nunique() > 1
    text = path.read_text("utf-8")
    assert not any(row["text"] in text or row["id"] in text for row in clips.frame().to_dict("records"))
    lines = [t for t in found.chart().data if t.y is not None and pd.notna(pd.Series(t.y)).any()]
    assert {line.name for line in lines} == {"wide", "telephone"}
    assert list(lines[0].x) == ["none", "0"]


@pytest.mark.model
def test_the_command_line_measures_what_is_asked(
    home: Workspace, clips: Corpus, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("WORKBENCH_WORKSPACE", str(home.path))
    where = f"id = '{clips.ids()[0]}'"
    chart = tmp_path / "chart.html"
    asked = [
        "--where",
        where,
        "--name",
        "cli",
        "--snr-db",
        "none",
        "--bands",
        "telephone",
        "--chart",
        str(chart),
    ]
    assert main(["conditions", "starter", "starter", *asked]) == 0
    assert "telephone" in capsys.readouterr().out
    assert "Punctuation errors" in chart.read_text("utf-8")
    [row] = ConditionSweep.load(home.reports / "conditions" / "cli.json").rows
    assert (row["band"], row["snr_db"], row["utterances"]) == ("telephone", None, 1)


def test_what_cannot_be_swept_is_said(home: Workspace, clips: Corpus, tmp_path: Path) -> None:
    checkpoint = home.checkpoint("starter")
    for options, says in (
        ({"bands": ("narrow",)}, "unknown band 'narrow'"),
        ({"noise": "babble"}, "babble needs other voices"),
        ({"noise": "rain"}, "unknown noise 'rain'"),
        ({"snr_db": ()}, "no clips or no conditions"),
    ):
        with pytest.raises(WorkbenchError, match=says):
            sweep_conditions(checkpoint, clips, **options)
    for held in ("{", "[]", json.dumps({"schema_version": 99}), json.dumps({"schema_version": 1})):
        (tmp_path / "x.json").write_text(held)
        with pytest.raises(WorkbenchError, match="sweep of conditions"):
            ConditionSweep.load(tmp_path / "x.json")


def test_rows_come_in_order_of_growing_noise() -> None:
    rows = [
        dict.fromkeys(COLUMNS, 0) | {"locale": "a", "band": "telephone", "snr_db": r} for r in (0, None, 5.0)
    ]
    rows.append(dict.fromkeys(COLUMNS, 0) | {"locale": "a", "band": "wide", "snr_db": -3.0, "rate": None})
    table = ConditionSweep({}, rows).table
    assert list(table["band"]) == ["wide"] + ["telephone"] * 3
    assert list(table["snr_db"].fillna(99)) == [-3, 99, 5, 0]
    assert table["rate"].isna().tolist() == [True, False, False, False]
