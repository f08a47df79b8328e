"""Gates on the data trained on: terms, leakage, erasures."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from drawn import GOOD, TUNED, evaluation_of, judged, rows_of

from workbench.release.gates import FAIL, PASS, UNKNOWN


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
        ({"purpose": "training", "license": None}, UNKNOWN, "no license"),
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
