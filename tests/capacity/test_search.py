"""The search for the largest number of streams, budgets, memory lines, and choosing the look-ahead."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.capacity import Budget, Capacity, Measurement, choose
from workbench.capacity.measurement import Memory, fitted
from workbench.capacity.search import Largest, Search
from workbench.capacity.sweep import spoken_calls
from workbench.errors import WorkbenchError


def _walk(search: Search, holds: Any) -> tuple[Largest, list[int]]:
    tried = list(search.steps(lambda streams, repeat: holds(streams, repeat)))
    return search.found(), tried


@given(limit=st.integers(0, 300), start=st.integers(1, 40), repeats=st.sampled_from([1, 3]))
def test_the_search_finds_the_limit_within_its_tolerance(limit: int, start: int, repeats: int) -> None:
    search = Search(560, start=start, ceiling=256, tolerance=0.05, repeats=repeats)
    found, tried = _walk(search, lambda streams, repeat: streams <= limit)
    assert found.complete
    if limit >= 256:
        assert (found.streams, found.fails_at) == (256, None)
    else:
        assert found.fails_at is not None
        assert found.streams <= limit < found.fails_at
        assert found.fails_at - found.streams <= max(1, 0.05 * found.streams)
    assert len(tried) <= 2 * repeats * 20
    assert found.kept == (repeats // 2 + 1 if found.streams else 0)


def test_one_disturbed_repeat_does_not_decide() -> None:
    found, _ = _walk(
        Search(560, ceiling=64, repeats=3), lambda streams, repeat: streams <= 20 and repeat != 0
    )
    assert (found.streams, found.kept, found.repeats) == (20, 2, 3)


def test_a_search_left_half_way_says_so() -> None:
    search = Search(560, ceiling=64, repeats=1)
    steps = search.steps(lambda streams, repeat: streams <= 20)
    for _ in range(4):
        next(steps)
    found = search.found()
    assert not found.complete
    assert found.streams == 4
    assert str(found) == "at least 4"


def measurement(lookahead_ms: int = 560, streams: int = 4, **changes: Any) -> Measurement:
    times = {"p50": 100.0, "p95": 200.0, "p99": 250.0, "max": 260.0, "count": 40}
    values: dict[str, Any] = {f.name: 0 for f in dataclasses.fields(Measurement)}
    values |= {name: times for name in ("first_token_ms", "word_ms", "last_token_ms", "step_ms")}
    values |= {"lookahead_ms": lookahead_ms, "streams": streams, "purpose": "grid", "gpu_share": None}
    values |= {"gpu_mib": None, "given_up": False, "at": "2026-01-01T00:00:00+00:00", "busy": 0.4}
    return Measurement(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"last_token_ms": {"count": 0}}, False),
        ({"given_up": True}, False),
        ({"backlog_s": 1.7}, False),
        ({"last_token_ms": {"p95": 301.0, "count": 1}}, False),
    ],
)
def test_a_budget_is_kept_by_what_was_timed_and_nothing_else(changes: dict[str, Any], holds: bool) -> None:
    assert measurement(**changes).holds(Budget(300)) is holds


def test_budgets_that_make_no_sense_are_refused() -> None:
    for faulty in (
        {"latency_ms": 0},
        {"latency_ms": 10, "metric": "tokens"},
        {"latency_ms": 1, "percentile": "p9"},
    ):
        with pytest.raises(WorkbenchError):
            Budget(**faulty)  # type: ignore[arg-type]


def capacity(
    measurements: list[Measurement], largest: list[Largest], memory: list[Memory] | None = None
) -> Capacity:
    return Capacity(
        "starter", "ab" * 32, "auto", 0, 6.0, 1, 1, Budget(300), "2026-01-01T00:00:00+00:00",
        machine={"processor": "x86_64, 2 cores usable", "cores": 2, "threads": 1, "memory_mib": 1000.0},
        measurements=measurements, largest=largest, memory=memory or [],
    )  # fmt: skip


def test_the_json_gives_the_same_sweep_and_extrapolations_are_labeled(tmp_path: Path) -> None:
    slope, base, straight = fitted([8, 24, 48], [100 + 0.5 * n for n in (8, 24, 48)])
    line = Memory(560, (8, 24, 48), (104.0, 112.0, 124.0), slope, base, straight, 0.5)
    made = capacity([measurement(), measurement(streams=8)], [Largest(560, 8, None, 3, 3)], [line])
    read = Capacity.load(made.save(tmp_path / "capacity.json"))
    assert read == made
    found = {entry["what"]: entry for entry in made.to_dict()["extrapolated"]}
    assert found["memory"]["streams"] == 1800
    assert found["computing"]["streams"] == 20
    assert all(entry["kind"] == "extrapolated" for entry in found.values())
    assert "1800" not in " ".join(made.lines())
    assert "0.50 MiB per stream" in made.line()
    assert "at least 8 streams" in made.line()


def test_a_straight_line_below_what_was_measured_is_not_drawn() -> None:
    measurements = [measurement(streams=16, busy=0.5), measurement(streams=96, busy=0.85)]
    assert not capacity(measurements, [Largest(560, 96, None, 2, 2)]).extrapolations()
    [guess] = capacity(measurements[:1], [Largest(560, 16, None, 2, 2)]).extrapolations()
    assert guess["streams"] == 32


def test_others_count_where_the_machine_was_full() -> None:
    idle = measurement(streams=1, cpu_share=0.1, machine_cpu_share=1.0)
    full = measurement(streams=8, cpu_share=0.95, machine_cpu_share=1.0)
    assert "other processes" not in capacity([idle, full], [Largest(560, 8, 9, 2, 2)]).line()
    crowded = measurement(streams=8, cpu_share=0.5, machine_cpu_share=1.0)
    made = capacity([idle, crowded], [Largest(560, 8, 9, 2, 2)]).line()
    assert "where other processes took 50% of the cores" in made


def test_a_file_that_is_no_sweep(tmp_path: Path) -> None:
    path = tmp_path / "capacity.json"
    for text in ("", "[]", '{"schema_version": 1}', '{"schema_version": 99}'):
        path.write_text(text)
        with pytest.raises(WorkbenchError):
            Capacity.load(path)


def test_calls_are_of_one_length_and_never_empty() -> None:
    rng = np.random.default_rng(1)
    clips = [rng.normal(size=n).astype(np.float32) for n in (0, 900, 16_000, 90_000)]
    made = spoken_calls(clips, 16_000, 2.0, seed=3)
    assert [len(call) for call in made] == [32_000] * 3
    assert np.array_equal(made[1][:16_000], clips[2])
    with pytest.raises(WorkbenchError, match="no clips"):
        spoken_calls([clips[0]], 16_000, 2.0, seed=3)


def tradeoff(**rates: list[float]) -> pd.DataFrame:
    rows = [
        {"name": f"s{ms}", "target_lang": tag.replace("_", "-"), "lookahead_ms": ms, "rate": rate}
        | {"low": rate - 0.02, "high": rate + 0.02, "enough": "yes"}
        | {"latency_p50_s": ms / 2000, "latency_p95_s": ms / 1000}
        for tag, values in rates.items()
        for ms, rate in zip((80, 560, 1120), values, strict=True)
    ]
    return pd.DataFrame(rows)


def test_the_recommended_setting_is_the_most_accurate_one_within_the_budget() -> None:
    points = tradeoff(el_GR=[0.4, 0.3, 0.2], en_US=[0.2, 0.1, 0.1], it_IT=[0.1, 0.2, 0.3])
    assert choose(points).recommended == {"el-GR": 1120, "en-US": 560, "it-IT": 80}
    assert choose(points, latency_p95_s=0.6).recommended == {"el-GR": 560, "en-US": 560, "it-IT": 80}
    found = choose(points, latency_p95_s=0.01)
    assert found.recommended == {}
    assert all("no look-ahead keeps the budget" in sentence for sentence in found.sentences())
    beaten = found.table[(found.table["locale"] == "it-IT") & ~found.table["on_tradeoff"]]
    assert beaten["lookahead_ms"].tolist() == [560, 1120]


def test_streams_of_the_machine_enter_the_choice() -> None:
    measurements = [measurement(ms, streams) for ms, streams in ((80, 4), (560, 16), (1120, 24))]
    largest = [Largest(c.lookahead_ms, c.streams, c.streams + 1, 3, 3) for c in measurements]
    found = choose(tradeoff(el_GR=[0.2, 0.3, 0.4]), capacity(measurements, largest), streams=10)
    assert found.recommended == {"el-GR": 560}
    table = found.table.set_index("lookahead_ms")
    assert table["streams"].tolist() == [4, 16, 24]
    assert table["on_tradeoff"].all()
    assert table.loc[80, "why_not"] == "4 streams"
    assert table.loc[560, "latency_p95_s"] == 0.2


def test_what_was_not_measured_is_not_recommended() -> None:
    points = tradeoff(el_GR=[0.4, 0.3, 0.2])
    points.loc[2, "latency_p95_s"] = float("nan")
    points.loc[1, "enough"] = "no"
    assert choose(points, latency_p95_s=2.0).recommended == {"el-GR": 80}
    with pytest.raises(WorkbenchError, match="capacity sweep"):
        choose(points, streams=5)
    with pytest.raises(WorkbenchError, match="two predictions at 80 ms"):
        choose(pd.concat([points, points]))


def test_a_file_of_the_first_schema_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    held = capacity([measurement(560, 2)], []).to_dict()
    held = {"cells" if key == "measurements" else key: value for key, value in held.items()}
    path.write_text(json.dumps({**held, "schema_version": 1}), "utf-8")
    assert [found.streams for found in Capacity.load(path).measurements] == [2]
