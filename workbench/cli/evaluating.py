"""Verbs of evaluation: error rates, comparisons, reports."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

import workbench as wb
from workbench.cli.verbs import (
    NOT_ENOUGH,
    NOT_PASSED,
    Address,
    CorpusName,
    Engine,
    Told,
    Where,
    numbers,
    pairs,
    verb,
    view,
    workspace,
)
from workbench.plain_values import plain, records

ROOM = "Evaluation"
group = typer.Typer()
By = Annotated[str, typer.Option(help="Columns with commas, or none for all together.")]
Metric = Annotated[
    Literal["headline", "wer", "cer"], typer.Option(help="headline: characters in ja, ko, zh, th.")
]
Normalizer = Annotated[str, typer.Option(help="raw, cased, basic …")]


def _columns(by: str) -> tuple[str, ...]:
    return tuple(name for name in by.split(",") if name and name != "none")


@verb(group, "calibrate", room=ROOM)
def calibrate(
    corpus: CorpusName,
    prediction: Annotated[str, typer.Argument(help="Of the checkpoint that is calibrated.")],
    where: Where = "split = 'validation'",
    normalizer: Normalizer = "basic",
) -> Told:
    """Fit what a checkpoint's confidence is worth on validation clips, for drafts, board and field."""
    found = workspace().calibrate(view(corpus, where), prediction, normalizer=normalizer)
    return Told.of(plain(asdict(found)), str(found))


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
    lines = [str(table) for table in tables.values()]
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


@verb(group, "fix-first", room=ROOM)
def fix_first(
    corpus: CorpusName,
    prediction: Annotated[str, typer.Argument(help="Name of a prediction of the corpus.")],
    where: Where = None,
    normalizer: Normalizer = "basic",
) -> Told:
    """Which locale do we fix first? By the errors to expect in the pilot's traffic. Exit code 3: not enough
    data."""
    scored = wb.evaluate(view(corpus, where), prediction, by=("target_lang",), normalizer=normalizer)
    found = scored.fix_first(prediction)
    known = len(found) and (found["enough"] != "no").any()
    return Told.answer(found, code=0 if known else NOT_ENOUGH)


@verb(group, "better", room=ROOM)
def better(
    corpus: CorpusName,
    base: Annotated[str, typer.Argument(help="Prediction of the old checkpoint.")],
    candidate: Annotated[str, typer.Argument(help="Prediction of the new one.")],
    where: Annotated[
        str | None, typer.Option(help="For whom, such as \"accent = 'es-MX'\"; everybody by default.")
    ] = None,
    normalizer: Normalizer = "basic",
) -> Told:
    """Is the new checkpoint better? Exit code: 0 fewer errors, 1 more errors or no clear difference, 3 not
    enough data."""
    scored = wb.evaluate(view(corpus, where), base, candidate, by=("target_lang",), normalizer=normalizer)
    whole = scored.compare(base, candidate, ())
    said = whole.short["reading"](whole.iloc[0].to_dict()) if len(whole) else "not enough data"
    code = {"fewer errors": 0, "not enough data": NOT_ENOUGH}.get(said, NOT_PASSED)
    return Told.answer(scored.is_better(base, candidate), code=code)


@verb(group, "more-data", room=ROOM)
def more_data(
    corpus: CorpusName,
    prediction: Annotated[str, typer.Argument(help="Name of a prediction of the corpus.")],
    where: Where = None,
    by: By = "target_lang,accent",
    normalizer: Normalizer = "basic",
) -> Told:
    """How much more data? What each slice's figure still needs, most urgent first. Exit code 3: some need
    more."""
    columns = _columns(by)
    scored = wb.evaluate(view(corpus, where), prediction, by=columns, normalizer=normalizer)
    found = scored.more_data(prediction)
    return Told.answer(found, code=NOT_ENOUGH if len(found) else 0)


SuiteName = Annotated[str, typer.Argument(help="Name of a suite.")]
Checkpoints = Annotated[list[str], typer.Argument(help="Checkpoints or runs.")]


@verb(group, "suite", room=ROOM)
def suite(
    name: SuiteName,
    views: Annotated[
        list[str] | None, typer.Argument(help="Make a version over these: CORPUS or CORPUS=SQL.")
    ] = None,
    lookaheads_ms: Annotated[
        str | None, typer.Option(help="Streamed at these too, with commas: 80,560.")
    ] = None,
    auto: Annotated[bool, typer.Option("--auto", help="And with the automatic prompt.")] = False,
    replayed: Annotated[list[str] | None, typer.Option(help="A locale that training replays.")] = None,
    minimum: Annotated[int, typer.Option(help="Utterances that each required locale needs.")] = 1,
    normalizer: Normalizer = "basic",
) -> Told:
    """Make a version of a test suite, or show the newest one as YAML."""
    found = workspace().suite(name)
    if views:
        points: list[dict[str, object]] = [{"normalizer": normalizer}]
        points += [{"normalizer": normalizer, "prompt_mode": "auto"}] if auto else []
        for ms in numbers(lookaheads_ms, int) or ():
            points.append({"streaming": True, "lookahead_ms": ms, "normalizer": normalizer})
        named = {view: "split = 'test'" for view in views if "=" not in view}
        named |= pairs(view for view in views if "=" in view)
        found.create(named, points=points, replayed=replayed or (), minimum_utterances=minimum)
    made = found.latest
    data = {"name": made.name, "version": made.version, "digest": made.digest}
    return Told.of({**data, "utterances": made.utterances, "path": found.path()}, made.to_yaml())


@verb(group, "run-suite", room=ROOM)
def run_suite(
    name: SuiteName,
    checkpoints: Checkpoints,
    base: Annotated[str | None, typer.Option(help="Compare the others with this one, by locale.")] = None,
    point: Annotated[str | None, typer.Option(help="Operating point; default: the first.")] = None,
    join: Annotated[
        list[str] | None, typer.Option(help="Another engine: a prediction imported into every corpus.")
    ] = None,
    engine: Engine = "local",
    address: Address = None,
) -> Told:
    """Transcribe what is missing of a suite and say what it covers. Exit code 3: not enough to compare."""
    ws = workspace()
    ws.suite(name).latest.point(point)  # refused before anything is transcribed
    if base is not None and base not in checkpoints:
        raise typer.BadParameter(f"--base {base!r} is none of {', '.join(checkpoints)}")
    run = ws.run_suite(name, *checkpoints, engine=engine, address=address)
    for imported in join or ():
        run = run.join(imported)
    covered = run.coverage(point)
    if base is None:
        rows = records(covered[covered["accent"].isna()].drop(columns=["accent"]))
        return Told.of(rows, str(run))
    matrix = run.forgetting(base, point=point)
    open_ = (matrix.table["verdict"] == "not enough data").any()
    return Told.of(records(matrix.table), str(matrix), code=NOT_ENOUGH if open_ else 0)
