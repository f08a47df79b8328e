"""The Parquet files of a data set on the hub, by Hugging Face's own client, token and endpoint."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from huggingface_hub import HfFileSystem

from workbench.errors import WorkbenchError

_CONVERTED = "refs%2Fconvert%2Fparquet"
"""The revision where the hub keeps as Parquet what is none; its slashes escaped, as a path takes them."""


def parquet_files(root: str, source: str) -> tuple[Any, list[str]]:
    """The file system of the hub, and the names of a data set's Parquet files in order.

    Args:
        root: ``datasets/OWNER/NAME[@REVISION][/FOLDER]``.
        source: as the user wrote it, for messages.

    Raises:
        WorkbenchError: it cannot be reached, or holds none.
    """
    system = HfFileSystem()
    try:
        names = system.glob(f"{root}/**/*.parquet")
        if not names and "@" not in root:
            with suppress(FileNotFoundError):
                names = system.glob(f"{root}@{_CONVERTED}/**/*.parquet")
    except Exception as error:  # network, authentication, license gate: each library layer has its own class
        raise WorkbenchError(
            f"the data set cannot be reached ({type(error).__name__})", where=source,
            hint="Check the name, the network, and HF_TOKEN where access is granted by request.",
        ) from error  # fmt: skip
    if not names:
        raise WorkbenchError(
            "the data set holds no Parquet files, and the hub has not converted it", where=source,
            hint="Fetch it and lint the folder: hf download --repo-type dataset NAME.",
        )  # fmt: skip
    return system, sorted(map(str, names))
