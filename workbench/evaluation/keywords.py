"""Keywords and entities: were the words that matter recognized, inside the alignment of everything else."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench import text as txt
from workbench.errors import WorkbenchError
from workbench.evaluation.alignment import DELETION, INSERTION
from workbench.evaluation.clusters import clusters_of
from workbench.evaluation.events import hit_words, places
from workbench.evaluation.intervals import ratio_interval
from workbench.evaluation.rates import Settings
from workbench.evaluation.scored import ScoredCorpus
from workbench.evaluation.tables import as_table
from workbench.evaluation.units import WordTable
from workbench.reading import read_text

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]


_COUNTED = (("reference", "recalled"), ("hypothesis", "correct"))


@dataclass(frozen=True, slots=True)
class Keyword:
    """A word or phrase; ``domain`` and ``target_lang`` may be empty (then it is looked for everywhere)."""

    text: str
    domain: str = ""
    target_lang: str = ""


def read_keywords(source: str | Path | Iterable[str | Keyword]) -> list[Keyword]:
    """Keywords from a list, or from a CSV file with a column ``keyword`` and perhaps ``domain`` and
    ``target_lang``; a file without that column in its first line is read as one keyword a line.

    Raises:
        WorkbenchError: no file, not UTF-8, or no keyword in it.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        try:
            lines = list(csv.reader(io.StringIO(read_text(path, "list").removeprefix("\ufeff"), newline="")))
        except (WorkbenchError, csv.Error) as error:
            why = error.what if isinstance(error, WorkbenchError) else error
            hint = "Give a UTF-8 CSV with a column keyword."
            raise WorkbenchError(f"cannot read keywords: {why}", where=str(path), hint=hint) from None
        found = _from_lines([line for line in lines if any(cell.strip() for cell in line)])
    else:
        found = [k if isinstance(k, Keyword) else Keyword(str(k).strip()) for k in source]
    found = [k for k in dict.fromkeys(found) if k.text]
    if not found:
        raise WorkbenchError("no keywords", hint="Give a list of words or a CSV with a column keyword.")
    return found


def _from_lines(lines: list[list[str]]) -> list[Keyword]:
    head = [cell.strip().lower() for cell in lines[0]] if lines else []
    if "keyword" not in head:
        return [Keyword(line[0].strip()) for line in lines]
    place = {name: head.index(name) for name in ("keyword", "domain", "target_lang") if name in head}

    def cell(line: list[str], name: str) -> str:
        return line[place[name]].strip() if name in place and place[name] < len(line) else ""

    return [Keyword(cell(x, "keyword"), cell(x, "domain"), cell(x, "target_lang")) for x in lines[1:]]


def keyword_table(
    scored: ScoredCorpus,
    name: str,
    normalizer: str,
    rows: Array,
    keywords: Sequence[Keyword],
    settings: Settings | None = None,
) -> pd.DataFrame:
    """One row a keyword and one for all: ``keyword, domain, target_lang, reference, recalled, hypothesis,
    correct, recall, precision,
    f1``, each of the three with ``_low`` and ``_high``, and ``enough``: 'no' where recall has no interval.

    An occurrence in the reference is recalled when all its words are hits with nothing inserted between; one
    in the hypothesis is correct when all its words are such hits. Rates are NaN where nothing occurs.
    """
    settings = settings or Settings()
    clusters = clusters_of(scored.speakers[rows], settings.thresholds.min_speakers)
    place = np.zeros(len(scored), np.int64)
    place[rows] = clusters.numbers
    whole = np.zeros((clusters.count, 4))
    records = []
    for keyword, sides in _occurrences(scored, name, normalizer, rows, keywords):
        record: dict[str, Any] = {"keyword": keyword.text, "domain": keyword.domain or None}
        record["target_lang"] = keyword.target_lang or None
        for (_, right), (occurring, recognized) in zip(sides, _COUNTED, strict=True):
            record |= {occurring: len(right), recognized: int(right.sum())}
        sums = np.column_stack(
            [
                np.bincount(place[chosen], minlength=clusters.count)
                for row, right in sides
                for chosen in (row, row[right])
            ]
        )
        whole += sums
        records.append(record | _keyword_intervals(sums, settings))
    frame = as_table(records)
    total: dict[str, Any] = {"keyword": "all", "domain": None, "target_lang": None}
    total |= {c: int(frame[c].sum()) for c in ("reference", "recalled", "hypothesis", "correct")}
    total |= _keyword_intervals(whole, settings)
    frame = pd.concat([frame, as_table([total])], ignore_index=True)
    frame["recall"] = frame["recalled"] / frame["reference"].where(frame["reference"] > 0)
    frame["precision"] = frame["correct"] / frame["hypothesis"].where(frame["hypothesis"] > 0)
    either = frame["reference"] + frame["hypothesis"]
    frame["f1"] = (frame["recalled"] + frame["correct"]) / either.where(either > 0)
    return frame


def _keyword_intervals(sums: Array, settings: Settings) -> dict[str, Any]:
    """Intervals from (clusters, 4) reference, recalled, hypothesis, correct."""
    said, recalled, heard, correct = sums.T
    found: dict[str, Any] = {}
    for measure, top, bottom in (
        ("recall", recalled, said),
        ("precision", correct, heard),
        ("f1", recalled + correct, said + heard),
    ):
        interval = ratio_interval(
            np.column_stack([top, bottom]), resamples=settings.resamples, seed=settings.seed, share=True
        )
        found |= {f"{measure}_low": interval.low, f"{measure}_high": interval.high}
    return found | {"enough": "no" if np.isnan(found["recall_low"]) else "yes"}


def keyword_counts(
    scored: ScoredCorpus, name: str, normalizer: str, rows: Array, keywords: Sequence[Keyword]
) -> dict[str, Array]:
    """``reference, recalled, hypothesis, correct`` of all keywords together in each row of the corpus."""
    counts = {kind: np.zeros(len(scored), np.int64) for pair in _COUNTED for kind in pair}
    for _, sides in _occurrences(scored, name, normalizer, rows, keywords):
        for (row, right), (occurring, recognized) in zip(sides, _COUNTED, strict=True):
            counts[occurring] += np.bincount(row, minlength=len(scored))
            counts[recognized] += np.bincount(row[right], minlength=len(scored))
    return counts


def _occurrences(
    scored: ScoredCorpus, name: str, normalizer: str, rows: Array, keywords: Sequence[Keyword]
) -> Iterator[tuple[Keyword, list[tuple[Array, Array]]]]:
    """Of each keyword, in references and in hypotheses: the row of each occurrence, whether recognized."""
    table = scored.store.words(normalizer)
    number = {word: place for place, word in enumerate(table.vocabulary)}
    both = [_Side(scored, name, normalizer, rows, reference=side) for side in (True, False)]
    tags = scored.rows["target_lang"].to_numpy() if "target_lang" in scored.rows.columns else None
    for keyword in keywords:
        language = keyword.target_lang.split("-")[0] or None
        words = txt.words(txt.normalize(keyword.text, language, normalizer), language)
        meant = None if not keyword.target_lang or tags is None else tags == keyword.target_lang
        yield keyword, [side.find([number.get(w, -1) for w in words], meant) for side in both]


class _Side:
    """Words of one side, sorted by number so that a keyword is found without a scan."""

    def __init__(
        self, scored: ScoredCorpus, name: str, normalizer: str, rows: Array, *, reference: bool
    ) -> None:
        table = scored.store.words(normalizer)
        if reference:
            self.numbers, self.hit, offsets = hit_words(scored, name, normalizer, rows)
        else:
            self.numbers, self.hit, offsets = _heard_words(scored, name, normalizer, rows, table)
        self.row = np.repeat(rows, np.diff(offsets))
        self.broken = _broken(scored, name, normalizer, rows, offsets, reference)
        self.order = np.argsort(self.numbers, kind="stable")
        self.ordered = self.numbers[self.order]

    def find(self, ids: Sequence[int], meant: Array | None) -> tuple[Array, Array]:
        """Row of each occurrence of a phrase, and whether it is recognized."""
        if not ids or min(ids) < 0:
            return np.zeros(0, np.int64), np.zeros(0, bool)
        low, high = np.searchsorted(self.ordered, [ids[0], ids[0] + 1])
        at = self.order[low:high]
        at = at[at + len(ids) <= len(self.numbers)]
        for step, number in enumerate(ids[1:], 1):
            at = at[(self.numbers[at + step] == number) & (self.row[at + step] == self.row[at])]
        if meant is not None:
            at = at[meant[self.row[at]]]
        right = self.hit[at].copy()
        for step in range(1, len(ids)):
            right &= self.hit[at + step] & ~self.broken[at + step]
        return self.row[at], right


def _heard_words(
    scored: ScoredCorpus, name: str, normalizer: str, rows: Array, table: WordTable
) -> tuple[Array, Array, Array]:
    numbers, offsets = table.flat(scored.prediction(name).codes[rows])
    hit = np.ones(len(numbers), bool)
    start = np.zeros(len(scored), np.int64)
    start[rows] = offsets[:-1]
    row, at = places(scored, name, normalizer, rows)
    edits = scored.word_edits(name, normalizer).edits
    wrong = edits.operation[at] != DELETION
    hit[start[row[wrong]] + edits.hypothesis_position[at[wrong]]] = False
    return numbers, hit, offsets


def _broken(
    scored: ScoredCorpus, name: str, normalizer: str, rows: Array, offsets: Array, reference: bool
) -> Array:
    """Words before which the other side has something more."""
    start = np.zeros(len(scored), np.int64)
    start[rows] = offsets[:-1]
    sizes = np.zeros(len(scored), np.int64)
    sizes[rows] = np.diff(offsets)
    row, at = places(scored, name, normalizer, rows)
    edits = scored.word_edits(name, normalizer).edits
    chosen = edits.operation[at] == (INSERTION if reference else DELETION)
    position = (edits.reference_position if reference else edits.hypothesis_position)[at]
    chosen &= position < sizes[row]
    broken = np.zeros(int(offsets[-1]), bool)
    broken[start[row[chosen]] + position[chosen]] = True
    return broken
