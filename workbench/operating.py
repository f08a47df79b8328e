"""What a workspace does to plan operation and to watch it: capacity, conditions, field logs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.capacity.measurement import Budget
from workbench.capacity.result import Capacity
from workbench.capacity.sweep import MEMORY_SESSIONS, measure_capacity
from workbench.corpus.query.table import Corpus
from workbench.evaluation.calibration import calibrate
from workbench.evaluation.corpora import evaluate
from workbench.field.conditions import BANDS, SNR_DB, ConditionSweep, sweep_conditions
from workbench.field.dashboard import FieldReport, watch_log
from workbench.field.log import read_log
from workbench.field.suite_baseline import suite_baseline
from workbench.names import check_name
from workbench.serving import Serving
from workbench.signatures import public
from workbench.widgets.progress import Progress, progress_bar
from workbench.workspace import calibration

if TYPE_CHECKING:
    from workbench.field import Baseline
    from workbench.suites.run import SuiteRun
    from workbench.workspace.calibration import Calibration


@public
class Operating(Serving):
    """A workspace whose checkpoints meet callers."""

    def capacity(
        self,
        checkpoint: str,
        corpus: Corpus,
        *,
        budget_ms: float | None = None,
        budget: Budget | None = None,
        clips: int = 24,
        streams: Sequence[int] = (1, 2, 4, 8),
        lookaheads_ms: Sequence[int] | None = None,
        repeats: int = 3,
        ceiling: int = 512,
        call_s: float = 6.0,
        calls: int = 1,
        background_load: int = 0,
        memory_sessions: Sequence[int] = MEMORY_SESSIONS,
        locale: str = "auto",
        device: str = "auto",
        threads: int | None = None,
        runtime: str = "auto",
        seed: int = 20260823,
        name: str | None = None,
        progress: Progress | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Capacity:
        """How many paced streams this machine serves; interrupting keeps what was measured.

        Args:
            corpus: a view; ``clips`` of its clips are spoken.
            budget_ms: the most that the last text may take after the audio (95th percentile); the largest
                number of streams that holds it is searched. ``budget``: another measure or percentile.
            name: of the JSON in ``reports/capacity/``; the checkpoint's by default.
            streams, lookaheads_ms, repeats, ceiling, call_s, calls, background_load, memory_sessions,
                locale, device, threads, runtime, seed, cancel: as
                :func:`workbench.capacity.measure_capacity`.

        Raises:
            WorkbenchError: as ``measure_capacity``.
        """
        recognizer, path = self.checkpoint(checkpoint), self.capacity_path(name or checkpoint)
        rate, ids = recognizer.info.sample_rate, corpus.sample(clips).ids()
        if budget is None and budget_ms is not None:
            budget = Budget(budget_ms)
        with progress_bar(f"capacity of {checkpoint}", progress, unit="measurement") as shown:
            spoken = [corpus.audio(id, rate) for id in ids]
            measure_capacity(
                recognizer, spoken, streams=streams, lookaheads_ms=lookaheads_ms, budget=budget,
                repeats=repeats, ceiling=ceiling, call_s=call_s, calls=calls, background_load=background_load,
                memory_sessions=memory_sessions, locale=locale, device=device, threads=threads,
                runtime=runtime, seed=seed, out=path, progress=shown, cancel=cancel,
            )  # fmt: skip
        return Capacity.load(path)

    def calibrate(self, corpus: Corpus, prediction: str, *, normalizer: str = "basic") -> Calibration:
        """Fit what a checkpoint's confidence is worth, and keep it: from then on drafts, the board's order,
        field reports and the model card take its line in the place of a constant.

        Args:
            corpus: validation clips with references, such as ``ws.corpus("calls").where("split =
                'validation'")``; not those that figures are made from.
            prediction: of the checkpoint on them, made as callers get it.
            normalizer: under which a word counts as right.

        Returns:
            Temperature, lines of words and utterances, and the table of what lies below each confidence.

        Raises:
            WorkbenchError: no such prediction, it was made by no checkpoint, or there is not enough data.
        """
        where = " AND ".join(corpus.filters) or "all rows"
        found = calibrate(evaluate(corpus, prediction, normalizer=normalizer), prediction, corpus.name, where)
        calibration.write(self.reports, found)
        self.record("calibrate", {"checkpoint": found.checkpoint_sha256, "words": found.words})
        return found

    def calibration(self, checkpoint: str) -> Calibration | None:
        """What :meth:`calibrate` fitted of a checkpoint; None where nothing was.

        Args:
            checkpoint: its name, a run's, or a ``.nemo`` path.

        Raises:
            WorkbenchError: no such checkpoint, or what was kept is damaged.
        """
        return calibration.read(self.reports, self.checkpoint(checkpoint).sha256)

    def conditions(
        self,
        checkpoint: str,
        corpus: Corpus,
        *,
        snr_db: Iterable[float | None] = SNR_DB,
        bands: Sequence[str] = BANDS,
        noise: str = "street",
        lookahead_ms: int | None = None,
        prompt_mode: str = "langID",
        normalizer: str = "basic",
        seed: int = 0,
        runtime: str = "auto",
        name: str | None = None,
        engine: str = "local",
        address: str | None = None,
        progress: Progress | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> ConditionSweep:
        """Errors, empty outputs and punctuation by noise and band, per locale; asked again, it goes on.

        Args:
            snr_db: speech to noise; None adds no noise. ``noise``: 'white', 'pink' or 'street'.
            bands: 'wide': as recorded; 'telephone': 300–3400 Hz at 8 kHz through G.711.
            normalizer: of the error rates. ``seed``: of the noise.
            name: of the JSON in ``reports/conditions/``; the checkpoint's by default.
            checkpoint, corpus, lookahead_ms, prompt_mode, runtime, engine, address, progress, cancel: as
                :meth:`transcribe` takes them.

        Raises:
            WorkbenchError: no clips, an unknown band or noise, or the engine's.
        """
        path = self.reports / "conditions" / f"{check_name(Path(name or checkpoint).stem)}.json"
        with progress_bar(f"conditions of {checkpoint}", progress) as shown:
            sweep_conditions(
                self.checkpoint(checkpoint), corpus, snr_db=snr_db, bands=bands, noise=noise,
                lookahead_ms=lookahead_ms, prompt_mode=prompt_mode, normalizer=normalizer, seed=seed,
                runtime=runtime, out=path, engine=engine, address=address, progress=shown, cancel=cancel,
            )  # fmt: skip
        return ConditionSweep.load(path)

    def field_log(
        self,
        paths: str | Path | list[str | Path],
        *,
        baseline: Baseline | None = None,
        baseline_weeks: int = 6,
        release: str | None = None,
        false_alarms_per_week: float = 0.01,
        uncertain: float | None = None,
    ) -> FieldReport:
        """Hold production logs (docs/field-log.md) against the release's own first weeks.

        The log is read where it lies; nothing of it is kept in the workspace.

        Args:
            paths: JSON-lines files, or folders and patterns of such.
            baseline: of an earlier log; default: the first ``baseline_weeks`` whole weeks of this one.
            release: whose calls are used; default: the last one that the log names.
            false_alarms_per_week: the chance of any false alarm in a week, over all charts together.
            uncertain: calls of less confidence are counted as uncertain; default: the line of utterances that
                was fitted for the release's checkpoint (:meth:`calibrate`), else 0.6; the report says which.

        Raises:
            WorkbenchError: no usable line or too few whole weeks; damaged lines are listed, not raised.
        """
        return watch_log(
            read_log(paths), baseline, baseline_weeks=baseline_weeks, release=release,
            false_alarms_per_week=false_alarms_per_week, workspace=self, uncertain=uncertain,
        )  # fmt: skip

    def suite_baseline(
        self, run: SuiteRun, engine: str, release: str, *, point: str | None = None
    ) -> Baseline:
        """A baseline for ``field_log(…, baseline=…)`` before there are weeks: what a suite had.

        Args:
            run: of the suite, with the checkpoint that the release serves.
            engine: its name in the run.
            release: what the log calls that release.
            point: operating point that callers get; default: the first.

        Raises:
            WorkbenchError: not run there, clips are missing, or no locale has enough clips.
        """
        return suite_baseline(run, engine, release, point=point)
