"""The rows that leave with an export: chosen once, kept in a file, read as often as the format needs."""

from __future__ import annotations

import functools
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench import locales
from workbench.corpus.review.origins import Origin, held_back, origins
from workbench.errors import WorkbenchError
from workbench.ingest import audio, not_speech
from workbench.ingest.drafted import ACCEPTED_BY, CORRECTED_BY, DRAFT_FIELDS, REVIEW_SECONDS
from workbench.ingest.purposes import refused_use
from workbench.ingest.schema import FIELDS, literal
from workbench.language_tags import foreign_tag, split_spans, strip_tag, with_tags

if TYPE_CHECKING:
    import duckdb

    from workbench.corpus.query.view import View

log = logging.getLogger("workbench.corpus.export.export")
Progress = Callable[[int, int], None]
ROWS_AT_ONCE = 20_000

HIDDEN = frozenset(
    {
        "original_text", "status", "reason", "edited", "characters", "words", "characters_per_s",
        "unknown_rate", "duration_bucket", "script", "row_index", "source_line", "source_file", "peak_dbfs",
        "rms_dbfs", "snr_db", "clipping_ratio", "bandwidth_hz", "dc_offset", "leading_silence_s",
        "trailing_silence_s", "duration_s", "sample_rate", "channels", "loudness_lufs", "audio_error",
    }
)  # fmt: skip
"""Columns of the view that are the workbench's own; they stay out of exports."""
_MOST_FOLDERS = 4_096
_ASKED = frozenset(
    {
        "id",
        "status",
        "reason",
        "text",
        "duration",
        "target_lang",
        "lang",
        "tags",
        "purpose",
        "split",
        not_speech.COLUMN,
    }
)
UNASSIGNED = "unassigned"
_SPLIT = "_split"


@dataclass(frozen=True)
class Place:
    """What one row needs to be written; small, so that other processes can be told.

    Attributes:
        roots: folders that audio may be read from.
        target: the export's folder when it is done.
        settings: ``append_tag``, ``prompt_mode``, ``relative_paths`` and the format's own.
    """

    roots: list[str]
    target: Path
    settings: dict[str, Any]
    _folders: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def audio_path(self, row: Mapping[str, Any]) -> str:
        """The recording of a row.

        Raises:
            WorkbenchError: it lies outside the folders that may be read.
        """
        written = str(row["audio_filepath"])
        folder, _, name = written.rpartition("/")
        known = self._folders.get(folder)
        # Of a folder that was found fit, only links have to be followed.
        if known is not None and name not in ("", ".", "..") and not os.path.islink(known + name):
            return known + name
        path = audio.locate_text(written, self.roots)
        if name not in ("", ".", "..") and len(self._folders) < _MOST_FOLDERS and not os.path.islink(path):
            self._folders[folder] = path.removesuffix(name)
        return path


@dataclass
class ExportRows:
    """The chosen rows, in a file.

    Attributes:
        path: Parquet of the rows in the order of the source, with the split that they leave in.
        splits: split, as a file name → rows.
        left_out: why rows stayed behind → how many; ``rejected``: reasons → how many.
        silent: rows that leave, declared to hold no speech.
        still_named: field → rows that still name their speaker; None where speakers keep their names.
    """

    path: Path
    splits: dict[str, int] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    silent: int = 0
    still_named: dict[str, int] | None = None

    def __len__(self) -> int:
        return sum(self.splits.values())

    def batches(self, split: str | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of a split, or all, in the order of the source."""
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(ROWS_AT_ONCE):
                found = batch if split is None else batch.filter(pc.equal(batch.column(_SPLIT), split))
                yield found.drop_columns([_SPLIT])

    def rows(self, split: str | None = None) -> Iterator[dict[str, Any]]:
        """The same as mappings, made while one goes over them."""
        for batch in self.batches(split):
            yield from batch.to_pylist()

    def shuffled(self, spill: duckdb.DuckDBPyConnection, split: str) -> Iterator[dict[str, Any]]:
        """A fixed order that mixes locales: loaders read shards in sequence."""
        rows = spill.cursor().sql(
            f"SELECT * EXCLUDE ({_SPLIT}) FROM read_parquet({literal(self.path)}) "
            f"WHERE {_SPLIT} = {literal(split)} ORDER BY sha256(id)"
        )
        for batch in rows.to_arrow_reader(2_000):
            yield from batch.to_pylist()


class _OutOfOrderError(Exception):
    """The rows do not come in the order of the source."""


def choose(
    corpus: View,
    only: str,
    append_tag: bool,
    speaker_id: Callable[[str], str] | None,
    path: Path,
    left_out: Path,
) -> ExportRows:
    """Read the rows of a view once.

    Args:
        corpus, only, append_tag, speaker_id: as for :func:`workbench.corpus.export.export`.
        path: where the rows that leave are kept.
        left_out: JSON lines of the others, with the reason.

    Raises:
        WorkbenchError: no such choice of rows.
    """
    if only not in ("accepted", "not_rejected"):
        raise WorkbenchError(f"no choice {only!r}", hint="Use accepted or not_rejected.")
    names = [n for n in FIELDS if n not in HIDDEN]
    names += [n for n in corpus.columns if n not in FIELDS and n not in HIDDEN]
    select = "SELECT " + ", ".join(
        '"' + n.replace('"', '""') + '"' for n in (*names, "status", "reason", "row_index")
    )

    drafted, held = origins(corpus), held_back(corpus)
    names += [name for name in DRAFT_FIELDS if drafted and name not in names]

    def take(batches: Iterable[pa.RecordBatch]) -> ExportRows:
        made = ExportRows(path, still_named=None if speaker_id is None else {})
        with left_out.open("w", encoding="utf-8", newline="\n") as stream, _Spool(path) as spool:
            last = -1
            for batch in batches:
                last = _in_order(batch, last)
                kept = _leaving(batch, only, held, made, stream)
                if kept.num_rows and drafted:
                    kept = _with_origins(kept, drafted, speaker_id)
                if kept.num_rows:
                    spool.add(_dressed(kept.select(names), append_tag, speaker_id, made))
        return made

    try:
        made = corpus._engine.scan(select, corpus._where(), "", take, ROWS_AT_ONCE)
    except _OutOfOrderError:
        made = corpus._engine.scan(select, corpus._where(), "ORDER BY row_index", take, ROWS_AT_ONCE)
    order = {"train": 0, "validation": 1, "test": 2}
    made.splits = dict(sorted(made.splits.items(), key=lambda item: (order.get(item[0], 3), item[0])))
    if made.still_named is not None:
        made.still_named = {name: count for name, count in sorted(made.still_named.items()) if count}
        if made.still_named:
            listed = ", ".join(f"{name} of {count:,} rows" for name, count in made.still_named.items())
            log.warning("speakers are still named in %s", listed)
    return made


class _Spool:
    """A Parquet file that grows by batches of one schema."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None

    def __enter__(self) -> _Spool:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def add(self, batch: pa.RecordBatch) -> None:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, batch.schema)
        self._writer.write_batch(batch)


def _in_order(batch: pa.RecordBatch, last: int) -> int:
    index = batch.column("row_index").to_numpy()
    if len(index) and (index[0] <= last or (index[1:] <= index[:-1]).any()):
        raise _OutOfOrderError
    return int(index[-1]) if len(index) else last


def _leaving(
    batch: pa.RecordBatch,
    only: str,
    open_: Mapping[str, str],
    made: ExportRows,
    stream: Any,
) -> pa.RecordBatch:
    """The rows that leave; the others are told apart, counted and listed.

    ``open_``: the ids that are held back, and why.
    """
    held = {name: batch.column(name).to_pylist() for name in batch.schema.names if name in _ASKED}
    none = [None] * batch.num_rows
    languages, purposes = held.get("lang", none), held.get("purpose", none)
    asked = [held[name] for name in ("id", "status", "reason", "text", "duration", "target_lang")]
    uses = zip(purposes, held["split"], strict=True)
    silent = not_speech.declared(held, batch.num_rows)
    mask = []
    for (id_, *row), lang, use, is_silent in zip(
        zip(*asked, strict=True), languages, uses, silent, strict=True
    ):
        why = _why_not(only, *row, lang=lang, is_silent=is_silent)
        if why is None and id_ in open_:
            why = open_[id_], None
        if why is None and (refused := refused_use(*use)) is not None:
            why = refused, f"split {use[1] or UNASSIGNED}"
        made.silent += why is None and is_silent
        mask.append(why is None)
        if why is not None:
            line = {"id": id_, "why": why[0], "detail": why[1]}
            stream.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
            made.left_out[why[0]] += 1
            if why[0] == "rejected":
                made.rejected[why[1] or ""] += 1
    return batch if all(mask) else batch.filter(pa.array(mask, pa.bool_()))


def _why_not(
    only: str,
    status: str,
    reason: str | None,
    text: str | None,
    duration: float | None,
    tag: Any,
    *,
    lang: Any,
    is_silent: bool,
) -> tuple[str, str | None] | None:
    if status == "rejected":
        return "rejected", reason
    if only == "accepted" and status != "accepted":
        return "not decided", None
    has_text = bool((text or "").strip())
    if not has_text and not is_silent:
        return "no transcript", None
    if has_text and is_silent:
        return "declared without speech, and has a transcript", None
    if (between := not_speech.translation(lang, tag)) is not None:
        return "a translation", between
    if duration is None:
        return "duration not known", None
    if not locales.is_known(tag):
        return "unknown locale tag", tag
    if (ends_in := foreign_tag(text or "", tag)) is not None:
        return "transcript ends in another tag", f"<{ends_in}>, the row says {tag}"
    return None


def _dressed(
    batch: pa.RecordBatch, append_tag: bool, speaker_id: Callable[[str], str] | None, made: ExportRows
) -> pa.RecordBatch:
    """Transcripts with the tags of their languages, or none; pseudonyms for speakers; the split."""
    given = [text or "" for text in batch.column("text").to_pylist()]
    if append_tag:
        tags = batch.column("target_lang").to_pylist()
        texts = [_tagged(text, tag) for text, tag in zip(given, tags, strict=True)]
    else:
        texts = [strip_tag(text)[0] for text in given]
    batch = _with(batch, "text", texts)
    if speaker_id is not None:
        batch = _with(batch, "speaker", _pseudonyms(batch, speaker_id, made))
    splits = [_split_name(split) for split in batch.column("split").to_pylist()]
    for name, count in Counter(splits).items():
        made.splits[name] = made.splits.get(name, 0) + count
    return batch.append_column(_SPLIT, pa.array(splits, pa.string()))


def _tagged(text: str, tag: str) -> str:
    """A transcript as the model is trained on it: each run of another language closed by its own tag, the
    rest by the row's."""
    spans = split_spans(text)
    if len({locale or tag for _, locale in spans}) > 1:
        return with_tags([(run, locale or tag) for run, locale in spans])
    return f"{strip_tag(text)[0]} <{tag}>".lstrip()


def _with(batch: pa.RecordBatch, name: str, values: list[Any]) -> pa.RecordBatch:
    return batch.set_column(batch.schema.get_field_index(name), name, pa.array(values, pa.string()))


def _pseudonyms(
    batch: pa.RecordBatch, speaker_id: Callable[[str], str], made: ExportRows
) -> list[str | None]:
    """The keyed name of each row's speaker; where the old one still stands is counted by field."""
    told = made.still_named if made.still_named is not None else {}
    found: list[str | None] = []
    for row in batch.to_pylist():
        name = row.get("speaker")
        # Two letters stand in half of all paths; names that short are not looked for.
        for other, value in row.items() if name and len(name) > 2 else ():
            if other != "speaker" and value is not None:
                told[other] = told.get(other, 0) + (name.casefold() in str(value).casefold())
        found.append(speaker_id(name) if name else name)
    return found


def _with_origins(
    batch: pa.RecordBatch, drafted: Mapping[str, Origin], speaker_id: Callable[[str], str] | None
) -> pa.RecordBatch:
    """The batch with what each transcript came of; reviewers under a pseudonym where speakers are."""
    held = [drafted.get(id_) or {} for id_ in batch.column("id").to_pylist()]
    for name in DRAFT_FIELDS:
        values = [origin.get(name) for origin in held]
        if speaker_id is not None and name in (ACCEPTED_BY, CORRECTED_BY):
            values = [value and speaker_id(str(value)) for value in values]
        column = pa.array(values, pa.float64() if name == REVIEW_SECONDS else pa.string())
        place = batch.schema.get_field_index(name)
        batch = batch.append_column(name, column) if place < 0 else batch.set_column(place, name, column)
    return batch


@functools.lru_cache(maxsize=1024)
def _split_name(split: str | None) -> str:
    return safe_name(split or UNASSIGNED)


def safe_name(text: str) -> str:
    """A split's name as a file name."""
    kept = "".join(c if (c.isalnum() and c.isascii()) or c in "-_" else "_" for c in text)[:60]
    return kept or UNASSIGNED


@functools.lru_cache(maxsize=64)
def ordered_names(present: tuple[str, ...]) -> list[str]:
    names = [n for n in FIELDS if n in present]
    return names + [n for n in present if n not in FIELDS and n not in HIDDEN]


def plain_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without the view's own columns and without nulls; fields first, extras after."""
    names = ordered_names(tuple(row))
    return {n: row[n] for n in names if row[n] is not None and not (n == "tags" and not row[n])}


def mono_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same for a row whose sound is written anew, as mono: nothing is left to choose from."""
    return {n: value for n, value in plain_fields(row).items() if n not in audio.CHANNEL_COLUMNS}


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """JSON lines, UTF-8, one key order."""
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(encode(row) + "\n" for row in rows)


def written_path(place: Place, row: Mapping[str, Any]) -> str:
    """A path that leads from the export to the audio, which a path relative to the corpus root does not."""
    path = place.audio_path(row)
    return os.path.relpath(path, place.target) if place.settings["relative_paths"] else path
