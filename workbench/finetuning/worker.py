"""The training process: ``python -m workbench.finetuning.worker RUN_FOLDER``.

Holds the run's lock from its first moment to its last: who holds the lock is alive, whatever process ids say.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import Problem, WorkbenchError
from workbench.files import FULL, is_full_disk
from workbench.finetuning import folder as files
from workbench.finetuning import model as models
from workbench.finetuning.base import base_of, notices, untagged
from workbench.finetuning.finish import finish
from workbench.finetuning.folder import RunFolder
from workbench.finetuning.model import NEVER
from workbench.finetuning.plan import read_training
from workbench.finetuning.provenance import refuse_changes
from workbench.finetuning.recipe import Recipe
from workbench.finetuning.rows import draw_validation
from workbench.recognizer import torch_file
from workbench.workspace.slots import Ticket, hold_slot

if TYPE_CHECKING:
    from workbench.finetuning.base import Base
    from workbench.finetuning.rows import Utterance

log = logging.getLogger("workbench.finetuning.worker")
LOCK_VARIABLE, TICKET_VARIABLE = "WORKBENCH_RUN_LOCK", "WORKBENCH_RUN_TICKET"


def main(arguments: Sequence[str]) -> int:
    """Run or resume the run in a folder; exit code 0 for finished or cancelled."""
    if len(arguments) != 1:
        print("usage: python -m workbench.finetuning.worker RUN_FOLDER", file=sys.stderr)
        return 2
    form = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=logging.INFO, format=form, stream=sys.stderr)
    logging.Formatter.default_msec_format = None
    folder = RunFolder(arguments[0])
    if not files.is_first_rank():  # started by the first one, or beside it on another node
        return 0 if _run(folder) in ("finished", "cancelled") else 1
    try:
        held = _adopt_lock() or files.take_lock(folder.lock)
    except WorkbenchError as error:
        log.error("%s", error)
        return 3
    try:
        outcome = _queued(folder)
    except BaseException as error:
        outcome = _failed(folder, error)
    finally:
        os.close(held)
    return 0 if outcome in ("finished", "cancelled") else 1


def _adopt_lock() -> int | None:
    """The lock that the parent took for us before it started us."""
    inherited = os.environ.pop(LOCK_VARIABLE, "")
    return int(inherited) if inherited else None


def _adopt_ticket(slots: Path) -> Ticket | None:
    """The place in the queue that the parent took for us."""
    inherited = os.environ.pop(TICKET_VARIABLE, "")
    descriptor, _, name = inherited.partition(":")
    return Ticket(slots / "queue" / name, int(descriptor)) if name else None


def _queued(folder: RunFolder) -> str:
    """Wait for a slot, then run."""
    slots = folder.slots()
    if slots is None:
        return _run(folder)
    folder.update_state(status="queued")
    try:
        with hold_slot(*slots, cancel=folder.cancel.exists, ticket=_adopt_ticket(slots[0])):
            return _run(folder)
    except WorkbenchError:
        if not folder.cancel.exists():
            raise
        folder.update_state(status="cancelled", message="cancelled while queued")
        return "cancelled"


def _failed(folder: RunFolder, error: BaseException) -> str:
    """Write down what ended the run and what to do about it; the last checkpoint is as it was."""
    what, hint = explain(error)
    log.error("%s %s", what, hint, exc_info=None if isinstance(error, WorkbenchError) else error)
    status = "interrupted" if isinstance(error, KeyboardInterrupt | SystemExit) else "failed"
    try:
        folder.update_state(status=status, message=what, hint=hint)
    except OSError as fault:  # a full disk: the lock's end still says that the run is over
        log.error("the state could not be written: %s", fault)
    return status


def explain(error: BaseException) -> tuple[str, str]:
    """(what happened, what to change) for the faults that training usually ends with."""
    if isinstance(error, WorkbenchError):
        return str(error), error.hint
    text = f"{type(error).__name__}: {error}"
    memory = ("out of memory", "can't allocate memory", "not enough memory")
    if isinstance(error, MemoryError) or any(sign in text.lower() for sign in memory):
        hint = "Halve batch_s and double accumulate (same audio per step), or lower max_duration_s."
        return "out of memory", hint
    if is_full_disk(error):
        return FULL, "Free some space, then resume: the last checkpoint is whole."
    return text[:400], "See run.log; resume when fixed."


def _run(folder: RunFolder) -> str:
    """Prepare, train, finish."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    recipe = Recipe.from_yaml(folder.recipe)
    clock = files.Clock(folder.state())
    folder.update_state(status="preparing", steps=recipe.steps, message="", hint="")

    base = base_of(recipe)
    said = notices(recipe, base)
    folder.update_state(notices=said)
    for line in said:
        log.warning("%s", line)
    refuse_changes(folder, recipe)
    device = _device(recipe)

    model = models.load(recipe, base, device)
    folder.update_state(weights=models.counts(model), device=device)
    sources, validation = _utterances(folder, recipe, base)
    callback = _fit(folder, recipe, base, model, sources, validation, device, clock)
    if callback.outcome == "finished":
        from workbench.finetuning.callbacks import peak_mb

        folder.update_state(status="finishing")
        finish(folder, recipe, model, callback)
        folder.update_state(peak_memory_mb=round(peak_mb(), 1))
    message = {"cancelled": "cancelled", "interrupted": "stopped by the system"}.get(callback.outcome, "")
    folder.update_state(status=callback.outcome, message=message, time_left_s=None, **clock.read())
    return str(callback.outcome)


def _device(recipe: Recipe) -> str:
    import torch

    if recipe.device == "cuda" and not torch.cuda.is_available():
        raise WorkbenchError("no CUDA device here", where="recipe [device]", hint="Use auto or cpu.")
    return "cuda" if recipe.device != "cpu" and torch.cuda.is_available() else "cpu"


def _utterances(
    folder: RunFolder, recipe: Recipe, base: Base
) -> tuple[list[list[Utterance]], list[Utterance]]:
    unused: list[Problem] = []  # noted when the plan was drawn
    return read_training(recipe, unused), draw_validation(recipe, base.locales, unused)


def _fit(
    folder: RunFolder,
    recipe: Recipe,
    base: Base,
    model: Any,
    sources: list[list[Utterance]],
    validation: list[Utterance],
    device: str,
    clock: files.Clock,
) -> Any:
    from workbench.finetuning import data, plan, ranking
    from workbench.finetuning.callbacks import RunCallback
    from workbench.finetuning.validation import CancelledError, Validator

    resumed = folder.last if folder.last.exists() else None
    first_step = 0
    if resumed:
        first_step = int(torch_file.load(resumed, "the state of a run")["global_step"])
        log.info("resuming after step %d", first_step)
    if files.is_first_rank():
        for path in (folder.metrics, folder.samples):
            files.cut_after(path, first_step if resumed else -1)
        ranking.cut_after(folder, first_step)
    table = plan.read(folder.plan)
    validator = Validator(recipe, validation, base.prompts, folder.note_problem, folder.cancel.exists)
    callback = RunCallback(recipe, folder, table, validator, clock)
    trainer = _trainer(recipe, device, callback)
    batches = data.PlanBatches(
        table, sources, recipe, model.tokenizer.text_to_ids, base.prompts,
        first_step=first_step, rank=trainer.global_rank, on_problem=folder.note_problem,
        untagged=untagged(recipe, base), frame_s=base.checkpoint.info.frame_ms / 1000,
    )  # fmt: skip
    model.set_trainer(trainer)
    try:
        trainer.fit(model, train_dataloaders=data.loader(batches), ckpt_path=resumed)
    except CancelledError:  # while the base was validated: there is nothing to save, a resume begins anew
        callback.outcome = "cancelled"
    return callback


def _trainer(recipe: Recipe, device: str, callback: Any) -> Any:
    import lightning.pytorch as pl

    from workbench.finetuning.callbacks import AtomicCheckpointIO

    return pl.Trainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=recipe.devices,
        num_nodes=recipe.nodes,
        strategy="ddp" if recipe.ranks > 1 else "auto",
        precision="32-true" if recipe.precision == "32" else recipe.precision,
        max_steps=recipe.steps,
        max_epochs=-1,
        accumulate_grad_batches=recipe.accumulate,
        gradient_clip_val=recipe.clip_norm,
        callbacks=[callback],
        plugins=[AtomicCheckpointIO()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        limit_val_batches=0,
        num_sanity_val_steps=0,
        log_every_n_steps=NEVER,  # NeMo would decode a training batch each time, and count the tag as a word
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
