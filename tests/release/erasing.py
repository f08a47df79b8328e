"""An erasure that is killed with -9 at one of its steps: a change in the file system or an SQL statement.

Steps are counted by audit events (files opened for writing, renamed, removed, made, folders removed), by
``fsync`` and by the statements of every SQLite connection. Run in a process of its own.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

_CHANGES = frozenset({"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.truncate", "os.link"})


class Reaper:
    """Counts steps once it is armed, and kills its process at the wanted one; without one it only counts."""

    def __init__(self, at: int | None) -> None:
        self.at, self.steps, self.armed = at, 0, False

    def step(self) -> None:
        if self.armed:
            self.steps += 1
            if self.steps == self.at:
                os.kill(os.getpid(), signal.SIGKILL)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CHANGES or (event == "open" and _writes(arguments)):
            self.step()

    def arm(self) -> None:
        """Watch from now on. Connections that exist already are not heard."""
        connect, sync = sqlite3.connect, os.fsync

        def watched(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connection = connect(*arguments, **options)
            connection.set_trace_callback(lambda _: self.step())
            return connection

        def counted(descriptor: int) -> None:
            self.step()
            sync(descriptor)

        sqlite3.connect, os.fsync = watched, counted  # type: ignore[assignment]
        sys.addaudithook(self.hear)
        self.armed = True


def _writes(arguments: tuple[Any, ...]) -> bool:
    path, _, flags = arguments
    to_write = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
    return bool(to_write and isinstance(path, str | bytes | Path))


def erase_and_die(workspace: str, at: int | None) -> int:
    """Erase Maria, killed at step ``at``; without one, how many steps there are."""
    from workbench.privacy import erasure
    from workbench.workspace.folder import WorkspaceFolder

    plan = erasure.plan_erasure(WorkspaceFolder(workspace), speaker="Maria")
    reaper = Reaper(at)
    reaper.arm()
    erasure.erase(WorkspaceFolder(workspace), plan)
    reaper.armed = False
    return reaper.steps


def finish_and_look(workspace: str) -> dict[str, Any]:
    """What a later session finds after the kill, once it has completed what was cut off."""
    from erasable import traces_in

    from workbench.privacy import tainted_checkpoints
    from workbench.privacy.erasure import certificates, finish_erasures
    from workbench.privacy.suppression_list import tombstoned
    from workbench.workspace.folder import WorkspaceFolder

    ws = WorkspaceFolder(workspace)
    begun = bool(list((ws.path / "erasures").glob("*.pending.json")))
    finished = finish_erasures(ws)
    made = certificates(ws)
    return {
        "begun": begun,
        "finished": len(finished),
        "ledger": ws.ledger.verify().ok,
        "certificates": len(made),
        "remaining": [c.remaining for c in made],
        "marks": len(tainted_checkpoints.read(ws)),
        "left": traces_in(ws.path, "Maria", "nine four eight", "maria-1"),
        "pending": [p.name for p in (ws.path / "erasures").glob("*.pending.json")],
        "known_again": len(tombstoned(ws, [{"speaker": "Maria"}])),
        "finished_again": len(finish_erasures(ws)),
    }


def forked(work: Callable[..., Any], *arguments: Any) -> tuple[int, Any]:
    """Exit code of a fork of this process that does the work, and what the work returned."""
    mouth, ear = os.pipe()[::-1]
    sys.stdout.flush()
    if (child := os.fork()) == 0:
        try:
            os.write(mouth, json.dumps(work(*arguments)).encode())
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(mouth)
    with os.fdopen(ear) as stream:
        told = stream.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, json.loads(told) if told else None


def main(home: str, scratch: str) -> None:
    """For each line read, a step or ``null``: erase in a copy of ``home``, killed there, have it finished;
    answers each with a line of JSON that says how it went."""
    # Imported once, and none of their threads is started here: forks of this process are whole.
    for name in ("pandas", "pyarrow.parquet", "pyarrow.dataset", "duckdb", "soundfile", "erasable"):
        importlib.import_module(name)
    for room in (
        "privacy.erasure",
        "privacy.removal",
        "corpus.review.decisions",
        "finetuning.plan",
        "finetuning.folder",
    ):
        importlib.import_module(f"workbench.{room}")
    for line in sys.stdin:
        step = json.loads(line)
        copy = Path(scratch) / f"copy{step}"
        shutil.copytree(home, copy)
        facts = copy / "corpora" / "calls" / "source.json"
        facts.write_text(facts.read_text().replace(home, str(copy)))
        code, steps = forked(erase_and_die, str(copy), step)
        looked, found = forked(finish_and_look, str(copy))
        shutil.rmtree(copy)
        print(json.dumps({"code": code, "steps": steps, "looked": looked, "found": found}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
