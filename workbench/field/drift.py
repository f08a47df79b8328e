"""Weeks held against the baseline: the table of every chart point, and the alarms among them."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from workbench.field.charts import QUANTITIES, SMALLEST, Quantity, limits, parts, residual, smoothed

if TYPE_CHECKING:
    from workbench.field.baseline import Baseline

COLUMNS = (
    "locale", "week", "quantity", "n", "value", "usual", "low", "high", "z", "ewma", "p_value", "rule",
    "judged", "alarm",
)  # fmt: skip


def points(table: pd.DataFrame, baseline: Baseline, false_alarms_per_week: float = 0.01) -> pd.DataFrame:
    """Every chart point, baseline weeks included (those are not judged).

    Args:
        table: ``weekly(rows, baseline.slow_limits)``.
        false_alarms_per_week: chance that a week without any change raises an alarm anywhere.

    Returns:
        A row per quantity, locale and week: ``n`` calls, ``value``, ``usual`` (the baseline's), ``low`` and
        ``high`` (limits of a single week), ``z`` (standardized), ``ewma`` (its exponentially weighted mean
        over its standard deviation), ``p_value`` of the rule that says more, ``rule`` ('week' or 'ewma'),
        ``judged`` (after the baseline, whole week, at least 30 calls), ``alarm``.
    """
    table = _with_silence(table, baseline)
    frames = []
    for quantity in QUANTITIES:
        if quantity.name not in baseline.dispersion:
            continue
        for locale, part in table.groupby("locale", sort=True):
            if str(locale) in baseline.levels[quantity.name]:
                frames.append(_chart(quantity, str(locale), part.sort_values("week"), baseline))
    if not frames:
        # Nothing could be charted; flags must still be flags where alarms are looked for.
        return pd.DataFrame(columns=list(COLUMNS)).astype({"judged": bool, "alarm": bool})
    found = pd.concat(frames, ignore_index=True)
    charts = found[found["judged"]].groupby("week").size()
    allowed = false_alarms_per_week / 2 / found["week"].map(charts).fillna(1).clip(lower=1)
    found["alarm"] = found["judged"] & (found["p_value"] < allowed)
    return _with_limits(found, baseline, allowed.to_numpy(float))[list(COLUMNS)]


def alarms(found: pd.DataFrame) -> pd.DataFrame:
    """The alarms among chart points, newest week first, with ``sentence``."""
    raised = found[found["alarm"]].sort_values(["week", "p_value"], ascending=[False, True])
    raised = raised.reset_index(drop=True)
    raised["sentence"] = [sentence(row) for row in raised.to_dict("records")]
    return raised


def causes(raised: pd.DataFrame) -> list[str]:
    """The alarms in as few sentences as there are causes, the latest first: a quantity that stays away from
    the usual on one side is one, and so are locales in which it began in the same week."""
    if not len(raised):
        return []
    rows = raised.assign(
        up=[(r["z"] if r["rule"] == "week" else r["ewma"]) > 0 for r in raised.to_dict("records")],
        monday=pd.to_datetime(raised["week"]),
    ).sort_values("monday", kind="stable")
    spells: dict[tuple[Any, ...], list[tuple[str, pd.DataFrame]]] = {}
    for (quantity, locale, up), own in rows.groupby(["quantity", "locale", "up"], sort=False):
        # A quiet week between two alarms does not make them two causes; a month of them does.
        spell = (own["monday"].diff() > pd.Timedelta(days=28)).cumsum()
        for _, part in own.groupby(spell, sort=False):
            key = (quantity, bool(up), part["monday"].iloc[0])
            spells.setdefault(key, []).append((str(locale), part))
    ordered = sorted(spells.items(), key=lambda item: (item[0][2], item[0][0]), reverse=True)
    return [_cause(key, parts_) for key, parts_ in ordered]


def _cause(key: tuple[Any, ...], spells: list[tuple[str, pd.DataFrame]]) -> str:
    if len(spells) == 1 and len(spells[0][1]) == 1:
        return sentence(spells[0][1].to_dict("records")[0])
    quantity = next(q for q in QUANTITIES if q.name == key[0])
    told = []
    for locale, part in sorted(spells):
        newest = part.iloc[-1]
        told.append(
            f"{locale} {shown(quantity, newest['value'])} (usually {shown(quantity, newest['usual'])})"
        )
    weeks = max(len(part) for _, part in spells)
    since = (
        f"in the week of {key[2].date().isoformat()}"
        if weeks == 1
        else (f"since the week of {key[2].date().isoformat()}, {weeks} weeks beyond the limits")
    )
    side = "above" if key[1] else "below"
    label = quantity.label[0].upper() + quantity.label[1:]
    return f"{label} {side} the usual: {', '.join(told)}, {since}."


def sentence(row: dict[str, Any]) -> str:
    """What an alarm says, in words."""
    quantity = next(q for q in QUANTITIES if q.name == row["quantity"])
    side = "above" if (row["z"] if row["rule"] == "week" else row["ewma"]) > 0 else "below"
    value, usual = (shown(quantity, row[name]) for name in ("value", "usual"))
    span = f"{shown(quantity, row['low'])} to {shown(quantity, row['high'])}"
    week = f"{row['locale']}, week of {row['week']}: {quantity.label} {value}, usually {usual}"
    if row["rule"] == "ewma":
        return f"{week}; over the last weeks significantly {side} the baseline (a single week: {span})."
    return f"{week}; {side} the limits {span} for {row['n']:.0f} calls."


def shown(quantity: Quantity, value: float) -> str:
    """A value of a quantity as text."""
    if value is None or value != value:
        return "–"
    if quantity.kind == "count":
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.1%}" if quantity.kind == "share" else f"{value:.3f}"


def _with_silence(table: pd.DataFrame, baseline: Baseline) -> pd.DataFrame:
    """Weeks without a single call, as rows: a locale that falls silent leaves no line, and is news.

    Only for locales whose usual volume the baseline knows, and only between the log's first and last week.
    """
    if not len(table):
        return table
    known = sorted(baseline.levels.get("volume", {}))
    last, step = table["week"].max(), datetime.timedelta(days=7)
    weeks = [table["week"].min()]
    while weeks[-1] < last:
        weeks.append(weeks[-1] + step)
    whole = dict(zip(table["week"], table["whole"], strict=True))
    had = set(zip(table["locale"], table["week"], strict=True))
    silent = [
        {"locale": locale, "week": week, "calls": 0, "whole": whole.get(week, True)}
        for locale in known
        for week in weeks
        if (locale, week) not in had
    ]
    if not silent:
        return table
    rows = pd.DataFrame(silent, columns=list(table.columns))
    counts = [q.size for q in QUANTITIES] + [q.hits for q in QUANTITIES if q.hits]
    rows[counts] = rows[counts].astype("float64").fillna(0.0)
    rows = rows.astype({name: "float64" for name in rows.columns if name not in ("locale", "week", "whole")})
    return pd.concat([table, rows.astype({"whole": bool})], ignore_index=True)


def _chart(quantity: Quantity, locale: str, part: pd.DataFrame, baseline: Baseline) -> pd.DataFrame:
    held = parts(quantity, part)
    level = baseline.levels[quantity.name][locale]
    spread, freedom = baseline.dispersion[quantity.name]
    base = tuple(np.full(len(part), v) for v in level)
    z = residual(quantity.kind, held["n"], held["value"], held["variance"], base) / np.sqrt(spread)  # type: ignore[arg-type]
    weeks = [week.isoformat() for week in part["week"]]
    last = baseline.weeks[-1] if baseline.weeks else ""
    after = np.array([week > last for week in weeks])
    enough = held["n"] >= SMALLEST
    if quantity.kind == "count":
        enough = np.ones(len(part), bool)
    judged = after & enough & part["whole"].to_numpy(bool) & np.isfinite(z)
    if quantity.kind == "count":
        shared = np.full(len(part), 1 / (1 + level[0]))
    else:
        shared = held["n"] / (held["n"] + level[0])
    value, deviation = smoothed(np.where(judged, z, np.nan)[after], shared[after])
    ewma = np.full(len(part), np.nan)
    ewma[after] = np.divide(value, deviation, out=np.zeros(len(value)), where=deviation > 0)
    alone, lasting = (2 * stats.t.sf(np.abs(v), freedom) for v in (z, ewma))
    lasting = np.where(np.isfinite(lasting), lasting, 1.0)
    return pd.DataFrame(
        {
            "locale": locale,
            "week": weeks,
            "quantity": quantity.name,
            "n": held["n"],
            "value": held["value"],
            "usual": level[1],
            "variance": held["variance"],
            "z": z,
            "ewma": ewma,
            "p_value": np.where(judged, np.fmin(alone, lasting), np.nan),
            "rule": np.where(lasting < alone, "ewma", "week"),
            "judged": judged,
        }
    )


def _with_limits(found: pd.DataFrame, baseline: Baseline, allowed: Any) -> pd.DataFrame:
    low, high = np.full(len(found), np.nan), np.full(len(found), np.nan)
    for quantity in QUANTITIES:
        at = np.flatnonzero((found["quantity"] == quantity.name).to_numpy())
        if not len(at):
            continue
        spread, freedom = baseline.dispersion[quantity.name]
        levels = baseline.levels[quantity.name]
        base = tuple(np.array([levels[loc][k] for loc in found["locale"].iloc[at]]) for k in range(3))
        reach = stats.t.isf(allowed[at] / 2, freedom) * np.sqrt(spread)
        n, variance = (found[name].to_numpy(float)[at] for name in ("n", "variance"))
        low[at], high[at] = limits(quantity.kind, n, variance, base, reach)  # type: ignore[arg-type]
    return found.assign(low=low, high=high)
