"""The forgetting matrix: engines × locales, difference to the base with its interval: table and picture."""

from __future__ import annotations

import html
from dataclasses import dataclass

import pandas as pd

from workbench.suites.comparison import compared, refuse_unlike
from workbench.suites.points import OperatingPoint
from workbench.suites.predictions import SuitePredictions

WORSE, BETTER, OPEN, LACKING = "worse", "better", "not shown", "not enough data"
_TONES = {WORSE: "#f8cdb4", BETTER: "#bcdcf0", OPEN: "#f3f3f1", LACKING: "#ffffff"}


@dataclass(frozen=True)
class ForgettingMatrix:
    """``table``: a row per engine and locale: ``engine, target_lang, rate_base, rate, difference, low, high,
    verdict, metric, utterances, because``; rates and differences are fractions, intervals two-sided."""

    base: str
    point: str
    table: pd.DataFrame

    def differences(self) -> pd.DataFrame:
        """Engines × locales, differences to the base in percentage points; NaN: not enough data."""
        return 100 * self.table.pivot(index="engine", columns="target_lang", values="difference")

    def __repr__(self) -> str:
        """One line an engine: which locales it made worse and better, and where nothing is shown."""
        lines = [f"Against {self.base} at {self.point}:"]
        for engine, own in self.table.groupby("engine", sort=False):
            told = [
                f"{verdict}: {', '.join(own['target_lang'][own['verdict'] == verdict])}"
                for verdict in (WORSE, BETTER, OPEN, LACKING)
                if (own["verdict"] == verdict).any()
            ]
            lines.append(f"{engine}: {'; '.join(told)}")
        return "\n".join(lines)

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
        caption = html.escape(
            f"Error rate against {self.base} at {self.point}, in points, with its interval: what each locale "
            "gained (better) or lost (worse)"
        )
        return (
            f'<table class="forgetting"><caption>{caption}</caption><thead><tr><td></td>{head}</tr></thead>'
            f"<tbody>{''.join(body)}</tbody></table>"
        )


def forgetting_matrix(run: SuitePredictions, base: str, point: OperatingPoint) -> ForgettingMatrix:
    """Every other engine of a run against ``base`` at one operating point, by locale.

    Raises:
        WorkbenchError: two are not alike, or one was not run there.
    """
    others = [name for name in run.names if name != base]
    evaluation = None
    tables = []
    for name in others:
        refuse_unlike(run, base, name, point, point)
        evaluation = run.evaluation(point, (base, name))
        found = evaluation.compare(base, name, by="target_lang", metric=point.metric)
        found = compared(found, run.shortfalls(base, name, point=point))
        found.insert(0, "engine", name)
        tables.append(found)
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame({"engine": []})
    table = table.rename(columns={"rate_a": "rate_base", "rate_b": "rate"})
    columns = ["engine", "target_lang", "rate_base", "rate", "difference", "low", "high"]
    table = table.reindex(columns=[*columns, "metric", "utterances", "because"])
    table.insert(7, "verdict", [_verdict(row) for row in table.to_dict("records")])
    return ForgettingMatrix(base, point.name, table)


def _verdict(row: dict[str, float]) -> str:
    if row["low"] != row["low"]:
        return LACKING
    return WORSE if row["low"] > 0 else BETTER if row["high"] < 0 else OPEN


def _cell(row: dict[str, float]) -> str:
    verdict = str(row["verdict"])
    if verdict == LACKING:
        text, title = "–", str(row["because"] or "too few utterances for an interval")
    else:
        text = f"{100 * row['difference']:+.1f} ({100 * row['low']:+.1f} to {100 * row['high']:+.1f})"
        title = f"{100 * row['rate_base']:.1f} % to {100 * row['rate']:.1f} % {str(row['metric']).upper()}"
    style = f"background:{_TONES[verdict]};color:#1c1c1a;print-color-adjust:exact"
    return (
        f'<td style="{style}" title="{html.escape(title, quote=True)}">'
        f"{html.escape(text)}<br><small>{verdict}</small></td>"
    )
