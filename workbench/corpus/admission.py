"""Which rows of a source come in: fields put in order, ids given, every row left out named with its reason.

All of it is DuckDB over columns; Python sees only the distinct locale tags, split names, unusual paths and
the rows that are at fault.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from workbench import locales
from workbench.corpus.manifest import FILE, LINE, NotPlainError
from workbench.corpus.plain import PlainLines
from workbench.corpus.schema import FIELDS, OPTIONAL, RESERVED, UNKNOWN, literal, quoted, split_name
from workbench.errors import Problem, WorkbenchError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

REPORTED = 10_000
"""At most this many problems of one kind are listed by line; the rest are counted in one more."""


@dataclass(frozen=True)
class Plan:
    """How rows of one source become utterances.

    Attributes:
        name: name of the corpus, part of made ids.
        mapping: field → column.
        defaults: field → value where the source has none.
        tags: what the source writes → locale tag, for languages without a region and the like.
        roots: first the corpus root, then further folders that audio may lie in.
        base: folder that relative paths start from (the manifest's), inside a root.
    """

    name: str
    mapping: Mapping[str, str]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    roots: Sequence[Path] = ()
    base: Path = Path(".")


@dataclass
class Admitted:
    """What came of it: rows written, rows left out, names of all columns in order."""

    rows: int
    left_out: int
    columns: list[str]


_CONTROL = r"[\x00-\x1f\x7f]"
_FAULTS: tuple[tuple[str, str, str, str], ...] = (
    ("path_missing", "audio_filepath", "no audio path", "Name the recording of this row."),
    ("path_odd", "audio_filepath", "the path holds control characters or is longer than 1,000",
     "Rename the file."),
    ("path_outside", "audio_filepath", "the path leaves the corpus root",
     "Pass audio_roots=[...] with the folder that may be read, or move the file."),
    ("duration_odd", "duration", "the duration is not a positive number of seconds",
     "Write seconds, or leave it out to have it measured."),
    ("offset_odd", "offset", "the offset is not a number of seconds from 0", "Write seconds."),
    ("text_nul", "text", "the transcript holds a NUL character", "Remove it."),
    ("repeated", "id", "the same id or the same stretch of the same recording stands in an earlier row",
     "Keep one."),
)  # fmt: skip


def admit(table: pa.Table, plan: Plan, target: Path, problems: list[Problem]) -> Admitted:
    """Write the good rows of ``table`` to the Parquet ``target``; list the others in ``problems``.

    Raises:
        WorkbenchError: the source's columns clash with the workbench's own.
    """
    with _connection() as connection:
        connection.register("raw", _numbered(table))
        names = table.column_names
        raw = {name: f"raw.{_numbered_name(index)}" for index, name in enumerate(names)}
        select, columns = _fields(names, plan, raw)
        select += ["raw._row AS _row", f"{raw[LINE]} AS {LINE}"]
        select += [f"{raw.get(FILE, 'NULL::VARCHAR')} AS {FILE}"]
        # Views all the way: each question below reads only the columns it needs, and nothing is copied twice.
        connection.execute(f"CREATE TEMP VIEW written AS SELECT {', '.join(select)} FROM raw")
        seen = _seen(connection)
        _stage(connection, seen, plan, problems)
        kept = _write(connection, columns, target, seen)
        if kept < seen.total:
            problems += _named(connection)
        return Admitted(kept, seen.total - kept, [c for c in columns if not c.startswith("_")])


def admit_plain(lines: PlainLines, plan: Plan, target: Path, problems: list[Problem]) -> Admitted:
    """The same for a plain manifest, without its rows in memory.

    The fields are put in order while the file is parsed. Where that leaves nothing to change, as with most
    manifests, what was written is the result; ``row_index`` and ``source_line`` are then the positions of
    the Parquet's rows and not stored.

    Raises:
        NotPlainError: the file is not plain after all; ``problems`` is as it was.
    """
    draft = target.with_name(f"{target.name}.draft")
    try:
        with _connection() as connection:
            raw = {name: quoted(name) for name in lines.kinds}
            select, columns = _fields(list(lines.kinds), plan, raw, tidied=False)
            total = lines.copy(connection, select, draft)
            # Tidied while read back: values are few there, and each is looked at once and not once a row.
            tidy = [(quoted(n), _tidied(quoted(n))) for n in OPTIONAL]
            connection.execute(
                f"CREATE TEMP VIEW parsed AS SELECT * EXCLUDE (file_row_number), file_row_number AS _row, "
                f"file_row_number + 1 AS {LINE}, NULL::VARCHAR AS {FILE} "
                f"FROM read_parquet({literal(draft)}, file_row_number = true)"
            )
            replaced = ", ".join(f"{sql} AS {name}" for name, sql in tidy)
            connection.execute(f"CREATE TEMP VIEW written AS SELECT * REPLACE ({replaced}) FROM parsed")
            untidy = " OR ".join(f"{name} IS DISTINCT FROM {sql}" for name, sql in tidy)
            changed = bool(connection.execute(f"SELECT 1 FROM parsed WHERE {untidy} LIMIT 1").fetchall())
            numbers = [n for n, kind in lines.kinds.items() if kind == "DOUBLE" and n not in FIELDS]
            seen = _seen(connection, numbers)
            if seen.total != total or seen.infinite:
                raise NotPlainError
            changed |= _stage(connection, seen, plan, problems)
            if seen.total == seen.fit and not changed:
                os.replace(draft, target)
                return Admitted(total, 0, columns)
            kept = _write(connection, columns, target, seen)
            if kept < total:
                problems += _named(connection)
            return Admitted(kept, total - kept, columns)
    finally:
        draft.unlink(missing_ok=True)


def numbered(table: pa.Table) -> pa.Table:
    """Rows of an ``utterances.parquet``, all in order, with the columns that plain imports leave out."""
    import pyarrow as pa

    for name, first in ((LINE, 1), ("row_index", 0)):
        if name not in table.column_names:
            table = table.append_column(name, pa.array(range(first, first + table.num_rows), pa.int64()))
    if FILE not in table.column_names:
        table = table.append_column(FILE, pa.nulls(table.num_rows, pa.string()))
    return table


def _connection() -> duckdb.DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect(":memory:", config={"threads": os.cpu_count() or 1})
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET enable_progress_bar = false")
    return connection


def _numbered(table: pa.Table) -> pa.Table:
    """Columns by number, since SQL takes ``Text`` for ``text``; with ``_row``, the order of the source."""
    import numpy as np
    import pyarrow as pa

    table = table.rename_columns([_numbered_name(i) for i in range(table.num_columns)])
    return table.append_column("_row", pa.array(np.arange(table.num_rows, dtype=np.int64)))


def _numbered_name(index: int) -> str:
    return f"c{index}"


def _fields(
    names: Sequence[str], plan: Plan, raw: Mapping[str, str], *, tidied: bool = True
) -> tuple[list[str], list[str]]:
    """SQL for the fields in order and the source's own columns after them; and the names of all columns."""
    used = set(plan.mapping.values())
    extras = [n for n in names if n not in used and n not in (LINE, FILE)]
    renamed = _new_names(extras)
    select = [f"{_field(name, plan, raw, tidied)} AS {quoted(name)}" for name in FIELDS]
    select += [f"{raw[n]} AS {quoted(renamed.get(n, n))}" for n in extras]
    return select, [*FIELDS, *(renamed.get(n, n) for n in extras), LINE, FILE]


@dataclass(frozen=True)
class _Seen:
    """What one look at all rows tells.

    Attributes:
        total: rows.
        fit: rows without a fault and with an id of their own.
        odd_paths: rows whose path has to be looked at one by one.
        ids_given: rows with an id; ids_repeated: some of them are the same; ids_unfit: none that can be kept.
        infinite: rows with a number that is none, or too large to be exact.
        values: of target_lang, lang and split: value → (rows, first line).
    """

    total: int
    fit: int
    odd_paths: int
    ids_given: int
    ids_repeated: bool
    ids_unfit: int
    infinite: int
    values: tuple[dict[str, tuple[int, int]], ...]

    @property
    def own_ids(self) -> bool:
        """Every row has an id of its own from the source, so none is made and none can meet another."""
        return self.total == self.ids_given and not self.ids_unfit and not self.ids_repeated


_ODD = (
    "(starts_with({0}, '/') OR starts_with({0}, '~') OR contains({0}, '//') OR contains({0}, './') "
    "OR contains({0}, '\\') OR contains({0}, ':') OR ends_with({0}, '.') OR ends_with({0}, '/'))"
)
_FAULT = f"""CASE
    WHEN f.audio_filepath IS NULL OR trim(f.audio_filepath) = '' THEN 'path_missing'
    WHEN length(f.audio_filepath) > 1000 OR regexp_matches(f.audio_filepath, '{_CONTROL}') THEN 'path_odd'
    WHEN outside THEN 'path_outside'
    WHEN f.duration IS NOT NULL AND NOT (isfinite(f.duration) AND f.duration > 0) THEN 'duration_odd'
    WHEN NOT (isfinite(f."offset") AND f."offset" >= 0) THEN 'offset_odd'
    WHEN contains(f.text, chr(0)) THEN 'text_nul' END"""
_UNFIT_ID = "(f.id = '' OR length(f.id) > 300 OR contains(f.id, chr(0)))"


def _seen(connection: duckdb.DuckDBPyConnection, numbers: Sequence[str] = ()) -> _Seen:
    finite = [f"coalesce(isfinite(f.{quoted(n)}) AND abs(f.{quoted(n)}) < 9e18, true)"
              for n in ("duration", "offset", *numbers)]  # fmt: skip
    # One pass for all: tags and splits are few, and so are their combinations.
    rows = connection.execute(
        f"""SELECT target_lang, lang, split, count(*), min({LINE}), count(id),
            count(*) FILTER ({_UNFIT_ID}), count(*) FILTER ({_ODD.format("f.audio_filepath")}),
            count(*) FILTER (({_FAULT}) IS NULL), count(*) FILTER (NOT ({" AND ".join(finite)}))
        FROM (SELECT *, false AS outside FROM written) f GROUP BY ALL"""
    ).fetchall()
    total, given, unfit, odd, fit, infinite = (sum(row[at] for row in rows) for at in (3, 5, 6, 7, 8, 9))
    distinct = connection.execute("SELECT count(DISTINCT id) FROM written").fetchall()[0][0]

    def values(at: int) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for row in rows:
            if row[at] is not None:
                count, line = found.get(row[at], (0, row[4]))
                found[row[at]] = (count + row[3], min(line, row[4]))
        return found

    held = (values(0), values(1), values(2))
    return _Seen(total, fit, odd, given, given != distinct, unfit, infinite, held)


def _stage(connection: duckdb.DuckDBPyConnection, seen: _Seen, plan: Plan, problems: list[Problem]) -> bool:
    """Create ``staged``: fields with a ``_fault`` (null where the row is fit); true if anything changes."""
    better = {
        "target_lang": _translated("target_lang", seen.values[0], lambda v: _tag(v, plan), problems, plan),
        "lang": _translated("lang", seen.values[1], lambda v: _tag(v, plan), problems, plan),
        "split": _translated("split", seen.values[2], split_name, problems, plan),
        "audio_filepath": _relative("audio_filepath", plan),
    }
    replaced = ", ".join(f"{sql} AS {name}" for name, sql in better.items())
    connection.execute(f"CREATE TEMP VIEW fields AS SELECT * REPLACE ({replaced}) FROM written")
    moved = bool(plan.roots) and plan.base != plan.roots[0]
    _resolve_odd_paths(connection, plan, bool(seen.odd_paths) or moved)
    _identify(connection, plan.name, seen)
    same = all(better[name] == name for name in ("target_lang", "lang", "split"))
    return not (same and not moved and not seen.odd_paths and seen.own_ids)


def _new_names(extras: Sequence[str]) -> dict[str, str]:
    """Names for the source's own columns that would clash with ours or, but for case, with each other."""
    taken = {*FIELDS, *RESERVED}
    renamed = {}
    for name in extras:
        made = f"source_{name.strip('_')}" if name.lower() in taken or name.startswith("_") else name
        while made.lower() in taken:
            made += "_"
        taken.add(made.lower())
        if made != name:
            renamed[name] = made
    return renamed


def _field(name: str, plan: Plan, raw: Mapping[str, str], tidied: bool) -> str:
    """SQL for one field, cast to its type, with "unknown" and its kin as null where ``tidied``."""
    column = plan.mapping.get(name)
    kind = FIELDS[name]
    value = raw.get(column or "", "NULL")
    if kind == "DOUBLE":
        number = f"TRY_CAST({value} AS DOUBLE)"
        # What is no number at all becomes NaN, so that it is named and not taken for "not known".
        value = f"CASE WHEN {value} IS NOT NULL AND {number} IS NULL THEN 'nan'::DOUBLE ELSE {number} END"
        return f"coalesce({value}, 0.0)" if name == "offset" else f"({value})"
    value = f"{value}::VARCHAR"
    default = plan.defaults.get(name)
    # A default stands in for what is unknown, so that has to be known first.
    if name in OPTIONAL and (tidied or default is not None):
        value = _tidied(value)
    if default is None and name == "source":
        default = plan.name
    return f"coalesce({value}, {literal(default)})" if default is not None else value


def _tidied(value: str) -> str:
    unknown = ", ".join(literal(word) for word in UNKNOWN)
    short = f"length({value}) < 12 AND lower(trim({value})) IN ({unknown})"
    return f"CASE WHEN {short} THEN NULL ELSE trim({value}) END"


def _tag(value: str, plan: Plan) -> str:
    return locales.canonical(plan.tags.get(value, value))


def _translated(
    name: str,
    values: Mapping[str, tuple[int, int]],
    rule: Callable[[str], str],
    problems: list[Problem],
    plan: Plan,
) -> str:
    """SQL that applies ``rule`` to each distinct value; what it refuses stays, and is asked about."""
    changes = {}
    for value, (count, line) in sorted(values.items(), key=lambda item: (item[1][1], item[0])):
        try:
            made = rule(value)
        except WorkbenchError as error:
            mend = f"{error.mend} Import with tags={{{value[:20]!r}: ...}}, or change it as a decision."
            what = f"{error.what} in {count:,} rows; they stay as they are"
            problems.append(Problem(plan.name, what, mend, line, name))
            continue
        if made != value:
            changes[value] = made
    if not changes:
        return name
    cases = " ".join(f"WHEN {literal(value)} THEN {literal(made)}" for value, made in changes.items())
    return f"CASE {name} {cases} ELSE {name} END"


def _relative(name: str, plan: Plan) -> str:
    """SQL for a path relative to the root where it plainly lies there."""
    root = plan.roots[0] if plan.roots else plan.base
    start = literal(f"{root}/")
    cut = f"CASE WHEN starts_with({name}, {start}) THEN {name}[length({start}) + 1:]"
    inside = _within(plan.base, root)
    if inside:
        cut += f" WHEN NOT starts_with({name}, '/') THEN {literal(inside + '/')} || {name}"
    return f"{cut} ELSE {name} END"


def _resolve_odd_paths(connection: duckdb.DuckDBPyConnection, plan: Plan, any_: bool) -> None:
    """Paths that may leave the root are resolved one by one in Python; plain ones are not looked at again."""
    connection.execute("CREATE TEMP TABLE odd_paths (written VARCHAR, path VARCHAR)")
    if not any_:
        return
    name = "audio_filepath"
    odd = connection.execute(f"SELECT DISTINCT {name} FROM fields WHERE {_ODD.format(name)}").fetchall()
    if odd:
        rows = [(written, settled(written, plan.roots)) for (written,) in odd]
        connection.executemany("INSERT INTO odd_paths VALUES (?, ?)", rows)


def settled(written: str, roots: Sequence[Path]) -> str | None:
    """A path inside one of the roots, relative to the first if inside it; None where it leaves them."""
    if (
        "\\" in written
        or ":" in written.split("/")[0]
        or written.startswith("~")
        or "\0" in written
        or not roots
    ):
        return None
    path = PurePosixPath(os.path.normpath(PurePosixPath(roots[0].as_posix()) / written))
    for index, root in enumerate(roots):
        inside = _within(Path(path), root)
        if inside:
            return inside if index == 0 else str(path)
    return None


def _within(path: Path, root: Path) -> str | None:
    """``path`` relative to ``root`` in POSIX form, '' for the root itself, None outside."""
    try:
        relative = path.relative_to(root).as_posix()
    except ValueError:
        return None
    return "" if relative == "." else relative


def _identify(connection: duckdb.DuckDBPyConnection, name: str, seen: _Seen) -> None:
    """``staged``: settled paths, ids, and the first fault of each row."""
    twice, channel = "false", "''"
    columns = {row[0] for row in connection.execute("DESCRIBE fields").fetchall()}
    if "channel" in columns:
        channel = "coalesce(channel::VARCHAR, '')"
    if seen.ids_repeated:
        connection.execute(
            "CREATE TEMP TABLE id_count AS SELECT id FROM fields WHERE id IS NOT NULL "
            "GROUP BY id HAVING count(*) > 1"
        )
        twice = "f.id IN (FROM id_count)"
    made = (
        f"substr(sha256(concat_ws(chr(31), {literal(name)}, _path, printf('%.6f', f.\"offset\"), "
        f"coalesce(printf('%.6f', f.duration), ''), {channel})), 1, 20)"
    )
    own = f"f.id IS NOT NULL AND NOT {_UNFIT_ID} AND NOT {twice}"
    named = f"CASE WHEN {own} THEN f.id ELSE {made} END AS id"
    connection.execute(
        f"""CREATE TEMP VIEW staged AS
        SELECT * EXCLUDE (_path, outside) REPLACE (_path AS audio_filepath, {named})
        FROM (SELECT f.*, coalesce(o.path, f.audio_filepath) AS _path,
                     o.written IS NOT NULL AND o.path IS NULL AS outside, {_FAULT} AS _fault
              FROM fields f LEFT JOIN odd_paths o ON f.audio_filepath = o.written) f"""
    )


def _write(connection: duckdb.DuckDBPyConnection, columns: Sequence[str], target: Path, seen: _Seen) -> int:
    """Write the fit rows in order with ``row_index``; rows repeated under one id keep the first."""
    listed = ", ".join(quoted(c) for c in columns)
    plain_paths = not connection.execute("SELECT count(*) FROM odd_paths").fetchall()[0][0]
    if plain_paths and seen.own_ids:
        fit = distinct = seen.fit
    else:
        fit, distinct = connection.execute(
            "SELECT count(*), count(DISTINCT id) FROM staged WHERE _fault IS NULL"
        ).fetchall()[0]
    if not distinct:
        return 0
    if distinct == seen.total and plain_paths:
        ordered = f"SELECT {listed}, _row AS row_index FROM staged"
    else:
        keep = "" if distinct == fit else "QUALIFY row_number() OVER (PARTITION BY id ORDER BY _row) = 1"
        connection.execute(f"CREATE TEMP TABLE kept AS SELECT _row FROM staged WHERE _fault IS NULL {keep}")
        ordered = (
            f"SELECT {listed}, row_number() OVER () - 1 AS row_index FROM "
            "(FROM staged SEMI JOIN kept USING (_row) ORDER BY _row)"
        )
    connection.execute(f"COPY ({ordered}) TO {literal(target)} (FORMAT parquet, COMPRESSION snappy)")
    return int(distinct)


def _named(connection: duckdb.DuckDBPyConnection) -> Iterator[Problem]:
    """One problem per row left out, up to REPORTED of a kind, then one that counts the rest."""
    has_kept = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'kept'"
    ).fetchall()[0][0]
    repeated = (
        f"UNION ALL SELECT 'repeated', {FILE}, {LINE} FROM "
        "(FROM staged WHERE _fault IS NULL) ANTI JOIN kept USING (_row)"
        if has_kept
        else ""
    )
    for kind, name, what, mend in _FAULTS:
        rows = connection.execute(
            f"SELECT file, line FROM (SELECT _fault AS kind, {FILE} AS file, {LINE} AS line FROM staged "
            f"WHERE _fault IS NOT NULL {repeated}) WHERE kind = ? ORDER BY ALL",
            [kind],
        ).fetchall()
        for file, line in rows[:REPORTED]:
            yield Problem(file or "", what, mend, line, name)
        if len(rows) > REPORTED:
            yield Problem("", f"{what}: {len(rows) - REPORTED:,} more rows", mend, None, name)
