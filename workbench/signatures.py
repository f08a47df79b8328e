"""Public calls that say what they take: a misspelled keyword is a ``TypeError`` that names the nearest one.

Python's own message suggests none. A call that passed keywords on could swallow one: an export once wrote a
speaker's name because ``pseudonymise=True`` was taken for an option of the format.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any, TypeVar

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


_EXPLAINERS: list[Callable[[Exception], Exception]] = [lambda error: error]


def explain_with(explained: Callable[[Exception], Exception]) -> None:
    """What public calls raise instead of an error that nobody explained nearer to its cause.

    Args:
        explained: gives the error that is raised; the same one where it may pass.
    """
    _EXPLAINERS.append(explained)


def public(target: T) -> T:
    """Mark a function, or a class with its public methods, as public: its keywords are checked, and it raises
    WorkbenchError, TypeError for misuse, or KeyboardInterrupt; what else went wrong becomes a WorkbenchError
    of one line, with the cause behind it.

    Args:
        target: a function or a class, its properties with it. Inherited methods are checked where their own
            class is marked.
    """
    if inspect.isclass(target):
        for name, member in list(vars(target).items()):
            if name.startswith("_") and name not in ("__init__", "__len__"):
                continue
            if isinstance(member, classmethod | staticmethod):
                setattr(target, name, type(member)(_checked(member.__func__)))
            elif isinstance(member, property) and member.fget is not None:
                made = property(_checked(member.fget), member.fset, member.fdel, member.__doc__)
                setattr(target, name, made)
            elif inspect.isfunction(member):
                setattr(target, name, _checked(member))
        return target
    return _checked(target)  # type: ignore[type-var]


def takes_fields(kind: Any, *, without: Iterable[str] = ()) -> Callable[[F], F]:
    """Let ``**changes`` of a function be the fields of a dataclass: named in its signature, and checked.

    Args:
        kind: the dataclass; ``help`` shows its fields with types, all of them *unchanged* unless named.
        without: fields that the function takes by a name of its own, or not at all.
    """

    def mark(function: F) -> F:
        found = inspect.signature(function)
        own = [p for p in found.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        taken = {p.name for p in own} | set(without)
        added = [
            inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, annotation=f.type, default=UNCHANGED)
            for f in fields(kind)
            if f.name not in taken
        ]
        # the mark of a public class checks the method already, but lets any keyword through
        plain: F = inspect.unwrap(function)
        checked = _checked(plain, [*(p.name for p in own), *(p.name for p in added)])
        checked.__signature__ = found.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
        return checked

    return mark


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a name that does not exist: the nearest one, or all of them."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"Did you mean {near[0]}?" if near else f"Known: {', '.join(names) or 'none'}."


class _AsItIs:
    def __repr__(self) -> str:
        return "unchanged"


UNCHANGED = _AsItIs()
"""Shown as the default of a field that stays as it is unless named."""


def _checked(function: F, known: Iterable[str] | None = None) -> F:
    if getattr(function, "_keywords_checked", False):
        return function
    open_ended = False
    if known is None:
        parameters = inspect.signature(function).parameters.values()
        open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
        known = [
            p.name
            for p in parameters
            if p.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        ]
    names = frozenset(known)
    listed = [name for name in known if name not in ("self", "cls")]

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs and not open_ended and not kwargs.keys() <= names:
            unknown = next(name for name in kwargs if name not in names)
            made = function.__name__ == "__init__" and args
            label = type(args[0]).__name__ if made else function.__qualname__
            raise TypeError(f"{label}() has no argument {unknown!r}. {nearest(unknown, listed)}")
        try:
            return function(*args, **kwargs)
        except Exception as error:
            told = _EXPLAINERS[-1](error)
            if told is error:
                raise
            raise told from error

    call._keywords_checked = True  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]
