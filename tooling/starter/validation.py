"""Character error rate on held-out clips while the starter trains, by voice, with the locale given."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import torch
from rapidfuzz.distance import Levenshtein

from tooling.starter.tokenizer import tag_piece
from workbench.locales import prompt_dictionary

if TYPE_CHECKING:
    from tooling.starter.dataset import Material
    from tooling.starter.learner import Learner

WELL_HEARD = 100  # training clips of a voice


def validate(learner: Learner, material: Material) -> dict[str, Any]:
    """CER (summed edits over summed reference characters, raw text, tag apart) and share of right tags."""
    learner.model.eval()
    slots, right = prompt_dictionary(), 0
    edits: dict[str, int] = defaultdict(int)
    counts: dict[str, int] = defaultdict(int)
    samples: list[list[str]] = []
    heard = Counter(row["source"] for row in material.rows)
    order = sorted(range(len(material.validation)), key=lambda i: material.validation[i]["duration"])
    for first in range(0, len(order), 12):
        index = order[first : first + 12]
        mels = [torch.from_numpy(material.validation_cache.clip(i).astype("float32")) for i in index]
        signal = torch.nn.utils.rnn.pad_sequence(mels, batch_first=True).transpose(1, 2)
        prompts = torch.tensor([slots[material.validation[i]["target_lang"]] for i in index])
        with torch.no_grad():
            encoded, frames = learner.encode(signal, torch.tensor([len(m) for m in mels]), prompts)
            found = _transducer(learner, encoded, frames)
        for i, text in zip(index, found, strict=True):
            row = material.validation[i]
            tag = tag_piece(row["target_lang"])
            right += text.rstrip().endswith(tag)
            hypothesis = " ".join(text.replace(tag, " ").split())
            edits[row["source"]] += Levenshtein.distance(hypothesis, row["text"])
            counts[row["source"]] += len(row["text"])
            if i % 11 == 0:
                samples.append([row["text"], hypothesis])
    rates = {voice: round(edits[voice] / counts[voice], 4) for voice in sorted(counts)}
    well = [voice for voice in counts if heard[voice] >= WELL_HEARD]
    return {
        "cer": round(sum(edits.values()) / sum(counts.values()), 4),
        "cer_well_heard": round(sum(edits[v] for v in well) / max(1, sum(counts[v] for v in well)), 4),
        "tags_right": round(right / len(order), 4),
        "cer_by_voice": rates,
        "samples": samples[:8],
    }


def _transducer(learner: Learner, encoded: torch.Tensor, frames: torch.Tensor) -> list[str]:
    found = learner.model.decoding.rnnt_decoder_predictions_tensor(
        encoder_output=encoded, encoded_lengths=frames, return_hypotheses=True
    )
    return [learner.model.tokenizer.ids_to_text([int(t) for t in h.y_sequence]) for h in found]
