"""Label Studio's JSON export: tasks with annotated stretches, each with its transcript."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import Problem
from workbench.ingest import json_text
from workbench.ingest.found_audio import FoundAudio
from workbench.ingest.manifest import table_of
from workbench.ingest.reader import LINE, Reader, batched
from workbench.ingest.schema import guess_mapping

if TYPE_CHECKING:
    import pyarrow as pa

_SPEECH = ("textarea",)
_KINDS = ("labels", "choices", "paragraphlabels")


def open_label_studio(path: Path) -> Reader | None:
    """An export in Label Studio's JSON; None for any other file."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return None
    head = next(json_text.chunks(path, []), b"")
    if not head.lstrip().startswith(b"[") or (b'"annotations"' not in head and b'"completions"' not in head):
        return None
    places = FoundAudio(path.parent, ("media", "upload", "audio"))

    def rows(problems: list[Problem]) -> Iterator[dict[str, Any]]:
        text = b"".join(json_text.chunks(path, [])).decode("utf-8", "replace")
        for line, task in json_text.objects(text, path.name, dict, problems):
            if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
                problems.append(Problem(path.name, "not a task with data", "", line))
                continue
            made = list(_rows(task, places))
            if not made:
                what = f"the task {task.get('id')} has no transcript that was submitted"
                problems.append(Problem(path.name, what, "Submit its annotation.", line))
            for row in made:
                yield {**row, LINE: line}

    def read(problems: list[Problem]) -> Iterator[pa.Table]:
        yield from batched(rows(problems), table_of)

    return Reader("Label Studio", str(path), path.parent, read, files=[path], text_expected=True)


def _rows(task: Mapping[str, Any], places: FoundAudio) -> Iterator[dict[str, Any]]:
    """A row a stretch, or one for the whole recording where the transcript has no stretch; the newest
    annotation that was not cancelled counts."""
    data = dict(task["data"])
    column = guess_mapping(list(data)).get("audio_filepath")
    if column is None:
        return
    found = places.find(str(data.pop(column)))
    given = [
        a for a in task.get("annotations") or task.get("completions") or () if not a.get("was_cancelled")
    ]
    plain = {k: v for k, v in data.items() if isinstance(v, str | int | float | bool)}
    base = {**plain, "audio_filepath": found, "task": task.get("id")}
    stretches: dict[str, dict[str, Any]] = {}
    for number, result in enumerate((given[-1].get("result") or []) if given else []):
        value = result.get("value") or {}
        key = str(result.get("id") or number) if "start" in value else ""
        row = stretches.setdefault(key, dict(base))
        if "start" in value and "end" in value:
            row |= {"offset": value["start"], "duration": round(value["end"] - value["start"], 6)}
        if isinstance(value.get("channel"), int):
            row["channel"] = value["channel"]
        if result.get("type") in _SPEECH and value.get("text"):
            said = value["text"]
            row["text"] = " ".join(said) if isinstance(said, list) else str(said)
        elif result.get("type") in _KINDS and value.get(result["type"]):
            name = "speaker" if result["type"] == "labels" else str(result.get("from_name", "choice"))
            row[name] = ", ".join(map(str, value[result["type"]]))
    yield from (row for row in stretches.values() if row.get("text"))
