"""Verbs of evaluation: error rates, comparisons, reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

import workbench as wb
from workbench.cli.verbs import Address, CorpusName, Engine, Told, Where, verb, view
from workbench.plain_values import records

ROOM = "Evaluation"
group = typer.Typer()
By = Annotated[str, typer.Option(help="Columns with commas, or none for all together.")]
Metric = Annotated[
    Literal["headline", "wer", "cer"], typer.Option(help="headline: characters in ja, ko, zh, th.")
]
Normalizer = Annotated[str, typer.Option(help="raw, cased, basic …")]


def _columns(by: str) -> tuple[str, ...]:
    return tuple(name for name in by.split(",") if name and name != "none")


@verb(group, "evaluate", room=ROOM)
def evaluate(
    corpus: CorpusName,
    predictions: Annotated[list[str], typer.Argument(help="Names of predictions of the corpus.")],
    where: Where = None,
    by: By = "target_lang,accent",
    metric: Metric = "headline",
    normalizer: Normalizer = "basic",
    report: Annotated[
        Path | None, typer.Option(help="The error report to write (HTML, and JSON beside it).")
    ] = Path("report.html"),
    engine: Engine = "local",
    address: Address = None,
) -> Told:
    """Score predictions of a corpus and write the error report."""
    scored = wb.evaluate(
        view(corpus, where),
        *predictions,
        by=_columns(by),
        normalizer=normalizer,
        engine=engine,
        address=address,
    )
    tables = {name: scored.rates(name, metric=metric) for name in scored.names}
    lines = [line for name, table in tables.items() for line in (name, table.to_string(index=False))]
    data = {"rates": {name: records(table) for name, table in tables.items()}}
    written = scored.report(report) if report is not None else None
    return Told.of({**data, "report": written}, *lines, *([str(written)] if written else []))


@verb(group, "compare", room=ROOM)
def compare(
    corpus: CorpusName,
    base: Annotated[str, typer.Argument(help="Name of a prediction.")],
    candidate: Annotated[str, typer.Argument(help="Name of another.")],
    where: Where = None,
    by: By = "target_lang",
    metric: Metric = "headline",
    normalizer: Normalizer = "basic",
) -> Told:
    """Rate of the candidate minus rate of the base, with intervals: below zero, the candidate is better."""
    scored = wb.evaluate(view(corpus, where), base, candidate, normalizer=normalizer)
    return Told.table(scored.compare(base, candidate, by=_columns(by), metric=metric))
