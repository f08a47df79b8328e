"""Small corpora for the tests, with errors put in by hand or by a seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "and",
    "then",
    "it",
    "ran",
    "off",
    "to",
    "see",
    "what",
    "was",
    "there",
]


def table(*lines: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows and predictions from dicts with ``id, text, hypothesis`` and whatever else."""
    frame = pd.DataFrame(list(lines))
    rows = frame.drop(columns=[c for c in ("hypothesis", "detected_lang", "words") if c in frame.columns])
    kept = [c for c in ("id", "hypothesis", "detected_lang", "words", "confidence") if c in frame.columns]
    return rows, frame[frame["hypothesis"].notna()][kept].reset_index(drop=True)


def random_corpus(
    utterances: int = 400, seed: int = 1, error: float = 0.2, speakers: int = 8
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Two locales with two accents each; ``base`` and ``tuned``, which makes half as many errors."""
    rng = np.random.default_rng(seed)
    rows, found = [], {"base": [], "tuned": []}
    for number in range(utterances):
        locale = ("en-US", "es-US")[number % 2]
        text = " ".join(rng.choice(WORDS, rng.integers(3, 14)))
        rows.append(
            {
                "id": f"u{number}",
                "text": text.capitalize() + rng.choice([".", "?", "!"]),
                "target_lang": locale,
                "accent": f"{locale}-{number // 2 % 2}",
                "speaker": f"{locale}-s{number // 4 % speakers}-{number // 2 % 2}",
                "duration": float(len(text) / 14),
                "domain": "bank" if number % 3 else "shop",
            }
        )
        for name, rate in (("base", error), ("tuned", error / 2)):
            heard = [w if rng.random() > rate else str(rng.choice(WORDS)) for w in text.split()]
            heard = [w for w in heard if rng.random() > rate / 4]
            found[name].append({"id": f"u{number}", "hypothesis": " ".join(heard), "detected_lang": locale})
    return pd.DataFrame(rows), {name: pd.DataFrame(lines) for name, lines in found.items()}
