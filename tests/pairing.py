"""Two verbs at once on one workspace, by two processes that start together.

Run in a process of its own: ``pairing.py HOME SCRATCH`` answers lines ``[first, second]``.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from killing import VERBS, holds
from reaper import forked
from small_workspace import WORDS, copied

from workbench import files
from workbench.api import Workspace
from workbench.errors import WorkbenchError
from workbench.privacy import traces
from workbench.privacy.erasure_request import Target


def told(verb: str, path: str) -> str:
    """Do it; empty where it was done, else why not: a refusal of one line, or what came raw."""
    try:
        VERBS[verb](Workspace(path))
    except WorkbenchError as error:
        return str(error) if "\n" not in str(error) else f"raw: not one line: {error}"
    except Exception as error:
        return f"raw: {type(error).__name__}: {error}"[:300]
    return ""


def at_once(first: str, second: str, path: str) -> list[str]:
    """What each of the two told; both wait until both are there."""
    gate = os.eventfd(0, os.EFD_SEMAPHORE)
    begun = []
    for verb in (first, second):
        answer, mouth = os.pipe()
        if (child := os.fork()) == 0:
            os.eventfd_read(gate)
            os.write(mouth, told(verb, path).encode())
            os._exit(0)
        os.close(mouth)
        begun.append((child, answer))
    os.eventfd_write(gate, 2)
    answers = []
    for child, answer in begun:
        with os.fdopen(answer) as stream:
            answers.append(stream.read())
        if os.waitpid(child, 0)[1]:
            answers[-1] = "raw: it ended without an answer"
    os.close(gate)
    return answers


def one_by_one(verbs: list[str], home: str, copy: Path) -> Any:
    """The state after the verbs, one after the other, in a copy of its own."""
    path = copied(Workspace(home), copy)
    for verb in verbs:
        forked(told, verb, str(path))
    state = forked(holds, str(path))[1]
    shutil.rmtree(path)
    return state


def look(path: str) -> dict[str, Any]:
    """What a later session finds."""
    files.DRAFT_S = 0.0
    found = holds(path)
    ws = Workspace(path)
    whole = ws.verify()
    faults = [*whole.faults, *([] if whole.ledger.ok else [str(whole.ledger)])]
    return {"state": found, "faults": [*faults, *(_traces(ws) if found["certificate"] else [])]}


def _traces(ws: Workspace) -> list[str]:
    """What is left of the speaker that was erased."""
    ids = {name: [f"clip/{n}" for n in (1, 4, 7)] for name in ws.corpus_names()}
    texts = {f"The {WORDS[n]} is here." for n in (1, 4, 7)}
    target = Target("speaker", "speaker 1", ids, {"speaker 1"}, texts, {})
    return [
        f"erased, and still there: {trace.where} ({trace.action})"
        for trace in traces.find(ws, target, originals=False)
        if trace.action != "leave"
    ]


def main(home: str, scratch: str) -> None:
    """Answers each pair with what both told, what was found, and the states that they could have left."""
    for name in ("pandas", "pyarrow.parquet", "pyarrow.dataset", "duckdb", "soundfile", "sentencepiece"):
        importlib.import_module(name)
    serial: dict[str, Any] = {}
    for line in sys.stdin:
        first, second = json.loads(line)
        path = copied(Workspace(home), Path(scratch) / "pair")
        said = at_once(first, second, str(path))
        found = forked(look, str(path))[1]
        shutil.rmtree(path)
        shutil.rmtree(path.with_name("pair-out"), ignore_errors=True)
        orders = [[first, second], [second, first]]
        orders += [[second]] if said[0] else []
        orders += [[first]] if said[1] else []
        for order in orders:
            key = json.dumps(order)
            if key not in serial:
                serial[key] = one_by_one(order, home, Path(scratch) / "serial")
                shutil.rmtree(Path(scratch) / "serial-out", ignore_errors=True)
        possible = found is not None and found["state"] in [serial[json.dumps(order)] for order in orders]
        print(json.dumps({"said": said, "found": found, "possible": possible}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
