"""What the references of a corpus came of, as exports, cards and checks take it.

No draft is a reference before a person accepted it, and nothing is while two reviewers differ
on its transcript or on accepting it.
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
    NO_REFERENCE,
    REVIEW_SECONDS,
    only_drafted,
)

if TYPE_CHECKING:
    import pandas as pd

    from workbench.corpus.query.view import View

DISPUTED = "reviewers differ"
"""Why a clip is held back whose reviewers have not been settled by a third."""
_DECISIVE = ("text", "status")

Origin = dict[str, Any]
"""The fields of ``DRAFT_FIELDS``."""


def origins(corpus: View) -> dict[str, Origin]:
    """Of each transcript that was drafted, here or before its import: its origin, by id of the clip."""
    return _drafted(corpus)[0]


def unaccepted(corpus: View) -> set[str]:
    """The clips whose transcript is a draft that no person accepted, or whose acceptance was taken back."""
    return _drafted(corpus)[1]


def disputed(corpus: View) -> set[str]:
    """The clips on whose transcript, or on whose acceptance, two reviewers differ until a third settles it:
    the later word shows, and is no verdict."""
    return {one.id for one in corpus.decisions.conflicts() if one.field in _DECISIVE}


def held_back(corpus: View) -> dict[str, str]:
    """The clips whose transcript is no reference, and why: ``DISPUTED`` or ``NO_REFERENCE``."""
    return _held_back(corpus, unaccepted(corpus))


def references(corpus: View) -> pd.DataFrame:
    """The rows of a corpus (or view) as whoever measures against references takes them: with ``DRAFT_FIELDS``
    where any was drafted, and without the text of clips that are :func:`held_back`."""
    drafted, waiting = _drafted(corpus)
    rows = _named(corpus.frame(), drafted, waiting)
    if held := _held_back(corpus, waiting):
        rows["text"] = rows["text"].where(~rows["id"].isin(list(held)), None)
    return rows


def with_origins(corpus: View, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of a corpus with ``DRAFT_FIELDS``, for checks that read them; as they are where none was drafted.
    A draft that nobody accepts, or accepts any more, names nobody."""
    return _named(rows, *_drafted(corpus))


def _held_back(corpus: View, waiting: set[str]) -> dict[str, str]:
    return dict.fromkeys(waiting, NO_REFERENCE) | dict.fromkeys(disputed(corpus), DISPUTED)


def _drafted(corpus: View) -> tuple[dict[str, Origin], set[str]]:
    """Of each transcript that was drafted: its origin; and those that no person accepts."""
    made = _imported(corpus)
    waiting = {clip for clip, origin in made.items() if only_drafted(origin)}
    here = provenance(corpus).to_dict("records")
    for row in here:
        by = CORRECTED_BY if row["corrected"] else ACCEPTED_BY
        made[row["id"]] = {
            **dict.fromkeys(DRAFT_FIELDS), by: row["reviewer"], REVIEW_SECONDS: row["seconds"],
            DRAFTED_BY: f"{row['drafted_by']} {row['checkpoint_sha256']}".strip(),
        }  # fmt: skip
    if here:
        status = dict(zip(*corpus.table(["id", "status"]).to_pydict().values(), strict=True))
        waiting |= {row["id"] for row in here if status.get(row["id"]) != ACCEPTED}
    return made, waiting


def _named(rows: pd.DataFrame, drafted: dict[str, Origin], waiting: set[str]) -> pd.DataFrame:
    if not drafted:
        return rows
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
