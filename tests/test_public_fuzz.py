"""Whatever a public call is given: it works, or raises WorkbenchError of one line, or TypeError."""

from __future__ import annotations

import datetime
import json
import os
import random
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from public_fuzz import LEFT_OUT, arguments, fault, hostile, objects
from small_workspace import small_workspace
from test_public_face import CALLABLES, REACHED

import workbench as wb

ROOT = Path(__file__).parents[1]
EVIDENCE = ROOT / "docs" / "evidence" / "public-fuzz.json"
MOST_MEMORY = 8 << 30
"""Bytes that the calls may take in all beyond what is there before: more is a fault."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], Path]]:
    folder = tmp_path_factory.mktemp("fuzz")
    before = Path.cwd()
    made = objects(small_workspace(folder / "ws"))
    inside = folder / "here"
    inside.mkdir()
    os.chdir(inside)  # where a call that takes a relative path writes
    limits = resource.getrlimit(resource.RLIMIT_AS)
    now = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (now + MOST_MEMORY, limits[1]))
    yield made, inside
    resource.setrlimit(resource.RLIMIT_AS, limits)
    os.chdir(before)


def _callable(name: str, made: dict[str, Any]) -> Callable[..., Any] | None:
    """The call as a user reaches it: of an object, a class or the package; None where there is no object."""
    owner, _, member = name.rpartition(".")
    if not owner or owner == "figures":
        return CALLABLES[name] if member[:1].islower() else _class(name)
    static = isinstance(vars(_class(owner)).get(member), classmethod | staticmethod)
    if isinstance(getattr(_class(owner), member, None), property):
        return (lambda: getattr(made[owner], member)) if owner in made else None
    found = _class(owner) if static else made.get(owner)
    return None if found is None else getattr(found, member)


def _class(name: str) -> Any:
    if name in wb.__all__:
        return getattr(wb, name)
    module = next(module for module, names in REACHED.items() if name in names)
    return getattr(__import__(f"workbench.{module}", fromlist=[name]), name)


def _fuzzed(
    made: dict[str, Any], folder: Path, rng: random.Random, names: list[str]
) -> tuple[int, list[str]]:
    calls, faults = 0, []
    for name in names:
        call = _callable(name, made)
        if name in LEFT_OUT or call is None:
            continue
        args, given = arguments(name, CALLABLES[name], hostile(folder), rng)
        calls += 1
        if (found := fault(name, call, args, given)) is not None:
            faults.append(found)
    return calls, faults


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_every_public_call_refuses_what_it_cannot_take(ground: tuple[dict[str, Any], Path]) -> None:
    made, folder = ground
    calls, faults = _fuzzed(made, folder, random.Random(2020), list(CALLABLES))
    assert calls > 250
    assert faults == []


@pytest.mark.soak
@pytest.mark.timeout(8 * 3600)
def test_many_hostile_calls(ground: tuple[dict[str, Any], Path]) -> None:
    made, folder = ground
    rng, calls, faults = random.Random(30), 0, list[str]()
    for _ in range(int(os.environ.get("FUZZ_ROUNDS", "20"))):
        more, found = _fuzzed(made, folder, rng, list(CALLABLES))
        calls, faults = calls + more, faults + found
    reached = [name for name in CALLABLES if name not in LEFT_OUT and _callable(name, made) is not None]
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    told = {
        "what": "Public functions, constructors, methods and properties called with hostile arguments on "
        "real objects. A fault: anything but a result, a WorkbenchError of one line or a TypeError, or no "
        "answer in a minute.",
        "command": "FUZZ_ROUNDS=20 python -m pytest -m soak tests/test_public_fuzz.py",
        "commit": commit.stdout.strip(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": sys.version.split()[0],
        "members": len(CALLABLES),
        "members_called": len(reached),
        "not_called": LEFT_OUT,
        "no_object": sorted({n.split(".")[0] for n in CALLABLES if _callable(n, made) is None}),
        "calls": calls,
        "faults": sorted(set(faults)),
    }
    EVIDENCE.write_text(json.dumps(told, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
    assert faults == []
