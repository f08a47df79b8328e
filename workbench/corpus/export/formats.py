"""The five export formats, each a function from a job to the files it wrote."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from workbench.corpus.export.export_rows import (
    Place,
    mono_fields,
    ordered_names,
    plain_fields,
    write_lines,
    written_path,
)
from workbench.ingest.audio import channel_of
from workbench.spreadsheets import LINE_END, defused

if TYPE_CHECKING:
    from workbench.corpus.export.job import Job


def nemo(job: Job) -> dict[str, str]:
    """One manifest per split, ``lang`` and ``target_lang`` both written.

    NeMo's training reads ``target_lang`` and its shipped validation reads ``lang``: rows with one of them
    would be prompted at random there.
    """
    files = {}
    for split in job.rows.splits:
        write_lines(
            job.draft / f"{split}.jsonl",
            (nemo_row(job.place, row) for row in job.counted(job.rows.rows(split))),
        )
        files[split] = f"{split}.jsonl"
    return files


def nemo_row(place: Place, row: Mapping[str, Any], *, mono: bool = False) -> dict[str, Any]:
    """A line of a manifest of NeMo's, which knows channels as ``channel_selector``.

    Args:
        mono: the row's sound is written beside it, alone: there is no channel left to choose.
    """
    made = {**mono_fields(row), "audio_filepath": written_path(place, row)}
    if not mono and (channel := channel_of(row)) is not None:
        made["channel_selector"] = channel[0] if len(channel) == 1 else list(channel)
    made["lang"] = made["target_lang"] = row["target_lang"]
    made["prompt_mode"] = place.settings["prompt_mode"]
    return made


def as_csv(job: Job) -> dict[str, str]:
    """One table; text that a spreadsheet would run as a formula is defused with a leading apostrophe."""
    names = _present(job)
    path = job.draft / "utterances.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream, lineterminator=LINE_END)
        writer.writerow([defused(name) for name in names])
        for row in job.counted(job.rows.rows()):
            plain = {**plain_fields(row), "audio_filepath": written_path(job.place, row)}
            writer.writerow([defused(plain.get(name)) for name in names])
    return {"all": path.name}


def _present(job: Job) -> list[str]:
    """Columns in which any row says something, in the order in which rows first do."""
    first: dict[str, tuple[int, int]] = {}
    done = 0
    for batch in job.rows.batches():
        ordered = ordered_names(tuple(batch.schema.names))
        for place, name in enumerate(ordered):
            if name in first:
                continue
            column = batch.column(name)
            said = pc.greater(pc.list_value_length(column), 0) if name == "tags" else column.is_valid()
            at = pc.index(said, True).as_py()
            if at >= 0:
                first[name] = (done + at, place)
        done += batch.num_rows
    return sorted(first, key=lambda name: first[name])
