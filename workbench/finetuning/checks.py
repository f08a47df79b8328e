"""Everything that can be wrong with a recipe before a model is loaded, one line each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import Problem, WorkbenchError, one_line
from workbench.finetuning.base import Base, base_of, tokenizer_of
from workbench.locales import unknown_locale
from workbench.text import normalized_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workbench.finetuning.recipe import Recipe, Source, ValidationSet
    from workbench.finetuning.rows import Utterance

HIGHEST_RATE, LOWEST_RATE = 1e-2, 1e-6
Sentence = tuple[str, str]
"""Language and letters of a sentence."""


def problems(recipe: Recipe) -> list[str]:
    """Faults of values, files, locales and shared sentences; empty if the recipe may run."""
    found = list(_values(recipe))
    try:
        base = base_of(recipe)
        tokenizer_of(recipe, base)
    except WorkbenchError as error:
        return [*found, str(error)]
    found += _lookaheads(recipe, base)
    sources: list[Source | ValidationSet] = [*recipe.sources, *recipe.validation]
    for number, source in enumerate(sources):
        found += _locales(source, base, f"source {number + 1}")
    if not found:
        found += _rows(recipe, base)
    return found


def _values(recipe: Recipe) -> Iterator[str]:
    def at(name: str, what: str, hint: str = "") -> str:
        return one_line(what, f"recipe [{name}]", hint)

    if not recipe.sources:
        yield at("sources", "nothing to train on", "Add at least one source.")
    if recipe.sources and not any(source.role == "target" for source in recipe.sources):
        yield at("sources", "no source has the role target")
    whole = ("steps", "accumulate", "devices", "nodes", "validate_every", "save_every")
    for name in (*whole, "adapter_dim", "lora_rank"):
        if getattr(recipe, name) < 1:
            yield at(name, f"is {getattr(recipe, name)}", "Use 1 or more.")
    for name in ("warmup_steps", "loader_workers", "average_best", "weight_decay", "min_learning_rate"):
        if getattr(recipe, name) < 0:
            yield at(name, f"is {getattr(recipe, name)}", "Use 0 or more.")
    for name in ("batch_s", "clip_norm", "min_duration_s", "lora_alpha"):
        if not getattr(recipe, name) > 0:
            yield at(name, f"is {getattr(recipe, name)}", "Use more than 0.")
    if recipe.warmup_steps >= recipe.steps:
        yield at(
            "warmup_steps", f"{recipe.warmup_steps} of {recipe.steps} steps", "The peak is never reached."
        )
    if recipe.max_duration_s < recipe.min_duration_s:
        yield at("max_duration_s", "is below min_duration_s")
    if recipe.max_duration_s > recipe.batch_s:
        yield at("max_duration_s", f"{recipe.max_duration_s:g} s do not fit a batch of {recipe.batch_s:g} s")
    if not 0 <= recipe.temperature <= 1:
        yield at("temperature", f"is {recipe.temperature}", "Use 0 (evenly) to 1 (as the hours are).")
    if not 0 <= recipe.encoder_rate_factor <= 1:
        yield at("encoder_rate_factor", f"is {recipe.encoder_rate_factor}", "Use 0 to 1.")
    if recipe.tokenizer is not None and recipe.trains != "full":
        yield at(
            "tokenizer", f"resets decoder and joint, but only {recipe.trains} trains", "Use trains: full."
        )
    if recipe.trains == "lora" and not recipe.lora_targets:
        yield at("lora_targets", "no layer gets a low-rank adapter", "Name linear_q, linear_v or others.")
    if not 0 <= recipe.predictor_masking < 1:
        yield at("predictor_masking", f"is {recipe.predictor_masking}", "Use 0 to below 1.")
    if recipe.dropout is not None and not 0 <= recipe.dropout < 1:
        yield at("dropout", f"is {recipe.dropout}", "Use 0 to below 1, or leave it out.")
    yield from (
        at(f"sources {i + 1} [weight]", "must be more than 0")
        for i, s in enumerate(recipe.sources)
        if not s.weight > 0
    )
    yield from (
        at(f"sources {i + 1} [share]", f"is {s.share}", "Use more than 0, at most 1.")
        for i, s in enumerate(recipe.sources)
        if not 0 < s.share <= 1
    )
    yield from _rate(recipe)
    yield from _augmentation(recipe)


def _rate(recipe: Recipe) -> Iterator[str]:
    rate = recipe.learning_rate
    where = "recipe [learning_rate]"
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        hint = f"Use a peak of {LOWEST_RATE:g} to {HIGHEST_RATE:g}."
        if 0.01 < rate <= 10:
            from workbench.finetuning.recipe import noam_peak

            reached = noam_peak(rate, 1024, recipe.warmup_steps)
            hint += f" As a Noam scale (d_model 1024) it would peak at {reached:.1e}: write that peak."
        yield one_line(f"{rate:g} is no peak learning rate", where, hint)
    elif recipe.steps > 0 and recipe.warmup_steps < recipe.steps and recipe.effective_peak() < 0.5 * rate:
        yield one_line(f"only {recipe.effective_peak():.1e} of {rate:.1e} is reached", where)
    if recipe.min_learning_rate > rate * recipe.encoder_rate_factor > 0:
        yield one_line("is above the peak", "recipe [min_learning_rate]")


def _augmentation(recipe: Recipe) -> Iterator[str]:
    chosen = recipe.augmentation
    where = "recipe [augmentation]"
    if not chosen.speeds or not all(0.5 <= speed <= 2 for speed in chosen.speeds):
        yield one_line(f"speeds are {list(chosen.speeds)}", where, "Use factors of 0.5 to 2.")
    if not all(0 <= share <= 1 for share in (chosen.noise_share, chosen.telephone_share)):
        yield one_line("shares are probabilities", where, "Use 0 to 1.")
    if len(chosen.noise_snr_db) != 2 or chosen.noise_snr_db[0] > chosen.noise_snr_db[1]:
        yield one_line("noise_snr_db is not a range", where, "Write [lowest, highest].")


def _lookaheads(recipe: Recipe, base: Base) -> Iterator[str]:
    for name in ("lookahead_ms", "streaming_lookahead_ms"):
        value = getattr(recipe, name)
        if value is not None and value not in base.lookaheads_ms:
            yield one_line(f"{value} ms", f"recipe [{name}]", f"This checkpoint has {base.lookaheads_ms}.")


def _locales(source: Source | ValidationSet, base: Base, where: str) -> Iterator[str]:
    for tag in (*source.locales, *getattr(source, "except_locales", ())):
        if tag not in base.locales:
            error = unknown_locale(tag, base.locales)
            yield one_line(f"the checkpoint has no prompt for {tag!r}", where, error.hint)
    pattern = "_OP_" in source.manifest or any(c in source.manifest for c in "*?[")
    if not pattern and not Path(source.manifest).is_file():
        yield one_line("no such manifest", source.manifest, "Check the path.")


def _rows(recipe: Recipe, base: Base) -> Iterator[str]:
    """What only the rows can tell: nothing left, missing audio, sentences in two sets."""
    from workbench.finetuning.rows import read_source

    limits = (recipe.min_duration_s, recipe.max_duration_s)
    trained: dict[Sentence, str] = {}
    sources: list[Source | ValidationSet] = [*recipe.sources, *recipe.validation]
    for number, source in enumerate(sources):
        where, unusable = source.manifest, list[Problem]()
        try:
            rows = read_source(source, base.locales, unusable, limits)
        except WorkbenchError as error:
            yield str(error)
            continue
        if not rows:
            first = f" First: {unusable[0]}" if unusable else ""
            yield one_line("no usable row", where, f"Check split, locales and durations.{first}")
        yield from _missing_locales(source, rows, where)
        yield from _missing_audio(rows, where)
        keys = _sentences(rows)
        if number < len(recipe.sources):
            trained.update((key, row.id) for key, row in zip(keys, rows, strict=True))
        elif not getattr(source, "allow_shared_sentences", False):
            yield from _shared(rows, keys, trained, where)


def _missing_locales(source: Source | ValidationSet, rows: list[Utterance], where: str) -> Iterator[str]:
    absent = sorted(set(source.locales) - {row.locale for row in rows})
    if rows and absent:
        yield one_line(f"no usable row of {', '.join(absent)}", where)


def _missing_audio(rows: list[Utterance], where: str) -> Iterator[str]:
    absent = [row for row in rows if not row.audio.is_file()]
    if absent:
        first = absent[0]
        hint = f"First: line {first.line}, {first.audio.name}. Set audio_root or repair the manifest."
        yield one_line(f"{len(absent)} of {len(rows)} audio files are missing", where, hint)


def _sentences(rows: list[Utterance]) -> list[Sentence]:
    """Language and letters of each text: "Un polo." is a sentence of Catalan and of Spanish."""
    keys = normalized_keys([row.text for row in rows])
    return [(row.locale.split("-")[0], key) for row, key in zip(rows, keys, strict=True)]


def _shared(
    rows: list[Utterance], keys: list[Sentence], trained: dict[Sentence, str], where: str
) -> Iterator[str]:
    shared = [row for row, key in zip(rows, keys, strict=True) if key[1] and key in trained]
    if shared:
        yield one_line(
            f"{len(shared)} of {len(rows)} validation sentences are also trained on",
            where,
            f"First: line {shared[0].line}. Split by sentence, or set allow_shared_sentences.",
        )
