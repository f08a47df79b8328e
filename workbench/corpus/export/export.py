"""Write a corpus out for training: whole or not at all, the same bytes for the same source and decisions.

An export is a folder: the rows in one of five formats, ``data_card.md`` and ``data_card.json`` that explain
what is in it and what is not, ``left_out.jsonl`` with every row that stayed behind and why, and
``export.json`` with the digest over all of it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench.corpus.export import archives, card, formats
from workbench.corpus.export.export_rows import (
    ExportRows,
    Place,
    Progress,
    choose,
    safe_name,
)
from workbench.corpus.export.job import Job
from workbench.corpus.query import spill_db
from workbench.drafts import drafting
from workbench.errors import WorkbenchError
from workbench.files import sha256_file, sync
from workbench.glance import Glance, as_html, as_text, counted
from workbench.ingest import not_speech
from workbench.locks import unerased
from workbench.signatures import public

if TYPE_CHECKING:
    from workbench.corpus.query.view import View
    from workbench.workspace.ledger import Ledger

SCHEMA_VERSION = 1
WRITERS: dict[str, Callable[[Job], dict[str, str]]] = {
    "nemo": formats.nemo,
    "shar": archives.shar,
    "tarred": archives.tarred,
    "hf": archives.hugging_face,
    "csv": formats.as_csv,
}
"""Format → writer; returns split → file relative to the export's folder."""
FORMATS = tuple(WRITERS)
Only = Literal["accepted", "not_rejected"]


@public
@dataclass(frozen=True)
class Export:
    """A finished export.

    Attributes:
        path: its folder.
        digest: SHA-256 over names and contents of its files.
        counts: ``utterances``, ``hours``, ``left_out``, and utterances per split.
        files: format-dependent: split → manifest or data file, relative to ``path``.
    """

    path: Path
    digest: str
    counts: dict[str, Any]
    files: dict[str, str] = field(default_factory=dict)

    def _glance(self) -> Glance:
        many = counted(self.counts["utterances"], "utterance")
        out = f", {self.counts['left_out']:,} left out" if self.counts.get("left_out") else ""
        said = f"Exported {many} ({self.counts['hours']:.2f} h) to {self.path.name}{out}."
        rows = [
            (split, f"{self.counts.get(f'split_{split}', 0):,}", name) for split, name in self.files.items()
        ]
        more = f"<p>{escape(str(self.path))}<br>digest <code>{escape(self.digest)}</code></p>"
        return Glance(said, ("split", "utterances", "file"), rows, more=more, about="folder and digest")

    __repr__, _repr_html_ = as_text, as_html

    def manifest(self, split: str) -> Path:
        """The file of one split.

        Raises:
            WorkbenchError: the export has no such split.
        """
        if split not in self.files:
            raise WorkbenchError(
                f"no split {split!r} in this export", hint=f"It has {', '.join(self.files)}."
            )
        return self.path / self.files[split]


def export(
    corpus: View,
    path: str | Path,
    format: str = "nemo",
    *,
    append_tag: bool = True,
    only: Only = "accepted",
    prompt_mode: str = "langID",
    relative_paths: bool = False,
    replace: bool = False,
    speaker_id: Callable[[str], str] | None = None,
    findings: Any = None,
    ledger: Ledger | None = None,
    progress: Progress | None = None,
    workers: int = 1,
    shard_size: int | None = None,
    silence_limit: float = not_speech.LIMIT,
) -> Export:
    """Write the rows of a view.

    Args:
        corpus: the rows; rejected ones never leave, nor do those on which reviewers differ, nor a recording
            given for testing only as anything but a test row (or for training only as one).
        path: the folder to make.
        format: ``nemo`` (a manifest per split), ``shar`` (Lhotse Shar), ``tarred`` (NeMo tarred), ``hf``
            (a saved ``datasets.DatasetDict``) or ``csv``.
        append_tag: end each transcript with its tag, ``... thank you. <en-US>``, as the prompt model is
            trained; off for models without tags.
        only: ``accepted``, or ``not_rejected`` to take pending rows too.
        prompt_mode: written on each NeMo row: ``langID``, ``auto`` or ``unified``.
        relative_paths: audio relative to the manifest instead of absolute, so that the tree can move.
        replace: an export that lies there already may be replaced.
        speaker_id: gives the keyed pseudonym that stands for a speaker in the export, its key kept elsewhere.
            Ids, paths and transcripts stay; rows that still name a speaker there are counted in the card.
        findings: of ``workbench.corpus.quality.checks.run_checks`` or ``write_checks``, for the data card.
        ledger: where the digests are recorded.
        progress: called with (rows done, rows in all).
        workers: processes that write the shards of ``shar`` and ``tarred``; the bytes are the same with any
            number.
        shard_size: utterances per shard of ``shar`` and ``tarred``; a number of its own by default.
        silence_limit: most of the rows, as a share, that may be declared to hold no speech.

    Raises:
        WorkbenchError: nothing is left to write, the path is taken, or the format is unknown.
    """
    if format not in FORMATS:
        raise WorkbenchError(f"no export format {format!r}", hint=f"Use one of {', '.join(FORMATS)}.")
    target = Path(os.path.abspath(Path(path).expanduser()))
    _must_be_free(target, replace)
    if workers < 1:
        raise WorkbenchError(f"workers={workers}", hint="Use 1 or more.")
    with (
        unerased(corpus.folder),
        drafting(target, corpus.folder) as draft,
        spill_db.database(corpus.folder) as database,
    ):
        rows = choose(
            corpus, only, append_tag, speaker_id, draft.sibling("rows"), draft.path / "left_out.jsonl"
        )
        _must_leave(rows, corpus, only)
        _must_speak(rows, corpus, silence_limit)
        settings: dict[str, Any] = {
            "append_tag": append_tag,
            "prompt_mode": prompt_mode,
            "relative_paths": relative_paths,
        }
        if shard_size is not None:
            settings["shard_size"] = shard_size
        place = Place([str(root) for root in corpus.facts["audio_roots"]], target, settings)
        job = Job(corpus, draft.path, rows, place, database, progress, workers)
        made = _write(job, format, only, findings)
        for path in [*draft.path.rglob("*"), draft.path]:
            sync(path)
        if ledger is not None:  # before it can be used: rows that left without a word are worse than a word
            act = draft.act(made.digest)
            ledger.append_once("corpus.export", act, _payload(corpus, format, made))
        draft.put()
        sync(target.parent)
    return made


def _write(job: Job, format: str, only: str, findings: Any) -> Export:
    """The files of the format, the card and the digest over all of it."""
    files = WRITERS[format](job)
    counts = card.write(job, format, only, findings)
    digest = folder_digest(job.draft)
    facts = {
        "schema_version": SCHEMA_VERSION,
        "corpus": job.corpus.name,
        "format": format,
        "digest": digest,
        "counts": counts,
        "files": files,
    }
    text = json.dumps(facts, ensure_ascii=False, indent=1, sort_keys=True)
    (job.draft / "export.json").write_text(text + "\n", encoding="utf-8")
    return Export(job.place.target, digest, counts, files)


def _must_leave(rows: ExportRows, corpus: View, only: str) -> None:
    if not len(rows):
        stayed = rows.left_out.total()
        unknown = rows.left_out.get("unknown locale tag", 0)
        hint = "Accept some rows, or export with only='not_rejected'."
        if unknown and unknown == stayed:
            hint = "Correct the column target_lang, or declare the locale once: ws.add_locale('ca-ES')."
        if rows.left_out.get("reviewers differ"):
            hint = 'Let a third reviewer decide: the filter "reviewers differ" of the board.'
        why = ", ".join(f"{count:,} {reason}" for reason, count in rows.left_out.most_common(3))
        raise WorkbenchError(
            f"all {stayed:,} rows excluded ({why})" if stayed else f"no row is {only.replace('_', ' ')}",
            where=corpus.name,
            hint=hint,
        )


def _must_speak(rows: ExportRows, corpus: View, limit: float) -> None:
    """Raises WorkbenchError where more than ``limit`` of the rows are declared to hold no speech."""
    if rows.silent > limit * len(rows):
        share = 100 * rows.silent / len(rows)
        raise WorkbenchError(
            f"{rows.silent:,} of {len(rows):,} rows ({share:.1f} %) are declared to hold no speech, "
            f"more than {100 * limit:g} %",
            where=corpus.name,
            hint="Export fewer of them, or raise silence_limit: a model of much silence says nothing.",
        )


def folder_digest(folder: Path) -> str:
    """SHA-256 over the sorted names and hashes of a folder's files, ``export.json`` left out."""
    found = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "export.json")
    lines = [f"{path.relative_to(folder).as_posix()}\0{sha256_file(path)}\n" for path in found]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _must_be_free(target: Path, replace: bool) -> None:
    if not target.exists():
        return
    if target.is_dir() and not any(target.iterdir()):
        return
    if (target / "export.json").exists():
        if replace:
            return
        raise WorkbenchError("an export lies here already", where=str(target), hint="Pass replace=True.")
    raise WorkbenchError("the path is taken by something else", where=str(target), hint="Choose another.")


def _payload(corpus: View, format: str, made: Export) -> dict[str, Any]:
    # A split may be called anything; the ledger keeps no free text.
    counts = {safe_name(k): v for k, v in made.counts.items() if isinstance(v, int | float)}
    return {
        "format": format,
        "digest": made.digest,
        "decisions": made.counts["decisions_digest"],
        "source": corpus.facts["utterances_sha256"],
        **counts,
    }


def export_facts(made: Export) -> dict[str, Any]:
    """An export as plain data."""
    return {**asdict(made), "path": str(made.path)}
