"""Look at a source before importing it: the import itself, into a file that is thrown away."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench import locales
from workbench.errors import Problem
from workbench.ingest.intake import ImportOptions, TakenIn, take_in
from workbench.ingest.layouts import open_reader
from workbench.ingest.plan import Column, ImportPlan, SaidLocale
from workbench.ingest.reader import FILE, INSIDE, LINE, Reader, folders_of
from workbench.ingest.recordings import missing
from workbench.ingest.row_validation import connect
from workbench.ingest.schema import FIELDS, literal, quoted
from workbench.ingest.tables import told_by_values
from workbench.signatures import public

if TYPE_CHECKING:
    import duckdb

_SAMPLES = 3
_EXAMPLES = 10
_SHOWN = ("id", "audio_filepath", "offset", "duration", "text", "target_lang", "speaker", "split")


@public
def inspect_source(
    source: Any,
    *,
    mapping: Mapping[str, str] | None = None,
    defaults: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    audio_roots: Sequence[str | Path] | None = None,
    locale: str | None = None,
) -> ImportPlan:
    """What an import of a source would do; nothing is written and no audio is copied.

    Args:
        source: a path, an object in memory or a hub name, as for ``Workspace.import_corpus``.
        mapping: field → column; wins over every guess.
        defaults: field → value where the source has none.
        tags: what the source writes → locale tag.
        audio_roots: folders that audio may lie in.
        locale: of rows that state none or only its language.

    Returns:
        The plan, to be edited and given to ``import_corpus(name, source, plan=plan)``. It proposes, too:
        locales for languages that have one here, folders that absolute paths lie in, and a column of
        sentences for the transcript. Every proposal is among its notes.

    Raises:
        WorkbenchError: the source cannot be read, or a folder's transcripts are not understood.
    """
    options = ImportOptions(mapping or {}, defaults or {}, tags or {}, tuple(audio_roots or ()), locale)
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="workbench-") as scratch:
        target = Path(scratch) / "rows.parquet"
        for _ in range(2):
            problems: list[Problem] = []
            reader = open_reader(source, None, options.mapping)
            made = take_in(reader, options, None, "inspected", target, problems)
            better = _better(reader, made, target, options, problems, notes)
            if better is None:
                break
            options = better
        return _plan(reader, made, target, options, problems, notes)


def _better(
    reader: Reader,
    made: TakenIn,
    target: Path,
    options: ImportOptions,
    problems: Sequence[Problem],
    notes: list[str],
) -> ImportOptions | None:
    """The options with what is proposed; None where there is nothing to propose."""
    better = options
    if not options.audio_roots and any("leaves the corpus root" in problem.what for problem in problems):
        roots = _roots(reader, made)
        if roots:
            better = replace(better, audio_roots=roots)
            notes.append(
                f"recordings are read from {', '.join(roots)}, outside of the source's folder: confirm"
            )
    if made.admitted.rows:
        with connect() as connection:
            better = replace(better, tags={**_tags(connection, target, notes), **options.tags})
            if "text" not in {**made.rules.mapping, **options.mapping} and reader.text_expected:
                column = _text_column(connection, target, made)
                if column is not None:
                    better = replace(better, mapping={**better.mapping, "text": column})
                    notes.append(f"the transcript is taken from {column!r} by what it holds: confirm")
    return (
        None
        if better == replace(options, tags=better.tags) and dict(better.tags) == dict(options.tags)
        else better
    )


def _roots(reader: Reader, made: TakenIn) -> list[str]:
    """The folders of recordings that exist and lie outside the source's own folder."""
    column = made.rules.mapping.get("audio_filepath", "")
    written: list[str] = []
    for table in reader.read([]):
        if column in table.column_names:
            written += [str(path) for path in table[column].to_pylist() if path]
    found = {os.path.normpath(os.path.join(reader.base, path)) for path in written}
    folders = folders_of(path for path in sorted(found) if os.path.isfile(path))
    if not folders:
        return []
    base = os.path.realpath(reader.base)
    return list(dict.fromkeys([base, *(str(folder) for folder in folders)]))


def _tags(connection: duckdb.DuckDBPyConnection, target: Path, notes: list[str]) -> dict[str, str]:
    found = {}
    relation = f"read_parquet({literal(target)})"
    asked = f"SELECT DISTINCT target_lang FROM {relation} WHERE target_lang IS NOT NULL ORDER BY 1"
    for (value,) in connection.execute(asked).fetchall():
        if not locales.is_known(value):
            candidates = locales.proposals(value)
            if len(candidates) == 1:
                found[value] = candidates[0]
                note = f"{value!r} is taken for {candidates[0]}: confirm"
                if note not in notes:
                    notes.append(note)
    return found


def _text_column(connection: duckdb.DuckDBPyConnection, target: Path, made: TakenIn) -> str | None:
    extras = [c for c in made.columns if c in made.admitted.columns and c not in FIELDS]
    if not extras:
        return None
    listed = ", ".join(quoted(c) for c in extras)
    rows = connection.execute(f"SELECT {listed} FROM read_parquet({literal(target)}) LIMIT 50").fetchall()
    told = told_by_values(extras, [dict(zip(extras, row, strict=True)) for row in rows], set())
    return told.get("text")


def _plan(
    reader: Reader,
    made: TakenIn,
    target: Path,
    options: ImportOptions,
    problems: Sequence[Problem],
    notes: list[str],
) -> ImportPlan:
    rules, admitted = made.rules, made.admitted
    plan = ImportPlan(
        reader.kind, reader.where, dict(rules.mapping), dict(rules.defaults), dict(rules.tags),
        [str(root) for root in options.audio_roots], options.locale,
    )  # fmt: skip
    plan.mapping |= {name: "" for name, column in options.mapping.items() if not column}
    plan.roots = [str(root) for root in rules.roots]
    plan.defaults = {
        k: v for k, v in plan.defaults.items() if not (k == "target_lang" and v == options.locale)
    }
    plan.usable, plan.rows = admitted.rows, admitted.rows + admitted.left_out + reader.left_out
    plan.left_out = _reasons(problems, admitted.left_out + reader.left_out)
    plan.notes = [*notes, *(str(p) for p in problems if p.line is None and ("more rows" not in p.what))]
    plan.missing = _lacks(made)
    if admitted.rows:
        with connect() as connection:
            connection.execute(f"CREATE TEMP VIEW looked_at AS SELECT * FROM read_parquet({literal(target)})")
            _figures(connection, plan)
            plan.columns = _columns(connection, made)
            names = [*_SHOWN, *(name for name in ("channel",) if name in admitted.columns)]
            shown = ", ".join(map(quoted, names))
            found = connection.execute(f"SELECT {shown} FROM looked_at LIMIT {_EXAMPLES}").fetchall()
            plan.examples = [dict(zip(names, row, strict=True)) for row in found]
            connection.execute("DROP VIEW looked_at")
        gone = missing(target, rules.roots)
        if gone.missing:
            plan.missing.append(str(gone))
        if any(str(row["audio_filepath"]).startswith(INSIDE) for row in plan.examples):
            plan.notes.append("the source holds its recordings inside; they are copied on import")
    return plan


def _reasons(problems: Sequence[Problem], left_out: int) -> dict[str, int]:
    """Why rows were left out → how many. Problems of rows that are kept are not among them."""
    kept = ("duration not known", "they stay as they are", "is given to", "ids are given")
    counts: Counter[str] = Counter()
    for problem in problems:
        if any(words in problem.what for words in kept):
            continue
        if problem.line is not None:
            counts[problem.what] += 1
        elif problem.what.endswith(" more rows"):
            what, _, rest = problem.what.rpartition(": ")
            counts[what] += int(rest.split()[0].replace(",", ""))
    if sum(counts.values()) != left_out and left_out > sum(counts.values()):
        counts["other faults"] += left_out - sum(counts.values())
    return dict(counts.most_common(12))


def _lacks(made: TakenIn) -> list[str]:
    stated = {*made.rules.mapping, *made.rules.defaults}
    wanted = {
        "text": "transcripts", "target_lang": "locales", "speaker": "speakers", "license": "licenses",
        "consent": "consent",
    }  # fmt: skip
    return [f"no column for {what}" for name, what in wanted.items() if name not in stated]


def _figures(connection: duckdb.DuckDBPyConnection, plan: ImportPlan) -> None:
    def counts(name: str) -> dict[str | None, int]:
        asked = f"SELECT {name}, count(*) FROM looked_at GROUP BY ALL ORDER BY 2 DESC, 1 LIMIT 50"
        return dict(connection.execute(asked).fetchall())

    asked = (
        "SELECT count(DISTINCT speaker), count(*) FILTER (speaker IS NULL), coalesce(sum(duration), 0) / 3600"
    )
    plan.speakers, plan.without_speaker, plan.hours = connection.execute(
        f"{asked} FROM looked_at"
    ).fetchall()[0]
    plan.splits = {name: n for name, n in counts("split").items() if name is not None}
    plan.licenses = {name: n for name, n in counts("license").items() if name is not None}
    was = {tag: value for value, tag in plan.tags.items()}
    for tag, count in counts("target_lang").items():
        if tag is None:
            plan.locales.append(SaidLocale("", count))
        elif locales.is_known(tag) or tag == locales.AUTO:
            plan.locales.append(SaidLocale(was.get(tag, tag), count, tag))
        else:
            plan.locales.append(SaidLocale(tag, count, None, locales.proposals(tag)))


def _columns(connection: duckdb.DuckDBPyConnection, made: TakenIn) -> list[Column]:
    feeds = {column: name for name, column in made.rules.mapping.items() if name != "lang"}
    held = {row[0] for row in connection.execute("DESCRIBE looked_at").fetchall()}
    found = []
    for name in made.columns:
        field = feeds.get(name, "")
        shown = field if field in held else name if name in held and name not in FIELDS else f"source_{name}"
        if shown not in held or name in (LINE, FILE):
            found.append(Column(name, field))
            continue
        column = quoted(shown)
        filled = connection.execute(f"SELECT count({column}) / count(*) FROM looked_at").fetchall()[0][0]
        some = connection.execute(
            f"SELECT DISTINCT {column}::VARCHAR FROM (SELECT {column} FROM looked_at "
            f"WHERE {column} IS NOT NULL LIMIT 200) LIMIT {_SAMPLES}"
        ).fetchall()
        found.append(Column(name, field, round(filled, 4), [row[0][:80] for row in some]))
    return found
