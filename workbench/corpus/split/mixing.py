"""How much of each locale a training run hears, and what that does to each, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.ingest.schema import literal

if TYPE_CHECKING:
    import pandas as pd

    from workbench.corpus.query.view import View

MANY_PASSES = 10.0
"""A locale heard more often than this many times the others' passes is likely learned by heart."""


def mix(
    corpus: View,
    *,
    temperature: float | None = None,
    weights: Mapping[str, float] | None = None,
    budget_hours: float | None = None,
    split: str | None = "train",
    by: str = "target_lang",
) -> pd.DataFrame:
    """Hours per locale under a mixture.

    Args:
        corpus: the rows; rejected ones do not count.
        temperature: shares proportional to ``hours ** temperature``: 1 as it is, 0 all equal, 0.5 between
            (as NeMo's ``reweight_temperature``).
        weights: locale → relative weight instead.
        budget_hours: hours that training will hear; default as many as there are.
        split: the part that training reads; None takes all.
        by: another column to mix by.

    Returns:
        DataFrame: the column, ``utterances``, ``hours``, ``share`` now, ``weight`` (share in the mix, for
        NeMo's ``input_cfg``), ``heard_hours``, ``passes`` (heard / there is) and ``note``.

    Raises:
        WorkbenchError: neither or both of temperature and weights, or weights for what is not there.
    """
    if (temperature is None) == (weights is None):
        raise WorkbenchError("a mix needs a temperature or weights", hint="Give one: temperature=0.5.")
    rows = corpus.where("status <> 'rejected'")
    if split is not None:
        rows = rows.where(f"split = {literal(split)}")
    table = rows.groups(by)
    table = table[table["hours"] > 0].reset_index(drop=True)
    if table.empty:
        raise WorkbenchError(f"no hours in split {split!r}", hint="Split first, or pass split=None.")
    table["share"] = table["hours"] / table["hours"].sum()
    table["weight"] = _weights(table, by, temperature, weights)
    table["heard_hours"] = table["weight"] * (budget_hours or table["hours"].sum())
    table["passes"] = table["heard_hours"] / table["hours"]
    least = table.loc[table["passes"] > 0, "passes"].min()
    table["note"] = [_note(passes, least) for passes in table["passes"]]
    return table


def _weights(
    table: pd.DataFrame, by: str, temperature: float | None, weights: Mapping[str, float] | None
) -> pd.Series:
    if temperature is not None:
        if not 0 <= temperature <= 2:
            raise WorkbenchError(f"temperature {temperature}", hint="Use 0 (equal) to 1 (as it is).")
        raw = table["hours"] ** temperature
    else:
        given = dict(weights or {})
        unknown = sorted(set(given) - set(table[by].dropna()))
        if unknown or any(w < 0 for w in given.values()) or not any(given.values()):
            what = (
                f"no hours of {', '.join(unknown)}" if unknown else "weights are numbers from 0, one above it"
            )
            raise WorkbenchError(what, hint=f"There are {', '.join(map(str, table[by].dropna()))}.")
        raw = table[by].map(lambda name: float(given.get(name, 0.0))).astype(float)
    return raw / raw.sum()


def _note(passes: float, least: float) -> str:
    if passes == 0:
        return "left out"
    if passes > MANY_PASSES * least:
        return f"heard {passes / least:.0f} times as often as the least repeated: may be learned by heart"
    return ""
