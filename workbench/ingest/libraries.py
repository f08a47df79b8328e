"""Sources that belong to a library: Hugging Face data sets and Lhotse cuts, in memory or on disk."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import Problem, WorkbenchError
from workbench.files import write_atomic
from workbench.ingest.manifest import LINE, as_text, table_of
from workbench.ingest.readers import Reader

if TYPE_CHECKING:
    import pyarrow as pa

_HUB = re.compile(r"[\w.-]+/[\w.-]+\Z")
_MAGIC = ((b"RIFF", ".wav"), (b"fLaC", ".flac"), (b"OggS", ".ogg"), (b"ID3", ".mp3"), (b"\xff\xfb", ".mp3"))
_BATCH = 1_000


def is_hub_name(text: str) -> bool:
    return bool(_HUB.match(text)) and not text.endswith((".json", ".jsonl", ".csv", ".tsv", ".gz"))


def open_object(source: Any, folder: Path | None) -> Reader:
    """A ``Dataset``, ``DatasetDict`` or ``CutSet`` in memory.

    Raises:
        WorkbenchError: another object of these libraries.
    """
    kind = type(source).__name__
    if kind in ("Dataset", "DatasetDict"):
        return _dataset(source, "data set in memory", Path("/"), folder)
    if kind in ("CutSet",):
        return _cuts(source, "cuts in memory", Path("/"), folder)
    raise WorkbenchError(f"a {kind} is no source", hint="Give a Dataset, DatasetDict or CutSet.")


def open_folder(path: Path, folder: Path | None) -> Reader | None:
    """A saved data set or a Shar folder; None for any other folder."""
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        import datasets

        return _dataset(datasets.load_from_disk(str(path)), str(path), path, folder)
    if any(path.glob("cuts.*.jsonl*")):
        import lhotse

        return _cuts(lhotse.CutSet.from_shar(in_dir=path), str(path), path, folder)
    return None


def open_cuts_file(path: Path, folder: Path | None) -> Reader | None:
    """A Lhotse manifest of cuts; None where the first line is no cut."""
    if not path.name.endswith((".jsonl", ".jsonl.gz")) or not path.is_file():
        return None
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as stream:
            first = json.loads(stream.readline(4 << 20))
    except (ValueError, OSError, EOFError):
        return None
    if not isinstance(first, dict) or not str(first.get("type", "")).endswith("Cut"):
        return None
    import lhotse

    return _cuts(lhotse.CutSet.from_file(path), str(path), path.parent, folder)


def open_hub(name: str, folder: Path | None) -> Reader:
    """A data set of the hub by name.

    Raises:
        WorkbenchError: it cannot be fetched.
    """
    import datasets

    try:
        loaded = datasets.load_dataset(name)
    except Exception as error:  # the library raises many kinds; all mean the same to the user
        raise WorkbenchError(
            f"no such file, and no data set of that name could be fetched ({type(error).__name__})",
            where=name,
            hint="Check the path, or the name and the network.",
        ) from error
    return _dataset(loaded, name, Path("/"), folder)


def plain_table(
    batch: pa.RecordBatch | pa.Table, line: int, folder: Path | None, base: Path, problems: list[Problem]
) -> pa.Table:
    """A batch with audio structs as paths, nested values as JSON text, times as text, and line numbers."""
    import pyarrow as pa

    columns: dict[str, Any] = {}
    for name in batch.schema.names:
        column, kind = batch.column(name), batch.schema.field(name).type
        if pa.types.is_struct(kind) and {f.name for f in kind} >= {"bytes", "path"}:
            values = [_audio_path(v, folder, base) for v in column.to_pylist()]
            columns[name] = pa.array(values, pa.string())
        elif pa.types.is_nested(kind) or pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
            made = [None if v is None else _text(v) for v in column.to_pylist()]
            columns[name] = pa.array(made, pa.string())
        elif pa.types.is_dictionary(kind):
            columns[name] = column.cast(kind.value_type)
        elif not pa.types.is_binary(kind) and not pa.types.is_large_binary(kind):
            columns[name] = column
    columns[LINE] = pa.array(range(line, line + batch.num_rows), pa.int64())
    return pa.table(columns)


def _text(value: Any) -> str:
    return as_text(value) if isinstance(value, dict | list) else str(value)


def _audio_path(value: dict[str, Any] | None, folder: Path | None, base: Path) -> str | None:
    """Where the audio of a data set's cell lies: its own file, or a copy of its bytes in the corpus."""
    if not value:
        return None
    path = value.get("path")
    if value.get("bytes") is None:
        return str(base / path) if path else None
    return keep_bytes(value["bytes"], folder, Path(str(path or "")).suffix)


def keep_bytes(data: bytes, folder: Path | None, suffix: str = "") -> str:
    """Write audio under the name of its hash, unchanged; the same audio is written once."""
    digest = hashlib.sha256(data).hexdigest()
    if not suffix:
        suffix = next((s for magic, s in _MAGIC if data.startswith(magic)), ".wav")
    if folder is None:
        return f"{digest}{suffix}"
    target = Path(os.path.realpath(folder)) / "audio" / digest[:2] / f"{digest}{suffix}"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(target, data)
    return str(target)


def _dataset(source: Any, where: str, base: Path, folder: Path | None) -> Reader:
    import datasets

    parts = source if isinstance(source, datasets.DatasetDict) else {str(source.split or ""): source}
    parts = {split: _undecoded(part) for split, part in parts.items()}
    names = next(iter(parts.values())).column_names

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        import pyarrow as pa

        for split, part in parts.items():
            for start in range(0, len(part), _BATCH):
                rows = part.with_format("arrow")[start : start + _BATCH]
                table = plain_table(_codes_named(rows, part.features), start + 1, folder, base, problems)
                if "split" not in names:
                    table = table.append_column("split", pa.array([split or None] * len(table), pa.string()))
                yield table.append_column("source_file", pa.array([split] * len(table), pa.string()))

    mapping = {"audio_filepath": "audio"} if "audio" in names else {}
    files = (
        str(cell["path"])
        for part in parts.values() if "audio" in part.column_names
        for cell in part.select_columns(["audio"])["audio"]
        if isinstance(cell, dict) and cell.get("bytes") is None and cell.get("path")
    )  # fmt: skip
    roots = [] if base != Path("/") else _folders(files)
    return Reader("Hugging Face data set", where, _first(base, folder), read, mapping, roots=roots)


def _first(base: Path, folder: Path | None) -> Path:
    """The root of relative paths; for what lives in memory, the corpus itself."""
    return base if base != Path("/") else (folder or Path.cwd())


def _folders(files: Iterable[str]) -> list[Path]:
    """The folders that an object in memory points into; who hands it over means them to be read."""
    found = {str(Path(file).absolute().parent) for file in files}
    if len(found) > 20:
        common = os.path.commonpath(found)
        found = {common} if common != "/" else set()
    return [Path(name) for name in sorted(found)]


def _undecoded(part: Any) -> Any:
    import datasets

    for name, feature in part.features.items():
        if isinstance(feature, datasets.Audio):
            part = part.cast_column(name, datasets.Audio(decode=False))
    return part


def _codes_named(table: pa.Table, features: Any) -> pa.Table:
    """Class labels by name instead of by number."""
    import datasets
    import pyarrow as pa

    for name, feature in features.items():
        if isinstance(feature, datasets.ClassLabel):
            values = [None if v is None else feature.int2str(v) for v in table[name].to_pylist()]
            table = table.set_column(table.column_names.index(name), name, pa.array(values, pa.string()))
    return table


def _cuts(source: Any, where: str, base: Path, folder: Path | None) -> Reader:
    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        rows: list[dict[str, Any]] = []
        for number, cut in enumerate(source, 1):
            row = _cut_row(cut, number, where, folder, problems)
            if row is not None:
                rows.append({**row, LINE: number})
            if len(rows) >= _BATCH:
                yield table_of(rows)
                rows = []
        if rows:
            yield table_of(rows)

    files = (file for file in map(_cut_file, source) if file is not None and Path(file).is_absolute())
    roots = [] if base != Path("/") else _folders(files)
    return Reader("Lhotse cuts", where, _first(base, folder), read, roots=roots)


def _cut_file(cut: Any) -> str | None:
    sources = getattr(getattr(cut, "recording", None), "sources", None) or []
    return str(sources[0].source) if sources and sources[0].type == "file" else None


def _cut_row(
    cut: Any, number: int, where: str, folder: Path | None, problems: list[Problem]
) -> dict[str, Any] | None:
    name = Path(where).name
    if not getattr(cut, "has_recording", False) or not hasattr(cut, "recording"):
        problems.append(
            Problem(name, "the cut has no recording of its own", "Mixed cuts: save them.", number)
        )
        return None
    spoken = cut.supervisions
    if len(spoken) > 1:
        hint = "Cut at supervisions first: cuts.trim_to_supervisions()."
        problems.append(Problem(name, f"the cut has {len(spoken)} supervisions", hint, number))
        return None
    audio = cut.recording.sources[0]
    if audio.type == "file":
        path = str(audio.source)
    elif audio.type == "memory":
        path = keep_bytes(audio.source, folder)
    else:
        problems.append(Problem(name, f"audio of type {audio.type!r}", "Save the audio as files.", number))
        return None
    row = {"id": cut.id, "audio_filepath": path, "offset": cut.start, "duration": cut.duration}
    if isinstance(getattr(cut, "channel", None), int) and cut.recording.num_channels > 1:
        row["channel"] = cut.channel
    for extra in (cut.custom or {}, spoken[0].custom or {} if spoken else {}):
        row.update({k: v for k, v in extra.items() if isinstance(v, str | int | float | bool)})
    if spoken:
        row.update(text=spoken[0].text, speaker=spoken[0].speaker)
        row.setdefault("target_lang", spoken[0].language)
    return row
