"""The questions that decide which rows of a source are fit, as views of DuckDB, and what each row becomes.

``written`` holds the fields as the source has them, ``fields`` with tags, splits and paths put right, and
``staged`` with ids and the first fault of each row.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from workbench import locales
from workbench.errors import Problem, WorkbenchError
from workbench.ingest.manifest import FILE, LINE
from workbench.ingest.schema import FIELDS, OPTIONAL, RESERVED, UNKNOWN, literal, quoted, split_name

if TYPE_CHECKING:
    import duckdb


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


_CONTROL = r"[\x00-\x1f\x7f]"


def written_fields(
    names: Sequence[str],
    plan: Plan,
    raw: Mapping[str, str],
    *,
    tidied: bool = True,
    kinds: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Column → SQL: the fields in order, and the source's own columns after them.

    Args:
        names: the source's columns.
        plan: what they become.
        raw: column → SQL.
        tidied: "unknown" and its kin become null.
        kinds: column → DuckDB type, where known; what is a number already is not cast again.
    """
    used = set(plan.mapping.values())
    extras = [n for n in names if n not in used and n not in (LINE, FILE)]
    renamed = _new_names(extras)
    select = {name: _field(name, plan, raw, tidied, kinds or {}) for name in FIELDS}
    return select | {renamed.get(n, n): raw[n] for n in extras}


@dataclass(frozen=True)
class Seen:
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


_MANY = ("speaker", "consent", "recorded_at")
"""Fields that may say something else on every row."""
_ODD_ANYWHERE = r"^[/~]|^ *$|//|\./|\\|:|[./]$|[\x00-\x1f\x7f]"
"""All that ``_ODD`` and ``_FAULT`` look for in a path, in one pattern: matched once, not eleven times."""


def glance(
    connection: duckdb.DuckDBPyConnection,
    view: str,
    present: Sequence[str],
    numbers: Sequence[str] = (),
    *,
    ordinary_paths: bool = False,
) -> Seen | None:
    """What :func:`look_over` says of rows without any fault, at a third of its price; None where one may be.

    Args:
        connection: with the view.
        view: rows with fields as the source has them, not tidied, and without NUL characters.
        present: the fields that the source has; the others are the same on every row.
        numbers: further columns of numbers.
        ordinary_paths: all paths are known to be.
    """
    few = [quoted(n) for n in OPTIONAL if n in present and n not in _MANY]
    many = [quoted(n) for n in _MANY if n in present]
    untidy = " OR ".join(f"{name} IS DISTINCT FROM {tidied_sql(name)}" for name in few) or "false"
    tidy = [f"NOT bool_or({name} IS DISTINCT FROM {tidied_sql(name)})" for name in many]
    sound = [f"isfinite({quoted(n)}) AND abs({quoted(n)}) < 9e18" for n in ("duration", "offset", *numbers)]
    paths = [
        "count(audio_filepath) = count(*) AND max(strlen(audio_filepath)) <= 1000",
        f"NOT bool_or(regexp_matches(audio_filepath, {literal(_ODD_ANYWHERE)}))",
    ]
    fit = [
        *([] if ordinary_paths else paths),
        'coalesce(min(duration) > 0, true) AND min("offset") >= 0',
        "coalesce(min(strlen(id)) > 0 AND max(strlen(id)) <= 300, true)",
        *(f"coalesce(bool_and({one}), true)" for one in sound),
        *tidy,
    ]
    # Where values are few, each is looked at once and not once a row.
    keys = ", ".join(dict.fromkeys(['"target_lang"', '"lang"', '"split"', *few]))
    rows = connection.execute(
        f"""SELECT target_lang, lang, split, sum(n)::BIGINT, min(line), sum(ids)::BIGINT,
            bool_or(({untidy}) OR NOT coalesce(fit, false))
        FROM (SELECT {keys}, count(*) AS n,
                min({LINE}) AS line, count(id) AS ids, {" AND ".join(fit)} AS fit
            FROM {view} GROUP BY ALL) GROUP BY ALL"""
    ).fetchall()
    if any(row[6] for row in rows):
        return None
    total, given = sum(row[3] for row in rows), sum(row[5] for row in rows)
    repeated = _distinct_ids(connection, view, given) != given
    return Seen(total, total, 0, given, repeated, 0, 0, tuple(_counted(rows, at) for at in range(3)))


def look_over(connection: duckdb.DuckDBPyConnection, numbers: Sequence[str] = ()) -> Seen:
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
    repeated = _distinct_ids(connection, "written", given) != given
    held = tuple(_counted(rows, at) for at in range(3))
    return Seen(total, fit, odd, given, repeated, unfit, infinite, held)


def _distinct_ids(connection: duckdb.DuckDBPyConnection, view: str, given: int) -> int:
    """Hashes first: half the memory of the ids, and as many hashes as ids settle it."""
    hashes = f"SELECT count(DISTINCT hash(id)) FROM {view} WHERE id IS NOT NULL"
    distinct = connection.execute(hashes).fetchall()[0][0]
    if distinct != given:
        distinct = connection.execute(f"SELECT count(DISTINCT id) FROM {view}").fetchall()[0][0]
    return int(distinct)


def _counted(rows: Sequence[Sequence[Any]], at: int) -> dict[str, tuple[int, int]]:
    """Of one column of groups: value → (rows, first line)."""
    found: dict[str, tuple[int, int]] = {}
    for row in rows:
        if row[at] is not None:
            count, line = found.get(row[at], (0, row[4]))
            found[row[at]] = (count + row[3], min(line, row[4]))
    return found


def stage(connection: duckdb.DuckDBPyConnection, seen: Seen, plan: Plan, problems: list[Problem]) -> bool:
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


def _field(name: str, plan: Plan, raw: Mapping[str, str], tidied: bool, kinds: Mapping[str, str]) -> str:
    """SQL for one field, cast to its type, with "unknown" and its kin as null where ``tidied``."""
    column = plan.mapping.get(name)
    kind = FIELDS[name]
    value = raw.get(column or "", "NULL")
    if kind == "DOUBLE":
        number = f"TRY_CAST({value} AS DOUBLE)"
        # What is no number at all becomes NaN, so that it is named and not taken for "not known".
        if kinds.get(column or "") != "DOUBLE":
            value = f"CASE WHEN {value} IS NOT NULL AND {number} IS NULL THEN 'nan'::DOUBLE ELSE {number} END"
        return f"coalesce({value}, 0.0)" if name == "offset" else f"({value})"
    value = f"{value}::VARCHAR"
    default = plan.defaults.get(name)
    # A default stands in for what is unknown, so that has to be known first.
    if name in OPTIONAL and (tidied or default is not None):
        value = tidied_sql(value)
    if default is None and name == "source":
        default = plan.name
    return f"coalesce({value}, {literal(default)})" if default is not None else value


def tidied_sql(value: str) -> str:
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
            hint = f"{error.hint} Import with tags={{{value[:20]!r}: ...}}, or change it as a decision."
            what = f"{error.what} in {count:,} rows; they stay as they are"
            problems.append(Problem(plan.name, what, hint, line, name))
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


def _identify(connection: duckdb.DuckDBPyConnection, name: str, seen: Seen) -> None:
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
