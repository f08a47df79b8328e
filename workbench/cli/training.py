"""Verbs of fine-tuning: recipes, runs, launch scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

import workbench as wb
from workbench.cli.verbs import NOT_ENOUGH, NOT_PASSED, Told, numbers, pairs, verb, workspace
from workbench.plain_values import records

ROOM = "Fine-tuning"
group = typer.Typer()
RecipeFile = Annotated[Path, typer.Argument(help="A recipe (YAML).")]
RunName = Annotated[str, typer.Argument(help="Name of a run.")]
NewName = Annotated[str | None, typer.Option(help="Of the run; default: the recipe's.")]
Replace = Annotated[bool, typer.Option("--replace", help="An ended run of that name gets another one.")]


@verb(group, "preset", room=ROOM)
def preset(
    name: Annotated[str, typer.Argument(help="Such as quick_cpu, cpu, gpu_under_20h.")],
    base: Annotated[str, typer.Argument(help="A .nemo checkpoint.")],
    data: Annotated[
        list[str],
        typer.Argument(help="A manifest (.jsonl), corpora, or suite:NAME."),
    ],
    locale: Annotated[str, typer.Option(help="The tag to adapt to.")],
    out: Annotated[Path, typer.Option(help="The recipe to write.")] = Path("recipe.yaml"),
    replay: Annotated[
        list[str] | None, typer.Option(help="A locale to replay, may be repeated; default: all others.")
    ] = None,
    replay_weight: Annotated[float, typer.Option(help="Hours of replay per hour of the target.")] = 1.0,
) -> Told:
    """Write a recipe to start from: sources, replay and validation from a manifest, corpora or a suite."""
    made = wb.preset(
        name, _base(base), _data(data), locale, replay=replay or True, replay_weight=replay_weight
    )
    made.to_yaml(out)
    return Told.of({"recipe": out, **made.to_dict()}, f"{out}: {made.name}, {made.steps} steps")


def _base(base: str) -> str | wb.Checkpoint:
    return base if base.endswith(".nemo") else workspace().checkpoint(base)


def _data(given: list[str]) -> str | wb.Suite | list[wb.Corpus]:
    """A manifest, ``suite:NAME``, or corpora of the workspace."""
    if len(given) == 1 and given[0].startswith("suite:"):
        return workspace().suite(given[0].removeprefix("suite:"))
    if len(given) == 1 and given[0].endswith((".jsonl", ".json")):
        return given[0]
    return [workspace().corpus(name) for name in given]


@verb(group, "preflight", room=ROOM)
def preflight(
    recipe: RecipeFile,
    measure_steps: Annotated[int, typer.Option(help="Train so many steps for time and memory.")] = 0,
) -> Told:
    """Check a recipe and foretell its run. Exit code 1: it may not start."""
    found = wb.preflight(wb.Recipe.from_yaml(recipe), measure_steps=measure_steps)
    data = {"verdict": found.verdict, "ok": found.ok, "faults": found.faults, "risks": found.risks,
            "warnings": found.warnings, "summary": found.summary()}  # fmt: skip
    return Told.of(data, *found.summary(), code=0 if found.ok else NOT_PASSED)


@verb(group, "finetune", room=ROOM)
def finetune(
    recipe: RecipeFile,
    name: NewName = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return when the run has ended.")] = False,
    replace: Replace = False,
) -> Told:
    """Start a fine-tuning run from a recipe. With --wait, exit code 1: it did not finish."""
    run = workspace().finetune(recipe, name, replace=replace)
    return (
        _ended(run.wait())
        if wait
        else Told.of({"run": run.name, "folder": run.folder.path}, str(run.folder.path))
    )


@verb(group, "learning-curve", room=ROOM)
def learning_curve(
    recipe: RecipeFile,
    suite: Annotated[str, typer.Argument(help="The test suite that every share is measured on.")],
    points: Annotated[float, typer.Option(help="How many points the errors shall fall.")] = 5.0,
    shares: Annotated[str, typer.Option(help="Of the target's data, with commas.")] = "0.1,0.3,1",
    metric: Annotated[
        Literal["headline", "wer", "cer"],
        typer.Option(help="Of words or characters; headline: as the locales are scored."),
    ] = "headline",
) -> Told:
    """How many more hours of training lower the errors? Runs the recipe on shares of its data. Exit code 3:
    the points do not say."""
    curve = workspace().learning_curve(recipe, suite, shares=numbers(shares, float) or (), metric=metric)
    answer = curve.more_hours(points)
    data = {"answer": str(answer), "points": records(curve.table), "hours": answer.hours, "low": answer.low,
            "high": answer.high, "more": answer.more, "unknown": answer.unknown}  # fmt: skip
    return Told.of(
        data,
        f"{str(answer)[0].upper()}{str(answer)[1:]}.",
        str(curve),
        code=NOT_ENOUGH if answer.unknown else 0,
    )


@verb(group, "variants", room=ROOM)
def variants(
    suite: Annotated[str, typer.Argument(help="The test suite that they are measured on.")],
    shared: Annotated[str, typer.Argument(help="The checkpoint or run trained on all the locales.")],
    adapter: Annotated[list[str] | None, typer.Option(help="LOCALE=RUN; may be repeated.")] = None,
    own: Annotated[list[str] | None, typer.Option(help="LOCALE=CHECKPOINT; may be repeated.")] = None,
    base: Annotated[str | None, typer.Option(help="Shown beside them; default: the adapters' base.")] = None,
) -> Told:
    """One shared checkpoint, an adapter a locale, or a checkpoint a locale? Exit code 3: not enough data."""
    found = workspace().variants(suite, shared, adapters=pairs(adapter), own=pairs(own), base=base)
    data = {"recommended": found.recommended, "reasons": found.reasons, "rates": records(found.rates),
            "differences": records(found.differences), "costs": records(found.costs)}  # fmt: skip
    return Told.of(data, str(found), *found.reasons, code=0 if found.recommended else NOT_ENOUGH)


@verb(group, "launch", room=ROOM)
def launch(
    recipe: RecipeFile,
    name: NewName = None,
    slurm: Annotated[list[str] | None, typer.Option(help="option=value of sbatch; may be repeated.")] = None,
    kubernetes: Annotated[
        list[str] | None, typer.Option(help="image=…, claim=…, mount=…: a manifest too; may be repeated.")
    ] = None,
    setup: Annotated[
        list[str] | None, typer.Option(help="Shell line before the start; may be repeated.")
    ] = None,
    replace: Replace = False,
) -> Told:
    """Make a run's folder with scripts for Slurm, torchrun and Kubernetes; nothing is started."""
    run = workspace().prepare_launch(
        recipe, name, slurm=pairs(slurm), kubernetes=pairs(kubernetes) if kubernetes else None,
        setup=setup or (), replace=replace,
    )  # fmt: skip
    scripts = sorted(path.name for path in run.folder.path.glob("launch.*"))
    data = {"run": run.name, "folder": run.folder.path, "scripts": scripts}
    return Told.of(data, str(run.folder.path), *scripts)


@verb(group, "runs", room=ROOM)
def runs() -> Told:
    """The runs of the workspace with their states."""
    ws = workspace()
    found = [ws.run(name) for name in ws.run_names()]
    return Told.of(
        [{"run": run.name, **run.state} for run in found], *(map(repr, found) if found else ["no runs"])
    )


@verb(group, "log", room=ROOM)
def log(run: RunName, lines: Annotated[int, typer.Option(help="How many, from the end.")] = 30) -> Told:
    """The state of a run and the end of its log."""
    found = workspace().run(run)
    text = found.log_tail(lines)
    return Told.of({"state": found.state, "log": text.splitlines()}, repr(found), text)


@verb(group, "cancel", room=ROOM)
def cancel(
    run: RunName, wait: Annotated[bool, typer.Option("--wait", help="Until it has stopped.")] = False
) -> Told:
    """Ask a run to stop after its step; it saves a checkpoint first and can be resumed."""
    found = workspace().run(run)
    found.cancel()
    state = found.wait() if wait else found.state
    return Told.of(state, f"{run}: {state['status'] if wait else 'asked to stop'}")


@verb(group, "resume", room=ROOM)
def resume(
    run: RunName, wait: Annotated[bool, typer.Option("--wait", help="Until it has ended.")] = False
) -> Told:
    """Go on from the last checkpoint of a run."""
    found = workspace().run(run).resume()
    return _ended(found.wait()) if wait else Told.of({"run": run}, repr(found))


def _ended(state: dict[str, object]) -> Told:
    finished = state.get("status") == "finished"
    said = f"{state.get('status')}: {state.get('message') or 'no message'}"
    return Told.of(state, said, code=0 if finished else NOT_PASSED)
