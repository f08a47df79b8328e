"""From letter times to the encoder frame in which each token of a transcript is to be emitted."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

STRIDE = 8  # log-mel frames in a frame of the encoder
SETTLE = 20  # log-mel frames of quiet that end a sentence
Ints = npt.NDArray[np.int64]


def spelling(text: str) -> str:
    """Letters and digits of a transcript, lower case, one space between words."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return " ".join("".join(c if c.isalnum() else " " for c in folded).split())


def letter_ends(spoken: npt.NDArray[np.int16], spelled: str) -> Ints:
    """End of each letter of ``spelled`` without spaces, in log-mel frames; ``spoken``: ``Alignment.clip``."""
    ends = np.zeros(len(spelled), np.int64)
    at = np.flatnonzero(spoken >= 0)
    ends[spoken[at]] = at + 1  # the last one stays
    ends = np.maximum.accumulate(ends)
    return ends[[i for i, c in enumerate(spelled) if c != " "]]


def token_ends(pieces: Sequence[str], ends: Ints, frames: int) -> Ints:
    """End of each piece in log-mel frames; ``ends`` as ``letter_ends`` gives them.

    A piece ends with its last letter. A mark or a space between words comes with the letter after it; what
    follows a sentence's last letter (final mark, locale tag) comes ``SETTLE`` later, but not after the first
    letter of the next sentence: the network must hear that the sentence is over, not that the clip is.
    """
    letters = [0 if _is_tag(p) else sum(c.isalnum() for c in p.lower()) for p in pieces]
    spoken = sum(letters)
    if spoken != len(ends) and len(ends):
        ends = ends[np.minimum(np.arange(spoken) * len(ends) // max(1, spoken), len(ends) - 1)]
    found, done, closing = np.empty(len(pieces), np.int64), spoken, False
    for i in range(len(pieces) - 1, -1, -1):
        closing = _is_tag(pieces[i]) or (closing and not letters[i])
        following = ends[done] if done < len(ends) else frames
        if letters[i]:
            found[i] = ends[done - 1] if done <= len(ends) else frames
        elif closing and len(ends):
            found[i] = min(ends[min(done, len(ends)) - 1] + SETTLE if done else SETTLE, following)
        else:
            found[i] = following
        done -= letters[i]
    return found


def _is_tag(piece: str) -> bool:
    return piece.lstrip("▁").startswith("<") and piece.endswith(">")


def encoder_frames(ends: Ints, frames: int) -> Ints:
    """The encoder's frame that has heard each end: frame t ends at log-mel frame 8 t (causal subsampling)."""
    return np.clip(-(-ends // STRIDE), 0, frames - 1)
