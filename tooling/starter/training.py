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
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from tooling.starter import network, paths
from tooling.starter.dataset import Batch, Lessons, Material
from tooling.starter.learner import Learner
from workbench.finetuning.packed_joint import packed_loss
from workbench.finetuning.transducer_loss import TransducerLoss

log = logging.getLogger("tooling.starter")
SAVE_EVERY_S = 120.0
READ = 48  # texts a step, where a stage reads
CLOSING = 3  # final mark, space and tag


class Average:
    """Exponential moving average of a learner's weights (Polyak averaging): what is validated and shipped.

    Its memory grows with the steps taken, up to ``1 / (1 - decay)`` of them, so that the start is forgotten.
    """

    def __init__(self, learner: Learner, decay: float) -> None:
        self.learner, self.decay, self.weights = learner, decay, learner.snapshot()
        self._pairs: tuple[list[torch.Tensor], list[torch.Tensor]] | None = None

    def update(self, step: int) -> None:
        keep = min(self.decay, (1 + step) / (10 + step))
        if self._pairs is None:
            pairs = [
                (self.weights[name][key], value.detach())
                for name, module in self.learner.modules().items()
                for key, value in module.state_dict().items()
                if value.is_floating_point()
            ]
            self._pairs = [a for a, _ in pairs], [v for _, v in pairs]
        torch._foreach_lerp_(*self._pairs, 1 - keep)

    def to(self, device: str) -> None:
        """Move the average; the learner's weights may have been moved or loaded too."""
        self._pairs = None
        self.weights = {
            name: {key: value.to(device) for key, value in own.items()} for name, own in self.weights.items()
        }

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


def _loss(
    learner: Learner, stage: dict[str, Any], batch: Batch, heard: torch.Tensor, transducer: TransducerLoss
) -> torch.Tensor:
    """Loss per token on the known path or over all paths, plus the letter head's loss per slot; ``heard``:
    the labels as the predictor hears them."""
    model = learner.model
    encoded, frames = learner.encode(batch.mels, batch.lengths, batch.prompts)
    named = learner.letters()
    spelled = letter_loss(named, batch.letters[:, : named.shape[1]])
    predicted, _, _ = model.decoder(targets=heard, target_length=batch.label_counts)
    tokens = batch.label_counts.sum()
    if stage["loss"] == "path":
        emitted = paths.path_loss(model.joint, encoded.transpose(1, 2), predicted.transpose(1, 2), batch.path)
    else:
        emitted = _transduced(learner, batch, encoded, predicted, frames, transducer)
        if stage.get("closing"):
            last = encoded.transpose(1, 2)[torch.arange(len(frames)), frames - 1][:, None]
            hidden = model.joint.enc(last) + model.joint.pred(predicted.transpose(1, 2))
            emitted = emitted + stage["closing"] * _closing(
                model.joint.joint_net(hidden), batch, learner.blank
            )
    return emitted / tokens + stage["letters"] * spelled


def letter_loss(named: torch.Tensor, letters: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of ``named`` (batch, slots, letters) where a letter is known; 0 where none is, as in
    a batch of made voices alone."""
    summed = torch.nn.functional.cross_entropy(
        named.flatten(0, 1), letters.flatten(), ignore_index=paths.IGNORED, reduction="sum"
    )
    return summed / (letters != paths.IGNORED).sum().clamp(min=1)


def _reading(learner: Learner, texts: list[list[int]], device: str) -> torch.Tensor:
    """Loss per token of the predictor alone, through the joint without an encoder, on ``READ`` drawn texts:
    it comes to know words that no voice said (the internal language model of Variani et al. 2020,
    arXiv:2003.07705)."""
    chosen = [torch.tensor(texts[i]) for i in torch.randint(len(texts), (READ,)).tolist()]
    counts = torch.tensor([len(one) for one in chosen], device=device)
    labels = torch.nn.utils.rnn.pad_sequence(chosen, batch_first=True).to(device)
    predicted, _, _ = learner.model.decoder(targets=labels, target_length=counts)
    joint = learner.model.joint
    logits = joint.joint_net(joint.enc.bias + joint.pred(predicted.transpose(1, 2)))[:, :-1, : learner.blank]
    said = torch.arange(labels.shape[1], device=device) < counts[:, None]
    return torch.nn.functional.cross_entropy(logits[said], labels[said])


def _transduced(
    learner: Learner,
    batch: Batch,
    encoded: torch.Tensor,
    predicted: torch.Tensor,
    frames: torch.Tensor,
    transducer: TransducerLoss,
) -> torch.Tensor:
    """Summed loss over all paths; on a CPU with joint and loss in one step, on the cells that exist."""
    joint, counts = learner.model.joint, batch.label_counts
    if encoded.device.type == "cpu":
        parts = encoded.transpose(1, 2), predicted.transpose(1, 2), batch.labels
        return packed_loss(joint, *parts, frames, counts, torch.ones(len(counts)))
    logits = joint(encoder_outputs=encoded, decoder_outputs=predicted)
    summed: torch.Tensor = transducer(
        acts=logits, labels=batch.labels, act_lens=frames, label_lens=counts
    ).sum()
    return summed


def _closing(last: torch.Tensor, batch: Batch, blank: int) -> torch.Tensor:
    """Summed cross-entropy of the last ``CLOSING`` labels in each clip's last frame, and of the blank after
    them: a clip that ends with its last sound must be closed there, for no later frame will come. ``last``:
    logits (batch, labels + 1, pieces) of that frame."""
    after = torch.cat([batch.labels, torch.zeros_like(batch.labels[:, :1])], dim=1)
    after[torch.arange(len(after), device=last.device), batch.label_counts] = blank
    columns = torch.arange(after.shape[1], device=last.device)
    ends = batch.label_counts[:, None]
    chosen = (columns <= ends) & (columns >= ends - CLOSING)
    return torch.nn.functional.cross_entropy(last[chosen], after[chosen], reduction="sum")


def _blurred(batch: Batch, stage: dict[str, Any]) -> torch.Tensor:
    """The labels as the predictor hears them: a share swapped for others of the batch, so that one wrong
    token does not throw the next ones and no sentence is learned by heart."""
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
    device: str = "cpu",
    cancel: Callable[[], bool] = lambda: False,
) -> bool:
    """Run stage ``number`` of the recipe to its end; True when done, False when cancelled.

    Continues from ``folder/state.pt`` where that is of this stage; figures go to ``folder/metrics.jsonl``.
    The learner is on the CPU before and after.
    """
    recipe, stage = learner.recipe, learner.recipe["stages"][number]
    reading = material.reading if stage.get("reading") else None
    learner.model.joint.log_softmax = False
    learner.model.spec_augmentation = None  # the lessons are masked already
    transducer = TransducerLoss(blank=learner.blank, reduction=None)
    state = folder / "state.pt"
    average = Average(learner, stage.get("average", recipe["optimizer"]["average"]))
    optimizer = _optimizer(learner, recipe)
    step, lessons = _resume(learner, optimizer, average, state, number), Lessons(learner, material, number)
    log.info("stage %s from step %d of %d", stage["name"], step, stage["steps"])
    shown: list[torch.Tensor] = []
    since = saved = time.monotonic()
    network.set_dropout(learner.model, stage["dropout"])
    last = stage.get("until", stage["steps"])  # a schedule may be left before its end
    _move(learner, optimizer, average, device)
    for batch in _batches(lessons, range(step, last), device):
        if cancel():
            break
        random.seed(lessons.key(step))
        torch.manual_seed(lessons.key(step))
        heard = _blurred(batch, stage).to(device)
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, stage)
        loss = _loss(learner, stage, batch.to(device), heard, transducer)
        if reading:
            loss = loss + stage["reading"] * _reading(learner, reading, device)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(learner.parameters(), recipe["optimizer"]["clip"])
        if torch.isfinite(norm):
            optimizer.step()
            average.update(step)
        step += 1
        shown.append(loss.detach())
        if step % 50 == 0:
            mean, seconds = float(sum(shown)) / len(shown), (time.monotonic() - since) / len(shown)
            on = "one CPU core" if device == "cpu" else torch.cuda.get_device_name()
            _record(
                folder,
                {"stage": stage["name"], "step": step, "loss": mean, "step_s": seconds, "device": on},
            )
            shown, since = [], time.monotonic()
        if step % recipe["validation"]["every"] == 0 or step == last:
            _move(learner, optimizer, average, "cpu")
            with average.applied():
                figures = validate(learner, material)
            _move(learner, optimizer, average, device)
            _record(folder, {"stage": stage["name"], "step": step, **figures})
            network.set_dropout(learner.model, stage["dropout"])
            since = time.monotonic()
        if time.monotonic() - saved > SAVE_EVERY_S:
            _save(learner, optimizer, average, state, number, step)
            saved = time.monotonic()
    _move(learner, optimizer, average, "cpu")
    _save(learner, optimizer, average, state, number, step)
    if step < last:
        return False
    learner.load(average.weights)
    return True


def _optimizer(learner: Learner, recipe: dict[str, Any]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        learner.parameters(),
        lr=1e-3,
        betas=tuple(recipe["optimizer"]["betas"]),
        weight_decay=recipe["optimizer"]["weight_decay"],
    )


def _batches(lessons: Lessons, steps: range, device: str) -> Iterable[Batch]:
    """The steps' batches in order; made ahead by other processes where a GPU would wait for them."""
    if device == "cpu":
        return (lessons[step] for step in steps)
    workers = max(1, min(6, (os.cpu_count() or 2) // 3))
    loader: Iterable[Batch] = torch.utils.data.DataLoader(
        lessons, sampler=steps, batch_size=None, num_workers=workers, prefetch_factor=8
    )
    return loader


def _move(learner: Learner, optimizer: torch.optim.Optimizer, average: Average, device: str) -> None:
    """Weights, their average and the optimizer's memory to ``device``; parameters stay the same objects."""
    for module in learner.modules().values():
        module.to(device)
    average.to(device)
    for held in optimizer.state.values():
        for name, value in held.items():
            if torch.is_tensor(value) and name != "step":
                held[name] = value.to(device)


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
