"""What models made of a corpus: one Parquet file a prediction, in the corpus's folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError
from workbench.ingest.schema import PREDICTION_SCHEMA
from workbench.names import check_name
from workbench.reading import RESTORE, read_parquet, readable

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
    path = folder_of(corpus_folder) / f"{check_name(name)}.parquet"
    if not path.exists():
        known = ", ".join(names(corpus_folder)) or "none yet"
        raise WorkbenchError(
            f"no prediction {name!r}",
            where=f"corpus {corpus}",
            hint=f"There is {known}; make one with ws.transcribe.",
        )
    return read_file(path)


def read_file(path: Path) -> pd.DataFrame:
    """A file of predictions as a table.

    Raises:
        WorkbenchError: missing, damaged, or of a newer schema.
    """
    table = read_parquet(path, "prediction", newest=PREDICTION_SCHEMA)
    with readable(path, "the prediction"):
        for name in ("id", "hypothesis"):
            if name not in table.column_names:
                raise WorkbenchError(f"the prediction has no column {name}", where=str(path), hint=RESTORE)
        return table.to_pandas()


def made_by(path: Path) -> set[str]:
    """SHA-256 of the checkpoints that made a file of predictions; none where it does not say.

    Raises:
        WorkbenchError: missing or damaged.
    """
    table = read_parquet(path, "prediction", ["checkpoint_sha256"])
    return set(table["checkpoint_sha256"].to_pylist()) if table.num_columns else set()
