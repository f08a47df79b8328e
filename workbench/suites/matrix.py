"""The forgetting matrix: engines × locales, difference to the base with its interval: table and picture."""

from __future__ import annotations

import html
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workbench.evaluation import readings
from workbench.glance import Glance
from workbench.suites.comparison import compared, refuse_unlike
from workbench.suites.points import OperatingPoint
from workbench.suites.predictions import SuitePredictions

_TONES: dict[str, str] = {
    readings.WORSE: "#f8cdb4",
    readings.BETTER: "#bcdcf0",
    readings.UNCLEAR: "#f3f3f1",
    readings.TOO_FEW: "#ffffff",
}
_HATCH = "repeating-linear-gradient(45deg,#fff 0 6px,#ececea 6px 12px)"
_KEY = (
    "Orange: more errors; blue: fewer errors; each only where the interval leaves out zero, corrected over "
    "the locales. Gray: no clear difference. Hatched: not enough data. In brackets: the interval."
)


@dataclass(frozen=True)
class ForgettingMatrix:
    """``table``: a row per engine and locale: ``engine, target_lang, rate_base, rate, difference, low, high,
    verdict, metric, utterances, reference_words, because``; rates and differences are fractions, intervals
    two-sided; ``overall``: the same over all locales (``left_out``: what words and characters keep apart);
    ``verdict``: the reading of the difference, see ``workbench.evaluation.readings.direction``.
    """

    base: str
    point: str
    table: pd.DataFrame
    overall: pd.DataFrame

    def differences(self) -> pd.DataFrame:
        """Engines × locales, differences to the base in percentage points; NaN: not enough data."""
        return 100 * self.table.pivot(index="engine", columns="target_lang", values="difference")

    @property
    def sentences(self) -> list[str]:
        """One an engine: which locales it made worse and better, and how many are left open."""
        return [
            _sentence(str(engine), self.base, own, self.overall[self.overall["engine"] == engine])
            for engine, own in self.table.groupby("engine", sort=False)
        ] or [f"Nothing to hold against {self.base}: no other engine was run."]

    def __repr__(self) -> str:
        """The sentences, then a line for each engine and locale."""
        rows = [
            (str(row["engine"]), str(row["target_lang"]), _figure(row), str(row["verdict"]))
            for row in self.table.to_dict("records")
        ]
        said = "\n".join(self.sentences)
        return str(Glance(f"{said}\nAt {self.point}:", ("engine", "locale", "points", "reading"), rows))

    def _repr_html_(self) -> str:
        """The picture: a cell per engine and locale, its verdict in words, never told by color alone."""
        tags = list(dict.fromkeys(self.table["target_lang"]))
        head = "".join(f'<th scope="col">{html.escape(tag)}</th>' for tag in tags)
        body = []
        for engine, own in self.table.groupby("engine", sort=False):
            cells = {row["target_lang"]: _cell(row) for row in own.to_dict("records")}
            body.append(
                f'<tr><th scope="row">{html.escape(str(engine))}</th>'
                + "".join(cells.get(tag, "<td></td>") for tag in tags)
                + "</tr>"
            )
        caption = html.escape(f"Error rate against {self.base} at {self.point}, in points. {_KEY}")
        said = "".join(f"<p><b>{html.escape(sentence)}</b></p>" for sentence in self.sentences)
        return (
            f'{said}<div style="overflow-x:auto"><table class="forgetting">'
            f'<caption style="text-align:left">{caption}</caption><thead><tr><td></td>{head}</tr></thead>'
            f"<tbody>{''.join(body)}</tbody></table></div>"
        )


def forgetting_matrix(run: SuitePredictions, base: str, point: OperatingPoint) -> ForgettingMatrix:
    """Every other engine of a run against ``base`` at one operating point, by locale.

    Raises:
        WorkbenchError: two are not alike, or one was not run there.
    """
    others = [name for name in run.names if name != base]
    evaluation = None
    tables, wholes = [], []
    for name in others:
        refuse_unlike(run, base, name, point, point)
        evaluation = run.evaluation(point, (base, name))
        found = evaluation.compare(base, name, by="target_lang", metric=point.metric)
        lacking = run.shortfalls(base, name, point=point)
        tables.append(compared(found, lacking).assign(engine=name))
        whole = evaluation.compare(base, name, by=(), metric=point.metric)
        wholes.append(compared(whole, lacking).assign(engine=name))
    table = _joined(tables)
    overall = _joined(wholes).rename(columns={"rate_a": "rate_base", "rate_b": "rate", "reading": "verdict"})
    table = table.rename(columns={"rate_a": "rate_base", "rate_b": "rate"})
    columns = ["engine", "target_lang", "rate_base", "rate", "difference", "low", "high"]
    table.insert(0, "verdict", [readings.direction(row) for row in table.to_dict("records")])
    table = table.reindex(columns=[*columns, "verdict", "metric", "utterances", "reference_words", "because"])
    return ForgettingMatrix(base, point.name, table, overall)


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame({"engine": []})


def _sentence(engine: str, base: str, own: pd.DataFrame, overall: pd.DataFrame) -> str:
    whole = readings.difference_sentence(overall.iloc[0].to_dict()) if len(overall) else ""
    told: dict[str, list[str]] = {
        verdict: [str(tag) for tag in own["target_lang"][own["verdict"] == verdict]]
        for verdict in (readings.WORSE, readings.BETTER, readings.UNCLEAR, readings.TOO_FEW)
    }
    sure = [
        f"{verdict} in {', '.join(told[verdict])}"
        for verdict in (readings.WORSE, readings.BETTER)
        if told[verdict]
    ]
    said = "; ".join(sure) or "no single locale is shown to have moved"
    rest = [
        f"{verdict} in {len(told[verdict])} of {len(own)} locales"
        for verdict in (readings.UNCLEAR, readings.TOO_FEW)
        if told[verdict]
    ]
    return f"{engine} against {base}: {'; '.join([*([f'overall {whole}'] if whole else []), said, *rest])}."


def _figure(row: dict[Hashable, Any]) -> str:
    """The difference in points with its interval, as far as they are known."""
    if row["difference"] != row["difference"]:
        return "–"
    figure = readings.points(row["difference"]).removesuffix(" points")
    if row["low"] != row["low"]:
        return figure
    low, high = (readings.points(row[end]).removesuffix(" points") for end in ("low", "high"))
    return f"{figure} ({low} to {high})"


def _cell(row: dict[Hashable, Any]) -> str:
    verdict = str(row["verdict"])
    title = str(row["because"] or "")
    if row["rate"] == row["rate"]:
        rates = f"{readings.percent(row['rate_base'])} to {readings.percent(row['rate'])}"
        title = f"{rates} {str(row['metric']).upper()}{f'; {title}' if title else ''}"
    size = (
        f", {row['reference_words']:,.0f} words" if verdict == readings.TOO_FEW and not row["because"] else ""
    )
    ground = _HATCH if verdict == readings.TOO_FEW else _TONES[verdict]
    style = f"background:{ground};color:#1c1c1a;print-color-adjust:exact"
    return (
        f'<td style="{style}" title="{html.escape(title, quote=True)}">'
        f"{html.escape(_figure(row))}<br><small>{verdict}{size}</small></td>"
    )
