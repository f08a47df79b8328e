"""Where a row begins and how long it is can be corrected; every part then hears the corrected stretch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from workbench.corpus.importing import import_source
from workbench.corpus.quality import signal
from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError

RATE = 16_000
Make = Callable[..., Corpus]


@pytest.fixture
def talk(tmp_path: Path) -> Corpus:
    """One recording of 4 s and a row that states 9 s of it."""
    wave = np.linspace(0, 0.5, 4 * RATE, dtype=np.float32)
    soundfile.write(tmp_path / "a.wav", wave, RATE, subtype="FLOAT")
    row = {"id": "a", "audio_filepath": "a.wav", "duration": 9.0, "text": "one", "target_lang": "en-US"}
    (tmp_path / "m.jsonl").write_text(json.dumps(row) + "\n")
    return import_source(tmp_path / "m.jsonl", tmp_path / "corpora" / "c", name="c")


def test_a_corrected_duration_is_kept_and_leaves_with_the_row(talk: Corpus, tmp_path: Path) -> None:
    assert talk.edit("duration", 2.5) == 1
    assert talk.edit("offset", 1.0) == 1
    again = Corpus.open(talk.folder)
    row = again.row("a")
    assert (row["offset"], row["duration"], row["duration_bucket"], row["edited"]) == (1.0, 2.5, "2-5", True)
    assert again.where("duration < 3").ids() == ["a"]
    whole = soundfile.read(tmp_path / "a.wav", dtype="float32")[0]
    np.testing.assert_array_equal(again.audio("a"), whole[RATE : round(3.5 * RATE)])
    measured = signal.scan(again).set_index("id")
    assert measured.loc["a", "duration_s"] == pytest.approx(2.5)
    line = json.loads(again.export(tmp_path / "x", only="not_rejected").manifest("unassigned").read_text())
    assert (line["offset"], line["duration"]) == (1.0, 2.5)
    again.decisions.undo()
    again.decisions.undo()
    assert (again.row("a")["offset"], again.row("a")["duration"]) == (0.0, 9.0)


def test_a_measure_follows_the_row(talk: Corpus) -> None:
    assert signal.scan(talk).set_index("id").loc["a", "duration_s"] == pytest.approx(4.0)
    talk.edit("offset", 3.0)
    talk.edit("duration", 0.5)
    assert signal.scan(talk).set_index("id").loc["a", "duration_s"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("field", "value"),
    [("duration", 0), ("duration", -1), ("duration", math.nan), ("duration", math.inf), ("duration", "long"),
     ("duration", True), ("offset", -0.1), ("offset", None), ("offset", 1e9), ("duration", [1])],
)  # fmt: skip
def test_what_is_no_time_is_refused(make: Make, field: str, value: Any) -> None:
    corpus = make([{}])
    with pytest.raises(WorkbenchError, match=r"is no (offset|duration)|cannot be unknown"):
        corpus.decisions.edit(corpus.ids(), field, value)
    assert not corpus.row(corpus.ids()[0])["edited"]


def test_a_duration_can_be_called_unknown(make: Make) -> None:
    corpus = make([{"duration": 3.0}])
    corpus.edit("duration", None)
    assert corpus.row(corpus.ids()[0])["duration"] is None
    corpus.edit("duration", "1.25")
    assert corpus.row(corpus.ids()[0])["duration"] == 1.25
