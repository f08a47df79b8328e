"""What a cell shows of an object: a sentence, at most six columns, no raw values."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from workbench.evaluation import intervals
from workbench.evaluation.evaluation import Evaluation, score_predictions
from workbench.evaluation.few_changes import change_bounds
from workbench.field.conditions import COLUMNS, ConditionSweep
from workbench.release.changes import Changes, between

VIEWS = ["confusions", "words", "lost_words", "punctuation", "calibration", "silence", "rates", "confidence"]
EMPTY = {"silence": "no clip is silent", "calibration": "no confidence"}


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    rows = pd.DataFrame(
        {
            "id": ["a", "b", "c"],
            "text": ["One, two three.", "Vier fünf!", ""],
            "target_lang": ["en-US", "de-DE", "de-DE"],
            "speaker": ["x", None, "y"],
            "accent": None,
        }
    )
    words = [
        [
            {"word": w, "start": n / 2, "end": n / 2 + 0.4, "confidence": 0.5 + n / 10}
            for n, w in enumerate(text)
        ]
        for text in (["one", "to", "three."], ["vier", "fünf."], ["ja"])
    ]
    full = pd.DataFrame(
        {"id": rows["id"], "hypothesis": ["one to three.", "vier fünf.", "ja"], "words": words}
    )
    bare = full.head(2).drop(columns="words")
    return score_predictions(rows, {"full": full, "bare": bare})


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ["full", "bare"])
def test_a_view_opens_with_its_answer(evaluation: Evaluation, view: str, name: str) -> None:
    found = getattr(evaluation, view)(name)
    assert repr(found).startswith(f"{name}: ")
    page = found._repr_html_()
    shown = re.findall("<thead>.*?</thead>", page, re.DOTALL)[:1]
    assert all(len(re.findall("<th[ >]", head)) <= 6 for head in shown)
    plain = re.sub("<[^>]+>", " ", page)
    assert not re.search(r"\b(nan|NaN|None|inf)\b", plain), plain
    if name == "bare" and view in EMPTY:
        assert EMPTY[view] in repr(found)


def test_tables_stay_tables(evaluation: Evaluation) -> None:
    found = evaluation.words("full")
    assert found[found["word"] == "two"].iloc[0]["hits"] == 0
    assert "most often lost is “two”, 1 of 1" in repr(found)
    assert "most often “two” was read as “to” (once)" in repr(evaluation.confusions("full"))
    assert "words in 1 of 1 silent clips" in repr(evaluation.silence("full"))


def _condition(locale: str, snr: float | None, rate: float, enough: str = "yes") -> dict[str, object]:
    values = {"locale": locale, "band": "wide", "snr_db": snr, "rate": rate, "enough": enough}
    return dict.fromkeys(COLUMNS, 0) | values


def test_a_sweep_of_conditions_opens_with_what_is_lost_most() -> None:
    rows = [
        _condition("de-DE", None, 0.1),
        _condition("de-DE", 5.0, 0.4),
        _condition("el-GR", 5.0, 0.9, "no"),
    ]
    found = ConditionSweep({}, rows)
    first = "Most is lost by de-DE on the wide band, noise 5 dB SNR: 10.0 % to 40.0 % wrong."
    assert str(found).splitlines()[0] == first
    assert "5 dB SNR" in found._repr_html_()
    assert str(ConditionSweep({})).startswith("Nothing was measured yet.")
    assert "not enough data in any locale" in str(ConditionSweep({}, rows[2:]))
    assert "no condition loses against clean speech" in str(ConditionSweep({}, rows[:1]))
    noisy = str(ConditionSweep({}, rows[1:])).splitlines()[0]
    assert "clean wide-band speech is not among them" in noisy
    assert noisy.endswith("de-DE on the wide band, noise 5 dB SNR: 40.0 % wrong.")


def test_no_change_is_a_sentence() -> None:
    assert repr(between({}, {})).startswith("The release in production was not gated here")
    facts = {"recipe": {"steps": 1}, "data": {}, "figures": {}, "basis": {}}
    assert between(facts, facts) == []
    assert "Nothing changed since" in between(facts, facts)._repr_html_()
    changed = between(facts, facts | {"recipe": {"steps": 2}})
    assert (changed, repr(changed)) == (["Recipe steps: 1 to 2."], "Recipe steps: 1 to 2.")
    assert Changes(["<b>"])._repr_html_() == "<ul><li>&lt;b&gt;</li></ul>"


def test_equal_rates_everywhere_are_no_point_and_shares_stay_shares() -> None:
    """A locale that is never read right has the same rate in every clip: [100 %, 100 %] would be a lie."""
    sums = np.array([[n, n] for n in range(5, 17)])
    found = intervals.ratio_interval(sums)
    apart = change_bounds(sums * [0, 1], 0.025)[1]
    assert (found.low, found.high) == pytest.approx((1 - apart, 1 + apart))
    assert 0 < apart < 0.1
    right = np.array([[1, 1]] * 5 + [[0, 1]] * 3)
    share = intervals.ratio_interval(right, share=True)
    assert 0 <= share.low < 5 / 8 < share.high <= 1
