"""The registry of layouts: which reader takes a source, and in which order they are asked.

To add a layout, write a function from a path to a :class:`~workbench.ingest.reader.Reader`, or None where the
path is something else, and name it in ``FOLDERS`` or ``FILES``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.ingest import folders, in_memory, kaldi, label_studio, libraries, speech_corpora, tables, timed
from workbench.ingest.audio import AUDIO_SUFFIXES
from workbench.ingest.manifest_reader import open_export, open_manifest
from workbench.ingest.reader import Reader
from workbench.reading import regular


@dataclass(frozen=True)
class Asked:
    """What a layout may need beside the path: the corpus folder (None to look), columns that were named."""

    folder: Path | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)


Layout = Callable[[Path, Asked], Reader | None]

FOLDERS: tuple[Layout, ...] = (
    lambda path, asked: open_export(path, asked.folder),
    lambda path, asked: libraries.open_folder(path, asked.folder),
    lambda path, _: kaldi.open_folder(path),
    lambda path, _: speech_corpora.common_voice(path),
    lambda path, _: speech_corpora.vox_populi(path),
    lambda path, _: speech_corpora.fleurs(path),
    lambda path, _: speech_corpora.mls(path),
    lambda path, _: speech_corpora.libri_speech(path),
    lambda path, _: speech_corpora.lj_speech(path),
    lambda path, asked: folders.with_metadata(path, asked.mapping),
    lambda path, asked: _parquet_folder(path, asked),
    lambda path, asked: folders.with_table(path, asked.folder, asked.mapping),
    lambda path, _: timed.open_timed(path),
    lambda path, _: _label_studio_folder(path),
    lambda path, _: folders.with_texts(path),
)
"""Of a folder, the surest first."""

FILES: tuple[Layout, ...] = (
    lambda path, asked: open_export(path, asked.folder),
    lambda path, _: kaldi.open_folder(path.parent) if path.name == "wav.scp" else None,
    lambda path, _: speech_corpora.common_voice(path) if path.suffix == ".tsv" else None,
    lambda path, _: speech_corpora.vox_populi(path),
    lambda path, _: speech_corpora.fleurs(path),
    lambda path, _: speech_corpora.lj_speech(path),
    lambda path, asked: tables.open_parquet([path], asked.folder) if path.suffix == ".parquet" else None,
    lambda path, asked: (
        tables.open_table(path, asked.mapping) if path.suffix.lower() in tables.SUFFIXES else None
    ),
    lambda path, _: timed.open_timed(path) if path.suffix.lower() in timed.SUFFIXES else None,
    lambda path, _: label_studio.open_label_studio(path),
    lambda path, asked: libraries.open_cuts_file(path, asked.folder),
)
"""Of a file; what none of them takes is read as a manifest."""
_PACKED = (".zip", ".tar", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_NOT_READ = {
    ".xls": "an old Excel workbook", ".h5": "HDF5", ".hdf5": "HDF5", ".ods": "an OpenDocument table",
    ".pkl": "a pickle, which would run code", ".pickle": "a pickle, which would run code",
}  # fmt: skip


def open_reader(source: Any, folder: Path | None, mapping: Mapping[str, str] | None = None) -> Reader:
    """The reader for a source.

    Args:
        source: see :func:`workbench.corpus.importing.import_source`.
        folder: the corpus folder, where audio without a file of its own is put; None only to look.
        mapping: field → column, as far as the user says.

    Raises:
        WorkbenchError: nothing that can be read; of a folder the message says what was seen.
    """
    if not isinstance(source, str | os.PathLike):
        return in_memory.open_object(source, folder)
    asked = Asked(folder, dict(mapping or {}))
    path = Path(source).expanduser()
    if path.is_dir():
        reader = _first(FOLDERS, path, asked)
        if reader is None:
            raise folders.not_understood(path, asked.mapping)
        return reader
    if path.exists():
        regular(path, "source")
        _refuse(path)
        reader = _first(FILES, path, asked)
        return reader or open_manifest(path, folder)
    if libraries.is_hub_name(str(source)) and not path.parent.is_dir():
        return libraries.open_hub(str(source), folder)
    if path.suffix == ".parquet" and any(sign in path.name for sign in "*?["):
        return tables.open_parquet(sorted(path.parent.glob(path.name)), folder)
    return open_manifest(str(source), folder)


def _first(layouts: tuple[Layout, ...], path: Path, asked: Asked) -> Reader | None:
    return next((reader for layout in layouts if (reader := layout(path, asked)) is not None), None)


def _refuse(path: Path) -> None:
    suffix = path.suffix.lower()
    if suffix in AUDIO_SUFFIXES:
        raise WorkbenchError(
            "a single recording", where=str(path), hint="Give its folder, or a table that names it."
        )
    if suffix in _PACKED or path.name.lower().endswith((".tar.gz",)):
        raise WorkbenchError("a packed archive", where=str(path), hint="Unpack it and give the folder.")
    if suffix in _NOT_READ:
        raise WorkbenchError(
            f"{_NOT_READ[suffix]} is not read", where=str(path), hint="Save it as CSV or Parquet."
        )


def _parquet_folder(path: Path, asked: Asked) -> Reader | None:
    """A data set as the hub holds it: Parquet files in the folder or in ``data/``."""
    found = sorted([*path.glob("*.parquet"), *path.glob("data/*.parquet")])
    return tables.open_parquet(found, asked.folder) if found else None


def _label_studio_folder(path: Path) -> Reader | None:
    found = (label_studio.open_label_studio(file) for file in sorted(path.glob("*.json")))
    return next((reader for reader in found if reader is not None), None)
