"""Files of measurements say what is wrong with them, whichever kind they are."""

import json
import os
from pathlib import Path

import pytest

from workbench.capacity.result import Capacity
from workbench.errors import WorkbenchError
from workbench.evaluation.keywords import read_keywords
from workbench.field.baseline import Baseline
from workbench.field.conditions import ConditionSweep
from workbench.foldings import read_substitutions
from workbench.workspace import json_store

KINDS = [(Capacity, "a capacity file"), (Baseline, "a baseline"), (ConditionSweep, "a sweep of conditions")]


@pytest.mark.parametrize(("kind", "what"), KINDS)
def test_a_newer_schema_is_named_as_such(kind, what, tmp_path):
    path = tmp_path / "held.json"
    path.write_text(json.dumps({"schema_version": 99}), "utf-8")
    with pytest.raises(WorkbenchError, match=f"{what} of a newer schema") as told:
        kind.load(path)
    assert "not " + what not in str(told.value)
    assert "99" in str(told.value)


@pytest.mark.parametrize(("kind", "what"), KINDS)
@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"schema_version": 1}', '{"schema_version": "x"}'])
def test_what_is_no_such_file_is_refused(kind, what, text, tmp_path):
    path = tmp_path / "held.json"
    path.write_text(text, "utf-8")
    with pytest.raises(WorkbenchError, match=f"not {what}"):
        kind.load(path)
    with pytest.raises(WorkbenchError, match=f"not {what}"):
        kind.load(tmp_path / "absent.json")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("reader", [*(kind.load for kind, _ in KINDS), read_keywords, read_substitutions])
def test_what_never_ends_or_never_begins_is_refused_not_read(reader, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (Path("/dev/zero"), pipe, tmp_path):
        with pytest.raises(WorkbenchError, match="not a file"):
            reader(path)


def test_written_whole_and_without_nan(tmp_path):
    path = json_store.write(tmp_path / "new" / "held.json", {"schema_version": 1, "a": 0.5})
    with json_store.reading(path, "a figure", 1) as held:
        assert held == {"a": 0.5}
    with pytest.raises(ValueError, match="JSON compliant"):
        json_store.write(path, {"schema_version": 1, "a": float("nan")})
    with json_store.reading(path, "a figure", 1) as held:
        assert held == {"a": 0.5}
