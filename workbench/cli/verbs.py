"""How a verb is made: its options, what it tells, ``--json``, and the exit code."""

from __future__ import annotations

import functools
import inspect
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

import workbench as wb
from workbench.plain_values import as_json, plain, records

if TYPE_CHECKING:
    import pandas as pd

DONE, NOT_PASSED, FAULT, NOT_ENOUGH = 0, 1, 2, 3
EXIT_CODES = (
    "Exit codes: 0 done; 1 done, but what was asked about did not hold (a gate failed, a run did not finish, "
    "a ledger is broken); 2 a fault, said in one line on stderr; 3 not enough data to judge; 130 interrupted."
)
Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Told:
    """What a verb has to say: ``data`` for ``--json``, ``lines`` for people, and the exit code."""

    data: Any
    lines: tuple[str, ...] = ()
    code: int = DONE

    @classmethod
    def of(cls, data: Any, *lines: str, code: int = DONE) -> Told:
        """Data with the lines that say it; without lines the data are shown as they are."""
        return cls(plain(data), lines, code)

    @classmethod
    def table(cls, frame: pd.DataFrame, *lines: str, code: int = DONE) -> Told:
        """A table, and lines below it; one that opens with its answer is printed as it shows itself."""
        own = str(frame) if hasattr(frame, "sentence") else frame.to_string(index=False)
        return cls(records(frame), (own if len(frame) else "nothing", *lines), code)

    @classmethod
    def answer(cls, frame: Any, *lines: str, code: int = DONE) -> Told:
        """A question's answer: its sentence, then at most six columns; all of both for ``--json``.

        Args:
            frame: a table that opens with its answer, such as ``Evaluation.fix_first`` gives.
            lines: below it.
        """
        return cls({"answer": frame.sentence, "rows": records(frame)}, (str(frame), *lines), code)


def verb(group: typer.Typer, name: str, *, room: str) -> Callable[[Function], Function]:
    """Register a function as a verb.

    Args:
        group: the application.
        name: as it is typed.
        room: the heading in ``workbench --help`` that it stands under.

    The function returns :class:`Told`; ``--json`` is added to its options. Its docstring is the help.
    """

    def mark(function: Function) -> Function:
        found = inspect.signature(function, eval_str=True)
        asked = inspect.Parameter(
            "as_json_",
            inspect.Parameter.KEYWORD_ONLY,
            default=False,
            annotation=Annotated[bool, typer.Option("--json", help="Print JSON.")],
        )

        @functools.wraps(function)
        def run(*args: Any, as_json_: bool = False, **kwargs: Any) -> None:
            told = function(*args, **kwargs)
            _print(told, as_json_)
            raise typer.Exit(told.code)

        run.__signature__ = found.replace(parameters=[*found.parameters.values(), asked])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in run.__signature__.parameters.values()}  # type: ignore[attr-defined]
        group.command(name, rich_help_panel=room, epilog=EXIT_CODES)(run)
        return function

    return mark


def _print(told: Told, as_json_: bool) -> None:
    if as_json_:
        sys.stdout.write(as_json(told.data) + "\n")
        return
    for line in told.lines or (json.dumps(told.data, ensure_ascii=False),):
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


_chosen: dict[str, str | None] = {"workspace": None}


def choose_workspace(path: str | None) -> None:
    """Which folder the verbs of this call work in; None: ``WORKBENCH_WORKSPACE``, then ``./workspace``."""
    _chosen["workspace"] = path


def workspace() -> wb.Workspace:
    """The workspace of this call."""
    return wb.Workspace(_chosen["workspace"])


def view(corpus: str, where: str | None) -> wb.Corpus:
    """A corpus, or the part of it that an expression leaves."""
    found = workspace().corpus(corpus)
    return found.where(where) if where else found


def numbers(text: str | None, kind: type[Any]) -> list[Any] | None:
    """A list written with commas: ``80,560``; None where nothing was written, [] for an empty text or 'none'.

    Raises:
        typer.BadParameter: something else than numbers.
    """
    if text is None:
        return None
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if parts == ["none"]:
        return []
    try:
        return [kind(part) for part in parts]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no list of numbers such as 80,560") from None


def pairs(given: Iterable[str] | None) -> dict[str, str]:
    """Options written ``key=value`` as a dict.

    Raises:
        typer.BadParameter: one without ``=``.
    """
    found = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{text!r} is not key=value")
        found[key.strip()] = value.strip()
    return found


CorpusName = Annotated[str, typer.Argument(help="Name of a corpus.")]
CheckpointName = Annotated[
    str, typer.Argument(help="A checkpoint or run of the workspace, a .nemo path, a hub name.")
]
Where = Annotated[str | None, typer.Option(help="Only utterances that this SQL expression is true for.")]
Reviewer = Annotated[str | None, typer.Option(help="Whose decision it is; the current user by default.")]
Engine = Annotated[Literal["local", "ray"], typer.Option(help="Where; ray needs the extra cluster.")]
Address = Annotated[str | None, typer.Option(help="Of a Ray cluster: host:6379, ray://host:10001, auto.")]
LookaheadMs = Annotated[int | None, typer.Option(help="One of the checkpoint's; its default if left out.")]
LookaheadsMs = Annotated[
    str | None, typer.Option(help="With commas: 80,560. Default: all of the checkpoint's.")
]
