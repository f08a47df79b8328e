"""From an opened source to one Parquet of fit rows: the one way, for an import and for a look at it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from workbench.errors import Problem, WorkbenchError
from workbench.ingest import manifest, plain_manifest
from workbench.ingest.reader import FILE, LINE, Reader
from workbench.ingest.recordings import measure
from workbench.ingest.row_validation import Admitted, admit, admit_plain, connect
from workbench.ingest.schema import guess_mapping
from workbench.ingest.validation_sql import RowRules

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ImportOptions:
    """What the user says of a source; all else follows from the source.

    Attributes:
        mapping: field → column; wins over every guess.
        defaults: field → value where the source has none.
        tags: what the source writes → locale tag.
        audio_roots: folders that audio may lie in; the first is what paths become relative to.
        locale: of rows that state none, and what a value that names only its language means.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    audio_roots: Sequence[str | Path] = ()
    locale: str | None = None


@dataclass(frozen=True)
class TakenIn:
    """What came of a source: the rules its rows went by, its own columns, and how many rows were fit."""

    rules: RowRules
    columns: list[str]
    admitted: Admitted


def take_in(
    reader: Reader,
    options: ImportOptions,
    folder: Path | None,
    name: str,
    target: Path,
    problems: list[Problem],
    progress: Progress | None = None,
) -> TakenIn:
    """Write the good rows of a source to a Parquet; name the others.

    Args:
        reader: the source, opened.
        options: what the user says of it.
        folder: of the corpus; None only to look.
        name: of the corpus, part of ids that are made.
        target: the Parquet.
        problems: rows left out and what must be said of the source are added.
        progress: called with (rows read, 0), then with (recordings measured, all); what it raises ends this.

    Raises:
        WorkbenchError: a mapping names a column that the source lacks.
    """

    def rules_of(columns: Sequence[str]) -> RowRules:
        return _rules(reader, columns, folder, name, options)

    before = len(problems)
    made = _straight(reader, rules_of, target, problems, progress) or _by_tables(
        reader, rules_of, target, problems, progress
    )
    # Rows of a source that is one file do not say which; a line number alone tells nobody where to look.
    file = Path(reader.where).name
    problems[before:] = [replace(p, file=file) if p.line and not p.file else p for p in problems[before:]]
    problems += reader.notes
    if made.admitted.rows:
        measure(target, made.rules, problems, progress)
    return made


def _straight(
    reader: Reader,
    rules_of: Callable[[Sequence[str]], RowRules],
    draft: Path,
    problems: list[Problem],
    progress: Progress | None,
) -> TakenIn | None:
    """A plain manifest from the file to Parquet; None where the source is anything else."""
    if reader.lines is None:
        return None
    try:
        with connect() as connection:
            lines = plain_manifest.look(connection, reader.lines)
        while True:
            rules = rules_of(list(lines.kinds))
            try:
                admitted = admit_plain(lines, rules, draft, problems, progress)
                break
            except manifest.NotPlainError:
                with connect() as connection:
                    lines = plain_manifest.read_whole(connection, lines)
    except manifest.NotPlainError:
        return None
    reader.sha256 = lines.sha256
    if progress is not None:
        progress(admitted.rows + admitted.left_out, 0)
    return TakenIn(rules, list(lines.kinds), admitted)


def _by_tables(
    reader: Reader,
    rules_of: Callable[[Sequence[str]], RowRules],
    draft: Path,
    problems: list[Problem],
    progress: Progress | None,
) -> TakenIn:
    """Any source, by way of Arrow tables in memory."""
    table = _joined(list(_counted(reader.tables(problems), progress)))
    table = table.rename_columns([name or "unnamed" for name in table.column_names])
    columns = [n for n in table.column_names if n not in (LINE, FILE)]
    rules = rules_of(columns)
    return TakenIn(rules, columns, admit(table, rules, draft, problems))


def _rules(
    reader: Reader, columns: Sequence[str], folder: Path | None, name: str, options: ImportOptions
) -> RowRules:
    named = {field_: column for field_, column in reader.mapping.items() if column in columns}
    chosen = guess_mapping(columns, {**named, **options.mapping})
    given = [Path(os.path.realpath(Path(root).expanduser())) for root in options.audio_roots]
    base = Path(os.path.realpath(reader.base))
    # Audio that had no file of its own was put into the corpus folder.
    own = [Path(os.path.realpath(p)) for p in (*reader.roots, *([folder / "audio"] if folder else []))]
    roots = [*(given or [base]), *own]
    # Paths relative to the manifest keep meaning that where a wider root is given.
    start = base if base.is_relative_to(roots[0]) else roots[0]
    defaults = {**reader.defaults, **options.defaults}
    if options.locale is not None:
        defaults.setdefault("target_lang", options.locale)
    return RowRules(name, chosen, defaults, dict(options.tags), roots, start, options.locale, reader.own)


def must_be_understood(reader: Reader, made: TakenIn) -> None:
    """Refuse a table or folder whose transcripts no column was taken for.

    Raises:
        WorkbenchError: there are columns, and none of them is known as the transcript.
    """
    columns = [c for c in made.columns if c not in set(made.rules.mapping.values())]
    if not reader.text_expected or "text" in made.rules.mapping or not columns:
        return
    raise WorkbenchError(
        f"no column is known as the transcript; there are {', '.join(made.columns)[:150]}",
        where=reader.where[-120:],
        hint=f"Name it: mapping={{'text': '{columns[0][:30]}'}}, or look first with wb.inspect_source.",
    )


def _counted(tables: Iterator[pa.Table], progress: Progress | None) -> Iterator[pa.Table]:
    done = 0
    for table in tables:
        done += table.num_rows
        if progress is not None:
            progress(done, 0)
        yield table


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    """All pieces as one; where pieces disagree on a column's type, it becomes text."""
    if not tables:
        return pa.table({LINE: pa.array([], pa.int64())})
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
    for name in names & set(table.column_names):
        values = [None if v is None else manifest.as_text(v) for v in table[name].to_pylist()]
        column = pa.array(values, pa.string())
        table = table.set_column(table.column_names.index(name), name, column)
    return table
