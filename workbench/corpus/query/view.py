"""The rows of a corpus that a filter leaves: shown, counted and heard."""

from __future__ import annotations

import copy
import difflib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from workbench.corpus import record
from workbench.corpus.quality.text_checks import unknown_rates
from workbench.corpus.query.engine import Engine, plain_row
from workbench.corpus.query.preview import preview_html
from workbench.corpus.review.decisions import DecisionStore
from workbench.errors import Problem, WorkbenchError
from workbench.glance import counted
from workbench.ingest import audio as sound
from workbench.ingest.schema import literal, quoted
from workbench.reading import readable
from workbench.signatures import public
from workbench.workspace import roles
from workbench.workspace.ledger import Ledger

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

MOST_AT_ONCE = 10_000
"""Rows that one page may hold."""


@public
class View:
    """Rows of an imported corpus with the decisions on them.

    ``where`` returns an object of the same class over fewer rows; all of them share one engine and may be
    used from several threads. Every call sees the newest decisions, other notebooks' included.
    """

    def __init__(self, folder: Path, engine: Engine, facts: Mapping[str, Any], ledger: Ledger | None) -> None:
        self.folder = folder
        self._engine = engine
        self._facts = dict(facts)
        self._ledger = ledger
        self._roots = [Path(root) for root in facts["audio_roots"]]
        self._filters: tuple[str, ...] = ()
        self._shown: tuple[str, ...] = ()

    @classmethod
    def open(cls, folder: str | Path, *, ledger: Ledger | None = None) -> Self:
        """Open an imported corpus.

        Args:
            folder: where ``import_source`` put it.
            ledger: of the workspace; where exports are recorded. Found by itself in a workspace.

        Raises:
            WorkbenchError: no corpus lies there, or it was written by a newer workbench.
        """
        folder = Path(folder).absolute()
        record.read(folder)
        if os.access(folder, os.W_OK):
            record.settle(folder)
            record.follow(folder)
        facts = record.read(folder)
        store = DecisionStore(folder / "decisions.sqlite", roles.guard(folder, "reviewer"))
        with readable(folder / record.ROWS, "the rows of the corpus"):
            engine = Engine(folder, store, facts["columns"])
        found = folder.parent.parent / "ledger.sqlite"
        if ledger is None and folder.parent.name == "corpora" and found.exists():
            ledger = Ledger(found)
        return cls(folder, engine, facts, ledger)

    @property
    def name(self) -> str:
        """What it is called in its workspace."""
        return str(self._facts["name"])

    @property
    def facts(self) -> dict[str, Any]:
        """What ``source.json`` records about the import, and about rows that joined or left since."""
        from workbench.shown import Facts

        found = record.read(self.folder)
        said = f"{found['name']}: {counted(found['rows'], 'row')} of {found.get('source', 'a source')}."
        return Facts(found, said)

    @property
    def rows_stamp(self) -> tuple[int, int] | None:
        """Changes when rows join the corpus or leave it."""
        return self._engine.rows_stamp

    @property
    def columns(self) -> list[str]:
        """Every column that filters and pages may name."""
        self._engine.sync()
        return list(self._engine.columns)

    @property
    def filters(self) -> tuple[str, ...]:
        """The expressions of ``where``, as the user wrote them."""
        return self._shown

    @property
    def audio_root(self) -> Path:
        """The folder that audio paths are relative to."""
        return Path(self._facts["audio_roots"][0])

    @property
    def audio_roots(self) -> tuple[str, ...]:
        """Every folder that the audio may lie in; paths are relative to the first."""
        return tuple(map(str, self._roots))

    @property
    def problems(self) -> list[Problem]:
        """What the import left out or asks about, in the order of the source."""
        path = self.folder / "problems.jsonl"
        if not path.is_file() or not path.stat().st_size:
            return []
        with readable(path, "the list of problems"):
            return [Problem.from_dict(json.loads(line)) for line in path.read_text("utf-8").splitlines()]

    @property
    def decisions(self) -> DecisionStore:
        """What reviewers decided, of the whole corpus."""
        return self._engine.decisions

    def __len__(self) -> int:
        where = self._where()
        # A row stays one row whatever was decided on it: the file says at once how many there are.
        rows = "rows" if where else "utterances"
        return int(self._engine.query(f"SELECT count(*) AS n FROM {rows} {where}")["n"][0].as_py())

    def __repr__(self) -> str:
        narrowed = f" where {' and '.join(self._shown)}" if self._shown else ""
        return f"<{type(self).__name__} {self.name}{narrowed}: {len(self):,} utterances>"

    def _repr_html_(self) -> str:
        return preview_html(self.page(0, 10), repr(self)[1:-1], len(self))

    def where(self, sql: str) -> Self:
        """Only the rows for which one SQL expression holds, e.g. ``target_lang = 'el-GR' AND duration > 2``.

        Raises:
            WorkbenchError: not one plain expression over the columns; the message names near columns.
        """
        return self._narrowed(self._engine.check(sql), sql.strip())

    def seen_by(self, reviewer: str) -> Self:
        """The same rows with one reviewer's own decisions and nobody else's, for a blind review.

        What is decided on them joins the corpus's decisions as ever.

        Args:
            reviewer: whose words are read.
        """
        store = DecisionStore(self.decisions.path, roles.guard(self.folder, "reviewer"), only=reviewer)
        made = copy.copy(self)
        made._engine = Engine(self.folder, store, self._facts["columns"])
        return made

    @property
    def whole(self) -> Self:
        """Every row of the corpus, without the filters of this view."""
        made = copy.copy(self)
        made._filters = made._shown = ()
        return made

    def pick(self, ids: Iterable[str]) -> Self:
        """Only the rows with these ids."""
        wanted = list(dict.fromkeys(ids))
        listed = ", ".join(literal(id_) for id_ in wanted) or "NULL"
        return self._narrowed(f"id IN ({listed})", f"{len(wanted):,} picked ids")

    def sample(self, n_per_group: int, by: str = "target_lang", *, seed: int = 0) -> Self:
        """At most ``n_per_group`` rows of each value of column ``by``, drawn from seed and ids alone.

        The same rows come out whatever their order in the source. A null is a value of its own.

        Raises:
            WorkbenchError: no such column.
        """
        held = self.table(["id", self._column(by)]).to_pydict()
        groups: dict[Any, list[tuple[bytes, str]]] = {}
        for id_, value in zip(held["id"], held[self._column(by)], strict=True):
            key = hashlib.sha256(f"{seed}/{id_}".encode()).digest()
            groups.setdefault(value, []).append((key, id_))
        return self.pick(id_ for own in groups.values() for _, id_ in sorted(own)[:n_per_group])

    def _narrowed(self, sql: str, shown: str) -> Self:
        made = copy.copy(self)
        made._filters = (*self._filters, sql)
        made._shown = (*self._shown, shown)
        return made

    def page(
        self, offset: int, limit: int, order_by: str | None = None, descending: bool = False
    ) -> list[dict[str, Any]]:
        """Rows ``offset`` to ``offset + limit`` as plain dicts, ties in the source's order, nulls last.

        Raises:
            WorkbenchError: no such column, or a page of more than MOST_AT_ONCE rows.
        """
        if not 0 <= limit <= MOST_AT_ONCE or offset < 0:
            raise WorkbenchError(f"a page holds 0 to {MOST_AT_ONCE:,} rows from an offset of at least 0")
        order = (
            f"{quoted(self._column(order_by))} {'DESC' if descending else 'ASC'} NULLS LAST, "
            if order_by
            else ""
        )
        # Positions first, wide columns after: sorting carries one column instead of thirty.
        rest = f"ORDER BY {order}row_index LIMIT {limit} OFFSET {offset}"
        found = self._engine.read("SELECT row_index", self._where(), rest)["row_index"].to_pylist()
        if not found:
            return []
        by_index = {row["row_index"]: plain_row(row) for row in self.at(found).to_pylist()}
        return [by_index[index] for index in found if index in by_index]

    def at(self, row_indexes: Iterable[int], columns: Iterable[str] | None = None) -> pa.Table:
        """The rows of these ``row_index``, whatever the filters of this view, in any order; all columns, or
        ``row_index`` and those named."""
        names = None if columns is None else ["row_index", *(self._column(name) for name in columns)]
        listed = "*" if names is None else ", ".join(map(quoted, names))
        wanted = ", ".join(str(int(index)) for index in row_indexes) or "NULL"
        return self._engine.read(f"SELECT {listed}", rest=f"WHERE row_index IN ({wanted})")

    def table(self, columns: Iterable[str] | None = None) -> pa.Table:
        """All rows in the source's order as an Arrow table."""
        names = [self._column(name) for name in columns] if columns is not None else None
        listed = ", ".join(quoted(name) for name in names) if names is not None else "*"
        return self._engine.read(f"SELECT {listed}", self._where(), "ORDER BY row_index")

    def use_tokenizer(self, tokenizer: Any) -> None:
        """Add the column ``unknown_rate``, share of a transcript's pieces that the tokenizer does not know.

        For this object and all its views, while they are open; edited transcripts are rated anew.

        Args:
            tokenizer: a ``SentencePieceProcessor``, or what holds one as ``tokenizer``, such as NeMo's
                tokenizers and models.

        Raises:
            WorkbenchError: it is no tokenizer; the corpus stays as it was.
        """
        unknown_rates([], tokenizer)
        self._engine.use_tokenizer(lambda texts: unknown_rates(texts, tokenizer))

    def frame(self, columns: Iterable[str] | None = None) -> pd.DataFrame:
        """All rows in the source's order as a DataFrame."""
        from workbench.shown import show_rows

        found = self.table(columns).to_pandas()
        narrowed = f" where {' and '.join(self._shown)}" if self._shown else ""
        said = f"{counted(len(found), 'utterance')} of {self.name}{narrowed}."
        return show_rows(found, said, ("id", "text", "target_lang", "duration", "split", "status"))

    def ids(self) -> list[str]:
        """The ids in the source's order."""
        return list(self.table(["id"])["id"].to_pylist())

    def row(self, id: str) -> dict[str, Any]:
        """One row.

        Raises:
            WorkbenchError: no row of the corpus has that id.
        """
        rows = self._engine.read("SELECT *", rest="WHERE id = ?", parameters=[id]).to_pylist()
        if not rows:
            raise WorkbenchError(f"no utterance {id[:80]!r}", where=self.name)
        from workbench.shown import Facts

        return Facts(plain_row(rows[0]), f"{id} of {self.name}.")

    def groups(self, *columns: str) -> pd.DataFrame:
        """Utterances and hours by columns, e.g. ``groups("target_lang", "accent")``."""
        names = [quoted(self._column(name)) for name in columns]
        select = ", ".join([*names, "count(*) AS utterances", "coalesce(sum(duration), 0) / 3600 AS hours"])
        by = f"GROUP BY {', '.join(names)} ORDER BY {', '.join(names)}" if names else ""
        from workbench.shown import show_rows

        found = self._engine.read(f"SELECT {select}", self._where(), by).to_pandas()
        parts = f" in {counted(len(found), 'group')}" if names else ""
        said = f"{int(found['utterances'].sum()):,} utterances, {found['hours'].sum():.2f} h{parts}."
        return show_rows(found, said, (*columns[-4:], "utterances", "hours"))

    def audio_path(self, id: str) -> Path:
        """The recording of a row.

        Raises:
            WorkbenchError: no such row, or the file lies outside the folders that may be read.
        """
        return self._locate(self.row(id))

    def audio(self, id: str, sample_rate: int = 16_000) -> np.ndarray:
        """The sound of a row: float32 (samples,) in [-1, 1], channels averaged unless the row names some.

        Raises:
            WorkbenchError: the recording is missing, cannot be read, or holds no usable samples.
        """
        return sound.read_row(self.row(id), self.audio_roots, sample_rate)[0]

    def _locate(self, row: Mapping[str, Any]) -> Path:
        return sound.locate(str(row["audio_filepath"]), self._roots)

    def close(self) -> None:
        """Let go of files; the object and its views cannot be used afterwards."""
        self._engine.close()

    def _sql(self) -> str:
        return " AND ".join(f"({text})" for text in self._shown)

    def _where(self) -> str:
        # Each filter ends with a line break so that a comment in it cannot swallow what follows.
        return "WHERE " + " AND ".join(f"({text}\n)" for text in self._filters) if self._filters else ""

    def _column(self, name: str) -> str:
        columns = self.columns
        if name in columns:
            return name
        near = difflib.get_close_matches(name, columns, n=3, cutoff=0.5)
        raise WorkbenchError(
            f"no column {name[:60]!r}",
            hint=f"Did you mean {', '.join(near)}?" if near else ", ".join(columns),
        )
