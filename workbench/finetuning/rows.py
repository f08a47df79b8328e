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
        roots = roots_of(source.audio_root or path.parent)
        for table in read(path, problems):
            for values in table.to_pylist():
                row = _utterance(values, int(values[LINE]), path, roots, source, prompts, limits, problems)
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


def _utterance(
    values: dict[str, Any],
    line: int,
    path: Path,
    roots: tuple[str, ...],
    source: Source | ValidationSet,
    prompts: Sequence[str],
    limits: tuple[float, float],
    problems: list[Problem],
) -> Utterance | None:
    """The row, or None if filters leave it out; unusable rows are noted."""

    def bad(what: str, field: str, hint: str = "") -> None:
        problems.append(Problem(path.name, what, hint, line, field))

    tag = values.get("target_lang") or values.get("lang")
    if tag == AUTO:
        tag = values.get("lang") if values.get("lang") != AUTO else None
    if source.split is not None and values.get("split") != source.split:
        return None
    if not isinstance(tag, str) or not tag:
        bad("no locale", "target_lang", "Every training row needs a tag such as el-GR; auto is none.")
        return None
    try:
        tag = canonical(tag, prompts)
    except WorkbenchError as error:
        bad(error.what + " to this checkpoint", "target_lang", error.hint)
        return None
    if (source.locales and tag not in source.locales) or tag in getattr(source, "except_locales", ()):
        return None
    given = values["text"] if isinstance(values.get("text"), str) else ""
    known = set(prompts) - {AUTO}
    if odd := next((found for found in find_tags(given) if found.locale not in known), None):
        bad(f"the transcript holds {odd.written}, no tag of this checkpoint", "text", "Write it as <xx-XX>.")
        return None
    text = strip_tag(given)[0]
    spans = tuple((run, locale or tag) for run, locale in split_spans(given))
    switched = len({locale for _, locale in spans}) > 1 and any(locale == tag for _, locale in spans)
    if (ends_in := foreign_tag(given, tag)) is not None:
        bad(
            f"the transcript ends in <{ends_in}>, the row says {tag}", "text", "Set the right one of the two."
        )
        return None
    silent = not_speech.is_declared(values.get(not_speech.COLUMN), values.get("tags"))
    if silent == bool(text):
        what = "declared to hold no speech, and has a text" if silent else "no text"
        bad(what, "text", "Declare clips without speech by a true column no_speech.")
        return None
    if (between := not_speech.translation(values.get("lang"), tag)) is not None:
        bad(f"a translation, {between}", "lang", "Recognition learns from what is spoken, in its language.")
        return None
    if refused := refused_use(values.get("purpose"), "train"):
        bad(refused, "purpose", "Ask its speaker, or test on it only.")
        return None
    duration, offset = _seconds(values.get("duration")), _seconds(values.get("offset") or 0.0)
    if duration is None or offset is None:
        bad("duration or offset is not a number of seconds", "duration")
        return None
    if not limits[0] <= duration <= limits[1]:
        bad(
            f"{duration:.2f} s is outside {limits[0]:g}–{limits[1]:g} s",
            "duration",
            "Change the recipe's limits.",
        )
        return None
    name = values.get("audio_filepath")
    try:
        audio = Path(locate_text(name if isinstance(name, str) and name else "/", roots))
    except WorkbenchError as error:
        bad(error.what, "audio_filepath", "Set audio_root to the folder that holds it.")
        return None
    try:
        channel = channel_of(values)
    except WorkbenchError as error:
        bad(error.what, "channel", error.hint)
        return None
    speaker = values.get("speaker")
    name = values.get("id") or f"{path.name}:{line}"
    return Utterance(
        str(name), audio, offset, duration, text, tag, str(speaker) if speaker else None, line, path.name,
        channel, spans if switched else (),
    )  # fmt: skip


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
