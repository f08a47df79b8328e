"""JSON files of what was measured: written whole or not at all, read back with their schema looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.files import write_atomic
from workbench.reading import read_text

_NOT_SUCH = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


def write(path: Path, figures: dict[str, Any]) -> Path:
    """Write the figures as JSON, with folders; NaN is refused, for JSON has none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_atomic(path, json.dumps(figures, indent=1, allow_nan=False) + "\n")


def _text(path: Path, what: str) -> str:
    try:
        return read_text(path, "file")
    except WorkbenchError as error:
        raise WorkbenchError(f"not {what}: {error.what}", where=str(path)) from None


@contextmanager
def reading(path: Path, what: str, newest: int) -> Iterator[dict[str, Any]]:
    """The figures of a file, without their ``schema_version``; to be built from inside the ``with``.

    Args:
        what: how the file is called in an error, such as "a baseline".
        newest: schema that this version knows.

    Raises:
        WorkbenchError: no such file, not JSON, of a newer schema, or nothing that can be built from.
    """
    try:
        held = json.loads(_text(Path(path), what))
        version = held.pop("schema_version")
        if version > newest:
            hint = f"It has schema {version}, known is {newest}: update the workbench."
            raise WorkbenchError(f"{what} of a newer schema", where=str(path), hint=hint)
        yield held
    except WorkbenchError:
        raise
    except _NOT_SUCH as error:
        raise WorkbenchError(f"not {what}: {error}", where=str(path)) from error
