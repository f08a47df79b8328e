"""The learning curve: one recipe on 10, 30 and 100 % of the target's data, each measured on one suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.errors import WorkbenchError
from workbench.finetuning import plan
from workbench.finetuning.projection import Curve
from workbench.finetuning.recipe import Recipe
from workbench.finetuning.run import Run, start
from workbench.recognizer.checkpoint import Checkpoint
from workbench.suites.comparison import MIXED, are_mixed
from workbench.suites.points import Metric
from workbench.suites.run import run_suite
from workbench.suites.store import Suite

if TYPE_CHECKING:
    from workbench.suites.run import SuiteRun

SHARES = (0.1, 0.3, 1.0)


def learning_curve(
    recipe: Recipe,
    folder: Path,
    suite: Suite,
    *,
    shares: Sequence[float] = SHARES,
    metric: Metric = "headline",
    locales: Sequence[str] | None = None,
    slots: Path | None = None,
    slot_count: int = 1,
    engine: str = "local",
    address: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] = lambda: False,
) -> Curve:
    """Run ``recipe`` on each share of its target sources (nested, drawn from its seed) and measure each.

    Steps stay as they are: the same work on less data. Every point is read at the suite's first operating
    point, so they are alike. A stopped call goes on where it was.

    Args:
        folder: where the runs lie.
        suite: what is measured on; trained on by none of the runs.
        metric: ``headline`` counts characters where the locales are scored so (ja, ko, th, zh), else words.
        locales: which of its locales; default: those of the target sources.
        engine, address, progress: of reading the suite, as in ``run_suite``.

    Raises:
        WorkbenchError: a run did not finish, the suite has no clips of the locales, or cancelled.
    """
    checkpoints = {"base": Checkpoint.open(recipe.base)}
    measured: list[tuple[str, float, float]] = [("base", 0.0, 0.0)]
    targets = {tag for source in recipe.sources if source.role == "target" for tag in source.locales}
    for share in sorted(shares):
        if cancel():
            raise WorkbenchError("cancelled between two runs", hint="Call again: finished runs are kept.")
        own = of_share(recipe, share)
        sources = plan.read_training(own, [])
        used = [
            row
            for source, rows in zip(own.sources, sources, strict=True)
            if source.role == "target"
            for row in rows
        ]
        targets |= {row.locale for row in used} if not targets else set()
        run = _finished(own, folder / own.name, slots, slot_count)
        name = f"share-{round(100 * share)}"
        checkpoints[name] = Checkpoint.open(run.checkpoint_path)
        measured.append((name, share, sum(row.duration_s for row in used) / 3600))
    read = run_suite(
        suite, checkpoints, points=[suite.latest.points[0].name], engine=engine, address=address,
        progress=progress, cancel=cancel,
    )  # fmt: skip
    wanted = sorted(locales or targets)
    points = [
        {"share": share, "hours": hours, **_point(read, name, wanted, metric)}
        for name, share, hours in measured
    ]
    (counted,) = {str(point.pop("metric")) for point in points}
    return Curve(pd.DataFrame(points), counted)


def of_share(recipe: Recipe, share: float) -> Recipe:
    """The recipe with a share of its target sources' utterances. Raises WorkbenchError: not in (0, 1]."""
    if not 0 < share <= 1:
        raise WorkbenchError(f"{share} is no share", hint="Use more than 0, at most 1.")
    sources = tuple(replace(s, share=share) if s.role == "target" else s for s in recipe.sources)
    return recipe.changed(name=f"{recipe.name}-{share:.0%}".replace("%", ""), sources=sources)


def _finished(recipe: Recipe, place: Path, slots: Path | None, slot_count: int) -> Any:
    if (place / "state.json").is_file():
        run = Run.attach(place)
        run = run if run.alive or run.state["status"] == "finished" else run.resume()
    else:
        run = start(recipe, place, slots=slots, slot_count=slot_count)
    ended = run.wait()
    if ended["status"] != "finished":
        raise WorkbenchError(f"the run {ended['status']}", where=str(place), hint=run.log_tail(5))
    return run


def _point(run: SuiteRun, name: str, locales: Sequence[str], metric: Metric) -> dict[str, Any]:
    """The error rate of one checkpoint over the target's clips of a suite, and its metric.

    Raises:
        WorkbenchError: there are none, coverage does not suffice, or words and characters would be added.
    """
    if metric == "headline" and are_mixed(locales):
        raise WorkbenchError(MIXED, where=", ".join(locales), hint="Name a metric, or locales of one kind.")
    lacking = run.shortfalls(name, point=run.points[0])
    if why := [f"{tag}: {what}" for tag in ("all", *locales) for what in lacking.get(tag, ())]:
        raise WorkbenchError("; ".join(why), where=f"suite {run.suite.name}, {name}")
    listed = ", ".join("'" + tag.replace("'", "''") + "'" for tag in locales)
    found = run.evaluation(run.points[0]).rates(name, (), metric, where=f"target_lang IN ({listed})")
    if not len(found):
        raise WorkbenchError(f"no clips of {', '.join(locales)}", where=f"suite {run.suite.name}")
    row = found.to_dict("records")[0]
    return {key: row[key] for key in ("rate", "low", "high", "utterances", "metric")}
