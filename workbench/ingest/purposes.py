"""What a speaker agreed that a recording may be used for, as the field ``purpose`` of a row says it."""

from __future__ import annotations

import re

TRAINING, TESTING = "training", "testing"
PURPOSES = (TRAINING, TESTING)
"""What a speaker may agree to at the microphone; other words are a team's own and forbid nothing here."""
_BETWEEN = re.compile(r"[\s,;|/+]+")


def refused_use(purpose: object, split: object) -> str | None:
    """Why a row may not be used as its split says; None where it may.

    Args:
        purpose: the row's field, e.g. ``"testing"``; unknown forbids nothing.
        split: ``test`` is for testing; every other one, and none, may be trained or chosen on.
    """
    if not isinstance(purpose, str):
        return None
    given = set(_BETWEEN.split(purpose.casefold())) & set(PURPOSES)
    wanted = TESTING if split == "test" else TRAINING
    return None if not given or wanted in given else f"given for {' and '.join(sorted(given))} only"
