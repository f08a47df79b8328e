"""A team's way at the released model's size: an adapter trained, cancelled and resumed, measured, and gated.

Run: python -m benchmarks.true_size_chain CHECKPOINT [--folder FOLDER]

``CHECKPOINT`` is made by ``python -m tooling.true_size --out CHECKPOINT``; its weights are random, so this
tells that each step works, what it takes, and what is judged of it, and nothing of accuracy. The result goes
to ``docs/evidence/true-size.json`` under ``chain``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import workbench as wb
from benchmarks.true_size import ROOT, record
from tooling.preflight_accuracy import recipe_of
from workbench.finetuning.run import Run

POLICY = ROOT / "notebooks" / "policy.yaml"
STEPS, CANCELLED_AT = 6, 2
CLIPS = 6
"""Read by base and candidate for the gate."""


def chain(path: Path, folder: Path) -> dict[str, Any]:
    """Go through it in a workspace in ``folder``; what each step took."""
    ws = wb.Workspace(folder / "workspace")
    base = ws.add_checkpoint("true-size", path)
    corpus = ws.import_corpus("starter", wb.starter_manifest())
    recipe = recipe_of(base.path, "adapter", STEPS)
    foretold = wb.preflight(recipe, folder=folder)
    run = ws.finetune(recipe, name="adapter")
    cancelled = _cancelled(run)
    kept = sum(file.stat().st_size for file in run.folder.path.rglob("*") if file.is_file())
    finished = run.resume().wait()
    losses = run.metrics("train").drop_duplicates("step")
    clips = corpus.where("split = 'test' AND duration BETWEEN 2 AND 3 AND target_lang = 'es-US'")
    clips = clips.sample(CLIPS, seed=1)
    for name in ("true-size", "adapter"):
        ws.transcribe(clips, name, f"read-by-{name}", runtime="torch")
    release = ws.release("adapter", base="true-size")
    measured = release.measure(clips, clips=CLIPS)
    report = release.gate(wb.Policy.from_yaml(POLICY), release.evaluation())
    [memory] = [check for check in report.checks if check.kind == "memory"]
    return {
        "preflight": {"verdict": foretold.verdict, "memory_mb": round(foretold.memory_mb)},
        "run": {
            "cancelled": cancelled,
            "resumed": finished["status"],
            "steps": [int(step) for step in losses["step"]],
            "peak_memory_mb": round(float(finished["peak_memory_mb"])),
            "folder_when_cancelled_mb": round(kept / 1e6, 1),
        },
        "measured": {
            "loading_mib": round(measured.loading_mib),
            "memory_mib": round(measured.memory_mib),
            "weights_mib": round(measured.weights_mib),
        },
        "memory check of the shipped policy": {"verdict": memory.verdict, "because": memory.because},
    }


def _cancelled(run: Run) -> str:
    """Cancel after some steps; what the run says of itself."""
    while int(run.state.get("step") or 0) < CANCELLED_AT and run.alive:
        time.sleep(0.2)
    run.cancel()
    return str(run.wait()["status"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--folder", type=Path, help="for 15 GB; default: beside the checkpoint")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder or given.checkpoint.parent) as folder:
        found = chain(given.checkpoint, Path(folder))
    print(json.dumps(found, indent=1))
    record({"chain": found})


if __name__ == "__main__":
    main()
