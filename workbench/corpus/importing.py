"""Import: whatever a team has, as one immutable ``utterances.parquet`` with a record of what was left out.

No audio is loaded. Headers are read only where a source does not state durations; audio that exists only
inside a table or a Shar archive is copied out unchanged, since it has no file to point to.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import Problem, WorkbenchError
from workbench.files import replacing, sha256_file, write_atomic
from workbench.ingest import manifest, plain_manifest, readers
from workbench.ingest.erased import Erased, without_erased
from workbench.ingest.readers import Reader
from workbench.ingest.row_validation import Admitted, admit, admit_plain, connect
from workbench.ingest.schema import SCHEMA_VERSION, guess_mapping
from workbench.ingest.validation_sql import Plan
from workbench.locks import alone
from workbench.names import check_name

if TYPE_CHECKING:
    import pyarrow as pa

    from workbench.corpus.query.table import Corpus

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Preview:
    """What an import would do, before it does it.

    Attributes:
        kind: what the source was taken for.
        columns: the source's columns.
        mapping: field → column, guesses and choices together.
        unused: columns that feed no field; they ride along and come out again.
        rows: the first rows as the source has them.
        problems: faults met in reading those rows.
    """

    kind: str
    columns: list[str]
    mapping: dict[str, str]
    unused: list[str]
    rows: list[dict[str, Any]]
    problems: list[Problem] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.kind}: {len(self.columns)} columns"]
        lines += [f"  {name} <- {column}" for name, column in self.mapping.items()]
        lines += [f"  rides along: {', '.join(self.unused)}"] if self.unused else []
        return "\n".join(lines)


def preview(source: Any, mapping: Mapping[str, str] | None = None, rows: int = 5) -> Preview:
    """Read the beginning of a source and show the mapping that an import would use.

    Raises:
        WorkbenchError: the source is not one that can be read.
    """
    problems: list[Problem] = []
    reader = readers.open_reader(source, None)
    table = next(reader.tables(problems), None)
    columns = [] if table is None else _source_columns(table)
    chosen = guess_mapping(columns, {**reader.mapping, **(mapping or {})})
    unused = [c for c in columns if c not in set(chosen.values())]
    head = [] if table is None else table.slice(0, rows).select(columns).to_pylist()
    return Preview(reader.kind, columns, chosen, unused, head, problems)


def import_source(
    source: Any,
    folder: str | Path,
    *,
    name: str,
    mapping: Mapping[str, str] | None = None,
    defaults: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    audio_roots: Sequence[str | Path] | None = None,
    erased: Erased | None = None,
    settling: AbstractContextManager[None] | None = None,
    progress: Progress | None = None,
) -> Corpus:
    """Make a corpus of a source.

    Args:
        source: a path (NeMo manifest, also ``_OP_0..7_CL_`` or ``*`` shards, ``.gz`` and tarred; Common
            Voice TSV; CSV; Parquet; a saved data set; Lhotse cuts or a Shar folder; a folder of audio with
            ``.txt`` beside it), a ``datasets.Dataset``, a ``lhotse.CutSet``, or a hub name (``org/name``).
        folder: where the corpus will lie; must not hold one yet.
        name: its name; becomes ``source`` where rows state none.
        mapping: field → column; wins over the guesses that :func:`preview` shows.
        defaults: field → value where the source has none, e.g. ``{"target_lang": "el-GR"}``.
        tags: what the source writes → locale tag, e.g. ``{"el": "el-GR"}``; never guessed.
        audio_roots: folders that audio may lie in; the first is what paths become relative to. Default:
            the manifest's folder.
        erased: says of rows whether they were erased before; those stay out, each named among the problems.
        settling: entered before rows are held against what was erased, left when the corpus is there: no
            erasure may come between the two.
        progress: called with (rows read, 0 while the total is not known).

    Raises:
        WorkbenchError: the source cannot be read, the folder is taken, or no row is fit.
    """
    from workbench.corpus.query.table import Corpus

    folder = Path(folder)
    check_name(name)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with alone(folder / "lock", timeout_s=0, busy="another process is importing or changing this corpus"):
        if (folder / "source.json").exists():
            raise WorkbenchError("a corpus lies here already", where=str(folder), hint="Choose another name.")
        rules = name, mapping, defaults, tags, audio_roots
        _import(source, folder, rules, erased, settling or nullcontext(), progress)
    return Corpus.open(folder)


def _import(
    source: Any,
    folder: Path,
    rules: tuple[Any, ...],
    erased: Erased | None,
    settling: AbstractContextManager[None],
    progress: Progress | None,
) -> None:
    problems: list[Problem] = []
    reader = readers.open_reader(source, folder)
    utterances = folder / "utterances.parquet"

    def plan_of(columns: Sequence[str]) -> Plan:
        return _plan(reader, columns, folder, *rules)

    with ExitStack() as outer, ExitStack() as inner:
        draft = inner.enter_context(replacing(utterances))
        plan, admitted = _straight(reader, plan_of, draft, problems, progress) or _by_tables(
            reader, plan_of, draft, problems, progress
        )
        outer.enter_context(settling)
        if erased is not None and admitted.rows:
            admitted = without_erased(draft, admitted, erased, folder, problems)
        if not admitted.rows:
            first = str(problems[0]) if problems else "the source is empty"
            raise WorkbenchError(f"no row is fit; first fault: {first}", where=reader.where)
        inner.close()
        _record(folder, plan, reader, admitted, problems)


def _straight(
    reader: Reader,
    plan_of: Callable[[Sequence[str]], Plan],
    draft: Path,
    problems: list[Problem],
    progress: Progress | None,
) -> tuple[Plan, Admitted] | None:
    """A plain manifest from the file to Parquet; None where the source is anything else."""
    if reader.lines is None:
        return None
    try:
        with connect() as connection:
            lines = plain_manifest.look(connection, reader.lines)
        while True:
            plan = plan_of(list(lines.kinds))
            if "duration" not in plan.mapping:
                return None
            try:
                admitted = admit_plain(lines, plan, draft, problems)
                break
            except manifest.NotPlainError:
                with connect() as connection:
                    lines = plain_manifest.read_whole(connection, lines)
    except manifest.NotPlainError:
        return None
    reader.sha256 = lines.sha256
    if progress is not None:
        progress(admitted.rows + admitted.left_out, 0)
    return plan, admitted


def _by_tables(
    reader: Reader,
    plan_of: Callable[[Sequence[str]], Plan],
    draft: Path,
    problems: list[Problem],
    progress: Progress | None,
) -> tuple[Plan, Admitted]:
    """Any source, by way of Arrow tables in memory."""
    table = _joined(list(_counted(reader.tables(problems), progress)))
    plan = plan_of(_source_columns(table))
    if "duration" not in plan.mapping:
        table = readers.with_durations(table, plan, problems)
        if "duration" in table.column_names:
            plan = replace(plan, mapping={**plan.mapping, "duration": "duration"})
    return plan, admit(table, plan, draft, problems)


def _plan(
    reader: Reader,
    columns: Sequence[str],
    folder: Path,
    name: str,
    mapping: Mapping[str, str] | None,
    defaults: Mapping[str, Any] | None,
    tags: Mapping[str, str] | None,
    audio_roots: Sequence[str | Path] | None,
) -> Plan:
    chosen = guess_mapping(columns, {**reader.mapping, **(mapping or {})})
    given = [Path(os.path.realpath(Path(root).expanduser())) for root in audio_roots or ()]
    base = Path(os.path.realpath(reader.base))
    # Audio that had no file of its own was put into the corpus folder.
    own = [Path(os.path.realpath(p)) for p in (*reader.roots, folder / "audio")]
    roots = [*(given or [base]), *own]
    # Paths relative to the manifest keep meaning that where a wider root is given.
    start = base if any(base.is_relative_to(root) for root in roots[:1]) else roots[0]
    return Plan(name, chosen, {**reader.defaults, **(defaults or {})}, dict(tags or {}), roots, start)


def _record(
    folder: Path, plan: Plan, reader: Reader, admitted: Admitted, problems: Sequence[Problem]
) -> None:
    lines = [json.dumps(problem.to_dict(), ensure_ascii=False) + "\n" for problem in problems]
    write_atomic(folder / "problems.jsonl", "".join(lines))
    facts = {
        "schema_version": SCHEMA_VERSION,
        "name": plan.name,
        "kind": reader.kind,
        "source": reader.where,
        "source_sha256": reader.digest(),
        "utterances_sha256": sha256_file(folder / "utterances.parquet"),
        "audio_roots": [str(root) for root in plan.roots],
        "mapping": dict(plan.mapping),
        "defaults": dict(plan.defaults),
        "tags": dict(plan.tags),
        "columns": admitted.columns,
        "rows": admitted.rows,
        "left_out": admitted.left_out + reader.skipped(problems),
        "problems": len(problems),
        "imported_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
    # Written last: a folder without it is no corpus, so a killed import leaves none.
    write_atomic(folder / "source.json", json.dumps(facts, ensure_ascii=False, indent=1) + "\n")


def _source_columns(table: pa.Table) -> list[str]:
    return [n for n in table.column_names if n not in (manifest.LINE, manifest.FILE)]


def _counted(tables: Iterator[pa.Table], progress: Progress | None) -> Iterator[pa.Table]:
    done = 0
    for table in tables:
        done += table.num_rows
        if progress is not None:
            progress(done, 0)
        yield table


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    """All pieces as one; where pieces disagree on a column's type, it becomes text."""
    import pyarrow as pa

    if not tables:
        return pa.table({manifest.LINE: pa.array([], pa.int64())})
    if len(tables) == 1:
        return tables[0]
    kinds: dict[str, set[Any]] = {}
    for table in tables:
        for column in table.schema:
            if not pa.types.is_null(column.type):
                kinds.setdefault(column.name, set()).add(column.type)
    numbers = {pa.int64(), pa.float64()}
    mixed = {n for n, k in kinds.items() if len(k) > 1 and not k <= numbers}
    return pa.concat_tables([_with_text(table, mixed) for table in tables], promote_options="permissive")


def _with_text(table: pa.Table, names: set[str]) -> pa.Table:
    import pyarrow as pa

    for name in names & set(table.column_names):
        values = [None if v is None else manifest.as_text(v) for v in table[name].to_pylist()]
        column = pa.array(values, pa.string())
        table = table.set_column(table.column_names.index(name), name, column)
    return table
