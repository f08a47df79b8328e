"""Train, validation and test: disjoint by sentence and speaker, balanced by locale and accent, seeded.

Utterances that share audio, a sentence or (under ``speakers="disjoint"``) a speaker hang together and go to
one split. Where the sentences tie all speakers into one lump, as in corpora where everyone reads the same
prompts, speakers are divided first and the rows whose sentence then stands on two sides are set aside.
"""

from __future__ import annotations

import json
import random
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from workbench.corpus.quality import leakage
from workbench.corpus.query import spill_db
from workbench.corpus.query.row_index import NO_MATCH, Keys, batches
from workbench.errors import WorkbenchError
from workbench.files import write_atomic
from workbench.glance import Glance, as_html, as_text, counted
from workbench.glance import table as table_html
from workbench.ingest.schema import SPLITS

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

    from workbench.corpus.query.view import View

    Array = np.ndarray[Any, np.dtype[Any]]

FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}
LUMP = 0.5
"""A group that holds more of a corpus than this cannot be divided by moving whole groups."""
LEAST_SPEAKERS = 10
LEAST_WORDS = 1_000
"""Below these a figure for a cell is an anecdote; common thresholds, adjustable, not from a standard."""
_GROUPS_AT_ONCE = 100_000


def _named(value: Any, missing: str) -> str:
    return value if isinstance(value, str) and value else missing


@dataclass(frozen=True)
class SplitReport:
    """What a split did.

    Attributes:
        table: DataFrame by locale, accent and split: utterances, hours, speakers, words.
        warnings: one line each, cells too small to say anything first.
        set_aside: ids that got no split since their sentence stands elsewhere.
        policy: seed, fractions, whether speakers are shared, and of how many rows the speaker is not known,
            as every report repeats it.
    """

    table: pd.DataFrame
    warnings: list[str]
    set_aside: list[str] = field(default_factory=list)
    policy: dict[str, Any] = field(default_factory=dict)

    def _glance(self) -> Glance:
        by = self.table.groupby("split", sort=False)[["utterances", "hours"]].sum().to_dict("index")
        parts = ", ".join(f"{name} {row['utterances']:,}" for name, row in by.items())
        said = f"{parts or 'No row has a split'}; {counted(len(self.set_aside), 'row')} set aside"
        said += (
            f"; {counted(len(self.warnings), 'warning')}, first: {self.warnings[0]}."
            if self.warnings
            else "."
        )
        head = "locale", "accent", "split", "utterances", "hours", "speakers"
        rows = [
            (
                str(r["target_lang"]), _named(r["accent"], "not stated"), _named(r["split"], "set aside"),
                f"{r['utterances']:,}", f"{r['hours']:.2f}", f"{r['speakers']:,}",
            )
            for r in self.table.to_dict("records")
        ]  # fmt: skip
        more = table_html(("warning",), [(line,) for line in self.warnings]) if self.warnings else ""
        return Glance(said, head, rows, more=more, about="warnings")

    __repr__, _repr_html_ = as_text, as_html


def split(
    corpus: View,
    *,
    seed: int = 0,
    fractions: Mapping[str, float] | None = None,
    speakers: Literal["disjoint", "shared"] = "disjoint",
    reviewer: str | None = None,
) -> SplitReport:
    """Assign a split to every row of a view, as decisions that can be undone.

    Args:
        corpus: the rows; rejected ones keep what they have.
        seed: the same rows and seed give the same split.
        fractions: of the hours of each locale × accent; default 0.8, 0.1, 0.1.
        speakers: ``shared`` lets a speaker stand in several splits; figures then say nothing about new
            speakers, and every data card says so.
        reviewer: in whose name.

    Raises:
        WorkbenchError: no rows, or fractions that are no shares.
    """
    shares = _shares(fractions)
    if speakers not in ("disjoint", "shared"):
        raise WorkbenchError(f"speakers={speakers!r}", hint="Use disjoint or shared.")
    with spill_db.database(corpus.folder) as database:
        keys = leakage.read(corpus, database)
        if not len(keys):
            raise WorkbenchError("there are no rows to divide", where=corpus.name)
        # The source's order must not matter, only what the rows are.
        order = (
            database.sql("SELECT row_index FROM named ORDER BY id").to_arrow_table()["row_index"].to_numpy()
        )
        keys = keys.reordered(order)
        assigned = divide(keys, shares, seed, speakers)
        with corpus.decisions.at_once():
            set_aside = _decide(
                corpus, database, keys, assigned, list(shares), reviewer, f"split(seed={seed})"
            )
        unknown = int((keys.ties["speaker"] < 0).sum())
    policy = {"seed": seed, "fractions": shares, "speakers": speakers, "set_aside": len(set_aside),
              "rows": len(keys), "without_speaker": unknown}  # fmt: skip
    write_atomic(corpus.folder / "split.json", json.dumps(policy, indent=1, sort_keys=True) + "\n")
    table = cells(corpus)
    return SplitReport(table, _warnings(table, shares, policy, len(keys)), set_aside, policy)


def _decide(
    corpus: View,
    database: duckdb.DuckDBPyConnection,
    keys: Keys,
    assigned: Array,
    names: Sequence[str],
    reviewer: str | None,
    reason: str,
) -> list[str]:
    """Write the splits that changed as decisions; returns the ids set aside."""

    def ids(chosen: Array) -> Iterator[str]:
        leakage.want(database, keys.row_index[chosen])
        for batch in batches(database, "SELECT id FROM named SEMI JOIN wanted USING (row_index) ORDER BY id"):
            yield from batch["id"]

    for code, name in enumerate(names):
        now = keys.splits.index(name) if name in keys.splits else NO_MATCH - 1
        changed = (assigned == code) & (keys.split != now)
        if changed.any():
            corpus.decisions.assign_split(ids(changed), name, reviewer=reviewer, filter=reason)
    aside = assigned == NO_MATCH
    cleared = aside & (keys.split != NO_MATCH)
    if cleared.any():
        hint = "sentence in another split"
        corpus.decisions.edit(ids(cleared), "split", None, reason=hint, reviewer=reviewer)
    return list(ids(aside)) if np.any(aside) else []


def divide(keys: Keys, shares: Mapping[str, float], seed: int, speakers: str) -> Array:
    """Split of each row (rows,): its number in ``shares``, -1 where it is set aside; a pure function."""
    seconds = np.where(np.nan_to_num(keys.duration) == 0, 1.0, keys.duration)
    tied: list[str | Array] = [keys.audio(), "sentence", *(["speaker"] if speakers == "disjoint" else [])]
    group = _numbered(keys.components(tied))
    sizes = np.bincount(group, seconds)
    total = np.bincount(np.zeros(len(keys), np.int8), seconds)[0]
    lumped = speakers == "disjoint" and sizes.max() > LUMP * total and _speakers_of(keys, group) > 1
    if lumped:
        group = _numbered(keys.components([keys.audio(), "speaker"]))
    assigned = _balanced(keys.cell, seconds, group, shares, seed)[group]
    return _set_aside(keys, assigned, list(shares)) if lumped else assigned


def _numbered(first: Array) -> Array:
    """Number of the group of each row, groups counted in order of their first rows (rows,)."""
    new = first == np.arange(len(first), dtype=np.int32)
    return (np.cumsum(new, dtype=np.int32) - 1)[first]


def _speakers_of(keys: Keys, group: Array) -> int:
    """How many speakers the group of the most rows holds."""
    biggest = int(np.bincount(group).argmax())
    return len(np.unique(keys.ties["speaker"][group == biggest]))


def _balanced(cell: Array, seconds: Array, group: Array, shares: Mapping[str, float], seed: int) -> Array:
    """Each group to the split that its cells miss most (groups,); large groups first, ties by the seed."""
    sizes = np.bincount(group, seconds)
    shuffled = array("l", range(len(sizes)))
    random.Random(seed).shuffle(shuffled)
    order = np.array(shuffled)
    order = order[np.argsort(-np.rint(sizes[order] / 30), kind="stable")]
    wanted = np.bincount(cell, seconds).tolist()
    begins, cells, weights = _weights_of_cells(cell, seconds, group)
    names = [(code, share) for code, share in enumerate(shares.values()) if share > 0]
    have = [[0.0] * len(wanted) for _ in shares]
    assigned = np.zeros(len(sizes), np.int8)
    for start in range(0, len(order), _GROUPS_AT_ONCE):
        some = order[start : start + _GROUPS_AT_ONCE]
        chosen = []
        for begin, end in zip(begins[some].tolist(), begins[some + 1].tolist(), strict=True):
            held = list(zip(cells[begin:end].tolist(), weights[begin:end].tolist(), strict=True))
            # How far each split is from its share in the cells of this group, relative to that share.
            gaps = [
                (round(sum(w * (s * wanted[c] - have[n][c]) / (s * wanted[c]) for c, w in held), 9), s, -n)
                for n, s in names
            ]
            best = -max(gaps)[2]
            chosen.append(best)
            for c, w in held:
                have[best][c] += w
        assigned[some] = chosen
    return assigned


def _weights_of_cells(cell: Array, seconds: Array, group: Array) -> tuple[Array, Array, Array]:
    """Where the cells of each group begin (groups + 1,); cells and their seconds, in order of first rows."""
    count = int(cell.max()) + 1
    pairs, first, of_row = np.unique(
        group.astype(np.int64) * count + cell, return_index=True, return_inverse=True
    )
    weights = np.bincount(of_row, seconds)
    groups = pairs // count
    order = np.lexsort((first, groups))
    begins = np.searchsorted(groups, np.arange(int(group.max()) + 2))
    return begins, (pairs % count)[order], weights[order]


def _set_aside(keys: Keys, assigned: Array, names: Sequence[str]) -> Array:
    """A sentence on several sides stays where it is rarest to lose: test, then validation, then train."""
    rank = np.array([("test", "validation", "train").index(name) for name in names], np.int8)[assigned]
    sentence = keys.ties["sentence"]
    home = np.full(len(keys), len(names), np.int8)
    told = sentence >= 0
    np.minimum.at(home, sentence[told], rank[told])
    stays = ~told | (home[sentence] == rank)
    return np.where(stays, assigned, np.int8(NO_MATCH))


def cells(corpus: View) -> pd.DataFrame:
    """Utterances, hours, speakers and words by locale, accent and split."""
    select = (
        "SELECT target_lang, accent, split, count(*) AS utterances, sum(duration) / 3600 AS hours, "
        "count(DISTINCT speaker) AS speakers, sum(words)::BIGINT AS words"
    )
    return corpus._engine.read(
        select, rest="WHERE status <> 'rejected' GROUP BY ALL ORDER BY ALL"
    ).to_pandas()


def _warnings(
    table: pd.DataFrame, shares: Mapping[str, float], policy: Mapping[str, Any], total: int
) -> list[str]:
    found = []
    if policy["speakers"] == "shared":
        found.append(
            "speakers are shared between splits: figures say nothing about speakers not heard before"
        )
    elif policy["without_speaker"]:
        unknown = policy["without_speaker"]
        found.append(
            "not verifiable whether speakers are disjoint: no row names its speaker"
            if unknown == total
            else f"not verifiable whether speakers are disjoint for {unknown:,} of {total:,} rows"
        )
    if policy["set_aside"]:
        found.append(
            f"{policy['set_aside']:,} of {total:,} rows have no split: their sentence also appears in another"
        )
    for (locale, accent), some in table.groupby(["target_lang", "accent"], dropna=False):
        where = f"{_shown(locale)} / {_shown(accent)}"
        here = {row["split"]: row for row in some.to_dict("records")}
        for name in shares:
            row = here.get(name)
            if row is None:
                found.append(f"{where}: nothing in {name}")
            elif name == "test" and (row["speakers"] < LEAST_SPEAKERS or row["words"] < LEAST_WORDS):
                found.append(
                    f"{where}: test has {row['speakers']} known speakers and {row['words']:,} words; under "
                    f"{LEAST_SPEAKERS} speakers or {LEAST_WORDS:,} words a figure is an anecdote"
                )
    return found


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else "not stated"


def _shares(fractions: Mapping[str, float] | None) -> dict[str, float]:
    chosen = dict(fractions or FRACTIONS)
    unknown = sorted(set(chosen) - set(SPLITS))
    total = sum(chosen.values())
    if unknown or any(not 0 <= share <= 1 for share in chosen.values()) or abs(total - 1) > 1e-6:
        raise WorkbenchError(
            f"fractions {chosen} are no shares", hint=f"Give {', '.join(SPLITS)} shares that add up to 1."
        )
    return {name: chosen[name] for name in SPLITS if name in chosen}
