"""Keywords with the list given to the recognizer: counts and paired intervals by hand, real recordings."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.evaluation import score_predictions
from workbench.evaluation.boosted import WITH, WITHOUT, false_alarms, gains, holding, keyword_boost
from workbench.evaluation.keywords import Keyword

DATA = Path(__file__).parents[2] / "data"


def test_rows_are_chosen_by_the_keywords_of_their_locale() -> None:
    rows = pd.DataFrame(
        {
            "text": ["Open IBAN, please.", "open it", "the iban", None, "New York!"],
            "target_lang": ["en-US", "en-US", "de-DE", "en-US", "en-US"],
        }
    )
    words = [Keyword("iban", target_lang="en-US"), Keyword("new york")]
    assert holding(rows, words).tolist() == [True, False, False, False, True]


def test_gains_are_those_of_all_keywords_together_with_paired_intervals() -> None:
    rng = np.random.default_rng(5)
    rows = pd.DataFrame({"id": range(240), "text": "send it to zurich now", "target_lang": "en-US"})
    rows["speaker"] = [f"s{n % 12}" for n in range(240)]
    heard = rng.random(240)
    sides = {
        WITHOUT: ["send it to zurich now" if p < 0.4 else "send it to rich now" for p in heard],
        WITH: ["send it to zurich now" if p < 0.7 else "send zurich to rich now" for p in heard],
    }
    found = {name: pd.DataFrame({"id": rows["id"], "hypothesis": texts}) for name, texts in sides.items()}
    table = gains(score_predictions(rows, found), [Keyword("zurich")]).set_index("measure")
    before, after = float((heard < 0.4).mean()), float((heard < 0.7).mean())
    assert table.loc["recall", ["without", "with"]].tolist() == pytest.approx([before, after])
    assert table.loc["precision", ["without", "with"]].tolist() == pytest.approx([1.0, after])
    assert table.loc["f1", "with"] == pytest.approx(after), "240 said, 240 heard, as many right in both"
    low, high = table.loc["recall", ["low", "high"]]
    assert 0 < low < after - before < high < 0.5
    assert (table["interval_kind"] == "speakers").all()
    assert (table["speakers"] == 12).all()


def test_what_a_list_makes_up_is_counted_on_clips_without_its_words() -> None:
    rows = pd.DataFrame({"id": range(240), "text": "send it to him now", "target_lang": "en-US"})
    rows["speaker"] = [f"s{n % 12}" for n in range(240)]
    sides = {
        WITHOUT: ["send it to him now" if n % 60 else "send zurich to him now" for n in range(240)],
        WITH: ["send it to him now" if n % 5 else "send zurich to him now" for n in range(240)],
    }
    found = {name: pd.DataFrame({"id": rows["id"], "hypothesis": texts}) for name, texts in sides.items()}
    table, alarms = false_alarms(score_predictions(rows, found), [Keyword("zurich")])
    clips, words = table.to_dict("records")
    assert (clips["without"], clips["with"], clips["clips"]) == pytest.approx((4 / 240, 48 / 240, 240))
    assert 0 < clips["low"] < clips["difference"] < clips["high"]
    assert words["difference"] == pytest.approx(44 / 1200)
    assert alarms["id"].tolist() == list(range(0, 240, 5))
    assert set(alarms["hypothesis"]) == {"send zurich to him now"}


@pytest.mark.model
def test_real_recordings_are_decoded_without_and_with_the_list() -> None:
    from workbench.recognizer.checkpoint import Checkpoint

    lines = [json.loads(line) for line in (DATA / "starter" / "manifest.jsonl").open(encoding="utf-8")]
    rows = [r for r in lines if r["split"] == "test" and r["target_lang"] == "fr-FR" and r["duration"] < 2.5]
    frame = pd.DataFrame(rows[::7][:8])
    words = sorted({max(re.findall(r"\w+", text), key=len) for text in frame["text"].iloc[:5]})
    asked: list[tuple[int, int]] = []
    checkpoint = Checkpoint.open(next((DATA / "checkpoint").glob("*.nemo")))
    result = keyword_boost(
        checkpoint, frame, DATA / "starter", [Keyword(w, target_lang="fr-FR") for w in words],
        weight=2.0, device="cpu", progress=lambda done, total: asked.append((done, total)),
    )  # fmt: skip
    chosen = len(result.evaluation)
    assert 5 <= chosen <= 8
    assert not result.problems
    assert asked[-1] == (len(frame), len(frame))
    if chosen < len(frame):  # the others hold none of the words
        assert result.false_alarms["clips"].tolist() == [len(frame) - chosen] * 2
        assert "clips without the words" in result.sentence, result.sentence
    total = result.keywords.set_index("keyword").loc["all"]
    assert total["reference"] >= 5
    row = result.gains.set_index("measure").loc["recall"]
    assert row["without"] == pytest.approx(total["recalled_without"] / total["reference"])
    assert row["with"] == pytest.approx(total["recalled_with"] / total["reference"])
    assert total["hypothesis_with"] > total["hypothesis_without"], "the list makes its words appear"
    with pytest.raises(WorkbenchError, match="no reference holds a keyword"):
        keyword_boost(checkpoint, frame, DATA / "starter", ["xylophone"])
