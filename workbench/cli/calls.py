"""Verbs from raw calls to references: cut, align, draft, agreement, personal data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from workbench.cli.verbs import (
    Address,
    CheckpointName,
    CorpusName,
    Engine,
    Told,
    Where,
    verb,
    view,
    workspace,
)
from workbench.plain_values import records
from workbench.reading import read_text

ROOM = "Raw calls"
group = typer.Typer()
NewName = Annotated[str, typer.Argument(help="Of the corpus that is made.")]
Prediction = Annotated[str, typer.Argument(help="Whose word times are used.")]
Names = Annotated[Path | None, typer.Option(help="A file of names, one a line, that are personal data.")]
LongestS = Annotated[float, typer.Option(help="Longest utterance in seconds.")]
SilenceS = Annotated[float, typer.Option(help="A pause in seconds that ends an utterance.")]


@verb(group, "segment", room=ROOM)
def segment(
    corpus: CorpusName,
    name: NewName,
    where: Where = None,
    shortest_s: Annotated[float, typer.Option(help="Less speech in seconds is no utterance.")] = 0.3,
    longest_s: LongestS = 20.0,
    silence_s: SilenceS = 0.5,
    padding_s: Annotated[float, typer.Option(help="Seconds kept before and after.")] = 0.4,
    threshold: Annotated[float, typer.Option(help="Probability from which on it is speech.")] = 0.35,
    locale: Annotated[str | None, typer.Option(help="Of recordings that state none.")] = None,
    engine: Engine = "local",
    address: Address = None,
) -> Told:
    """Cut long recordings into utterances by voice activity, channel by channel; a stopped call goes on."""
    made = workspace().segment(
        view(corpus, where), name, shortest_s=shortest_s, longest_s=longest_s, silence_s=silence_s,
        padding_s=padding_s, threshold=threshold, locale=locale, engine=engine, address=address,
    )  # fmt: skip
    return _made(made)


@verb(group, "align", room=ROOM)
def align(
    corpus: CorpusName,
    name: NewName,
    prediction: Prediction,
    where: Where = None,
    longest_s: LongestS = 20.0,
    silence_s: SilenceS = 0.5,
    least_confidence: Annotated[float, typer.Option(help="Utterances of less are left out.")] = 0.0,
    checkpoint: Annotated[str | None, typer.Option(help="That aligns; the prediction's by default.")] = None,
    engine: Engine = "local",
    address: Address = None,
) -> Told:
    """Lay the known transcripts of long recordings onto them: utterances with a confidence. A stopped call
    goes on."""
    made = workspace().align(
        view(corpus, where), name, prediction, checkpoint=checkpoint, longest_s=longest_s,
        silence_s=silence_s, least_confidence=least_confidence, engine=engine, address=address,
    )  # fmt: skip
    return _made(made)


@verb(group, "draft", room=ROOM)
def draft(
    corpus: CorpusName,
    checkpoint: CheckpointName,
    second: Annotated[str | None, typer.Option(help="Another, to find where two disagree.")] = None,
    where: Where = None,
    name: Annotated[str, typer.Option(help="Of the prediction that holds the drafts.")] = "draft",
    engine: Engine = "local",
    address: Address = None,
) -> Told:
    """Draft transcripts; no row has a transcript by it before somebody accepts or corrects the draft."""
    made = workspace().draft(
        view(corpus, where), checkpoint, second, name=name, engine=engine, address=address
    )
    waiting = made.queue()
    return Told.of(
        {"drafts": name, "waiting": len(waiting)}, f"{made!r}, {len(waiting):,} wait for a reviewer"
    )


@verb(group, "agreement", room=ROOM)
def agreement(corpus: CorpusName, where: Where = None) -> Told:
    """How far reviewers agree, by locale and pair: word errors between transcripts, kappa on accepting."""
    found = workspace().agreement(view(corpus, where))
    return Told.of({"rows": records(found)}, found.to_string(index=False))


@verb(group, "personal-data", room=ROOM)
def personal_data(
    corpus: CorpusName, prediction: Prediction, names: Names = None, where: Where = None
) -> Told:
    """Listed names, numbers, e-mail and payment cards in transcripts and drafts. It finds nothing else."""
    found = workspace().personal_data(view(corpus, where), prediction, _names(names))
    counts = {str(kind): int(count) for kind, count in found["kind"].value_counts().items()}
    return Told.of({"spans": records(found)}, ", ".join(f"{k}: {n}" for k, n in counts.items()) or "none")


@verb(group, "bleep", room=ROOM)
def bleep(
    corpus: CorpusName,
    name: NewName,
    prediction: Prediction,
    names: Names = None,
    where: Where = None,
    action: Annotated[Literal["bleep", "drop"], typer.Option(help="A tone, or the clip left out.")] = "bleep",
    engine: Engine = "local",
    address: Address = None,
) -> Told:
    """Copy utterances, a tone in the place of personal data, its words out of the transcript. A stopped call
    goes on."""
    made = workspace().bleep(
        view(corpus, where), name, prediction, _names(names), action=action, engine=engine, address=address
    )
    return _made(made)


def _names(path: Path | None) -> list[str]:
    lines = [] if path is None else read_text(path, "list of names").splitlines()
    return [line.strip() for line in lines if line.strip()]


def _made(corpus: Any) -> Told:
    problems = [str(problem) for problem in corpus.problems]
    data = {"corpus": corpus.name, "utterances": len(corpus), "problems": problems}
    return Told.of(data, repr(corpus), *problems[:5])
