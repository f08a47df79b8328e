"""One look at all rows: how many are without a fault, and which values their tags and splits have.

:func:`glance` answers for rows that are all in order, at a third of the price of :func:`look_over`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workbench.ingest import paths
from workbench.ingest.reader import LINE
from workbench.ingest.schema import OPTIONAL, literal, quoted
from workbench.ingest.seen_rows import Seen
from workbench.ingest.validation_sql import FAULT, UNFIT_ID, tidied_sql

if TYPE_CHECKING:
    import duckdb


_MANY = ("speaker", "consent", "recorded_at")
"""Fields that may say something else on every row."""


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
    sound_paths = [
        f"count(audio_filepath) = count(*) AND max(strlen(audio_filepath)) <= {paths.LONGEST}",
        f"NOT bool_or(regexp_matches(audio_filepath, {literal(paths.NEEDS_A_LOOK_PATTERN)}))",
    ]
    fit = [
        *([] if ordinary_paths else sound_paths),
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
            count(*) FILTER ({UNFIT_ID}), count(*) FILTER ({paths.NEEDS_A_LOOK.format("f.audio_filepath")}),
            count(*) FILTER (({FAULT}) IS NULL), count(*) FILTER (NOT ({" AND ".join(finite)}))
        FROM (SELECT *, NULL::VARCHAR AS path_fault FROM written) f GROUP BY ALL"""
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
