"""What happens around Lightning's steps: seeding, metrics, validation, checkpoints, cancelling."""

from __future__ import annotations

import logging
import math
import os
import random
import resource
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import numpy as np
import psutil
import torch
from lightning.fabric.plugins import TorchCheckpointIO

from workbench.errors import WorkbenchError
from workbench.files import replacing
from workbench.finetuning import folder as files
from workbench.finetuning import ranking
from workbench.finetuning.model import apply_training_mode, trained_state
from workbench.finetuning.validation import CancelledError
from workbench.machine import trim_memory
from workbench.recognizer import torch_file

if TYPE_CHECKING:
    import pandas as pd

    from workbench.finetuning.folder import RunFolder
    from workbench.finetuning.recipe import Recipe
    from workbench.finetuning.validation import Validator

log = logging.getLogger("workbench.finetuning.run")
STATE_EVERY_S = 1.0
TRIM_EVERY = 20
"""Steps between two returns of freed memory: batches of ever other lengths leave holes that none fits."""


class AtomicCheckpointIO(TorchCheckpointIO):  # type: ignore[misc]
    """Lightning's checkpoints, written beside the old one and renamed over it."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as draft:
            torch.save(checkpoint, draft)

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Only tensors and plain values are accepted from the file, whatever is asked for."""
        found: dict[str, Any] = torch_file.load(Path(path), "the state of a run")
        return found


def seed_step(model: Any, *numbers: int) -> None:
    """Seed every source of chance from the run's seed and the step, whatever happened before."""
    drawn = np.random.SeedSequence(list(numbers)).generate_state(2)
    torch.manual_seed(int(drawn[0]))
    random.seed(int(drawn[1]))
    np.random.seed(int(drawn[1]))  # NeMo's augmentations use the global one
    for module in model.modules():
        # SpecAugment keeps a generator of its own, which NeMo does not seed.
        own = getattr(module, "_rng", None)
        if isinstance(own, random.Random):
            own.seed(int(drawn[0]))


class RunCallback(pl.Callback):  # type: ignore[misc]
    """Keeps the run's folder up to date and stops the run when asked to."""

    def __init__(
        self,
        recipe: Recipe,
        folder: RunFolder,
        plan: pd.DataFrame,
        validator: Validator,
        clock: files.Clock | None = None,
    ) -> None:
        self.recipe, self.folder, self.validator = recipe, folder, validator
        self.clock = clock or files.Clock({})
        self.outcome = "finished"
        self.baseline: list[dict[str, Any]] = []
        self._hours = _cumulative_hours(plan)
        self._audio_s = plan.groupby("step")["duration_s"].sum().to_dict()
        self._loss: list[float] = []
        self._norm = self._rate = 0.0
        self._began = self._spent = self._written = 0.0
        self._times: deque[float] = deque(maxlen=50)
        self._validation_s: deque[float] = deque(maxlen=5)
        self._peak_mb = 0.0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        apply_training_mode(pl_module, self.recipe)
        if trainer.global_step == 0 and self.recipe.validation:
            self._validate(trainer, pl_module, 0)
        else:
            self.baseline = [r for r in files.records(self.folder.metrics) if r["kind"] == "validation"]
            self.baseline = [record for record in self.baseline if record["step"] == 0]
        self._began, self._spent = time.monotonic(), time.process_time()

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        # The batch's number within the step, so that two ranks draw what one does that accumulates two.
        part = batch_idx % self.recipe.accumulate * self.recipe.ranks + trainer.global_rank
        seed_step(pl_module, self.recipe.seed, trainer.global_step, part)

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self._rate = max(float(group["lr"]) for group in optimizer.param_groups)
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        self._norm = float(torch.nn.utils.get_total_norm(gradients)) if gradients else 0.0

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = float(outputs["loss"]) * self.recipe.accumulate  # Lightning's is divided by it
        if not math.isfinite(loss):
            raise WorkbenchError(
                f"the loss is {loss} at step {trainer.global_step}",
                hint=f"Lower learning_rate (now {self.recipe.learning_rate:g}) or clip_norm, then resume.",
            )
        self._loss.append(loss)
        if (batch_idx + 1) % self.recipe.accumulate:
            return
        step = trainer.global_step
        self._record(trainer, step)
        if step % TRIM_EVERY == 0:
            trim_memory()
        try:
            if self.recipe.validation and (
                step % self.recipe.validate_every == 0 or step == self.recipe.steps
            ):
                self._validate(trainer, pl_module, step)
        except CancelledError:
            pass
        stop = self._stop_reason(trainer)
        if step % self.recipe.save_every == 0 or stop or step == self.recipe.steps:
            began, spent = time.monotonic(), time.process_time()
            trainer.save_checkpoint(self.folder.last)
            self.folder.update_state(saved_step=step, **_took("save", began, spent))
        if stop:
            self.outcome = stop
            trainer.should_stop = True
        self._began, self._spent = time.monotonic(), time.process_time()

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        # Saved within the last hook of a batch, which Lightning counts as completed only after it: without
        # this, a resumed run would be one batch off in accumulating gradients.
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for span in ("total", "current"):
            progress[span]["completed"] = progress[span]["ready"]
        # What rests is in the base checkpoint: of the 600M, an adapter's file is MB instead of GB.
        checkpoint["state_dict"] = trained_state(pl_module)
        # NeMo's configuration is in the base checkpoint; without it the file holds plain values and tensors.
        for name in ("hyper_parameters", "hparams_name", "hparams_type"):  # the last one is a class
            checkpoint.pop(name, None)

    def _stop_reason(self, trainer: Any) -> str:
        """The first rank's answer, for all must stop at the same step."""
        reason = "interrupted" if trainer.received_sigterm else ""
        if self.folder.cancel.exists():
            reason = "cancelled"
        return str(trainer.strategy.broadcast(reason)) if self.recipe.ranks > 1 else reason

    def _record(self, trainer: Any, step: int) -> None:
        seconds = time.monotonic() - self._began
        self._times.append(seconds)
        self._peak_mb = max(self._peak_mb, peak_mb())
        audio_s = float(self._audio_s.get(step - 1, 0.0))
        loss, self._loss = sum(self._loss) / len(self._loss), []
        if self.recipe.ranks > 1:
            loss = float(trainer.strategy.reduce(torch.tensor(loss, device=trainer.strategy.root_device)))
        if not trainer.is_global_zero:
            return
        record = {
            "kind": "train",
            "step": step,
            "loss": loss,
            "learning_rate": self._rate,
            "gradient_norm": self._norm,
            "step_s": round(seconds, 4),
            "step_processor_s": round(time.process_time() - self._spent, 4),
            "audio_s": round(audio_s, 3),
            "audio_s_per_s": round(audio_s / seconds, 2) if seconds > 0 else None,
            "memory_mb": round(memory_mb(), 1),
            "time_left_s": round(self._time_left_s(step), 1),
            "time": files.now(),
        }
        files.append(self.folder.metrics, [record])
        if time.monotonic() - self._written > STATE_EVERY_S or step == self.recipe.steps:
            self._written = time.monotonic()
            self.folder.update_state(
                status="running",
                step=step,
                loss=record["loss"],
                time_left_s=record["time_left_s"],
                peak_memory_mb=round(self._peak_mb, 1),
                consumed_hours=self._hours(step),
                **self.clock.read(),
            )

    def _time_left_s(self, step: int) -> float:
        typical = sorted(self._times)[len(self._times) // 2] if self._times else 0.0
        left = self.recipe.steps - step
        checks = left // self.recipe.validate_every + 1 if self.recipe.validation else 0
        each = sum(self._validation_s) / len(self._validation_s) if self._validation_s else 0.0
        return left * typical + checks * each

    def _validate(self, trainer: Any, pl_module: Any, step: int) -> None:
        try:
            if trainer.is_global_zero:
                self._validate_here(pl_module, step)
        finally:
            trainer.strategy.barrier()  # the other ranks wait here, whatever happened

    def _validate_here(self, pl_module: Any, step: int) -> None:
        self.folder.update_state(status="validating", step=step)
        began, spent = time.monotonic(), time.process_time()
        try:
            found, samples = self.validator.run(pl_module)
        finally:
            apply_training_mode(pl_module, self.recipe)
            trim_memory()
        self._validation_s.append(time.monotonic() - began)
        self.folder.update_state(**_took("validation", began, spent))
        head = {"kind": "validation", "step": step}
        files.append(self.folder.metrics, [{**head, **record} for record in found])
        files.append(self.folder.samples, [{"step": step, **sample} for sample in samples])
        self._rank(pl_module, step, found)
        log.info("validated at step %d in %.1f s", step, self._validation_s[-1])

    def _rank(self, pl_module: Any, step: int, found: list[dict[str, Any]]) -> None:
        if step == 0:
            self.baseline = found
        value = ranking.score(self.recipe, found, self.baseline)
        if value is None:
            return
        if step == 0:
            self.folder.update_state(base_score=value)
            return
        if ranking.enter(self.folder, trained_state(pl_module), step, value, self.recipe.average_best):
            self.folder.update_state(best={"step": step, "score": value})


def _took(what: str, began: float, spent: float) -> dict[str, float]:
    """Seconds since, on the clock and of this process's processor time, as the state keeps them."""
    return {
        f"{what}_s": round(time.monotonic() - began, 3),
        f"{what}_processor_s": round(time.process_time() - spent, 3),
    }


def _cumulative_hours(plan: pd.DataFrame) -> Any:
    """step → hours consumed per locale so far."""
    table = plan.pivot_table(index="step", columns="target_lang", values="duration_s", aggfunc="sum")
    total = (table.fillna(0).cumsum() / 3600).round(6)

    def hours(step: int) -> dict[str, float]:
        if step < 1:
            return {}
        return {str(tag): float(value) for tag, value in total.loc[step - 1].items()}

    return hours


def peak_mb() -> float:
    """The most that this process has held so far, or the peak on the GPU where that is more, in MB."""
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return max(held, memory_mb())


def memory_mb() -> float:
    """Resident memory of this process, or the peak held on the GPU where that is more, in MB."""
    held = psutil.Process(os.getpid()).memory_info().rss
    if torch.cuda.is_available():
        held = max(held, torch.cuda.max_memory_allocated())
    return float(held) / 1e6
