"""Files of a workspace, read as what they should be; what is wrong with one is said in a line that names it.

Only regular files are opened: a pipe would wait for ever, a device never ends.
"""

from __future__ import annotations

import contextlib
import json
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.errors import WorkbenchError, one_line
from workbench.files import FULL, is_full_disk
from workbench.signatures import explain_with

if TYPE_CHECKING:
    import pyarrow as pa

MOST_BYTES = 256 << 20
"""A larger JSON or text file was not written by the workbench."""
RESTORE = "Restore it from a backup."


def regular(path: Path, what: str = "file") -> Path:
    """The path, if a regular file lies there.

    Args:
        what: how the file is called in an error, such as "prediction".

    Raises:
        WorkbenchError: nothing lies there, or a folder, a pipe, a socket or a device.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise WorkbenchError(f"no such {what}", where=str(path), hint="Check the path.") from None
    except (OSError, ValueError) as error:
        raise WorkbenchError(f"the {what} cannot be reached ({_plain(error)})", where=str(path)) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
        raise WorkbenchError(f"the {what} is {kind}, not a file", where=str(path), hint="Give a file.")
    return path


@contextlib.contextmanager
def readable(path: Path | str, what: str, hint: str = RESTORE) -> Iterator[None]:
    """What goes wrong inside, while a file is read, becomes one line that names it.

    Args:
        what: how the file is called in an error: "the record of the corpus".

    Raises:
        WorkbenchError: anything went wrong but what the user or the system did (Ctrl-C, exit).
    """
    try:
        yield
    except WorkbenchError:
        raise
    except Exception as error:
        raise WorkbenchError(
            f"{what} cannot be read ({_plain(error)})", where=str(path), hint=hint
        ) from error


def read_text(path: Path, what: str) -> str:
    """A text file in UTF-8.

    Raises:
        WorkbenchError: missing, no regular file, too large, empty or not UTF-8.
    """
    regular(path, what)
    with readable(path, f"the {what}"):
        if (size := path.stat().st_size) > MOST_BYTES:
            raise WorkbenchError(f"the {what} is too large ({size:,} bytes)", where=str(path), hint=RESTORE)
        if not size:
            raise WorkbenchError(f"the {what} is empty: it was emptied", where=str(path), hint=RESTORE)
        return path.read_text(encoding="utf-8")


def read_json(path: Path, what: str, newest: int | None = None) -> dict[str, Any]:
    """A JSON file that holds a mapping.

    Args:
        newest: the schema that this version knows; None where the file states none.

    Raises:
        WorkbenchError: as :func:`read_text`, not a mapping in JSON, or of a newer schema.
    """
    text = read_text(path, what)
    with readable(path, f"the {what}"):
        found = json.loads(text)
        if not isinstance(found, dict):
            raise WorkbenchError(f"the {what} is damaged: no mapping", where=str(path), hint=RESTORE)
        if newest is not None:
            check_schema(found.get("schema_version", 1), newest, path, what)
        return found


def check_schema(version: Any, newest: int, path: Path, what: str) -> None:
    """Raise WorkbenchError where a file says that it is of a newer schema, or of none."""
    if isinstance(version, bool) or not isinstance(version, int):
        raise WorkbenchError(
            f"the {what} is damaged: schema {str(version)[:20]!r}", where=str(path), hint=RESTORE
        )
    if version > newest:
        hint = f"It has schema {version}, known is {newest}: update the workbench."
        raise WorkbenchError(f"a {what} of a newer schema", where=str(path), hint=hint)


def read_parquet(
    path: Path, what: str, columns: Sequence[str] | None = None, newest: int | None = None
) -> pa.Table:
    """A Parquet file as a table; checksums of its pages, where it has them, are compared.

    Args:
        columns: only these, as far as it has them.
        newest: the largest ``schema_version`` that this version knows, in the column of that name.

    Raises:
        WorkbenchError: missing, no regular file, damaged, or of a newer schema.
    """
    regular(path, what)
    with readable(path, f"the {what}"):
        names = pq.read_schema(path).names
        wanted = None if columns is None else [name for name in columns if name in names]
        table = pq.read_table(path, columns=wanted, page_checksum_verification=True)
        if newest is not None and "schema_version" in table.column_names and table.num_rows:
            check_schema(pc.max(table["schema_version"]).as_py(), newest, path, what)
        return table


def explained(error: Exception) -> Exception:
    """One line for a fault that nobody explained nearer to its cause.

    WorkbenchError, and TypeError for misuse, pass as they are.
    """
    if isinstance(error, WorkbenchError | TypeError):
        return error
    if is_full_disk(error):
        return WorkbenchError(
            FULL,
            where=str(getattr(error, "filename", None) or ""),
            hint="Free some space, then repeat the call.",
        )
    if isinstance(error, PermissionError) or "readonly database" in str(error):
        where = str(getattr(error, "filename", None) or "")
        return WorkbenchError(
            "not permitted to read or write here",
            where=where,
            hint="Ask its owner, or use a folder of your own.",
        )
    if isinstance(error, MemoryError):
        return WorkbenchError("out of memory", hint="Work on fewer rows at once.")
    if isinstance(error, RecursionError):
        return WorkbenchError("nested too deeply", hint="Give something flatter.")
    if isinstance(error, OSError):
        where = str(getattr(error, "filename", None) or "")
        return WorkbenchError(_plain(error), where=where, hint="Check the path and the disk.")
    hint = "An argument or a file is not what it should be; the cause is this error's __cause__."
    return WorkbenchError(_plain(error), hint=hint)


def _plain(error: BaseException) -> str:
    """An error in a few words: its first line, without file names that are said anyway."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    first = next(iter(str(error).splitlines()), "")[:160]
    return one_line(f"{type(error).__name__}: {first}" if first else type(error).__name__)


explain_with(explained)
