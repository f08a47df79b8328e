"""Import: whatever a team has, as one immutable ``utterances.parquet`` with a record of what was left out.

No audio is loaded. Headers are read only where a source does not state durations; audio that exists only
inside a table or a Shar archive is copied out unchanged, since it has no file to point to.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workbench.corpus import record
from workbench.corpus.query.table import Corpus
from workbench.corpus.review.decisions import DecisionStore
from workbench.errors import Problem, WorkbenchError
from workbench.files import replacing, sha256_file, write_atomic
from workbench.ingest.columns_only import open_columns
from workbench.ingest.erased import Erased, without_erased
from workbench.ingest.intake import ImportOptions, Progress, TakenIn, must_be_understood, take_in
from workbench.ingest.layouts import open_reader
from workbench.ingest.plan import ImportPlan
from workbench.ingest.reader import Reader
from workbench.ingest.recordings import Missing, missing
from workbench.ingest.schema import SCHEMA_VERSION
from workbench.locks import alone, is_held
from workbench.names import check_name

Removed = Callable[[Path], None]
"""What is told of a corpus that goes, while it is still there."""
_GONE = ".gone"
_BUSY = "another process is importing or changing this corpus"
TEXT_ABSENT = "no column holds transcripts; the rows come without"


@dataclass(frozen=True, slots=True)
class Making:
    """How the rows of a corpus were made of another's.

    Attributes:
        act: kind of the event that says so in the ledger, such as ``corpus.segment``.
        facts: what the event says; no names.
        problems: what was left out on the way.
    """

    act: str
    facts: Mapping[str, Any]
    problems: Sequence[Problem] = ()


def import_source(
    source: Any,
    folder: str | Path,
    *,
    name: str,
    plan: ImportPlan | None = None,
    mapping: Mapping[str, str] | None = None,
    defaults: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    audio_roots: Sequence[str | Path] | None = None,
    locale: str | None = None,
    erased: Erased | None = None,
    settling: AbstractContextManager[None] | None = None,
    require_audio: bool = False,
    columns_only: bool = False,
    making: Making | None = None,
    progress: Progress | None = None,
) -> Corpus:
    """Make a corpus of a source.

    Args:
        source: a path, an object in memory or a hub name; :mod:`workbench.ingest.layouts` lists the layouts.
        folder: where the corpus will lie; must not hold one yet.
        name: its name; becomes ``source`` where rows state none.
        plan: of :func:`workbench.ingest.inspect.inspect_source`, edited or not; the arguments below win.
        mapping: field → column; wins over the guesses that a plan shows.
        defaults: field → value where the source has none, e.g. ``{"license": "CC0-1.0"}``.
        tags: what the source writes → locale tag, e.g. ``{"el": "el-GR"}``; never guessed.
        audio_roots: folders that audio may lie in; the first is what paths become relative to. Default:
            the manifest's folder.
        locale: of rows that state none, and of those that name only its language: ``da-DK`` for ``da``.
        erased: says of rows whether they were erased before; those stay out, each named among the problems.
        settling: entered before rows are held against what was erased, left when the corpus is there: no
            erasure may come between the two.
        require_audio: look for the recordings; name how many are missing, and refuse where all are.
        columns_only: read the columns of a data set without its sound, as
            :func:`workbench.ingest.columns_only.open_columns` does; rows then have no recording.
        making: where the rows were made of another corpus.
        progress: called with (rows read, 0 while the total is not known).

    Raises:
        WorkbenchError: the source cannot be read, its transcripts are not understood, the folder is taken, or
            no row is usable. Nothing half-made stays.
    """
    folder = Path(folder)
    check_name(name)
    given = ImportOptions(mapping or {}, defaults or {}, tags or {}, tuple(audio_roots or ()), locale)
    options = given if plan is None else plan.options(given)
    was_there = folder.exists()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Whoever meets an empty folder lets go of it at once.
    with alone(folder / "lock", timeout_s=5, busy=_BUSY):
        if (folder / "source.json").exists():
            raise WorkbenchError("a corpus lies here already", where=str(folder), hint="Choose another name.")
        try:
            problems: list[Problem] = []
            reader = open_columns(source) if columns_only else open_reader(source, folder, options.mapping)
            with ExitStack() as outer, ExitStack() as inner:
                draft = inner.enter_context(replacing(folder / "utterances.parquet"))
                made = take_in(reader, options, folder, name, draft, problems, progress)
                must_be_understood(reader, made)
                outer.enter_context(settling or nullcontext())
                made = _judged(reader, made, draft, folder, erased, require_audio, problems)
                inner.close()
                _record(folder, made, reader, problems, plan, making)
        except BaseException:
            if not was_there:
                shutil.rmtree(folder, ignore_errors=True)
            raise
    return Corpus.open(folder)


def _judged(
    reader: Reader,
    made: TakenIn,
    draft: Path,
    folder: Path,
    erased: Erased | None,
    require_audio: bool,
    problems: list[Problem],
) -> TakenIn:
    """What is left after erasures, if it is worth a corpus; what it lacks is among the problems."""
    if erased is not None and made.admitted.rows:
        made = replace(made, admitted=without_erased(draft, made.admitted, erased, folder, problems))
    if not made.admitted.rows:
        first = str(problems[0]) if problems else "the source is empty"
        raise WorkbenchError(f"no usable row; first fault: {first}", where=reader.where[-120:])
    if "text" not in made.rules.mapping:
        problems.append(Problem("", TEXT_ABSENT, "Transcribe them, or name the column.", field="text"))
    if require_audio:
        gone = missing(draft, made.rules.roots)
        _refuse_silence(gone, reader, made)
        if gone.missing:
            problems.append(Problem("", str(gone), "Rows stay; checks name them.", field="audio_filepath"))
    return made


def _refuse_silence(gone: Missing, reader: Reader, made: TakenIn) -> None:
    if gone.all:
        raise WorkbenchError(
            f"every recording is missing: {gone.recordings:,} of them, first {gone.first[:80]!r}",
            where=f"looked for in {made.rules.roots[0]}",
            hint="Pass audio_roots=[...] (--audio-root) with the folder that paths start from.",
        )


def _record(
    folder: Path,
    made: TakenIn,
    reader: Reader,
    problems: Sequence[Problem],
    plan: ImportPlan | None,
    making: Making | None,
) -> None:
    problems = [*problems, *(making.problems if making else ())]
    lines = [json.dumps(problem.to_dict(), ensure_ascii=False) + "\n" for problem in problems]
    write_atomic(folder / "problems.jsonl", "".join(lines))
    rules, admitted = made.rules, made.admitted
    facts = {
        "schema_version": SCHEMA_VERSION,
        "name": rules.name,
        "kind": reader.kind,
        "source": reader.where,
        "source_sha256": reader.digest(),
        "utterances_sha256": sha256_file(folder / "utterances.parquet"),
        "audio_roots": [str(root) for root in rules.roots],
        "mapping": dict(rules.mapping),
        "defaults": dict(rules.defaults),
        "tags": dict(rules.tags),
        "locale": rules.locale,
        "plan": None if plan is None else plan.to_dict(),
        "import_id": secrets.token_hex(8),
        **({"made": {"act": making.act, "facts": dict(making.facts)}} if making else {}),
        "columns": admitted.columns,
        "rows": admitted.rows,
        "left_out": admitted.left_out + reader.left_out,
        "problems": len(problems),
        "imported_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
    # The decisions first: a corpus whose file of decisions is missing has lost it.
    DecisionStore(folder / "decisions.sqlite").close()
    # Written last: a folder without it is no corpus, so a killed import leaves none.
    record.write(folder, facts)


def removal_facts(folder: Path) -> dict[str, Any]:
    """What the ledger keeps of a corpus that goes: counts and a digest, no names."""
    facts = record.read(folder)
    return {"utterances": facts["rows"], "table": facts["utterances_sha256"]}


def remove(folder: Path) -> None:
    """Delete a corpus.

    Raises:
        WorkbenchError: another process is importing or changing it.
    """
    with alone(folder / "lock", timeout_s=0, busy=_BUSY):
        _delete(folder)


@contextmanager
def replaced(folder: Path, replace: bool, removed: Removed) -> Iterator[None]:
    """Within, the name of a corpus is free; after an error the old corpus has it again.

    After a kill too: :func:`settle_replaced` then does what is left to do.

    Args:
        folder: of the corpus.
        replace: whether an old one may go.
        removed: told the folder of the old one once the new one is there, before the old one goes.

    Raises:
        WorkbenchError: there is one, and it may not go; or another process is changing it.
    """
    with alone(_place_lock(folder), timeout_s=0, busy=_BUSY):
        _settle(folder, removed)
        if not (folder / "source.json").exists():
            yield
            return
        if not replace:
            hint = "Choose another name, or replace it: replace=True (--replace)."
            raise WorkbenchError(f"there is a corpus {folder.name!r} already", where=str(folder), hint=hint)
        removal_facts(folder)  # a damaged record is said before anything moves
        with alone(folder / "lock", timeout_s=0, busy=_BUSY):
            os.replace(folder, folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.old"))
        try:
            yield
        finally:
            _settle(folder, removed)


def settle_replaced(corpora: Path, removed: Removed) -> None:
    """What a kill left of replacing corpora: the new one stays where it is whole, else the old one is back.

    Args:
        corpora: the folder of all corpora.
        removed: as :func:`replaced` takes it.
    """
    for path in corpora.glob(f".*{_GONE}"):
        shutil.rmtree(path, ignore_errors=True)
    for name in sorted({path.name.split(".")[1] for path in corpora.glob(".*.*.old")}):
        folder = corpora / name
        if not is_held(_place_lock(folder)):  # else somebody is replacing it now
            with suppress(WorkbenchError), alone(_place_lock(folder), timeout_s=0):
                _settle(folder, removed)


def _place_lock(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def _settle(folder: Path, removed: Removed) -> None:
    for old in sorted(folder.parent.glob(f".{folder.name}.*.old")):
        if (folder / "source.json").exists():
            removed(old)
            _delete(old)
        else:
            if folder.exists():
                _delete(folder)
            os.replace(old, folder)


def _delete(folder: Path) -> None:
    """At once, by its name; what a kill leaves of it is no corpus, and goes when the workspace is opened."""
    gone = folder.with_name(f".{folder.name.strip('.')}.{secrets.token_hex(4)}{_GONE}")
    os.replace(folder, gone)
    shutil.rmtree(gone, ignore_errors=True)
