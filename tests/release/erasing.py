"""An erasure that is killed with -9 at one of its steps, see ``reaper``. Run in a process of its own."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from reaper import Reaper, forked


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
    from workbench.privacy.suppression_list import suppressed
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
        "known_again": len(suppressed(ws, [{"speaker": "Maria"}])),
        "finished_again": len(finish_erasures(ws)),
    }


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
    record = importlib.import_module("workbench.corpus.record")
    for line in sys.stdin:
        step = json.loads(line)
        copy = Path(scratch) / f"copy{step}"
        shutil.copytree(home, copy)
        folder = copy / "corpora" / "calls"
        record.write(folder, json.loads((folder / record.NAME).read_text().replace(home, str(copy))))
        code, steps = forked(erase_and_die, str(copy), step)
        looked, found = forked(finish_and_look, str(copy))
        shutil.rmtree(copy)
        print(json.dumps({"code": code, "steps": steps, "looked": looked, "found": found}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
