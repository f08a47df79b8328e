"""Sources that belong to a library: Hugging Face data sets and Lhotse cuts, in memory or on disk."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from workbench.errors import Problem, WorkbenchError
from workbench.ingest.manifest import as_text, table_of
from workbench.ingest.reader import FILE, LINE, Reader, batched, folders_of, keep_bytes

_HUB = re.compile(r"[\w.-]+/[\w.-]+\Z")
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
    raise WorkbenchError(f"unsupported source type: {kind}", hint="Give a Dataset, DatasetDict or CutSet.")


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
    batch: pa.RecordBatch | pa.Table,
    line: int,
    folder: Path | None,
    base: Path,
    notes: list[Problem],
    names: Mapping[str, Sequence[str]] | None = None,
) -> pa.Table:
    """A batch with audio as paths, class labels by name, nested values as JSON text, times as text, and line
    numbers from ``line``. A column of bytes that is no audio is left out, and said in ``notes`` once."""
    columns: dict[str, Any] = {}
    for name in batch.schema.names:
        column, kind = batch.column(name), batch.schema.field(name).type
        binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
        if pa.types.is_struct(kind) and {f.name for f in kind} >= {"bytes", "path"}:
            values = [_audio_path(v, folder, base) for v in column.to_pylist()]
            columns[name] = pa.array(values, pa.string())
        elif names and name in names and pa.types.is_integer(kind):
            columns[name] = pa.array([_label(names[name], v) for v in column.to_pylist()], pa.string())
        elif binary and name.lower() in ("audio", "wav", "bytes", "flac", "sound", "audio_bytes"):
            kept = [None if v is None else keep_bytes(v, folder) for v in column.to_pylist()]
            columns["audio_filepath" if name == "audio_bytes" else name] = pa.array(kept, pa.string())
        elif pa.types.is_nested(kind) or pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
            made = [None if v is None else _text(v) for v in column.to_pylist()]
            columns[name] = pa.array(made, pa.string())
        elif pa.types.is_dictionary(kind):
            columns[name] = column.cast(kind.value_type)
        elif not binary:
            columns[name] = column
        elif not any(note.field == name for note in notes):
            notes.append(Problem("", f"the column {name!r} holds bytes and is left out", field=name))
    columns[LINE] = pa.array(range(line, line + batch.num_rows), pa.int64())
    return pa.table(columns)


def class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Column → names of its class labels, as ``datasets`` records them in a Parquet file."""
    stored = (schema.metadata or {}).get(b"huggingface")
    try:
        features = json.loads(stored)["info"]["features"] if stored else {}
        return {n: list(f["names"]) for n, f in features.items() if f.get("_type") == "ClassLabel"}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _label(names: Sequence[str], code: int | None) -> str | None:
    if code is None or code < 0:
        return None
    return names[code] if code < len(names) else str(code)


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


def _dataset(source: Any, where: str, base: Path, folder: Path | None) -> Reader:
    import datasets

    parts = source if isinstance(source, datasets.DatasetDict) else {str(source.split or ""): source}
    parts = {split: _undecoded(part) for split, part in parts.items()}
    first = next(iter(parts.values()))
    names = first.column_names
    notes: list[Problem] = []
    labels = {n: f.names for n, f in first.features.items() if isinstance(f, datasets.ClassLabel)}

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        for split, part in parts.items():
            for start in range(0, len(part), _BATCH):
                rows = part.with_format("arrow")[start : start + _BATCH]
                table = plain_table(rows, start + 1, folder, base, notes, labels)
                if "split" not in names:
                    table = table.append_column("split", pa.array([split or None] * len(table), pa.string()))
                yield table.append_column(FILE, pa.array([split] * len(table), pa.string()))

    mapping = {"audio_filepath": "audio"} if "audio" in names else {}
    files = (
        str(cell["path"])
        for part in parts.values() if "audio" in part.column_names
        for cell in part.select_columns(["audio"])["audio"]
        if isinstance(cell, dict) and cell.get("bytes") is None and cell.get("path")
    )  # fmt: skip
    roots = [] if base != Path("/") else folders_of(files)
    return Reader(
        "Hugging Face data set", where, _first(base, folder), read, mapping, roots=roots, notes=notes
    )


def _first(base: Path, folder: Path | None) -> Path:
    """The root of relative paths; for what lives in memory, the corpus itself."""
    return base if base != Path("/") else (folder or Path.cwd())


def _undecoded(part: Any) -> Any:
    import datasets

    for name, feature in part.features.items():
        if isinstance(feature, datasets.Audio):
            part = part.cast_column(name, datasets.Audio(decode=False))
    return part


def _cuts(source: Any, where: str, base: Path, folder: Path | None) -> Reader:
    def rows(problems: list[Problem]) -> Iterator[dict[str, Any]]:
        for number, cut in enumerate(source, 1):
            for row in _cut_rows(cut, number, where, folder, problems):
                yield {**row, LINE: number}

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        yield from batched(rows(problems), table_of)

    files = (file for file in map(_cut_file, source) if file is not None and Path(file).is_absolute())
    roots = [] if base != Path("/") else folders_of(files)
    return Reader("Lhotse cuts", where, _first(base, folder), read, roots=roots)


def _cut_file(cut: Any) -> str | None:
    sources = getattr(getattr(cut, "recording", None), "sources", None) or []
    return str(sources[0].source) if sources and sources[0].type == "file" else None


def _cut_rows(
    cut: Any, number: int, where: str, folder: Path | None, problems: list[Problem]
) -> Iterator[dict[str, Any]]:
    """A row for each supervision of a cut; one without text where it has none."""
    name = Path(where).name
    if not getattr(cut, "has_recording", False) or not hasattr(cut, "recording"):
        what = "the cut has no recording of its own"
        problems.append(Problem(name, what, "Mixed cuts: save them.", number))
        return
    audio = cut.recording.sources[0]
    if audio.type == "file":
        path = str(audio.source)
    elif audio.type == "memory":
        path = keep_bytes(audio.source, folder)
    else:
        hint = "It is never run or fetched; save the audio as files."
        problems.append(Problem(name, f"audio of type {audio.type!r}", hint, number))
        return
    whole = {"id": cut.id, "audio_filepath": path, "offset": cut.start, "duration": cut.duration}
    if isinstance(getattr(cut, "channel", None), int) and cut.recording.num_channels > 1:
        whole["channel"] = cut.channel
    whole.update(_plain_values(cut.custom))
    if not cut.supervisions:
        yield whole
    for part in cut.supervisions:
        row = {**whole, **_plain_values(part.custom), "text": part.text, "speaker": part.speaker}
        row.setdefault("target_lang", part.language)
        if len(cut.supervisions) > 1:
            start = max(part.start, 0.0)
            end = min(part.end, cut.duration)
            row |= {"id": part.id, "offset": round(cut.start + start, 6), "duration": round(end - start, 6)}
        yield row


def _plain_values(custom: Mapping[str, Any] | None) -> dict[str, Any]:
    added = ("shar_epoch",)  # by Lhotse, while it reads
    return {
        k: v for k, v in (custom or {}).items() if isinstance(v, str | int | float | bool) and k not in added
    }
