"""What a reference came of: the draft, who accepted or corrected it, and the seconds that it took.

It is kept as the reason of the decision that wrote the transcript, so that it stands, is undone and is erased
with it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from workbench.corpus.query.view import View
    from workbench.corpus.review.decisions import Decision

ORIGIN = ("drafted_by", "checkpoint_sha256", "corrected", "reviewer", "at", "seconds")
"""What is kept of the draft that a reference came of."""
_REASON = re.compile(
    r"drafted by (?P<by>\S+) \((?P<sha>[0-9a-f]*)\), (?P<what>accepted|corrected) in (?P<seconds>[\d.]+) s"
)


def reason_of(drafted_by: str, sha256: str, what: str, seconds: float, *, blind: bool) -> str:
    """The reason of a decision that makes a draft a reference.

    Args:
        drafted_by: the prediction; sha256: first digits of its checkpoint's.
        what: accepted or corrected. seconds: spent. blind: without sight of the draft.
    """
    return f"drafted by {drafted_by} ({sha256}), {what} in {seconds:.1f} s{' (blind)' if blind else ''}"


def provenance(corpus: View) -> pd.DataFrame:
    """As ``Drafts.provenance``; for exports, gates and cards, which need no drafts at hand."""
    found: dict[str, dict[str, Any]] = {}
    store = corpus.decisions
    for event in store.events():
        if event.field != "text" or not event.stands or not (found or _REASON.match(event.reason or "")):
            continue
        for clip in store.iter_clips(event.seq):
            made = after(found.get(clip), event)
            if made is not None:
                found[clip] = made
    there = set(corpus.ids()) if found else set[str]()
    rows = [{"id": clip, **made} for clip, made in found.items() if clip in there]
    return pd.DataFrame(rows, columns=["id", *ORIGIN])


def after(before: dict[str, Any] | None, event: Decision) -> dict[str, Any] | None:
    """What a reference came of, once its transcript was edited again; None where it came of no draft."""
    match = _REASON.match(event.reason or "")
    by = {"reviewer": event.reviewer, "at": event.at}
    if match is None:  # a later hand, on a reference that was drafted or was not
        return None if before is None else {**before, **by, "corrected": True}
    # Who settles a difference takes a word with its reason: those seconds are counted already.
    own = 0.0 if event.action == "resolve" and before is not None else float(match["seconds"])
    spent = own + (0.0 if before is None else before["seconds"])
    return {
        "drafted_by": match["by"], "checkpoint_sha256": match["sha"],
        "corrected": match["what"] == "corrected", **by, "seconds": round(spent, 1),
    }  # fmt: skip
