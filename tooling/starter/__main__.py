"""``python -m tooling.starter`` recordings, speech, checkpoint, card, adaptation: ``data/`` and evidence."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.starter_files import CHECKPOINT, CORPUS


def main(arguments: list[str] | None = None) -> int:
    """Run one step; returns the exit code (2: a fault that the message says how to fix)."""
    parser = argparse.ArgumentParser(prog="python -m tooling.starter", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    recordings = steps.add_parser(
        "recordings", help="fetch the Debian packages, re-encode, write the manifest"
    )
    recordings.add_argument(
        "--packages", type=Path, default=Path("build/packages"), help="where .deb files are kept"
    )
    recordings.add_argument("--out", type=Path, default=CORPUS)
    recordings.add_argument(
        "--unheard", type=Path, default=CORPUS.with_name("unheard"), help="voices that no starter hears"
    )
    speech = steps.add_parser("speech", help="make hours of speech by programs, for training only")
    speech.add_argument("--packages", type=Path, default=Path("build/packages"))
    speech.add_argument("--folder", type=Path, default=Path("build/speech"), help="where its shards lie")
    speech.add_argument("--hours", type=float, default=12.0)
    speech.add_argument("--seed", type=int, default=41)
    checkpoint = steps.add_parser("checkpoint", help="train the starter checkpoint (hours on two cores)")
    checkpoint.add_argument(
        "--folder", type=Path, default=Path("build/starter"), help="state, features, metrics"
    )
    checkpoint.add_argument("--out", type=Path, default=CHECKPOINT)
    checkpoint.add_argument("--recipe", type=Path, help="another recipe than the package's recipe.yaml")
    checkpoint.add_argument(
        "--packages", type=Path, default=Path("build/packages"), help="for a recipe that makes speech"
    )
    checkpoint.add_argument("--resume", action="store_true", help="continue what --folder holds")
    checkpoint.add_argument("--threads", type=int, default=2)
    checkpoint.add_argument("--device", default="cpu", help="cpu or cuda")
    card = steps.add_parser(
        "card", help="measure the checkpoint on unseen sentences; write evidence and data card"
    )
    card.add_argument(
        "--folder", type=Path, default=Path("build/evidence"), help="predictions, kept between calls"
    )
    card.add_argument("--metrics", type=Path, default=Path("build/starter/metrics.jsonl"))
    card.add_argument("--every", type=int, default=1, help="measure each n-th test clip only")
    adapt = steps.add_parser("adaptation", help="adapt to Greek and Bulgarian twelve times; write evidence")
    adapt.add_argument("--folder", type=Path, default=Path("build/adaptation"), help="runs, predictions")
    adapt.add_argument(
        "--only", nargs="+", default=(), help="locales or names such as el-GR-adapter-replay; default: all"
    )
    adapt.add_argument("--steps", type=int, help="instead of the preset's")
    adapt.add_argument("--out", type=Path, help="evidence file; default docs/evidence/adaptation.json")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        chosen = {
            "recordings": _recordings,
            "speech": _speech,
            "checkpoint": _checkpoint,
            "card": _card,
            "adaptation": _adaptation,
        }
        chosen[given.step](given)
    except WorkbenchError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _recordings(given: argparse.Namespace) -> None:
    from tooling.starter.recordings import build
    from tooling.starter.voices import UNHEARD_VOICES
    from workbench.widgets.progress import progress_bar

    with progress_bar("recordings", None, unit="clip") as progress:
        build(given.packages, given.out, progress)
        build(given.packages, given.unheard, progress, UNHEARD_VOICES)


def _speech(given: argparse.Namespace) -> None:
    from tooling.starter.made import speech
    from tooling.starter.recordings import fetch_packages
    from workbench.recognizer.checkpoint import Checkpoint
    from workbench.starter_files import DATA
    from workbench.widgets.progress import progress_bar

    fetch_packages(given.packages, speech.PACKAGES)
    preprocessor = Checkpoint.open(CHECKPOINT).model("cpu", "fp32").preprocessor
    with progress_bar("speech", None, unit="s") as progress:
        speech.make(
            given.folder,
            given.packages / "root",
            preprocessor,
            seed=given.seed,
            hours=given.hours,
            progress=progress,
        )
    rows, _ = speech.load(given.folder)
    speech.write_evidence(rows, given.seed, DATA.parent / "docs" / "evidence" / "made-speech.json")


def _checkpoint(given: argparse.Namespace) -> None:
    import torch

    from tooling.starter.checkpoint import RECIPE, load_recipe, make

    if (given.folder / "state.pt").is_file() and not given.resume:
        raise WorkbenchError(
            "training has begun there already",
            where=str(given.folder),
            hint="Add --resume, or name another --folder.",
        )
    torch.set_num_threads(given.threads)
    logging.getLogger("nemo_logger").setLevel(logging.ERROR)
    make(given.folder, given.out, load_recipe(given.recipe or RECIPE), given.device, packages=given.packages)


def _card(given: argparse.Namespace) -> None:
    import json

    from tooling.starter import evidence
    from tooling.starter.card import card
    from tooling.starter.features import read_rows
    from workbench.starter_files import DATA, MANIFEST

    target = DATA.parent / "docs" / "evidence" / "starter.json"
    measured = evidence.measure(given.folder, every=given.every)
    if given.metrics.is_file():
        measured["core_hours"] = evidence.core_hours(given.metrics.parent)
    evidence.write(measured, given.metrics, target)
    figures = json.loads(target.read_text("utf-8"))
    held = target.with_name("made-speech.json")
    made = json.loads(held.read_text("utf-8")) if held.is_file() else None
    unheard = read_rows(DATA / "unheard" / MANIFEST.name)
    (DATA / "README.md").write_text(card(read_rows(MANIFEST), figures, made, unheard), encoding="utf-8")


def _adaptation(given: argparse.Namespace) -> None:
    from tooling.starter.adaptation import costs, demonstrate, matrix, table, variants
    from workbench.starter_files import DATA

    changes = {} if given.steps is None else {"steps": given.steps}
    target = given.out or DATA.parent / "docs" / "evidence" / "adaptation.json"
    runs = demonstrate(given.folder, target, variants(given.only), changes)
    sys.stdout.write(f"{table(runs)}\n\n{matrix(runs)}\n\n{costs(runs)}\n")


if __name__ == "__main__":
    sys.exit(main())
