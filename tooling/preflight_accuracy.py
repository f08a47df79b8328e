"""How well the pre-flight foretells: its memory and time against real runs, each way to train, two sizes.

``python -m tooling.preflight_accuracy`` writes ``docs/evidence/preflight.json``; runs that were measured
again take the place of the earlier ones, others stay. The second size is a random model of the class with
the starter's tokenizer; ``--true-size CHECKPOINT`` (of ``python -m tooling.true_size``) measures the
released model's size alone. Few steps, so that start, validations and saving count, and more. Time is judged
by seconds of the processor; those of the clock stand beside them, and say little where other work shares the
machine.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tooling.starter import network
from workbench.files import write_atomic
from workbench.finetuning import provenance
from workbench.finetuning.folder import now
from workbench.finetuning.preflight import preflight
from workbench.finetuning.presets import preset
from workbench.finetuning.recipe import Recipe
from workbench.finetuning.run import start
from workbench.recognizer.checkpoint import Checkpoint
from workbench.starter_files import CHECKPOINT, DATA, MANIFEST

log = logging.getLogger("tooling.preflight_accuracy")
EVIDENCE = DATA.parent / "docs" / "evidence" / "preflight.json"
TRAINS = ("adapter", "full", "encoder_frozen", "lora")
LARGER = {
    "layers": 12, "d_model": 512, "heads": 8, "subsampling_channels": 256, "conv_kernel": 9,
    "predictor": 640, "look_aheads": [3, 0, 1, 6, 13],
}  # fmt: skip
STEPS = (24, 72)
VALIDATIONS = 2


def larger(path: Path) -> Path:
    """A random model of the class, about fifteen times the starter, with the starter's tokenizer."""
    if path.is_file():
        return path
    tokens = path.with_suffix(".tokens")
    tokens.mkdir(parents=True, exist_ok=True)
    archive = Checkpoint.open(CHECKPOINT).archive
    for key, name in (("model_path", "tokenizer.model"), ("vocab_path", "vocab.txt")):
        (tokens / name).write_bytes(archive.read(archive.config["tokenizer"][key]))
    network.build(LARGER, 80, tokens).save_to(str(path))
    return path


def recipe_of(base: Path, trains: Any, steps: int) -> Recipe:
    """A short run on the starter's corpus, Greek with replay."""
    made = preset("quick_cpu", str(base), str(MANIFEST), "el-GR", trains=trains, steps=steps, warmup_steps=5)
    validation = tuple(replace(source, utterances_per_locale=3) for source in made.validation)
    return made.changed(
        validation=validation, validate_every=steps // VALIDATIONS, streaming_utterances_per_locale=1
    )


def one(base: Path, trains: str, steps: int, folder: Path) -> dict[str, Any]:
    """What was foretold and what came, of one way to train one base."""
    recipe = recipe_of(base, trains, steps)
    by_sizes = preflight(recipe, folder=folder)
    probed = preflight(recipe, folder=folder, measure_steps=6)
    load, began = os.getloadavg()[0], time.monotonic()
    run = start(recipe, folder / f"{base.stem}-{trains}", check=False)
    ended = run.wait()
    real_s = time.monotonic() - began
    written = sum(file.stat().st_size for file in run.folder.path.rglob("*") if file.is_file())
    found = {
        "base": base.stem,
        "trains": trains,
        "steps": steps,
        "status": ended["status"],
        "weights": probed.total_weights,
        "trained": probed.trained_weights,
        "verdict": [*by_sizes.faults, *probed.faults] or by_sizes.verdict,
        "memory_mb": {
            "by_sizes": round(by_sizes.memory_mb),
            "probed": round(probed.memory_mb),
            "real": round(float(ended["peak_memory_mb"])),
        },
        "time_s": {"foretold": round(probed.total_s or 0.0, 1), "real": round(real_s, 1)},
        "processor_s": {"foretold": round(probed.processor_s or 0.0, 1), "real": ended["processor_s"]},
        "disk_mb": {"foretold": round(probed.disk_needed_mb, 1), "left": round(written / 1e6, 1)},
        "load_before": round(load, 1),
        "measured_at": now(),
    }
    memory, clock, spent = (found[name] for name in ("memory_mb", "time_s", "processor_s"))
    found["off"] = {
        "memory_by_sizes": round(memory["by_sizes"] / memory["real"] - 1, 3),
        "memory_probed": round(memory["probed"] / memory["real"] - 1, 3),
        "time": round(spent["foretold"] / spent["real"] - 1, 3),
        "clock": round(clock["foretold"] / clock["real"] - 1, 3),
    }
    log.info("%s", found)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for, and write the evidence after each run."""
    parser = argparse.ArgumentParser(prog="python -m tooling.preflight_accuracy", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/preflight"))
    parser.add_argument("--out", type=Path, default=EVIDENCE)
    parser.add_argument("--only", nargs="+", default=TRAINS, choices=TRAINS)
    parser.add_argument("--steps", nargs="+", type=int, default=STEPS)
    parser.add_argument("--bases", nargs="+", default=("starter", "larger"), choices=("starter", "larger"))
    parser.add_argument("--true-size", type=Path, help="a checkpoint of the released model's size, alone")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    given.folder.mkdir(parents=True, exist_ok=True)
    made = {"starter": lambda: CHECKPOINT, "larger": lambda: larger(given.folder / "larger.nemo")}
    bases = [given.true_size] if given.true_size else [made[name]() for name in given.bases]
    facts: dict[str, Any] = {
        "schema_version": 1,
        "made_at": now(),
        "git": provenance.git_state(Path(__file__).parent),
        "machine": provenance.environment(),
        "runs": json.loads(given.out.read_text("utf-8"))["runs"] if given.out.is_file() else [],
    }
    for steps, base, trains in itertools.product(given.steps, bases, given.only):
        found = one(base, trains, steps, given.folder / now().replace(":", ""))
        same = (found["base"], found["trains"], found["steps"])
        others = [run for run in facts["runs"] if (run["base"], run["trains"], run["steps"]) != same]
        facts["runs"] = [*others, found]
        write_atomic(given.out, json.dumps(facts, ensure_ascii=False, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
