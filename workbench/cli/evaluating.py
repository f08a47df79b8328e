"""Verbs of evaluation: error rates, comparisons, reports."""

from __future__ import annotations

import sys
from collections.abc import Sequence
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
Confidence = Annotated[float, typer.Option(help="Of the intervals: 0.99 for 99 %.")]


Asked = Annotated[str, typer.Argument(help="A corpus; with --suite a test suite.")]
AskedPrediction = Annotated[str, typer.Argument(help="A prediction; with --suite a checkpoint or run.")]
OnSuite = Annotated[
    bool,
    typer.Option("--suite", help="Ask a test suite; what checkpoints have not read of it is transcribed."),
]


def _scored(
    corpus: str, names: Sequence[str], by: Sequence[str], normalizer: str, confidence: float, suite: bool
) -> wb.Evaluation:
    """Predictions of a corpus, or checkpoints on a suite at its first operating point, scored."""
    if not suite:
        found = wb.evaluate(view(corpus, None), *names, by=by, normalizer=normalizer)
        return found.with_settings(confidence=confidence)
    ws = workspace()
    point = ws.suite(corpus).latest.point()
    run = ws.run_suite(corpus, *names, points=[point.name])
    if lacking := run.shortfalls(*names, point=point):
        why = "; ".join(f"{tag}: {', '.join(said)}" for tag, said in list(lacking.items())[:3])
        sys.stderr.write(f"coverage: {why}\n")
    made = run.evaluation(point, names)
    return made.with_settings(by=tuple(by), normalizer=normalizer, confidence=confidence)


def _level(confidence: float) -> str:
    return f"Intervals: {100 * confidence:g} %."


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
    confidence: Confidence = 0.95,
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
    ).with_settings(confidence=confidence)
    tables = {name: scored.rates(name, metric=metric) for name in scored.names}
    lines = [*(str(table) for table in tables.values()), _level(confidence)]
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
    confidence: Confidence = 0.95,
) -> Told:
    """Rate of the candidate minus rate of the base, with intervals: below zero, the candidate is better."""
    scored = wb.evaluate(view(corpus, where), base, candidate, normalizer=normalizer)
    scored = scored.with_settings(confidence=confidence)
    found = scored.compare(base, candidate, by=_columns(by), metric=metric)
    return Told.table(found, _level(confidence))


@verb(group, "fix-first", room=ROOM)
def fix_first(
    corpus: Asked,
    prediction: AskedPrediction,
    where: Where = None,
    normalizer: Normalizer = "basic",
    confidence: Confidence = 0.95,
    suite: OnSuite = False,
) -> Told:
    """Which locale do we fix first? By the errors to expect in the pilot's traffic. Exit code 3: not enough
    data."""
    scored = _scored(corpus, (prediction,), ("target_lang",), normalizer, confidence, suite)
    found = scored.fix_first(prediction, where)
    known = len(found) and found["enough"].iloc[0] != "no"
    return Told.answer(found, _level(confidence), code=0 if known else NOT_ENOUGH)


@verb(group, "better", room=ROOM)
def better(
    corpus: Asked,
    base: Annotated[str, typer.Argument(help="Prediction of the old checkpoint; with --suite itself.")],
    candidate: Annotated[str, typer.Argument(help="Prediction of the new one; with --suite itself.")],
    where: Annotated[
        str | None, typer.Option(help="For whom, such as \"accent = 'es-MX'\"; everybody by default.")
    ] = None,
    normalizer: Normalizer = "basic",
    confidence: Confidence = 0.95,
    suite: OnSuite = False,
) -> Told:
    """Is the new checkpoint better? Exit code: 0 fewer errors, 1 more errors or no clear difference, 3 not
    enough data."""
    scored = _scored(corpus, (base, candidate), ("target_lang",), normalizer, confidence, suite)
    whole = scored.compare(base, candidate, (), where=where)
    said = whole["reading"].iloc[0] if len(whole) else "not enough data"
    code = {"fewer errors": 0, "not enough data": NOT_ENOUGH}.get(said, NOT_PASSED)
    return Told.answer(scored.is_better(base, candidate, where), _level(confidence), code=code)


@verb(group, "more-data", room=ROOM)
def more_data(
    corpus: Asked,
    prediction: AskedPrediction,
    where: Where = None,
    by: By = "target_lang,accent",
    normalizer: Normalizer = "basic",
    confidence: Confidence = 0.95,
    suite: OnSuite = False,
) -> Told:
    """How much more data to judge by? What each slice's figure still needs, most urgent first. Exit code 3:
    some need more. How many hours of training lower the errors: `workbench learning-curve`."""
    scored = _scored(corpus, (prediction,), _columns(by), normalizer, confidence, suite)
    found = scored.more_data(prediction, where=where)
    return Told.answer(found, _level(confidence), code=NOT_ENOUGH if len(found) else 0)


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
    confidence: Confidence = 0.95,
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
    matrix = run.with_settings(confidence=confidence).forgetting(base, point=point)
    open_ = (matrix.table["verdict"] == "not enough data").any()
    return Told.of(records(matrix.table), str(matrix), _level(confidence), code=NOT_ENOUGH if open_ else 0)
