"""The public face: a workspace, and the calls that join rooms.

Rooms do not know each other sideways; here they meet. NeMo, torch, Ray and Jupyter are loaded when a
call needs them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.cluster import connected
from workbench.corpus import record
from workbench.corpus.query.table import Corpus
from workbench.corpus.review.drafts import Drafts
from workbench.corpus.review.origins import references
from workbench.errors import WorkbenchError
from workbench.evaluation import boosted
from workbench.evaluation.corpora import evaluate
from workbench.evaluation.evaluation import Evaluation
from workbench.evaluation.rates import Thresholds
from workbench.finetuning.learning_curve import learning_curve
from workbench.finetuning.projection import Curve
from workbench.finetuning.recipe import Recipe
from workbench.finetuning.variants import Variants, compare_variants
from workbench.glance import Glance, as_html, as_text, counted
from workbench.ingest.audio.rows import audio_digests
from workbench.locks import alone, unerased
from workbench.names import check_name
from workbench.operating import Operating
from workbench.recognizer.transcribe import transcribe
from workbench.release import retraining_schedule, verification
from workbench.release.pipeline import TEST, Outcome, Pipeline
from workbench.release.release import Release
from workbench.release.retraining_schedule import RetrainingStatus
from workbench.release.verification import WorkspaceVerification
from workbench.signatures import public
from workbench.suites.points import Metric
from workbench.suites.run import run_suite
from workbench.widgets.overview import Overview
from workbench.widgets.progress import Progress, progress_bar
from workbench.workspace.roles import require

if TYPE_CHECKING:
    import pandas as pd

    from workbench.evaluation.boosted import KeywordBoost
    from workbench.evaluation.keywords import Keyword
    from workbench.release.gates import Policy
    from workbench.suites.run import SuiteRun


_PLURAL = {"corpus": "corpora"}


@public
class Workspace(Operating):
    """A folder that owns corpora, runs, checkpoints, reports and the ledger."""

    def _glance(self) -> Glance:
        held = {"corpus": self.corpus_names(), "checkpoint": self.checkpoint_names(), "run": self.run_names()}
        many = ", ".join(counted(len(held[kind]), kind, _PLURAL.get(kind, "")) for kind in held)
        rows = [(kind, ", ".join(names) or "none yet") for kind, names in held.items()]
        return Glance(f"Workspace {self.path}: {many}; overview() says more.", ("what", "names"), rows)

    __repr__, _repr_html_ = as_text, as_html

    def overview(self) -> Overview:
        """What is here and what works on this machine."""
        rows = []
        faults = []
        for name in self.corpus_names():
            try:
                corpus = self.corpus(name)
                status = dict(corpus.groups("status")[["status", "utterances"]].to_numpy().tolist())
                locales = corpus.groups("target_lang")
                figures = (len(corpus), float(locales["hours"].sum()), len(locales))
            except WorkbenchError as error:  # damaged, or of a newer workbench: the others are shown
                faults.append(f"{name}: {error}")
                continue
            rows.append((name, *figures, int(status.get("accepted", 0)), int(status.get("rejected", 0))))
        due = None
        try:
            due = self.retraining_status()
        except WorkbenchError as error:
            faults.append(f"release: {error}")
        return Overview(self, rows, due, faults)

    def retraining_status(
        self,
        *,
        now: datetime | None = None,
        at_release: SuiteRun | None = None,
        today: SuiteRun | None = None,
        point: str | None = None,
    ) -> RetrainingStatus | None:
        """Where the workspace stands since its last release, and why retraining is due, if it is.

        Args:
            now: default: the clock.
            at_release: whether a locale regressed: a run of the suite that the release was gated on, with the
                checkpoint in production.
            today: a run of a later version of that suite (``renew``), with the same checkpoint.
            point: operating point the two are held at; default: the first.

        Returns:
            None where nothing was released yet.

        Raises:
            WorkbenchError: one run without the other, or two that are not alike.
        """
        return retraining_schedule.retraining_status(
            self, now=now, at_release=at_release, today=today, point=point
        )

    def transcribe(
        self,
        corpus: Corpus,
        checkpoint: str,
        name: str,
        *,
        lookahead_ms: int | None = None,
        prompt_mode: str = "langID",
        streaming: bool = False,
        runtime: str = "auto",
        engine: str = "local",
        address: str | None = None,
        progress: Progress | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> pd.DataFrame:
        """Transcribe the corpus (or view) and keep the result as a prediction; finished rows are kept when
        interrupted.

        Args:
            corpus: what is transcribed.
            checkpoint: its name, a run's, a ``.nemo`` path or a hub name.
            name: of the prediction.
            lookahead_ms: one of the checkpoint's; None is its default.
            prompt_mode: 'langID' gives each row's tag as prompt, 'auto' lets the checkpoint detect it.
            streaming: decode chunk by chunk, as live; offline otherwise.
            runtime: 'torch', 'onnx', 'onnx-int8', or 'auto'; see :meth:`Checkpoint.engine`. Recorded.
            engine: 'local', or 'ray' to decode on a cluster (docs/scaling.md), with the same results.
            address: of the Ray cluster.
            progress: called with (rows done, rows in all); a bar is shown without it.
            cancel: asked before each batch.

        Returns:
            The prediction: a row per utterance, see "Predictions" in docs/architecture.md.

        Raises:
            WorkbenchError: no such checkpoint, look-ahead or prompt mode, or the engine's.
        """
        target = corpus.predictions_folder / f"{check_name(name)}.parquet"
        busy = f"another process is making the prediction {name!r}"
        alone_here = alone(corpus.predictions_folder / f".{name}.lock", timeout_s=0, busy=busy)
        with unerased(corpus.folder), alone_here, progress_bar(f"transcribe {name}", progress) as shown:
            rows = corpus.frame().to_dict("records")
            for row, digest in zip(rows, audio_digests(rows, corpus.audio_roots), strict=True):
                row["audio_sha256"] = digest
            transcribe(
                self.checkpoint(checkpoint), rows, corpus.audio_roots, target, lookahead_ms=lookahead_ms,
                prompt_mode=prompt_mode, streaming=streaming, runtime=runtime, engine=engine,
                address=address, progress=shown, cancel=cancel,
            )  # fmt: skip
        return corpus.prediction(name)

    def draft(
        self,
        corpus: Corpus,
        checkpoint: str,
        second: str | None = None,
        *,
        name: str = "draft",
        twice: float = 0.1,
        prompt_mode: str = "langID",
        engine: str = "local",
        address: str | None = None,
        progress: Progress | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Drafts:
        """Draft transcripts of the corpus (or view) with one or two checkpoints, for reviewers to accept or
        correct; no row gets a transcript by it. A stopped call goes on when repeated.

        Args:
            second: another checkpoint; where the two disagree is worked on first.
            name: of the prediction that holds the drafts; the second's is NAME-second.
            twice: share of the clips that two reviewers transcribe apart, 0 to 1.
            corpus, checkpoint, prompt_mode, engine, address, progress, cancel: as :meth:`transcribe` takes
                them.
        """
        names = {name: checkpoint} | ({f"{name}-second": second} if second is not None else {})
        for made, by in names.items():
            self.transcribe(
                corpus, by, made, prompt_mode=prompt_mode, engine=engine, address=address, progress=progress,
                cancel=cancel,
            )  # fmt: skip
        return self.drafts(corpus, *names, twice=twice)

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
        found = {name: self.checkpoint(name) for name in checkpoints}
        with progress_bar(f"suite {suite}", progress) as shown:
            return run_suite(
                self.suite(suite), found, version=version, points=points, engine=engine, address=address,
                progress=shown, cancel=cancel,
            )  # fmt: skip

    def learning_curve(
        self,
        recipe: Recipe | str | Path,
        suite: str,
        *,
        shares: Sequence[float] = (0.1, 0.3, 1.0),
        metric: Metric = "headline",
        locales: Sequence[str] | None = None,
        engine: str = "local",
        address: str | None = None,
        progress: Progress | None = None,
        cancel: Callable[[], bool] = lambda: False,
    ) -> Curve:
        """The recipe on shares of its target data, each measured on a suite: ``curve.more_hours(5)`` says how
        many more hours bring five points, or why the points do not say. A stopped call goes on.

        Args:
            recipe: its target sources are cut to each share, nested; steps stay as they are.
            suite: measured at its first operating point, on ``locales`` (default: the target's).
            shares, metric, engine, address, progress, cancel: as
                :func:`workbench.finetuning.learning_curve.learning_curve`.

        Raises:
            WorkbenchError: as there.
        """
        require(self, "trainer", "run.start")
        recipe = recipe if isinstance(recipe, Recipe) else Recipe.from_yaml(recipe)
        folder = self.path / "learning_curves" / check_name(recipe.name)
        return learning_curve(
            recipe, folder, self.suite(suite), shares=shares, metric=metric, locales=locales,
            slots=self.slots, slot_count=self.config.slots, engine=engine, address=address,
            progress=progress, cancel=cancel,
        )  # fmt: skip

    def variants(
        self,
        suite: str,
        shared: str,
        *,
        adapters: Mapping[str, str] | None = None,
        own: Mapping[str, str] | None = None,
        base: str | None = None,
        streams: Mapping[str, int] | None = None,
    ) -> Variants:
        """One shared checkpoint, an adapter a locale, or a checkpoint a locale: figures on a suite, costs and
        a recommendation with its reasons.

        Args:
            shared: the checkpoint or run that was trained on all the locales.
            adapters: locale → a finished run with ``trains: adapter`` or ``lora``.
            own: locale → a checkpoint or run of its own.
            base: shown beside them; default: the adapters' base.
            streams: variant → streams that a machine holds, from ``ws.capacity``.

        Raises:
            WorkbenchError: as :func:`workbench.finetuning.variants.compare_variants`.
        """
        return compare_variants(
            self.suite(suite),
            self.checkpoint(shared),
            adapters={tag: self.run(name) for tag, name in (adapters or {}).items()},
            own={tag: self.checkpoint(name) for tag, name in (own or {}).items()},
            base=self.checkpoint(base) if base else None,
            streams=streams,
        )

    def evaluate_lookaheads(
        self,
        corpus: Corpus,
        checkpoint: str,
        lookaheads_ms: Iterable[int] | None = None,
        *,
        prompt_mode: str = "langID",
        engine: str = "local",
        address: str | None = None,
        progress: Progress | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Evaluation:
        """Stream the corpus (or view) at several look-aheads and score each, as ``CHECKPOINT-MS``.

        Args:
            lookaheads_ms: all of the checkpoint's by default.
            engine: 'ray' decodes and aligns on a cluster, with the same results.
            corpus, checkpoint, prompt_mode, address, progress, cancel: as :meth:`transcribe` takes them.
        """
        wanted = list(lookaheads_ms or self.checkpoint(checkpoint).info.lookaheads_ms)
        names = [f"{check_name(checkpoint)}-{ms}" for ms in wanted]
        with connected(engine, address):
            for name, ms in zip(names, wanted, strict=True):
                self.transcribe(
                    corpus, checkpoint, name, lookahead_ms=ms, prompt_mode=prompt_mode, streaming=True,
                    engine=engine, address=address, progress=progress, cancel=cancel,
                )  # fmt: skip
            with progress_bar("score", progress, unit="pair") as shown:
                return evaluate(corpus, *names, engine=engine, address=address, progress=shown)

    def keyword_boost(
        self,
        corpus: Corpus,
        checkpoint: str,
        keywords: str | Path | Iterable[str | Keyword],
        *,
        weight: float = 1.0,
        lookahead_ms: int | None = None,
        device: str = "auto",
        normalizer: str = "basic",
        by: Sequence[str] = ("target_lang", "accent"),
        thresholds: Thresholds | None = None,
        resamples: int = 1000,
        seed: int = 20260604,
        others: int = 50,
        progress: Progress | None = None,
    ) -> KeywordBoost:
        """Stream the utterances of the corpus (or view) that hold a keyword, without and with the list, and
        compare recall, precision and F1; and others without any, where what is written is a false alarm.

        Args:
            keywords: a list, or a CSV file with a column ``keyword``; written as transcripts have them.
            weight: of the list.
            lookahead_ms: one of the checkpoint's; None is its default.
            device: 'cpu', 'cuda' or 'auto'.
            normalizer, by, thresholds, resamples, seed: of the evaluation.
            others: clips without a keyword, at most.
            corpus, checkpoint, progress: as :meth:`transcribe` takes them.

        Raises:
            WorkbenchError: no reference holds a keyword, or no utterance could be decoded.
        """
        with progress_bar("keywords", progress) as shown:
            return boosted.keyword_boost(
                self.checkpoint(checkpoint), references(corpus), corpus.audio_roots, keywords, weight=weight,
                lookahead_ms=lookahead_ms, device=device, normalizer=normalizer, by=by,
                thresholds=thresholds, resamples=resamples, seed=seed, others=others, progress=shown,
            )  # fmt: skip

    def pipeline(
        self,
        recipe: Recipe | str | Path,
        policy: Policy | str | Path,
        *,
        name: str | None = None,
        corpus: str | None = None,
        where: str = TEST,
        suite: str | None = None,
        base: str | None = None,
    ) -> Outcome:
        """Export, fine-tune, evaluate and gate, unattended; asked for again after a break, it goes on.

        Args:
            policy: what the gate asks for; read anew each time.
            name: of the pass. Default: the recipe's name and the time; an unfinished pass of the same recipe
                and test goes on. A finished one of that name is only gated again.
            corpus: where the test utterances are; default: the corpus that the recipe's exports came from.
            where: which of its utterances are tested on.
            suite: what is tested on, in place of ``corpus`` and ``where``.
            base: what the candidate is held against; default: the recipe's base.

        Raises:
            WorkbenchError: a faulty recipe or policy, a name of another recipe's pass, or a step that failed.
        """
        return Pipeline(
            self, recipe, policy, name=name, corpus=corpus, where=where, suite=suite, base=base
        ).run()

    def verify(self, head: str | None = None) -> WorkspaceVerification:
        """Whether the workspace is whole: the ledger's chain, every digest kept of tables, decisions, keys,
        checkpoints and reports, and what killed calls left behind.

        Args:
            head: of the ledger, as it was kept elsewhere.
        """
        return verification.verify(self, head)

    def reroot(self, old: str | Path, new: str | Path) -> int:
        """Look for recordings below ``new`` where they were below ``old``, in every corpus; no file is moved.

        Args:
            old, new: folders; ``old`` need not exist any more.

        Returns:
            how many rows were found below ``old``.

        Raises:
            WorkbenchError: ``new`` is no folder, or the user is neither trainer nor steward.
        """
        require(self, "trainer|steward", "corpus.reroot")
        target = Path(new).expanduser().absolute()
        if not target.is_dir():
            raise WorkbenchError("no such folder", where=str(target), hint="Move the recordings first.")
        before = Path(os.path.abspath(Path(old).expanduser()))
        return sum(record.reroot(self.corpus_folder(n), before, target) for n in self.corpus_names())

    def release(self, candidate: str, base: str = "starter") -> Release:
        """A candidate checkpoint on its way out, against the one it replaces."""
        return Release(self, candidate=candidate, base=base)
