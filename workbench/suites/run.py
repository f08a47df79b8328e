"""A suite run: what is missing is transcribed at every operating point; then engines are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from workbench.evaluation.answers import shown_comparison
from workbench.locks import unerased
from workbench.recognizer.transcribe import transcribe
from workbench.signatures import public
from workbench.suites.comparison import compared, refuse_pooled, refuse_unlike, shortfall_sentence
from workbench.suites.matrix import ForgettingMatrix, forgetting_matrix
from workbench.suites.points import IMPORTED, OperatingPoint
from workbench.suites.predictions import SuitePredictions, refuse_changes
from workbench.suites.store import Suite
from workbench.suites.suite import SuiteVersion

if TYPE_CHECKING:
    import pandas as pd

    from workbench.evaluation.slices import Where
    from workbench.recognizer.checkpoint import Checkpoint

Progress = Callable[[int, int], None]


@public
class SuiteRun(SuitePredictions):
    """What engines made of one version of a suite, and how they compare."""

    def compare(
        self,
        base: str,
        candidate: str,
        *,
        point: str | OperatingPoint | None = None,
        candidate_point: str | OperatingPoint | None = None,
        by: str | Sequence[str] | None = "target_lang",
    ) -> pd.DataFrame:
        """Candidate against base at one operating point; see ``Evaluation.compare`` for the columns.

        Slices whose coverage does not suffice are not in the table of figures but in the column ``because``:
        their figures are NaN.

        Raises:
            WorkbenchError: the two are not alike; the message names every difference.
        """
        at = self.version.point(point)
        refuse_unlike(self, base, candidate, at, self.version.point(candidate_point or at))
        columns = [by] if isinstance(by, str) else list(by or ())
        if at.metric == "headline":
            refuse_pooled(self, columns)
        table = self.evaluation(at, (base, candidate)).compare(base, candidate, by=columns, metric=at.metric)
        table = compared(table, self.shortfalls(base, candidate, point=at))
        return shown_comparison(table, base, candidate, columns)

    def is_better(
        self, base: str, candidate: str, *, point: str | OperatingPoint | None = None, where: Where = None
    ) -> pd.DataFrame:
        """Is the new checkpoint better? One sentence, and who moves the other way; by locale.

        Args:
            base, candidate: engines of this run.
            point: where they are compared; default: the first operating point.
            where: of whom, such as ``{"accent": "es-MX"}``.

        Raises:
            WorkbenchError: as :meth:`compare`.
        """
        at = self.version.point(point)
        refuse_unlike(self, base, candidate, at, at)
        found = self.evaluation(at, (base, candidate)).is_better(base, candidate, where)
        lacking = self.shortfalls(base, candidate, point=at)
        if lacking:
            found.sentence = f"Not enough data: {shortfall_sentence(lacking)}. {found.sentence}"
        return found

    def forgetting(self, base: str, *, point: str | OperatingPoint | None = None) -> ForgettingMatrix:
        """Every other engine against ``base``, by locale: differences with intervals, as a table and picture.

        Raises:
            WorkbenchError: as :meth:`compare`.
        """
        return forgetting_matrix(self, base, self.version.point(point))


def run_suite(
    suite: Suite,
    checkpoints: Mapping[str, Checkpoint],
    *,
    version: int | None = None,
    points: Sequence[str] | None = None,
    engine: str = "local",
    address: str | None = None,
    progress: Progress | None = None,
    cancel: Callable[[], bool] | None = None,
) -> SuiteRun:
    """Transcribe what is missing and open the run; repeated after a break it goes on.

    Args:
        checkpoints: name → checkpoint.
        version: of the suite; the newest by default.
        points: only these operating points, by name; all by default.
        engine, address: 'local', or 'ray' on a cluster at ``address``.
        progress: called with (done, total) clips over all checkpoints and points.

    Raises:
        WorkbenchError: audio, references or locales changed since the suite was made; or as ``transcribe``.
    """
    chosen = suite.latest if version is None else suite.version(version)
    refuse_changes(suite, chosen)
    suite.freeze(chosen)
    run = SuiteRun(suite, chosen, {name: found.sha256 for name, found in checkpoints.items()})
    jobs = [
        (checkpoint, point, corpus)
        for checkpoint in checkpoints.values()
        for point in _readings(chosen, points)
        for corpus in chosen.corpora
    ]
    total = sum(len(run.clips_of(corpus)) for _, _, corpus in jobs)
    before = 0
    for checkpoint, point, name in jobs:
        out = run.path(name, checkpoint.sha256, point)
        out.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        corpus = run.corpus(name)
        with unerased(corpus.folder):
            transcribe(
                checkpoint, run.rows_of(name), corpus.audio_roots, out, lookahead_ms=point.lookahead_ms,
                prompt_mode=point.prompt_mode, streaming=point.streaming, precision=point.precision,
                runtime=point.runtime, engine=engine, address=address,
                progress=_moved(progress, before, total), cancel=cancel,
            )  # fmt: skip
        before += len(run.clips_of(name))
    facts = {"suite": chosen.digest, "checkpoints": sorted(set(run.checkpoints.values()))}
    suite.workspace.record("suite.run", facts)
    return run


def _moved(progress: Progress | None, before: int, total: int) -> Progress | None:
    return None if progress is None else lambda done, _: progress(before + done, total)


def _readings(version: SuiteVersion, names: Sequence[str] | None) -> list[OperatingPoint]:
    """Operating points that differ in more than how they are scored; imported ones are not read here."""
    chosen = [version.point(name) for name in names] if names is not None else list(version.points)
    return list({p.reading: p for p in chosen if p.runtime != IMPORTED}.values())
