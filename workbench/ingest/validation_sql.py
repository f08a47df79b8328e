"""The questions that decide which rows of a source are fit, as views of DuckDB, and what each row becomes.

``written`` holds the fields as the source has them, ``fields`` with tags, splits and paths put right, and
``staged`` with ids and the first fault of each row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import locales
from workbench.errors import Problem, WorkbenchError
from workbench.ingest import paths
from workbench.ingest.reader import FILE, LINE
from workbench.ingest.schema import (
    CHANNEL,
    END,
    FIELDS,
    OPTIONAL,
    RESERVED,
    UNKNOWN,
    literal,
    split_name,
)

if TYPE_CHECKING:
    import duckdb

    from workbench.ingest.seen_rows import Seen


@dataclass(frozen=True)
class RowRules:
    """How rows of one source become utterances.

    Attributes:
        name: name of the corpus, part of made ids.
        mapping: field → column.
        defaults: field → value where the source has none.
        tags: what the source writes → locale tag, for languages without a region and the like.
        roots: first the corpus root, then further folders that audio may lie in.
        base: folder that relative paths start from (the manifest's), inside a root.
        locale: what a value that names only its language means, where it is that language.
        own: rows that the workbench itself exported; its language tags come off the transcripts.
    """

    name: str
    mapping: Mapping[str, str]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    roots: Sequence[Path] = ()
    base: Path = Path(".")
    locale: str | None = None
    own: bool = False


def written_fields(
    names: Sequence[str],
    rules: RowRules,
    raw: Mapping[str, str],
    *,
    tidied: bool = True,
    kinds: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Column → SQL: the fields in order, and the source's own columns after them.

    Args:
        names: the source's columns.
        rules: what they become.
        raw: column → SQL.
        tidied: "unknown" and its kin become null.
        kinds: column → DuckDB type, where known; what is a number already is not cast again.
    """
    channel = rules.mapping.get(CHANNEL, "")
    as_text = {channel} if (kinds or {}).get(channel) != "BIGINT" else set()
    used = set(rules.mapping.values()) - as_text | ({"prompt_mode", "shard_id"} if rules.own else set())
    extras = [n for n in names if n not in used and n not in (LINE, FILE)]
    renamed = _new_names(extras)
    select = {name: _field(name, rules, raw, tidied, kinds or {}) for name in FIELDS}
    return select | _channel(channel, raw, kinds or {}) | {renamed.get(n, n): raw[n] for n in extras}


def _channel(column: str, raw: Mapping[str, str], kinds: Mapping[str, str]) -> dict[str, str]:
    """``channel``: a number from 0, or null (all, averaged); any other value rides along as written."""
    if column not in raw:
        return {}
    if kinds.get(column) == "BIGINT":
        return {"channel": raw[column]}
    said = f"lower(trim({raw[column]}::VARCHAR))"
    sides = "WHEN 'left' THEN 0 WHEN 'l' THEN 0 WHEN 'right' THEN 1 WHEN 'r' THEN 1"
    return {"channel": f"CASE {said} {sides} ELSE TRY_CAST({said} AS BIGINT) END"}


FAULT = f"""CASE
    WHEN f.audio_filepath IS NULL OR trim(f.audio_filepath) = '' THEN 'path_missing'
    WHEN length(f.audio_filepath) > {paths.LONGEST} THEN 'path_odd'
    WHEN regexp_matches(f.audio_filepath, '{paths.CONTROL}') THEN 'path_odd'
    WHEN path_fault IS NOT NULL THEN path_fault
    WHEN f.duration IS NOT NULL AND NOT (isfinite(f.duration) AND f.duration > 0) THEN 'duration_odd'
    WHEN NOT (isfinite(f."offset") AND f."offset" >= 0) THEN 'offset_odd'
    WHEN contains(f.text, chr(0)) THEN 'text_nul' END"""
_MILLISECONDS = re.compile(r"(?i)(_ms|\[ms\]|millis(econds)?)$")
UNFIT_ID = "(f.id = '' OR length(f.id) > 300 OR contains(f.id, chr(0)))"


def stage(
    connection: duckdb.DuckDBPyConnection, seen: Seen, rules: RowRules, problems: list[Problem]
) -> bool:
    """Create ``staged``: fields with a ``_fault`` (null where the row is fit); true if anything changes."""
    better = {
        "target_lang": _translated("target_lang", seen.values[0], lambda v: _tag(v, rules), problems, rules),
        "lang": _translated("lang", seen.values[1], lambda v: _tag(v, rules), problems, rules),
        "split": _translated("split", seen.values[2], split_name, problems, rules),
        "audio_filepath": _relative("audio_filepath", rules),
        "text": _untagged("text") if rules.own else "text",
    }
    replaced = ", ".join(f"{sql} AS {name}" for name, sql in better.items())
    connection.execute(f"CREATE TEMP VIEW fields AS SELECT * REPLACE ({replaced}) FROM written")
    moved = bool(rules.roots) and rules.base != rules.roots[0]
    _resolve_odd_paths(connection, rules, bool(seen.odd_paths) or moved)
    _identify(connection, rules.name, seen, problems)
    same = all(better[name] == name for name in ("target_lang", "lang", "split"))
    return not (same and not moved and not rules.own and not seen.odd_paths and seen.own_ids)


def _new_names(extras: Sequence[str]) -> dict[str, str]:
    """Names for the source's own columns that would clash with ours or, but for case, with each other."""
    taken = {*FIELDS, *RESERVED, CHANNEL}
    renamed = {}
    for name in extras:
        made = f"source_{name.strip('_')}" if name.lower() in taken or name.startswith("_") else name
        while made.lower() in taken:
            made += "_"
        taken.add(made.lower())
        if made != name:
            renamed[name] = made
    return renamed


def _field(name: str, rules: RowRules, raw: Mapping[str, str], tidied: bool, kinds: Mapping[str, str]) -> str:
    """SQL for one field, cast to its type, with "unknown" and its kin as null where ``tidied``."""
    column = rules.mapping.get(name)
    kind = FIELDS[name]
    value = raw.get(column or "", "NULL")
    if kind == "DOUBLE":
        value = _seconds(column, raw, kinds)
        if name == "offset":
            return f"coalesce({value}, 0.0)"
        end = rules.mapping.get(END)
        if end is None:
            return f"({value})"
        start = f"coalesce({_seconds(rules.mapping.get('offset'), raw, kinds)}, 0.0)"
        return f"coalesce({value}, round({_seconds(end, raw, kinds)} - {start}, 6))"
    value = f"{value}::VARCHAR"
    default = rules.defaults.get(name)
    # A default stands in for what is unknown, so that has to be known first.
    if name in OPTIONAL and (tidied or default is not None):
        value = tidied_sql(value)
    if default is None and name == "source":
        default = rules.name
    return f"coalesce({value}, {literal(default)})" if default is not None else value


def _seconds(column: str | None, raw: Mapping[str, str], kinds: Mapping[str, str]) -> str:
    """SQL for a number of seconds; of milliseconds where the column's name says so."""
    value = raw.get(column or "", "NULL")
    scale = " / 1000" if column and _MILLISECONDS.search(column) else ""
    if kinds.get(column or "") == "DOUBLE":
        return f"{value}{scale}"
    number = f"TRY_CAST({value} AS DOUBLE)"
    # What is no number at all becomes NaN, so that it is named and not taken for "not known".
    blank = f"trim({value}::VARCHAR) = ''"
    return (
        f"CASE WHEN {value} IS NULL OR {blank} THEN NULL WHEN {number} IS NULL THEN 'nan'::DOUBLE "
        f"ELSE {number}{scale} END"
    )


def tidied_sql(value: str) -> str:
    unknown = ", ".join(literal(word) for word in UNKNOWN)
    short = f"length({value}) < 12 AND lower(trim({value})) IN ({unknown})"
    return f"CASE WHEN {short} THEN NULL ELSE trim({value}) END"


def _tag(value: str, rules: RowRules) -> str:
    said = rules.tags.get(value, value)
    try:
        return locales.canonical(said)
    except WorkbenchError:
        if rules.locale is not None and locales.language_of(said) == locales.language_of(rules.locale):
            return rules.locale
        raise


def _translated(
    name: str,
    values: Mapping[str, tuple[int, int]],
    rule: Callable[[str], str],
    problems: list[Problem],
    rules: RowRules,
) -> str:
    """SQL that applies ``rule`` to each distinct value; what it refuses stays, and is asked about."""
    changes = {}
    for value, (count, line) in sorted(values.items(), key=lambda item: (item[1][1], item[0])):
        try:
            made = rule(value)
        except WorkbenchError as error:
            hint = f"{error.hint} Import with tags={{{value[:20]!r}: ...}}, or change it as a decision."
            what = f"{error.what} in {count:,} rows; they stay as they are"
            problems.append(Problem(rules.name, what, hint, line, name))
            continue
        if made != value:
            changes[value] = made
    if not changes:
        return name
    cases = " ".join(f"WHEN {literal(value)} THEN {literal(made)}" for value, made in changes.items())
    return f"CASE {name} {cases} ELSE {name} END"


def _relative(name: str, rules: RowRules) -> str:
    """SQL for a path relative to the root where it plainly lies there."""
    root = rules.roots[0] if rules.roots else rules.base
    start = literal(f"{root}/")
    cut = f"CASE WHEN starts_with({name}, {start}) THEN {name}[length({start}) + 1:]"
    inside = paths.within(rules.base, root)
    if inside:
        here = f"NOT regexp_matches({name}, '^([/~]|.:[/\\\\])|://')"
        cut += f" WHEN {here} THEN {literal(inside + '/')} || {name}"
    return f"{cut} ELSE {name} END"


def _untagged(name: str) -> str:
    """SQL for a transcript without the tag that an export of ours appended."""
    tag = "concat(' <', target_lang, '>')"
    return f"CASE WHEN ends_with({name}, {tag}) THEN {name}[:length({name}) - length({tag})] ELSE {name} END"


def _resolve_odd_paths(connection: duckdb.DuckDBPyConnection, rules: RowRules, any_: bool) -> None:
    """Paths that may leave the root are resolved one by one in Python; plain ones are not looked at again."""
    connection.execute("CREATE TEMP TABLE odd_paths (written VARCHAR, path VARCHAR, path_fault VARCHAR)")
    if not any_:
        return
    name = "audio_filepath"
    odd = connection.execute(
        f"SELECT DISTINCT {name} FROM fields WHERE {paths.NEEDS_A_LOOK.format(name)}"
    ).fetchall()
    if odd:
        rows = []
        for (written,) in odd:
            found = paths.settled(written, rules.roots)
            fault = None if found else paths.refused(written) or "path_outside"
            rows.append((written, found, fault))
        connection.executemany("INSERT INTO odd_paths VALUES (?, ?, ?)", rows)


def _identify(connection: duckdb.DuckDBPyConnection, name: str, seen: Seen, problems: list[Problem]) -> None:
    """``staged``: settled paths, ids, and the first fault of each row."""
    twice, channel = "false", "''"
    columns = {row[0] for row in connection.execute("DESCRIBE fields").fetchall()}
    if "channel" in columns:
        channel = "coalesce(channel::VARCHAR, '')"
    if seen.ids_repeated:
        connection.execute(
            f"CREATE TEMP TABLE id_count AS SELECT id, count(*) AS n, min({LINE}) AS line FROM fields "
            "WHERE id IS NOT NULL GROUP BY id HAVING count(*) > 1"
        )
        problems += _repeated_ids(connection, name)
        twice = "f.id IN (SELECT id FROM id_count)"
    made = (
        f"substr(sha256(concat_ws(chr(31), {literal(name)}, _path, printf('%.6f', f.\"offset\"), "
        f"coalesce(printf('%.6f', f.duration), ''), {channel})), 1, 20)"
    )
    own = f"f.id IS NOT NULL AND NOT {UNFIT_ID} AND NOT {twice}"
    named = f"CASE WHEN {own} THEN f.id ELSE {made} END AS id"
    connection.execute(
        f"""CREATE TEMP VIEW staged AS
        SELECT * EXCLUDE (_path, path_fault) REPLACE (_path AS audio_filepath, {named})
        FROM (SELECT f.*, coalesce(o.path, f.audio_filepath) AS _path,
                     o.path_fault, {FAULT} AS _fault
              FROM fields f LEFT JOIN odd_paths o ON f.audio_filepath = o.written) f"""
    )


def _repeated_ids(connection: duckdb.DuckDBPyConnection, name: str) -> list[Problem]:
    """Said, not left out: the rows are kept under ids made from their recordings."""
    rows = connection.execute("SELECT id, n, line FROM id_count ORDER BY line, id").fetchall()
    hint = "Give each row an id of its own; until then ids are made from recording, offset and duration."
    found = [
        Problem(name, f"the id {id_!r} is given to {n:,} rows", hint, line, "id")
        for id_, n, line in rows[:20]
    ]
    if len(rows) > 20:
        found.append(
            Problem(name, f"{len(rows) - 20:,} more ids are given to several rows", hint, None, "id")
        )
    return found
