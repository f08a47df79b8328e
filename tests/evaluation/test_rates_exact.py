"""Tables of rates and of comparisons, every column counted by hand: what a mutant would move."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.evaluation import Evaluation, score_predictions
from workbench.evaluation.intervals import ratio_interval
from workbench.evaluation.rates import Thresholds, rate, rate_table
from workbench.evaluation.significance import holm, matched_pairs, paired_difference

SAID = "one two three four"
CELL = ("target_lang", "kind")


def heard(speaker: int, name: str) -> str:
    """``old`` errs twice at every second speaker, ``new`` at every third; both at 0 and 6."""
    if name == "old":
        return SAID if speaker % 2 else "one zwo three"
    return SAID if speaker % 3 else "one two three vier funf"


def corpus() -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Ten speakers of a clip each; a word, a silence and a lost clip of speaker 1; a Chinese clip."""
    rows = [("en-US", "clip", f"s{n}", SAID, heard(n, "old"), heard(n, "new")) for n in range(10)]
    rows += [
        ("en-US", "word", "s1", "yes", "yes", "no"),
        ("en-US", "word", "s1", "yes", "", "yes"),
        ("en-US", "word", "s2", SAID, "", ""),
        ("en-US", "word", "s2", "", "well well", ""),
        ("zh-CN", "word", "s3", "今天天气", "今天天", "今天天气"),
    ]
    frame = pd.DataFrame(rows, columns=["target_lang", "kind", "speaker", "text", "old", "new"])
    frame["id"] = [f"u{number}" for number in range(len(frame))]
    predictions = {name: frame[["id", name]].rename(columns={name: "hypothesis"}) for name in ("old", "new")}
    return frame.drop(columns=["old", "new"]), predictions


def scored(**settings: Any) -> Evaluation:
    rows, predictions = corpus()
    return score_predictions(rows, predictions, by=CELL, **settings)


def records(table: pd.DataFrame) -> dict[tuple[str, ...], dict[str, Any]]:
    found = {tuple(row[name] for name in CELL): row for row in table.to_dict("records")}
    return {key: {name: row[name] for name in row if name not in CELL} for key, row in found.items()}


def errors_of_clips() -> np.ndarray:
    """(speakers, 3): errors of old, errors of new, reference words."""
    return np.array([[0 if n % 2 else 2, 0 if n % 3 else 2, 4] for n in range(10)])


def test_rates_of_every_slice_column_by_column() -> None:
    found = records(scored().rates("old"))
    sums = errors_of_clips()[:, [0, 2]]
    interval = ratio_interval(sums, resamples=1000, seed=20260604, confidence=0.95)
    clips = found["en-US", "clip"]
    assert list(clips) == [
        "rate", "low", "high", "no_interval", "errors", "reference_units", "hits", "substitutions",
        "insertions", "deletions", "invented", "utterances", "empty_hypotheses", "speakers", "interval_kind",
        "reference_words", "enough", "left_out", "metric", "normalizer", "confounded",
    ]  # fmt: skip
    assert clips == {
        "rate": 0.25, "low": interval.low, "high": interval.high, "no_interval": None, "errors": 10,
        "reference_units": 40, "hits": 30, "substitutions": 5, "insertions": 0, "deletions": 5, "invented": 0,
        "utterances": 10, "empty_hypotheses": 0, "speakers": 10, "interval_kind": "speakers",
        "reference_words": 40, "enough": "no", "left_out": None, "metric": "wer", "normalizer": "basic",
        "confounded": None,
    }  # fmt: skip
    words = found["en-US", "word"]
    counts = ("errors", "reference_units", "hits", "substitutions", "insertions", "deletions", "invented")
    assert [words[name] for name in counts] == [5, 6, 1, 0, 0, 5, 2]
    assert (words["utterances"], words["empty_hypotheses"], words["speakers"]) == (4, 2, 2)
    assert words["no_interval"] == "an interval needs 8 independent units, there are 3"
    assert math.isnan(words["low"])
    chinese = found["zh-CN", "word"]
    assert (chinese["metric"], chinese["errors"], chinese["reference_units"]) == ("cer", 1, 4)


def test_every_setting_reaches_the_interval() -> None:
    sums = errors_of_clips()
    asked = {"resamples": 40, "seed": 3, "confidence": 0.8}
    evaluation = scored().with_settings(**asked)
    one = ratio_interval(sums[:, [0, 2]], **asked)
    clips = records(evaluation.rates("old"))["en-US", "clip"]
    assert (clips["low"], clips["high"]) == (one.low, one.high)
    two = paired_difference(sums, **asked)
    clips = records(evaluation.compare("old", "new"))["en-US", "clip"]
    assert [clips[name] for name in ("low", "high", "lower_bound", "upper_bound", "p_value")] == [
        two.low, two.high, two.lower_bound, two.upper_bound, two.p_value,
    ]  # fmt: skip
    assert clips["confidence"] == 0.8


def test_settings_reach_where_draws_decide() -> None:
    """Thirty uneven speakers: flips are sampled, and the interval is drawn, so seed and number show."""
    lengths = [1 + number % 7 for number in range(30)]
    wrong = [min(length, number % 3) for number, length in enumerate(lengths)]
    less = [min(length, number % 2) for number, length in enumerate(lengths)]
    rows = pd.DataFrame(
        {
            "id": [f"u{n}" for n in range(30)],
            "text": [" ".join("abcdefg"[:length]) for length in lengths],
            "target_lang": "en-US",
            "speaker": [f"s{n}" for n in range(30)],
        }
    )
    predictions = {
        name: pd.DataFrame(
            {
                "id": rows["id"],
                "hypothesis": [
                    " ".join(["z"] * w + list("abcdefg"[w:n])) for w, n in zip(bad, lengths, strict=True)
                ],
            }
        )
        for name, bad in (("old", wrong), ("new", less))
    }
    sums = np.column_stack([wrong, less, lengths])
    whole = score_predictions(rows, predictions, by=("target_lang",))
    for asked in (
        {"resamples": 60, "seed": 5, "confidence": 0.9},
        {"resamples": 61, "seed": 6, "confidence": 0.9},
    ):
        evaluation = whole.with_settings(**asked)
        one, two = ratio_interval(sums[:, [0, 2]], **asked), paired_difference(sums, **asked)
        rates, pair = evaluation.rates("old").iloc[0], evaluation.compare("old", "new").iloc[0]
        assert (rates["low"], rates["high"]) == (one.low, one.high)
        assert (pair["low"], pair["high"], pair["p_value"]) == (two.low, two.high, two.p_value)
        assert pair["p_method"] == two.p_method


def test_comparison_of_every_slice_column_by_column() -> None:
    table = scored().compare("old", "new")
    assert list(table.columns) == [
        *CELL, "rate_a", "rate_b", "difference", "low", "high", "lower_bound", "upper_bound", "p_value",
        "p_holm", "p_matched_pairs_holm", "p_method", "no_interval", "confidence", "better", "worse",
        "reference_units", "changed", "utterances", "speakers", "interval_kind", "reference_words", "enough",
        "left_out", "p_matched_pairs", "segments", "metric", "normalizer", "confounded",
        "reading",
    ]  # fmt: skip
    found = records(table)
    clips = found["en-US", "clip"]
    two = paired_difference(errors_of_clips(), resamples=1000, seed=20260604, confidence=0.95)
    # A segment an utterance where either errs: speakers 0, 2, 3, 4, 6, 8, 9.
    p_value, segments = matched_pairs(np.array([0, 2, -2, 2, 0, 2, -2]))
    expected = {
        "rate_a": 0.25, "rate_b": 0.2, "difference": pytest.approx(-0.05), "low": two.low, "high": two.high,
        "lower_bound": two.lower_bound, "upper_bound": two.upper_bound, "p_value": two.p_value,
        "p_method": "all sign flips", "no_interval": None, "confidence": 0.95, "better": 3, "worse": 2,
        "reference_units": 40, "changed": 7, "utterances": 10, "speakers": 10, "interval_kind": "speakers",
        "reference_words": 40, "enough": "no", "left_out": None, "p_matched_pairs": pytest.approx(p_value),
        "segments": 7, "metric": "wer", "normalizer": "basic", "confounded": None,
        "reading": "not enough data",
    }  # fmt: skip
    assert segments == 7
    assert {name: clips[name] for name in expected} == expected
    words = found["en-US", "word"]
    # One word lost by the new, one by the old, four by both; the silence is no error of either's rate.
    assert (words["rate_a"], words["rate_b"], words["better"], words["worse"]) == (5 / 6, 5 / 6, 1, 1)
    assert (words["changed"], words["reference_units"], words["utterances"]) == (3, 6, 4)
    chinese = found["zh-CN", "word"]
    assert (chinese["metric"], chinese["rate_a"], chinese["rate_b"]) == ("cer", 0.25, 0.0)
    for name in ("p_value", "p_matched_pairs"):
        adjusted = holm(table[name].to_numpy(float))
        shown = table["p_holm" if name == "p_value" else "p_matched_pairs_holm"].to_numpy(float)
        np.testing.assert_array_equal(shown, adjusted)


def test_segments_of_a_slice_are_its_own() -> None:
    """Rows that the filter leaves out are in no slice's segments, nor are rows that one prediction lacks."""
    found = scored().compare("old", "new", (), where="kind = 'clip' AND speaker < 's5'").iloc[0]
    p_value, segments = matched_pairs(np.array([0, 2, -2, 2]))
    assert (found["utterances"], found["segments"]) == (5, segments)
    assert found["p_matched_pairs"] == pytest.approx(p_value)
    rows, predictions = corpus()
    predictions["new"] = predictions["new"].iloc[:9]  # speaker 9 is lost
    table = score_predictions(rows, predictions, by=CELL).compare("old", "new")
    p_value, _ = matched_pairs(np.array([0, 2, -2, 2, 0, 2]))
    assert table["segments"].tolist() == [6]
    assert table["p_matched_pairs"].tolist() == [pytest.approx(p_value)]


def test_rates_go_by_the_filter_and_an_empty_table_has_its_columns() -> None:
    evaluation = scored()
    some = evaluation.rates("old", (), where="speaker = 's0'").iloc[0]
    assert (some["errors"], some["reference_units"], some["utterances"]) == (2, 4, 1)
    none = rate_table(
        evaluation.scored, "old", evaluation.settings, by=CELL, metric="headline", normalizer="basic",
        where="speaker = 'nobody'",
    )  # fmt: skip
    assert list(none.columns) == [*CELL, "rate", "low", "high", "errors", "reference_units"]
    assert none.empty


def test_words_and_characters_are_not_added_and_what_is_left_out_is_said() -> None:
    evaluation = scored()
    mixed = ("errors", "reference_units", "utterances", "metric", "left_out")
    whole = evaluation.overall("old")
    assert [whole[name] for name in mixed] == [15, 46, 14, "wer", "1 utterance scored by characters"]
    for metric, errors, units in (("wer", 16, 50), ("cer", None, None)):
        whole = evaluation.overall("old", metric)
        assert (whole["metric"], whole["left_out"], whole["utterances"]) == (metric, None, 15)
        if errors is not None:
            assert (whole["errors"], whole["reference_units"]) == (errors, units)
    pair = evaluation.compare("old", "new", ()).iloc[0]
    assert [pair[name] for name in mixed[1:]] == [46, 14, "wer", "1 utterance scored by characters"]


def test_what_so_many_words_allow_at_its_borders() -> None:
    thresholds = Thresholds(gray_below_words=10, provisional_below_words=20)
    assert [thresholds.enough(words) for words in (9, 10, 19, 20)] == [
        "no",
        "provisional",
        "provisional",
        "yes",
    ]


def test_small_truths() -> None:
    assert rate(1, 4) == 0.25
    assert math.isnan(rate(2, 0))
    with pytest.raises(WorkbenchError) as raised:
        scored().rates("old", metric="per")
    assert raised.value.what == "unknown metric 'per'"
    assert raised.value.hint == "Use wer, cer or headline."
