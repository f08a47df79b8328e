"""Gates on error rates: what passes, what fails, what is not enough data."""

from __future__ import annotations

import pytest
from drawn import BAD, BASE, GOOD, PILOT, TUNED, evaluation_of, heard, judged, policy, rows_of

from workbench.evaluation.evaluation import score_predictions
from workbench.release.gates import FAIL, PASS, UNKNOWN, gate
from workbench.workspace.settings import Pilot


def test_a_good_candidate_passes_targets_guardrails_and_weighted_rate() -> None:
    report = judged(evaluation_of(*GOOD), "kind: improves", "kind: not_worse", "kind: weighted_rate")
    assert [c.verdict for c in report.checks] == [PASS] * 3
    assert report.verdict == PASS
    assert report.exit_code == 0
    assert report.candidate_sha256 == TUNED
    target = report.check("improves").evidence[0]
    assert target.slice == "el-GR"
    assert float(target.numbers["high"] or 0) < 0


def test_a_candidate_that_forgot_a_guardrail_fails_and_says_where() -> None:
    report = judged(evaluation_of(*BAD), "kind: improves", "kind: not_worse", "kind: weighted_rate")
    assert report.check("improves").verdict == PASS
    assert report.check("not_worse").verdict == FAIL
    assert "en-US" in report.check("not_worse").because
    assert report.check("weighted_rate").verdict == FAIL
    assert report.verdict == FAIL
    assert report.exit_code == 1


def test_no_change_is_no_improvement_but_no_harm() -> None:
    same = {"el-GR": 0.3, "en-US": 0.1}
    report = judged(evaluation_of(same, same), "kind: improves", "kind: not_worse")
    assert report.check("improves").verdict == FAIL
    assert report.check("not_worse").verdict == PASS


def test_few_utterances_are_not_enough_data_never_a_pass() -> None:
    rows = rows_of(per_locale=4)
    report = judged(
        evaluation_of(*GOOD, rows=rows), "kind: improves", "kind: not_worse", "kind: weighted_rate"
    )
    assert {c.verdict for c in report.checks} == {UNKNOWN}
    assert report.exit_code == 3


def test_a_policy_can_refuse_provisional_slices() -> None:
    strict = policy("kind: improves", head="name: strict\nprovisional: false\n")
    rows = rows_of(per_locale=40)
    evaluation = evaluation_of(*GOOD, rows=rows)
    assert judged(evaluation, "kind: improves").verdict == PASS
    assert gate(strict, evaluation, base="base", candidate="tuned", pilot=PILOT).verdict == UNKNOWN


def test_a_policy_can_ask_for_more_than_these_voices() -> None:
    rows = rows_of(speakers=2)
    evaluation = evaluation_of(*GOOD, rows=rows)
    assert judged(evaluation, "kind: improves").verdict == PASS
    assert "voices only" in judged(evaluation, "kind: improves").check("improves").evidence[0].because
    assert judged(evaluation, "{kind: improves, voices: speakers}").verdict == UNKNOWN


def test_a_named_locale_without_test_data_is_not_enough() -> None:
    report = judged(evaluation_of(*GOOD), "{kind: not_worse, locales: [en-US, bg-BG]}")
    assert report.verdict == UNKNOWN
    assert "bg-BG" in report.checks[0].because


def test_without_targets_anywhere_nothing_passes() -> None:
    report = gate(policy("kind: improves"), evaluation_of(*GOOD), base="base", candidate="tuned")
    assert report.verdict == UNKNOWN


def test_weights_need_every_locale_tested() -> None:
    pilot = Pilot.of({"tag": "el-GR", "traffic_share": 0.5}, {"tag": "bg-BG", "traffic_share": 0.5})
    report = gate(
        policy("kind: weighted_rate"), evaluation_of(*GOOD), base="base", candidate="tuned", pilot=pilot
    )
    assert report.verdict == UNKNOWN
    assert "bg-BG" in report.checks[0].because


def test_the_weighted_difference_is_the_weighted_sum_of_the_differences() -> None:
    evaluation = evaluation_of(*GOOD)
    table = evaluation.compare("base", "tuned", by="target_lang").set_index("target_lang")
    found = judged(evaluation, "{kind: weighted_rate, margin: 1.0}").checks[0].evidence[0].numbers
    expected = (0.4 * table.difference["el-GR"] + 0.8 * table.difference["en-US"]) / 1.2
    assert found["difference"] == pytest.approx(expected)
    assert float(found["upper_bound"] or 0) > float(found["difference"] or 0)


def test_accents_are_judged_one_by_one() -> None:
    rows = rows_of()
    rows["accent"] = ["Cypriot" if i % 2 else "Attic" for i in range(len(rows))]
    rows.loc[rows.target_lang == "en-US", "accent"] = None
    tuned = heard(rows, GOOD[1], TUNED, 1)
    spoilt = (rows["accent"] == "Cypriot").to_numpy()
    tuned.loc[spoilt, "hypothesis"] = heard(rows, {"el-GR": 0.9, "en-US": 0.1}, TUNED, 1).loc[
        spoilt, "hypothesis"
    ]
    evaluation = score_predictions(rows, {"base": heard(rows, GOOD[0], BASE, 1), "tuned": tuned})
    check = judged(evaluation, "{kind: not_worse, by: [target_lang, accent], margin: 0.02}").checks[0]
    assert {f.slice: f.verdict for f in check.evidence} == {"el-GR · Attic": PASS, "el-GR · Cypriot": FAIL}
