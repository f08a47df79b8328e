"""Train one stage of the starter: fixed steps, state saved whole, resumed bit for bit.

A loop of its own, not Lightning's: features come from a cache, the letter head is one that the released
class does not have, and every draw is keyed by the step so that resuming needs no sampler state.
"""

from __future__ import annotations

import json
import logging
import math
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from workbench.finetuning.transducer_loss import TransducerLoss
from workbench.locales import AUTO, prompt_dictionary
from workbench.starter import batches, network, paths
from workbench.starter.alignment import Alignment
from workbench.starter.features import FeatureCache
from workbench.starter.tokenizer import tag_piece

log = logging.getLogger("workbench.starter")
SAVE_EVERY_S = 120.0


@dataclass
class Material:
    """What a stage learns from: rows, their features at each speed, and when their letters are spoken."""

    rows: list[dict[str, Any]]
    caches: list[FeatureCache]
    alignment: Alignment
    validation: list[dict[str, Any]]
    validation_cache: FeatureCache


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


@dataclass
class Learner:
    """The model, its letter head and what the recipe says about them."""

    recipe: dict[str, Any]
    model: Any
    letters: network.LetterHead

    def parameters(self) -> list[torch.nn.Parameter]:
        return [*self.model.parameters(), *self.letters.parameters()]

    def modules(self) -> dict[str, torch.nn.Module]:
        """What a saved state holds, by name."""
        return {"model": self.model, "letters": self.letters}

    def snapshot(self) -> dict[str, dict[str, torch.Tensor]]:
        """A copy of all weights, by module and name."""
        return {
            name: {key: value.detach().clone() for key, value in module.state_dict().items()}
            for name, module in self.modules().items()
        }

    def load(self, weights: dict[str, dict[str, torch.Tensor]]) -> None:
        for name, module in self.modules().items():
            module.load_state_dict(weights[name])

    def tokens(self, text: str, locale: str) -> list[int]:
        ids: list[int] = self.model.tokenizer.text_to_ids(f"{text} {tag_piece(locale)}")
        return ids

    @property
    def blank(self) -> int:
        return int(self.model.tokenizer.vocab_size)

    def encode(self, mels: torch.Tensor, lengths: torch.Tensor, prompts: torch.Tensor) -> tuple[Any, Any]:
        """Prompted encoder frames (batch, d_model, frames) and their counts."""
        return self.model.forward(  # type: ignore[no-any-return]
            processed_signal=mels, processed_signal_length=lengths, prompt_indices=prompts
        )


class Average:
    """Exponential moving average of a learner's weights (Polyak averaging): what is validated and shipped.

    Its memory grows with the steps taken, up to ``1 / (1 - decay)`` of them, so that the start is forgotten.
    """

    def __init__(self, learner: Learner, decay: float) -> None:
        self.learner, self.decay, self.weights = learner, decay, learner.snapshot()

    def update(self, step: int) -> None:
        keep = min(self.decay, (1 + step) / (10 + step))
        for name, module in self.learner.modules().items():
            own = self.weights[name]
            pairs = [(own[key], value) for key, value in module.state_dict().items()]
            torch._foreach_lerp_(
                [a for a, _ in pairs if a.is_floating_point()],
                [v.detach() for a, v in pairs if a.is_floating_point()],
                1 - keep,
            )

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The learner with the averaged weights; its own come back afterwards."""
        own = self.learner.snapshot()
        self.learner.load(self.weights)
        try:
            yield
        finally:
            self.learner.load(own)


def rate_at(step: int, stage: dict[str, Any]) -> float:
    """Linear warm-up to ``lr``, then a cosine down to ``lr_end`` at the stage's last step."""
    if step < stage["warmup"]:
        return float(stage["lr"] * (step + 1) / stage["warmup"])
    done = (step - stage["warmup"]) / max(1, stage["steps"] - stage["warmup"])
    low, high = float(stage["lr_end"]), float(stage["lr"])
    return float(low + (high - low) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def _collate(
    learner: Learner, material: Material, batch: list[batches.Sample], masks: int, rng: np.random.Generator
) -> Batch:
    prompt_slots, head = prompt_dictionary(), learner.letters
    mels, tokens, letters, prompts, emissions, counts = [], [], [], [], [], []
    for sample in batch:
        locale = material.rows[sample.spans[0].clip]["target_lang"]
        mels.append(torch.from_numpy(batches.augment(batches.features(sample, material.caches), masks, rng)))
        own = learner.tokens(_text(material, sample), locale)
        frames = batches.encoder_frames(len(mels[-1]))
        spoken, spelt = _spoken(material, sample)
        ends = paths.token_ends(
            learner.model.tokenizer.ids_to_tokens(own), paths.letter_ends(spoken, spelt), len(mels[-1])
        )
        emissions.append(paths.encoder_frames(ends, frames))
        letters.append(torch.from_numpy(paths.slots(spoken, spelt, frames, head.letters, head.pause)))
        tokens.append(torch.tensor(own))
        counts.append(frames)
        prompts.append(prompt_slots[AUTO if rng.random() < 0.5 else locale])
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


def _text(material: Material, sample: batches.Sample) -> str:
    """Transcripts of whole clips as they stand; loose words as one sentence."""
    if sample.spans[0].words is None:
        return " ".join(material.rows[span.clip]["text"] for span in sample.spans)
    said = " ".join(span.words or "" for span in sample.spans)
    return f"{said[:1].upper()}{said[1:]}."


def _spoken(material: Material, sample: batches.Sample) -> tuple[npt.NDArray[np.int16], str]:
    """When the letters of a sample's spans are spoken, one after the other, and how they spell together."""
    pieces, spelt = [], ""
    for span in sample.spans:
        whole = len(material.caches[sample.speed].clip(span.clip))
        own = material.alignment.clip(span.clip, whole)[span.first : span.last]
        spelling = network.spelling(material.rows[span.clip]["text"])
        skipped = 0
        if span.words is not None:
            spelling, skipped = network.spelling(span.words), int(own[own >= 0].min(initial=len(spelling)))
        own = np.where(own >= 0, own - skipped, -1)
        spelt += " " if spelt else ""
        own = np.where((own >= 0) & (own < len(spelling)), own + len(spelt), -1)
        pieces.append(own.astype(np.int16))
        spelt += spelling
    return np.concatenate(pieces), spelt


def _loss(learner: Learner, stage: dict[str, Any], batch: Batch, transducer: TransducerLoss) -> torch.Tensor:
    """Loss per token on the known path or over all paths, plus the letter head's loss per slot."""
    model = learner.model
    encoded, frames = learner.encode(batch.mels, batch.lengths, batch.prompts)
    named = learner.letters()
    spelt = torch.nn.functional.cross_entropy(
        named.flatten(0, 1), batch.letters[:, : named.shape[1]].flatten(), ignore_index=paths.IGNORED
    )
    predicted, _, _ = model.decoder(targets=_blurred(batch, stage), target_length=batch.label_counts)
    tokens = batch.label_counts.sum()
    if stage["loss"] == "path":
        emitted = paths.path_loss(model.joint, encoded.transpose(1, 2), predicted.transpose(1, 2), batch.path)
    else:
        logits = model.joint(encoder_outputs=encoded, decoder_outputs=predicted)
        emitted = transducer(
            acts=logits, labels=batch.labels, act_lens=frames, label_lens=batch.label_counts
        ).sum()
    return emitted / tokens + stage["letters"] * spelt


def _blurred(batch: Batch, stage: dict[str, Any]) -> torch.Tensor:
    """The labels as the predictor hears them: a share swapped for others of the batch, so that one wrong
    token does not throw the next ones and no sentence is learnt by heart."""
    swap = torch.rand(batch.labels.shape) < stage["blur"]
    flat = batch.labels.flatten()
    others = flat[torch.randint(len(flat), batch.labels.shape)]
    return torch.where(swap, others, batch.labels)


def train_stage(
    learner: Learner,
    material: Material,
    number: int,
    folder: Path,
    validate: Callable[[Learner, Material], dict[str, Any]],
    cancel: Callable[[], bool] = lambda: False,
) -> bool:
    """Run stage ``number`` of the recipe to its end; True when done, False when cancelled.

    Continues from ``folder/state.pt`` where that is of this stage; figures go to ``folder/metrics.jsonl``.
    """
    recipe, stage = learner.recipe, learner.recipe["stages"][number]
    optimizer = torch.optim.AdamW(
        learner.parameters(),
        lr=1e-3,
        betas=tuple(recipe["optimizer"]["betas"]),
        weight_decay=recipe["optimizer"]["weight_decay"],
    )
    learner.model.joint.log_softmax = False
    transducer = TransducerLoss(blank=learner.blank, reduction=None)
    state = folder / "state.pt"
    average = Average(learner, stage.get("average", recipe["optimizer"]["average"]))
    step, plan = _resume(learner, optimizer, average, state, number), _plan(learner, material, number)
    log.info("stage %s from step %d of %d", stage["name"], step, stage["steps"])
    shown: list[float] = []
    since = saved = time.monotonic()
    network.set_dropout(learner.model, stage["dropout"])
    last = stage.get("until", stage["steps"])  # a schedule may be left before its end
    while step < last and not cancel():
        key = recipe["seed"] * 10_000_000 + number * 1_000_000 + step
        random.seed(key)
        torch.manual_seed(key)
        batch = plan(step)
        masks = stage["augment"]
        tensors = _collate(learner, material, batch, masks, np.random.default_rng(key))
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, stage)
        loss = _loss(learner, stage, tensors, transducer)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(learner.parameters(), recipe["optimizer"]["clip"])
        if torch.isfinite(norm):
            optimizer.step()
            average.update(step)
        step += 1
        shown.append(float(loss.detach()))
        if step % 50 == 0:
            mean, seconds = sum(shown) / len(shown), (time.monotonic() - since) / len(shown)
            _record(folder, {"stage": stage["name"], "step": step, "loss": mean, "step_s": seconds})
            shown, since = [], time.monotonic()
        if step % recipe["validation"]["every"] == 0 or step == last:
            with average.applied():
                figures = validate(learner, material)
            _record(folder, {"stage": stage["name"], "step": step, **figures})
            network.set_dropout(learner.model, stage["dropout"])
            since = time.monotonic()
        if time.monotonic() - saved > SAVE_EVERY_S or step == last:
            _save(learner, optimizer, average, state, number, step)
            saved = time.monotonic()
    if step < last:
        _save(learner, optimizer, average, state, number, step)
        return False
    learner.load(average.weights)
    return True


def _plan(learner: Learner, material: Material, number: int) -> Callable[[int], list[batches.Sample]]:
    """Step → batch. Passes are drawn from (seed, stage, pass), so any step can be found again."""
    stage = learner.recipe["stages"][number]
    voices = [row["source"] for row in material.rows]
    words = [paths.words(row["text"], material.alignment.own(i)) for i, row in enumerate(material.rows)]
    loose = [[batches.Span(i, *word) for word in own] for i, own in enumerate(words)]
    drawn: list[list[batches.Sample]] = []
    passes = 0

    def at(step: int) -> list[batches.Sample]:
        nonlocal passes
        while len(drawn) <= step:
            rng = np.random.default_rng([learner.recipe["seed"], number, passes])
            drawn.extend(batches.epoch(voices, material.caches, stage, loose, rng))
            passes += 1
        return drawn[step]

    return at


def _resume(
    learner: Learner, optimizer: torch.optim.Optimizer, average: Average, state: Path, number: int
) -> int:
    if not state.is_file():
        return 0
    held = torch.load(state, weights_only=True)
    if held["stage"] != number:
        return 0
    learner.load(held)
    average.weights = held["average"]
    optimizer.load_state_dict(held["optimizer"])
    return int(held["step"])


def _save(
    learner: Learner,
    optimizer: torch.optim.Optimizer,
    average: Average,
    state: Path,
    number: int,
    step: int,
) -> None:
    held = {
        "stage": number,
        "step": step,
        **{name: module.state_dict() for name, module in learner.modules().items()},
        "average": average.weights,
        "optimizer": optimizer.state_dict(),
    }
    partial = state.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save(held, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(state)


def _record(folder: Path, figures: dict[str, Any]) -> None:
    line = json.dumps({"at": round(time.time()), **figures}, ensure_ascii=False)
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    log.info("%s", line)
