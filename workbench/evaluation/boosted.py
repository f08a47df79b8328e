"""What a keyword list gains when the recognizer is told it: utterances with a keyword, decoded twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench import text as txt
from workbench.errors import Problem, WorkbenchError
from workbench.evaluation import readings
from workbench.evaluation.clusters import cluster_sums, clusters_of
from workbench.evaluation.evaluation import Evaluation, score_predictions
from workbench.evaluation.intervals import influence, linear_interval
from workbench.evaluation.keywords import Keyword, keyword_counts, read_keywords
from workbench.evaluation.rates import Thresholds
from workbench.evaluation.significance import paired_difference
from workbench.evaluation.tables import as_table
from workbench.glance import Glance, as_html, as_text, counted
from workbench.ingest.audio import Roots, RowReader, roots_of
from workbench.recognizer.boosting import Boost
from workbench.recognizer.streaming import play
from workbench.signatures import public

if TYPE_CHECKING:
    from workbench.recognizer.checkpoint import Checkpoint

    Array = np.ndarray[Any, np.dtype[Any]]

WITHOUT, WITH = "without list", "with list"


@public
@dataclass(frozen=True)
class KeywordBoost:
    """The same utterances without and with the list.

    ``gains``: a row each of recall, precision and F1: ``measure, without, with, difference, low, high``
    (paired; NaN where a keyword is never said or heard, or where it changed for too few speakers
    to say how far it may change), ``interval_kind, speakers, utterances``.
    ``keywords``: a row each keyword, counts and rates with the suffixes ``_without`` and ``_with``.
    ``false_alarms``: on clips of the same locales whose reference holds no keyword: a row each of "clips with
    a keyword" and "word errors": ``measure, without, with, difference, low, high, clips, speakers,
    interval_kind``; empty where there are no such clips. ``alarms``: their ids, keywords and hypotheses.
    ``evaluation``: both predictions, for ``compare`` and everything else. ``problems``: what was not decoded.
    """

    gains: pd.DataFrame
    keywords: pd.DataFrame
    evaluation: Evaluation
    problems: list[Problem]
    false_alarms: pd.DataFrame = field(default_factory=pd.DataFrame)
    alarms: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def sentence(self) -> str:
        """What the list brings and what it costs, in one sentence."""
        recall = self.gains.set_index("measure").loc["recall"]
        before, after = _percent(recall["without"]), _percent(recall["with"])
        verb = "raises" if recall["low"] > 0 else "lowers" if recall["high"] < 0 else "is not shown to change"
        said = f"The list {verb} recall: {before} without it, {after} with it"
        if not len(self.false_alarms):
            return f"{said}; what it makes up elsewhere is unknown: no clips without the words were given."
        alarm = self.false_alarms.iloc[0]
        return (
            f"{said}; of {alarm['clips']:,} clips without the words it writes one in "
            f"{_percent(alarm['with'])} ({_percent(alarm['without'])} without the list)."
        )

    def _glance(self) -> Glance:
        tables = [table for table in (self.gains, self.false_alarms) if len(table)]
        rows = [
            (
                str(r["measure"]), _percent(r["without"]), _percent(r["with"]), _points(r["difference"]),
                "none" if r["low"] != r["low"] else f"{_points(r['low'])} to {_points(r['high'])}",
                f"{r['speakers']:,}",
            )
            for table in tables
            for r in table.to_dict("records")
        ]  # fmt: skip
        head = "measure", "without list", "with list", "difference", "interval", "speakers"
        words = self.keywords.fillna("–").to_html(index=False, border=0, float_format="%.4f")
        more = f'<div style="overflow-x:auto">{words}</div>'
        return Glance(self.sentence, head, rows, more=more, about=counted(len(self.keywords), "keyword"))

    __repr__, _repr_html_ = as_text, as_html


def keyword_boost(
    checkpoint: Checkpoint,
    rows: pd.DataFrame,
    audio_root: Roots,
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
    progress: Callable[[int, int], None] | None = None,
) -> KeywordBoost:
    """Stream the utterances whose reference holds a keyword, without and with the list, and score both; and
    as many others of the same locales, where every keyword that is written is a false alarm.

    Each utterance is given the keywords of its locale and those of none.

    Args:
        rows: utterance rows with ``id, text, audio_filepath, target_lang``.
        audio_root: folder that their audio lies in, or several.
        keywords: a list, or a CSV as :func:`read_keywords` takes it; written as transcripts have them.
        weight: of the list (see :class:`workbench.recognizer.boosting.Boost`).
        normalizer, by, thresholds, resamples, seed: as :func:`workbench.evaluation.score_predictions`.
        others: clips without any keyword that are read too, at most, drawn by ``seed``; 0: none.
        progress: called with (clips done, clips in all).

    Raises:
        WorkbenchError: no reference holds a keyword, or no utterance could be decoded.
    """
    listed = read_keywords(keywords)
    chosen = rows[holding(rows, listed, normalizer)].reset_index(drop=True)
    if len(chosen) == 0:
        raise WorkbenchError("no reference holds a keyword", hint="Check their spelling and target_lang.")
    apart = _others(rows, listed, normalizer, others, seed)
    lists = {tag: _meant(listed, tag) for tag in chosen["target_lang"].unique()}
    boosts = {tag: Boost(tuple(k.text for k in found), weight) for tag, found in lists.items()}
    roots = roots_of(audio_root)
    both = pd.concat([chosen, apart], ignore_index=True) if len(apart) else chosen
    found, problems = _decoded(checkpoint, both, roots, boosts, lookahead_ms, device, progress)
    tables = {name: pd.DataFrame(lines, columns=["id", "hypothesis"]) for name, lines in found.items()}
    if not tables[WITHOUT]["id"].isin(chosen["id"]).any():
        raise WorkbenchError("no utterance could be decoded", where=str(audio_root), hint=problems[0].hint)

    def scored(part: pd.DataFrame) -> Evaluation:
        kept = {name: table[table["id"].isin(part["id"])] for name, table in tables.items()}
        return score_predictions(
            part, kept, normalizer=normalizer, by=by, thresholds=thresholds, resamples=resamples, seed=seed
        )

    evaluation = scored(chosen)
    decoded = len(apart) and bool(tables[WITHOUT]["id"].isin(apart["id"]).any())
    alarmed = false_alarms(scored(apart), listed) if decoded else (pd.DataFrame(), pd.DataFrame())
    counted = [pd.DataFrame(evaluation.keywords(name, listed)) for name in (WITHOUT, WITH)]
    shared = ["keyword", "domain", "target_lang", "reference"]
    joined = counted[0][shared].join(
        [
            table.drop(columns=shared).add_suffix(suffix)
            for table, suffix in zip(counted, ("_without", "_with"), strict=True)
        ]
    )
    return KeywordBoost(gains(evaluation, listed), joined, evaluation, problems, *alarmed)


def _others(
    rows: pd.DataFrame, keywords: Sequence[Keyword], normalizer: str, most: int, seed: int
) -> pd.DataFrame:
    """Utterances with a reference that holds no keyword, of locales that have keywords to be boosted."""
    held = holding(rows, keywords, normalizer)
    tags = set(rows["target_lang"][held])
    fit = rows[~held & rows["text"].notna() & rows["target_lang"].isin(tags)]
    return fit.sample(min(most, len(fit)), random_state=seed).reset_index(drop=True)


def false_alarms(evaluation: Evaluation, keywords: Sequence[Keyword]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keywords written where none was said, and what the list does to the other words there.

    Args:
        evaluation: both predictions of clips whose references hold none of ``keywords``.

    Returns:
        The two measures and the clips behind the first, as in :class:`KeywordBoost`.
    """
    scored, settings = evaluation.scored, evaluation.settings
    rows = np.flatnonzero(scored.prediction(WITHOUT).present & scored.prediction(WITH).present)
    counts = [keyword_counts(scored, n, settings.normalizer, rows, keywords) for n in (WITHOUT, WITH)]
    alarm = [(side["hypothesis"][rows] > 0).astype(float) for side in counts]
    wrong = [scored.totals(n, "wer", settings.normalizer) for n in (WITHOUT, WITH)]
    clusters = clusters_of(scored.speakers[rows], settings.thresholds.min_speakers)
    words = wrong[0][1][rows]
    records = []
    for measure, (before, after), units in (
        ("clips with a keyword", alarm, np.ones(len(rows))),
        ("word errors", [errors[rows] for errors, _ in wrong], words),
    ):
        sums = cluster_sums(clusters, before, after, units).astype(float)
        total = float(sums[:, 2].sum()) or np.nan
        known = paired_difference(
            sums, resamples=settings.resamples, seed=settings.seed, confidence=settings.confidence
        )
        records.append(
            {
                "measure": measure, "without": sums[:, 0].sum() / total, "with": sums[:, 1].sum() / total,
                "difference": known.difference, "low": known.low, "high": known.high, "clips": len(rows),
                "speakers": clusters.speakers, "interval_kind": clusters.kind,
            }
        )  # fmt: skip
    made_up = rows[alarm[1] > 0]
    listed = scored.rows.iloc[made_up][["id", "target_lang", "text"]].reset_index(drop=True)
    listed["hypothesis"] = scored.prediction(WITH).column("hypothesis").to_numpy(object)[made_up]
    return as_table(records), listed


def _points(value: float) -> str:
    return "–" if value != value else readings.points(value).removesuffix(" points")


def _percent(value: float) -> str:
    return "–" if value != value else readings.percent(value)


def holding(rows: pd.DataFrame, keywords: Sequence[Keyword], normalizer: str = "basic") -> Array:
    """Which rows have a keyword of their locale in their reference."""
    phrases: dict[Any, list[list[str]]] = {}
    held = np.zeros(len(rows), bool)
    for place, (text, tag) in enumerate(zip(rows["text"], rows["target_lang"], strict=True)):
        if not isinstance(text, str):
            continue
        locale = tag if isinstance(tag, str) else None
        if tag not in phrases:
            phrases[tag] = [
                txt.words(txt.normalize(keyword.text, locale, normalizer), locale)
                for keyword in _meant(keywords, tag)
            ]
        words = txt.words(txt.normalize(text, locale, normalizer), locale)
        held[place] = any(
            phrase == words[at : at + len(phrase)]
            for phrase in phrases[tag]
            if phrase
            for at in range(len(words) - len(phrase) + 1)
        )
    return held


def gains(evaluation: Evaluation, keywords: Sequence[Keyword]) -> pd.DataFrame:
    """Recall, precision and F1 over all keywords without and with the list; see :class:`KeywordBoost`.

    The interval is of the paired difference, over speakers where there are enough of them: what a list gains
    is known better than either figure.
    """
    scored, settings = evaluation.scored, evaluation.settings
    rows = np.flatnonzero(scored.prediction(WITHOUT).present & scored.prediction(WITH).present)
    counts = [keyword_counts(scored, n, settings.normalizer, rows, keywords) for n in (WITHOUT, WITH)]
    clusters = clusters_of(scored.speakers[rows], settings.thresholds.min_speakers)
    values = [
        side[kind][rows] for side in counts for kind in ("reference", "recalled", "hypothesis", "correct")
    ]
    sums = cluster_sums(clusters, *values).astype(float)
    records = []
    for measure, tops, bottoms in _MEASURES:
        sides = [
            (sums[:, [at + n for n in tops]].sum(axis=1), sums[:, [at + n for n in bottoms]].sum(axis=1))
            for at in (0, 4)
        ]
        before, after = (top.sum() / bottom.sum() if bottom.sum() else np.nan for top, bottom in sides)
        moved = influence(*sides[1]) - influence(*sides[0])
        if measure == "recall":  # of the same words: what is missed is a paired count
            missed = np.column_stack([bottom - top for top, bottom in sides] + [sides[0][1]])
            found = paired_difference(
                missed, resamples=settings.resamples, seed=settings.seed, confidence=settings.confidence
            )
            low, high = -found.high, -found.low
        else:
            low, high = linear_interval(after - before, moved, clusters.count, settings.confidence)
        record: dict[str, Any] = {"measure": measure, "without": float(before), "with": float(after)}
        record |= {"difference": float(after - before), "low": low, "high": high}
        record |= {"interval_kind": clusters.kind, "speakers": clusters.speakers, "utterances": len(rows)}
        records.append(record)
    return as_table(records)


_MEASURES = (("recall", (1,), (0,)), ("precision", (3,), (2,)), ("f1", (1, 3), (0, 2)))
"""Places of numerator and denominator among reference, recalled, hypothesis, correct."""


def _meant(keywords: Sequence[Keyword], tag: Any) -> list[Keyword]:
    return [keyword for keyword in keywords if keyword.target_lang in ("", tag)]


def _decoded(
    checkpoint: Checkpoint,
    rows: pd.DataFrame,
    audio_roots: tuple[str, ...],
    boosts: dict[Any, Any],
    lookahead_ms: int | None,
    device: str,
    progress: Callable[[int, int], None] | None,
) -> tuple[dict[str, list[dict[str, Any]]], list[Problem]]:
    """Predictions of each row without and with its list; a row that cannot be read is a problem in both."""
    rate = checkpoint.info.sample_rate
    load = RowReader(audio_roots, rate)
    found: dict[str, list[dict[str, Any]]] = {WITHOUT: [], WITH: []}
    problems: list[Problem] = []
    for done, row in enumerate(rows.to_dict("records"), 1):
        tag = row["target_lang"]
        try:
            pcm, heard = load(row), {}
            for name, boost in ((WITHOUT, None), (WITH, boosts[tag])):
                heard[name] = play(checkpoint, pcm, rate, tag, lookahead_ms, boost, device=device)[-1]
        except (WorkbenchError, OSError, RuntimeError) as error:
            what = error.what if isinstance(error, WorkbenchError) else f"cannot read audio: {error}"
            hint = error.hint if isinstance(error, WorkbenchError) else "Check the file."
            problems.append(Problem(str(row["audio_filepath"]), what, hint, field=f"id {row['id']}"))
            continue
        for name, event in heard.items():
            found[name].append({"id": row["id"], "hypothesis": event.final_transcript})
        if progress:
            progress(done, len(rows))
    return found, problems
