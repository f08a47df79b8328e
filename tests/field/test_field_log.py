"""Reading field logs: good lines are kept, every damaged line is one clear line, none vanishes."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.field.log import read_log

NOW = datetime(2026, 6, 1, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "time": "2026-03-02T09:14:03Z",
    "requested_lang": "el-GR",
    "detected_lang": "el-GR",
    "text": "Καλημέρα σας, τι κάνετε;",
    "confidence": 0.9,
    "latency_ms": 300,
}
DAMAGE = {
    "no time": ({"time": None}, "time"),
    "a clock from the future": ({"time": "2036-01-01T00:00:00Z"}, "time"),
    "a time that is none": ({"time": "yesterday"}, "time"),
    "an unknown locale": ({"requested_lang": "el_XX"}, "requested_lang"),
    "a detected tag that is none": ({"detected_lang": "<script>"}, "detected_lang"),
    "confidence in percent": ({"confidence": 93}, "confidence"),
    "confidence as a truth value": ({"confidence": True}, "confidence"),
    "negative latency": ({"latency_ms": -5}, "latency_ms"),
    "infinite latency": ({"latency_ms": float("inf")}, "latency_ms"),
    "text that is a list": ({"text": ["a"]}, "text"),
    "an unpaired surrogate": ({"text": "\ud800"}, "text"),
    "consent as a number": ({"consent": 1}, "consent"),
}


def write(path: Path, *lines: dict[str, Any] | bytes) -> Path:
    raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"\n".join(raw) + b"\n")
    return path


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_line_costs_that_line_only(tmp_path: Path, name: str) -> None:
    change, field = DAMAGE[name]
    found = read_log(write(tmp_path / "log.jsonl", GOOD, {**GOOD, **change}, GOOD), now=NOW)
    assert len(found) == 2
    [problem] = found.problems
    assert (problem.line, problem.field) == (2, field)
    assert problem.hint
    assert "\n" not in str(problem)


def test_what_is_counted(tmp_path: Path) -> None:
    lines = [
        GOOD,
        {**GOOD, "text": "", "time": "2026-03-02T10:00:00"},
        {"time": "2026-03-02T12:00:00+02:00", "requested_lang": "auto", "words": 4, "marks": 1},
        {**GOOD, "requested_lang": "zh-CN", "text": "你好，世界。", "time": "2026-03-03T00:00:00Z"},
    ]
    found = read_log(write(tmp_path / "log.jsonl", *lines), now=NOW)
    assert found.rows["words"].tolist() == [4, 0, 4, 4]
    assert found.rows["marks"].tolist() == [2, 0, 1, 2]
    assert found.rows["time"].is_monotonic_increasing
    assert found.rows["requested_lang"].tolist() == ["el-GR", "el-GR", "auto", "zh-CN"]


def test_torn_and_joined_files(tmp_path: Path) -> None:
    whole = json.dumps(GOOD).encode()
    torn = write(
        tmp_path / "a.jsonl", b"\xef\xbb\xbf" + whole, whole[:40], whole + whole, b"\xff\xfe", b"[1]", b""
    )
    deep = write(tmp_path / "b.jsonl", b"[" * 100_000, b"x" * (2 << 20), whole)
    packed = tmp_path / "c.jsonl.gz"
    packed.write_bytes(gzip.compress(whole + b"\n" + whole + b"\n")[:-12])
    found = read_log([torn, deep, packed], now=NOW)
    per_file = {
        name: sum(p.file == name for p in found.problems) for name in ("a.jsonl", "b.jsonl", packed.name)
    }
    assert per_file == {"a.jsonl": 4, "b.jsonl": 2, packed.name: 1}
    assert {"a.jsonl", "b.jsonl"} <= set(found.rows["file"])
    assert found.rows["line"].max() == 3


def test_a_log_sent_twice_is_counted_once(tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", {**GOOD, "id": "7"})
    two = write(tmp_path / "two.jsonl", {**GOOD, "id": "7"}, {**GOOD, "id": "8"})
    found = read_log(tmp_path, now=NOW)
    assert len(found) == 2
    assert str(found.problems[0]).startswith(f"{two.name}:1 [id]: repeats the id of {one.name}:1")


def test_no_such_log(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="no such log"):
        read_log(tmp_path / "none.jsonl")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
OBJECTS = st.dictionaries(
    st.sampled_from([*GOOD, "id", "words", "marks", "consent", "other"]), VALUES, max_size=7
)
LINES = st.one_of(
    st.binary(max_size=60).filter(lambda b: b"\n" not in b),
    OBJECTS.map(lambda o: json.dumps(o).encode()),
    OBJECTS.map(lambda o: json.dumps({**GOOD, **o}).encode()),
    st.integers(0, 120).map(lambda n: json.dumps(GOOD).encode()[:n]),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, max_size=8))
def test_every_line_is_a_row_or_a_problem(tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "fuzz.jsonl"
    path.write_bytes(b"\n".join(lines))
    found = read_log(path, now=NOW)
    assert len(found) + len(found.problems) == found.lines == sum(bool(line.strip()) for line in lines)
    for problem in found.problems:
        assert problem.what
        assert str(problem).isprintable()
        str(problem).encode()
    assert found.rows["confidence"].dropna().between(0, 1).all()
