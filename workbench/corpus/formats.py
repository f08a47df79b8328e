"""The five export formats, each a function from a job to the files it wrote."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workbench.corpus.export import Job, plain_fields, write_lines

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def nemo(job: Job) -> dict[str, str]:
    """One manifest per split, ``lang`` and ``target_lang`` both written.

    NeMo's training reads ``target_lang`` and its shipped validation reads ``lang``: rows with one of them
    would be prompted at random there.
    """
    files = {}
    for split, rows in job.by_split().items():
        write_lines(job.draft / f"{split}.jsonl", (nemo_row(job, row) for row in rows))
        files[split] = f"{split}.jsonl"
    job.tick(len(job.rows))
    return files


def nemo_row(job: Job, row: Mapping[str, Any]) -> dict[str, Any]:
    made = {**plain_fields(row), "audio_filepath": _written_path(job, row)}
    made["lang"] = made["target_lang"] = row["target_lang"]
    made["prompt_mode"] = job.settings["prompt_mode"]
    return made


def _written_path(job: Job, row: Mapping[str, Any]) -> str:
    """A path that leads from the export to the audio, which a path relative to the corpus root does not."""
    path = job.audio_path(row)
    return os.path.relpath(path, job.target) if job.settings["relative_paths"] else str(path)


def as_csv(job: Job) -> dict[str, str]:
    """One table; text that a spreadsheet would run as a formula is defused with a leading apostrophe."""
    rows = [{**plain_fields(row), "audio_filepath": _written_path(job, row)} for row in job.rows]
    names = list(dict.fromkeys(name for row in rows for name in row))
    path = job.draft / "utterances.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([defused(name) for name in names])
        writer.writerows([defused(row.get(name)) for name in names] for row in rows)
    job.tick(len(rows))
    return {"all": path.name}


def defused(value: Any) -> Any:
    """What a spreadsheet shows instead of running. Numbers stay numbers."""
    if isinstance(value, list):
        value = "; ".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _shar(job: Job) -> dict[str, str]:
    from workbench.corpus.archives import shar

    return shar(job)


def _tarred(job: Job) -> dict[str, str]:
    from workbench.corpus.archives import tarred

    return tarred(job)


def _hf(job: Job) -> dict[str, str]:
    from workbench.corpus.archives import hugging_face

    return hugging_face(job)


WRITERS: dict[str, Callable[[Job], dict[str, str]]] = {
    "nemo": nemo,
    "shar": _shar,
    "tarred": _tarred,
    "hf": _hf,
    "csv": as_csv,
}
"""Format → writer; returns split → file relative to the export's folder."""

__all__ = ["WRITERS", "Path", "as_csv", "defused", "nemo", "nemo_row"]
