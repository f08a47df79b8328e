"""Shards on a real Ray cluster: each result once, whatever dies; faults and absence in one clear line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import work

from workbench.cluster import check_engine, connected, over_ray
from workbench.errors import WorkbenchError


@pytest.fixture(autouse=True)
def _carried(request: pytest.FixtureRequest) -> Any:
    """Send these tests' functions by value: workers have no path to them."""
    if "cluster" not in request.fixturenames:
        yield
        return
    request.getfixturevalue("cluster")
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(work)
    yield
    cloudpickle.unregister_pickle_by_value(work)


def test_each_shard_is_given_once_though_workers_die(cluster: Any, tmp_path: Path) -> None:
    shards = [(n, str(tmp_path), n in (2, 5, 11)) for n in range(14)]
    found = list(over_ray(work.square, shards))
    assert sorted(found) == [(n, n * n) for n in range(14)]
    for n in (2, 5, 11):
        assert len(list(tmp_path.glob(f"{n}.*"))) == 2


def test_work_goes_to_every_node(cluster: Any) -> None:
    assert len({node for _, node in over_ray(work.node_of, [(n,) for n in range(8)])}) == 2


def test_a_node_that_goes_takes_no_shard_with_it(cluster: Any) -> None:
    third = cluster.add_node(num_cpus=2, object_store_memory=100 << 20)
    cluster.wait_for_nodes()
    found = []
    for number, value in over_ray(work.slow, [(n,) for n in range(24)]):
        found.append((number, value))
        if len(found) == 4:
            cluster.remove_node(third, allow_graceful=False)
    assert sorted(found) == [(n, n) for n in range(24)]


def test_a_shard_that_always_kills_is_named(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="shard 0: its worker died 2 times") as raised:
        list(over_ray(work.poison, [(0, str(tmp_path))], attempts=2))
    assert "engine='local'" in raised.value.hint
    assert len(list(tmp_path.iterdir())) == 2


def test_a_fault_of_the_function_is_its_own_and_not_tried_again(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError) as raised:
        list(over_ray(work.fault, [(7, str(tmp_path))]))
    assert (raised.value.what, raised.value.where) == ("nothing to hear", "clip 7")
    assert raised.value.hint == "Speak up."
    assert len(list(tmp_path.iterdir())) == 1


def test_cancelling_ends_it(cluster: Any) -> None:
    found: list[Any] = []
    for one in over_ray(work.slow, ((n,) for n in range(10_000)), cancel=lambda: len(found) >= 3):
        found.append(one)
    assert 3 <= len(found) < 10


def test_a_connection_is_held_over_calls_and_a_foreign_one_left_alone(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    opened: list[Any] = []
    monkeypatch.setattr(ray, "init", lambda **options: opened.append(options))
    monkeypatch.setattr(ray, "shutdown", lambda: opened.append("shut"))
    with connected("ray", cluster.address):
        assert sorted(over_ray(work.slow, [(1,)])) == [(0, 1)]
    assert opened == []  # this process was connected before
    monkeypatch.setattr(ray, "is_initialized", lambda: bool(opened) and opened[-1] != "shut")
    with connected("ray", "10.0.0.1:6379"):
        assert sorted(over_ray(work.slow, [(2,)])) == [(0, 2)]
        assert sorted(over_ray(work.slow, [(3,)])) == [(0, 3)]
    assert [entry if entry == "shut" else entry["address"] for entry in opened] == ["10.0.0.1:6379", "shut"]


def test_without_ray_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(WorkbenchError) as raised:
        check_engine("ray")
    assert str(raised.value) == (
        "engine='ray': Ray is not installed. "
        "Hint: Install it with: pip install -e '.[cluster]' -c constraints.txt"
    )
    check_engine("local")
    with connected("local"):
        pass


def test_engines_and_addresses_that_do_not_fit() -> None:
    with pytest.raises(WorkbenchError, match=r"unknown engine 'spark'. Hint: Use local or ray"):
        check_engine("spark")
    with pytest.raises(WorkbenchError, match="an address needs engine='ray'"):
        check_engine("local", "10.0.0.1:6379")
