"""The rules that look at one row at a time, or gather one number from each, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import locales
from workbench.corpus.quality import text_checks
from workbench.corpus.quality.findings import Findings
from workbench.corpus.quality.text_checks import Hit
from workbench.corpus.query.row_index import Columns, Keys
from workbench.ingest import not_speech

if TYPE_CHECKING:
    import pandas as pd

    from workbench.corpus.quality.duplicates import Bands

Array = np.ndarray[Any, np.dtype[Any]]

MORE = ("lang", "license", "consent", "tags", not_speech.COLUMN)
"""Columns that are read beside those of ``keys``."""


class RowChecks:
    """Takes batches of rows, and hands what they show to the findings."""

    def __init__(
        self,
        found: Findings,
        thresholds: Mapping[str, float],
        tokenizer: Any,
        predictions: pd.DataFrame | None,
        bands: Bands | None,
    ) -> None:
        self._found, self._thresholds, self._tokenizer, self._bands = found, thresholds, tokenizer, bands
        self._letters: list[tuple[Array, Array]] = []
        self._heard: dict[str, tuple[Any, Any]] | None = None
        if predictions is not None:
            none = [None] * len(predictions)
            tags, said = (predictions.get(n, none) for n in ("detected_lang", "hypothesis"))
            self._heard = dict(zip(predictions["id"], zip(tags, said, strict=True), strict=True))

    def begin(self) -> None:
        """Forget what was taken in: rows are read again."""
        self._letters = []
        self._found.begin()
        if self._bands is not None:
            self._bands.begin()

    def take(self, columns: Columns, sentences: list[str]) -> None:
        """Look at the rows of a batch; ``sentences``: letters and digits of each."""
        place = dict(zip(columns["id"], columns["row_index"], strict=True))
        self._found.rows((place[hit[0]], hit) for hit in self._hits(columns))
        letters = np.array(text_checks.letters_for_rate(columns["text"]), np.int32)
        self._letters.append((np.array(columns["row_index"], np.int64), letters))
        if self._bands is not None:
            self._bands.add(columns["row_index"], columns["target_lang"], sentences)

    def _hits(self, columns: Columns) -> Iterator[Hit]:
        ids, texts, tags = columns["id"], columns["text"], columns["target_lang"]
        silent = not_speech.declared(columns, len(ids))
        yield from text_checks.hits(ids, texts, tags, self._thresholds, silent)
        yield from _locale_hits(columns)
        yield from _length_hits(columns, self._thresholds)
        if self._tokenizer is not None:
            least = self._thresholds.get("unknown_characters", 0.0)
            yield from text_checks.unknown_hits(ids, texts, self._tokenizer, least)
        if self._heard is not None:
            yield from self._model_hits(columns, self._heard)

    def _model_hits(self, columns: Columns, heard: Mapping[str, tuple[Any, Any]]) -> Iterator[Hit]:
        most = self._thresholds.get("disagrees", 1e9)
        for id_, text, locale in zip(columns["id"], columns["text"], columns["target_lang"], strict=True):
            if id_ not in heard:
                continue
            tag, said = heard[id_]
            if isinstance(tag, str) and str(locale).split("-")[0] != tag.split("-")[0]:
                yield id_, "language_heard", tag
            rate = text_checks.disagreement(text, locale, said)
            if rate is not None and rate > most:
                yield id_, "disagrees", round(rate, 3)

    def rates(self, keys: Keys) -> None:
        """The rule on characters a second, once all rows are known."""
        if not len(keys):
            return
        rows, letters = (np.concatenate(parts) for parts in zip(*self._letters, strict=True))
        self._letters = []
        letters = letters[np.argsort(rows, kind="stable")]
        tags = {tag: number for number, tag in enumerate(dict.fromkeys(tag for tag, _ in keys.cells))}
        locale = np.array([tags[tag] for tag, _ in keys.cells], np.int32)[keys.cell]
        odd = text_checks.odd_rates(
            letters, keys.duration, locale, self._thresholds.get("character_rate", 4.5)
        )
        self._found.numbers("character_rate", ((int(keys.row_index[at]), rate) for at, rate in odd))


def _locale_hits(columns: Columns) -> Iterator[Hit]:
    none = [None] * len(columns["id"])
    langs, licenses, consents = (columns.get(name, none) for name in ("lang", "license", "consent"))
    rows = zip(columns["id"], columns["target_lang"], langs, licenses, consents, strict=True)
    for id_, tag, lang, license_, consent in rows:
        if not locales.is_known(tag):
            yield id_, "unknown_tag", tag
        if (between := not_speech.translation(lang, tag)) is not None:
            yield id_, "translation", between
        elif lang is not None and lang != tag:
            yield id_, "lang_differs", lang
        if license_ is None or consent is None:
            yield id_, "terms_missing", "license" if license_ is None else "consent"


def _length_hits(columns: Columns, thresholds: Mapping[str, float]) -> Iterator[Hit]:
    longest, shortest = thresholds.get("too_long", 1e9), thresholds.get("too_short", 0.0)
    for id_, seconds in zip(columns["id"], columns["duration"], strict=True):
        if seconds is not None and seconds > longest:
            yield id_, "too_long", seconds
        if seconds is not None and seconds < shortest:
            yield id_, "too_short", seconds
