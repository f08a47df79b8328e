"""Questions that a pilot asks of an evaluation, each answered by one sentence and the table behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from workbench.evaluation import headline as heads
from workbench.evaluation import readings
from workbench.evaluation.asked import Asked
from workbench.evaluation.recommendations import what_next
from workbench.evaluation.slices import Where
from workbench.evaluation.tables import as_table

if TYPE_CHECKING:
    from workbench.evaluation.shown import Shown


def headline(self: Asked, name: str) -> Shown:
    """How many errors does a prediction make? Pooled, over locales and in the pilot's traffic, side by side.

    Returns:
        ``kind`` ('pooled', 'over locales', 'in traffic'), ``unit``, ``rate, low, high``, ``locales``
        behind it, and ``missing`` locales that have a share of the traffic and no figure.
    """
    from workbench.evaluation.shown import show

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
    from workbench.evaluation.shown import comparison_columns, show

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
    other = heads.against_the_whole(table.to_dict("records"), row["difference"])
    more = f", and {len(other) - 3} more locales" if len(other) > 3 else ""
    warned = "; but " + "; ".join(item["sentence"] for item in other[:3]) + more if other else ""
    return f"{start}{warned}."


def fix_first(self: Asked, name: str) -> Shown:
    """Which locale do we fix first? Locales by the share of the pilot's errors to expect from them.

    Traffic shares are those of the evaluation (``traffic``); without them the test set's words stand in,
    which the sentence says.
    """
    from workbench.evaluation.shown import enough_cell, show

    found = heads.fix_first(_by_locale(self, name), dict(self.settings.traffic))
    sentence = f"Fix {found[0]['sentence']}." if found else "No locale is known here."
    columns = {
        "locale": lambda r: str(r["target_lang"]),
        "share of errors": lambda r: _share(r["share_of_errors"]),
        "error rate": lambda r: _share(r["rate"]),
        "share of calls": lambda r: _share(r["traffic_share"]),
        "data": enough_cell,
    }
    return show(as_table(found), sentence, columns)


def more_data(self: Asked, name: str, by: str | Sequence[str] | None = None) -> Shown:
    """How much more data? What each slice's figure still needs, most urgent first.

    Returns:
        The slice columns, ``advice`` and ``urgency`` (the higher the sooner).
    """
    from workbench.evaluation.shown import heading, show, slice_cell

    columns = self.settings.by if by is None else (by,) if isinstance(by, str) else tuple(by)
    overall = float(self.rates(name, ()).iloc[0]["rate"])
    found = what_next(self.rates(name, columns), columns, overall, self.settings.thresholds)
    start = slice_cell(columns)(found[0]) if found else ""
    sentence = f"{start}: {found[0]['advice']}." if found else "Every slice has data enough."
    return show(
        as_table(found),
        sentence,
        {heading(columns): slice_cell(columns), "what": lambda r: str(r["advice"])},
    )


def shown_rates(table: pd.DataFrame, name: str, by: Sequence[str]) -> Shown:
    """A table of rates that opens with its worst slice."""
    from workbench.evaluation.shown import rate_columns, show, slice_cell

    fit = table[(table["enough"] != "no") & table["rate"].notna()]
    if not by or len(table) == 1:
        sentence = f"{name}: {readings.rate_sentence(table.iloc[0].to_dict())}."
    elif not len(fit):
        sentence = f"{name}: not enough data in any of {len(table)} slices."
    else:
        worst = fit.loc[fit["rate"].idxmax()].to_dict()
        sentence = f"{name}: highest in {slice_cell(by)(worst)}, {readings.rate_sentence(worst)}."
    return show(table, sentence, rate_columns(by))


def shown_comparison(table: pd.DataFrame, a: str, b: str, by: Sequence[str]) -> Shown:
    """A comparison that opens with how many slices point which way."""
    from workbench.evaluation.shown import comparison_columns, show

    rows = table.to_dict("records")
    if len(rows) == 1:
        sentence = f"{b} against {a}: {readings.difference_sentence(rows[0])}."
    else:
        ways = [readings.direction(row) for row in rows]
        counted = (f"{ways.count(way)} {way}" for way in dict.fromkeys(sorted(ways)))
        sentence = f"{b} against {a}, {len(rows)} slices: {', '.join(counted)}."
    return show(table, sentence, comparison_columns(by))


def _by_locale(asked: Asked, name: str) -> list[dict[str, Any]]:
    if "target_lang" in asked.scored.rows.columns:
        table = asked.rates(name, ("target_lang",))
    else:
        table = asked.rates(name, ()).assign(target_lang=None)
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
