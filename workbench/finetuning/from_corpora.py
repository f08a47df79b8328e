"""Training and validation manifests built from corpora, or a suite's corpora, exported once per content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.corpus.export.export import Only
from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.suites.store import Suite
from workbench.workspace.roles import workspace_of

SPLITS = ("train", "validation")


@dataclass(frozen=True, slots=True)
class Place:
    """Where rows of one corpus lie: manifests of training and validation (empty: none), the split that a
    manifest must be narrowed to (None: it holds one split alone), hours of target and replay."""

    train: str
    validation: str
    audio_root: str | None = None
    train_split: str | None = "train"
    validation_split: str | None = "validation"
    target_h: float = 1.0
    replay_h: float = 1.0


def exported(
    data: Corpus | Suite | Sequence[Corpus], locale: str, replayed: Iterable[str] | None, only: Only
) -> list[Place]:
    """The corpora exported for a run.

    Args:
        replayed: other locales that are kept; None: all.

    Raises:
        WorkbenchError: a corpus outside a workspace, or no training or validation rows of the locale.
    """
    views = _of_suite(data) if isinstance(data, Suite) else [data] if isinstance(data, Corpus) else list(data)
    kept = None if replayed is None else {locale, *replayed}
    places = [_exported(view, locale, kept, only) for view in views]
    names = ", ".join(view.name for view in views)
    if not any(place.train and place.target_h > 0 for place in places):
        raise WorkbenchError(
            f"no training rows of {locale}",
            where=names,
            hint="Split first: corpus.split(); or take other rows.",
        )
    if not any(place.validation for place in places):
        raise WorkbenchError("no validation rows", where=names, hint="Split first: corpus.split().")
    return places


def _of_suite(suite: Suite) -> list[Corpus]:
    """The corpora of a suite without its clips: what is tested on is not trained on."""
    views = []
    for name, clips in suite.clips(suite.latest).items():
        corpus = Corpus.open(suite.workspace.corpus_folder(name))
        tested = set(clips["id"])
        views.append(corpus.pick(id for id in corpus.ids() if id not in tested))
    return views


def _exported(view: Corpus, locale: str, kept: set[str] | None, only: Only) -> Place:
    home = workspace_of(view.folder)
    if home is None:
        raise WorkbenchError("only corpora of a workspace can be exported for a run", where=view.name)
    chosen = view.where("split IN ('train', 'validation')")
    if kept is not None:
        listed = ", ".join("'" + tag.replace("'", "''") + "'" for tag in sorted(kept))
        chosen = chosen.where(f"target_lang IN ({listed})")
    if not len(chosen):
        return Place("", "", target_h=0.0, replay_h=0.0)
    target = home.path / "exports" / "runs" / f"{view.name}-{_content(chosen, only)}"
    if not (target / "export.json").exists():
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        chosen.export(target, only=only)
    files = {split: target / f"{split}.jsonl" for split in SPLITS}
    hours = {True: 0.0, False: 0.0}
    for row in _lines(files["train"]):
        hours[row["target_lang"] == locale] += float(row.get("duration") or 0.0) / 3600
    train, validation = (str(files[split]) if files[split].is_file() else "" for split in SPLITS)
    root = str(view.audio_root)
    return Place(train, validation, root, None, None, hours[True], hours[False])


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []


def _content(view: Corpus, only: Only) -> str:
    """Names an export by the rows and decisions that it holds: the same ones are exported once."""
    rows = view.table(["id", "text", "target_lang", "split", "status"]).to_pylist()
    return hashlib.sha256(json.dumps([only, rows], default=str).encode()).hexdigest()[:12]
