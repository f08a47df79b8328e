"""Train, validation and test: disjoint by sentence and speaker, balanced by locale and accent, seeded.

Utterances that share audio, a sentence or (under ``speakers="disjoint"``) a speaker hang together and go to
one split. Where the sentences tie all speakers into one lump, as in corpora where everyone reads the same
prompts, speakers are divided first and the rows whose sentence then stands on two sides are set aside.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from workbench.corpus import leakage
from workbench.corpus.schema import SPLITS
from workbench.errors import WorkbenchError
from workbench.workspace import write_atomic

if TYPE_CHECKING:
    import pandas as pd

    from workbench.corpus.table import Corpus

FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}
LUMP = 0.5
"""A group that holds more of a corpus than this cannot be divided by moving whole groups."""
LEAST_SPEAKERS = 10
LEAST_WORDS = 1_000
"""Below these a figure for a cell is an anecdote; common thresholds, adjustable, not from a standard."""


@dataclass(frozen=True)
class SplitReport:
    """What a split did.

    Attributes:
        table: DataFrame by locale, accent and split: utterances, hours, speakers, words.
        warnings: one line each, cells too small to say anything first.
        set_aside: ids that got no split since their sentence stands elsewhere.
        policy: seed, fractions and whether speakers are shared, as every report repeats it.
    """

    table: pd.DataFrame
    warnings: list[str]
    set_aside: list[str] = field(default_factory=list)
    policy: dict[str, Any] = field(default_factory=dict)


def split(
    corpus: Corpus,
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
        raise WorkbenchError(f"speakers={speakers!r}", mend="Use disjoint or shared.")
    rows = leakage.keyed_rows(corpus.where("status <> 'rejected'"))
    if not rows:
        raise WorkbenchError("there are no rows to divide", where=corpus.name)
    # The source's order must not matter, only what the rows are.
    rows.sort(key=lambda row: row["id"])
    assigned, set_aside = divide(rows, shares, seed, speakers)
    for name in shares:
        ids = [
            row["id"] for row, to in zip(rows, assigned, strict=True) if to == name and row["split"] != name
        ]
        if ids:
            corpus.decisions.assign_split(ids, name, reviewer=reviewer, filter=f"split(seed={seed})")
    cleared = [id_ for id_ in set_aside if any(row["id"] == id_ and row["split"] for row in rows)]
    if cleared:
        corpus.decisions.edit(cleared, "split", None, reason="sentence in another split", reviewer=reviewer)
    policy = {"seed": seed, "fractions": shares, "speakers": speakers, "set_aside": len(set_aside)}
    write_atomic(corpus.folder / "split.json", json.dumps(policy, indent=1, sort_keys=True) + "\n")
    table = cells(corpus)
    return SplitReport(table, _warnings(table, shares, policy, len(rows)), set_aside, policy)


def divide(
    rows: Sequence[Mapping[str, Any]], shares: Mapping[str, float], seed: int, speakers: str
) -> tuple[list[str | None], list[str]]:
    """Split of each row (None where it is set aside) and the ids set aside; a pure function."""
    tied = ["audio_key", "sentence_key"] + (["speaker_key"] if speakers == "disjoint" else [])
    groups = leakage.components(rows, tied)
    total = sum(_seconds(row) for row in rows)
    biggest = max(sum(_seconds(rows[i]) for i in group) for group in groups)
    lumped = speakers == "disjoint" and biggest > LUMP * total and _speakers_of(rows, groups) > 1
    if lumped:
        groups = leakage.components(rows, ["audio_key", "speaker_key"])
    assigned = _balanced(rows, groups, shares, seed)
    return _set_aside(rows, assigned) if lumped else (list(assigned), [])


def _speakers_of(rows: Sequence[Mapping[str, Any]], groups: Sequence[Sequence[int]]) -> int:
    biggest = max(groups, key=len)
    return len({rows[i]["speaker_key"] for i in biggest})


def _balanced(
    rows: Sequence[Mapping[str, Any]], groups: Sequence[Sequence[int]], shares: Mapping[str, float], seed: int
) -> list[str]:
    """Each group to the split that its cells miss most; large groups first, ties by the seed."""
    order = list(groups)
    random.Random(seed).shuffle(order)
    sizes = {id(group): sum(_seconds(rows[i]) for i in group) for group in order}
    order.sort(key=lambda group: -round(sizes[id(group)] / 30))
    wanted: dict[Any, float] = defaultdict(float)
    for row in rows:
        wanted[_cell(row)] += _seconds(row)
    have: dict[tuple[Any, str], float] = defaultdict(float)
    assigned = [""] * len(rows)
    for group in order:
        seconds: dict[Any, float] = defaultdict(float)
        for i in group:
            seconds[_cell(rows[i])] += _seconds(rows[i])
        # How far each split is from its share in the cells of this group, relative to that share.
        gaps = {
            name: sum(
                weight * (share * wanted[cell] - have[cell, name]) / (share * wanted[cell])
                for cell, weight in seconds.items()
            )
            for name, share in shares.items() if share > 0
        }  # fmt: skip
        best = max(gaps, key=lambda name: (round(gaps[name], 9), shares[name]))
        for i in group:
            assigned[i] = best
        for cell, weight in seconds.items():
            have[cell, best] += weight
    return assigned


def _set_aside(
    rows: Sequence[Mapping[str, Any]], assigned: Sequence[str]
) -> tuple[list[str | None], list[str]]:
    """A sentence on several sides stays where it is rarest to lose: test, then validation, then train."""
    order = {"test": 0, "validation": 1, "train": 2}
    home: dict[Any, str] = {}
    for row, name in zip(rows, assigned, strict=True):
        key = row["sentence_key"]
        if key is not None and order.get(name, 3) < order.get(home.get(key, ""), 4):
            home[key] = name
    made: list[str | None] = []
    out = []
    for row, name in zip(rows, assigned, strict=True):
        stays = row["sentence_key"] is None or home[row["sentence_key"]] == name
        made.append(name if stays else None)
        if not stays:
            out.append(row["id"])
    return made, out


def cells(corpus: Corpus) -> pd.DataFrame:
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
    if policy["set_aside"]:
        found.append(
            f"{policy['set_aside']:,} of {total:,} rows have no split: their sentence stands in another"
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


def _cell(row: Mapping[str, Any]) -> tuple[Any, Any]:
    return row["target_lang"], row["accent"]


def _seconds(row: Mapping[str, Any]) -> float:
    return float(row["duration"] or 1.0)


def _shares(fractions: Mapping[str, float] | None) -> dict[str, float]:
    chosen = dict(fractions or FRACTIONS)
    unknown = sorted(set(chosen) - set(SPLITS))
    total = sum(chosen.values())
    if unknown or any(not 0 <= share <= 1 for share in chosen.values()) or abs(total - 1) > 1e-6:
        raise WorkbenchError(
            f"fractions {chosen} are no shares", mend=f"Give {', '.join(SPLITS)} shares that add up to 1."
        )
    return {name: chosen[name] for name in SPLITS if name in chosen}
