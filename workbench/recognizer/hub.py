"""Where a checkpoint lies: a local file, or Hugging Face's cache filled from the hub on first use."""

from __future__ import annotations

import os
import re
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import LocalEntryNotFoundError

from workbench.errors import WorkbenchError

_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")


def resolve(source: str | Path) -> Path:
    """The local ``.nemo`` file of a path or a hub name.

    A name uses Hugging Face's own cache and token (``HF_HOME``, ``HF_TOKEN``, ``HF_HUB_OFFLINE``), so a
    checkpoint that any other tool fetched is found.

    Raises:
        WorkbenchError: no such file; or a hub name that is neither cached nor reachable: the message says
            how to place the file.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return path.resolve()
    if path.is_dir():
        held = sorted(path.glob("*.nemo"))
        if len(held) == 1:
            return held[0].resolve()
        raise WorkbenchError(
            f"{len(held)} .nemo files in the folder", where=str(path), hint="Name the file itself."
        )
    name = str(source)
    if path.suffix == ".nemo" or not _NAME.match(name):
        raise WorkbenchError(
            "no such checkpoint", where=name, hint="Give a .nemo file or a hub name ORG/NAME."
        )
    return _cached(name) or _fetched(name)


def _cached(name: str) -> Path | None:
    try:
        folder = snapshot_download(name, allow_patterns=["*.nemo"], local_files_only=True)
    except (LocalEntryNotFoundError, OSError, ValueError):
        return None
    return _only(Path(folder), name)


def _fetched(name: str) -> Path:
    place = (
        f"With access, run: hf download {name} --include '*.nemo' --local-dir FOLDER; without, copy the "
        ".nemo file here from a machine that has it, and open it by its path."
    )
    if constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        raise WorkbenchError("not in the local cache, and HF_HUB_OFFLINE is set", where=name, hint=place)
    try:
        folder = snapshot_download(name, allow_patterns=["*.nemo"])
    except Exception as error:  # network, authentication, license gate: each library layer has its own class
        raise WorkbenchError(
            f"cannot fetch it from the hub ({type(error).__name__})", where=name, hint=place
        ) from error
    held = _only(Path(folder), name)
    if held is None:
        raise WorkbenchError("the hub repository holds no .nemo file", where=name, hint=place)
    return held


def _only(folder: Path, name: str) -> Path | None:
    """The one ``.nemo`` file of a snapshot; None where there is none.

    Raises:
        WorkbenchError: there are several.
    """
    held = sorted(folder.rglob("*.nemo"))
    if len(held) > 1:
        found = ", ".join(str(path.relative_to(folder)) for path in held[:5])
        hint = f"Open one by its path under {folder}."
        raise WorkbenchError(f"the hub repository holds several .nemo files: {found}", where=name, hint=hint)
    return held[0] if held else None
