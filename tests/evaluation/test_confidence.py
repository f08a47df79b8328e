"""Confidence that one can act on: against its definitions, and on predictions with damage."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.evaluation import confidence as conf
from workbench.evaluation.evaluation import score_predictions

PAIRS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40)


@settings(max_examples=200, deadline=None)
@given(PAIRS)
def test_auc_is_the_share_of_pairs_in_order(pairs: list[tuple[float, bool]]) -> None:
    sure, right = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    found = conf.area_under_curve(sure, right)
    both = list(itertools.product(sure[right], sure[~right]))
    if not both:
        assert found is None
        return
    assert found == pytest.approx(sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in both) / len(both))


def test_normalized_cross_entropy_by_hand() -> None:
    sure, right = np.array([0.9, 0.8, 0.3, 0.6]), np.array([True, True, False, False])
    told = (math.log2(0.9) + math.log2(0.8) + math.log2(0.7) + math.log2(0.4)) / 4
    assert conf.normalized_cross_entropy(sure, right) == pytest.approx(1 + told / 1.0)
    share = np.full(4, 0.5)
    assert conf.normalized_cross_entropy(share, right) == pytest.approx(0.0)
    assert conf.normalized_cross_entropy(sure, np.ones(4, bool)) is None


def test_a_temperature_brings_back_what_was_sharpened() -> None:
    generator = np.random.default_rng(0)
    true = generator.uniform(0.05, 0.95, 60_000)
    right = generator.random(true.size) < true
    sharp = conf.tempered(true, 0.4)
    fitted = conf.fit_temperature(sharp, right)
    assert fitted == pytest.approx(2.5, rel=0.03)
    before = conf.expected_calibration_error(sharp, right)
    after = conf.expected_calibration_error(conf.tempered(sharp, fitted), right)
    assert before > 0.1
    assert after < 0.01
    assert conf.area_under_curve(sharp, right) == conf.area_under_curve(conf.tempered(sharp, fitted), right)


def test_thresholds_count_words() -> None:
    table = conf.thresholds(np.array([0.05, 0.55, 0.58, 0.99]), np.array([False, True, False, True]))
    row = table[table["below"] == 0.6].iloc[0]
    assert (row["flagged"], row["wrong_found"]) == (0.75, 1.0)
    assert row["wrong_among_flagged"] == pytest.approx(2 / 3)


def _evaluation(confidences: list[float | None]):
    rows = pd.DataFrame({"id": ["a"], "text": ["one two three four"], "target_lang": ["en-US"]})
    words = [
        {"word": word, "start": i / 2, "end": i / 2 + 0.4, "confidence": sure}
        for i, (word, sure) in enumerate(zip(["one", "two", "tree", "four"], confidences, strict=True))
    ]
    prediction = pd.DataFrame({"id": ["a"], "hypothesis": ["one two tree four"], "words": [words]})
    return score_predictions(rows, {"p": prediction})


def test_the_wrong_word_is_found_and_the_answer_is_a_sentence() -> None:
    found = _evaluation([0.9, 0.95, 0.2, 0.8]).confidence("p")
    assert (found.words, found.right, found.auc) == (4, 0.75, 1.0)
    assert "25 % of the words and 100 % of the wrong ones" in str(found)
    assert "of the wrong words" in found._repr_html_()


@pytest.mark.parametrize("odd", [-5.0, 1.5, float("inf"), float("nan"), -0.0001])
def test_what_is_no_probability_leaves_the_word_out_not_the_report(odd: float) -> None:
    found = _evaluation([0.9, 0.95, 0.2, odd]).confidence("p")
    assert (found.words, found.left_out) == (3, 1)
    none = _evaluation([None, None, None, None]).confidence("p")
    assert str(none) == "p: no word has a confidence."


def _utterances(stated: list[object], texts: list[str], locale: str = "en-US"):
    ids = [str(n) for n in range(len(stated))]
    rows = pd.DataFrame({"id": ids, "text": ["one two three four five"] * len(ids), "target_lang": locale})
    prediction = pd.DataFrame({"id": ids, "hypothesis": texts, "confidence": stated})
    return score_predictions(rows, {"p": prediction})


RIGHT, ONE_WRONG, WRONG = "one two three four five", "one two three four six", "six"


def test_confidence_of_utterances_by_hand() -> None:
    evaluation = _utterances([0.9, 0.8, 0.3, None], [RIGHT, ONE_WRONG, WRONG, WRONG])
    strict = evaluation.confidence("p", unit="utterance")
    assert (strict.words, strict.right, strict.unit) == (3, pytest.approx(1 / 3), "utterance")
    told = (math.log2(0.9) + math.log2(0.2) + math.log2(0.7)) / 3
    base = -(math.log2(1 / 3) / 3 + 2 * math.log2(2 / 3) / 3)
    assert strict.normalized_cross_entropy == pytest.approx(1 + told / base)
    assert strict.auc == 1.0
    lenient = evaluation.confidence("p", unit="utterance", acceptable=0.2)
    assert (lenient.words, lenient.right, lenient.auc) == (3, pytest.approx(2 / 3), 1.0)
    assert "33 % of the utterances and 100 % of the wrong ones" in str(lenient)
    assert "of the wrong utterances" in lenient._repr_html_()


@pytest.mark.parametrize("odd", [-5.0, 1.5, float("inf"), "high", 87])
def test_an_utterance_without_a_usable_confidence_is_left_out(odd: object) -> None:
    found = _utterances([0.9, odd, 0.2], [RIGHT, RIGHT, WRONG]).confidence("p", unit="utterance")
    assert (found.words, found.left_out, found.auc) == (2, 1, 1.0)
    none = _utterances([None] * 2, [RIGHT, WRONG]).confidence("p", unit="utterance")
    assert str(none) == "p: no utterance has a confidence."


def test_utterances_are_judged_in_the_unit_of_their_locale() -> None:
    """Japanese by characters: one of five wrong is acceptable, as one word of one would not be."""
    rows = pd.DataFrame({"id": ["a", "b"], "text": ["こんにちは", "さようなら"], "target_lang": "ja-JP"})
    heard = pd.DataFrame({"id": ["a", "b"], "hypothesis": ["こんにちわ", "はい"], "confidence": [0.9, 0.2]})
    found = score_predictions(rows, {"p": heard}).confidence("p", unit="utterance", acceptable=0.2)
    assert (found.words, found.right, found.auc) == (2, 0.5, 1.0)


def test_the_line_is_told_as_the_recognizer_gives_it() -> None:
    """A temperature moves the table; the line comes back to the recognizer's own scale."""
    generator = np.random.default_rng(1)
    stated = conf.tempered(generator.uniform(0.05, 0.95, 400), 0.4)
    right = generator.random(400) < conf.tempered(stated, 2.5)
    evaluation = _utterances([float(s) for s in stated], [RIGHT if r else WRONG for r in right])
    plain = evaluation.confidence("p", unit="utterance")
    fitted = evaluation.confidence("p", unit="utterance", temperature=2.5)
    assert plain.line in conf.LIMITS
    assert fitted.line == pytest.approx(
        float(conf.tempered(np.array([fitted._working_point()["below"]]), 0.4)[0]), abs=1e-3
    )
    assert fitted.auc == pytest.approx(plain.auc)
