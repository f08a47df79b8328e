"""Recipes to start from. Each number says where it comes from in ``SOURCES``; change what you know better."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.corpus.export.export import Only
from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.finetuning.from_corpora import Place, exported
from workbench.finetuning.recipe import Augmentation, Recipe, Source, ValidationSet
from workbench.locales import DECLARED
from workbench.recognizer.checkpoint import Checkpoint
from workbench.signatures import public, takes_fields
from workbench.suites.store import Suite

_GUIDE = "NVIDIA's fine-tuning guide for Nemotron 3.5 ASR (2026): fixed step budget, replay of other locales"
_SKILL = "NeMo's published ASR fine-tuning skill: 3e-5 under about 20 h, 1e-4 for large or mixed data, cosine"
_MINUTES = "about 0.3 s a step on one core: some {} minutes and the validations; preflight measures it here"
_OWN = (
    "measured on the starter (docs/evidence/adaptation.json): 1,000 steps at 5e-4 with two hours of replay "
    "to one of Greek took Greek from 83 to 66 % CER on test clips and left the others where they were; on "
    "another checkpoint let a first run tell"
)
_SMALL = "many small steps: a small model on little data gains more from steps than from steady gradients"
_PLAIN = (
    "none, measured: on the starter 500 plain steps brought Greek from 78 to 69 % CER on validation clips "
    "and the others from 36 to 37 %; with changed speeds, gain, masks and a masked predictor, 400 steps "
    "brought 89 and 45 %"
)

PRESETS: dict[str, dict[str, Any]] = {
    "quick_cpu": {
        "steps": 400, "batch_s": 20.0, "max_duration_s": 12.0, "learning_rate": 5e-4, "warmup_steps": 40,
        "validate_every": 200, "save_every": 50, "device": "cpu", "dropout": 0.0,
        "streaming_lookahead_ms": 560, "streaming_utterances_per_locale": 3,
        "augmentation": Augmentation(),
    },
    "cpu": {
        "steps": 1000, "batch_s": 20.0, "max_duration_s": 12.0, "learning_rate": 5e-4, "warmup_steps": 60,
        "validate_every": 250, "save_every": 100, "device": "cpu", "dropout": 0.0,
        "streaming_lookahead_ms": 560, "streaming_utterances_per_locale": 3, "average_best": 2,
        "augmentation": Augmentation(),
    },
    "gpu_under_20h": {
        "steps": 2000, "batch_s": 200.0, "learning_rate": 3e-5, "min_learning_rate": 5e-6, "warmup_steps": 40,
        "precision": "bf16-mixed", "device": "cuda", "loader_workers": 4, "validate_every": 200,
        "save_every": 100, "streaming_lookahead_ms": 560, "average_best": 3,
    },
    "gpu_over_20h": {
        "steps": 8000, "batch_s": 240.0, "learning_rate": 1e-4, "min_learning_rate": 5e-6,
        "warmup_steps": 160, "precision": "bf16-mixed",
        "device": "cuda", "loader_workers": 8, "validate_every": 500,
        "save_every": 250, "streaming_lookahead_ms": 560, "average_best": 5,
    },
    "many_gpus": {
        "steps": 20000, "batch_s": 240.0, "learning_rate": 1e-4, "min_learning_rate": 5e-6,
        "warmup_steps": 400, "precision": "bf16-mixed", "device": "cuda", "devices": 8, "loader_workers": 8,
        "validate_every": 1000, "save_every": 500, "streaming_lookahead_ms": 560, "average_best": 5,
    },
}  # fmt: skip

SOURCES: dict[str, dict[str, str]] = {
    "quick_cpu": {
        "learning_rate": _OWN,
        "batch_s": _SMALL,
        "steps": _MINUTES.format(2),
        "augmentation": _PLAIN,
    },
    "cpu": {
        "learning_rate": _OWN,
        "batch_s": _SMALL,
        "steps": _MINUTES.format(5),
        "augmentation": _PLAIN,
    },
    "gpu_under_20h": {
        "learning_rate": _SKILL,
        "warmup_steps": "1–2 % of the steps (the same skill)",
        "batch_s": "200 s, reported for NVIDIA's companion notebook; lower it where memory ends",
        "steps": _GUIDE,
    },
    "gpu_over_20h": {
        "learning_rate": _SKILL,
        "batch_s": "240 s ran on 32 GB in a public recipe for this checkpoint",
        "steps": "8,000 in a public 40 h adaptation of this checkpoint",
    },
    "many_gpus": {
        "learning_rate": _SKILL,
        "batch_s": "as on one GPU, per device",
        "steps": "choose for the hours you want consumed; preflight shows them",
    },
}


@public
@takes_fields(Recipe, without=("name", "base", "preset"))
def preset(
    name: str,
    base: str | Path | Checkpoint,
    data: str | Path | Corpus | Suite | Sequence[Corpus],
    locale: str,
    *,
    replay: bool | Iterable[str] = True,
    replay_weight: float = 1.0,
    only: Only = "not_rejected",
    run_name: str | None = None,
    **changes: Any,
) -> Recipe:
    """A recipe that adapts ``base`` to one locale and replays others, with sources and validation built.

    Args:
        name: one of ``PRESETS``.
        base: a checkpoint, or the path of a ``.nemo`` file.
        data: a manifest with ``split`` train and validation; a corpus or view, or several; or a suite, whose
            corpora are taken, its own clips left out. Corpora are exported beside their workspace's other
            exports, the same rows once.
        locale: the tag to adapt to.
        replay: which other locales are replayed: all that the data have, those named, or none (False).
        replay_weight: hours of replay per hour of the target; 0 leaves replay out.
        only: of corpora: ``accepted`` rows, or all that are ``not_rejected``.
        run_name: of the recipe; default: locale and preset.
        changes: fields of the recipe that shall differ from the preset.

    Raises:
        WorkbenchError: no such preset, or the data hold no training or validation rows of the locale.
        TypeError: no such field; the nearest is named.
    """
    if name not in PRESETS:
        raise WorkbenchError(f"unknown preset {name!r}", hint=f"One of {', '.join(PRESETS)}.")
    wanted = None if replay is True else tuple(replay or ())
    weight = 0.0 if wanted == () else replay_weight
    if isinstance(data, str | Path):
        places = [Place(str(data), str(data))]
    else:
        places = exported(data, locale, wanted, only)
    sources = [
        Source(p.train, audio_root=p.audio_root, locales=(locale,), split=p.train_split, weight=p.target_h)
        for p in places
        if p.train and p.target_h > 0
    ]
    share = weight / max(1, sum(1 for p in places if p.train and p.replay_h > 0))
    sources += [
        Source(
            p.train, role="replay", weight=share, audio_root=p.audio_root, locales=wanted or (),
            except_locales=(locale,), split=p.train_split,
        )
        for p in places
        if weight > 0 and p.train and p.replay_h > 0
    ]  # fmt: skip
    per_locale = 12 if name in ("quick_cpu", "cpu") else 24
    # A locale that the team declared has no prompt in the published checkpoints.
    new = {"new_locales": (locale,)} if locale in DECLARED else {}
    validation = tuple(
        ValidationSet(
            p.validation, audio_root=p.audio_root, split=p.validation_split, utterances_per_locale=per_locale
        )
        for p in places
        if p.validation
    )
    recipe = Recipe(
        name=run_name or f"{locale}-{name}",
        base=str(base.path if isinstance(base, Checkpoint) else base),
        sources=tuple(_normalized(sources)),
        validation=validation,
        preset=name,
    )
    return recipe.changed(**{**PRESETS[name], **new, **changes})


def _normalized(sources: Sequence[Source]) -> list[Source]:
    """Weights of the targets as shares of one, so that ``replay_weight`` is per hour of the target."""
    total = sum(source.weight for source in sources if source.role == "target")
    return [
        replace(source, weight=round(source.weight / total, 6)) if source.role == "target" else source
        for source in sources
    ]
