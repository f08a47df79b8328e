"""What a workspace holds: corpora, checkpoints, runs and measurements, made and opened by name."""

from __future__ import annotations

import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import drafts
from workbench.capacity.result import Capacity
from workbench.corpus import record
from workbench.corpus.imported_predictions import MatchReport, import_prediction
from workbench.corpus.importing import import_source, removal_facts, remove, replaced, settle_replaced
from workbench.corpus.mixed_speech import join_clips
from workbench.corpus.query.table import Corpus
from workbench.errors import WorkbenchError
from workbench.files import clear_drafts, replacing, sha256_file
from workbench.finetuning import cluster_scripts
from workbench.finetuning import run as runs
from workbench.finetuning.recipe import Recipe
from workbench.finetuning.run import Run
from workbench.ingest.intake import ImportOptions
from workbench.ingest.plan import ImportPlan
from workbench.locks import ERASING, alone, erasure_lock, together, unerased
from workbench.names import check_name
from workbench.privacy.suppression_list import erased_before
from workbench.recognizer.checkpoint import Checkpoint
from workbench.signatures import public, takes_fields
from workbench.suites.store import Suite
from workbench.views import PlanView, view
from workbench.workspace.folder import WorkspaceFolder
from workbench.workspace.roles import require
from workbench.workspace.settings import Config

if TYPE_CHECKING:
    from workbench.ingest.erased import Erased


@public
class Holdings(WorkspaceFolder):
    """A workspace folder with what lies in it; :class:`workbench.Workspace` adds what is done with it."""

    @takes_fields(Config)
    def __init__(self, path: str | Path | None = None, **settings: Any) -> None:
        """As :class:`WorkspaceFolder` takes them; what a kill left of replacing a corpus or an export is
        settled."""
        super().__init__(path, **settings)
        if not self.read_only:
            settle_replaced(self.corpora, self._removed)
            for remembered in self.corpora.glob(f"*/{drafts.HOME}"):
                drafts.put_back(remembered.parent)

    def import_corpus(
        self,
        name: str,
        source: Any,
        mapping: Mapping[str, str] | None = None,
        *,
        plan: ImportPlan | None = None,
        defaults: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        audio_roots: Sequence[str | Path] | None = None,
        locale: str | None = None,
        require_audio: bool = True,
        replace: bool = False,
        erased: Erased | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Corpus:
        """Import recordings under a name.

        Rows of speakers, recordings and sources that were erased stay out; ``problems`` lists them.

        Args:
            name: of the corpus.
            source: a manifest, a folder in any layout of :mod:`workbench.ingest.layouts`, a table,
                a data set, a DataFrame, a list of dicts, a CutSet, or a hub name (``org/name``).
            mapping: field → column; wins over the guesses that ``wb.inspect_source`` shows.
            plan: of ``wb.inspect_source``, edited or not; the other arguments win over it.
            defaults: field → value where the source has none, e.g. ``{"license": "CC0-1.0"}``.
            tags: what the source writes → locale tag, e.g. ``{"el": "el-GR"}``; never guessed.
            audio_roots: folders that audio may lie in; the first is what paths become relative to. Default:
                the source's own folder.
            locale: of rows that state none, and of those that name only its language (``da-DK`` for ``da``).
            require_audio: refuse where every recording is missing, and say how many are.
            replace: a corpus of this name goes, its decisions too, once the new one is there.
            erased: says of rows whether they were erased before; default: what this workspace remembers.
            progress: called with (rows read, 0 while the total is not known).

        Raises:
            WorkbenchError: the name is taken, nothing could be read from the source, its transcripts are not
                understood, every recording is missing, or the user is neither trainer nor steward. Nothing
                half-made keeps the name.
        """
        require(self, "trainer|steward", "corpus.import")
        return self._take_in(
            name, source, replace, plan=plan, mapping=mapping, defaults=defaults, tags=tags,
            audio_roots=audio_roots, locale=locale, require_audio=require_audio, erased=erased,
            progress=progress,
        )  # fmt: skip

    def _take_in(
        self, name: str, source: Any, replace: bool, *, erased: Erased | None = None, **how: Any
    ) -> Corpus:
        """As :meth:`import_corpus`, by whoever may; ``how`` as ``import_source`` takes it."""
        folder = self.corpus_folder(name)
        # A replaced corpus is out of sight until the new one is there: no erasure may pass it by.
        unseen = unerased(folder) if replace else nullcontext()
        with unseen, replaced(folder, replace, self._removed):
            import_source(
                source, folder, name=name, erased=erased or (lambda rows: erased_before(self, rows)),
                settling=unerased(folder), **how,
            )  # fmt: skip
        return self.corpus(name)

    def plan_import(
        self,
        name: str,
        source: Any,
        mapping: Mapping[str, str] | None = None,
        *,
        defaults: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        audio_roots: Sequence[str | Path] | None = None,
        locale: str | None = None,
    ) -> PlanView:
        """Look at a source in the notebook: hear its first rows, correct what was understood, then import it.

        Args:
            name: proposed for the corpus.
            source, mapping, defaults, tags, audio_roots, locale: as :meth:`import_corpus` takes them.

        Returns:
            The view; ``plan`` is the plan as corrected, ``corpus`` what was imported from it.

        Raises:
            WorkbenchError: the source cannot be read.
        """
        options = ImportOptions(mapping or {}, defaults or {}, tags or {}, tuple(audio_roots or ()), locale)
        made: PlanView = view("import_plan").PlanEditor(self, name, source, options)
        return made

    def remove_corpus(self, name: str) -> None:
        """Remove a corpus with its decisions, predictions and the audio that was copied into it.

        The ledger keeps how many utterances there were and the digest of their table. The source stays.

        Args:
            name: of the corpus.

        Raises:
            WorkbenchError: there is none, another process is changing it, or the user is neither trainer nor
                steward.
        """
        require(self, "trainer|steward", "corpus.remove")
        self.corpus(name)
        folder = self.corpus_folder(name)
        with unerased(folder):
            self._removed(folder)
            remove(folder)

    def _removed(self, folder: Path) -> None:
        """Record that the corpus in a folder goes, once, however often a kill lets it be said."""
        act = str(record.read(folder).get("import_id", ""))
        self.record_once("corpus.remove", act or sha256_file(folder / record.NAME), removal_facts(folder))

    def mixed_speech(
        self, name: str, corpus: Corpus, *, clips: int = 96, seed: int = 0, replace: bool = False
    ) -> Corpus:
        """Import a corpus of clips that switch languages, made of real ones put one after the other.

        Args:
            name: of the new corpus.
            corpus: rows of two languages at least, such as ``ws.corpus("calls").where("split = 'test'")``.
            clips: how many, of two or three sentences each.
            seed: of what is drawn.
            replace: a corpus of this name goes.

        Returns:
            Rows with a tag at the end of each sentence; ``Evaluation.code_switching`` scores them.

        Raises:
            WorkbenchError: as :meth:`import_corpus`, or fewer than two languages.
        """
        require(self, "trainer|steward", "corpus.import")
        target = self.path / "joined" / f"{check_name(name)}-{secrets.token_hex(4)}"
        try:
            made = join_clips(corpus, target, clips=clips, seed=seed)
            found = self.import_corpus(name, made, replace=replace)
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            raise
        for older in target.parent.glob(f"{name}-????????"):
            if older != target:
                shutil.rmtree(older, ignore_errors=True)
        return found

    def import_prediction(
        self,
        corpus: Corpus,
        source: Any,
        name: str,
        *,
        engine: str | None = None,
        settings: str | None = None,
        lookahead_ms: int | None = None,
        streaming: bool | None = None,
        column: str | None = None,
    ) -> MatchReport:
        """Keep another engine's transcripts as a prediction, to be compared with ours.

        Args:
            corpus: with the utterances.
            source: a NeMo manifest with ``pred_text``, CSV, JSONL, Parquet, CTM, STM, SRT, VTT, TextGrid, a
                folder of text files or of the JSON of Whisper, Azure, Google or AWS, a DataFrame, a list of
                dicts, or a dict of id → text.
            name: of the prediction.
            engine: what made them, such as ``whisper-large-v3``.
            settings: how it was asked, in words.
            lookahead_ms: of a streaming engine, in milliseconds.
            streaming: whether it streamed.
            column: which column of a table holds what was heard.

        Returns:
            What matched by id, path, file name, offset or time, and what did not.

        Raises:
            WorkbenchError: the source cannot be read, the name is taken, or nothing matched.
        """
        with unerased(corpus.folder):
            return import_prediction(
                corpus, source, name, engine=engine, settings=settings, lookahead_ms=lookahead_ms,
                streaming=streaming, column=column,
            )  # fmt: skip

    def corpus(self, name: str) -> Corpus:
        """An imported corpus.

        Raises:
            WorkbenchError: no such corpus; those there are are listed.
        """
        if name not in self.corpus_names():
            known = ", ".join(self.corpus_names()) or "none yet"
            raise WorkbenchError(f"no corpus {name!r}", where=str(self.path), hint=f"There is {known}.")
        found = Corpus.open(self.corpus_folder(name))
        # Recorded when it is first opened: at the end of its import, or after a kill in between.
        if "import_id" in (facts := found.facts):
            counts = {"utterances": facts["rows"], "problems": facts["problems"]}
            self.record_once("import", facts["import_id"], {**counts, "rows": facts["utterances_sha256"]})
            if made := facts.get("made"):
                self.record_once(made["act"], facts["import_id"], made["facts"])
        return found

    def add_checkpoint(self, name: str, source: str | Path) -> Checkpoint:
        """Copy a ``.nemo`` file into the workspace under a name, after inspecting it; once only.

        Raises:
            WorkbenchError: not a checkpoint that can be used, or the name holds another one.
        """
        found, target = Checkpoint.open(source), self.checkpoint_path(name)
        with alone(self.path / "locks" / "checkpoints"):
            if target.exists():
                if Checkpoint.open(target).sha256 == found.sha256:
                    clear_drafts(target)  # of a call that was cut off
                    return self.checkpoint(name)
                raise WorkbenchError(
                    f"there is another checkpoint {name!r}", where=str(target), hint="Choose another name."
                )
            with replacing(target, digest=True) as draft:
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

    def require_checkpoints(self, *names: str, made_by: str) -> None:
        """Stop with one kind line where checkpoints that the next steps need are not there yet.

        Args:
            names: of checkpoints or finished runs.
            made_by: what makes them, such as ``03_finetune.ipynb``.

        Raises:
            WorkbenchError: some are missing.
        """
        there = {*self.checkpoint_names(), *self.run_names()}
        _require([name for name in names if name not in there], "checkpoint", made_by)

    def require_predictions(self, corpus: str, *names: str, made_by: str) -> None:
        """The same for predictions of a corpus.

        Args:
            corpus: name of the corpus.
            names: of its predictions.
            made_by: what makes them, such as ``04_errors.ipynb``.

        Raises:
            WorkbenchError: some are missing, or there is no such corpus.
        """
        there = self.corpus(corpus).prediction_names()
        _require([name for name in names if name not in there], "prediction", made_by)

    def run(self, name: str) -> Run:
        """A run by name, alive or ended.

        Raises:
            WorkbenchError: no such run; those there are are listed.
        """
        if name not in self.run_names():
            known = ", ".join(self.run_names()) or "none yet"
            raise WorkbenchError(f"no run {name!r}", where=str(self.path), hint=f"There is {known}.")
        found = Run.attach(self.run_folder(name))
        # Recorded when it is first looked at: after its start, or after a kill in between.
        if (act := found.folder.state().get("run_id")) is not None:
            self.record_once("run", str(act), {"run": self.pseudonym("run", name)})
        return found

    def finetune(self, recipe: Recipe | str | Path, name: str | None = None, *, replace: bool = False) -> Run:
        """Start a run in a process of its own and return at once; the run waits for a free slot.

        Args:
            recipe: or its YAML file.
            name: of the run; the recipe's by default.
            replace: an ended run of that name gets another one, its time of creation added; nothing is lost.

        Raises:
            WorkbenchError: the recipe is not valid (all faults, one line each), the name is taken, or the
                user lacks the trainer role.
        """
        with self._run_to_make(recipe, name, replace=replace) as (recipe, folder):
            runs.start(recipe, folder, slots=self.slots, slot_count=self.config.slots)
        return self.run(folder.name)

    def prepare_launch(
        self,
        recipe: Recipe | str | Path,
        name: str | None = None,
        *,
        slurm: Mapping[str, str] | None = None,
        kubernetes: Mapping[str, str] | None = None,
        setup: Sequence[str] = (),
        python: str = sys.executable,
        replace: bool = False,
    ) -> Run:
        """Make a run's folder with scripts for schedulers and ``torchrun``, and start nothing.

        Args:
            slurm: further options of ``sbatch``: ``{"partition": "gpu", "time": "24:00:00", "account": …}``.
            kubernetes: makes a manifest too: ``{"image": …, "claim": …, "mount": "/data"}`` and more, see
                :data:`workbench.finetuning.kubernetes.OPTIONS`.
            setup: shell lines before the start, such as ``module load cuda``.
            python: of the nodes.
            recipe, name, replace: as :meth:`finetune` takes them.

        Raises:
            WorkbenchError: as :meth:`finetune`, or an option that is no option.
        """
        with self._run_to_make(recipe, name, replace=replace) as (recipe, folder):
            cluster_scripts.prepare_launch(
                recipe, folder, slurm=slurm, kubernetes=kubernetes, setup=setup, python=python
            )
        return self.run(folder.name)

    def measured_capacity(self, name: str) -> Capacity:
        """A sweep of earlier, finished or cut off.

        Raises:
            WorkbenchError: there is none of that name.
        """
        return Capacity.load(self.capacity_path(name))

    def capacity_path(self, name: str) -> Path:
        """Where the JSON of a sweep lies."""
        return self.reports / "capacity" / f"{check_name(Path(name).stem)}.json"

    def suite(self, name: str) -> Suite:
        """A test suite, made or yet to be made: ``ws.suite("pilot").create(["calls", "guardrails"])``."""
        return Suite(self, name)

    @contextmanager
    def _run_to_make(
        self, recipe: Recipe | str | Path, name: str | None, *, replace: bool
    ) -> Iterator[tuple[Recipe, Path]]:
        """Within, this process alone makes the run of that name."""
        require(self, "trainer", "run.start")
        recipe = recipe if isinstance(recipe, Recipe) else Recipe.from_yaml(recipe)
        folder = self.run_folder(name or recipe.name)
        busy = f"another process is starting a run {folder.name!r}"
        making = alone(self.path / "locks" / f"run-{folder.name}", timeout_s=0, busy=busy)
        with together(erasure_lock(self.path), busy=ERASING), making:
            if replace and (folder / "recipe.yaml").exists() and not (old := self.run(folder.name)).alive:
                folder.rename(folder.with_name(check_name(f"{folder.name}.{old.created_at}")))
            if (folder / "recipe.yaml").exists():
                hint = "Name the new one: name=…"
                raise WorkbenchError(f"there is a run {folder.name!r} already", where=str(folder), hint=hint)
            yield recipe, folder


def _require(missing: list[str], what: str, made_by: str) -> None:
    if missing:
        names = ", ".join(missing)
        plural = "s" if len(missing) > 1 else ""
        raise WorkbenchError(
            f"not there yet: the {what}{plural} {names}", hint=f"Run {made_by} first, then this again."
        )
