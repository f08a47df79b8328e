"""The database behind a corpus: DuckDB in memory over its Parquet files, with decisions folded in.

One engine serves every view of a corpus and every thread: each call takes its own cursor. Files outside the
corpus folder cannot be reached from SQL, settings are locked, and a user's filter that runs for 30 s is
interrupted; what the program itself reads takes as long as it takes.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from workbench.corpus.query import filters, spill_db
from workbench.corpus.review import decision_state
from workbench.corpus.review.decisions import DecisionStore
from workbench.errors import WorkbenchError
from workbench.ingest.schema import EDITABLE, FIELDS, literal, quoted
from workbench.locales import UNSPACED_LANGUAGES
from workbench.plain_values import plain

Result = TypeVar("Result")
LONGEST_QUERY_S = 30.0
_ATTEMPTS = 20
MEMORY_LIMIT = "1500MB"
"""What does not fit is put on disk beside the corpus."""

SIGNAL_COLUMNS = (
    "peak_dbfs", "rms_dbfs", "snr_db", "clipping_ratio", "bandwidth_hz", "dc_offset", "leading_silence_s",
    "trailing_silence_s", "duration_s", "sample_rate", "channels", "loudness_lufs",
)  # fmt: skip
"""Measured columns that a view gains once ``signal.scan`` has run."""

_SCRIPTS = ("Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Hangul", "Thai")


class Engine:
    """Queries over one corpus folder."""

    def __init__(self, folder: Path, decisions: DecisionStore, source_columns: Sequence[str]) -> None:
        self.folder = folder
        self.decisions = decisions
        self.source_columns = list(source_columns)
        self._lock = threading.RLock()
        self._version = -1
        self._rows_stamp: tuple[int, int] | None = None
        self._signal_stamp: tuple[int, int] | None = None
        self._rates: Callable[[list[str]], list[float]] | None = None
        self.columns: list[str] = []
        self._database = duckdb.connect(":memory:", config={"memory_limit": MEMORY_LIMIT})
        # Closed at the latest when the process ends: DuckDB complains about what is still open then.
        weakref.finalize(self, self._database.close)
        filters.bound_distances(self._database)
        self._lock_down()
        decision_state.create(self._database)
        self.sync()

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Run a query that holds a user's filter, over the views ``rows`` and ``utterances``, with the newest
        decisions.

        Raises:
            WorkbenchError: it ran for LONGEST_QUERY_S, needed too much memory, or a value did not fit.
        """
        return self._undisturbed(lambda: self._query(sql, parameters))

    def read(self, select: str, where: str = "", rest: str = "", parameters: Sequence[Any] = ()) -> pa.Table:
        """The program's own reading of ``rows``, which may take its time: of a large corpus on a slow disk.

        Args:
            select: ``SELECT ...`` without its FROM.
            where: ``WHERE ...`` of users' filters; which rows it leaves is settled first, within the limit.
            rest: what follows the FROM; nothing of it is a user's.
            parameters: of ``rest``.

        Raises:
            WorkbenchError: the filters ran for LONGEST_QUERY_S, or the memory did not do.
        """
        return self._undisturbed(lambda: self._read(select, where, rest, parameters))

    def scan(
        self,
        select: str,
        where: str,
        rest: str,
        take: Callable[[pa.RecordBatchReader], Result],
        batch_rows: int = 20_000,
    ) -> Result:
        """The program's own reading of ``rows`` a batch at a time, all of the same state of the corpus.

        Args:
            select, where, rest: as for :meth:`read`.
            take: is handed the reader of the batches; called again from the start, where the rows' file was
                put in another's place meanwhile. It must not write decisions.
            batch_rows: rows of a batch, about.

        Raises:
            WorkbenchError: as :meth:`read`.
        """
        return self._undisturbed(lambda: self._scan(select, where, rest, take, batch_rows))

    def _scan(
        self, select: str, where: str, rest: str, take: Callable[[pa.RecordBatchReader], Result], rows: int
    ) -> Result:
        with closing(self._database.cursor()) as cursor:
            cursor.execute("BEGIN")
            source = self._chosen(cursor, where) if where else "rows"
            try:
                return take(cursor.sql(f"{select} FROM {source} {rest}").to_arrow_reader(rows))
            except duckdb.Error as error:
                raise WorkbenchError(filters.explain(error)[:200], where=str(self.folder)) from error

    def _undisturbed(self, act: Callable[[], Result]) -> Result:
        """Do something with the newest rows; again, where a file was put in another's place meanwhile.

        DuckDB opens a file more than once, and would take the new one for the one that it looked into.
        """
        for attempt in itertools.count(1):
            found = self._stamps()
            try:
                self._sync()
                made = act()
            except Exception:
                if self._stamps() == found or attempt == _ATTEMPTS:
                    raise
            else:
                if self._stamps() == found or attempt == _ATTEMPTS:
                    return made
        raise AssertionError

    @property
    def rows_stamp(self) -> tuple[int, int] | None:
        """Time and size of the rows' file."""
        return _stamp(self.folder / "utterances.parquet")

    def _stamps(self) -> tuple[Any, Any]:
        return self.rows_stamp, _stamp(self.folder / "signal.parquet")

    def _query(self, sql: str, parameters: Sequence[Any]) -> pa.Table:
        with closing(self._database.cursor()) as cursor:
            return _run(cursor, sql, parameters, LONGEST_QUERY_S)

    def _read(self, select: str, where: str, rest: str, parameters: Sequence[Any]) -> pa.Table:
        with closing(self._database.cursor()) as cursor:
            if not where:
                return _run(cursor, f"{select} FROM rows {rest}", parameters, None)
            cursor.execute("BEGIN")  # the filters and the reading see the same decisions
            return _run(cursor, f"{select} FROM {self._chosen(cursor, where)} {rest}", parameters, None)

    def _chosen(self, cursor: duckdb.DuckDBPyConnection, where: str) -> str:
        """The rows that users' filters leave, settled within the limit; to stand behind FROM."""
        left = _run(cursor, f"SELECT row_index FROM rows {where}", (), LONGEST_QUERY_S)
        cursor.register("left_by_filters", left)
        return "(FROM rows SEMI JOIN left_by_filters USING (row_index))"

    def check(self, expression: str) -> str:
        """The filter, if it is safe and its types fit.

        Raises:
            WorkbenchError: otherwise; the message names near columns.
        """
        return self._undisturbed(lambda: self._check(expression))

    def _check(self, expression: str) -> str:
        cursor = self._database.cursor()
        try:
            text = filters.check(cursor, expression, self.columns)
            cursor.execute(f"SELECT 1 FROM (FROM rows LIMIT 100) WHERE ({text}\n)").fetchone()
        except duckdb.Error as error:
            raise WorkbenchError(
                f"the filter does not fit the columns: {filters.explain(error)[:160]}",
                where=repr(expression[:80]),
                hint="Text stands in single quotes; compare numbers with numbers.",
            ) from error
        finally:
            cursor.close()
        return text

    def use_tokenizer(self, rates: Callable[[list[str]], list[float]]) -> None:
        """Give the views a column ``unknown_rate``: each text is rated once, and again when it is edited.

        Args:
            rates: texts → share of unknown pieces of each.
        """
        self.sync()
        with self._lock:
            cursor = self._database.cursor()
            try:
                cursor.execute("CREATE OR REPLACE TABLE token_rates (text VARCHAR, unknown_rate DOUBLE)")
                self._rates = rates
                self._rate(cursor, "utterances")
                self._rate(cursor, "state")
                self._create_views(cursor, self._signal_stamp is not None)
            finally:
                cursor.close()

    def _rate(self, cursor: duckdb.DuckDBPyConnection, table: str) -> None:
        if self._rates is None:
            return
        found = cursor.execute(
            f"SELECT DISTINCT text FROM {table} ANTI JOIN token_rates USING (text) WHERE text IS NOT NULL"
        ).fetchall()
        texts = [text for (text,) in found]
        if texts:
            cursor.register("rated", pa.table({"text": texts, "unknown_rate": self._rates(texts)}))
            cursor.execute("INSERT INTO token_rates FROM rated").fetchall()
            cursor.unregister("rated")

    def sync(self) -> None:
        """Take in decisions, measurements, and rows that came or went since the last call."""
        self._undisturbed(lambda: None)

    def _sync(self) -> None:
        version = self.decisions.version()
        rows, stamp = self._stamps()
        if (version, stamp, rows) == (self._version, self._signal_stamp, self._rows_stamp):
            return
        with self._lock:
            cursor = self._database.cursor()
            try:
                if (stamp, rows) != (self._signal_stamp, self._rows_stamp):
                    self._create_views(cursor, stamp is not None)
                    if rows != self._rows_stamp:
                        self._rate(cursor, "utterances")
                        self._version = -1
                    self._signal_stamp, self._rows_stamp = stamp, rows
                if version > max(self._version, 0):
                    decision_state.load(cursor, self.decisions, max(self._version, 0))
                    self._rate(cursor, "state")
                self._version = max(version, self._version)
            finally:
                cursor.close()

    def close(self) -> None:
        self._database.close()
        self.decisions.close()

    def _lock_down(self) -> None:
        database = self._database
        database.execute(f"SET allowed_directories = [{literal(str(self.folder) + '/')}]")
        for setting in (
            "enable_progress_bar = false",
            f"temp_directory = {literal(spill_db.folder(self.folder))}", "python_enable_replacements = false",
            "enable_external_access = false",
            "allow_community_extensions = false", "lock_configuration = true",
        ):  # fmt: skip
            database.execute(f"SET {setting}")

    def _create_views(self, cursor: duckdb.DuckDBPyConnection, measured: bool) -> None:
        utterances = literal(str(self.folder / "utterances.parquet"))
        source = f"FROM read_parquet({utterances})"
        present = [row[0] for row in cursor.execute(f"DESCRIBE SELECT * {source}").fetchall()]
        if "row_index" not in present:
            # A plain import: the file's order is the source's, line by line.
            source = (
                "SELECT * EXCLUDE (file_row_number), file_row_number AS row_index, "
                "file_row_number + 1 AS source_line, NULL::VARCHAR AS source_file "
                f"FROM read_parquet({utterances}, file_row_number = true)"
            )
        cursor.execute(f"CREATE OR REPLACE VIEW utterances AS {source}")
        columns = [_folded(name) for name in FIELDS]
        extras = [
            n for n in present if n not in FIELDS and n not in ("row_index", "source_line", "source_file")
        ]
        columns += [f"u.{quoted(name)} AS {quoted(name)}" for name in extras]
        columns += [
            "u.text AS original_text", "coalesce(s.status, 'pending') AS status", "s.reason AS reason",
            "coalesce(s.tags, []::VARCHAR[]) AS tags", "coalesce(s.edited, false) AS edited",
            "u.row_index AS row_index", "u.source_line AS source_line", "u.source_file AS source_file",
        ]  # fmt: skip
        joins = "LEFT JOIN state s ON u.row_index = s.row_index"
        if measured:
            measures = literal(str(self.folder / "signal.parquet"))
            there = cursor.execute(f"DESCRIBE SELECT * FROM read_parquet({measures})").fetchall()
            # An earlier version's scan lacks what it did not measure.
            names = [n for n in SIGNAL_COLUMNS if n not in extras and n in {row[0] for row in there}]
            columns += [f"m.{n} AS {n}" for n in names] + ["m.error AS audio_error"]
            joins += f" LEFT JOIN read_parquet({measures}) m ON u.id = m.id"
        if self._rates is not None and "unknown_rate" not in extras:
            columns += ["t.unknown_rate AS unknown_rate"]
            joins += " LEFT JOIN token_rates t ON t.text = CASE WHEN s.text_set THEN s.text ELSE u.text END"
        folded = f"SELECT {', '.join(columns)} FROM utterances u {joins}"
        cursor.execute(f"CREATE OR REPLACE VIEW rows AS SELECT *, {_computed()} FROM ({folded})")
        self.columns = [row[0] for row in cursor.execute("DESCRIBE rows").fetchall()]


def _folded(name: str) -> str:
    if name in EDITABLE:
        column = quoted(name)
        return f"CASE WHEN s.{name}_set THEN s.{column} ELSE u.{column} END AS {column}"
    return f"u.{quoted(name)} AS {quoted(name)}"


def _computed() -> str:
    bucket = "CASE " + " ".join(
        f"WHEN duration < {high} THEN '{low}-{high}'"
        for low, high in ((0, 1), (1, 2), (2, 5), (5, 10), (10, 20), (20, 40))
    )
    codes = ", ".join(f"'{code}'" for code in sorted(UNSPACED_LANGUAGES))
    unspaced = f"split_part(coalesce(target_lang, ''), '-', 1) IN ({codes})"
    return f"""length(text) AS characters,
        CASE WHEN text IS NULL THEN NULL WHEN trim(text) = '' THEN 0
             WHEN {unspaced} THEN length(regexp_replace(text, '[\\s\\p{{P}}]', '', 'g'))
             ELSE len(string_split_regex(trim(text), '\\s+')) END AS words,
        length(text) / duration AS characters_per_s,
        {bucket} WHEN duration >= 40 THEN '40+' END AS duration_bucket,
        {_script()} AS script"""


def _script() -> str:
    """Script of most letters. Plain Latin is settled by one pattern; only other texts are counted."""

    def count(name: str) -> str:
        return f"length(regexp_replace(text, '[^\\p{{{name}}}]', '', 'g'))"

    japanese = "regexp_matches(text, '[\\p{Hiragana}\\p{Katakana}]')"
    counts = [f"{{'n': {count(name)}, 's': '{name}'}}" for name in _SCRIPTS] + [
        f"{{'n': {count('Han')}, 's': 'Han'}}"
    ]
    return (
        "CASE WHEN text IS NULL OR NOT regexp_matches(text, '\\p{L}') THEN NULL "
        "WHEN regexp_full_match(text, '[\\x{00}-\\x{024F}]*') THEN 'Latin' "
        f"WHEN {japanese} THEN 'Japanese' ELSE list_sort([{', '.join(counts)}], 'DESC')[1].s END"
    )


def _run(
    cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any], limit_s: float | None
) -> pa.Table:
    """A query's rows; interrupted after ``limit_s``, where there is a limit."""
    done = threading.Event()
    if limit_s is not None:
        threading.Thread(target=_interrupt, args=(cursor, done, limit_s), daemon=True).start()
    try:
        return _arrow(cursor, sql, parameters)
    except duckdb.InterruptException as error:
        if limit_s is None:  # by the user's own hand
            raise
        raise WorkbenchError(
            f"the filter ran longer than {limit_s:.0f} s", hint="Narrow the filter."
        ) from error
    except duckdb.Error as error:
        raise WorkbenchError(filters.explain(error)[:200], hint="Check the filter.") from error
    finally:
        done.set()


def _interrupt(cursor: duckdb.DuckDBPyConnection, done: threading.Event, after_s: float) -> None:
    """Until it helps: DuckDB forgets an interrupt that comes before the query has begun."""
    wait_s = after_s
    while not done.wait(wait_s):
        cursor.interrupt()
        wait_s = 0.05


def _arrow(cursor: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[Any]) -> pa.Table:
    relation = cursor.sql(sql, params=list(parameters)) if parameters else cursor.sql(sql)
    return relation.to_arrow_table()


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size


def plain_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of plain Python values that JSON can hold."""
    return {name: plain(value) for name, value in row.items()}
