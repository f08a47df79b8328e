"""Verbs of the project: its folder, its notebooks, what is here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import workbench as wb
from workbench import lab, project
from workbench.cli.verbs import Told, verb, workspace

ROOM = "Project"
group = typer.Typer()


@verb(group, "init", room=ROOM)
def init(
    folder: Annotated[Path, typer.Argument(help="The project's folder; made if it is not there.")],
    starter: Annotated[
        bool, typer.Option("--starter/--no-starter", help="Put the starter into the workspace if it is here.")
    ] = True,
) -> Told:
    """Make a project folder: notebooks, a workspace, a .gitignore that keeps recordings out."""
    made = project.make(folder, starter=starter)
    return Told.of(made.to_dict(), *made.lines())


@verb(group, "lab", room=ROOM)
def open_lab(
    port: Annotated[int, typer.Option(help="Another one is taken if somebody listens there.")] = 8888,
) -> Told:
    """Open JupyterLab on the notebooks here; on this machine only, with a token. Ctrl-C stops it."""
    code = lab.lab(port)
    return Told.of({"exit_code": code}, "JupyterLab has stopped.", code=code)


@verb(group, "notebooks", room=ROOM)
def notebooks(
    names: Annotated[list[str] | None, typer.Argument(help="Only these, such as 01_curate.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the HTML and for a fresh workspace.")] = Path(
        "build/notebooks"
    ),
) -> Told:
    """Run the notebooks headless, in order, and write HTML."""
    pages = lab.run_notebooks(out, list(names or ()))
    return Told.of([str(page) for page in pages], *map(str, pages))


@verb(group, "status", room=ROOM)
def status() -> Told:
    """What is in the workspace, what works on this machine, whether retraining is due."""
    ws = workspace()
    found, due = ws.overview(), ws.retraining_status()
    reasons = list(due.due) if due else []
    data = {
        "workspace": ws.path,
        "corpora": ws.corpus_names(),
        "checkpoints": ws.checkpoint_names(),
        "runs": ws.run_names(),
        "retraining_due": reasons,
    }
    return Told.of(data, repr(found), *(f"retraining is due: {reason}" for reason in reasons))


@verb(group, "starter", room=ROOM)
def put_starter() -> Told:
    """Put the starter's recordings and checkpoint into the workspace."""
    ws = wb.starter(workspace().path)
    return Told.of({"workspace": ws.path}, f"starter in {ws.path}")
