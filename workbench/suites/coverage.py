"""How much of a suite an engine really transcribed, a slice each; and what that leaves too small to judge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from workbench.evaluation.tables import as_table
from workbench.shown import Shown, count_cell, show, text_cell
from workbench.suites.suite import Requirement

ALL = "all"
_ODD = ("repeated", "null", "unmatched")


@dataclass(frozen=True, slots=True)
class Reading:
    """The ids of what one engine made of a suite at one point: transcribed, failed (with a reason), and what
    does not belong: ids that came twice, null hypotheses, ids that the suite does not have."""

    transcribed: frozenset[str]
    failed: frozenset[str] = frozenset()
    repeated: frozenset[str] = frozenset()
    null: frozenset[str] = frozenset()
    unmatched: frozenset[str] = frozenset()


def reading_of(expected: Iterable[str], frame: pd.DataFrame | None, failed: Iterable[str] = ()) -> Reading:
    """Sort the ids of a prediction; without one nothing was transcribed."""
    wanted = frozenset(expected)
    faults = frozenset(failed) & wanted
    if frame is None:
        return Reading(frozenset(), faults)
    ids = frame["id"].astype(str)
    null = frozenset(ids[frame["hypothesis"].isna()])
    made = frozenset(ids[frame["hypothesis"].notna()])
    return Reading(
        made & wanted, faults - made, frozenset(ids[ids.duplicated()]), null - made, frozenset(ids) - wanted
    )


def coverage_table(clips: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    """``target_lang, accent, expected, transcribed, failed, missing``, and over everything (``all``) also
    ``repeated, null, unmatched``.

    Args:
        clips: ``id, target_lang, accent`` of every clip of the suite; ids as in ``reading``.
    """
    records = [_record(ALL, None, set(clips["id"]), reading)]
    odd = {name: len(getattr(reading, name)) for name in _ODD}
    records[0] |= odd
    for tag, own in _groups(clips, "target_lang"):
        records.append(_record(tag, None, set(own["id"]), reading))
        records += [_record(tag, accent, set(some["id"]), reading) for accent, some in _groups(own, "accent")]
    table = as_table(records)
    return table.astype(dict.fromkeys(odd, "Int64"))


def shown_coverage(table: pd.DataFrame) -> Shown:
    """Tables of several engines and points together: what is not transcribed in the sentence and first, then
    the rows over everything."""
    lacking = table["transcribed"] < table["expected"]
    order = np.lexsort((table["target_lang"] != ALL, ~lacking))
    table = table.iloc[order].reset_index(drop=True)
    whole = table[table["target_lang"] == ALL]
    short = whole[(whole["transcribed"] < whole["expected"]) | (whole[list(_ODD)].sum(axis=1) > 0)]
    if len(short):
        row = short.iloc[0]
        what = f"{row['expected'] - row['transcribed']:,} of {row['expected']:,} clips are not transcribed"
        more = f"; {len(short) - 1} more readings are not whole" if len(short) > 1 else ""
        sentence = f"{row['engine']} at {row['point']}: {what}{more}."
    else:
        sentence = (
            f"All {int(whole['expected'].max()):,} clips are transcribed by every engine at every point."
        )
    columns = {
        "engine": text_cell("engine"),
        "operating point": text_cell("point"),
        "slice": slice_of,
        "transcribed": lambda r: f"{int(r['transcribed']):,} of {int(r['expected']):,}",
        "failed": count_cell("failed"),
        "missing": count_cell("missing"),
    }
    return show(table, sentence, columns)


def slice_of(row: Mapping[str, Any]) -> str:
    """A locale, or an accent of it."""
    accent = row["accent"]
    return (
        str(row["target_lang"]) if accent is None or accent != accent else f"{row['target_lang']} · {accent}"
    )


def _groups(clips: pd.DataFrame, column: str) -> list[tuple[str, pd.DataFrame]]:
    known = clips[clips[column].notna()]
    return [(str(value), own) for value, own in known.groupby(column, sort=True)]


def _record(tag: str, accent: str | None, ids: set[str], reading: Reading) -> dict[str, Any]:
    done, failed = len(ids & reading.transcribed), len(ids & reading.failed)
    counts = {"expected": len(ids), "transcribed": done, "failed": failed}
    return {"target_lang": tag, "accent": accent, **counts, "missing": len(ids) - done - failed}


def shortfalls(
    clips: pd.DataFrame, required: Iterable[Requirement], readings: Mapping[str, Reading]
) -> dict[str, list[str]]:
    """Locale (or ``all``) → why it cannot be judged; empty where every engine covers what is asked.

    Args:
        readings: engine → what it transcribed of these clips.
    """
    found: dict[str, list[str]] = {}
    for name, reading in readings.items():
        if reading.repeated:
            found.setdefault(ALL, []).append(f"{name}: {len(reading.repeated)} ids predicted twice")
    for tag, own in _groups(clips, "target_lang"):
        if why := _uncovered(set(own["id"]), readings):
            found.setdefault(tag, []).extend(why)
    untagged = set(clips["id"][clips["target_lang"].isna()])
    if untagged and (why := _uncovered(untagged, readings)):
        found.setdefault(ALL, []).extend(why)
    for row in required:
        for accent, least in ((None, row.minimum_utterances), *row.accents):
            chosen = clips[clips["target_lang"] == row.tag]
            chosen = chosen if accent is None else chosen[chosen["accent"] == accent]
            counts = [len(set(chosen["id"]) & r.transcribed) for r in readings.values()]
            there = min([len(chosen), *counts])
            if there < least:
                what = f"accent {accent}" if accent is not None else f"{row.role} locale"
                found.setdefault(row.tag, []).append(f"{what} has {there} clips, {least} required")
    return found


def _uncovered(ids: set[str], readings: Mapping[str, Reading]) -> list[str]:
    """Clips that an engine should have and lacks: any that is missing, and failures that differ."""
    done = {name: ids & reading.transcribed for name, reading in readings.items()}
    lost = {name: ids - done[name] - reading.failed for name, reading in readings.items()}
    if any(lost.values()) or len({frozenset(some) for some in done.values()}) > 1:
        return [f"{name} transcribed {len(some)} of {len(ids)}" for name, some in done.items()]
    return []
