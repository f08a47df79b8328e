"""Utterances of a recipe's manifests, checked; whatever cannot be used becomes a ``Problem``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import Problem, WorkbenchError
from workbench.ingest import not_speech
from workbench.ingest.audio import channel_of, locate_text, roots_of
from workbench.ingest.drafted import DRAFTED_BY, NO_REFERENCE, only_drafted
from workbench.ingest.manifest import expand, read
from workbench.ingest.purposes import refused_use
from workbench.ingest.reader import LINE
from workbench.language_tags import find_tags, foreign_tag, split_spans, strip_tag, with_tags
from workbench.locales import AUTO, canonical

if TYPE_CHECKING:
    from workbench.finetuning.recipe import Recipe, Source, ValidationSet


@dataclass(frozen=True, slots=True)
class Utterance:
    """One usable row. ``audio``: absolute path; ``text``: without tags; ``line`` counts from 1;
    ``channel``: those that are averaged, None for all; ``spans``: (text, locale) where the row switches
    languages, else empty."""

    id: str
    audio: Path
    offset_s: float
    duration_s: float
    text: str
    locale: str
    speaker: str | None
    line: int
    file: str
    channel: tuple[int, ...] | None = None
    spans: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """What is learned, but for the tag at its end: each run of another language closed by its own tag."""
        if not self.spans:
            return self.text
        return f"{with_tags(self.spans[:-1])} {self.spans[-1][0]}"

    @property
    def closing_locale(self) -> str:
        """Whose tag ends the label: the row's, or that of the last language in it."""
        return self.spans[-1][1] if self.spans else self.locale


def read_source(
    source: Source | ValidationSet,
    prompts: Sequence[str],
    problems: list[Problem],
    limits: tuple[float, float],
) -> list[Utterance]:
    """Rows of a training source or validation set that its filters let through.

    Args:
        source: which manifest and rows.
        prompts: locale tags the base checkpoint knows.
        problems: unusable rows are added here.
        limits: shortest and longest duration in seconds; rows outside become problems.

    Raises:
        WorkbenchError: the manifest cannot be read.
    """
    rows: list[Utterance] = []
    for path in expand(Path(source.manifest)):
        reading = _Reading(path, roots_of(source.audio_root or path.parent), source, prompts, limits)
        for table in read(path, problems):
            for values in table.to_pylist():
                line = int(values[LINE])
                try:
                    row = reading.utterance(values, line)
                except _UnusableError as bad:
                    problems.append(Problem(path.name, bad.what, bad.hint, line, bad.field))
                    continue
                if row is not None:
                    rows.append(row)
    return _spoken_enough(rows, str(source.manifest), problems)


def _spoken_enough(rows: list[Utterance], where: str, problems: list[Problem]) -> list[Utterance]:
    """The rows with no more of them declared without speech than a tenth; the others are noted."""
    silent = [row for row in rows if not row.text]
    most = int(not_speech.LIMIT * len(rows))
    if len(silent) <= most:
        return rows
    dropped = {id(row) for row in silent[most:]}
    what = f"{len(dropped):,} of {len(silent):,} rows without speech are beyond a tenth of the rows"
    problems.append(Problem(where, what, "A model that hears much silence says nothing.", field="text"))
    return [row for row in rows if id(row) not in dropped]


class _UnusableError(Exception):
    """Why a row cannot be trained on: what, its field, a hint."""

    def __init__(self, what: str, field: str, hint: str = "") -> None:
        super().__init__(what)
        self.what, self.field, self.hint = what, field, hint


@dataclass(frozen=True, slots=True)
class _Reading:
    """What holds for every row of a manifest."""

    path: Path
    roots: tuple[str, ...]
    source: Source | ValidationSet
    prompts: Sequence[str]
    limits: tuple[float, float]

    def utterance(self, values: dict[str, Any], line: int) -> Utterance | None:
        """The row, or None if filters leave it out.

        Raises:
            _UnusableError: it cannot be trained on.
        """
        if self.source.split is not None and values.get("split") != self.source.split:
            return None
        tag = self._tag(values)
        if self.source.locales and tag not in self.source.locales:
            return None
        if tag in getattr(self.source, "except_locales", ()):
            return None
        text, spans = self._said(values, tag)
        offset, duration = self._place(values)
        audio, channel = self._sound(values)
        speaker = values.get("speaker")
        name = values.get("id") or f"{self.path.name}:{line}"
        return Utterance(
            str(name), audio, offset, duration, text, tag, str(speaker) if speaker else None, line,
            self.path.name, channel, spans,
        )  # fmt: skip

    def _tag(self, values: dict[str, Any]) -> str:
        tag = values.get("target_lang") or values.get("lang")
        if tag == AUTO:
            tag = values.get("lang") if values.get("lang") != AUTO else None
        if not isinstance(tag, str) or not tag:
            hint = "Every training row needs a tag such as el-GR; auto is none."
            raise _UnusableError("no locale", "target_lang", hint)
        try:
            return canonical(tag, self.prompts)
        except WorkbenchError as error:
            raise _UnusableError(error.what + " to this checkpoint", "target_lang", error.hint) from error

    def _said(self, values: dict[str, Any], tag: str) -> tuple[str, tuple[tuple[str, str], ...]]:
        """The text without tags, and its runs with their locales where it switches languages."""
        given = values["text"] if isinstance(values.get("text"), str) else ""
        known = set(self.prompts) - {AUTO}
        if odd := next((found for found in find_tags(given) if found.locale not in known), None):
            what = f"the transcript holds {odd.written}, no tag of this checkpoint"
            raise _UnusableError(what, "text", "Write it as <xx-XX>.")
        text = strip_tag(given)[0]
        if (ends_in := foreign_tag(given, tag)) is not None:
            what = f"the transcript ends in <{ends_in}>, the row says {tag}"
            raise _UnusableError(what, "text", "Set the right one of the two.")
        silent = not_speech.is_declared(values.get(not_speech.COLUMN), values.get("tags"))
        if silent == bool(text):
            what = "declared to hold no speech, and has a text" if silent else "no text"
            raise _UnusableError(what, "text", "Declare clips without speech by a true column no_speech.")
        if (between := not_speech.translation(values.get("lang"), tag)) is not None:
            hint = "Recognition learns from what is spoken, in its language."
            raise _UnusableError(f"a translation, {between}", "lang", hint)
        if only_drafted(values):
            raise _UnusableError(NO_REFERENCE, DRAFTED_BY, "Review it in a corpus, and export it from there.")
        if refused := refused_use(values.get("purpose"), "train"):
            raise _UnusableError(refused, "purpose", "Ask its speaker, or test on it only.")
        spans = tuple((run, locale or tag) for run, locale in split_spans(given))
        switched = len({locale for _, locale in spans}) > 1 and any(locale == tag for _, locale in spans)
        return text, spans if switched else ()

    def _place(self, values: dict[str, Any]) -> tuple[float, float]:
        """Offset and duration in seconds."""
        duration, offset = _seconds(values.get("duration")), _seconds(values.get("offset") or 0.0)
        if duration is None or offset is None:
            raise _UnusableError("duration or offset is not a number of seconds", "duration")
        shortest, longest = self.limits
        if not shortest <= duration <= longest:
            what = f"{duration:.2f} s is outside {shortest:g}–{longest:g} s"
            raise _UnusableError(what, "duration", "Change the recipe's limits.")
        return offset, duration

    def _sound(self, values: dict[str, Any]) -> tuple[Path, tuple[int, ...] | None]:
        """The absolute path, and which channels are averaged (None: all)."""
        name = values.get("audio_filepath")
        try:
            audio = Path(locate_text(name if isinstance(name, str) and name else "/", self.roots))
        except WorkbenchError as error:
            hint = "Set audio_root to the folder that holds it."
            raise _UnusableError(error.what, "audio_filepath", hint) from error
        try:
            return audio, channel_of(values)
        except WorkbenchError as error:
            raise _UnusableError(error.what, "channel", error.hint) from error


def _seconds(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def draw_validation(recipe: Recipe, prompts: Sequence[str], problems: list[Problem]) -> list[Utterance]:
    """The utterances to validate on, the same for every call: per set and locale, drawn from the seed."""
    chosen: list[Utterance] = []
    for number, source in enumerate(recipe.validation):
        limits = (recipe.min_duration_s, recipe.max_duration_s)
        groups: dict[str, list[Utterance]] = {}
        for row in read_source(source, prompts, problems, limits):
            if not row.text:
                continue  # nothing to be right or wrong about: ``Evaluation.silence`` scores such clips
            groups.setdefault(row.locale, []).append(row)
        for locale in sorted(groups):
            own = sorted(groups[locale], key=lambda row: (row.file, row.line))
            rng = np.random.default_rng([recipe.seed, number, *locale.encode()])
            take = min(source.utterances_per_locale, len(own))
            chosen += [own[i] for i in sorted(rng.choice(len(own), take, replace=False))]
    return chosen
