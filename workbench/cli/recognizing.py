"""Verbs of the recognizer: checkpoints and transcripts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from workbench.cli.verbs import (
    NOT_PASSED,
    Address,
    CheckpointName,
    CorpusName,
    Engine,
    LookaheadMs,
    LookaheadsMs,
    Told,
    Where,
    numbers,
    verb,
    view,
    workspace,
)
from workbench.plain_values import records

ROOM = "Recognition"
group = typer.Typer()
Runtime = Annotated[
    Literal["auto", "torch", "onnx", "onnx-int8"], typer.Option(help="What runs the network.")
]
PromptMode = Annotated[Literal["langID", "auto"], typer.Option(help="The row's tag as prompt, or detection.")]


@verb(group, "checkpoints", room=ROOM)
def checkpoints() -> Told:
    """The checkpoints of the workspace."""
    ws = workspace()
    found = {name: ws.checkpoint(name) for name in ws.checkpoint_names()}
    data = {name: {"sha256": one.sha256, **one.info.to_dict()} for name, one in found.items()}
    return Told.of(data, *(f"{name}: {one!r}" for name, one in found.items()))


@verb(group, "add-checkpoint", room=ROOM)
def add_checkpoint(
    name: Annotated[str, typer.Argument(help="Under which it is kept.")],
    source: Annotated[str, typer.Argument(help="A .nemo file.")],
) -> Told:
    """Copy a checkpoint into the workspace after inspecting it."""
    found = workspace().add_checkpoint(name, source)
    return Told.of({"name": name, "sha256": found.sha256, **found.info.to_dict()}, repr(found))


@verb(group, "transcribe", room=ROOM)
def transcribe(
    corpus: CorpusName,
    checkpoint: CheckpointName,
    name: Annotated[str, typer.Argument(help="Of the prediction.")],
    where: Where = None,
    lookahead_ms: LookaheadMs = None,
    prompt_mode: PromptMode = "langID",
    streaming: Annotated[bool, typer.Option("--streaming", help="Chunk by chunk, as live.")] = False,
    runtime: Runtime = "auto",
    engine: Engine = "local",
    address: Address = None,
) -> Told:
    """Transcribe a corpus with a checkpoint; finished rows are kept when interrupted."""
    made = workspace().transcribe(
        view(corpus, where), checkpoint, name, lookahead_ms=lookahead_ms, prompt_mode=prompt_mode,
        streaming=streaming, runtime=runtime, engine=engine, address=address,
    )  # fmt: skip
    return Told.of(
        {"prediction": name, "utterances": len(made)}, f"{len(made)} utterances transcribed as {name}"
    )


@verb(group, "lookaheads", room=ROOM)
def lookaheads(
    corpus: CorpusName,
    checkpoint: CheckpointName,
    where: Where = None,
    lookaheads_ms: LookaheadsMs = None,
    prompt_mode: PromptMode = "langID",
    report: Annotated[Path, typer.Option(help="The error report to write.")] = Path("report.html"),
    engine: Engine = "local",
    address: Address = None,
) -> Told:
    """Stream a corpus at several look-aheads, score each, write the error report."""
    scored = workspace().evaluate_lookaheads(
        view(corpus, where), checkpoint, numbers(lookaheads_ms, int), prompt_mode=prompt_mode, engine=engine,
        address=address,
    )  # fmt: skip
    return Told.table(scored.tradeoff(), str(scored.report(report)))


@verb(group, "keyword-boost", room=ROOM)
def keyword_boost(
    corpus: CorpusName,
    checkpoint: CheckpointName,
    keywords: Annotated[str, typer.Argument(help="A CSV file with a column keyword, or words with commas.")],
    where: Where = None,
    weight: Annotated[float, typer.Option(help="Of the list.")] = 1.0,
    lookahead_ms: LookaheadMs = None,
) -> Told:
    """What a keyword list gains: recall, precision and F1 without and with it."""
    listed = keywords if Path(keywords).is_file() else keywords.split(",")
    found = workspace().keyword_boost(
        view(corpus, where), checkpoint, listed, weight=weight, lookahead_ms=lookahead_ms
    )
    return Told.of(records(found.gains), str(found), *map(str, found.problems))


@verb(group, "conditions", room=ROOM)
def conditions(
    corpus: CorpusName,
    checkpoint: CheckpointName,
    where: Where = None,
    name: Annotated[str | None, typer.Option(help="Of the sweep; the checkpoint's by default.")] = None,
    snr_db: Annotated[
        str, typer.Option(help="Speech to noise, with commas, besides none added; 'none' alone: no noise.")
    ] = "20,10,5,0",
    bands: Annotated[str, typer.Option(help="With commas: wide,telephone.")] = "wide,telephone",
    noise: Annotated[Literal["white", "pink", "street"], typer.Option(help="Which.")] = "street",
    lookahead_ms: LookaheadMs = None,
    prompt_mode: PromptMode = "langID",
    runtime: Runtime = "auto",
    chart: Annotated[Path | None, typer.Option(help="Write the chart as a page of its own.")] = None,
    engine: Engine = "local",
    address: Address = None,
) -> Told:
    """Errors, empty outputs and punctuation by noise and band, per locale. Exit code 1: it was cut off."""
    found = workspace().conditions(
        checkpoint, view(corpus, where), snr_db=(None, *(numbers(snr_db, float) or ())),
        bands=tuple(bands.split(",")), noise=noise, lookahead_ms=lookahead_ms, prompt_mode=prompt_mode,
        runtime=runtime, name=name, engine=engine, address=address,
    )  # fmt: skip
    if chart is not None:
        found.chart().write_html(chart)
    code = 0 if found.status == "complete" else NOT_PASSED
    return Told.of(records(found.table.round(3)), str(found), code=code)
