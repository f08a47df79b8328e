"""Run the rules over a corpus; every finding names its clip, its rule, what is wrong and what to do.

Rows are read once, a batch at a time; what compares rows with each other works on compact arrays and on disk
(``row_index``, ``spill_db``), and findings wait on disk too, so that a corpus of millions needs little
memory.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from workbench.corpus.quality import duplicates, leakage, loudness_checks, row_checks, signal, sound_checks
from workbench.corpus.quality.findings import COLUMNS, Findings
from workbench.corpus.quality.own_rules import OwnRule, add_own
from workbench.corpus.quality.rules import RULES, Rule, chosen
from workbench.corpus.query import spill_db
from workbench.corpus.query.row_index import Keys
from workbench.errors import WorkbenchError
from workbench.glance import counted
from workbench.ingest.audio import CHANNEL_COLUMNS, channel_of
from workbench.signatures import public

if TYPE_CHECKING:
    import duckdb

    from workbench.corpus.quality.duplicates import Bands
    from workbench.corpus.query.view import View

    Array = np.ndarray[Any, np.dtype[Any]]

_LEAKS = ("leak_audio", "leak_sentence", "leak_speaker")


@dataclass(frozen=True)
class Checked:
    """Findings in a file.

    Attributes:
        path: Parquet with ``id, rule, severity, reason, hint, value`` (as text) and ``number`` (where the
            value is one), in the order of :func:`run_checks`.
        counts: findings by rule.
        rows: how many were looked at.
        not_run: rule → what it lacks.
    """

    path: Path
    counts: dict[str, int]
    rows: int
    not_run: dict[str, str] = field(default_factory=dict)


@public
def run_checks(
    corpus: View,
    rules: Iterable[str] | Mapping[str, Any] | None = None,
    tokenizer: Any = None,
    predictions: pd.DataFrame | None = None,
    progress: Callable[[int, int], None] | None = None,
    own: Sequence[OwnRule] = (),
) -> pd.DataFrame:
    """Look for flaws in the rows of a view; rejected rows are looked at too.

    Args:
        corpus: the rows. Rules on sound read ``signal.scan``'s results; scan first.
        rules: which, and with which thresholds; see :func:`workbench.corpus.quality.rules.chosen`.
        tokenizer: of the checkpoint, for the characters that it does not know.
        predictions: ``id``, ``hypothesis``, ``detected_lang``, for the rules against the model.
        progress: called with (groups of rules done, groups in all).
        own: rules of the team: SQL expressions or functions.

    Returns:
        DataFrame ``id, rule, severity, reason, hint, value``, errors first; ``attrs["not_run"]`` names the
        rules that could not run and what they lack; ``attrs["checked"]`` counts the rows.

    Raises:
        WorkbenchError: an unknown rule.
    """
    job = _Job(corpus, chosen(rules), tokenizer, predictions, progress)
    with spill_db.database(corpus.folder) as database:
        found, rows = job.run(database)
        frame = found.frame()
    frame.attrs["not_run"], frame.attrs["checked"] = job.not_run, rows
    return _shown(add_own(frame, corpus, own) if own else frame)


def _shown(frame: pd.DataFrame) -> pd.DataFrame:
    from workbench.shown import show_rows

    rows, asked = frame.attrs["checked"], frame.attrs["not_run"]
    flawed = counted(frame["id"].nunique(), "utterance")
    said = (
        f"{counted(len(frame), 'finding')} in {flawed} of {rows:,}"
        if len(frame)
        else f"No finding in {rows:,} utterances"
    )
    said += f"; {counted(len(asked), 'rule')} could not run (attrs['not_run'])." if asked else "."
    return show_rows(frame, said, ("id", "rule", "severity", "reason", "hint"))


def write_checks(
    corpus: View,
    path: str | Path,
    rules: Iterable[str] | Mapping[str, Any] | None = None,
    tokenizer: Any = None,
    predictions: pd.DataFrame | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Checked:
    """:func:`run_checks` into a Parquet file, for corpora whose findings do not fit into memory.

    Args:
        path: the file; one that lies there is replaced when all is done.
        corpus, rules, tokenizer, predictions, progress: as :func:`run_checks` takes them.

    Raises:
        WorkbenchError: as there.
    """
    job = _Job(corpus, chosen(rules), tokenizer, predictions, progress)
    with spill_db.database(corpus.folder) as database:
        found, rows = job.run(database)
        counts = found.write(Path(path))
    return Checked(Path(path), counts, rows, job.not_run)


@dataclass
class _Job:
    """One run of the chosen rules."""

    corpus: View
    wanted: dict[str, Rule]
    tokenizer: Any
    predictions: pd.DataFrame | None
    progress: Callable[[int, int], None] | None

    def __post_init__(self) -> None:
        there = {
            "": True,
            "signal": (self.corpus.folder / "signal.parquet").exists(),
            "loudness": signal.has_loudness(self.corpus),
            "tokenizer": self.tokenizer is not None,
            "predictions": self.predictions is not None,
        }
        self.not_run = {name: rule.needs for name, rule in self.wanted.items() if not there[rule.needs]}
        self.thresholds = {n: rule.threshold for n, rule in self.wanted.items() if rule.threshold is not None}

    def run(self, database: duckdb.DuckDBPyConnection) -> tuple[Findings, int]:
        """Findings in the database, and how many rows were looked at."""
        found = Findings(database, self.wanted)
        bands = None
        try:
            if "near_duplicate_text" in self.wanted:
                bands = duplicates.Bands(spill_db.folder(self.corpus.folder))
            of_rows = row_checks.RowChecks(
                found, self.thresholds, None if "unknown_characters" in self.not_run else self.tokenizer,
                self.predictions, bands,
            )  # fmt: skip
            keys = leakage.read(
                self.corpus, database, only="", more=[n for n in row_checks.MORE if n in self.corpus.columns],
                sentences=bands is not None, visitor=of_rows,
            )  # fmt: skip
            steps: list[Callable[[], None]] = [
                lambda: of_rows.rates(keys),
                lambda: self._repeated(found, keys),
                lambda: self._near(found, database, bands, keys),
                lambda: self._leaks(found, keys),
                lambda: self._sound(found),
            ]
            for done, step in enumerate(steps, 1):
                self._tick(done, len(steps) + 1)
                step()
            self._tick(len(steps) + 1, len(steps) + 1)
        finally:
            if bands is not None:
                bands.remove()
        return found, len(keys)

    def _tick(self, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(done, total)

    def _repeated(self, found: Findings, keys: Keys) -> None:
        """The same stretch of the same recording, and the same sentence, a second time."""
        if "duplicate_audio" in self.wanted:
            part = np.where(keys.offset == 0, 0.0, keys.duration)
            again = _repeats(keys.audio(), keys.offset, part, self._channels(keys))
            found.pairs("duplicate_audio", *_named(keys, again))
        if "duplicate_text" in self.wanted:
            found.pairs("duplicate_text", *_named(keys, keys.ties["sentence"]))

    def _channels(self, keys: Keys) -> Array:
        """(rows,) A number for each choice of channels: two speakers of a call are no duplicates."""
        names = [name for name in CHANNEL_COLUMNS if name in self.corpus.columns]
        made = np.zeros(len(keys), np.int64)
        if names:
            table = self.corpus.table(["row_index", *names])
            numbers: dict[str, int] = {}
            choices = [str(_channel_choice(row)) for row in table.select(names).to_pylist()]
            places = np.searchsorted(keys.row_index, table["row_index"].to_numpy())
            made[places] = [numbers.setdefault(one, len(numbers)) for one in choices]
        return made

    def _near(
        self, found: Findings, database: duckdb.DuckDBPyConnection, bands: Bands | None, keys: Keys
    ) -> None:
        if bands is not None:
            threshold = self.thresholds.get("near_duplicate_text") or 0.9
            near = duplicates.near_texts(database, bands, keys, threshold)
            found.near("near_duplicate_text", near)

    def _leaks(self, found: Findings, keys: Keys) -> None:
        path = self.corpus.folder / "split.json"
        policy = json.loads(path.read_text(encoding="utf-8"))["speakers"] if path.exists() else "disjoint"
        for name in _LEAKS:
            level = name.removeprefix("leak_")
            if name in self.wanted and (level != "speaker" or policy != "shared"):
                found.places(name, keys, leakage.shared(keys, level))

    def _sound(self, found: Findings) -> None:
        able = {n: rule for n, rule in self.wanted.items() if n not in self.not_run}
        if not any(rule.needs in ("signal", "loudness") for rule in able.values()):
            return
        plain = ("row_index", "id", "audio_filepath", "offset", "duration")
        wanted = (*plain, *loudness_checks.GROUPS, *CHANNEL_COLUMNS)
        names = [n for n in wanted if n in self.corpus.columns]
        found.named(sound_checks.hits(self.corpus, _Rows(self.corpus.table(names)), able))


class _Rows:
    """Rows of an Arrow table as mappings, made while one goes over them."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self._table.to_batches(max_chunksize=20_000):
            yield from batch.to_pylist()


def _channel_choice(row: Mapping[str, Any]) -> Any:
    """The channels of a row; what cannot be understood stands for itself."""
    try:
        return channel_of(row)
    except WorkbenchError:
        return tuple(row.get(name) for name in CHANNEL_COLUMNS)


def _repeats(*columns: Array) -> Array:
    """(rows,) First row that has the same values; NaN is like NaN."""
    # Numbers are told apart by their bits, so that NaN, for what is unknown, has its place.
    bits = [c if c.dtype.kind == "i" else c.view(np.int64) for c in columns]
    order = np.lexsort(bits[::-1])
    new = np.zeros(len(order), np.bool_)
    new[:1] = True
    for column in bits:
        held = column[order]
        new[1:] |= held[1:] != held[:-1]
    made = np.empty(len(order), np.int32)
    made[order] = order[new][np.cumsum(new) - 1]
    return made


def _named(keys: Keys, firsts: Array) -> tuple[Array, Array]:
    """row_index of the rows that repeat an earlier one, and of these."""
    again = np.flatnonzero((firsts >= 0) & (firsts < np.arange(len(firsts))))
    return keys.row_index[again], keys.row_index[firsts[again]]


def summary(findings: pd.DataFrame) -> pd.DataFrame:
    """Findings by rule: ``rule, severity, utterances, share, reason, method, threshold, source``."""
    checked = findings.attrs.get("checked") or 1
    counts = Counter(findings["rule"])
    rows = [
        (name, rule.severity, counts[name], counts[name] / checked, rule.reason, rule.method, rule.threshold,
         rule.source)
        for name, rule in RULES.items() if counts[name]
    ]  # fmt: skip
    columns = ["rule", "severity", "utterances", "share", "reason", "method", "threshold", "source"]
    return pd.DataFrame(rows, columns=columns)


__all__ = ["COLUMNS", "Checked", "run_checks", "summary", "write_checks"]
