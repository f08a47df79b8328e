"""Verbs of review: decide on the rows that an expression finds; every decision can be undone."""

from __future__ import annotations

from typing import Annotated

import typer

from workbench.cli.verbs import NOT_PASSED, CorpusName, Reviewer, Told, Where, verb, view, workspace

ROOM = "Review"
group = typer.Typer()


def _decided(what: str, count: int) -> Told:
    return Told.of({what: count}, f"{count} {what}")


@verb(group, "accept", room=ROOM)
def accept(corpus: CorpusName, where: Where = None, reviewer: Reviewer = None) -> Told:
    """Accept every row found."""
    return _decided("accepted", view(corpus, where).accept(reviewer=reviewer))


@verb(group, "reject", room=ROOM)
def reject(
    corpus: CorpusName,
    reason: Annotated[str, typer.Argument(help="Why; it is kept with the decision.")],
    where: Where = None,
    reviewer: Reviewer = None,
) -> Told:
    """Reject every row found."""
    return _decided("rejected", view(corpus, where).reject(reason, reviewer=reviewer))


@verb(group, "edit", room=ROOM)
def edit(
    corpus: CorpusName,
    field: Annotated[str, typer.Argument(help="Such as text, target_lang or split.")],
    value: Annotated[str, typer.Argument(help="The new value of every row found.")],
    where: Where = None,
    reviewer: Reviewer = None,
) -> Told:
    """Change a field of every row found."""
    return _decided("changed", view(corpus, where).edit(field, value, reviewer=reviewer))


@verb(group, "tag", room=ROOM)
def tag(
    corpus: CorpusName,
    name: Annotated[str, typer.Argument(help="Of the tag.")],
    where: Where = None,
    reviewer: Reviewer = None,
) -> Told:
    """Tag every row found."""
    return _decided("tagged", view(corpus, where).tag(name, reviewer=reviewer))


@verb(group, "undo", room=ROOM)
def undo(corpus: CorpusName, reviewer: Reviewer = None) -> Told:
    """Take back the reviewer's latest decision. Exit code 1: there is none."""
    return _switched(workspace().corpus(corpus).decisions.undo(reviewer=reviewer), "undone")


@verb(group, "redo", room=ROOM)
def redo(corpus: CorpusName, reviewer: Reviewer = None) -> Told:
    """Bring back what the reviewer last undid. Exit code 1: there is nothing to redo."""
    return _switched(workspace().corpus(corpus).decisions.redo(reviewer=reviewer), "redone")


def _switched(found: object, what: str) -> Told:
    if found is None:
        return Told.of({what: 0}, f"nothing {what}", code=NOT_PASSED)
    clips = getattr(found, "clips", 0)
    return Told.of({what: clips}, f"{what}: {getattr(found, 'action', 'decision')} of {clips} clips")
