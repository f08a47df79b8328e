"""The public face: a workspace, and the calls that join rooms; what it hands out is in ``objects``.

Rooms do not know each other sideways; here they meet. Nothing heavy is imported until a method needs it.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.capacity.choice import choose_lookahead
from workbench.capacity.measurement import Budget
from workbench.errors import WorkbenchError
from workbench.files import replacing
from workbench.finetuning.recipe import Recipe
from workbench.locks import alone
from workbench.names import check_name
from workbench.objects import (
    Capacity,
    Checkpoint,
    ConditionSweep,
    Corpus,
    Evaluation,
    FieldReport,
    Release,
    Run,
)
from workbench.widgets.progress import Progress, progress_bar
from workbench.workspace.folder import WorkspaceFolder
from workbench.workspace.roles import require

if TYPE_CHECKING:
    import pandas as pd

    from workbench.evaluation.boosted import KeywordBoost
    from workbench.field import Baseline
    from workbench.release.pipeline import Outcome
    from workbench.release.retraining_schedule import RetrainingStatus
    from workbench.suites.run import SuiteRun
    from workbench.suites.store import Suite
    from workbench.widgets.overview import Overview

__all__ = [
    "Capacity", "Checkpoint", "ConditionSweep", "Corpus", "Evaluation", "FieldReport", "Release", "Run",
    "Workspace", "choose_lookahead", "evaluate", "starter",
]  # fmt: skip


class Workspace(WorkspaceFolder):
    """A folder that owns corpora, runs, checkpoints, reports and the ledger."""

    def overview(self) -> Overview:
        """What is here and what works on this machine."""
        from workbench.widgets.overview import Overview

        rows = []
        for name in self.corpus_names():
            corpus = self.corpus(name)
            status = dict(corpus.groups("status")[["status", "utterances"]].to_numpy().tolist())
            locales = corpus.groups("target_lang")
            figures = (len(corpus), float(locales["hours"].sum()), len(locales))
            rows.append((name, *figures, int(status.get("accepted", 0)), int(status.get("rejected", 0))))
        return Overview(self, rows, self.retraining_status())

    def retraining_status(self, **options: Any) -> RetrainingStatus | None:
        """Where the workspace stands since its last release, and why retraining is due, if it is; None where
        nothing was released yet. ``options``: of ``release.retraining_schedule.retraining_status``."""
        from workbench.release import retraining_schedule

        return retraining_schedule.retraining_status(self, **options)

    def import_corpus(
        self, name: str, source: Any, mapping: Mapping[str, str] | None = None, **options: Any
    ) -> Corpus:
        """Import recordings under a name: a manifest, folder, CSV, data set, CutSet (``corpus.sources``).

        Rows of speakers, recordings and sources that were erased stay out; ``problems`` lists them.

        Raises:
            WorkbenchError: the name is taken, nothing could be read from the source, or the user is neither
                trainer nor steward.
        """
        from workbench.corpus.importing import import_source
        from workbench.privacy.suppression_list import erased_before

        require(self, "trainer|steward", "corpus.import")
        folder = self.corpus_folder(name)
        if (folder / "source.json").exists():
            raise WorkbenchError(
                f"there is a corpus {name!r} already", where=str(folder), hint="Choose another name."
            )
        options.setdefault("erased", lambda rows: erased_before(self, rows))
        options.setdefault("settling", alone(self.path / "locks" / "erasure", timeout_s=math.inf))
        made = import_source(source, folder, name=name, mapping=mapping, **options)
        self.record("import", {"utterances": len(made), "problems": len(made.problems)})
        return self.corpus(name)

    def corpus(self, name: str) -> Corpus:
        """An imported corpus.

        Raises:
            WorkbenchError: no such corpus; those there are are listed.
        """
        if name not in self.corpus_names():
            known = ", ".join(self.corpus_names()) or "none yet"
            raise WorkbenchError(f"no corpus {name!r}", where=str(self.path), hint=f"There is {known}.")
        return Corpus.open(self.corpus_folder(name))

    def add_checkpoint(self, name: str, source: str | Path) -> Checkpoint:
        """Copy a ``.nemo`` file into the workspace under a name, after inspecting it.

        Raises:
            WorkbenchError: not a checkpoint that can be used, or the name holds another one.
        """
        found, target = Checkpoint.open(source), self.checkpoint_path(name)
        with alone(self.path / "locks" / "checkpoints"):
            if target.exists() and Checkpoint.open(target).sha256 != found.sha256:
                raise WorkbenchError(
                    f"there is another checkpoint {name!r}", where=str(target), hint="Choose another name."
                )
            with replacing(target) as draft:
                shutil.copyfile(found.path, draft)
        return self.checkpoint(name)

    def checkpoint(self, name: str) -> Checkpoint:
        """A checkpoint by name, a finished run by name, else a ``.nemo`` path or hub name (``nvidia/…``).

        Raises:
            WorkbenchError: neither; the message says what there is.
        """
        if name in self.checkpoint_names():
            return Checkpoint.open(self.checkpoint_path(name))
        if name in self.run_names():
            return Checkpoint.open(self.run(name).checkpoint_path)
        if "/" in name or name.endswith(".nemo"):
            return Checkpoint.open(name)
        known = ", ".join(self.checkpoint_names() + self.run_names()) or "none yet"
        raise WorkbenchError(f"no checkpoint {name!r}", where=str(self.path), hint=f"There is {known}.")

    def transcribe(
        self,
        corpus: Corpus,
        checkpoint: str,
        name: str,
        *,
        lookahead_ms: int | None = None,
        prompt_mode: str = "langID",
        streaming: bool = False,
        engine: str = "local",
        address: str | None = None,
        progress: Progress | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> pd.DataFrame:
        """Transcribe the corpus (or view) and keep the result as prediction ``name``; finished rows are kept
        when interrupted. Without ``progress`` a bar is shown. Returns the prediction.

        ``engine='ray'`` decodes on a cluster at ``address`` (docs/scaling.md), with the same results.
        """
        from workbench.recognizer.transcribe import transcribe

        target = corpus.predictions_folder / f"{check_name(name)}.parquet"
        rows = corpus.frame().to_dict("records")
        with progress_bar(f"transcribe {name}", progress) as shown:
            transcribe(
                self.checkpoint(checkpoint), rows, corpus.audio_root, target, lookahead_ms=lookahead_ms,
                prompt_mode=prompt_mode, streaming=streaming, engine=engine, address=address,
                progress=shown, cancel=cancel,
            )  # fmt: skip
        return corpus.prediction(name)

    def suite(self, name: str) -> Suite:
        """A test suite, made or yet to be made: ``ws.suite("pilot").create(["calls", "guardrails"])``."""
        from workbench.suites.store import Suite

        return Suite(self, name)

    def run_suite(
        self,
        suite: str,
        *checkpoints: str,
        version: int | None = None,
        points: Sequence[str] | None = None,
        engine: str = "local",
        address: str | None = None,
        progress: Progress | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> SuiteRun:
        """Transcribe what is missing of a suite with checkpoints or runs, and open the run for comparison.

        Args:
            suite: its name; ``version``: the newest by default.
            points: only these operating points, by name.
            engine, address: 'local', or 'ray' on a cluster at ``address``.
            progress: called with (done, total) clips; a bar is shown without it. ``cancel``: asked before
                each batch; what is done is kept.

        Raises:
            WorkbenchError: no such suite or checkpoint, or what the suite froze has changed.
        """
        from workbench.suites.run import run_suite

        found = {name: self.checkpoint(name) for name in checkpoints}
        with progress_bar(f"suite {suite}", progress) as shown:
            return run_suite(
                self.suite(suite), found, version=version, points=points, engine=engine, address=address,
                progress=shown, cancel=cancel,
            )  # fmt: skip

    def evaluate_lookaheads(
        self,
        corpus: Corpus,
        checkpoint: str,
        lookaheads_ms: Iterable[int] | None = None,
        *,
        engine: str = "local",
        address: str | None = None,
        **options: Any,
    ) -> Evaluation:
        """Stream the corpus (or view) at several look-aheads and score each, as ``CHECKPOINT-MS``.

        All of the checkpoint's where ``lookaheads_ms`` is None; ``options`` of :meth:`transcribe`.
        ``engine='ray'`` decodes and aligns on a cluster at ``address``, with the same results.
        """
        from workbench.cluster import connected

        wanted = list(lookaheads_ms or self.checkpoint(checkpoint).info.lookaheads_ms)
        names = [f"{check_name(checkpoint)}-{ms}" for ms in wanted]
        place: Any = {"engine": engine, "address": address}
        with connected(engine, address):
            for name, ms in zip(names, wanted, strict=True):
                self.transcribe(corpus, checkpoint, name, lookahead_ms=ms, streaming=True, **place, **options)
            with progress_bar("score", options.get("progress"), unit="pair") as shown:
                return evaluate(corpus, *names, progress=shown, **place)

    def keyword_boost(self, corpus: Corpus, checkpoint: str, keywords: Any, **options: Any) -> KeywordBoost:
        """Stream the utterances of the corpus (or view) that hold a keyword, without and with the list, and
        compare recall, precision and F1; see :func:`workbench.evaluation.boosted.keyword_boost`."""
        from workbench.evaluation.boosted import keyword_boost

        with progress_bar("keywords", options.pop("progress", None)) as shown:
            rows, found = corpus.frame(), self.checkpoint(checkpoint)
            return keyword_boost(found, rows, corpus.audio_root, keywords, progress=shown, **options)

    def finetune(
        self,
        recipe: Recipe | str | Path,
        name: str | None = None,
        *,
        replace: bool = False,
        launch: Mapping[str, Any] | None = None,
    ) -> Run:
        """Start a run in a process of its own and return at once; the run waits for a free slot.

        ``replace`` gives an ended run of that name another one, its time of creation added; nothing is lost.
        ``launch`` starts nothing: the folder gets scripts for schedulers and ``torchrun``, made with these
        options of :func:`workbench.finetuning.cluster_scripts.prepare_launch`.

        Raises:
            WorkbenchError: the recipe is not valid (all faults, one line each), the name is taken, or the
                user is no trainer.
        """
        from workbench.finetuning.cluster_scripts import prepare_launch
        from workbench.finetuning.run import start

        require(self, "trainer", "run.start")
        recipe = recipe if isinstance(recipe, Recipe) else Recipe.from_yaml(recipe)
        folder = self.run_folder(name or recipe.name)
        if replace and (folder / "recipe.yaml").exists() and not (old := self.run(folder.name)).alive:
            folder.rename(folder.with_name(check_name(f"{folder.name}.{old.created_at}")))
        if (folder / "recipe.yaml").exists():
            raise WorkbenchError(
                f"there is a run {folder.name!r} already", where=str(folder), hint="Name the new one: name=…"
            )
        if launch is None:
            start(recipe, folder, slots=self.slots, slot_count=self.config.slots)
        else:
            prepare_launch(recipe, folder, **launch)
        self.record("run", {"run": self.pseudonym("run", folder.name)})
        return self.run(folder.name)

    def run(self, name: str) -> Run:
        """A run by name, alive or ended.

        Raises:
            WorkbenchError: no such run; those there are are listed.
        """
        if name not in self.run_names():
            known = ", ".join(self.run_names()) or "none yet"
            raise WorkbenchError(f"no run {name!r}", where=str(self.path), hint=f"There is {known}.")
        return Run.attach(self.run_folder(name))

    def capacity(
        self,
        checkpoint: str,
        corpus: Corpus,
        *,
        budget_ms: float | None = None,
        clips: int = 24,
        name: str | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> Capacity:
        """How many paced streams this machine serves; interrupting keeps what was measured.

        Args:
            corpus: a view; ``clips`` of its clips are spoken.
            budget_ms: the most that the last text may take after the audio (95th percentile); the largest
                number of streams that holds it is searched. ``options`` may hold another ``budget``.
            name: of the JSON in ``reports/capacity/``; the checkpoint's by default.
            options: of :func:`workbench.capacity.measure_capacity`: ``streams``, ``lookaheads_ms``,
                ``repeats``, ``beside``, ``cancel`` …

        Raises:
            WorkbenchError: as ``measure_capacity``.
        """
        from workbench.capacity import measure_capacity

        recognizer, path = self.checkpoint(checkpoint), self.capacity_path(name or checkpoint)
        rate, ids = recognizer.info.sample_rate, corpus.sample(clips).ids()
        if budget_ms is not None:
            options.setdefault("budget", Budget(budget_ms))
        with progress_bar(f"capacity of {checkpoint}", progress, unit="measurement") as shown:
            heard = [corpus.audio(id, rate) for id in ids]
            measure_capacity(recognizer, heard, out=path, progress=shown, **options)
        return Capacity.load(path)

    def measured_capacity(self, name: str) -> Capacity:
        """A sweep of earlier, finished or cut off.

        Raises:
            WorkbenchError: there is none of that name.
        """
        return Capacity.load(self.capacity_path(name))

    def capacity_path(self, name: str) -> Path:
        """Where the JSON of a sweep lies."""
        return self.reports / "capacity" / f"{check_name(Path(name).stem)}.json"

    def conditions(
        self,
        checkpoint: str,
        corpus: Corpus,
        *,
        name: str | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> ConditionSweep:
        """Errors, empty outputs and punctuation by noise and band, per locale; asked again, it goes on.

        Args:
            name: of the JSON in ``reports/conditions/``; the checkpoint's by default.
            options: of :func:`workbench.field.sweep_conditions`: ``snr_db``, ``bands``, ``engine`` …

        Raises:
            WorkbenchError: as there.
        """
        from workbench.field import sweep_conditions

        path = self.reports / "conditions" / f"{check_name(Path(name or checkpoint).stem)}.json"
        with progress_bar(f"conditions of {checkpoint}", progress) as shown:
            sweep_conditions(self.checkpoint(checkpoint), corpus, out=path, progress=shown, **options)
        return ConditionSweep.load(path)

    def field_log(
        self,
        paths: str | Path | list[str | Path],
        *,
        baseline: Baseline | None = None,
        baseline_weeks: int = 6,
        release: str | None = None,
        false_alarms_per_week: float = 0.01,
    ) -> FieldReport:
        """Hold production logs (docs/field-log.md) against the release's own first weeks.

        The log is read where it lies; nothing of it is kept in the workspace.

        Raises:
            WorkbenchError: no usable line or too few whole weeks; damaged lines are listed, not raised.
        """
        from workbench.field import read_log, watch_log

        found = watch_log(
            read_log(paths), baseline, baseline_weeks=baseline_weeks, release=release,
            false_alarms_per_week=false_alarms_per_week,
        )  # fmt: skip
        made = FieldReport(**vars(found))
        made.workspace = self
        return made

    def pipeline(self, recipe: Recipe | str | Path, policy: Any, **options: Any) -> Outcome:
        """Export, fine-tune, evaluate and gate, unattended; asked for again after a break, it goes on.

        Args:
            recipe, policy, options: of :class:`workbench.release.pipeline.Pipeline`: ``name``, ``corpus``,
                ``where``, ``base``.

        Raises:
            WorkbenchError: as there.
        """
        from workbench.release.pipeline import Pipeline

        return Pipeline(self, recipe, policy, **options).run()

    def release(self, candidate: str, base: str = "starter") -> Release:
        """A candidate checkpoint on its way out, against the one it replaces."""
        return Release(self, candidate=candidate, base=base)


def evaluate(corpus: Corpus, *names: str, **options: Any) -> Evaluation:
    """Score predictions of a corpus (or view) by name: ``evaluate(c, "base", "tuned")``; ``options`` of
    :func:`workbench.evaluation.evaluation.evaluate`, such as ``normalizer`` and ``engine``.

    Raises:
        WorkbenchError: no names, or a prediction is missing.
    """
    from workbench import evaluation

    if not names:
        known = ", ".join(corpus.prediction_names()) or "none yet"
        raise WorkbenchError("which predictions?", where=f"corpus {corpus.name}", hint=f"There is {known}.")
    tables = {name: corpus.prediction(name) for name in names}
    scored = evaluation.evaluate(corpus.frame(), tables, **options)
    made = Evaluation(scored.scored, scored.settings)
    made.corpus = corpus
    return made


def starter(path: str | Path | None = None, **settings: Any) -> Workspace:
    """A workspace that holds the starter corpus and the starter checkpoint, both named ``starter``.

    ``path`` defaults to ``WORKBENCH_WORKSPACE``, then ``workspace/`` of the checkout.
    """
    from workbench.starter_files import CHECKPOINT, DATA, MANIFEST

    workspace = Workspace(
        path or os.environ.get("WORKBENCH_WORKSPACE") or DATA.parent / "workspace", **settings
    )
    if "starter" not in workspace.corpus_names():
        workspace.import_corpus("starter", MANIFEST)
    if "starter" not in workspace.checkpoint_names():
        workspace.add_checkpoint("starter", CHECKPOINT)
    return workspace
