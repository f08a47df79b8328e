"""Verbs of serving: how many streams a machine holds, which look-ahead to choose, what callers' logs say."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Annotated, Literal

import typer

import workbench as wb
from workbench.cli.recognizing import Runtime
from workbench.cli.verbs import (
    NOT_PASSED,
    CheckpointName,
    CorpusName,
    LookaheadsMs,
    Told,
    Where,
    numbers,
    verb,
    view,
    workspace,
)
from workbench.deployment.package import Package
from workbench.deployment.server import PORT, command
from workbench.plain_values import records

ROOM = "Serving"
group = typer.Typer()
Chart = Annotated[Path | None, typer.Option(help="Write the chart as a page of its own.")]


@verb(group, "capacity", room=ROOM)
def capacity(
    corpus: CorpusName,
    checkpoint: Annotated[
        str | None, typer.Argument(help="Its name, a run's, a .nemo path or a hub name; none with --server.")
    ] = None,
    where: Where = None,
    name: Annotated[str | None, typer.Option(help="Of the sweep; the checkpoint's by default.")] = None,
    server: Annotated[str | None, typer.Option(help="Drive a running server: ws://127.0.0.1:6006.")] = None,
    package: Annotated[Path | None, typer.Option(help="That the server serves, for its padding.")] = None,
    leaving: Annotated[int, typer.Option(help="Callers of a server that hang up half way.")] = 0,
    slow_readers: Annotated[int, typer.Option(help="Callers of a server that read late.")] = 0,
    budget_ms: Annotated[
        float | None, typer.Option(help="Last text after the audio, 95th percentile.")
    ] = None,
    streams: Annotated[str, typer.Option(help="The grid, with commas; none: the search alone.")] = "1,2,4,8",
    lookaheads_ms: LookaheadsMs = None,
    repeats: Annotated[int, typer.Option(help="Of every measurement.")] = 3,
    ceiling: Annotated[int, typer.Option(help="No more streams than these are tried.")] = 512,
    call_s: Annotated[float, typer.Option(help="Length of a call.")] = 6.0,
    background_load: Annotated[int, typer.Option(help="Processes of other load meanwhile.")] = 0,
    memory_sessions: Annotated[
        str, typer.Option(help="Open sessions at which memory is taken, with commas; none: no memory.")
    ] = "8,24,48,72,96",
    threads: Annotated[int | None, typer.Option(help="Of torch.")] = None,
    runtime: Runtime = "auto",
    chart: Chart = None,
) -> Told:
    """How many paced streams this machine serves. Exit code 1: it was cut off; what was measured is kept."""
    ws = workspace()
    if server is not None:
        driven = ws.server_capacity(
            server, view(corpus, where), package=package, budget_ms=budget_ms,
            streams=numbers(streams, int) or (1,), repeats=repeats, call_s=call_s, leaving=leaving,
            slow_readers=slow_readers, name=name or "server",
        )  # fmt: skip
        return Told.of(driven.to_dict(), *driven.lines(), str(ws.capacity_path(name or "server")))
    if checkpoint is None:
        raise wb.WorkbenchError("no checkpoint", hint="Name one, or drive a server: --server ws://HOST:PORT.")
    found = ws.capacity(
        checkpoint, view(corpus, where), budget_ms=budget_ms, streams=numbers(streams, int) or (),
        lookaheads_ms=numbers(lookaheads_ms, int), repeats=repeats, ceiling=ceiling, call_s=call_s,
        background_load=background_load, memory_sessions=numbers(memory_sessions, int) or (), threads=threads,
        runtime=runtime, name=name,
    )  # fmt: skip
    if chart is not None:
        found.chart().write_html(chart)
    guesses = [
        "extrapolated, not measured: {lookahead_ms} ms, {what}: {streams} ({because})".format(**guess)
        for guess in found.extrapolations()
    ]
    lines = [found.answer, *found.lines(), *guesses, str(ws.capacity_path(name or checkpoint))]
    return Told.of(found.to_dict(), *lines, code=0 if found.status == "complete" else NOT_PASSED)


@verb(group, "choose-lookahead", room=ROOM)
def choose_lookahead(
    corpus: CorpusName,
    predictions: Annotated[list[str], typer.Argument(help="Streamed predictions, one per look-ahead.")],
    where: Where = None,
    measured: Annotated[str | None, typer.Option(help="Name of a capacity sweep.")] = None,
    latency_p95_s: Annotated[float | None, typer.Option(help="Budget of word latency.")] = None,
    streams: Annotated[int | None, typer.Option(help="That one machine must hold.")] = None,
    chart: Chart = None,
) -> Told:
    """Error rate, latency and streams per locale and look-ahead, with the setting for a budget."""
    sweep = workspace().measured_capacity(measured) if measured else None
    scored = wb.evaluate(view(corpus, where), *predictions, by=("target_lang",))
    found = wb.choose_lookahead(scored, sweep, latency_p95_s=latency_p95_s, streams=streams)
    if chart is not None:
        found.chart().write_html(chart)
    return Told.of(records(found.table), str(found), *found.sentences())


@verb(group, "field", room=ROOM)
def field(
    logs: Annotated[list[str], typer.Argument(help="JSON-lines files of production, or folders of them.")],
    baseline_weeks: Annotated[int, typer.Option(help="Whole weeks that the others are held against.")] = 6,
    release: Annotated[
        str | None, typer.Option(help="Whose calls; default: the last that the log names.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the report (HTML, and JSON beside it).")] = None,
    propose: Annotated[Path | None, typer.Option(help="Write a manifest of calls to listen to.")] = None,
    per_alarm: Annotated[int, typer.Option(help="Calls proposed for each alarm at most.")] = 50,
) -> Told:
    """Hold production logs against the release's own first weeks. Exit code 1: there is drift."""
    found = workspace().field_log(
        [Path(path) for path in logs], baseline_weeks=baseline_weeks, release=release
    )
    lines = [*found.problem_lines(), *found.alarms["sentence"].tolist()]
    if report is not None:
        lines.append(str(found.write(report)))
    if propose is not None:
        calls = found.propose(per_alarm=per_alarm)
        calls.write(propose)
        lines += [str(calls), str(propose)]
    return Told.of(found.to_dict(), *(lines or ["no drift"]), code=NOT_PASSED if len(found.alarms) else 0)


@verb(group, "export-model", room=ROOM)
def export_model(
    checkpoint: CheckpointName,
    out: Annotated[Path, typer.Option(help="Folder, new or empty.")],
    to: Annotated[Literal["onnx", "sherpa-onnx", "transformers"], typer.Option(help="The runtime.")] = "onnx",
    lookaheads_ms: LookaheadsMs = None,
    precision: Annotated[Literal["fp32", "int8"], typer.Option(help="Of the weights.")] = "fp32",
) -> Told:
    """Write a checkpoint as packages that a runtime serves: one a look-ahead for sherpa-onnx."""
    wanted: tuple[int | None, ...] = tuple(numbers(lookaheads_ms, int) or ()) or (None,)
    packages = [
        workspace().export_model(
            checkpoint, out / f"{lookahead_ms}ms" if len(wanted) > 1 else out, to=to,
            lookahead_ms=lookahead_ms, precision=precision,
        )
        for lookahead_ms in wanted
    ]  # fmt: skip
    return Told.of({"packages": [str(one.path) for one in packages]}, *(str(one.path) for one in packages))


@verb(group, "served", room=ROOM)
def served(
    package: Annotated[Path, typer.Argument(help="Folder of export-model.")],
    corpus: CorpusName,
    checkpoint: CheckpointName,
    name: Annotated[str, typer.Argument(help="Of the two predictions that are kept.")],
    where: Where = None,
    suite: Annotated[bool, typer.Option(help="CORPUS names a test suite: all its clips.")] = False,
    lookahead_ms: Annotated[
        int | None, typer.Option(help="Of a package that serves several; default: its own.")
    ] = None,
) -> Told:
    """Read a corpus or a suite with the runtime that serves, beside what was measured in torch."""
    spoken = corpus if suite else view(corpus, where)
    found = workspace().served(package, spoken, checkpoint, name, lookahead_ms=lookahead_ms)
    return Told.of(found.to_dict(), *found.lines())


@verb(group, "tune-package", room=ROOM)
def tune_package(
    package: Annotated[Path, typer.Argument(help="Folder of export-model, for sherpa-onnx.")],
    corpus: CorpusName,
    checkpoint: CheckpointName,
    where: Where = None,
    paddings_ms: Annotated[
        str, typer.Option(help="Silence before the audio to try, with commas.")
    ] = "0,80,160,240,320,400",
) -> Told:
    """Find the silence that a package wants before the audio, and write it into the package."""
    found = workspace().tune_package(
        package, view(corpus, where), checkpoint, paddings_ms=numbers(paddings_ms, int) or ()
    )
    return Told.table(found.table, str(found))


@verb(group, "serve-model", room=ROOM)
def serve_model(
    package: Annotated[Path, typer.Argument(help="Folder of export-model, for sherpa-onnx.")],
    port: Annotated[int, typer.Option(help="Of TCP.")] = PORT,
    threads: Annotated[int, typer.Option(help="That decode.")] = 1,
    batch: Annotated[int, typer.Option(help="Most streams decoded as one.")] = 16,
) -> Told:
    """Run sherpa-onnx's websocket server on a package, until interrupted. It listens on every interface."""
    called = command(Package.open(package), port=port, threads=threads, batch=batch)
    typer.echo(" ".join(called), err=True)
    ended = subprocess.run(called)
    return Told.of({"command": called, "exit": ended.returncode}, code=ended.returncode)
