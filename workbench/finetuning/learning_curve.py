"""The learning curve: the same recipe on 10, 30 and 100 % of the target's data, and what more data may bring.

Error rates of one system fall about as a power of the hours it learns from (Hestness et al., "Deep Learning
Scaling is Predictable, Empirically", 2017, arXiv:1712.00409). Three points carry a line in logarithms and no
more: every figure beyond the last point is called an extrapolation, and comes with an interval.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.errors import WorkbenchError
from workbench.finetuning.recipe import Recipe
from workbench.ingest.audio import Roots

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

SHARES = (0.1, 0.3, 1.0)
DRAWS = 4000
Metric = Literal["wer", "cer"]


@dataclass(frozen=True)
class Projection:
    """Hours of the target's data until its rate is ``goal``; infinite where the curve does not fall."""

    goal: float
    hours: float
    low: float
    high: float
    longest: float
    metric: str

    @property
    def extrapolated(self) -> bool:
        return self.hours > self.longest

    def __str__(self) -> str:
        what = f"{self.goal:.0%} {self.metric.upper()}"
        if math.isinf(self.hours):
            return f"extrapolation: the curve does not fall; no number of hours leads to {what}"
        span = f"95 %: {_hours(self.low)} to {_hours(self.high)}"
        if not self.extrapolated:
            return f"about {_hours(self.hours)} to {what} ({span}), within what was measured"
        return (
            f"extrapolation beyond {_hours(self.longest)}: about {_hours(self.hours)} to {what} ({span}), "
            "if the line in logarithms goes on"
        )


@dataclass(frozen=True)
class Curve:
    """``table``: one row a share, and the base as share 0: share, hours, rate, low, high, utterances, run."""

    table: pd.DataFrame
    metric: Metric

    def project(self, goal: float, seed: int = 0) -> Projection:
        """Hours to a rate of ``goal`` (a fraction), by least squares in logarithms; the interval by drawing
        every point anew from its own.

        Raises:
            WorkbenchError: goal not in (0, 1], or fewer than two measured shares with errors.
        """
        import numpy as np

        if not 0 < goal <= 1:
            raise WorkbenchError(f"{goal} is no rate", hint="Give a fraction, such as 0.2 for 20 %.")
        points = self.table[(self.table["share"] > 0) & (self.table["rate"] > 0)]
        if len(points) < 2:
            raise WorkbenchError("a projection needs two shares with errors", hint="Measure more shares.")
        hours = np.log(points["hours"].to_numpy(float))
        rates = np.log(points["rate"].to_numpy(float))
        if points[["low", "high"]].isna().any(axis=None):
            raise WorkbenchError(
                "a projection needs intervals, and a share's rate has none",
                hint="Test on more utterances, of at least eight speakers.",
            )
        least = np.maximum(points["low"].to_numpy(float), 1e-4)
        error = (np.log(points["high"].to_numpy(float)) - np.log(least)) / (2 * 1.96)
        drawn = rates + np.random.default_rng(seed).standard_normal((DRAWS, len(points))) * error
        found = _reached(hours, drawn, math.log(goal))
        middle = float(_reached(hours, rates[None], math.log(goal))[0])
        # Whole order statistics: an average with infinity would be nothing.
        low, high = (float(np.sort(found)[round(q * (DRAWS - 1))]) for q in (0.025, 0.975))
        return Projection(goal, middle, low, high, float(points["hours"].max()), self.metric)

    def _repr_html_(self) -> str:
        shown = self.table.round({"hours": 3, "rate": 4, "low": 4, "high": 4})
        return f"<p>{html.escape(self.metric.upper())} by hours of the target</p>{shown.to_html(index=False)}"


def _reached(hours: np.ndarray[Any, Any], rates: np.ndarray[Any, Any], goal: float) -> np.ndarray[Any, Any]:
    """Hours where each line through (log hours, log rate) meets ``goal``; infinite if it does not fall."""
    import numpy as np

    centered = hours - hours.mean()
    slope = rates @ centered / (centered @ centered)
    start = rates.mean(axis=1) - slope * hours.mean()
    falls = slope < -1e-9
    exponent = np.divide(goal - start, slope, out=np.full(len(slope), np.inf), where=falls)
    found: np.ndarray[Any, Any] = np.exp(np.minimum(exponent, 700.0))
    return np.where(exponent > 700.0, np.inf, found)


def learning_curve(
    recipe: Recipe,
    folder: Path,
    rows: Sequence[Mapping[str, Any]],
    audio_root: Roots,
    *,
    shares: Sequence[float] = SHARES,
    metric: Metric = "wer",
    slots: Path | None = None,
    slot_count: int = 1,
    cancel: Callable[[], bool] = lambda: False,
) -> Curve:
    """Run ``recipe`` on each share of its target sources (nested, drawn from its seed) and measure each.

    Steps stay as they are: the same work on less data. A stopped call goes on where it was.

    Args:
        folder: where the runs and predictions lie.
        rows: utterance rows of the target's locales to measure on, heard by none of the runs.
        audio_root: folder that their ``audio_filepath`` is relative to.

    Raises:
        WorkbenchError: a run did not finish, or cancelled.
    """
    import pandas as pd

    from workbench.finetuning import plan
    from workbench.recognizer.checkpoint import Checkpoint

    points = [_point(0.0, 0.0, Checkpoint.open(recipe.base), rows, audio_root, folder, metric)]
    for share in sorted(shares):
        if cancel():
            raise WorkbenchError("cancelled between two runs", hint="Call again: finished runs are kept.")
        own = of_share(recipe, share)
        sources = plan.read_training(own, [])
        seconds = [
            row.duration_s
            for source, used in zip(own.sources, sources, strict=True)
            if source.role == "target"
            for row in used
        ]
        run = _finished(own, folder / own.name, slots, slot_count)
        checkpoint = Checkpoint.open(run.checkpoint_path)
        points.append(_point(share, sum(seconds) / 3600, checkpoint, rows, audio_root, folder, metric))
    return Curve(pd.DataFrame(points), metric)


def of_share(recipe: Recipe, share: float) -> Recipe:
    """The recipe with a share of its target sources' utterances. Raises WorkbenchError: not in (0, 1]."""
    if not 0 < share <= 1:
        raise WorkbenchError(f"{share} is no share", hint="Use more than 0, at most 1.")
    sources = tuple(replace(s, share=share) if s.role == "target" else s for s in recipe.sources)
    return recipe.changed(name=f"{recipe.name}-{share:.0%}".replace("%", ""), sources=sources)


def _finished(recipe: Recipe, place: Path, slots: Path | None, slot_count: int) -> Any:
    from workbench.finetuning.run import Run, start

    if (place / "state.json").is_file():
        run = Run.attach(place)
        run = run if run.alive or run.state["status"] == "finished" else run.resume()
    else:
        run = start(recipe, place, slots=slots, slot_count=slot_count)
    ended = run.wait()
    if ended["status"] != "finished":
        raise WorkbenchError(f"the run {ended['status']}", where=str(place), hint=run.log_tail(5))
    return run


def _point(
    share: float,
    hours: float,
    checkpoint: Any,
    rows: Sequence[Mapping[str, Any]],
    audio_root: Roots,
    folder: Path,
    metric: Metric,
) -> dict[str, Any]:
    import pandas as pd

    from workbench.evaluation import score_predictions
    from workbench.recognizer.transcribe import transcribe

    folder.mkdir(parents=True, exist_ok=True)
    out = transcribe(checkpoint, rows, audio_root, folder / f"{share:.0%}-{checkpoint.sha256[:8]}.parquet")
    found = score_predictions(pd.DataFrame(rows), {"run": out}, by=()).overall("run", metric)
    kept = {name: found[name] for name in ("rate", "low", "high", "utterances")}
    return {"share": share, "hours": hours, **kept}


def _hours(value: float) -> str:
    if math.isinf(value):
        return "no end"
    return f"{value:.1f} h" if value >= 1 else f"{60 * value:.0f} min"
