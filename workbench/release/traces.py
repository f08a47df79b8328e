"""Where a person, a recording or a source left traces in a workspace: found by looking into every file.

Nothing is assumed about which room wrote a file. Tables and JSON lines are matched row by row on their ids,
audio paths, speaker and transcript; other text files on the same strings; exports count as a whole, because a
digest covers them.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from workbench.errors import WorkbenchError
from workbench.release.strings import any_of
from workbench.workspace import WorkspaceFolder

Kind = Literal["speaker", "recording", "source", "expired"]
Action = Literal["drop rows", "drop lines", "erase decisions", "delete", "silence", "mark", "leave"]
SHORTEST_TEXT = 12
SHORTEST_ID, SHORTEST_NAME = 8, 3
"""Shorter transcripts ("Yes."), ids and names are not searched for in text; their rows are found by field."""
_BINARY = frozenset({".nemo", ".ckpt", ".wav", ".flac", ".ogg", ".opus", ".mp3", ".lock", ".key"})
_SKIPPED = frozenset(
    {"erasures", "slots", "keys", "store", "ledger.sqlite", "ledger.sqlite-journal", "roles"}
)


@dataclass(frozen=True, slots=True)
class Trace:
    """Something that holds traces. ``where`` names the room: audio, table, predictions, export …;
    ``count``: rows, lines or files; ``why``: for what stays, why it does."""

    where: str
    path: Path
    action: Action
    count: int = 1
    why: str = ""


@dataclass
class Target:
    """Whose traces are looked for: utterances by corpus, and the strings that give them away. Complete once
    ``select`` returns it; what is derived is then kept."""

    kind: Kind
    value: str
    ids: dict[str, list[str]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    clips: list[dict[str, Any]] = field(default_factory=list)

    @cached_property
    def all_ids(self) -> set[str]:
        return {clip for clips in self.ids.values() for clip in clips}

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        """The strings as they stand in text files, as whole words: plain, as HTML and as JSON write them.

        Short ids and names are left out, since "12" or "Al" stand in any file; their rows are found by field.
        """
        ids = {i for i in self.all_ids if len(i) >= SHORTEST_ID}
        plain = ids | {n for n in self.names if len(n) >= SHORTEST_NAME} | self.long_texts
        forms = {form for text in plain for form in (text, html.escape(text), json.dumps(text)[1:-1])}
        if not forms:
            return re.compile(rb"(?!)")
        words = any_of(form.encode() for form in forms)
        return re.compile(rb"(?<![\w])" + words + rb"(?![\w])")

    def ids_of(self, corpus: str | None) -> set[str]:
        """Ids in one corpus; outside of any, those of all."""
        return self.all_ids if corpus is None else set(self.ids.get(corpus, ()))

    def matches(self, record: Mapping[str, Any], corpus: str | None) -> bool:
        """Whether a row is one of the utterances, or names one."""
        if str(record.get("id", "")) in self.ids_of(corpus):
            return True
        return any(isinstance(v, str) and (v in self.names or v in self.long_texts) for v in record.values())

    @cached_property
    def long_texts(self) -> set[str]:
        return {t for t in self.texts if len(t) >= SHORTEST_TEXT}


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
    for name in ws.corpus_names():
        roots = _roots(ws.corpora / name)
        for row in rows_of(ws.corpora / name):
            if _is_of(row, kind, value, roots, set((ids or {}).get(name, ()))):
                target.ids.setdefault(name, []).append(row["id"])
                path = str(row["audio_filepath"])
                target.names.add(path)
                target.names.update(str(root / path) for root in roots)
                target.texts.update(str(t) for t in (row.get("text"), row.get("shown_text")) if t)
                target.clips.append({**row, "corpus": name})
    if not target.ids:
        raise WorkbenchError(
            f"no utterance of this {kind} in any corpus", mend="Check the spelling; case counts."
        )
    # A sentence that others read too, or a recording that others speak in, is no trace of this person alone.
    texts, paths = _of_others(ws, target)
    target.texts -= texts
    target.names -= paths
    return target


def find(ws: WorkspaceFolder, target: Target, *, originals: bool) -> list[Trace]:
    """All traces, the audio first.

    Args:
        originals: recordings outside the workspace may be deleted too; otherwise they are listed as left.
    """
    traces = list(_audio(ws, target, originals))
    deleted = {trace.path for trace in traces}
    whole: set[Path] = set()
    for path in _files(ws.path):
        if path in deleted or any(path.is_relative_to(folder) for folder in whole):
            continue
        unit = _export_of(path)
        if unit is not None:
            if _touched(unit, target):
                whole.add(unit)
                traces.append(Trace("export", unit, "delete"))
            continue
        trace = _look(ws, path, target)
        if trace is not None:
            traces.append(trace)
    traces += [
        Trace("original source", path, "leave", why="outside the workspace") for path in _origins(ws, target)
    ]
    return traces


def _look(ws: WorkspaceFolder, path: Path, target: Target) -> Trace | None:
    where = _room(ws, path)
    if path.suffix in _BINARY:
        return None
    if path.suffix == ".parquet":
        count = sum(_parquet_matches(path, target))
        return Trace(where, path, "drop rows", count) if count else None
    if path.suffix == ".sqlite":
        named = _decided_on(path, target) or _touches(path, target)
        return Trace(where, path, "erase decisions") if named else None
    if path.suffix in (".sqlite-wal", ".sqlite-shm"):
        return None  # emptied with their database
    if path.suffix == ".jsonl":
        count = sum(1 for line in _lines(path) if line_matches(line, target, corpus_of(path)))
        return Trace(where, path, "drop lines", count) if count else None
    if not _touches(path, target):
        return None
    if path.suffix == ".log":
        count = sum(1 for line in _lines(path) if line_matches(line, target, corpus_of(path)))
        return Trace(where, path, "drop lines", count)
    if path.name in ("source.json", "recipe.yaml", "workspace.toml", "job.json", "provenance.json"):
        return Trace(where, path, "leave", why="a setting that names it; change it by hand")
    return Trace(where, path, "delete")


def _audio(ws: WorkspaceFolder, target: Target, originals: bool) -> Iterator[Trace]:
    wanted: dict[Path, int] = {}
    for clip in target.clips:
        for root in _roots(ws.corpora / clip["corpus"]):
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
        elif path.suffix.lower() in (".wav", ".flac"):
            yield Trace("audio", path, "silence", count)
        else:
            yield Trace(
                "audio", path, "leave", count, "others speak in it and its format cannot be cut losslessly"
            )


def parquet_keep(path: Path, target: Target) -> Any:
    """The table without the rows that match, its schema and metadata kept."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    return table.filter(pa.array([not match for match in _parquet_matches(path, target)], pa.bool_()))


def corpus_of(path: Path) -> str | None:
    """The corpus whose folder a file lies in; ids mean something within their corpus only."""
    return next((folder.name for folder in path.parents if folder.parent.name == "corpora"), None)


def _parquet_matches(path: Path, target: Target) -> list[bool]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    texts = [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
    if not texts:
        return [False] * pq.read_metadata(path).num_rows
    table = pq.read_table(path, columns=texts)
    named = target.names | target.long_texts
    ids = target.ids_of(corpus_of(path))
    found = [False] * table.num_rows
    for name in texts:
        wanted = ids | named if name == "id" else named
        for i, value in enumerate(table[name].to_pylist()):
            found[i] = found[i] or value in wanted
    return found


def line_matches(line: bytes, target: Target, corpus: str | None) -> bool:
    """Whether a line holds a trace: a JSON record that matches, or any of the strings."""
    if not line.strip():
        return False
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if isinstance(record, dict) and target.matches(record, corpus):
        return True
    return target.pattern.search(line) is not None


def _decided_on(path: Path, target: Target) -> bool:
    """Whether a file of decisions names any of the utterances; short ids cannot be searched for in bytes."""
    if path.name != "decisions.sqlite":
        return False
    from workbench.corpus.decisions import DecisionStore

    store = DecisionStore(path)
    try:
        return any(store.history(clip) for clip in target.ids_of(corpus_of(path)))
    finally:
        store.close()


def _touches(path: Path, target: Target) -> bool:
    data = path.read_bytes()
    wal = path.with_name(path.name + "-wal")
    data += wal.read_bytes() if wal.exists() else b""
    return target.pattern.search(data) is not None


def _touched(folder: Path, target: Target) -> bool:
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix in _BINARY:
            continue
        if path.suffix == ".parquet" and any(_parquet_matches(path, target)):
            return True
        if path.suffix == ".gz":
            import gzip

            if target.pattern.search(gzip.decompress(path.read_bytes())):
                return True
        elif _touches(path, target):
            return True
    return False


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Rows as imported and as edited by reviewers: either may name the speaker."""
    import pyarrow.parquet as pq

    from workbench.corpus.decisions import DecisionStore

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
    )
    path = folder / "utterances.parquet"
    names = set(pq.read_schema(path).names)
    rows: list[dict[str, Any]] = pq.read_table(path, columns=[n for n in wanted if n in names]).to_pylist()
    edited: dict[tuple[str, str], str | None] = {}
    if (folder / "decisions.sqlite").exists():
        store = DecisionStore(folder / "decisions.sqlite")
        edited = {(clip, name): value for clip, name, value, _ in store.state()}
        store.close()
    for row in rows:
        row["shown_text"] = edited.get((row["id"], "text"))
        row["shown_speaker"] = edited.get((row["id"], "speaker"))
    return rows


def _is_of(row: Mapping[str, Any], kind: Kind, value: str, roots: list[Path], ids: set[str]) -> bool:
    if kind == "speaker":
        return value in (row.get("speaker"), row.get("shown_speaker"))
    if kind == "source":
        return row.get("source") == value
    if kind == "expired":
        return row["id"] in ids
    path = str(row["audio_filepath"])
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
    for name in target.ids:
        facts = json.loads((ws.corpora / name / "source.json").read_text(encoding="utf-8"))
        path = Path(str(facts.get("source", "")))
        if path.is_absolute() and path.exists() and not path.is_relative_to(ws.path):
            yield path


def _roots(folder: Path) -> list[Path]:
    facts = json.loads((folder / "source.json").read_text(encoding="utf-8"))
    return [Path(root) for root in facts["audio_roots"]]


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in _SKIPPED or path.is_symlink():
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def _export_of(path: Path) -> Path | None:
    """The export or bundle that a file belongs to."""
    for folder in path.parents:
        if (folder / "export.json").exists() or (folder / "bundle.json").exists():
            return folder
    return None


def _room(ws: WorkspaceFolder, path: Path) -> str:
    parts = path.relative_to(ws.path).parts
    rooms = {"runs": "run", "reports": "report", "releases": "release", "checkpoints": "checkpoint"}
    if parts[0] == "corpora":
        return "predictions" if "predictions" in parts else "table" if path.suffix == ".parquet" else "corpus"
    return rooms.get(parts[0], "workspace")


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        yield from stream
