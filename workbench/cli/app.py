"""The application: options before the verb, and what becomes of faults."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

import workbench as wb
from workbench.cli import (
    calls,
    corpora,
    decisions,
    evaluating,
    governing,
    project,
    recognizing,
    serving,
    training,
)
from workbench.cli.verbs import EXIT_CODES, FAULT, choose_workspace
from workbench.machine import child_environment

app = typer.Typer(
    name="workbench",
    help="Adaptation workbench for Nemotron 3.5 ASR: curate, stream, fine-tune, analyze errors, release.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
ROOMS = (project, corpora, calls, decisions, training, recognizing, evaluating, governing, serving)
"""Files of verbs, in the order of ``workbench --help``."""

for room in ROOMS:
    app.registered_commands += room.group.registered_commands


def _version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"{wb.__version__}\n")
        raise typer.Exit


@app.callback()
def options(
    workspace: Annotated[
        str | None, typer.Option(help="Folder; default WORKBENCH_WORKSPACE, then ./workspace.")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Say the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options that stand before the verb."""
    choose_workspace(workspace)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    os.environ.update(child_environment())  # for this process too: torch is not loaded yet
    try:
        code = app(list(arguments) if arguments is not None else None, standalone_mode=False)
        return code if isinstance(code, int) else 0
    except wb.WorkbenchError as error:
        sys.stderr.write(f"workbench: {error}\n")
    except typer.Abort:
        return 130
    except TyperException as error:  # an option or argument that cannot be read
        said = error.format_message() if isinstance(error, typer.BadParameter) else str(error)
        sys.stderr.write(f"workbench: {said} See workbench VERB --help.\n")
    except KeyboardInterrupt:
        return 130
    except Exception:
        # 1 says that a gate failed or the like: a fault that nobody explained must not say so.
        logging.exception("workbench broke")
    return FAULT
