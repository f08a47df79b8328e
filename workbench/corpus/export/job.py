"""What a format is given to write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.corpus.export.export_rows import ROWS_AT_ONCE, ExportRows, Place, Progress

if TYPE_CHECKING:
    import duckdb

    from workbench.corpus.query.view import View


@dataclass
class Job:
    """What a format needs: the rows ready to write, where to, and the settings."""

    corpus: View
    draft: Path
    rows: ExportRows
    place: Place
    spill: duckdb.DuckDBPyConnection
    progress: Progress | None = None
    workers: int = 1

    def tick(self, done: int) -> None:
        if self.progress is not None:
            self.progress(done, len(self.rows))

    def counted(self, rows: Iterable[Any]) -> Iterator[Any]:
        """The rows, with word of how far one is."""
        for row in rows:
            yield row
            self._done += 1
            if self._done % ROWS_AT_ONCE == 0 or self._done == len(self.rows):
                self.tick(self._done)

    _done: int = 0
