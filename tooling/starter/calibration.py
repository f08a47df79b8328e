"""How readily the starter ends a sentence, set on validation clips once training is over.

A transducer may say "." and its tag only while frames come. A clip cut at its last sound gives one frame for
it, and an output that is a little too shy there leaves the tag out. So the joint's output biases of the full
stop and of the word boundary before the tag are raised, as far as validation clips gain by it (bias
calibration; no weight that hears or spells is touched).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import torch
from rapidfuzz.distance import Levenshtein

from tooling.starter.features import FeatureCache
from tooling.starter.tokenizer import tag_piece
from workbench.locales import prompt_dictionary

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger("tooling.starter")
STOPS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
BOUNDARIES = (0.0, 0.3, 0.6)
CER_GIVEN = 0.002  # share of characters that right tags may cost
BATCH = 16


@dataclass(frozen=True, slots=True)
class Raised:
    """Biases added (nats), and what validation clips say of them with the prompt ``auto``."""

    full_stop: float
    boundary: float
    tags_right: float
    cer: float

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def calibrate(model: Any, rows: Sequence[dict[str, Any]], cache: FeatureCache) -> tuple[Raised, Raised]:
    """The model as trained, and the raise with the most right tags among those whose CER is at most
    ``CER_GIVEN`` above that; the smallest on a tie. ``cache``: features of ``rows``, in their order."""
    model.eval()
    order = sorted(range(len(rows)), key=lambda i: float(rows[i]["duration"]))
    encoded = [
        (chunk, *_encode(model, cache, chunk))
        for chunk in (order[first : first + BATCH] for first in range(0, len(order), BATCH))
    ]
    found = []
    for stop, boundary in product(STOPS, BOUNDARIES):
        with raised(model, stop, boundary):
            found.append(Raised(stop, boundary, *_figures(model, rows, encoded)))
        log.info("calibration: %s", found[-1])
    trained = found[0]
    allowed = [one for one in found if one.cer <= trained.cer + CER_GIVEN]
    return trained, max(allowed, key=lambda one: (one.tags_right, -one.full_stop - one.boundary))


@contextmanager
def raised(model: Any, full_stop: float, boundary: float) -> Iterator[None]:
    """``model`` with the two output biases raised; the trained ones come back afterwards, to the bit."""
    bias = model.joint.joint_net[-1].bias
    trained = bias.detach().clone()
    stop, gap, _ = model.tokenizer.text_to_ids(f"a. {tag_piece('en-US')}")[-3:]
    with torch.no_grad():
        bias[stop] += full_stop
        bias[gap] += boundary
    try:
        yield
    finally:
        with torch.no_grad():
            bias.copy_(trained)


def _encode(model: Any, cache: FeatureCache, chunk: Sequence[int]) -> tuple[Tensor, Tensor]:
    mels = [torch.from_numpy(cache.clip(i).astype("float32")) for i in chunk]
    signal = torch.nn.utils.rnn.pad_sequence(mels, batch_first=True).transpose(1, 2)
    lengths = torch.tensor([len(mel) for mel in mels])
    prompts = torch.full((len(chunk),), prompt_dictionary()["auto"])
    with torch.no_grad():
        encoded, frames = model.forward(
            processed_signal=signal, processed_signal_length=lengths, prompt_indices=prompts
        )
    return encoded, frames


def _figures(
    model: Any, rows: Sequence[dict[str, Any]], encoded: Sequence[tuple[Sequence[int], Tensor, Tensor]]
) -> tuple[float, float]:
    """Share of clips whose last tag is the stated one, and CER of the raw text without tags."""
    pieces = sorted({tag_piece(row["target_lang"]) for row in rows})
    right = edits = characters = 0
    for chunk, frames_of, counts in encoded:
        with torch.no_grad():
            hypotheses = model.decoding.rnnt_decoder_predictions_tensor(
                encoder_output=frames_of, encoded_lengths=counts, return_hypotheses=True
            )
        for i, hypothesis in zip(chunk, hypotheses, strict=True):
            text = model.tokenizer.ids_to_text([int(token) for token in hypothesis.y_sequence])
            right += text.rstrip().endswith(tag_piece(rows[i]["target_lang"]))
            for piece in pieces:
                text = text.replace(piece, " ")
            edits += Levenshtein.distance(" ".join(text.split()), rows[i]["text"])
            characters += len(rows[i]["text"])
    return round(right / len(rows), 4), round(edits / characters, 4)
