"""Train one stage of the starter: fixed steps, state saved whole, resumed bit for bit.

A loop of its own, not Lightning's: features come from a cache, the CTC stage trains a head that the
released class does not have, and every draw is keyed by the step so that resuming needs no sampler state.
"""

from __future__ import annotations

import json
import logging
import math
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workbench.finetuning.transducer_loss import TransducerLoss
from workbench.locales import AUTO, prompt_dictionary
from workbench.starter import batches, network
from workbench.starter.features import FeatureCache
from workbench.starter.tokenizer import tag_piece

log = logging.getLogger("workbench.starter")
SAVE_EVERY_S = 120.0


@dataclass
class Material:
    """What a stage learns from: rows and, for each speed, their features."""

    rows: list[dict[str, Any]]
    caches: list[FeatureCache]
    validation: list[dict[str, Any]]
    validation_cache: FeatureCache


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded tensors: ``mels`` (batch, bands, frames), ``labels`` and ``letters`` (batch, longest)."""

    mels: torch.Tensor
    lengths: torch.Tensor
    labels: torch.Tensor
    label_counts: torch.Tensor
    letters: torch.Tensor
    letter_counts: torch.Tensor
    prompts: torch.Tensor


@dataclass
class Learner:
    """The model, its CTC head and what the recipe says about them."""

    recipe: dict[str, Any]
    model: Any
    head: torch.nn.Linear
    letters: network.LetterHead

    def parameters(self) -> list[torch.nn.Parameter]:
        return [*self.model.parameters(), *self.head.parameters(), *self.letters.parameters()]

    def modules(self) -> dict[str, torch.nn.Module]:
        """What a saved state holds, by name."""
        return {"model": self.model, "head": self.head, "letters": self.letters}

    def tokens(self, text: str, locale: str) -> list[int]:
        ids: list[int] = self.model.tokenizer.text_to_ids(f"{text} {tag_piece(locale)}")
        return ids

    def encode(self, mels: torch.Tensor, lengths: torch.Tensor, prompts: torch.Tensor) -> tuple[Any, Any]:
        """Prompted encoder frames (batch, d_model, frames) and their counts."""
        return self.model.forward(  # type: ignore[no-any-return]
            processed_signal=mels, processed_signal_length=lengths, prompt_indices=prompts
        )


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
    slots = prompt_dictionary()
    mels, texts, letters, prompts = [], [], [], []
    for sample in batch:
        rows = [material.rows[i] for i in sample.clips]
        locale = rows[0]["target_lang"]
        mels.append(torch.from_numpy(batches.augment(batches.features(sample, material.caches), masks, rng)))
        text = " ".join(row["text"] for row in rows)
        texts.append(torch.tensor(learner.tokens(text, locale)))
        letters.append(torch.tensor(learner.letters.spell(text)))
        prompts.append(slots[AUTO if rng.random() < 0.5 else locale])
    lengths = torch.tensor([len(m) for m in mels])
    signal = torch.nn.utils.rnn.pad_sequence(mels, batch_first=True).transpose(1, 2).contiguous()
    return Batch(signal, lengths, *_padded(texts), *_padded(letters), torch.tensor(prompts))


def _padded(sequences: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    padded = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True).long()
    return padded, torch.tensor([len(s) for s in sequences])


def _ctc(
    log_probs: torch.Tensor, labels: torch.Tensor, frames: torch.Tensor, counts: torch.Tensor
) -> torch.Tensor:
    """Summed CTC loss of (frames, batch, classes), last class blank; labels that cannot fit add 0."""
    return torch.nn.functional.ctc_loss(
        log_probs, labels, frames, counts, blank=log_probs.shape[2] - 1, reduction="sum", zero_infinity=True
    )


def _loss(learner: Learner, stage: dict[str, Any], batch: Batch, transducer: TransducerLoss) -> torch.Tensor:
    """Mean negative log-likelihood per token, plus the auxiliary one per letter by the stage's weight."""
    encoded, frames = learner.encode(batch.mels, batch.lengths, batch.prompts)
    spelt = (
        _ctc(learner.letters(), batch.letters, 2 * frames, batch.letter_counts) / batch.letter_counts.sum()
    )
    log_probs = learner.head(encoded.transpose(1, 2)).log_softmax(-1).transpose(0, 1)
    ctc = _ctc(log_probs, batch.labels, frames, batch.label_counts) / batch.label_counts.sum()
    if stage["head"] == "ctc":
        return ctc + stage["letters"] * spelt
    predicted, _, _ = learner.model.decoder(targets=batch.labels, target_length=batch.label_counts)
    logits = learner.model.joint(encoder_outputs=encoded, decoder_outputs=predicted)
    rnnt = transducer(acts=logits, labels=batch.labels, act_lens=frames, label_lens=batch.label_counts)
    return 0.8 * rnnt.sum() / batch.label_counts.sum() + 0.2 * ctc + stage["letters"] * spelt


def train_stage(
    learner: Learner,
    material: Material,
    number: int,
    folder: Path,
    validate: Callable[[Learner, Material, str], dict[str, Any]],
    cancel: Callable[[], bool] = lambda: False,
) -> bool:
    """Run stage ``number`` of the recipe to its end; True when done, False when cancelled.

    Continues from ``folder/state.pt`` where that is of this stage; figures go to ``folder/metrics.jsonl``.
    """
    recipe, stage = learner.recipe, learner.recipe["stages"][number]
    if number and stage["head"] == "rnnt" and recipe["stages"][number - 1]["head"] == "ctc":
        network.joint_from_ctc(learner.model, learner.head)
    optimizer = torch.optim.AdamW(
        learner.parameters(),
        lr=1e-3,
        betas=tuple(recipe["optimizer"]["betas"]),
        weight_decay=recipe["optimizer"]["weight_decay"],
    )
    network.set_dropout(learner.model, stage["dropout"])
    learner.model.joint.log_softmax = False
    transducer = TransducerLoss(blank=learner.head.out_features - 1, reduction=None)
    state = folder / "state.pt"
    step, plan = _resume(learner, optimizer, state, number), _plan(learner, material, number)
    log.info("stage %s from step %d of %d", stage["name"], step, stage["steps"])
    shown, since, saved = 0.0, time.monotonic(), time.monotonic()
    learner.model.train()
    while step < stage["steps"] and not cancel():
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
        step += 1
        shown += float(loss.detach())
        if step % 50 == 0:
            seconds = (time.monotonic() - since) / 50
            _record(folder, {"stage": stage["name"], "step": step, "loss": shown / 50, "step_s": seconds})
            shown, since = 0.0, time.monotonic()
        if step % recipe["validation"]["every"] == 0 or step == stage["steps"]:
            figures = validate(learner, material, stage["head"])
            _record(folder, {"stage": stage["name"], "step": step, **figures})
            learner.model.train()
            since = time.monotonic()
        if time.monotonic() - saved > SAVE_EVERY_S or step == stage["steps"]:
            _save(learner, optimizer, state, number, step)
            saved = time.monotonic()
    if step < stage["steps"]:
        _save(learner, optimizer, state, number, step)
        return False
    return True


def _plan(learner: Learner, material: Material, number: int) -> Callable[[int], list[batches.Sample]]:
    """Step → batch. Passes are drawn from (seed, stage, pass), so any step can be found again."""
    stage = learner.recipe["stages"][number]
    voices = [row["source"] for row in material.rows]
    drawn: list[list[batches.Sample]] = []
    passes = 0

    def at(step: int) -> list[batches.Sample]:
        nonlocal passes
        while len(drawn) <= step:
            rng = np.random.default_rng([learner.recipe["seed"], number, passes])
            drawn.extend(batches.epoch(voices, material.caches, stage, rng))
            passes += 1
        return drawn[step]

    return at


def _resume(learner: Learner, optimizer: torch.optim.Optimizer, state: Path, number: int) -> int:
    if not state.is_file():
        return 0
    held = torch.load(state, weights_only=True)
    if held["stage"] != number:
        return 0
    for name, module in learner.modules().items():
        module.load_state_dict(held[name])
    optimizer.load_state_dict(held["optimizer"])
    return int(held["step"])


def _save(learner: Learner, optimizer: torch.optim.Optimizer, state: Path, number: int, step: int) -> None:
    held = {
        "stage": number,
        "step": step,
        **{name: module.state_dict() for name, module in learner.modules().items()},
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
