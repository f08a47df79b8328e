"""Gates on what rates do not see: punctuation and capitals, language tags, keywords."""

from __future__ import annotations

from drawn import BASE, GOOD, TUNED, evaluation_of, heard, judged, rows_of

from workbench.evaluation.evaluation import score_predictions
from workbench.release.gates import FAIL, PASS, UNKNOWN


def test_lost_capitals_and_full_stops_fail_formatting_alone() -> None:
    rows = rows_of()
    tuned = heard(rows, GOOD[1], TUNED, 1)
    tuned["hypothesis"] = tuned["hypothesis"].str.lower().str.rstrip(".")
    evaluation = score_predictions(rows, {"base": heard(rows, GOOD[0], BASE, 1), "tuned": tuned})
    report = judged(evaluation, "kind: not_worse", "kind: formatting")
    assert [c.verdict for c in report.checks] == [PASS, FAIL]
    assert judged(evaluation_of(*GOOD), "kind: formatting").verdict == PASS


def test_language_needs_the_automatic_prompt_and_counts_wrong_tags() -> None:
    rows = rows_of(480)
    base = heard(rows, GOOD[0], BASE, 1)
    auto = {"prompt_mode": "auto"}
    lost = heard(rows, GOOD[1], TUNED, 1, **auto)
    lost.loc[(rows.target_lang == "en-US") & (rows.index % 5 == 0), "detected_lang"] = "el-GR"
    predictions = {"base": base, "tuned": heard(rows, GOOD[1], TUNED, 1)}
    assert judged(score_predictions(rows, predictions), "kind: language").verdict == UNKNOWN
    predictions |= {"base auto": heard(rows, GOOD[0], BASE, 1, **auto), "tuned auto": lost}
    check = judged(score_predictions(rows, predictions), "kind: language").checks[0]
    assert {f.slice: f.verdict for f in check.evidence} == {"el-GR": PASS, "en-US": FAIL}
    floor = judged(
        score_predictions(rows, predictions), "{kind: language, margin: 1.0, minimum_accuracy: 0.95}"
    ).checks[0]
    assert floor.verdict == FAIL


def test_keywords_missed_oftener_fail_and_too_few_are_not_enough() -> None:
    rows = rows_of(480)
    tuned = heard(rows, GOOD[0], TUNED, 1)
    tuned["hypothesis"] = tuned["hypothesis"].str.replace("tango", "mango").str.replace("Tango", "Mango")
    evaluation = score_predictions(rows, {"base": heard(rows, GOOD[0], BASE, 1), "tuned": tuned})
    check = judged(evaluation, "{kind: keywords, words: [Tango]}").checks[0]
    assert check.verdict == FAIL
    assert check.evidence[0].numbers["rate_b"] == 1.0
    assert judged(evaluation, "{kind: keywords, words: [bravo]}").verdict == PASS
    assert judged(evaluation, "{kind: keywords, words: [xylophone]}").verdict == UNKNOWN
