"""Gates on a real evaluation of drawn sentences: what passes, what fails, what is not enough data."""

from __future__ import annotations

import itertools
import json
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.errors import WorkbenchError
from workbench.evaluation.evaluation import Evaluation, evaluate
from workbench.release.gates import FAIL, PASS, UNKNOWN, GateReport, Policy, gate
from workbench.release.measure import Measurement
from workbench.release.verdicts import improved, non_inferior, worst
from workbench.settings import Pilot

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
    return evaluate(rows, {"base": heard(rows, base, BASE, 1), "tuned": heard(rows, tuned, TUNED, 1)})


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
    evaluation = evaluate(rows, {"base": heard(rows, GOOD[0], BASE, 1), "tuned": tuned})
    check = judged(evaluation, "{kind: not_worse, by: [target_lang, accent], margin: 0.02}").checks[0]
    assert {f.slice: f.verdict for f in check.evidence} == {"el-GR · Attic": PASS, "el-GR · Cypriot": FAIL}


def test_lost_capitals_and_full_stops_fail_formatting_alone() -> None:
    rows = rows_of()
    tuned = heard(rows, GOOD[1], TUNED, 1)
    tuned["hypothesis"] = tuned["hypothesis"].str.lower().str.rstrip(".")
    evaluation = evaluate(rows, {"base": heard(rows, GOOD[0], BASE, 1), "tuned": tuned})
    report = judged(evaluation, "kind: not_worse", "kind: formatting")
    assert [c.verdict for c in report.checks] == [PASS, FAIL]
    assert judged(evaluation_of(*GOOD), "kind: formatting").verdict == PASS


def test_language_needs_the_automatic_prompt_and_counts_wrong_tags() -> None:
    rows = rows_of()
    base = heard(rows, GOOD[0], BASE, 1)
    auto = {"prompt_mode": "auto"}
    lost = heard(rows, GOOD[1], TUNED, 1, **auto)
    lost.loc[(rows.target_lang == "en-US") & (rows.index % 3 == 0), "detected_lang"] = "el-GR"
    predictions = {"base": base, "tuned": heard(rows, GOOD[1], TUNED, 1)}
    assert judged(evaluate(rows, predictions), "kind: language").verdict == UNKNOWN
    predictions |= {"base auto": heard(rows, GOOD[0], BASE, 1, **auto), "tuned auto": lost}
    check = judged(evaluate(rows, predictions), "kind: language").checks[0]
    assert {f.slice: f.verdict for f in check.evidence} == {"el-GR": PASS, "en-US": FAIL}
    floor = judged(
        evaluate(rows, predictions), "{kind: language, margin: 1.0, minimum_accuracy: 0.95}"
    ).checks[0]
    assert floor.verdict == FAIL


def test_keywords_missed_oftener_fail_and_too_few_are_not_enough() -> None:
    rows = rows_of()
    tuned = heard(rows, GOOD[0], TUNED, 1)
    tuned["hypothesis"] = tuned["hypothesis"].str.replace("tango", "mango").str.replace("Tango", "Mango")
    evaluation = evaluate(rows, {"base": heard(rows, GOOD[0], BASE, 1), "tuned": tuned})
    check = judged(evaluation, "{kind: keywords, words: [Tango]}").checks[0]
    assert check.verdict == FAIL
    assert check.evidence[0].numbers["rate_b"] == 1.0
    assert judged(evaluation, "{kind: keywords, words: [bravo]}").verdict == PASS
    assert judged(evaluation, "{kind: keywords, words: [xylophone]}").verdict == UNKNOWN


def test_streaming_is_judged_at_the_chosen_look_ahead() -> None:
    rows = rows_of()
    predictions = {"base": heard(rows, GOOD[0], BASE, 1), "tuned": heard(rows, GOOD[1], TUNED, 1)}
    assert judged(evaluate(rows, predictions), "kind: streaming").verdict == UNKNOWN
    at = {"streaming": True, "lookahead_ms": 560}
    predictions["base live"] = heard(rows, GOOD[0], BASE, 1, **at)
    predictions["tuned live"] = heard(rows, {"el-GR": 0.2, "en-US": 0.5}, TUNED, 1, **at)
    report = judged(evaluate(rows, predictions), "kind: streaming", "kind: not_worse")
    assert report.check("streaming").verdict == FAIL
    assert report.check("not_worse").verdict == PASS
    assert judged(evaluate(rows, predictions), "{kind: streaming, lookahead_ms: 80}").verdict == UNKNOWN


def measured(**changes: Any) -> Measurement:
    facts: dict[str, Any] = {
        "checkpoint_sha256": TUNED, "lookahead_ms": 560, "latency_p50_ms": 400.0, "latency_p95_ms": 700.0,
        "words": 500, "audio_s": 60.0, "real_time_factor": 0.1, "memory_mib": 900.0,
        "machine": "x86_64 with 2 CPUs",
    }  # fmt: skip
    return Measurement(**{**facts, **changes})


@pytest.mark.parametrize(
    ("changes", "latency", "memory"),
    [
        ({}, PASS, PASS),
        ({"latency_p95_ms": 900.0}, FAIL, PASS),
        ({"memory_mib": 2000.0}, PASS, FAIL),
        ({"words": 5}, UNKNOWN, PASS),
        ({"lookahead_ms": 80}, UNKNOWN, PASS),
        ({"checkpoint_sha256": BASE}, UNKNOWN, UNKNOWN),
    ],
)
def test_latency_and_memory_are_judged_on_what_was_measured(changes: Any, latency: str, memory: str) -> None:
    checks = ("{kind: latency, p95_ms: 800}", "{kind: memory, maximum_mib: 1000}")
    report = judged(evaluation_of(*GOOD), *checks, measurement=measured(**changes))
    assert [c.verdict for c in report.checks] == [latency, memory]
    assert judged(evaluation_of(*GOOD), *checks).verdict == UNKNOWN


def training_rows(**changes: Any) -> pd.DataFrame:
    facts = {
        "license": "CC-BY-4.0",
        "consent": "yes",
        "speaker": "t1",
        "offset": 0.0,
        "target_lang": "el-GR",
        **changes,
    }
    ids = [
        {"id": f"t{i}", "audio_filepath": f"t{i}.wav", "text": f"quite another sentence {i}"}
        for i in range(5)
    ]
    return pd.DataFrame([{**row, **facts} for row in ids])


TERMS = "{kind: terms, licenses: [CC-BY-4.0], purpose: training}"


@pytest.mark.parametrize(
    ("changes", "verdict", "says"),
    [
        ({"purpose": "training"}, PASS, "slices pass"),
        ({"purpose": "training", "license": "CC-BY-NC-4.0"}, FAIL, "not allowed"),
        ({"purpose": "training", "license": None}, UNKNOWN, "no licence"),
        ({"purpose": "training", "consent": "withdrawn"}, FAIL, "without consent"),
        ({"purpose": "training", "consent": None}, UNKNOWN, "not known"),
        ({"purpose": "marketing"}, FAIL, "another purpose"),
        ({}, UNKNOWN, "purpose of 5"),
        ({"purpose": "training", "keep_days": 30, "recorded_at": "2020-01-01"}, FAIL, "keeping time"),
        ({"purpose": "training", "keep_days": 30, "recorded_at": "9999-01-01"}, PASS, "slices pass"),
    ],
)
def test_terms_of_the_training_data(changes: Any, verdict: str, says: str) -> None:
    report = judged(evaluation_of(*GOOD), TERMS, training=training_rows(**changes))
    assert report.verdict == verdict
    assert says in report.checks[0].because


def test_unknown_training_data_is_not_enough_for_terms_and_leakage() -> None:
    assert {c.verdict for c in judged(evaluation_of(*GOOD), TERMS, "kind: leakage").checks} == {UNKNOWN}


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "el-GR-3"},
        {"audio_filepath": "el-GR/3.wav"},
        {"text": rows_of()["text"][3].upper().rstrip(".") + "!"},
    ],
)
def test_leakage_is_found_by_id_recording_and_sentence(changes: dict[str, str]) -> None:
    training = training_rows()
    assert judged(evaluation_of(*GOOD), "kind: leakage", training=training).verdict == PASS
    for name, value in changes.items():
        training.loc[2, name] = value
    assert judged(evaluation_of(*GOOD), "kind: leakage", training=training).verdict == FAIL


def test_the_same_letters_in_another_language_are_another_sentence() -> None:
    training = training_rows(target_lang="it-IT")
    training.loc[2, "text"] = rows_of()["text"][3]
    assert judged(evaluation_of(*GOOD), "kind: leakage", training=training).verdict == PASS
    training.loc[2, ["target_lang", "text"]] = ["el-GR", rows_of()["text"][3] + " <el-GR>"]
    assert judged(evaluation_of(*GOOD), "kind: leakage", training=training).verdict == FAIL


def test_shared_speakers_leak_only_where_the_policy_says_so() -> None:
    training = training_rows(speaker="el-GR-s1")
    assert judged(evaluation_of(*GOOD), "kind: leakage", training=training).verdict == PASS
    assert judged(evaluation_of(*GOOD), "{kind: leakage, speakers: true}", training=training).verdict == FAIL


def test_a_checkpoint_trained_on_erased_data_fails() -> None:
    assert judged(evaluation_of(*GOOD), "kind: erasure").verdict == UNKNOWN
    assert judged(evaluation_of(*GOOD), "kind: erasure", erased={}).verdict == PASS
    report = judged(evaluation_of(*GOOD), "kind: erasure", erased={TUNED: ["c1"]})
    assert report.verdict == FAIL
    assert "c1" in report.checks[0].because


def test_a_report_survives_writing_and_an_edited_verdict_does_not() -> None:
    report = judged(evaluation_of(*BAD), "kind: improves", "kind: not_worse")
    text = report.to_json()
    assert GateReport.from_json(text) == report
    for edited in (
        text.replace('"verdict": "fail"', '"verdict": "pass"', 1),
        '"verdict": "pass"'.join(text.rsplit('"verdict": "fail"', 1)),
        "{}",
        "[]",
        "not json",
    ):
        with pytest.raises(WorkbenchError):
            GateReport.from_json(edited)


def test_a_report_shows_untrusted_names_as_text() -> None:
    hostile = Policy.from_yaml("name: <script>alert(1)</script>\nchecks:\n- kind: erasure\n")
    report = gate(hostile, evaluation_of(*GOOD), base="base", candidate="tuned", erased={})
    assert "<script>" not in report._repr_html_()


def test_another_checkpoint_than_the_predictions_is_refused() -> None:
    with pytest.raises(WorkbenchError, match="another checkpoint"):
        judged(evaluation_of(*GOOD), "kind: erasure", candidate_sha256="c" * 64)
    with pytest.raises(WorkbenchError, match="no prediction"):
        gate(policy("kind: erasure"), evaluation_of(*GOOD), base="base", candidate="nobody")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("checks: []\n", "no list of checks"),
        ("checks:\n- kind: better\n", "unknown kind"),
        ("checks:\n- kind: not_worse\n  margins: 1\n", "no option"),
        ("checks:\n- kind: not_worse\n  margin: wide\n", "Give a float"),
        ("checks:\n- kind: terms\n", "terms needs licenses"),
        ("checks:\n- kind: improves\n- kind: improves\n", "named twice"),
        ("checks: [\n", "Correct the YAML"),
        ("role: releaser\nchecks:\n- kind: improves\n", "unknown fields"),
        ("schema_version: 2\nchecks:\n- kind: improves\n", "another schema"),
    ],
)
def test_faulty_policies_say_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(WorkbenchError, match=says):
        Policy.from_yaml(text)


def test_the_three_way_rules() -> None:
    def row(difference: float, half: float) -> dict[str, float]:
        bounds = {"lower_bound": difference - 0.84 * half, "upper_bound": difference + 0.84 * half}
        return {"difference": difference, "low": difference - half, "high": difference + half, **bounds}

    assert [improved(row(d, 0.02))[0] for d in (-0.05, -0.01, 0.01, 0.05)] == [PASS, UNKNOWN, FAIL, FAIL]
    assert [non_inferior(row(d, 0.01), 0.01)[0] for d in (-0.05, 0.0, 0.005, 0.05)] == [
        PASS,
        PASS,
        UNKNOWN,
        FAIL,
    ]
    assert improved(row(float("nan"), 0.0))[0] == UNKNOWN
    assert non_inferior(row(float("nan"), 0.0), 0.01)[0] == UNKNOWN
    assert worst([]) == UNKNOWN
    assert worst([PASS, UNKNOWN, FAIL]) == FAIL
