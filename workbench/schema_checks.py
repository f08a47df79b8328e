"""Files that people write (recipes, policies, settings) held against their types, one line for each fault.

Pydantic checks; what it finds is said in one line: file and line, field, what is wrong, the nearest key.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from workbench.errors import WorkbenchError
from workbench.plain_values import plain
from workbench.signatures import nearest

CONFIG = ConfigDict(extra="forbid", strict=True)
OLD_KEYS = {"normaliser": "normalizer", "cadence": "retraining_schedule", "slipped": "regressed"}
"""Keys that were written before, and what they are called now; files with them keep loading."""
_TYPES = {
    "int_type": "int",
    "int_from_float": "int",
    "float_type": "float",
    "bool_type": "bool",
    "string_type": "text",
}
_MAPPINGS = ("dict_type", "model_type", "dataclass_type", "model_attributes_type", "dataclass_exact_type")
Location = tuple[int | str, ...]
Lines = Callable[[Location], int | None]


def build(kind: Any, values: Any, *, where: str, lines: Lines | None = None) -> Any:
    """A dataclass or model from plain values.

    Numbers may be written as text (``"1e-4"``), and choices without quotes (``32``), as YAML invites to.

    Args:
        kind: a dataclass or a pydantic model.
        values: as YAML, TOML or JSON give them. Keys of :data:`OLD_KEYS` are taken by their new names.
        where: the file, for the message.
        lines: place of a field → its line in the file.

    Raises:
        WorkbenchError: the first fault, with how many more there are.
    """
    values = renamed(plain(values))
    try:
        return _adapter(kind).validate_json(json.dumps(values))
    except ValidationError as error:
        if not _loosened(values, error):
            raise _said(kind, values, error, where, lines) from None
    try:
        return _adapter(kind).validate_json(json.dumps(values))
    except ValidationError as error:
        raise _said(kind, values, error, where, lines) from None


def json_schema(kind: Any, title: str) -> dict[str, Any]:
    """The JSON schema of a dataclass or model, for editors."""
    made: dict[str, Any] = _adapter(kind).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": title}


def renamed(value: Any) -> Any:
    """The value with old keys under their new names, at any depth."""
    if isinstance(value, dict):
        new = {
            OLD_KEYS.get(key, key) if OLD_KEYS.get(key) not in value else key: v for key, v in value.items()
        }
        # Under ``source`` stand names that a team chose, no keys of ours.
        free = {key: {name: renamed(item) for name, item in held.items()}
                for key, held in new.items() if key == "source" and isinstance(held, dict)}  # fmt: skip
        return {key: free[key] if key in free else renamed(item) for key, item in new.items()}
    return [renamed(item) for item in value] if isinstance(value, list) else value


def yaml_lines(text: str) -> Lines:
    """Where the fields of a YAML text stand."""

    def line(place: Location) -> int | None:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        at = node
        for part in place:
            if isinstance(node, yaml.MappingNode):
                found = [(key, item) for key, item in node.value if key.value in (part, *_old(part))]
                if not found:
                    break
                at, node = found[0]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                at = node = node.value[part]
            else:
                break
        return None if at is None else at.start_mark.line + 1

    return line


def toml_lines(text: str) -> Lines:
    """Where the fields of a TOML text stand, where their last name occurs once."""

    def line(place: Location) -> int | None:
        names = [str(part) for part in place if isinstance(part, str)]
        if not names:
            return None
        name = "|".join(map(re.escape, (names[-1], *_old(names[-1]))))
        pattern = re.compile(rf"^\s*(?:\[+[^\]]*\b)?(?:{name})\b")
        found = [number for number, row in enumerate(text.splitlines(), 1) if pattern.match(row)]
        return found[0] if len(found) == 1 else None

    return line


def _old(name: int | str) -> list[str]:
    return [old for old, new in OLD_KEYS.items() if new == name]


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    for one in _dataclasses(kind):
        one.__pydantic_config__ = CONFIG
    return TypeAdapter(kind)


def _dataclasses(kind: Any) -> list[Any]:
    """A dataclass and those that its fields hold."""
    if not (isinstance(kind, type) and is_dataclass(kind)):
        return [found for inner in get_args(kind) for found in _dataclasses(inner)]
    return [kind, *(found for hint in get_type_hints(kind).values() for found in _dataclasses(hint))]


def _loosened(values: Any, error: ValidationError) -> bool:
    """Whether something was meant otherwise than it is written, and could be put right in ``values``."""
    changed = False
    for fault in error.errors():
        value, place = fault["input"], _place(values, fault["loc"])
        if isinstance(value, bool) or value is None:
            continue
        meant = _meant(fault, value)
        if meant is not None and place:
            held: Any = values
            for part in place[:-1]:
                held = held[part]
            held[place[-1]] = meant
            changed = True
    return changed


def _meant(fault: Mapping[str, Any], value: Any) -> Any:
    if fault["type"] in ("int_type", "int_from_float", "float_type") and isinstance(value, str | float):
        return _number(value, whole=fault["type"] != "float_type")
    if fault["type"] == "literal_error" and repr(str(value)) in str(fault["ctx"]["expected"]):
        return str(value)
    return str(value) if fault["type"] == "string_type" and isinstance(value, int | float) else None


def _number(value: str | float, *, whole: bool) -> float | int | None:
    try:
        number = float(value)
    except ValueError:
        return None
    if not whole:
        return number
    return int(number) if number == number and abs(number) < 2**63 and number == int(number) else None


def _place(values: Any, loc: Location) -> Location:
    """Where a fault is in the values: pydantic's place without the names of alternatives."""
    found: list[int | str] = []
    for part in loc:
        inside = isinstance(values, dict) and part in values
        if inside or (isinstance(values, list) and isinstance(part, int) and part < len(values)):
            values = values[part]
            found.append(part)
    return tuple(found)


def _said(kind: Any, values: Any, error: ValidationError, where: str, lines: Lines | None) -> WorkbenchError:
    faults = error.errors()
    fault = min(faults, key=lambda one: one["type"] not in ("extra_forbidden", "unexpected_keyword_argument"))
    place = _place(values, fault["loc"])
    what, hint = _words(kind, fault)
    line = lines(place) if lines is not None else None
    inside = place[:-1] if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument") else place
    path = "".join(f" {part + 1}" if isinstance(part, int) else f" [{part}]" for part in inside)
    more = f" ({len(faults) - 1} more)" if len(faults) > 1 else ""
    return WorkbenchError(what + more, where=f"{where}:{line}{path}" if line else f"{where}{path}", hint=hint)


def _words(kind: Any, fault: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong, and how to fix it."""
    name, value = str(fault["loc"][-1]) if fault["loc"] else "", fault["input"]
    if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"unknown field {name[:60]!r}", nearest(name, _known(kind, fault["loc"][:-1]))
    if fault["type"] in ("missing", "missing_argument"):
        return f"field {name!r} is missing", ""
    if fault["type"] == "literal_error":
        choices = str(fault["ctx"]["expected"]).replace(" or ", ", ").replace("'", "")
        return f"{str(value)[:40]!r} is not a choice", f"One of {choices}."
    if fault["type"] in _TYPES:
        return f"{str(value)[:40]!r} is not a {_TYPES[fault['type']]}", ""
    if fault["type"] in _MAPPINGS:
        return "expected a mapping of fields", ""
    if fault["type"] in ("tuple_type", "list_type"):
        return "expected a list", ""
    return str(fault["msg"]), ""


def _known(kind: Any, loc: Location) -> list[str]:
    """Fields of the type at a place."""
    for part in loc:
        if isinstance(part, int):
            continue
        hints = get_type_hints(kind)
        held = _holders(hints[part]) if part in hints else []
        if held:
            kind = held[0]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return list(kind.model_fields)
    return [field.name for field in fields(kind)]


def _holders(hint: Any) -> list[Any]:
    if isinstance(hint, type) and (is_dataclass(hint) or issubclass(hint, BaseModel)):
        return [hint]
    return [found for inner in get_args(hint) for found in _holders(inner)]
