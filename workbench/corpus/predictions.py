"""What models made of a corpus: one Parquet file a prediction, in the corpus's folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.names import check_name

if TYPE_CHECKING:
    import pandas as pd


def folder_of(corpus_folder: Path) -> Path:
    """Where the predictions of a corpus lie."""
    return corpus_folder / "predictions"


def names(corpus_folder: Path) -> list[str]:
    """Names of the predictions that exist, oldest first."""
    found = sorted(folder_of(corpus_folder).glob("*.parquet"), key=lambda p: p.stat().st_mtime_ns)
    return [path.stem for path in found]


def read(corpus_folder: Path, name: str, *, corpus: str) -> pd.DataFrame:
    """A prediction as a table.

    Raises:
        WorkbenchError: there is none of that name in ``corpus``; those there are are listed.
    """
    import pandas as pd

    path = folder_of(corpus_folder) / f"{check_name(name)}.parquet"
    if not path.is_file():
        known = ", ".join(names(corpus_folder)) or "none yet"
        raise WorkbenchError(
            f"no prediction {name!r}",
            where=f"corpus {corpus}",
            hint=f"There is {known}; make one with ws.transcribe.",
        )
    return pd.read_parquet(path)
