"""Questions that a pilot asks of an evaluation, each answered by one sentence and the table behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.errors import WorkbenchError
from workbench.evaluation import headline as heads
from workbench.evaluation import readings
from workbench.evaluation.asked import Asked
from workbench.evaluation.recommendations import what_next
from workbench.evaluation.slices import Where, mask
from workbench.evaluation.tables import as_table

if TYPE_CHECKING:
    from workbench.shown import Shown

_VALUES = 8
"""Values of a column named where a condition leaves nobody."""


def headline(self: Asked, name: str) -> Shown:
    """How many errors does a prediction make? Pooled, over locales and in the pilot's traffic, side by side.

    Returns:
        ``kind`` ('pooled', 'over locales', 'in traffic'), ``unit``, ``rate, low, high``, ``locales``
        behind it, and ``missing`` locales that have a share of the traffic and no figure.
    """
    from workbench.shown import show

    found = heads.headlines_of_rates(_by_locale(self, name), dict(self.settings.traffic))
    said = "; ".join(_headline(row) for row in found) or "nothing was said in these utterances"
    return show(as_table(found), f"{name}: {said}.", _HEADLINE_COLUMNS)


def is_better(self: Asked, base: str, candidate: str, where: Where = None) -> Shown:
    """Is the new checkpoint better? One sentence on the whole, and who moves the other way.

    Args:
        base: prediction of the old checkpoint.
        candidate: prediction of the new one.
        where: of whom, such as ``{"accent": "es-MX"}`` for Mexican callers.

    Returns:
        :meth:`Evaluation.compare` by locale, the sentence first.
    """
    from workbench.evaluation.shown import comparison_columns
    from workbench.shown import show

    _somebody(self, where)
    whole = self.compare(base, candidate, (), where=where)
    by = ("target_lang",) if "target_lang" in self.scored.rows.columns else ()
    table = self.compare(base, candidate, by, where=where)
    return show(table, better_sentence(base, candidate, whole, table), comparison_columns(by))


def better_sentence(base: str, candidate: str, whole: pd.DataFrame, table: pd.DataFrame) -> str:
    """The answer of :func:`is_better`, from the comparison over everything and by locale."""
    if not len(whole):
        return f"{candidate} and {base} have no utterances in common."
    row = whole.iloc[0].to_dict()
    start = f"{candidate} against {base}: {readings.difference_sentence(row)}"
    if row.get("left_out"):
        start += f" ({row['left_out']} are not in this figure)"
    if "target_lang" not in table.columns:
        return start + "."
    other = heads.against_the_whole(table.to_dict("records"), row)
    more = f", and {len(other) - 3} more locales" if len(other) > 3 else ""
    warned = "; but " + "; ".join(item["sentence"] for item in other[:3]) + more if other else ""
    return f"{start}{warned}."


def fix_first(self: Asked, name: str, where: Where = None) -> Shown:
    """Which locale do we fix first? Locales by the share of the pilot's errors to expect from them.

    Traffic shares are those of the evaluation (``traffic``); without them the test set's words stand in,
    which the sentence says.
    """
    from workbench.evaluation.shown import enough_cell, span_cell
    from workbench.shown import show

    _somebody(self, where)
    found = heads.fix_first(_by_locale(self, name, where), dict(self.settings.traffic))
    share = "share of calls" if self.settings.traffic else "share of words"
    columns = {
        "locale": lambda r: str(r["target_lang"]),
        "share of errors": lambda r: _share(r["share_of_errors"]),
        "interval": lambda r: span_cell(r["share_low"], r["share_high"]),
        "error rate": lambda r: _share(r["rate"]),
        share: lambda r: _share(r["traffic_share"]),
        "data": enough_cell,
    }
    return show(as_table(found), heads.fix_first_sentence(found), columns)


def more_data(self: Asked, name: str, by: str | Sequence[str] | None = None, where: Where = None) -> Shown:
    """How much more data? What each slice's figure still needs, most urgent first.

    Returns:
        The slice columns, ``advice`` and ``urgency`` (the higher the sooner).
    """
    from workbench.evaluation.shown import heading, slice_cell
    from workbench.shown import show

    columns = self.settings.by if by is None else (by,) if isinstance(by, str) else tuple(by)
    _somebody(self, where)
    whole, table = (self.rates(name, cut, where=where) for cut in ((), columns))
    overall = float(whole.iloc[0]["rate"]) if len(whole) else math.nan
    found = what_next(table, columns, overall, self.settings.thresholds)
    name_of = slice_cell(columns)
    lacking = len({name_of(row) for row in found})
    sentence = (
        f"{lacking} of {len(table)} slices need more; first {name_of(found[0])}: {found[0]['advice']}."
        if found
        else "Every slice has data enough."
    )
    return show(as_table(found), sentence, {heading(columns): name_of, "what": lambda r: str(r["advice"])})


def shown_rates(table: pd.DataFrame, name: str, by: Sequence[str]) -> Shown:
    """A table of rates that opens with its worst slice."""
    from workbench.evaluation.shown import rate_columns, slice_cell
    from workbench.shown import show

    fit = table[(table["enough"] != "no") & table["rate"].notna()]
    if not by or len(table) == 1:
        sentence = f"{name}: {readings.rate_sentence(table.iloc[0].to_dict())}."
    elif not len(fit):
        sentence = f"{name}: not enough data in any of {len(table)} slices."
    else:
        worst = fit.loc[fit["rate"].idxmax()].to_dict()
        few = f" of the {len(fit)} with data enough" if len(fit) < len(table) else ""
        more = f"; {len(table) - len(fit)} of {len(table)} slices have not" if few else ""
        sentence = f"{name}: highest{few} in {slice_cell(by)(worst)}, {readings.rate_sentence(worst)}{more}."
    return show(table, sentence, rate_columns(by))


def shown_comparison(table: pd.DataFrame, a: str, b: str, by: Sequence[str]) -> Shown:
    """A comparison that opens with how many slices point which way."""
    from workbench.evaluation.shown import comparison_columns
    from workbench.shown import show

    rows = table.to_dict("records")
    if len(rows) == 1:
        sentence = f"{b} against {a}: {readings.difference_sentence(rows[0])}."
    else:
        ways = [readings.direction(row) for row in rows]
        counted = (f"{ways.count(way)} {way}" for way in dict.fromkeys(sorted(ways)))
        sentence = f"{b} against {a}, {len(rows)} slices: {', '.join(counted)}."
    return show(table, sentence, comparison_columns(by))


def shown_non_inferior(
    table: pd.DataFrame, base: str, candidate: str, margin: float, by: Sequence[str]
) -> Shown:
    """Who is shown not to be worse by the margin; an upper bound below it, on words enough."""
    from workbench.evaluation.shown import difference_cell, heading, slice_cell
    from workbench.shown import show

    def verdict(row: Mapping[str, Any]) -> str:
        if row["enough"] == "no" or row["upper_bound"] != row["upper_bound"]:
            return readings.TOO_FEW
        return "not worse by the margin" if row["non_inferior"] else "may be worse by the margin"

    rows = table.to_dict("records")
    said = [verdict(row) for row in rows]
    counted = ", ".join(f"{said.count(way)} {way}" for way in dict.fromkeys(sorted(said)))
    what = f"{len(rows)} slices: {counted}" if len(rows) > 1 else counted
    sentence = f"{candidate} against {base}, margin {readings.points(margin)}: {what}."
    columns = {
        heading(by): slice_cell(by),
        "from": lambda r: _share(r["rate_a"]),
        "to": lambda r: _share(r["rate_b"]),
        "difference": difference_cell("difference"),
        "at most": difference_cell("upper_bound"),
        "reading": verdict,
    }
    return show(table, sentence, columns)


def _somebody(asked: Asked, where: Where) -> None:
    """Raise WorkbenchError where a condition leaves nobody; the values that there are help to correct it."""
    rows = asked.scored.rows
    if where is None or mask(rows, where).any():
        return
    said = " AND ".join(f"{k} = {v!r}" for k, v in where.items()) if isinstance(where, dict) else where
    named = [column for column in rows.columns if column in said and rows[column].dtype != object]
    named += [column for column in rows.columns if column in said and rows[column].map(type).eq(str).any()]
    known = {name: sorted({str(value) for value in rows[name].dropna()}) for name in dict.fromkeys(named)}
    hints = [f"{name} is {', '.join(values[:_VALUES])}" for name, values in known.items() if values]
    more = [" …" if len(values) > _VALUES else "" for values in known.values() if values]
    hint = "; ".join(f"{hint}{dots}" for hint, dots in zip(hints, more, strict=True))
    raise WorkbenchError(f"no utterance with {said}", hint=f"{hint}." if hint else "Check the condition.")


def _by_locale(asked: Asked, name: str, where: Where = None) -> list[dict[str, Any]]:
    if "target_lang" in asked.scored.rows.columns:
        table = asked.rates(name, ("target_lang",), where=where)
    else:
        table = asked.rates(name, (), where=where).assign(target_lang=None)
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def _headline(row: dict[str, Any]) -> str:
    figure = readings.percent(row["rate"])
    if row["kind"] == "pooled":
        return f"{figure} of {row['unit']} wrong"
    without = f", without {', '.join(row['missing'])}" if row["missing"] else ""
    return f"{figure} {row['kind']} ({row['locales']}{without})"


def _share(value: float) -> str:
    return "–" if value != value else readings.percent(value)


_HEADLINE_COLUMNS = {
    "headline": lambda r: r["kind"],
    "unit": lambda r: r["unit"],
    "error rate": lambda r: _share(r["rate"]),
    "interval": lambda r: (
        "–"
        if r.get("low", float("nan")) != r.get("low", float("nan"))
        else f"{_share(r['low'])} to {_share(r['high'])}"
    ),
    "locales": lambda r: str(r["locales"]),
    "without": lambda r: ", ".join(r["missing"]),
}
