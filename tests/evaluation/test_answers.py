"""The first line is the answer: headlines side by side, who moves the other way, what to fix first."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from corpora import WORDS
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.evaluation import Evaluation, headline, readings, score_predictions
from workbench.evaluation.shown import comparison_columns
from workbench.glance import MOST_COLUMNS
from workbench.shown import Shown

CHINESE = "今天天气很好我们去公园"


def corpus(
    wrong: dict[str, tuple[float, float]], utterances: dict[str, int], speakers: int = 12
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Locales with given shares of wrong words of ``old`` and ``new``; the same words fail first in both."""
    rng = np.random.default_rng(11)
    rows, heard = [], {"old": [], "new": []}
    for tag, count in utterances.items():
        for number in range(count):
            units = list(CHINESE) if tag == "zh-CN" else [str(w) for w in rng.choice(WORDS, 10)]
            gap = "" if tag == "zh-CN" else " "
            id = f"{tag}-{number}"
            rows.append(
                {
                    "id": id,
                    "text": gap.join(units),
                    "target_lang": tag,
                    "speaker": f"{tag}{number % speakers}",
                }
            )
            draws = rng.random(len(units))
            for name, rate in zip(heard, wrong[tag], strict=True):
                made = [
                    ("错" if gap == "" else "zzz") if d < rate else u
                    for u, d in zip(units, draws, strict=True)
                ]
                heard[name].append({"id": id, "hypothesis": gap.join(made)})
    return pd.DataFrame(rows), {name: pd.DataFrame(lines) for name, lines in heard.items()}


def scored(wrong: dict[str, tuple[float, float]], utterances: dict[str, int], **settings: Any) -> Evaluation:
    rows, heard = corpus(wrong, utterances)
    return score_predictions(rows, heard, by=("target_lang",), **settings)


def test_words_and_characters_are_never_added() -> None:
    found = scored({"en-US": (0.2, 0.2), "zh-CN": (0.5, 0.5)}, {"en-US": 60, "zh-CN": 40})
    whole, by = found.overall("old"), found.rates("old").set_index("target_lang")
    assert whole["metric"] == "wer"
    assert whole["reference_units"] == 600 == by.loc["en-US", "reference_units"]
    assert whole["errors"] == by.loc["en-US", "errors"]
    assert whole["left_out"] == "40 utterances scored by characters"
    assert by["left_out"].isna().all()
    heads = found.headline("old")
    pooled = heads[heads["kind"] == "pooled"].set_index("unit")
    assert pooled.loc["words", "rate"] == pytest.approx(by.loc["en-US", "rate"])
    assert pooled.loc["characters", "rate"] == pytest.approx(by.loc["zh-CN", "rate"])
    assert by.loc["zh-CN", "metric"] == "cer"
    change = found.compare("old", "new", ()).iloc[0]
    assert (change["reference_units"], change["utterances"]) == (600, 60)
    listed = found.utterances("old").set_index("id")
    assert set(listed.loc[listed["target_lang"] == "zh-CN", "metric"]) == {"cer"}
    assert set(listed.loc[listed["target_lang"] == "en-US", "metric"]) == {"wer"}


def test_headlines_stand_side_by_side() -> None:
    found = scored(
        {"en-US": (0.1, 0.1), "fr-FR": (0.5, 0.5)},
        {"en-US": 90, "fr-FR": 30},
        traffic={"en-US": 0.25, "fr-FR": 0.75, "el-GR": 0.5},
    )
    by = found.rates("old").set_index("target_lang")["rate"]
    heads = found.headline("old").set_index("kind")
    assert heads.loc["pooled", "rate"] == pytest.approx(0.75 * by["en-US"] + 0.25 * by["fr-FR"])
    assert heads.loc["over locales", "rate"] == pytest.approx((by["en-US"] + by["fr-FR"]) / 2)
    assert heads.loc["in traffic", "rate"] == pytest.approx(0.25 * by["en-US"] + 0.75 * by["fr-FR"])
    assert heads.loc["in traffic", "low"] < heads.loc["in traffic", "rate"] < heads.loc["in traffic", "high"]
    assert heads.loc["in traffic", "missing"] == ["el-GR"]
    assert "without el-GR" in found.headline("old").sentence


def test_a_locale_that_moves_the_other_way_is_in_the_first_line() -> None:
    found = scored({"en-US": (0.7, 0.1), "fr-FR": (0.5, 0.95)}, {"en-US": 200, "fr-FR": 40})
    answer = found.is_better("old", "new")
    assert answer.sentence.startswith("new against old: fewer errors: −")
    assert "; but fr-FR went from 5" in answer.sentence
    first = found.to_dict()["findings"]
    assert len(first) <= 5
    assert first[0]["kind"] == "whole"
    assert first[1]["kind"] == "moves against"
    assert "but in fr-FR more errors" in first[1]["sentence"]
    assert "fr-FR" in repr(found)


def test_who_is_asked_about_can_be_a_slice() -> None:
    rows, heard = corpus({"es-ES": (0.4, 0.1)}, {"es-ES": 200})
    rows["accent"] = np.where(np.arange(200) // 12 % 2, "es-MX", "es-AR")
    found = score_predictions(rows, heard)
    answer = found.is_better("old", "new", {"accent": "es-MX"})
    assert answer.iloc[0]["utterances"] == 96
    assert "fewer errors" in answer.sentence


def test_fix_first_goes_by_expected_errors_in_the_traffic() -> None:
    wrong = {"en-US": (0.2, 0.2), "fr-FR": (0.6, 0.6)}
    size = {"en-US": 100, "fr-FR": 100}
    by_words = scored(wrong, size).fix_first("old")
    assert by_words["target_lang"].tolist() == ["fr-FR", "en-US"]
    assert "no traffic shares are set" in by_words.sentence
    found = scored(wrong, size, traffic={"en-US": 0.9, "fr-FR": 0.1, "el-GR": 0.0001}).fix_first("old")
    assert found["target_lang"].tolist() == ["en-US", "fr-FR", "el-GR"]
    rate = scored(wrong, size).rates("old").set_index("target_lang")["rate"]
    whole = 0.9 * rate["en-US"] + 0.1 * rate["fr-FR"]
    assert found["share_of_errors"][0] == pytest.approx(0.9 * rate["en-US"] / whole)
    assert found.sentence.startswith("Fix en-US: ")
    assert "no test utterances" in found["sentence"][2]


def test_fix_first_says_how_sure_the_order_is() -> None:
    size = {"en-US": 200, "fr-FR": 200}
    sure = scored({"en-US": (0.1, 0.1), "fr-FR": (0.6, 0.6)}, size).fix_first("old")
    assert "may cost as much" not in sure.sentence
    assert sure["share_low"][0] < sure["share_of_errors"][0] < sure["share_high"][0]
    close = scored({"en-US": (0.30, 0.3), "fr-FR": (0.31, 0.3)}, size).fix_first("old").sentence
    assert close.endswith("may cost as much.")
    few = scored(
        {"en-US": (0.1, 0.1), "fr-FR": (0.9, 0.9)}, {"en-US": 200, "fr-FR": 9}, traffic={"fr-FR": 1.0}
    )
    assert few.fix_first("old").sentence.startswith("Not enough data to say which locale to fix first")
    alone = scored({"en-US": (0.1, 0.1)}, {"en-US": 200}).fix_first("old").sentence
    assert alone.endswith("; no other locale was tested.")
    voices = score_predictions(*corpus({"en-US": (0.1, 0.1), "fr-FR": (0.6, 0.6)}, size, speakers=2))
    assert voices.fix_first("old").sentence.endswith("; these voices only.")


def test_the_sentence_of_rates_names_slices_without_data() -> None:
    found = scored({"en-US": (0.1, 0.1), "fr-FR": (0.9, 0.9)}, {"en-US": 200, "fr-FR": 9}).rates("old")
    assert found.sentence.startswith("old: highest of the 1 with data enough in en-US")
    assert found.sentence.endswith("; 1 of 2 slices have not.")


def test_an_unclear_whole_is_not_held_against_locales_that_may_move() -> None:
    found = scored({"en-US": (0.3, 0.3), "fr-FR": (0.3, 0.5)}, {"en-US": 200, "fr-FR": 9})
    assert "; but " not in found.is_better("old", "new").sentence
    mixed = scored({"en-US": (0.5, 0.1), "fr-FR": (0.1, 0.5)}, {"en-US": 200, "fr-FR": 200})
    said = mixed.is_better("old", "new").sentence
    assert "fr-FR went from 9.6 % to 50.5 %; en-US went from 49.8 % to 9.6 %." in said


def test_a_condition_that_leaves_nobody_says_who_there_is() -> None:
    rows, heard = corpus({"es-ES": (0.4, 0.1)}, {"es-ES": 20})
    found = score_predictions(rows.assign(accent="Mexican"), heard)
    for ask in (
        lambda: found.is_better("old", "new", "accent = 'es-MX'"),
        lambda: found.fix_first("old", {"accent": "es-MX"}),
        lambda: found.more_data("old", where="accent = 'es-MX'"),
    ):
        with pytest.raises(WorkbenchError, match=r"no utterance with accent = 'es-MX'.*accent is Mexican"):
            ask()


def test_more_data_is_one_row_a_slice() -> None:
    found = scored({"en-US": (0.2, 0.2), "fr-FR": (0.6, 0.6)}, {"en-US": 200, "fr-FR": 9}).more_data("old")
    assert found["target_lang"].is_unique
    assert found.sentence.startswith(f"{len(found)} of 2 slices need more; first fr-FR: ")


def test_a_cell_says_that_it_is_corrected_for_many_slices() -> None:
    row = {"low": 0.01, "high": 0.2, "p_value": 0.02, "p_holm": 0.3, "enough": "yes", "difference": 0.1,
           "rate_a": 0.1, "rate_b": 0.2, "target_lang": "en-US"}  # fmt: skip
    cell = comparison_columns(("target_lang",))["reading"]
    assert cell(row) == "no clear difference, corrected for many slices"
    assert cell({**row, "low": -0.01}) == "no clear difference"
    assert cell({**row, "enough": "no", "because": "new transcribed 3 of 4"}) == (
        "not enough data: new transcribed 3 of 4"
    )


def test_bands_stand_in_their_order() -> None:
    rows, heard = corpus({"en-US": (0.2, 0.2)}, {"en-US": 120})
    rows["duration"] = [1.0, 3.0, 7.0, 12.0, 30.0, np.nan] * 20
    found = score_predictions(rows, heard)
    bands = ["< 2 s", "2–5 s", "5–10 s", "10–20 s", "≥ 20 s", None]
    assert found.errors_by_duration("old")["duration_band"].tolist() == bands
    assert found.compare("old", "new", "duration_band")["duration_band"].tolist() == bands


def test_non_inferiority_opens_with_who_is_shown_not_to_be_worse() -> None:
    found = scored({"en-US": (0.3, 0.2), "fr-FR": (0.2, 0.5)}, {"en-US": 200, "fr-FR": 200})
    said = found.non_inferior("old", "new", 0.02).sentence
    assert said.startswith("new against old, margin +2.0 points: 2 slices: ")
    assert said.endswith(": 1 may be worse by the margin, 1 not worse by the margin.")


def test_views_of_clips_open_with_a_sentence() -> None:
    rows, heard = corpus({"en-US": (0.3, 0.1)}, {"en-US": 60})
    found = score_predictions(rows, heard)
    made = found.changes("old", "new")
    better, worse = (int((made["verdict"] == way).sum()) for way in ("better", "worse"))
    assert made.sentence == (
        f"new against old: of 60 utterances {better} with fewer errors, {worse} with more, "
        f"{60 - better - worse} alike."
    )
    for table in (
        made, found.utterances("old"), found.utterances("old", limit=3), found.accuracy_by_frequency("old"),
        found.errors_by_position("old"), found.punctuation_rates("old"), found.case("old"), found.stability(),
        found.confounded(), found.stability(["old"]), found.punctuation_rates("old", "target_lang"),
    ):  # fmt: skip
        assert isinstance(table, Shown)
        assert table.sentence.endswith(".")
        assert len(table.short) <= MOST_COLUMNS
        assert "nan" not in str(table)
        assert table._repr_html_().startswith("<p><b>")


def test_a_big_difference_on_few_words_has_no_direction() -> None:
    found = scored({"en-US": (0.9, 0.1)}, {"en-US": 9})
    row = found.compare("old", "new").iloc[0].to_dict()
    assert row["enough"] == "no"
    assert readings.direction(row) == "not enough data"
    said = readings.difference_sentence(row)
    assert said.startswith("−")
    assert said.endswith("points, not enough data (90 words)")


numbers = st.floats(-1, 1)


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(numbers, numbers, numbers).map(sorted),
    st.floats(0, 1),
    st.sampled_from(["no", "provisional", "yes"]),
)
def test_a_direction_needs_an_interval_without_zero(ends: list[float], p_value: float, enough: str) -> None:
    low, difference, high = ends
    row = {"low": low, "high": high, "difference": difference, "p_holm": p_value, "enough": enough}
    said = readings.direction(row)
    assert (said == "fewer errors") == (enough != "no" and high < 0 and p_value < 0.05)
    assert (said == "more errors") == (enough != "no" and low > 0 and p_value < 0.05)
    assert (said == "not enough data") == (enough == "no")
    unknown = row | {"low": math.nan}
    assert readings.direction(unknown) == "not enough data"
    assert readings.direction(row | {"p_holm": None, "p_value": p_value}) == said


def test_tables_open_with_their_answer_and_six_columns() -> None:
    found = scored({"en-US": (0.3, 0.1), "fr-FR": (0.5, 0.4)}, {"en-US": 60, "fr-FR": 40})
    for table in (
        found.rates("old"), found.compare("old", "new"), found.headline("old"), found.fix_first("old"),
        found.more_data("old"), found.is_better("old", "new"), found.rates("old", ()),
    ):  # fmt: skip
        assert isinstance(table, Shown)
        assert len(table.short) <= MOST_COLUMNS
        assert repr(table).splitlines()[0] == table.sentence
        page = table._repr_html_()
        assert page.index(table.sentence.split(";")[0].split("<")[0][:20]) < page.index("<table>")
        assert page[: page.index("<details>")].count("<th ") == len(table.short)
        assert "nan" not in repr(table)
    worst = found.rates("old")
    assert worst.sentence.startswith("old: highest in fr-FR, ")
    assert repr(worst[["rate"]]) == repr(pd.DataFrame(worst[["rate"]]))
    assert repr(found).startswith("old: ")


def test_speech_invented_in_silence_is_in_no_rate_and_first_in_the_findings() -> None:
    rows, heard = corpus({"en-US": (0.2, 0.2)}, {"en-US": 100})
    rows["text"] = rows["text"].where(np.arange(100) >= 40, "…")
    found = score_predictions(rows, heard, by=("target_lang",))
    whole = found.overall("old")
    assert whole["reference_units"] == 600
    assert whole["invented"] == 400
    assert whole["rate"] == pytest.approx(0.2, abs=0.05)
    assert found.silence("old").set_index("target_lang").loc["en-US", "rate"] == 1
    said = [item["sentence"] for item in found.to_dict()["findings"]]
    assert any(
        "old invents speech in 40 of 40 utterances where nothing was said (400 words" in x for x in said
    )
    assert found.compare("old", "new").iloc[0]["difference"] == 0


def test_weighted_bounds_by_hand() -> None:
    table = [
        {
            "target_lang": "a",
            "rate": 0.1,
            "low": 0.08,
            "high": 0.14,
            "metric": "wer",
            "errors": 1,
            "reference_units": 10,
        },
        {
            "target_lang": "b",
            "rate": 0.3,
            "low": 0.20,
            "high": 0.35,
            "metric": "wer",
            "errors": 3,
            "reference_units": 10,
        },
    ]
    found = headline.headlines_of_rates(table, {"a": 3.0, "b": 1.0})[-1]
    assert found["rate"] == pytest.approx(0.15)
    assert found["low"] == pytest.approx(0.15 - math.hypot(0.75 * 0.02, 0.25 * 0.1))
    assert found["high"] == pytest.approx(0.15 + math.hypot(0.75 * 0.04, 0.25 * 0.05))
