"""The baseline of a release: what its first whole weeks in the field were like, as sums without any text."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.errors import WorkbenchError
from workbench.field.charts import FEWEST_WEEKS, QUANTITIES, SMALLEST, parts, residual, together
from workbench.field.weekly import latency_limits, weekly
from workbench.glance import counted
from workbench.plain_values import plain
from workbench.signatures import public
from workbench.workspace import json_store

if TYPE_CHECKING:
    from workbench.field.log import FieldLog

SCHEMA_VERSION = 2


@public
@dataclass
class Baseline:
    """What later weeks are held against.

    Attributes:
        weeks: Mondays (ISO) of the weeks it was taken from; none where it is a suite's.
        slow_limits: locale → 95th percentile of its latency in ms.
        levels: quantity → locale → (n, value, variance of one call) over all those weeks.
        dispersion: quantity → (how many times more the weeks vary than by chance, degrees of freedom).
        suite, prompt_mode: the suite, version and operating point that it was taken from, and its prompt;
            None: weeks of a log.
    """

    release: str | None
    weeks: list[str]
    slow_limits: dict[str, float]
    levels: dict[str, dict[str, tuple[float, float, float]]] = field(default_factory=dict)
    dispersion: dict[str, tuple[float, float]] = field(default_factory=dict)
    suite: str | None = None
    prompt_mode: str | None = None

    @classmethod
    def of(cls, log: FieldLog, weeks: int = 6, release: str | None = None) -> Baseline:
        """From the first ``weeks`` whole weeks of a log.

        Raises:
            WorkbenchError: fewer than four whole weeks, asked for or there.
        """
        if isinstance(weeks, bool) or not isinstance(weeks, int) or weeks < FEWEST_WEEKS:
            raise WorkbenchError(
                f"a baseline of {str(weeks)[:40]} weeks",
                where="field log",
                hint=f"Ask for {FEWEST_WEEKS} or more, to know how much weeks vary.",
            )
        table = weekly(log.rows)
        whole = sorted(set(table[table["whole"]]["week"])) if len(table) else []
        if len(whole) < FEWEST_WEEKS:
            raise WorkbenchError(
                f"{counted(len(whole), 'whole week')} for a baseline",
                where="field log",
                hint=f"At least {FEWEST_WEEKS} are needed to know how much weeks vary; wait, or add logs.",
            )
        chosen = whole[:weeks]
        first = pd.Timestamp(chosen[0], tz="UTC")
        week = (log.rows["time"] - first).dt.days // 7
        numbers = [(monday - chosen[0]).days // 7 for monday in chosen]
        rows = log.rows[week.isin(numbers).to_numpy()]
        slow = latency_limits(rows)
        made = cls(release, [week.isoformat() for week in chosen], slow)
        made.fit(weekly(rows, slow), len(chosen))
        return made

    @property
    def origin(self) -> str:
        """Where it comes from, in words."""
        if self.suite is not None:
            return f"clips of suite {self.suite}, not calls: no volume, no latency"
        return f"{len(self.weeks)} weeks from {self.weeks[0]}"

    def fit(self, table: pd.DataFrame, weeks: int) -> None:
        """Take levels and dispersion from weekly sums (see :func:`workbench.field.weekly.weekly`)."""
        for quantity in QUANTITIES:
            levels: dict[str, tuple[float, float, float]] = {}
            squares, freedom = list[float](), 0
            for locale, part in table.groupby("locale", sort=True):
                held = parts(quantity, part)
                if len(part) < weeks and quantity.kind == "count":
                    continue  # weeks without a call: a locale that comes and goes has no usual volume
                level = together(quantity, held)
                if quantity.kind != "count" and level[0] < SMALLEST:
                    continue
                levels[str(locale)] = level
                used = np.flatnonzero((held["n"] >= SMALLEST) & np.isfinite(held["value"]))
                if len(used) < 2:
                    continue
                for i in used:
                    others = {name: np.delete(values[used], used == i) for name, values in held.items()}
                    base = tuple(np.array([v]) for v in together(quantity, others))
                    n, value, variance = (held[name][[i]] for name in ("n", "value", "variance"))
                    z = residual(quantity.kind, n, value, variance, base)  # type: ignore[arg-type]
                    squares.append(float(z[0]) ** 2)
                freedom += len(used) - 1
            self.levels[quantity.name] = levels
            if freedom:
                self.dispersion[quantity.name] = (max(1.0, float(np.mean(squares))), float(freedom))

    def to_dict(self) -> dict[str, Any]:
        """Every figure as JSON can hold it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "release": self.release,
            "weeks": self.weeks,
            "slow_limits": self.slow_limits,
            "levels": self.levels,
            "dispersion": self.dispersion,
            "suite": self.suite,
            "prompt_mode": self.prompt_mode,
        }

    def save(self, path: Path) -> Path:
        """Write as JSON, to watch later logs of the same release with it."""
        # A variance that no chart uses is not a number; JSON has none such.
        return json_store.write(path, plain(self.to_dict()))

    @classmethod
    def load(cls, path: Path) -> Baseline:
        """Read what :meth:`save` wrote.

        Raises:
            WorkbenchError: not such a file, or of a newer schema.
        """
        with json_store.reading(path, "a baseline", SCHEMA_VERSION) as held:
            held["levels"] = {
                quantity: {locale: _level(level) for locale, level in levels.items()}
                for quantity, levels in held["levels"].items()
            }
            held["dispersion"] = {k: (float(v[0]), float(v[1])) for k, v in held["dispersion"].items()}
            return cls(**held)


def _level(held: list[float | None]) -> tuple[float, float, float]:
    n, value, variance = (float("nan") if v is None else float(v) for v in held)
    return n, value, variance
