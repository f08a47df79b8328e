"""From a drawn sample to tensors: features, tokens, and when each is spoken."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from tooling.starter import batches, paths
from tooling.starter.emissions import encoder_frames, letter_ends, spelling, token_ends
from workbench.locales import AUTO, prompt_dictionary

if TYPE_CHECKING:
    from tooling.starter.alignment import Alignment
    from tooling.starter.features import FeatureCache
    from tooling.starter.learner import Learner
    from tooling.starter.made.composed import Composer


@dataclass
class Material:
    """What a stage learns from: rows, their features, and when their letters are spoken."""

    rows: list[dict[str, Any]]
    cache: FeatureCache
    alignment: Alignment
    validation: list[dict[str, Any]]
    validation_cache: FeatureCache
    composer: Composer | None = None
    reading: list[list[int]] | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded: ``mels`` (batch, bands, frames), ``labels`` (batch, longest), ``letters`` (batch, slots)
    with -100 where there is no speech to name, and the path of every clip through its lattice."""

    mels: torch.Tensor
    lengths: torch.Tensor
    labels: torch.Tensor
    label_counts: torch.Tensor
    letters: torch.Tensor
    prompts: torch.Tensor
    path: paths.Path

    def to(self, device: str) -> Batch:
        path = paths.Path(*(getattr(self.path, f.name).to(device) for f in fields(self.path)))
        own = {f.name: getattr(self, f.name).to(device) for f in fields(self) if f.name != "path"}
        return Batch(**own, path=path)


class Lessons(torch.utils.data.Dataset[Batch]):  # type: ignore[misc]
    """The batches of one stage by step. Passes are drawn from (seed, stage, pass) and a batch from its step
    alone, so that any step can be found again, in any process."""

    def __init__(self, learner: Learner, material: Material, number: int) -> None:
        self.learner, self.material, self.number = learner, material, number
        self.stage = learner.recipe["stages"][number]
        self.voices = [row["source"] for row in material.rows]
        words = [paths.words(row["text"], material.alignment.own(i)) for i, row in enumerate(material.rows)]
        self.loose = [[batches.Span(i, *word) for word in own] for i, own in enumerate(words)]
        self.drawn: list[list[batches.Sample]] = []
        self.passes = 0

    def key(self, step: int) -> int:
        """What seeds every draw of the step."""
        return int(self.learner.recipe["seed"] * 10_000_000 + self.number * 1_000_000 + step)

    def samples(self, step: int) -> list[batches.Sample]:
        lengths = self.material.cache.lengths()
        while len(self.drawn) <= step:
            rng = np.random.default_rng([self.learner.recipe["seed"], self.number, self.passes])
            compose = self.material.composer.phrase if self.material.composer else None
            self.drawn.extend(batches.epoch(self.voices, lengths, self.stage, self.loose, rng, compose))
            self.passes += 1
        return self.drawn[step]

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng(self.key(step))
        return collate(self.learner, self.material, self.samples(step), self.stage["augment"], rng)


def collate(
    learner: Learner, material: Material, samples: list[batches.Sample], masks: int, rng: np.random.Generator
) -> Batch:
    """Features, labels, letter slots and lattice paths of ``samples``; half of the prompts are ``auto``, but
    none of a made voice, whose letters are not aligned either."""
    prompts_of, head = prompt_dictionary(), learner.letters
    mels, tokens, letters, prompts, emissions, counts = [], [], [], [], [], []
    for sample in samples:
        row = material.rows[sample.spans[0].clip]
        locale, made = row["target_lang"], "made" in row
        mel = batches.augment(batches.features(sample, material.cache, rng), masks, rng)
        mels.append(torch.from_numpy(mel))
        own = [t for text in texts(material, sample) for t in learner.tokens(text, locale)]
        frames = batches.encoder_frames(len(mel))
        spoken, spelled = spoken_letters(material, sample)
        ends = token_ends(learner.model.tokenizer.ids_to_tokens(own), letter_ends(spoken, spelled), len(mel))
        emissions.append(encoder_frames(ends, frames))
        named = paths.slots(spoken, spelled, frames, head.letters, head.pause)
        letters.append(torch.from_numpy(np.full_like(named, paths.IGNORED) if made else named))
        tokens.append(torch.tensor(own))
        counts.append(frames)
        prompts.append(prompts_of[AUTO if rng.random() < 0.5 and not made else locale])
    pad = torch.nn.utils.rnn.pad_sequence
    return Batch(
        mels=pad(mels, batch_first=True).transpose(1, 2).contiguous(),
        lengths=torch.tensor([len(m) for m in mels]),
        labels=pad(tokens, batch_first=True).long(),
        label_counts=torch.tensor([len(t) for t in tokens]),
        letters=pad(letters, batch_first=True, padding_value=paths.IGNORED),
        prompts=torch.tensor(prompts),
        path=paths.lattice_path(emissions, [t.tolist() for t in tokens], counts, learner.blank),
    )


def texts(material: Material, sample: batches.Sample) -> list[str]:
    """The sentences of a sample, each to be followed by its tag: transcripts of whole clips as they stand,
    loose words as one sentence."""
    if sample.spans[0].words is None:
        return [material.rows[span.clip]["text"] for span in sample.spans]
    said = "".join(f"{'' if span.glued else ' '}{span.words}" for span in sample.spans).strip()
    return [f"{said[:1].upper()}{said[1:]}."]


def spoken_letters(material: Material, sample: batches.Sample) -> tuple[npt.NDArray[np.int16], str]:
    """When the letters of a sample's spans are spoken, one after the other, and how they spell together."""
    lengths = material.cache.lengths()
    pieces, spelled = [np.full(sample.pauses[0], -1, np.int16)], ""
    for span, pause in zip(sample.spans, sample.pauses[1:], strict=True):
        own = material.alignment.own(span.clip)[span.first : span.last]
        frames = span.frames(lengths, sample.tempo)
        own = own[np.arange(frames) * len(own) // frames]
        letters = spelling(material.rows[span.clip]["text"])
        skipped = 0
        if span.words is not None:
            letters, skipped = spelling(span.words), int(own[own >= 0].min(initial=len(letters)))
        own = np.where(own >= 0, own - skipped, -1)
        spelled += " " if spelled and not span.glued else ""
        own = np.where((own >= 0) & (own < len(letters)), own + len(spelled), -1)
        pieces += [own.astype(np.int16), np.full(pause, -1, np.int16)]
        spelled += letters
    return np.concatenate(pieces), spelled
