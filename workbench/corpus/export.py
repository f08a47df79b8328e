"""Write a corpus out for training: whole or not at all, the same bytes for the same source and decisions.

An export is a folder: the rows in one of five formats, ``data_card.md`` and ``data_card.json`` that explain
what is in it and what is not, ``left_out.jsonl`` with every row that stayed behind and why, and
``export.json`` with the digest over all of it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from workbench import locales
from workbench.corpus.schema import FIELDS
from workbench.errors import WorkbenchError
from workbench.text import strip_tag
from workbench.workspace import sha256_file, sync

if TYPE_CHECKING:
    from workbench.corpus.table import Corpus
    from workbench.ledger import Ledger

log = logging.getLogger("workbench.corpus.export")
SCHEMA_VERSION = 1
FORMATS = ("nemo", "shar", "tarred", "hf", "csv")
Only = Literal["accepted", "not_rejected"]
Progress = Callable[[int, int], None]

_HIDDEN = frozenset(
    {
        "original_text", "status", "reason", "edited", "characters", "words", "characters_per_s",
        "unknown_rate", "duration_bucket", "script", "row_index", "source_line", "source_file", "peak_dbfs",
        "rms_dbfs", "snr_db", "clipping_ratio", "bandwidth_hz", "dc_offset", "leading_silence_s",
        "trailing_silence_s", "duration_s", "sample_rate", "channels", "audio_error",
    }
)  # fmt: skip
"""Columns of the view that are the workbench's own; they stay out of exports unless the source had them."""


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

    def manifest(self, split: str) -> Path:
        """The file of one split.

        Raises:
            WorkbenchError: the export has no such split.
        """
        if split not in self.files:
            raise WorkbenchError(
                f"no split {split!r} in this export", mend=f"It has {', '.join(self.files)}."
            )
        return self.path / self.files[split]


def export(
    corpus: Corpus,
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
    **options: Any,
) -> Export:
    """Write the rows of a view.

    Args:
        corpus: the rows; rejected ones never leave.
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
        findings: of :func:`workbench.corpus.checks.run_checks`, counted in the data card.
        ledger: where the digests are recorded.
        progress: called with (rows done, rows in all).
        options: ``shard_size``, for ``shar`` and ``tarred``.

    Raises:
        WorkbenchError: nothing is left to write, the path is taken, or the format is unknown.
    """
    if format not in FORMATS:
        raise WorkbenchError(f"no export format {format!r}", mend=f"Use one of {', '.join(FORMATS)}.")
    target = Path(os.path.abspath(Path(path).expanduser()))
    _must_be_free(target, replace)
    rows, left_out = _chosen(corpus, only)
    if not rows:
        raise WorkbenchError(
            f"no row is {only.replace('_', ' ')}"
            if not left_out
            else f"all {len(left_out):,} rows stay behind",
            where=corpus.name,
            mend="Accept some rows, or export with only='not_rejected'.",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
    draft.mkdir(mode=0o700)
    try:
        settings = {"append_tag": append_tag, "prompt_mode": prompt_mode, "relative_paths": relative_paths}
        rows, names = _with_pseudonyms(_with_tags(rows, append_tag), speaker_id)
        job = Job(corpus, target, draft, rows, {**settings, **options}, progress, names)
        made = _finish(job, left_out, format, only, findings)
        _put(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    if ledger is not None:
        ledger.append("corpus.export", _payload(corpus, format, made))
    return made


@dataclass
class Job:
    """What a format needs: rows ready to write, where to, and the settings."""

    corpus: Corpus
    target: Path
    draft: Path
    rows: list[dict[str, Any]]
    settings: dict[str, Any]
    progress: Progress | None = None
    speaker_names: dict[str, Any] | None = None

    def by_split(self) -> dict[str, list[dict[str, Any]]]:
        """Rows by split in a fixed order; rows without one under ``unassigned``."""
        found: dict[str, list[dict[str, Any]]] = {}
        for row in self.rows:
            found.setdefault(safe_name(row.get("split") or "unassigned"), []).append(row)
        order = {"train": 0, "validation": 1, "test": 2}
        return dict(sorted(found.items(), key=lambda item: (order.get(item[0], 3), item[0])))

    def audio_path(self, row: Mapping[str, Any]) -> Path:
        return self.corpus._locate(row)

    def tick(self, done: int) -> None:
        if self.progress is not None:
            self.progress(done, len(self.rows))


def safe_name(text: str) -> str:
    """A split's name as a file name."""
    kept = "".join(c if (c.isalnum() and c.isascii()) or c in "-_" else "_" for c in text)[:60]
    return kept or "unassigned"


def plain_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without the view's own columns and without nulls; fields first, extras after."""
    names = [n for n in FIELDS if row.get(n) is not None]
    names += [n for n in row if n not in FIELDS and row[n] is not None and n not in _HIDDEN]
    return {n: row[n] for n in names if not (n == "tags" and not row[n])}


def write_lines(path: Path, rows: Any) -> None:
    """JSON lines, UTF-8, one key order."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for row in rows:
            stream.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def _chosen(corpus: Corpus, only: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    if only not in ("accepted", "not_rejected"):
        raise WorkbenchError(f"no choice {only!r}", mend="Use accepted or not_rejected.")
    rows, left = [], []
    for row in corpus.table().to_pylist():
        why = _why_not(row, only)
        if why is None:
            rows.append(row)
        else:
            left.append({"id": row["id"], "why": why[0], "detail": why[1]})
    return rows, left


def _why_not(row: Mapping[str, Any], only: str) -> tuple[str, str | None] | None:
    if row["status"] == "rejected":
        return "rejected", row["reason"]
    if only == "accepted" and row["status"] != "accepted":
        return "not decided", None
    if not (row["text"] or "").strip():
        return "no transcript", None
    if row["duration"] is None:
        return "duration not known", None
    if not locales.is_known(row["target_lang"]):
        return "unknown locale tag", row["target_lang"]
    return None


def _with_tags(rows: list[dict[str, Any]], append: bool) -> list[dict[str, Any]]:
    """Transcripts with exactly the tag of the row at the end, or with none."""
    for row in rows:
        bare, _ = strip_tag(row["text"])
        row["text"] = f"{bare} <{row['target_lang']}>" if append else bare
    return rows


def _with_pseudonyms(
    rows: list[dict[str, Any]], speaker_id: Callable[[str], str] | None
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Rows with pseudonyms for speakers, and what the card says of it: in how many rows a name still stands,
    by field. None where speakers keep their names."""
    if speaker_id is None:
        return rows, None
    told: Counter[str] = Counter()
    for row in rows:
        if not (name := row.get("speaker")):
            continue
        for field_name, value in row.items():
            # Two letters stand in half of all paths; names that short are not looked for.
            if field_name != "speaker" and field_name not in _HIDDEN and len(name) > 2 and value is not None:
                told[field_name] += name.casefold() in str(value).casefold()
        row["speaker"] = speaker_id(name)
    left = {name: count for name, count in sorted(told.items()) if count}
    if left:
        listed = ", ".join(f"{name} of {count:,} rows" for name, count in left.items())
        log.warning("speakers are still named in %s", listed)
    return rows, {"pseudonymised": True, "still_named_in": left}


def _finish(job: Job, left_out: list[dict[str, Any]], format: str, only: str, findings: Any) -> Export:
    from workbench.corpus import card, formats

    files = formats.WRITERS[format](job)
    write_lines(job.draft / "left_out.jsonl", left_out)
    counts = card.write(job, left_out, format, only, findings)
    digest = folder_digest(job.draft)
    facts = {
        "schema_version": SCHEMA_VERSION,
        "format": format,
        "digest": digest,
        "counts": counts,
        "files": files,
    }
    text = json.dumps(facts, ensure_ascii=False, indent=1, sort_keys=True)
    (job.draft / "export.json").write_text(text + "\n", encoding="utf-8")
    return Export(job.target, digest, counts, files)


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
        raise WorkbenchError("an export lies here already", where=str(target), mend="Pass replace=True.")
    raise WorkbenchError("the path is taken by something else", where=str(target), mend="Choose another.")


def _put(draft: Path, target: Path) -> None:
    """The finished folder takes its place; what lay there goes only after."""
    for path in draft.rglob("*"):
        if path.is_file():
            sync(path)
    sync(draft)
    old = None
    if target.exists():
        old = target.with_name(f".{target.name}.{secrets.token_hex(6)}.old")
        os.replace(target, old)
    os.replace(draft, target)
    sync(target.parent)
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def _payload(corpus: Corpus, format: str, made: Export) -> dict[str, Any]:
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
