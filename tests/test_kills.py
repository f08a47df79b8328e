"""Kill -9 in every verb that writes: nothing is lost, the call can be repeated, nothing hidden stays."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from killing import HEARD, PIECEMEAL, VERBS
from small_workspace import small_workspace

ROOT = Path(__file__).parents[1]
EVIDENCE = ROOT / "docs" / "evidence" / "kills-verbs.json"
LAST_WORDS, LAST_HEARD = 60, 16
"""The soak kills at every step of a verb, but at no more than this many of one, spread evenly."""
LISTENERS = ("torch", "onnxruntime", "workbench.recognizer.nemo_restore", "workbench.recognizer.engine")
"""Imported before the forks: they take many seconds, and start no thread."""
_SPEAK = "import sys, pathlib, spoken_workspace as s; s.spoken_workspace(pathlib.Path(sys.argv[1]))"


class Yard:
    """A process that does verbs in copies of a workspace, each time in a fork that is killed at a step."""

    def __init__(self, home: Path, scratch: Path, *modules: str) -> None:
        script = Path(__file__).with_name("killing.py")
        command = [sys.executable, str(script), str(home), str(scratch), *modules]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.unbroken: dict[str, dict[str, Any]] = {}
        self.kills = 0
        """So far; a verb that needs fewer steps than before is done before its kill, and not counted."""

    def ask(self, verb: str, step: int | None) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"verb": verb, "step": step}) + "\n")
        self.process.stdin.flush()
        told: dict[str, Any] = json.loads(self.process.stdout.readline())
        ended = step is None or (told["steps"] is not None and told["steps"] < step)
        assert told["code"] == (0 if ended else -signal.SIGKILL), (verb, step, told)
        assert told["looked"] == 0, (verb, step)
        self.kills += not ended
        return told

    def steps(self, verb: str) -> int:
        """How many steps it has, done whole once."""
        if verb not in self.unbroken:
            self.unbroken[verb] = self.ask(verb, None)
        return int(self.unbroken[verb]["steps"])

    def faults(self, verb: str, step: int) -> list[str]:
        """What is wrong after a kill at this step."""
        self.steps(verb)
        whole, told = self.unbroken[verb]["told"], self.ask(verb, step)
        self.steps("look")
        before, found = self.unbroken["look"]["told"]["found"], told["told"]
        wrong = []
        if verb not in PIECEMEAL and found["found"] not in (before, whole["found"]):
            wrong.append(f"neither before nor after: {_apart(found['found'], before, whole['found'])}")
        if found["after"] not in (whole["found"], whole["after"]):
            wrong.append(
                f"repeated, it is not done: {_apart(found['after'], whole['found'], whole['after'])}"
            )
        wrong += found["faults_after"]
        wrong += [f"left: {name}" for name in (*found["left"], *found["hidden"])]
        short = Counter(whole["kinds"]) - Counter(found["kinds_after"])
        often = Counter(found["kinds_after"]) - Counter(whole["kinds_after"])
        if short or often:
            wrong.append(f"ledger: missing {dict(short)}, too often {dict(often)}")
        return [f"{verb}, step {step} of {self.steps(verb)}: {fault}" for fault in wrong]

    def close(self) -> None:
        self.process.communicate()


def _apart(found: dict[str, Any], *others: dict[str, Any]) -> str:
    keys = [key for key in found if all(found[key] != other[key] for other in others)] or list(found)
    return "; ".join(f"{key}: {str(found[key])[:300]}" for key in keys)


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("kills")
    home = small_workspace(folder / "ws").path
    found = Yard(home, folder)
    yield found
    found.close()


@pytest.fixture(scope="module")
def spoken_yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("spoken")
    home = folder / "ws"
    # In a process of its own, so that none of the engines' threads is in this one.
    subprocess.run([sys.executable, "-c", _SPEAK, str(home)], cwd=ROOT / "tests", check=True)
    found = Yard(home, folder, *LISTENERS)
    yield found
    found.close()


@pytest.mark.parametrize(
    ("verb", "share"),
    [("import replace", 0.5), ("export replace", 0.93), ("export outside", 0.5), ("promote", 0.6),
     ("remove corpus", 0.5), ("import", 0.4), ("prepare launch", 0.4)],
)  # fmt: skip
def test_a_killed_verb_can_be_repeated_and_lost_nothing(yard: Yard, verb: str, share: float) -> None:
    assert yard.faults(verb, max(1, round(share * yard.steps(verb)))) == []


@pytest.mark.model
@pytest.mark.timeout(900)
@pytest.mark.parametrize("verb", ["segment", "draft"])
def test_a_killed_listener_goes_on(spoken_yard: Yard, verb: str) -> None:
    assert spoken_yard.faults(verb, max(1, round(0.6 * spoken_yard.steps(verb)))) == []


@pytest.mark.soak
@pytest.mark.model
@pytest.mark.timeout(6 * 3600)
def test_kills_in_every_verb(yard: Yard, spoken_yard: Yard) -> None:
    kills: dict[str, int] = {}
    steps: dict[str, int] = {}
    faults: list[str] = []
    for place, verbs, most in ((yard, VERBS, LAST_WORDS), (spoken_yard, HEARD, LAST_HEARD)):
        for verb in verbs:
            if not (every := place.steps(verb)):
                continue  # it only looks
            steps[verb], before = every, place.kills
            spread = {round(1 + n * (every - 1) / (most - 1)) for n in range(most)}
            for step in sorted(spread):
                faults += place.faults(verb, step)
            kills[verb] = place.kills - before
            _write(kills, faults, steps)
    assert sum(kills.values()) >= 1000
    assert faults == []


def _write(kills: dict[str, int], faults: list[str], steps: dict[str, int]) -> None:
    """The evidence so far, anew after each verb."""
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    told = {
        "what": "Every verb that writes, killed with -9 at its file changes, syncs and SQL statements, in a "
        "copy of a small workspace; then opened, the verb repeated, verified. A fault: anything that was "
        "there before is missing, the verb cannot be repeated, verify finds something, a hidden draft stays, "
        "or the ledger tells an act twice or not at all.",
        "command": "python -m pytest -m soak tests/test_kills.py",
        "commit": commit.stdout.strip(),
        "date": datetime.now(UTC).date().isoformat(),
        "kills": sum(kills.values()),
        "kills_by_verb": kills,
        "steps_by_verb": steps,
        "faults": faults,
    }
    EVIDENCE.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
