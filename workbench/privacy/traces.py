"""Where a person, a recording or a source left traces in a workspace: found by looking into every file.

Nothing is assumed about which room wrote a file. Tables and JSON lines are matched row by row on their ids,
audio paths, speaker and transcript; other text files on the same strings; exports count as a whole, because a
digest covers them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench.corpus import record
from workbench.corpus.review.decisions import DecisionStore
from workbench.errors import WorkbenchError
from workbench.ingest.audio import CHANNEL_COLUMNS
from workbench.privacy.erasure_request import Kind, Target, Trace
from workbench.privacy.silencing import can_silence
from workbench.privacy.trace_scan import export_of, files_below, look_into, touched
from workbench.reading import read_parquet
from workbench.workspace.folder import WorkspaceFolder


def select(ws: WorkspaceFolder, kind: Kind, value: str, ids: Mapping[str, list[str]] | None = None) -> Target:
    """The utterances of a speaker, recording or source in all corpora.

    Args:
        value: speaker name; recording as ``audio_filepath`` of its corpus or absolute path; source name.
        ids: for ``expired``: corpus name → utterance ids.

    Raises:
        WorkbenchError: no utterance matches.
    """
    target = Target(kind, value)
    if kind == "speaker":
        # Exports may name the speaker by the pseudonym.
        target.names |= {value, ws.pseudonym("speaker", value)}
    joined: list[tuple[str, dict[str, Any], list[Path]]] = []
    for name in ws.corpus_names():
        roots = _roots(ws.corpora / name)
        for row in rows_of(ws.corpora / name):
            if _is_of(row, kind, value, roots, set((ids or {}).get(name, ()))):
                _take(target, name, row, roots)
            elif row.get("joined_from"):
                joined.append((name, row, roots))
    sources = [clip for clips in target.ids.values() for clip in clips]
    for name, row, roots in joined:
        # A clip made of several is the trace of each of them, and has no part that could stay.
        if any(f" {clip} " in f" {row['joined_from']} " for clip in sources):
            _take(target, name, row, roots)
    if not target.ids:
        raise WorkbenchError(
            f"no utterance of this {kind} in any corpus", hint="Check the spelling; case counts."
        )
    # A sentence that others read too, or a recording that others speak in, is no trace of this person alone.
    texts, paths = _of_others(ws, target)
    target.texts -= texts
    target.names -= paths
    return target


def _take(target: Target, corpus: str, row: dict[str, Any], roots: list[Path]) -> None:
    target.ids.setdefault(corpus, []).append(row["id"])
    path = str(row["audio_filepath"])
    target.names.add(path)
    target.names.update(str(root / path) for root in roots)
    target.texts.update(str(t) for t in (row.get("text"), row.get("shown_text")) if t)
    target.clips.append({**row, "corpus": corpus})


def find(ws: WorkspaceFolder, target: Target, *, originals: bool) -> list[Trace]:
    """All traces, the audio first.

    Args:
        originals: recordings outside the workspace may be deleted too; otherwise they are listed as left.
    """
    traces = list(_audio(ws, target, originals))
    deleted = {trace.path for trace in traces}
    whole: set[Path] = set()
    for path in files_below(ws.path):
        if path in deleted or any(path.is_relative_to(folder) for folder in whole):
            continue
        with suppress(FileNotFoundError):  # its writer has put it in its place, where it is found, or let go
            unit = export_of(path)
            if unit is not None:
                if touched(unit, target):
                    whole.add(unit)
                    traces.append(Trace("export", unit, "delete"))
                continue
            trace = look_into(ws, path, target)
            if trace is not None:
                traces.append(trace)
    traces += [
        Trace("original source", path, "leave", why="outside the workspace") for path in _origins(ws, target)
    ]
    return traces


def _audio(ws: WorkspaceFolder, target: Target, originals: bool) -> Iterator[Trace]:
    wanted: dict[Path, int] = {}
    there = set(ws.corpus_names())  # one may have been removed since the request
    for clip in target.clips:
        for root in _roots(ws.corpora / clip["corpus"]) if clip["corpus"] in there else ():
            path = (root / str(clip["audio_filepath"])).resolve()
            if path.is_relative_to(root.resolve()) and path.is_file():
                wanted[path] = wanted.get(path, 0) + 1
    others = _paths_of_others(ws, target)
    for path, count in sorted(wanted.items()):
        inside = path.is_relative_to(ws.path)
        if not inside and not originals:
            yield Trace("audio", path, "leave", count, "outside the workspace; erase with originals=True")
        elif path not in others:
            yield Trace("audio", path, "delete", count)
        elif can_silence(path):
            yield Trace("audio", path, "silence", count)
        else:
            yield Trace(
                "audio", path, "leave", count, "others speak in it and its format cannot be cut losslessly"
            )


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Rows as imported and as edited by reviewers: either may name the speaker."""
    wanted = (
        "id",
        "audio_filepath",
        "offset",
        "duration",
        "text",
        "speaker",
        "source",
        "recorded_at",
        "keep_days",
        "bleeped_from",
        "joined_from",
        *CHANNEL_COLUMNS,
    )
    path = folder / "utterances.parquet"
    rows: list[dict[str, Any]] = read_parquet(path, "rows of the corpus", wanted).to_pylist()
    edited: dict[tuple[str, str], str | None] = {}
    if (folder / "decisions.sqlite").exists():
        store = DecisionStore(folder / "decisions.sqlite")
        edited = {(clip, name): value for clip, name, value, _ in store.state()}
        store.close()
    for row in rows:
        row["shown_text"] = edited.get((row["id"], "text"))
        row["shown_speaker"] = edited.get((row["id"], "speaker"))
        row["stretches"] = _stretches(row, edited)
    return rows


def _stretches(
    row: Mapping[str, Any], edited: Mapping[tuple[str, str], str | None]
) -> list[tuple[float, float | None]]:
    """(offset, duration) in seconds, as imported and, where a reviewer moved the ends, as they are now."""
    began, lasted = float(row.get("offset") or 0.0), row.get("duration")
    begins, lasts = edited.get((row["id"], "offset")), edited.get((row["id"], "duration"))
    moved = float(begins) if begins else began, float(lasts) if lasts else lasted
    return list(dict.fromkeys([(began, lasted), moved]))


def _is_of(row: Mapping[str, Any], kind: Kind, value: str, roots: list[Path], ids: set[str]) -> bool:
    if kind == "speaker":
        joined = str(row.get("speaker") or "").split("+") if row.get("joined_from") else ()
        return value in (row.get("speaker"), row.get("shown_speaker"), *joined)
    if kind == "source":
        return row.get("source") == value
    if kind == "expired":
        return row["id"] in ids
    path = str(row.get("bleeped_from") or row["audio_filepath"])
    return value == path or value in {str(root / path) for root in roots}


def _of_others(ws: WorkspaceFolder, target: Target) -> tuple[set[str], set[str]]:
    """Transcripts and audio paths of the utterances that stay."""
    texts, paths = set[str](), set[str]()
    for name in ws.corpus_names():
        mine, roots = set(target.ids.get(name, ())), _roots(ws.corpora / name)
        for row in rows_of(ws.corpora / name):
            if row["id"] not in mine:
                texts.update(str(t) for t in (row.get("text"), row["shown_text"]) if t)
                path = str(row["audio_filepath"])
                paths |= {path, *(str(root / path) for root in roots)}
    return texts, paths


def _paths_of_others(ws: WorkspaceFolder, target: Target) -> set[Path]:
    found: set[Path] = set()
    for name in ws.corpus_names():
        mine = set(target.ids.get(name, ()))
        for row in rows_of(ws.corpora / name):
            if row["id"] not in mine:
                found.update(
                    (root / str(row["audio_filepath"])).resolve() for root in _roots(ws.corpora / name)
                )
    return found


def _origins(ws: WorkspaceFolder, target: Target) -> Iterable[Path]:
    """Manifests outside the workspace that the corpora were imported from."""
    for name in target.ids.keys() & set(ws.corpus_names()):
        facts = record.read(ws.corpora / name)
        path = Path(str(facts.get("source", "")))
        if path.is_absolute() and path.exists() and not path.is_relative_to(ws.path):
            yield path


def _roots(folder: Path) -> list[Path]:
    return record.roots(folder)
