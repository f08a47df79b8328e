"""Listening order: what deserves ears first comes first, and a reviewer's minutes are kept to."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from workbench.corpus.quality import listening_order
from workbench.corpus.query.table import Corpus

Make = Callable[..., Corpus]


def corpus_of(make: Make, count: int = 40) -> Corpus:
    return make([{"id": f"u{i:02d}", "duration": 4.0, "accent": "a"} for i in range(count)])


def found(*pairs: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(pairs, columns=["id", "rule", "severity"])


def test_findings_disagreement_doubt_and_rare_accents_come_first(make: Make) -> None:
    rows = [{"id": f"u{i:02d}", "duration": 4.0, "accent": "rare" if i == 30 else "a"} for i in range(40)]
    corpus = make(rows)
    findings = found(
        ("u07", "wrong_script", "error"), ("u07", "wrong_script", "error"), ("u08", "clipping", "warning"),
        ("u09", "no_capital", "info"),
    )  # fmt: skip
    predictions = pd.DataFrame(
        {"id": ["u10", "u11", "u12"], "confidence": [0.95, 0.2, None], "error_rate": [0.8, None, 0.0]}
    )
    order = listening_order.order(corpus, findings, predictions)
    assert list(order["id"][:6]) == ["u07", "u10", "u08", "u11", "u30", "u09"]
    why = dict(zip(order["id"], order["why"], strict=True))
    assert why["u07"] == "wrong_script"
    assert why["u10"] == "the model disagrees"
    assert why["u11"] == "the model is unsure"
    assert why["u30"] == "rare locale or accent"
    assert why["u12"] == ""
    scores = dict(zip(order["id"], order["score"], strict=True))
    assert scores["u07"] == 3.0
    assert scores["u10"] == pytest.approx(1.6)
    assert scores["u11"] == pytest.approx(0.8)


def test_a_short_clip_is_worth_more_a_minute(make: Make) -> None:
    corpus = make([{"id": "long", "duration": 30.0}, {"id": "short", "duration": 2.0}])
    findings = found(("long", "clipping", "warning"), ("short", "clipping", "warning"))
    order = listening_order.order(corpus, findings)
    assert list(order["id"]) == ["short", "long"]
    assert order["value_per_minute"][0] == pytest.approx(
        1 / ((2 + listening_order.OVERHEAD_S) / 60), abs=1e-3
    )


def test_the_minutes_are_kept_and_locales_take_turns(make: Make) -> None:
    tags = 30 * ["el-GR"] + 10 * ["bg-BG"]
    corpus = make(
        [
            {"id": f"u{i:02d}", "duration": 4.0, "target_lang": tag, "accent": "a"}
            for i, tag in enumerate(tags)
        ]
    )
    order = listening_order.order(corpus, minutes=1.0)
    # 4 s of sound and 6 s to decide: six clips a minute.
    assert len(order) == 6
    assert order["minutes"].max() <= 1.0
    heard = [corpus.row(id_)["target_lang"] for id_ in order["id"]]
    assert heard.count("bg-BG") == 3


def test_what_is_decided_is_not_heard_again(make: Make) -> None:
    corpus = corpus_of(make, 5)
    corpus.decisions.accept("u01", reviewer="ann")
    corpus.decisions.reject("u02", "noise", reviewer="ann")
    assert sorted(listening_order.order(corpus)["id"]) == ["u00", "u03", "u04"]
    assert listening_order.order(corpus.where("duration > 99")).empty
