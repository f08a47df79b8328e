"""The public face: a workspace and the objects it hands out, with their widgets attached.

Rooms do not know Jupyter and do not know each other sideways; here they meet. Nothing heavy is imported
until a method needs it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.corpus.table import Corpus as CorpusTable
from workbench.errors import WorkbenchError
from workbench.evaluation import Evaluation as Scored
from workbench.finetuning.recipe import Recipe
from workbench.finetuning.run import Run as TrainingRun
from workbench.recognizer.checkpoint import Checkpoint as Recognizer
from workbench.workspace import WorkspaceFolder, check_name, replacing

if TYPE_CHECKING:
    import pandas as pd

    from workbench.release import Release
    from workbench.widgets.board import Board
    from workbench.widgets.explorer import Explorer
    from workbench.widgets.monitor import Monitor
    from workbench.widgets.overview import Overview
    from workbench.widgets.playback import Playback

Progress = Callable[[int, int], None]


class Corpus(CorpusTable):
    """A corpus of a workspace, or a filtered view of one; see :class:`workbench.corpus.table.Corpus`."""

    def board(self, **options: Any) -> Board:
        """The curation board on these utterances."""
        from workbench.widgets.board import Board

        return Board(self, **options)

    @property
    def predictions_folder(self) -> Path:
        return self.folder / "predictions"

    def prediction_names(self) -> list[str]:
        """Names of the predictions that exist, oldest first."""
        found = sorted(self.predictions_folder.glob("*.parquet"), key=lambda p: p.stat().st_mtime_ns)
        return [p.stem for p in found]

    def prediction(self, name: str) -> pd.DataFrame:
        """A prediction as a table (see "Predictions" in docs/architecture.md).

        Raises:
            WorkbenchError: there is none of that name; those there are are listed.
        """
        import pandas as pd

        path = self.predictions_folder / f"{check_name(name)}.parquet"
        if not path.is_file():
            known = ", ".join(self.prediction_names()) or "none yet"
            raise WorkbenchError(
                f"no prediction {name!r}",
                where=f"corpus {self.name}",
                mend=f"There is {known}; make one with ws.transcribe.",
            )
        return pd.read_parquet(path)


class Checkpoint(Recognizer):
    """A checkpoint; see :class:`workbench.recognizer.checkpoint.Checkpoint`."""

    def play(self, corpus: CorpusTable, id: str, **options: Any) -> Playback:
        """Hear an utterance of a corpus with the transcript appearing as it would live."""
        from workbench.widgets.playback import Playback

        return Playback(self, corpus.row(id), corpus=corpus, **options)


class Run(TrainingRun):
    """A fine-tuning run; see :class:`workbench.finetuning.run.Run`."""

    def monitor(self, **options: Any) -> Monitor:
        """Live curves, throughput, samples and log of the run, with cancel and resume."""
        from workbench.widgets.monitor import Monitor

        return Monitor(self, **options)


class Evaluation(Scored):
    """Scored predictions; see :class:`workbench.evaluation.Evaluation`."""

    corpus: CorpusTable | None = None

    def explorer(self, checkpoint: Recognizer | None = None, **options: Any) -> Explorer:
        """The error explorer: heat map, utterances, aligned words, audio."""
        from workbench.widgets.explorer import Explorer

        return Explorer(self, self.corpus, checkpoint=checkpoint, **options)


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
        return Overview(self, rows, self.retraining_due())

    def retraining_due(self) -> list[str] | None:
        """Reasons why retraining is due by the workspace's cadence; None where nothing was released yet."""
        from workbench.release import cadence

        return cadence.due(self)

    def import_corpus(
        self, name: str, source: Any, mapping: Mapping[str, str] | None = None, **options: Any
    ) -> Corpus:
        """Import recordings under a name: a manifest, folder, CSV, data set, CutSet (``corpus.sources``).

        Raises:
            WorkbenchError: the name is taken, or nothing could be read from the source.
        """
        from workbench.corpus.sources import import_source

        folder = self.corpus_folder(name)
        if (folder / "source.json").exists():
            raise WorkbenchError(
                f"there is a corpus {name!r} already", where=str(folder), mend="Choose another name."
            )
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
            raise WorkbenchError(f"no corpus {name!r}", where=str(self.path), mend=f"There is {known}.")
        return Corpus.open(self.corpus_folder(name))

    def add_checkpoint(self, name: str, source: str | Path) -> Checkpoint:
        """Copy a ``.nemo`` file into the workspace under a name, after inspecting it.

        Raises:
            WorkbenchError: not a checkpoint that can be used, or the name holds another one.
        """
        found, target = Checkpoint.open(source), self.checkpoint_path(name)
        if target.exists() and Checkpoint.open(target).sha256 != found.sha256:
            raise WorkbenchError(
                f"there is another checkpoint {name!r}", where=str(target), mend="Choose another name."
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
        raise WorkbenchError(f"no checkpoint {name!r}", where=str(self.path), mend=f"There is {known}.")

    def transcribe(
        self,
        corpus: Corpus,
        checkpoint: str,
        name: str,
        *,
        lookahead_ms: int | None = None,
        prompt_mode: str = "langID",
        streaming: bool = False,
        progress: Progress | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> pd.DataFrame:
        """Transcribe the corpus (or view) and keep the result as prediction ``name``; finished rows are kept
        when interrupted. Without ``progress`` a bar is shown. Returns the prediction."""
        from workbench.recognizer.transcribe import transcribe

        target = corpus.predictions_folder / f"{check_name(name)}.parquet"
        rows = corpus.frame().to_dict("records")
        with _bar(f"transcribe {name}", progress) as shown:
            transcribe(
                self.checkpoint(checkpoint),
                rows,
                corpus.audio_root,
                target,
                lookahead_ms=lookahead_ms,
                prompt_mode=prompt_mode,
                streaming=streaming,
                progress=shown,
                cancel=cancel,
            )
        return corpus.prediction(name)

    def finetune(self, recipe: Recipe | str | Path, name: str | None = None, *, replace: bool = False) -> Run:
        """Start a run in a process of its own and return at once; the run waits for a free slot.

        ``replace`` gives an ended run of that name another one, its time of creation added; nothing is lost.

        Raises:
            WorkbenchError: the recipe is not valid (all faults, one line each), or the name is taken.
        """
        from workbench.finetuning.run import start

        recipe = recipe if isinstance(recipe, Recipe) else Recipe.from_yaml(recipe)
        folder = self.run_folder(name or recipe.name)
        if replace and (folder / "recipe.yaml").exists() and not (old := self.run(folder.name)).alive:
            folder.rename(folder.with_name(check_name(f"{folder.name}.{old.created_at}")))
        if (folder / "recipe.yaml").exists():
            raise WorkbenchError(
                f"there is a run {folder.name!r} already", where=str(folder), mend="Name the new one: name=…"
            )
        start(recipe, folder, slots=self.slots, slot_count=self.config.slots)
        self.record("run", {"run": self.pseudonym("run", folder.name)})
        return self.run(folder.name)

    def run(self, name: str) -> Run:
        """A run by name, alive or ended.

        Raises:
            WorkbenchError: no such run; those there are are listed.
        """
        if name not in self.run_names():
            known = ", ".join(self.run_names()) or "none yet"
            raise WorkbenchError(f"no run {name!r}", where=str(self.path), mend=f"There is {known}.")
        return Run.attach(self.run_folder(name))

    def release(self, candidate: str, base: str = "starter") -> Release:
        """A candidate checkpoint on its way out, against the one it replaces."""
        from workbench.release import Release

        return Release(self, candidate=candidate, base=base)


def evaluate(corpus: Corpus, *names: str, **options: Any) -> Evaluation:
    """Score predictions of a corpus (or view) by name: ``evaluate(c, "base", "tuned")``.

    Raises:
        WorkbenchError: no names, or a prediction is missing.
    """
    from workbench import evaluation

    if not names:
        known = ", ".join(corpus.prediction_names()) or "none yet"
        raise WorkbenchError("which predictions?", where=f"corpus {corpus.name}", mend=f"There is {known}.")
    tables = {name: corpus.prediction(name) for name in names}
    scored = evaluation.evaluate(corpus.frame(), tables, **options)
    made = Evaluation(scored.scored, scored.settings)
    made.corpus = corpus
    return made


def starter(path: str | Path | None = None, **settings: Any) -> Workspace:
    """A workspace that holds the starter corpus and the starter checkpoint, both named ``starter``.

    ``path`` defaults to ``WORKBENCH_WORKSPACE``, then ``workspace/`` of the checkout.
    """
    from workbench.starter import CHECKPOINT, DATA, MANIFEST

    workspace = Workspace(
        path or os.environ.get("WORKBENCH_WORKSPACE") or DATA.parent / "workspace", **settings
    )
    if "starter" not in workspace.corpus_names():
        workspace.import_corpus("starter", MANIFEST)
    if "starter" not in workspace.checkpoint_names():
        workspace.add_checkpoint("starter", CHECKPOINT)
    return workspace


@contextmanager
def _bar(label: str, progress: Progress | None) -> Iterator[Progress]:
    """A progress bar around a call that reports (done, total); the caller's own report, if given, wins."""
    if progress is not None:
        yield progress
        return
    from tqdm.auto import tqdm

    with tqdm(desc=label, unit="utt", leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
