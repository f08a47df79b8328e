"""Every verb that writes, killed with -9 at one of its steps, and what a later session finds.

Run in a process of its own: ``killing.py HOME SCRATCH`` answers lines ``{"verb": …, "step": …}``.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from reaper import Reaper, forked
from small_workspace import STARTER, copied, small_recipe

from workbench import files
from workbench.api import Workspace
from workbench.corpus.quality.signal import scan
from workbench.errors import WorkbenchError
from workbench.privacy.erasure import erase, plan_erasure


def _manifest(ws: Workspace) -> Path:
    return ws.path / "recordings" / "manifest.jsonl"


def _outside(ws: Workspace) -> Path:
    return ws.path.with_name(f"{ws.path.name}-out") / "calls"


VERBS: dict[str, Callable[[Workspace], Any]] = {
    "import": lambda ws: ws.import_corpus("more", _manifest(ws)),
    "import replace": lambda ws: ws.import_corpus("calls", _manifest(ws), replace=True),
    "remove corpus": lambda ws: ws.remove_corpus("calls"),
    "accept": lambda ws: ws.corpus("calls").accept(),
    "reject": lambda ws: ws.corpus("calls").where("id = 'clip/3'").reject("noise"),
    "edit": lambda ws: ws.corpus("calls").where("id = 'clip/3'").edit("text", "Another text."),
    "undo": lambda ws: ws.corpus("calls").decisions.undo(),
    "split": lambda ws: ws.corpus("calls").split(seed=3, speakers="shared"),
    "scan": lambda ws: scan(ws.corpus("calls"), processes=1),
    "export": lambda ws: ws.corpus("calls").export(ws.path / "exports" / "new"),
    "export replace": lambda ws: ws.corpus("calls").export(ws.path / "exports" / "calls", replace=True),
    "export outside": lambda ws: ws.corpus("calls").export(_outside(ws), "csv", replace=True),
    "export shar": lambda ws: ws.corpus("calls").export(ws.path / "exports" / "shar", "shar"),
    "export tarred": lambda ws: ws.corpus("calls").export(ws.path / "exports" / "tarred", "tarred"),
    "import prediction": lambda ws: ws.import_prediction(
        ws.corpus("calls"), {f"clip/{n}": "The water." for n in range(8)}, "other", engine="other"
    ),
    "add checkpoint": lambda ws: ws.add_checkpoint("again", STARTER),
    "prepare launch": lambda ws: ws.prepare_launch(small_recipe(ws), "second"),
    "promote": lambda ws: ws.release("base", base="base").promote(override="again"),
    "look": lambda ws: None,
    "set terms": lambda ws: ws.set_terms("calls", consent="asked"),
    "configure": lambda ws: ws.configure(slots=3),
    "set pilot": lambda ws: ws.set_pilot({"tag": "it-IT", "traffic_share": 0.5}),
    "add locale": lambda ws: ws.add_locale("ca-ES"),
    "create suite": lambda ws: ws.suite("pilot").create(["calls"]),
    "erase": lambda ws: erase(ws, plan_erasure(ws, speaker="speaker 1")),
}  # fmt: skip
"""What is killed; each may be asked for again."""

HEARD: dict[str, Callable[[Workspace], Any]] = {
    "segment": lambda ws: ws.segment(ws.corpus("calls"), "again"),
    "transcribe": lambda ws: ws.transcribe(ws.corpus("segments"), "starter", "live", streaming=True),
    "draft": lambda ws: ws.draft(ws.corpus("segments"), "starter", name="second"),
    "align": lambda ws: ws.align(_accepted(ws), "aligned", "draft"),
    "bleep": lambda ws: ws.bleep(_accepted(ws), "bleeped", "draft", ["Llamar"]),
    "run suite": lambda ws: ws.run_suite("pilot", "starter"),
    "calibrate": lambda ws: ws.calibrate(ws.corpus("spoken"), "said"),
    "conditions": lambda ws: ws.conditions(
        "starter", ws.corpus("spoken").where("id < 'a-2'"), snr_db=(None, 10), bands=("wide",)
    ),
    "capacity": lambda ws: ws.capacity(
        "starter", ws.corpus("spoken"), clips=2, streams=(1, 2), lookaheads_ms=(560,), repeats=1, call_s=0.6,
        memory_sessions=(1,), budget_ms=None,
    ),
    "export model": lambda ws: ws.export_model("starter", ws.path / "packages" / "again", replace=True),
}  # fmt: skip
"""What listens, and is killed in a workspace with speech."""


def _accepted(ws: Workspace) -> Any:
    return ws.corpus("segments").where("status = 'accepted'")


PIECEMEAL = frozenset({"erase"})
"""Does its work thing by thing, each whole; what is left of it is done by whoever comes next."""


def die(verb: str, path: str, at: int | None) -> int:
    """Do it, killed at step ``at``; without one, how many steps there are."""
    reaper = Reaper(at)
    ws = Workspace(path)
    reaper.arm()
    (VERBS | HEARD)[verb](ws)
    reaper.armed = False
    return reaper.steps


def holds(path: str | Path) -> dict[str, Any]:
    """All that a team would miss: rows as decided, predictions, exports, runs, pointers, settings."""
    ws = Workspace(path)
    corpora = {}
    for name in ws.corpus_names():
        corpus = ws.corpus(name)
        columns = [c for c in ("id", "text", "status", "split", "speaker") if c in corpus.columns]
        rows = corpus.frame()[columns].astype(str).sort_values("id").to_numpy().tolist()
        corpora[name] = [rows, sorted(corpus.prediction_names())]
    # The candidate is pointed to first, and production in a move of its own.
    pointers = [json.loads(p.read_text()) for p in (ws.releases / "current").glob("pointers.json")]
    records = [*ws.path.rglob("export.json"), *_outside(ws).parent.rglob("export.json")]
    return {
        "corpora": corpora,
        "exports": sorted(p.parent.name for p in records if not p.parent.name.startswith(".")),
        "checkpoints": ws.checkpoint_names(),
        "runs": {name: ws.run(name).state["status"] for name in ws.run_names()},
        "pointers": [
            {k: (p.get(k) or {}).get("sha256") for k in ("production", "previous")} for p in pointers
        ],
        "settings": ws.settings_path.read_text() if ws.settings_path.exists() else "",
        # Of two who ask for the same erasure, both get one.
        "certificate": any((ws.path / "erasures").glob("erasure-*.json")),
        "reports": sorted(str(p.relative_to(ws.path)) for p in ws.reports.rglob("*.json")),
        "suites": sorted(str(p.relative_to(ws.path)) for p in (ws.path / "suites").rglob("*.parquet")),
        "packages": [p.name for p in (ws.path / "packages").glob("[!.]*")],
    }


def look(verb: str, path: str) -> dict[str, Any]:
    """What a later session finds, and what it finds once the call was repeated."""
    files.DRAFT_S = 0.0
    found = holds(path)
    ws = Workspace(path)
    kinds = Counter(event.kind for event in ws.ledger.events())
    refused = ""
    try:
        (VERBS | HEARD)[verb](ws)
    except WorkbenchError as error:
        refused = str(error)
    whole = ws.verify()
    return {
        "found": found, "refused": refused, "after": holds(path),
        "faults_after": [*whole.faults, *([] if whole.ledger.ok else [str(whole.ledger)])],
        "left": list(whole.leftovers), "kinds": kinds,
        "kinds_after": Counter(event.kind for event in ws.ledger.events()),
        "hidden": sorted(p.name for p in _outside(ws).parent.glob(".*")),
    }  # fmt: skip


def main(home: str, scratch: str, *more: str) -> None:
    """For each line read: the verb in a copy of ``home``, killed there, looked at; a line of JSON on it.

    ``more``: further modules to import first.
    """
    # Imported once, and none of their threads is started here: forks of this process are whole.
    for name in (
        "pandas",
        "pyarrow.parquet",
        "pyarrow.dataset",
        "duckdb",
        "soundfile",
        "lhotse",
        "sentencepiece",
        *more,
    ):
        importlib.import_module(name)
    for line in sys.stdin:
        asked = json.loads(line)
        copy = copied(Workspace(home), Path(scratch) / f"copy-{asked['step']}")
        code, steps = forked(die, asked["verb"], str(copy), asked["step"])
        looked, told = forked(look, asked["verb"], str(copy))
        shutil.rmtree(copy)
        shutil.rmtree(_outside_of(copy), ignore_errors=True)
        print(
            json.dumps({"code": code, "steps": steps, "looked": looked, "told": told}),
            flush=True,
        )


def _outside_of(copy: Path) -> Path:
    return copy.with_name(f"{copy.name}-out")


if __name__ == "__main__":
    main(*sys.argv[1:])
