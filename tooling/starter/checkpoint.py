"""Make the starter checkpoint from the starter corpus: tokenizer, features, stages, calibration, ``.nemo``.

``make(folder)`` starts or resumes; everything it needs again is in ``folder``. The recipe is ``recipe.yaml``.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tooling.starter import alignment, calibration, features, network, tokenizer, widening
from tooling.starter.emissions import spelling
from tooling.starter.made import composed, speech, synthesizers, texts
from tooling.starter.recordings import fetch_packages
from workbench.recognizer.checkpoint import Checkpoint
from workbench.starter_files import CHECKPOINT, CORPUS, MANIFEST

log = logging.getLogger("tooling.starter")
RECIPE = Path(__file__).with_name("recipe.yaml")


def load_recipe(path: Path = RECIPE) -> dict[str, Any]:
    recipe: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    for stage in recipe["stages"]:
        for key in ("lr", "lr_end"):
            stage[key] = float(stage[key])
    return recipe


def heard(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The only rows that any stage may train on."""
    return [row for row in rows if row["heard_by_starter"] and row["split"] == "train"]


def validation_sample(rows: list[dict[str, Any]], per_voice: int) -> list[dict[str, Any]]:
    """The first validation clips of each voice between 1 and 8 s, in the manifest's order."""
    taken: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["split"] == "validation" and 1.0 <= row["duration"] <= 8.0:
            taken.setdefault(row["source"], []).append(row)
    return [row for own in taken.values() for row in own[:: max(1, len(own) // per_voice)][:per_voice]]


def prepare(folder: Path, recipe: dict[str, Any], packages: Path) -> tuple[Any, Any]:
    """Tokenizer, network and cached features; returns (Learner, Material)."""
    import torch

    from tooling.starter.dataset import Material
    from tooling.starter.learner import Learner

    rows = features.read_rows(MANIFEST)
    own = heard(rows)
    tokens = folder / "tokenizer"
    begin = recipe.get("begin_as")
    if not (tokens / "tokenizer.model").is_file():
        if begin:
            widening.lengthen_tokenizer(CHECKPOINT, begin["letters"], tokens)
        else:
            texts = [row["text"] for row in rows if row["split"] == "train"]
            tokenizer.train(texts, tokens, **recipe["tokenizer"])
    torch.manual_seed(recipe["seed"])
    model = network.build(recipe["network"], recipe["features"]["mels"], tokens)
    if begin:
        widening.begin_as(Checkpoint.open(CHECKPOINT).model("cpu", "fp32"), model)
    spelled = sorted({c for row in rows if row["split"] == "train" for c in spelling(row["text"])} - {" "})
    layer, d_model = recipe["network"]["letter_layer"], recipe["network"]["d_model"]
    letters = network.LetterHead(model.encoder, layer, d_model, "".join(spelled))
    plain = features.cached(own, CORPUS, model.preprocessor, folder / "features.npz")
    held_out = validation_sample(rows, recipe["validation"]["clips_per_voice"])
    cache = features.cached(held_out, CORPUS, model.preprocessor, folder / "features-validation.npz")
    spoken = alignment.cached(own, plain, folder / "alignment.npz", recipe["seed"])
    learner = Learner(recipe, model, letters)
    material = Material(own, plain, spoken, held_out, cache)
    return learner, _with_made(learner, material, folder, packages) if "made" in recipe else material


def _with_made(learner: Any, material: Any, folder: Path, packages: Path) -> Any:
    """``material`` with the made speech that the recipe asks for, words for real voices to be composed of,
    and sentences for the predictor to read."""
    from tooling.starter.dataset import Material

    recipe, root = learner.recipe, packages / "root"
    fetch_packages(packages, speech.PACKAGES)
    speech.make(folder / "made", root, learner.model.preprocessor, recipe["seed"], recipe["made"]["hours"])
    rows, cache = speech.load(folder / "made")
    said = {language: texts.material(root, language) for language in synthesizers.LOCALES}
    reading = [
        learner.tokens(text, synthesizers.LOCALES[language][0])[:-1]
        for number, (language, own) in enumerate(said.items())
        for text in texts.draw(own, recipe["made"]["read"], np.random.default_rng([recipe["seed"], number]))
    ]
    return Material(
        [*material.rows, *rows],
        features.together(material.cache, cache),
        material.alignment.with_silent(cache.start),
        material.validation,
        material.validation_cache,
        composed.Composer(material.rows, material.alignment, said),
        reading,
    )


def make(
    folder: Path,
    target: Path,
    recipe: dict[str, Any],
    device: str = "cpu",
    cancel: Callable[[], bool] = lambda: False,
    packages: Path = Path("build/packages"),
) -> bool:
    """Train all stages in ``folder`` and write ``target``; True when every stage ran to its end.

    A cancelled or killed call is continued by calling again. ``packages``: where Debian packages are kept
    or fetched to, for a recipe that makes speech. ``target`` is written after each stage, and at
    the end with the biases that ``calibration.py`` raises; what they are goes to ``folder/calibration.json``.
    """
    import torch

    from tooling.starter.training import train_stage
    from tooling.starter.validation import validate

    folder.mkdir(parents=True, exist_ok=True)
    learner, material = prepare(folder, recipe, packages)
    state = folder / "state.pt"
    first = int(torch.load(state, weights_only=True)["stage"]) if state.is_file() else 0
    for number in range(first, len(recipe["stages"])):
        before = folder / f"stage-{number - 1}.pt"
        if number and before.is_file():
            learner.load(torch.load(before, weights_only=True))
        if not train_stage(learner, material, number, folder, validate, device, cancel):
            return False
        torch.save(learner.snapshot(), folder / f"stage-{number}.pt")
        write(learner, target)
    _calibrated(learner, folder, target, recipe["calibration"]["every"])
    return True


def _calibrated(learner: Any, folder: Path, target: Path, every: int) -> None:
    """Write ``target`` with the biases that every ``every``-th validation clip asks for."""
    rows = [row for row in features.read_rows(MANIFEST) if row["split"] == "validation"][::every]
    held = folder / "features-calibration.npz"
    cache = features.cached(rows, CORPUS, learner.model.preprocessor, held)
    trained, found = calibration.calibrate(learner.model, rows, cache)
    with calibration.raised(learner.model, found.full_stop, found.boundary):
        write(learner, target)
    figures = {"clips": len(rows), "trained": trained.as_dict(), "chosen": found.as_dict()}
    (folder / "calibration.json").write_text(json.dumps(figures) + "\n", "utf-8")


def write(learner: Any, target: Path) -> None:
    """Write the model as a ``.nemo`` file, atomically."""
    model = learner.model
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"partial-{target.name}")
    log_softmax, model.joint.log_softmax = model.joint.log_softmax, None
    model.eval()
    model.save_to(str(partial))
    model.joint.log_softmax = log_softmax
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(target)
    log.info("wrote %s, %.1f MB", target, target.stat().st_size / 1e6)
