"""From letter times to what a frame must say: the slots of the letter head and the transducer's path.

Training a transducer first on one known path through its lattice, by cross-entropy, teaches it when to emit
and when to stop far sooner than the sum over all paths does (Hu et al. 2020, arXiv:2005.00572), at a cost of
frames + tokens instead of frames × tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tooling.starter.emissions import STRIDE, Ints, spelling
from tooling.starter.network import SLOTS

IGNORED = -100
MARKS = '.,;:!?…¿¡«»"()–-*'


@dataclass(frozen=True, slots=True)
class Path:
    """The cells of a batch's clips, (cells,) each: clip, frame, tokens emitted so far, what to emit next."""

    clip: torch.Tensor
    frame: torch.Tensor
    emitted: torch.Tensor
    target: torch.Tensor


def words(text: str, spoken: npt.NDArray[np.int16]) -> list[tuple[int, int, str]]:
    """Words of a transcript with their first and last log-mel frame (the latter past the end), marks off,
    lower case; words of digits are left out, for nobody says them as they are spelled."""
    found, at = [], 0
    for word in text.split():
        letters = len(spelling(word))
        if not letters:
            continue
        inside = np.flatnonzero((spoken >= at) & (spoken < at + letters))
        if len(inside) and not any(c.isdigit() for c in word):
            found.append((int(inside[0]), int(inside[-1]) + 1, word.strip(MARKS).lower()))
        at += letters + 1
    return found


def lattice_path(
    emissions: Sequence[Ints], labels: Sequence[Sequence[int]], frames: Sequence[int], blank: int
) -> Path:
    """The path that emits label u of a clip in its frame ``emissions[u]`` and a blank to leave each frame."""
    clips, times, emitted, targets = [], [], [], []
    for clip, (at, own, count) in enumerate(zip(emissions, labels, frames, strict=True)):
        frame = np.concatenate([at, np.arange(count)])
        order = np.argsort(frame, kind="stable")  # labels of a frame first, then its blank
        target = np.concatenate([np.asarray(own, np.int64), np.full(count, blank)])[order]
        said = np.cumsum(target != blank) - (target != blank)
        clips.append(np.full(len(order), clip))
        times.append(frame[order])
        emitted.append(said)
        targets.append(target)
    return Path(*(torch.from_numpy(np.concatenate(part)) for part in (clips, times, emitted, targets)))


def slots(
    spoken: npt.NDArray[np.int16], spelled: str, frames: int, classes: dict[str, int], pause: int
) -> Ints:
    """Class of each 40 ms of ``frames`` encoder frames: the letter spoken in its middle, or the pause."""
    middle = ((np.arange(SLOTS * frames) + 0.5) * STRIDE / SLOTS - STRIDE).astype(np.int64)
    own = np.array([classes.get(c, pause) for c in spelled] + [pause], np.int64)  # place -1 is the pause
    found = own[spoken[np.clip(middle, 0, len(spoken) - 1)]]
    found[middle < 0] = IGNORED
    return found


def path_loss(joint: Any, encoded: torch.Tensor, predicted: torch.Tensor, path: Path) -> torch.Tensor:
    """Summed cross-entropy; ``encoded`` (batch, frames, d), ``predicted`` (batch, tokens + 1, d)."""
    hidden = joint.enc(encoded)[path.clip, path.frame] + joint.pred(predicted)[path.clip, path.emitted]
    logits = joint.joint_net(hidden)
    return torch.nn.functional.cross_entropy(logits, path.target, reduction="sum")
