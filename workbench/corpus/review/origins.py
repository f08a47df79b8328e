"""What the references of a corpus came of, as exports, cards and checks take it.

No draft is a reference before a person accepted it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.corpus.review.decisions import ACCEPTED
from workbench.corpus.review.provenance import provenance
from workbench.ingest.drafted import (
    ACCEPTED_BY,
    CORRECTED_BY,
    DRAFT_FIELDS,
    DRAFTED_BY,
    REVIEW_SECONDS,
    only_drafted,
)

if TYPE_CHECKING:
    import pandas as pd

    from workbench.corpus.query.view import View

Origin = dict[str, Any]
"""The fields of ``DRAFT_FIELDS``."""


def origins(corpus: View) -> dict[str, Origin]:
    """Of each transcript that was drafted, here or before its import: its origin, by id of the clip."""
    made = _imported(corpus)
    for row in provenance(corpus).to_dict("records"):
        by = CORRECTED_BY if row["corrected"] else ACCEPTED_BY
        made[row["id"]] = {
            **dict.fromkeys(DRAFT_FIELDS), by: row["reviewer"], REVIEW_SECONDS: row["seconds"],
            DRAFTED_BY: f"{row['drafted_by']} {row['checkpoint_sha256']}".strip(),
        }  # fmt: skip
    return made


def unaccepted(corpus: View) -> set[str]:
    """The clips whose transcript is a draft that no person accepted, or whose acceptance was taken back."""
    made = _imported(corpus)
    waiting = {clip for clip, origin in made.items() if only_drafted(origin)}
    drafted = set(provenance(corpus)["id"])
    if not waiting | drafted:
        return set()
    status = dict(zip(*corpus.table(["id", "status"]).to_pydict().values(), strict=True))
    return waiting | {clip for clip in drafted if status.get(clip) != ACCEPTED}


def with_origins(corpus: View, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of a corpus with ``DRAFT_FIELDS``, for checks that read them; as they are where none was drafted.
    A draft that nobody accepts, or accepts any more, names nobody."""
    drafted = origins(corpus)
    if not drafted:
        return rows
    waiting = unaccepted(corpus)
    held = []
    for clip in rows["id"]:
        origin = drafted.get(clip) or dict.fromkeys(DRAFT_FIELDS)
        held.append({**origin, ACCEPTED_BY: None, CORRECTED_BY: None} if clip in waiting else origin)
    columns = {name: [origin[name] for origin in held] for name in DRAFT_FIELDS}
    return rows.assign(**columns)


def _imported(corpus: View) -> dict[str, Origin]:
    """What the source says, and who accepted or edited here what it left open."""
    there = [name for name in DRAFT_FIELDS if name in corpus.columns]
    if DRAFTED_BY not in there:
        return {}
    found = {}
    for row in corpus.table(["id", *there]).to_pylist():
        if row[DRAFTED_BY]:
            found[row["id"]] = {**dict.fromkeys(DRAFT_FIELDS), **{name: row[name] for name in there}}
    waiting = {clip for clip, origin in found.items() if only_drafted(origin)}
    for clip, field, reviewer, value in corpus.decisions.words_of_reviewers() if waiting else ():
        if clip in waiting and field == "status" and value == ACCEPTED:
            found[clip][ACCEPTED_BY] = reviewer
        if clip in waiting and field == "text" and value:
            found[clip][CORRECTED_BY] = reviewer
    return found
