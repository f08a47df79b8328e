"""Evaluations of drawn sentences with known shares of wrong words, and gates on them."""

from __future__ import annotations

import itertools
import json
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from workbench.evaluation.evaluation import Evaluation, score_predictions
from workbench.release.gates import GateReport, Policy, gate
from workbench.workspace.settings import Pilot

WORDS = [
    "alpha",
    "bravo",
    "delta",
    "golf",
    "hotel",
    "india",
    "kilo",
    "lima",
    "mike",
    "oscar",
    "papa",
    "tango",
]
BASE, TUNED = "a" * 64, "b" * 64


def rows_of(
    per_locale: int = 120, locales: tuple[str, ...] = ("el-GR", "en-US"), speakers: int = 12
) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    rows = []
    for locale, i in itertools.product(locales, range(per_locale)):
        text = " ".join(rng.choice(WORDS, 10)).capitalize() + "."
        rows.append(
            {
                "id": f"{locale}-{i}",
                "audio_filepath": f"{locale}/{i}.wav",
                "offset": 0.0,
                "text": text,
                "target_lang": locale,
                "accent": None,
                "speaker": f"{locale}-s{i % speakers}",
            }
        )
    return pd.DataFrame(rows)


def heard(rows: pd.DataFrame, wrong: dict[str, float], sha256: str, seed: int, **facts: Any) -> pd.DataFrame:
    """Predictions with a share of words per locale replaced; the draw of a word does not depend on the share,
    so that a lower share errs on a subset of the same words."""
    rng = np.random.default_rng(seed)
    hypotheses = []
    for text, locale in zip(rows["text"], rows["target_lang"], strict=True):
        words = text.split()
        draws = rng.random(len(words))
        hypotheses.append(
            " ".join("zulu" if d < wrong[locale] else w for w, d in zip(words, draws, strict=True))
        )
    table = pd.DataFrame({"id": rows["id"], "hypothesis": hypotheses, "detected_lang": rows["target_lang"]})
    known = {
        "checkpoint_sha256": sha256,
        "lookahead_ms": 560,
        "prompt_mode": "langID",
        "streaming": False,
        **facts,
    }
    return table.assign(**known)


def evaluation_of(
    base: dict[str, float], tuned: dict[str, float], rows: pd.DataFrame | None = None
) -> Evaluation:
    if rows is None:
        return drawn(json.dumps([base, tuned]))
    return score_predictions(
        rows, {"base": heard(rows, base, BASE, 1), "tuned": heard(rows, tuned, TUNED, 1)}
    )


@cache
def drawn(rates: str) -> Evaluation:
    return evaluation_of(*json.loads(rates), rows=rows_of())


GOOD = ({"el-GR": 0.5, "en-US": 0.1}, {"el-GR": 0.2, "en-US": 0.1})
BAD = ({"el-GR": 0.5, "en-US": 0.1}, {"el-GR": 0.2, "en-US": 0.4})
PILOT = Pilot.of(
    {"tag": "el-GR", "traffic_share": 0.2, "risk_weight": 2},
    {"tag": "en-US", "role": "guardrail", "traffic_share": 0.8},
)


def policy(*checks: str, head: str = "name: test\n") -> Policy:
    return Policy.from_yaml(head + "checks:\n" + "".join(f"- {check}\n" for check in checks))


def judged(evaluation: Evaluation, *checks: str, **given: Any) -> GateReport:
    return gate(policy(*checks), evaluation, base="base", candidate="tuned", pilot=PILOT, **given)
