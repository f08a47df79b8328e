"""A run as its starter sees it: started, watched, cancelled, resumed, from any process at any time.

The training itself is a process group of its own (``worker``); closing a notebook stops nothing.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import pandas as pd

from workbench.errors import Problem, WorkbenchError
from workbench.files import drafted_folder, write_atomic
from workbench.finetuning import folder as files
from workbench.finetuning.checks import problems
from workbench.finetuning.folder import ENDED, RunFolder
from workbench.finetuning.recipe import Recipe
from workbench.finetuning.run_paths import portable
from workbench.glance import Glance, as_html, as_text, counted
from workbench.locks import is_held
from workbench.machine import child_environment
from workbench.shown import Facts, show_rows
from workbench.signatures import public
from workbench.views import Widget, view
from workbench.workspace.slots import queue_up

log = logging.getLogger("workbench.finetuning.run")
_SHOWN = {
    "": ("kind", "step", "locale", "loss", "wer", "cer"),
    "train": ("step", "loss", "learning_rate", "gradient_norm", "step_s", "memory_mb"),
    "validation": ("step", "locale", "prompt_mode", "streaming", "wer", "cer"),
}
"""Columns of each kind of record that are seen first."""
_POLL_S = 0.2


@public
class Run:
    """A handle on a run's folder; make one with :func:`start` or :meth:`attach`."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = RunFolder(folder)
        self.name = self.folder.path.name
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def attach(cls, folder: str | Path) -> Self:
        """The run in a folder, going or ended. Raises WorkbenchError if there is none."""
        run = cls(folder)
        run.folder.state()
        return run

    def _glance(self) -> Glance:
        state = self.state
        best = state.get("best") or {}
        score = f"; best {best['score']:.1%} at step {best['step']}" if best.get("score") is not None else ""
        base = state.get("base_score")
        against = f", the base {base:.1%}" if score and base is not None else ""
        done = f"step {state.get('step', 0)} of {state.get('steps', '?')}"
        rows = [("message", str(state["message"]))] if state.get("message") else []
        rows += [("hint", str(state["hint"]))] if state.get("hint") else []
        rows += [
            (f"consumed {tag}", f"{hours:.2f} h")
            for tag, hours in (state.get("consumed_hours") or {}).items()
        ]
        said = f"Run {self.name}: {state['status']}, {done}{score}{against}."
        return Glance(said, ("about", "figure"), rows)

    __repr__, _repr_html_ = as_text, as_html

    @property
    def alive(self) -> bool:
        """Whether its process lives, by the lock it holds."""
        if self._process is not None:
            self._process.poll()  # reaps our own child
        return is_held(self.folder.lock)

    @property
    def state(self) -> dict[str, Any]:
        """Status, step, message and figures. ``status`` is queued, preparing, running, validating, finishing,
        finished, cancelled, failed or interrupted (its process is gone; resume it)."""
        # The order matters: a run may end between the two looks, but not begin again.
        alive = self.alive
        state = self.folder.state()
        if not alive and state["status"] not in ENDED:
            state["status"] = "interrupted"
            state["message"] = "the process ended unexpectedly (killed, or out of memory)"
            state["hint"] = "Resume; if it ends there again, halve batch_s and double accumulate."
        return Facts(state, f"{self.name}: {state['status']}.")

    @property
    def created_at(self) -> str:
        """When it was started, UTC, as digits that can stand in a file name."""
        return "".join(c for c in str(self.state["created_at"]) if c.isdigit())

    @property
    def recipe(self) -> Recipe:
        """What it trains with, as it was started."""
        return Recipe.from_yaml(self.folder.recipe)

    @property
    def checkpoint_path(self) -> Path:
        """The ``.nemo`` file the run chose. Raises WorkbenchError before it has finished."""
        name = self.folder.state().get("checkpoint")
        if not name or not (self.folder.checkpoints / name).is_file():
            raise WorkbenchError("no checkpoint yet", where=self.name, hint="Wait for the run to finish.")
        return self.folder.checkpoints / str(name)

    def monitor(self, *, poll_s: float = 1.0) -> Widget:
        """Live curves, throughput, samples and log of the run, with cancel and resume.

        Args:
            poll_s: seconds between two looks into the run's folder.
        """
        made: Widget = view("monitor").Monitor(self, poll_s=poll_s)
        return made

    def metrics(self, kind: str | None = None) -> pd.DataFrame:
        """Records as a table: ``train`` (one per step), ``validation`` (per locale, prompt mode, streaming),
        ``average``; all of them without a kind."""
        found = [r for r in files.records(self.folder.metrics) if kind is None or r["kind"] == kind]
        said = f"{counted(len(found), 'record')} of {self.name}{f', {kind}' if kind else ''}."
        return show_rows(pd.DataFrame(found), said, _SHOWN.get(kind or "", _SHOWN[""]))

    def samples(self) -> pd.DataFrame:
        """Reference and hypothesis of the same few utterances at each validation."""
        found = pd.DataFrame(list(files.records(self.folder.samples)))
        many = found["step"].nunique() if len(found) else 0
        said = f"{counted(len(found), 'transcript')} of {counted(many, 'validation')} of {self.name}."
        return show_rows(found, said, ("step", "locale", "prompt_mode", "reference", "hypothesis"))

    def problems(self) -> list[dict[str, Any]]:
        """Rows that could not be used."""
        return list(files.records(self.folder.problems))

    def consumed_hours(self, steps: int | None = None) -> pd.DataFrame:
        """Hours consumed per source and locale, up to now or after ``steps``; see ``plan.consumed_hours``."""
        from workbench.finetuning import plan

        upto = int(self.folder.state().get("step", 0)) if steps is None else steps
        found = plan.consumed_hours(plan.read(self.folder.plan), upto)
        said = f"{found['hours'].sum():.2f} h consumed in {counted(upto, 'step')} of {self.name}."
        return show_rows(found, said, ("target_lang", "hours", "uses", "utterances", "passes", "source"))

    def log_tail(self, lines: int = 30) -> str:
        """The last lines of ``run.log``."""
        if not self.folder.log.exists():
            return ""
        with self.folder.log.open("rb") as stream:
            stream.seek(max(0, self.folder.log.stat().st_size - 400 * lines))
            text = stream.read().decode("utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def cancel(self) -> None:
        """Ask the run to stop after its current step; it saves a checkpoint first and can be resumed."""
        self.folder.cancel.touch(mode=0o600)

    def resume(self) -> Run:
        """Go on from the last checkpoint. Raises WorkbenchError if it is going or has finished."""
        if self.alive:
            raise WorkbenchError("the run is still running", where=self.name, hint="Cancel it first.")
        if self.folder.state()["status"] == "finished":
            raise WorkbenchError(
                "the run has finished", where=self.name, hint="Continue from its checkpoint."
            )
        self._launch()
        return self

    def wait(self, timeout_s: float | None = None) -> dict[str, Any]:
        """Wait until the run has ended; returns its state. Raises WorkbenchError after ``timeout_s``."""
        began = time.monotonic()
        while self.alive:
            if timeout_s is not None and time.monotonic() - began > timeout_s:
                raise WorkbenchError(f"the run still goes after {timeout_s:g} s", where=self.name)
            time.sleep(_POLL_S)
        return self.state

    def _launch(self) -> None:
        """Take the lock, hand it to a new process group, let go of it here."""
        lock, ticket = files.take_lock(self.folder.lock), None
        try:
            if (slots := self.folder.slots()) is not None:
                ticket = queue_up(slots[0])  # now, and not when its process has come up
            self.folder.cancel.unlink(missing_ok=True)
            attempts = int(self.folder.state().get("attempts", 0)) + 1
            self.folder.update_state(status="queued", attempts=attempts, message="", hint="")
            environment = child_environment()
            environment.update(WORKBENCH_RUN_LOCK=str(lock), PYTHONUNBUFFERED="1", HF_HUB_OFFLINE="1")
            if ticket is not None:
                environment["WORKBENCH_RUN_TICKET"] = f"{ticket.descriptor}:{ticket.path.name}"
            roots = [str(Path(__file__).parents[2]), environment.get("PYTHONPATH", "")]
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, roots))
            with self.folder.log.open("ab") as log_file:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "workbench.finetuning.worker", str(self.folder.path)],
                    stdin=subprocess.DEVNULL,
                    stdout=log_file,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    pass_fds=(lock,) if ticket is None else (lock, ticket.descriptor),
                    start_new_session=True,
                )
        finally:
            os.close(lock)
            if ticket is not None:
                os.close(ticket.descriptor)


def start(
    recipe: Recipe,
    folder: str | Path,
    *,
    slots: str | Path | None = None,
    slot_count: int = 1,
    check: bool = True,
    drawn: pd.DataFrame | None = None,
) -> Run:
    """Check the recipe, draw the batch plan and start the training process.

    Args:
        recipe: what to train; relative paths are taken from the current folder.
        folder: where the run shall live; must not hold one yet.
        slots: folder of the workspace's slots; the run waits for a free one. None: it starts at once.
        slot_count: how many slots there are.
        check: False leaves out ``checks.problems``, where it was just done.
        drawn: the batch plan (see ``plan.draw``); drawn from the recipe by default.

    Raises:
        WorkbenchError: the recipe is faulty, or the folder holds a run.
    """
    # Relative, so that a workspace that was moved or copied is a workspace of its own.
    place = os.path.relpath(Path(slots).absolute(), Path(folder).absolute()) if slots else ""
    job = {"slots_folder": place, "slots": slot_count} if slots else {}
    run = prepare(recipe, folder, check=check, drawn=drawn, texts={"job.json": files.as_json(job)})
    try:
        run._launch()
    except BaseException:
        if not run.alive:
            shutil.rmtree(run.folder.path, ignore_errors=True)
        raise
    return run


def prepare(
    recipe: Recipe,
    folder: str | Path,
    *,
    check: bool = True,
    drawn: pd.DataFrame | None = None,
    texts: Mapping[str, str] | None = None,
    state: Mapping[str, str] | None = None,
) -> Run:
    """Check the recipe and make the run's folder with its batch plan, whole or not at all; start none.

    Args:
        check, drawn: as :func:`start` takes them.
        texts: further files of the folder, name → content.
        state: what its state says, in the place of ``queued``.

    Raises:
        WorkbenchError: the recipe is faulty, or the folder holds a run or something else.
    """
    run = Run(folder)
    target = run.folder.path
    if run.folder.state_path.exists():
        raise WorkbenchError(
            "the folder holds a run", where=str(folder), hint="Attach to it, or choose another."
        )
    if target.is_dir() and next(target.iterdir(), None) is not None:
        raise WorkbenchError("the folder is not empty", where=str(folder), hint="Choose another.")
    recipe = absolute(recipe)
    faults = problems(recipe) if check else []
    if faults:
        more = f" ({len(faults) - 1} more: wb.preflight(recipe))" if len(faults) > 1 else ""
        raise WorkbenchError(faults[0] + more)
    with drafted_folder(target) as draft:
        _fill(RunFolder(draft), recipe, drawn, texts or {}, state or {})
    return run


def _fill(
    folder: RunFolder,
    recipe: Recipe,
    drawn: pd.DataFrame | None,
    texts: Mapping[str, str],
    state: Mapping[str, str],
) -> None:
    from workbench.finetuning import plan, provenance

    folder.checkpoints.mkdir(mode=0o700)
    recipe.with_paths(lambda path: portable(path, folder.path)).to_yaml(folder.recipe)
    problems: list[Problem] = []
    sources = plan.read_training(recipe, problems)
    files.append(folder.problems, [problem.to_dict() for problem in problems])
    plan.write(plan.draw(recipe, sources) if drawn is None else drawn, folder.plan)
    provenance.write(folder, recipe)
    for name, text in texts.items():
        write_atomic(folder.path / name, text)
    hours = plan.consumed_hours(plan.read(folder.plan))
    planned = hours.groupby("target_lang")["hours"].sum().round(6).to_dict()
    begun = {
        "status": "queued", "step": 0, "steps": recipe.steps, "created_at": files.now(),
        "run_id": secrets.token_hex(8), "planned_hours": planned, "effective_peak": recipe.effective_peak(),
        "left_out": len(problems),
    }  # fmt: skip
    folder.update_state(**{**begun, **state})


def absolute(recipe: Recipe) -> Recipe:
    """The same recipe with absolute paths, so that it means the same from any folder."""

    def full(path: str) -> str:
        return str(Path(path).expanduser().absolute())

    there = Path(recipe.base).expanduser().exists()  # else a hub name
    return recipe.with_paths(full).changed(base=full(recipe.base) if there else recipe.base)
