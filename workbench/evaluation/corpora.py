"""Score the predictions that lie with a corpus."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.corpus.review.origins import references
from workbench.errors import WorkbenchError
from workbench.evaluation.evaluation import Evaluation, score_predictions
from workbench.evaluation.rates import Thresholds
from workbench.foldings import Substitution
from workbench.signatures import public
from workbench.workspace.roles import workspace_of

if TYPE_CHECKING:
    import pandas as pd

    from workbench.corpus.query.table import Corpus


@public
def evaluate(
    corpus: Corpus,
    *names: str,
    predictions: Mapping[str, pd.DataFrame | str | Path] | None = None,
    normalizer: str = "basic",
    by: Sequence[str] = ("target_lang", "accent"),
    thresholds: Thresholds | None = None,
    traffic: Mapping[str, float] | None = None,
    substitutions: str | Path | Sequence[Substitution] | None = None,
    resamples: int = 1000,
    seed: int = 20260604,
    engine: str = "local",
    address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score predictions of a corpus (or view) against its transcripts: ``evaluate(c, "base", "tuned")``.

    Args:
        corpus: rows with references; drafts nobody accepted and clips on which reviewers differ are none.
        names: of predictions that lie with the corpus.
        predictions: further ones, by name: tables with ``id`` and ``hypothesis``, or Parquet files of such.
        normalizer: of the headline figures; every method takes another.
        by: slices of the headline; columns that do not exist or are empty are left out.
        thresholds: when a slice is too small to speak.
        traffic: share of calls by locale tag; by default those of the workspace's pilot plan; ``{}``: none.
        substitutions: spellings that count as others (``written,meant,language``); by default the workspace's
            ``substitutions.csv`` where there is one. The normalizer's name then ends with ``+list``.
        resamples: of the bootstrap behind every interval.
        seed: of the bootstrap.
        engine: 'local', or 'ray': words and characters are aligned on a cluster, with the same figures.
        address: of the Ray cluster.
        progress: called with (pairs done, pairs in all).

    Raises:
        WorkbenchError: no names, a prediction is missing, an unknown normalizer, or no reference.
    """
    given = dict(predictions or {})
    if not names and not given:
        known = ", ".join(corpus.prediction_names()) or "none yet"
        raise WorkbenchError("which predictions?", where=f"corpus {corpus.name}", hint=f"There is {known}.")
    tables = {**{name: corpus.prediction(name) for name in names}, **given}
    if substitutions is None:
        kept = corpus.folder.parent.parent / "substitutions.csv"
        substitutions = kept if kept.is_file() else ()
    if traffic is None:
        home = workspace_of(corpus.folder)
        traffic = home.pilot.traffic() if home is not None else {}
    return score_predictions(
        references(corpus), tables, normalizer=normalizer, by=by, thresholds=thresholds, traffic=traffic,
        substitutions=substitutions, resamples=resamples, seed=seed,
        corpus=corpus, engine=engine, address=address, progress=progress,
    )  # fmt: skip
