"""Hostile arguments for every public call, on real objects of a small workspace."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import json
import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from small_workspace import small_recipe

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.evaluation.rates import Settings, Thresholds
from workbench.finetuning.registry import Registry
from workbench.workspace.settings import Pilot

HANGS_S = 60
PLAIN: dict[str, Any] = {
    "name": "other", "checkpoint": "base", "candidate": "base", "base": "base", "id": "clip/1",
    "ids": "clip/1", "suite": "pilot", "locale": "en-US", "tag": "en-US", "field": "text", "value": "Hi.",
    "sql": "duration > 0",
    "where": "duration > 0", "reason": "noise", "kind": "export", "by": "target_lang", "limit": 3, "seed": 1,
    "lookahead_ms": 560, "format": "nemo", "names": "base", "a": "base", "b": "tuned", "speaker": "speaker 1",
    "metric": "wer", "normalizer": "basic", "corpus": "calls", "step": 3, "act": "one", "progress": None,
}  # fmt: skip
"""What an argument of this name usually is."""
HEAVY = (
    "Workspace.capacity", "Workspace.conditions", "Workspace.evaluate_lookaheads", "Workspace.export_model",
    "Workspace.finetune", "Workspace.keyword_boost", "Workspace.learning_curve", "Workspace.pipeline",
    "Workspace.run_suite", "Workspace.served", "Workspace.transcribe", "Checkpoint.play", "first_batch",
    "in_conditions", "Release.bundle", "Release.measure", "preflight", "Session",
)  # fmt: skip
"""Called with hostile values for all they must be given: with usual ones they would work for minutes."""
LEFT_OUT = {
    "starter": "makes a workspace of 50 MB", "starter_manifest": "takes nothing",
    "Run.resume": "starts a training process", "Run.wait": "waits for it",
    "Checkpoint.session": "loads NeMo whatever it is given; tests/recognizer",
    "Checkpoint.engine": "loads NeMo whatever it is given; tests/recognizer",
    "Checkpoint.model": "loads NeMo whatever it is given; tests/recognizer",
    "Checkpoint.microphone": "loads NeMo whatever it is given; tests/recognizer",
    "Checkpoint.prepare_onnx": "writes a model for minutes",
    "Workspace.slot": "waits for ever when asked to",
}  # fmt: skip
"""Not called, and why."""


class HungError(BaseException):
    """A call did not come back."""


def hostile(folder: Path) -> list[Any]:
    """Values that no argument means: empty, huge, of another type, not text, not a number, not a file."""
    pipe = folder / "pipe"
    if not pipe.exists():
        os.mkfifo(pipe)
    deep: list[Any] = []
    for _ in range(3000):
        deep = [deep]
    return [
        None, "", " ", "\ud800", "a\0b", "../x", "x" * 70_000, "'; drop table rows; --", "=1+1", "<b>",
        b"\xff", -1, 0, 2**70, -(2**70), 1e308, float("nan"), float("inf"), True, [], {}, (), set(), [None],
        ["\ud800"],
        {"a": None}, {None: 1}, {"\ud800": "\0"}, deep, [[]], [0, "a"], object(), lambda *_: None, iter("ab"),
        np.array([np.nan]), np.zeros((2, 2)), Path("/dev/zero"), Path("/dev/null/x"), pipe, str(pipe), folder,
        Path("/nonexistent/x"), "/nonexistent/x.nemo", range(10**9), int, Exception("x"),
    ]  # fmt: skip


def objects(ws: wb.Workspace) -> dict[str, Any]:
    """One real object of each public class that a small workspace has."""
    corpus = ws.corpus("calls")
    evaluation = wb.evaluate(corpus, "base", "tuned")
    suite = ws.suite("pilot")
    suite.create(["calls"])
    export = corpus.export(ws.path / "exports" / "fuzz", replace=True)
    policy = wb.Policy.from_yaml("checks:\n- {kind: erasure}\n")
    manifest = ws.path / "recordings" / "manifest.jsonl"
    checkpoint = ws.checkpoint("base")
    return {
        "Workspace": ws, "Corpus": corpus, "DecisionStore": corpus.decisions, "Evaluation": evaluation,
        "Checkpoint": checkpoint, "CheckpointInfo": checkpoint.info, "Suite": suite, "Export": export,
        "Release": ws.release("base", base="base"), "Run": ws.run("small"), "Registry": Registry(ws.runs),
        "Recipe": small_recipe(ws), "Policy": policy, "Ledger": ws.ledger, "Condition": wb.Condition(),
        "ImportPlan": wb.inspect_source(manifest), "Settings": Settings(), "Thresholds": Thresholds(),
        "Config": ws.config, "Pilot": Pilot.of({"tag": "el-GR"}), "Board": corpus.board(),
        "Explorer": evaluation.explorer(), "ErasurePlan": wb.plan_erasure(ws, speaker="speaker 1"),
        "Lineage": ws.release("base", base="base").lineage(), "Monitor": ws.run("small").monitor(),
    }  # fmt: skip


@contextlib.contextmanager
def within(seconds: int) -> Iterator[None]:
    """Raise HungError where what is inside takes longer."""

    def late(*_: object) -> None:
        raise HungError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def arguments(
    name: str, function: Callable[..., Any], pool: list[Any], rng: random.Random
) -> tuple[list[Any], dict[str, Any]]:
    """Arguments of a call, at least one of them hostile where it takes any."""
    found = [p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "cls")]
    named = [p for p in found if p.kind is not p.VAR_POSITIONAL]
    given: dict[str, Any] = {}
    for parameter in named:
        if parameter.default is parameter.empty:
            usual = PLAIN.get(parameter.name, pool[0])
            given[parameter.name] = rng.choice(pool) if name in HEAVY or rng.random() < 0.5 else usual
    if named:
        given[rng.choice(named).name] = rng.choice(pool)
    starred = [
        rng.choice(pool) for p in found if p.kind is p.VAR_POSITIONAL for _ in range(rng.randint(0, 2))
    ]
    positional = []
    if starred:  # what stands before them cannot be given by name
        for parameter in itertools.takewhile(lambda p: p.kind is not p.VAR_POSITIONAL, found):
            positional.append(given.pop(parameter.name, PLAIN.get(parameter.name)))
    return [*positional, *starred], given


def fault(name: str, call: Callable[..., Any], args: list[Any], given: dict[str, Any]) -> str | None:
    """What is wrong with how a call went; None where it worked or was refused in one line."""
    try:
        with within(HANGS_S):
            found = call(*args, **given)
            if inspect.isgenerator(found):
                list(itertools.islice(found, 5))
    except (TypeError, KeyboardInterrupt):
        return None
    except WorkbenchError as error:
        said = str(error)
        return (
            None
            if said.strip() and "\n" not in said and len(said) <= 401
            else f"{name}: not one line: {said!r}"
        )
    except HungError:
        return f"{name}({_shown(args, given)}): did not come back in {HANGS_S} s"
    except BaseException as error:
        return f"{name}({_shown(args, given)}): {type(error).__name__}: {str(error)[:200]}"
    return None


def _shown(args: list[Any], given: dict[str, Any]) -> str:
    with contextlib.suppress(Exception):
        return ", ".join(
            [*(ascii(v)[:60] for v in args), *(f"{k}={ascii(v)[:60]}" for k, v in given.items())]
        )
    return json.dumps(sorted(given))
