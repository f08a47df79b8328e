"""YAML and JSON that people and checkpoints bring: plain values only, read within limits of size and depth.

A file is read once, from a regular file (a pipe or a device would wait for ever), and parsed event by event
on a stack of our own: no anchor, alias, merge, tag or repeated key is taken, so a small file stays a small
value, and nothing recurses. Scalars mean what they mean to OmegaConf, which writes and reads NeMo's
configurations: YAML 1.1 with ``1e-5`` as a number and dates as text.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from workbench.errors import WorkbenchError, one_line

MAX_NUMBER_CHARACTERS = 64
"""Of a number in a YAML file; longer ones would take time with the square of their length."""
_PARSER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_NOTHING: Any = object()
_FLOAT = r"""^(?:
 [-+]?[0-9]+(?:_[0-9]+)*\.[0-9_]*(?:[eE][-+]?[0-9]+)?
|[-+]?[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+)
|\.[0-9]+(?:_[0-9]+)*(?:[eE][-+][0-9]+)?
|[-+]?[0-9]+(?:_[0-9]+)*(?::[0-5]?[0-9])+\.[0-9_]*
|[-+]?\.(?:inf|Inf|INF)
|\.(?:nan|NaN|NAN))$"""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one file: ``size`` in bytes, ``nodes`` (keys, values, lists and mappings), ``depth`` of nesting."""

    size: int = 1 << 20
    nodes: int = 50_000
    depth: int = 32


SETTINGS = Limits()
"""For what people write: recipes, policies, roles."""


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading, if it is a regular one: a pipe, device or folder is refused, not waited for.

    Raises:
        WorkbenchError: no such file, no permission, or not a regular file.
    """
    try:
        # Without O_NONBLOCK, opening a pipe waits for its writer.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise WorkbenchError(error.strerror or "cannot be opened", where=str(path)) from None
    except ValueError as error:
        raise WorkbenchError("no file can have this name", where=str(path)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise WorkbenchError("not a regular file", where=str(path), hint="Give a file, no pipe or device.")
    return os.fdopen(descriptor, "rb")


def read_bytes(path: Path, limit: int) -> bytes:
    """The bytes of a regular file of at most ``limit`` bytes.

    Raises:
        WorkbenchError: as :func:`open_regular`, larger than that, or not readable.
    """
    with open_regular(path) as file:
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise WorkbenchError(error.strerror or "cannot be read", where=str(path)) from None
    if len(data) > limit:
        raise WorkbenchError(f"larger than {limit:,} bytes", where=str(path))
    return data


def read_yaml(path: Path, limits: Limits = SETTINGS) -> Any:
    """The plain value in a YAML file; None where it is empty.

    Raises:
        WorkbenchError: as :func:`read_bytes` and :func:`parse_yaml`.
    """
    return parse_yaml(read_bytes(path, limits.size), where=str(path), limits=limits)


def parse_yaml(text: str | bytes, *, where: str = "", limits: Limits = SETTINGS) -> Any:
    """The plain value of one YAML document; None where it is empty.

    Args:
        text: bytes are UTF-8.
        where: named in the error.

    Raises:
        WorkbenchError: not YAML, beyond a limit, more than one document, or it has an anchor, an alias, a
            merge key, a tag, or a key twice.
    """
    tree = _Tree(where, limits)
    try:
        plain = text.decode("utf-8-sig") if isinstance(text, bytes) else text
        if len(plain) > limits.size:
            raise tree.refusal(f"it is larger than {limits.size:,} bytes")
        for event in yaml.parse(plain, Loader=_PARSER):
            tree.take(event)
    except UnicodeError:
        raise tree.refusal("it is not UTF-8 text") from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, WorkbenchError):
            raise
        raise tree.refusal(f"not valid YAML: {one_line(str(error), limit=160)}") from None
    return None if tree.root is _NOTHING else tree.root


def parse_json(text: str | bytes, *, where: str = "") -> Any:
    """The value of a JSON text.

    Raises:
        WorkbenchError: not JSON, nested too deeply, or with a number of too many digits.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise WorkbenchError("not plain JSON: nested too deeply", where=where) from None
    except (ValueError, OverflowError) as error:
        raise WorkbenchError(f"not valid JSON: {one_line(str(error), limit=160)}", where=where) from None


class _Resolver(yaml.resolver.Resolver):
    """Which plain scalar is a number, as OmegaConf reads it."""


_Resolver.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(_FLOAT, re.X), list("-+0123456789."))
_CORE = "tag:yaml.org,2002:"
_RESOLVER: Any = _Resolver()
_CONSTRUCTOR = yaml.constructor.SafeConstructor()
_NUMBERS: dict[str, Callable[[yaml.ScalarNode], Any]] = {
    f"{_CORE}int": _CONSTRUCTOR.construct_yaml_int,
    f"{_CORE}float": _CONSTRUCTOR.construct_yaml_float,
}


class _Tree:
    """The value that grows from a parser's events."""

    def __init__(self, where: str, limits: Limits) -> None:
        self.where, self.limits = where, limits
        self.root: Any = _NOTHING
        self.stack: list[list[Any] | dict[Any, Any]] = []
        self.keys: list[Any] = []
        """Of each container on the stack: the key that waits for its value."""
        self.nodes = self.documents = 0

    def refusal(self, what: str) -> WorkbenchError:
        hint = "Plain YAML is read: no anchors, tags or keys that repeat."
        return WorkbenchError(what, where=self.where, hint=hint)

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.NodeEvent):
            self.nodes += 1
            if self.nodes > self.limits.nodes:
                raise self.refusal(f"it holds more than {self.limits.nodes:,} values")
            if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
                raise self.refusal(f"it has an anchor or alias ({str(event.anchor)[:40]!r})")
        if isinstance(event, yaml.ScalarEvent):
            self._put(self._scalar(event))
        elif isinstance(event, yaml.CollectionStartEvent):
            if event.tag is not None:
                raise self.refusal(f"it has the tag {str(event.tag)[:60]!r}")
            self._open([] if isinstance(event, yaml.SequenceStartEvent) else {})
        elif isinstance(event, yaml.CollectionEndEvent):
            self.stack.pop()
            self.keys.pop()
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise self.refusal("it holds more than one document")

    def _open(self, container: list[Any] | dict[Any, Any]) -> None:
        if self.stack and isinstance(self.stack[-1], dict) and self.keys[-1] is _NOTHING:
            raise self.refusal("a key is a list or a mapping")
        self._put(container)
        self.stack.append(container)
        self.keys.append(_NOTHING)
        if len(self.stack) > self.limits.depth:
            raise self.refusal(f"it is nested more than {self.limits.depth} deep")

    def _put(self, value: Any) -> None:
        if not self.stack:
            self.root = value
            return
        top = self.stack[-1]
        if isinstance(top, list):
            top.append(value)
        elif self.keys[-1] is _NOTHING:
            if value in top:
                raise self.refusal(f"the key {str(value)[:60]!r} repeats")
            self.keys[-1] = value
        else:
            top[self.keys[-1]] = value
            self.keys[-1] = _NOTHING

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        text = event.value
        if event.tag not in (None, "!"):
            raise self.refusal(f"it has the tag {str(event.tag)[:60]!r}")
        if event.tag == "!" or not event.implicit[0]:
            return text
        tag = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))
        if tag == f"{_CORE}null":
            return None
        if tag == f"{_CORE}bool":
            return yaml.constructor.SafeConstructor.bool_values[text.lower()]
        if tag == f"{_CORE}merge":
            raise self.refusal("it has a merge key")
        make = _NUMBERS.get(tag)
        if make is None:
            return text
        if len(text) > MAX_NUMBER_CHARACTERS:
            raise self.refusal(f"a number has {len(text):,} characters")
        return make(yaml.ScalarNode(tag, text))
