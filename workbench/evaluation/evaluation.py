"""The evaluation object: predictions of one corpus, asked from many sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.cluster import check_engine
from workbench.errors import Problem
from workbench.evaluation import (
    answers,
    answers_more,
    confounding,
    error_views,
    quality_views,
    rates,
    readings,
    report,
    summary,
)
from workbench.evaluation import code_switching as code_switching_view
from workbench.evaluation import leaderboard as leaderboard_view
from workbench.evaluation import silence as silence_views
from workbench.evaluation.alike import audio_changes, differences
from workbench.evaluation.asked import kept, normalizer_of
from workbench.evaluation.disparity import disparity as worst_against_best
from workbench.evaluation.disparity import gap_sentence
from workbench.evaluation.malloc_trim import give_back
from workbench.evaluation.matching import put_together
from workbench.evaluation.rates import Settings, Thresholds
from workbench.evaluation.scored import Headline, ScoredCorpus
from workbench.evaluation.sharded import align_ahead
from workbench.evaluation.slices import Where
from workbench.evaluation.tables import unknown_as_none
from workbench.foldings import Substitution, as_substitutions
from workbench.glance import counted
from workbench.plain_values import as_json
from workbench.shown import Facts, show_rows
from workbench.signatures import public, takes_fields
from workbench.text import parted
from workbench.views import Widget, view

if TYPE_CHECKING:
    from workbench.corpus.query.table import Corpus
    from workbench.recognizer.checkpoint import Checkpoint


def score_predictions(
    rows: pd.DataFrame,
    predictions: Mapping[str, pd.DataFrame | str | Path],
    *,
    normalizer: str = "basic",
    by: Sequence[str] = ("target_lang", "accent"),
    thresholds: Thresholds | None = None,
    traffic: Mapping[str, float] | None = None,
    substitutions: str | Path | Sequence[Substitution] = (),
    resamples: int = 1000,
    seed: int = 20260604,
    corpus: Corpus | None = None,
    engine: str = "local",
    address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score predictions against the references of ``rows``.

    Args:
        rows: utterance rows with ``id`` and ``text``; other columns are what slices are cut by.
        predictions: name → table with ``id`` and ``hypothesis`` (see Predictions in the architecture), or a
            Parquet file of one.
        normalizer: of the headline figures; every method takes another.
        by: slices of the headline; columns that do not exist or are empty are left out.
        traffic: share of the pilot's calls by locale tag: for the headline in traffic and what to fix first.
        substitutions: spellings that count as others, a CSV (``written,meant,language``) or a sequence; they
            are applied under the folding ``list``, which the normalizer's name then ends with.
        corpus: where the rows come from, for sound and decisions in the explorer.
        engine: 'local': utterances are aligned here when first asked for; 'ray': at once, words and
            characters of all predictions, on a cluster at ``address`` (:func:`workbench.cluster.over_ray`).
            Every figure is the same.

    Raises:
        WorkbenchError: unknown normalizer, missing columns, no reference or no id in common, or the
            engine's.
    """
    check_engine(engine, address)
    listed = as_substitutions(substitutions)
    if listed and "list" not in parted(normalizer)[1]:
        normalizer += "+list"
    parted(normalizer)
    scored = put_together(rows, predictions, progress, listed)
    if corpus is not None:
        scored.problems.extend(audio_changes(scored, corpus.audio_roots))
    chosen = tuple(c for c in by if c not in rows.columns or scored.rows[c].notna().any())
    chosen = tuple(c for c in chosen if c in rows.columns or c not in ("target_lang", "accent"))
    settings = Settings(
        normalizer,
        chosen,
        thresholds or Thresholds(),
        resamples,
        seed=seed,
        traffic=tuple((traffic or {}).items()),
    )
    if engine == "ray":
        align_ahead(scored, (normalizer, "raw"), address=address, progress=progress)
    return Evaluation(scored, settings, corpus)


@public
class Evaluation:
    """Rates, comparisons and errors of one or more predictions of the same utterances.

    Everything is computed when asked for and kept; ``scored`` holds rows and alignments, ``settings`` the
    normalizer, slices, thresholds, resamples and seed; ``corpus`` where the recordings are, if known.
    """

    def __init__(self, scored: ScoredCorpus, settings: Settings, corpus: Corpus | None = None) -> None:
        self.scored, self.settings, self.corpus = scored, settings, corpus

    @property
    def names(self) -> list[str]:
        """Names of the predictions."""
        return list(self.scored.predictions)

    @property
    def by(self) -> tuple[str, ...]:
        """Slices of the headline figures."""
        return self.settings.by

    @property
    def normalizer(self) -> str:
        """Of the headline figures."""
        return self.settings.normalizer

    @property
    def problems(self) -> list[Problem]:
        """What could not be scored, or needs a look."""
        return list(self.scored.problems)

    @property
    def rows(self) -> pd.DataFrame:
        """The utterances that have a reference; do not change it."""
        said = f"{counted(len(self), 'utterance')} with a reference."
        seen = ("id", "text", "target_lang", "accent", "speaker", "duration")
        return show_rows(self.scored.rows, said, seen)

    def __len__(self) -> int:
        return len(self.scored)

    def facts(self, name: str) -> dict[str, Any]:
        """Checkpoint, look-ahead, prompt mode and streaming of a prediction, and how much it covers."""
        prediction = self.scored.prediction(name)
        covered = int(prediction.present.sum())
        facts = {**prediction.facts, "predicted": covered, "missing": len(self) - covered}
        return Facts(facts, f"{name} covers {covered:,} of {counted(len(self), 'utterance')}.")

    def rates(
        self,
        name: str,
        by: str | Sequence[str] | None = None,
        metric: Headline = "headline",
        normalizer: str | None = None,
        where: Where = None,
    ) -> pd.DataFrame:
        """Error rates of slices.

        Args:
            by: columns or SQL expressions; ``()`` for one row over everything; the evaluation's by default.
            metric: ``wer``, ``cer``, or ``headline``: characters in slices of ja, ko, zh, th only.

        Returns:
            The slice columns (None: unknown), ``rate, low, high`` as fractions (NaN rate: errors but no
            reference units), ``errors, reference_units, hits, substitutions, insertions, deletions,
            utterances, empty_hypotheses, speakers``, ``no_interval`` (why there is none, else None),
            ``interval_kind`` ('speakers', 'these voices only',
            'speakers unknown'), ``reference_words``, ``enough`` ('no', 'provisional', 'yes'), ``metric``,
            ``normalizer``, and ``confounded``: columns that change together with the slices, None if none do.
        """
        by = self._columns(by)
        options: Any = {"metric": metric, "normalizer": normalizer_of(self, normalizer), "where": where}
        table = rates.rate_table(self.scored, name, self.settings, by=by, **options)
        give_back(len(self))
        table = self._with_confounding(table, by)
        return answers.shown_rates(table, name, by) if len(table) else table

    def overall(
        self, name: str, metric: Headline = "headline", normalizer: str | None = None
    ) -> dict[str, Any]:
        """The one row of :meth:`rates` over everything."""
        table = self.rates(name, (), metric, normalizer)
        return Facts(table.to_dict("records")[0], table.sentence)

    def compare(
        self,
        a: str,
        b: str,
        by: str | Sequence[str] | None = None,
        metric: Headline = "headline",
        normalizer: str | None = None,
        where: Where = None,
    ) -> pd.DataFrame:
        """Rate of ``b`` minus rate of ``a`` on the utterances both have: below zero, ``b`` is better.

        Returns:
            First, where the two are not alike, ``unlike``: every difference of their facts (look-ahead,
            prompt, engine, audio, coverage …; see ``evaluation.alike``). Then the slice columns,
            ``rate_a, rate_b, difference, low, high``; ``lower_bound, upper_bound``
            (one-sided, for non-inferiority), all at the settings' ``confidence``; ``p_value`` (the two
            systems' names swapped speaker by speaker) and ``p_method`` (see
            :class:`workbench.evaluation.significance.Difference`), ``no_interval``, ``p_holm``
            (over these slices), ``p_matched_pairs`` and ``p_matched_pairs_holm`` (segments taken
            as independent: too small where voices differ in what they gain); ``better, worse,
            changed`` utterances; the columns of :meth:`rates` that say how far to trust it; and ``reading``:
            fewer errors, more errors, no clear difference or not enough data (see ``evaluation.readings``).
        """
        by = self._columns(by)
        options: Any = {"metric": metric, "normalizer": normalizer_of(self, normalizer), "where": where}
        table = rates.comparison_table(self.scored, a, b, self.settings, by=by, **options)
        if unlike := differences(self.scored, a, b):
            table.insert(0, "unlike", "; ".join(unlike))
        table = self._with_confounding(table, by)
        if len(table):
            table["reading"] = [readings.direction(row) for row in table.to_dict("records")]
        return answers.shown_comparison(table, a, b, by) if len(table) else table

    def non_inferior(
        self,
        base: str,
        candidate: str,
        margin: float,
        by: str | Sequence[str] | None = None,
        metric: Headline = "headline",
        normalizer: str | None = None,
        where: Where = None,
    ) -> pd.DataFrame:
        """:meth:`compare` with ``non_inferior``: the upper one-sided bound of the difference, at the
        settings' ``confidence``, is below ``margin`` (a fraction: 0.01 is one point)."""
        by = self._columns(by)
        table = self.compare(base, candidate, by, metric, normalizer, where)
        if not len(table):
            return table
        found = pd.DataFrame(table).assign(margin=margin, non_inferior=table["upper_bound"] < margin)
        return answers.shown_non_inferior(found, base, candidate, margin, by)

    def disparity(
        self,
        name: str,
        by: str | Sequence[str] | None = None,
        metric: Headline = "headline",
        normalizer: str | None = None,
        where: Where = None,
    ) -> dict[str, Any]:
        """Worst and best slice with enough words: ``worst, worst_rate, best, best_rate``, ``gap`` and
        ``ratio`` each with ``_low`` and ``_high``, ``interval_kind``, ``overlap`` of their own intervals;
        empty if fewer than two slices. Picked after seeing the rates, the gap is biased upwards."""
        columns = self._columns(by)
        table = self.rates(name, columns, metric, normalizer, where)
        found = worst_against_best(self.scored, name, self.settings, table, columns, where)
        return Facts(found, gap_sentence(name, found))

    alignment = error_views.alignment
    utterances = error_views.utterances
    confusions = error_views.confusions
    words = error_views.words
    lost_words = error_views.lost_words
    accuracy_by_frequency = error_views.accuracy_by_frequency
    errors_by_position = error_views.errors_by_position
    errors_by_duration = error_views.errors_by_duration
    changes = error_views.changes
    heatmap = error_views.heatmap
    position = error_views.position
    punctuation = quality_views.punctuation
    punctuation_rates = quality_views.punctuation_rates
    case = quality_views.case
    stability = quality_views.stability
    language = quality_views.language
    auto_cost = quality_views.auto_cost
    keywords = quality_views.keywords
    tradeoff = quality_views.tradeoff
    calibration = quality_views.calibration
    confidence = quality_views.confidence
    silence = silence_views.silence
    code_switching = code_switching_view.code_switching
    leaderboard = leaderboard_view.leaderboard
    headline = answers.headline
    is_better = answers.is_better
    fix_first = answers.fix_first
    more_data = answers.more_data

    def _columns(self, by: str | Sequence[str] | None) -> tuple[str, ...]:
        return self.by if by is None else (by,) if isinstance(by, str) else tuple(by)

    def confounded(self, columns: Sequence[str] = confounding.COLUMNS) -> pd.DataFrame:
        """Columns whose effects these data cannot tell apart: ``columns, where, kind, sentence``."""
        key = ("confounded", tuple(columns), self.settings.thresholds.min_speakers)
        found = kept(self, key, lambda: confounding.confounded(self.rows, columns, key[2]))
        return answers_more.shown_confounded(found)

    def _with_confounding(self, table: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
        if len(table) and by:
            findings = self.confounded().to_dict("records")
            locales = table["target_lang"] if "target_lang" in table.columns else [None] * len(table)
            names = {locale: confounding.named(findings, by, locale) for locale in set(locales)}
            return unknown_as_none(table.assign(confounded=[names[locale] for locale in locales]))
        return table

    def report(
        self,
        path: str | Path,
        *,
        title: str = "Error report",
        slices: Sequence[str] | None = None,
        base: str | None = None,
        examples: int = 12,
        field: report.Section | None = None,
    ) -> Path:
        """Write the report as one HTML file that needs nothing else, and the same figures as JSON beside it.

        Args:
            path: of the HTML file; the JSON has the same name with ``.json``.
            slices, base, examples: as :meth:`to_dict`.
            field: a field report (``ws.field_log(...)``), which becomes a section.
        """
        figures = self.to_dict(slices=slices, base=base, examples=examples)
        return report.write_report(figures, Path(path), title=title, field=field)

    def to_dict(
        self, *, slices: Sequence[str] | None = None, base: str | None = None, examples: int = 12
    ) -> dict[str, Any]:
        """Every figure of the report.

        Args:
            slices: further columns or expressions to cut by; by default every usual one with 2 to 60 values.
            base: prediction the others are compared with; the first by default.
            examples: words and confusions listed for each prediction. These are transcript text: 0 leaves
                them out of a report that travels.
        """
        return summary.summarize(self, slices=slices, base=base, examples=examples)

    def to_json(
        self, *, slices: Sequence[str] | None = None, base: str | None = None, examples: int = 12
    ) -> str:
        """:meth:`to_dict` as JSON text; unknown values are null."""
        return as_json(self.to_dict(slices=slices, base=base, examples=examples))

    def __repr__(self) -> str:
        """What the predictions come to, one sentence each."""
        lines = [self.headline(name).sentence for name in self.names]
        lines += [self.is_better(self.names[0], other).sentence for other in self.names[1:]]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return report.fragment(summary.headlines(self))

    @takes_fields(Settings)
    def with_settings(self, **changes: Any) -> Evaluation:
        """The same alignments under other settings, e.g. ``resamples=10_000`` or ``by=("speaker",)``.

        Args:
            changes: fields of :class:`workbench.evaluation.rates.Settings`; those not named stay.
        """
        return Evaluation(self.scored, replace(self.settings, **changes), self.corpus)

    def explorer(
        self,
        checkpoint: Checkpoint | Mapping[str, Checkpoint] | None = None,
        *,
        name: str = "",
        against: str = "",
    ) -> Widget:
        """The error explorer: heat map, utterances, aligned words, audio.

        Args:
            checkpoint: to stream an utterance again: one, or a mapping of prediction name → checkpoint.
            name: the prediction shown first; the last one by default.
            against: a base to compare it with.

        Raises:
            WorkbenchError: no such prediction, or no column that could span the map.
        """
        made: Widget = view("explorer").Explorer(
            self, self.corpus, checkpoint=checkpoint, name=name, against=against
        )
        return made
