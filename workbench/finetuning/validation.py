"""Validation at fixed prompts: per locale, with the tag given and with ``auto``, offline and streaming."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from rapidfuzz.distance import Levenshtein

from workbench.errors import Problem, WorkbenchError
from workbench.finetuning.resources import VALIDATION_BATCH_S
from workbench.finetuning.sounds import read_audio
from workbench.language_tags import strip_tag
from workbench.locales import AUTO
from workbench.recognizer.clips import Clip, decode_offline, stream_together
from workbench.recognizer.engine import Engine
from workbench.text import characters, normalize, words

if TYPE_CHECKING:
    from workbench.finetuning.recipe import Recipe
    from workbench.finetuning.rows import Utterance

SAMPLES_PER_LOCALE = 2


@dataclass(slots=True)
class Tally:
    """Counts of one locale under one prompt mode: errors over reference units, never averaged rates."""

    word_errors: int = 0
    words: int = 0
    character_errors: int = 0
    characters: int = 0
    tags_right: int = 0
    utterances: int = 0

    def add(self, reference: str, hypothesis: str, tag: str | None, locale: str) -> None:
        said, heard = normalize(reference, locale), normalize(hypothesis, locale)
        said_words, heard_words = words(said, locale), words(heard, locale)
        said_characters, heard_characters = characters(said, locale), characters(heard, locale)
        self.word_errors += Levenshtein.distance(said_words, heard_words)
        self.words += len(said_words)
        self.character_errors += Levenshtein.distance(said_characters, heard_characters)
        self.characters += len(said_characters)
        self.tags_right += tag == locale
        self.utterances += 1

    def rates(self) -> dict[str, Any]:
        return {
            "wer": self.word_errors / self.words if self.words else None,
            "cer": self.character_errors / self.characters if self.characters else None,
            "tags_right": self.tags_right / self.utterances if self.utterances else None,
            "word_errors": self.word_errors,
            "words": self.words,
            "character_errors": self.character_errors,
            "characters": self.characters,
            "utterances": self.utterances,
        }


@dataclass(slots=True)
class Validator:
    """Holds the utterances of all validation sets and scores a model on them.

    ``rates`` of the ``basic`` normalizer; ``tags_right`` is the share of utterances that end in their tag.
    """

    recipe: Recipe
    rows: Sequence[Utterance]
    prompts: dict[str, int]
    on_problem: Callable[[Problem], None] = lambda problem: None
    cancel: Callable[[], bool] = lambda: False
    _signals: dict[str, torch.Tensor] = field(default_factory=dict)

    def run(self, model: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Score ``model``; returns one record per (locale, prompt mode, streaming) and sample transcripts."""
        records: list[dict[str, Any]] = []
        samples: list[dict[str, Any]] = []
        default = getattr(model.encoder, "att_context_size", None)
        model.eval()
        try:
            for mode in self.recipe.prompt_modes:
                found, told = self._pass(model, mode, None)
                records += found
                samples += told
            if self.recipe.streaming_lookahead_ms is not None:
                for mode in self.recipe.prompt_modes[:1]:
                    records += self._pass(model, mode, self.recipe.streaming_lookahead_ms)[0]
        finally:
            if default is not None:
                model.encoder.set_default_att_context_size(list(default))
        return records, samples

    def _pass(self, model: Any, mode: str, streaming_ms: int | None) -> tuple[list[Any], list[Any]]:
        tallies: dict[str, Tally] = {}
        samples = []
        for batch in self._batches(streaming_ms is not None):
            texts = self._texts(model, batch, mode, streaming_ms)
            for row, text in zip(batch, texts, strict=True):
                hypothesis, tag = strip_tag(text)
                tally = tallies.setdefault(row.locale, Tally())
                tally.add(row.text, hypothesis, tag, row.locale)
                if tally.utterances <= SAMPLES_PER_LOCALE and streaming_ms is None:
                    told = {"reference": row.text, "hypothesis": hypothesis, "detected_lang": tag}
                    samples.append({"id": row.id, "locale": row.locale, "prompt_mode": mode, **told})
        facts = {"prompt_mode": mode, "streaming": streaming_ms is not None, "lookahead_ms": streaming_ms}
        if streaming_ms is None:
            facts["lookahead_ms"] = self.recipe.lookahead_ms
        records = [{"locale": tag, **facts, **tallies[tag].rates()} for tag in sorted(tallies)]
        return records, samples

    def _batches(self, few: bool) -> Iterator[list[Utterance]]:
        """Readable utterances in batches of similar length; ``few`` takes the first ones of each locale."""
        taken: list[Utterance] = []
        seen: dict[str, int] = {}
        for row in self.rows:
            seen[row.locale] = seen.get(row.locale, 0) + 1
            if few and seen[row.locale] > self.recipe.streaming_utterances_per_locale:
                continue
            if self._signal(row) is not None:
                taken.append(row)
        batch: list[Utterance] = []
        for row in sorted(taken, key=lambda row: (row.duration_s, row.id)):
            if batch and row.duration_s * (len(batch) + 1) > VALIDATION_BATCH_S:
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    def _signal(self, row: Utterance) -> torch.Tensor | None:
        key = f"{row.file}:{row.line}"
        if key not in self._signals:
            try:
                self._signals[key] = torch.from_numpy(read_audio(row))
            except WorkbenchError as error:
                self.on_problem(Problem(row.file, str(error), line=row.line, field="audio_filepath"))
                self._signals[key] = torch.empty(0)
        found = self._signals[key]
        return found if len(found) else None

    def _texts(self, model: Any, batch: list[Utterance], mode: str, streaming_ms: int | None) -> list[str]:
        if self.cancel():
            raise CancelledError
        found = [self._signal(row) for row in batch]
        signals = [signal for signal in found if signal is not None]
        prompt_indices = [self.prompts[AUTO if mode == AUTO else row.locale] for row in batch]
        streaming = streaming_ms is not None
        lookahead_ms = streaming_ms if streaming else self.recipe.lookahead_ms
        return transcribe(model, signals, prompt_indices, lookahead_ms, streaming)


class CancelledError(Exception):
    """The run was cancelled while validating."""


def attention_context(model: Any, lookahead_ms: int | None) -> list[int]:
    """[left, right] in encoder frames of a look-ahead; None takes the longest the encoder was built for.

    Raises:
        WorkbenchError: the encoder has no such look-ahead.
    """
    contexts = [list(pair) for pair in model.encoder.att_context_size_all]
    frame_ms = round(1000 * model.cfg.preprocessor.window_stride * model.cfg.encoder.subsampling_factor)
    by_ms = {(right + 1) * frame_ms: [left, right] for left, right in contexts}
    if lookahead_ms is not None and lookahead_ms not in by_ms:
        raise WorkbenchError(f"no look-ahead of {lookahead_ms} ms", hint=f"It has {sorted(by_ms)}.")
    return by_ms[max(by_ms) if lookahead_ms is None else lookahead_ms]


def transcribe(
    model: Any,
    signals: list[torch.Tensor],
    prompt_indices: list[int],
    lookahead_ms: int | None,
    streaming: bool,
) -> list[str]:
    """Greedy transcripts, tags included, of 16 kHz ``signals`` under the given prompt indices.

    The recognizer's own decoders, so that what is validated is what will be served.
    """
    engine = Engine(model)
    right = attention_context(model, lookahead_ms)[1]
    clips = [
        Clip(signal.numpy(), prompt_index)
        for signal, prompt_index in zip(signals, prompt_indices, strict=True)
    ]
    decoded = stream_together(engine, clips, right) if streaming else decode_offline(engine, clips, right)
    return [model.tokenizer.ids_to_text(found.ids) for found in decoded]
