"""Which transcripts a model drafted, and who made them references: the fields of a row that say so.

Exports write them and imports read them, so that they outlive the corpus in which the work was done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DRAFTED_BY, ACCEPTED_BY, CORRECTED_BY = "drafted_by", "accepted_by", "corrected_by"
REVIEW_SECONDS = "review_seconds"
DRAFT_FIELDS = (DRAFTED_BY, ACCEPTED_BY, CORRECTED_BY, REVIEW_SECONDS)
"""What drafted a transcript (a prediction, and the first digits of its checkpoint), who accepted it as it was
or corrected it, and the seconds that they spent."""
NO_REFERENCE = "a draft that nobody accepted"


def only_drafted(row: Mapping[str, Any]) -> bool:
    """Whether a row says that its transcript was drafted, and names nobody who accepted or corrected it."""
    return said(row.get(DRAFTED_BY)) and not (said(row.get(ACCEPTED_BY)) or said(row.get(CORRECTED_BY)))


def said(value: Any) -> bool:
    """Whether a field of ``DRAFT_FIELDS`` names anything: blanks do not."""
    return isinstance(value, str) and bool(value.strip())
