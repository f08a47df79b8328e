"""Marks, capitals, language, keywords, look-aheads and confidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from corpora import random_corpus, table

from workbench.errors import WorkbenchError
from workbench.evaluation import Evaluation, score_predictions
from workbench.evaluation.keywords import Keyword, read_keywords


def _one(text: str, hypothesis: str, locale: str = "en-US") -> Evaluation:
    rows, predictions = table({"id": "a", "text": text, "hypothesis": hypothesis, "target_lang": locale})
    return score_predictions(rows, {"p": predictions}, by=("target_lang",), resamples=20)


@pytest.mark.parametrize(
    ("locale", "text", "hypothesis", "expected"),
    [
        ("en-US", "Hi, dear! Nice.", "Hi dear! Nice!", {",": (1, 0), "!": (1, 1), ".": (1, 0)}),
        ("el-GR", "Τι κάνεις\u037e Καλά.", "Τι κάνεις; Καλά.", {";": (1, 1), ".": (1, 1)}),
        (
            "es-ES",
            "¿Qué tal? ¡Bien!",
            "Qué tal? ¡Bien!",
            {"¿": (1, 0), "?": (1, 1), "¡": (1, 1), "!": (1, 1)},
        ),
        ("ar-AR", "كيف حالك؟ بخير، شكرا", "كيف حالك؟ بخير شكرا", {"؟": (1, 1), "،": (1, 0)}),
        ("hi-IN", "नमस्ते। कैसे हो?", "नमस्ते। कैसे हो?", {"।": (1, 1), "?": (1, 1)}),
        ("zh-CN", "你好，世界。好吗？", "你好,世界。好吗", {",": (1, 1), "。": (1, 1), "?": (1, 0)}),
    ],
)
def test_marks_by_script(
    locale: str, text: str, hypothesis: str, expected: dict[str, tuple[int, int]]
) -> None:
    marks = _one(text, hypothesis, locale).punctuation("p").set_index("mark")
    found = {m: (int(row["reference"]), int(row["correct"])) for m, row in marks.drop("all").iterrows()}
    assert found == expected
    every = marks.loc["all"]
    wrong = every["substitutions"] + every["deletions"] + every["insertions"]
    assert every["error_rate"] == pytest.approx(wrong / (wrong + every["correct"]))


def test_mark_rates_are_by_hand() -> None:
    marks = _one("a, b, c.", "a, b. c. d!").punctuation("p").set_index("mark")
    assert marks.loc[",", ["correct", "substitutions", "deletions"]].tolist() == [1, 1, 0]
    assert marks.loc[".", ["correct", "hypothesis"]].tolist() == [1, 2]
    assert marks.loc[",", "recall"] == 0.5
    assert marks.loc[".", "precision"] == 0.5
    assert marks.loc["!", "insertions"] == 1
    assert marks.loc["all", "error_rate"] == pytest.approx(0.5)


@pytest.mark.model
def test_punctuation_error_rate_agrees_with_nemo() -> None:
    """Exactly where marks are lost or replaced between right words, so that the shortest alignment is the
    only one; closely where marks move and words are wrong, and several are equally short."""
    from nemo.collections.common.metrics.punct_er import DatasetPunctuationErrorRate

    rng = np.random.default_rng(4)
    for word_errors, tolerance in ((0.0, 1e-9), (0.0, 0.02), (0.25, 0.02)):
        references, hypotheses = [], []
        for _ in range(250):
            words = [f"w{n}" for n in rng.permutation(40)[: rng.integers(3, 14)]]
            marks = rng.choice(["", "", "", ",", ".", "?", "!"], len(words))
            other = rng.choice(["", ",", ".", "?"], len(words))
            changed = np.where(rng.random(len(words)) < 0.3, other, marks)
            if tolerance < 1e-6:  # nothing added where nothing was
                changed = np.where(marks == "", "", changed)
            heard = [w if rng.random() >= word_errors else f"x{rng.integers(9)}" for w in words]
            references.append(" ".join(w + m for w, m in zip(words, marks, strict=True)))
            hypotheses.append(" ".join(w + m for w, m in zip(heard, changed, strict=True)))
        theirs = DatasetPunctuationErrorRate(references, hypotheses, list(".,?!"))
        theirs.compute()
        rows = pd.DataFrame({"id": range(250), "text": references, "target_lang": "en-US"})
        predictions = pd.DataFrame({"id": range(250), "hypothesis": hypotheses})
        found = score_predictions(rows, {"p": predictions}, resamples=50)
        every = found.punctuation("p").set_index("mark").loc["all"]
        assert every["error_rate"] == pytest.approx(theirs.punct_er, abs=tolerance)
        total = every[["correct", "substitutions", "deletions", "insertions"]].sum()
        assert every["correct"] / total == pytest.approx(theirs.correct_rate, abs=tolerance)
        assert every["deletions"] / total == pytest.approx(theirs.deletions_rate, abs=tolerance)
        rate = found.punctuation_rates("p").iloc[0]
        assert rate["rate"] == pytest.approx(every["error_rate"])
        assert rate["low"] < rate["rate"] < rate["high"]


def test_case_is_counted_on_words_both_sides_have() -> None:
    case = _one("Anna met BBC in Rome", "anna met BBC on ROME today").case("p").iloc[0]
    assert (case["wrong_case"], case["words"]) == (2, 4)
    caseless = _one("नमस्ते OK", "नमस्ते ok", "hi-IN").case("p").iloc[0]
    assert np.isnan(caseless["rate"])
    assert caseless["words"] == 0


def test_stability_looks_at_marks_and_case_apart() -> None:
    rows, first = table(
        {"id": "a", "text": "One two.", "hypothesis": "One two."},
        {"id": "b", "text": "One two.", "hypothesis": "One, two."},
        {"id": "c", "text": "One two.", "hypothesis": "one two."},
        {"id": "d", "text": "One two.", "hypothesis": "One three."},
    )
    steady = first.assign(hypothesis="One two.")
    line = score_predictions(rows, {"x": steady, "y": first}).stability().iloc[0]
    assert line[["utterances", "same_words", "punctuation_changed", "case_changed"]].tolist() == [4, 3, 1, 1]


def test_language_confusion_is_apart_from_text() -> None:
    rows, predictions = table(
        {"id": "a", "text": "one", "hypothesis": "one", "target_lang": "en-US", "detected_lang": "en-US"},
        {"id": "b", "text": "one", "hypothesis": "one", "target_lang": "en-US", "detected_lang": "en-GB"},
        {"id": "c", "text": "uno", "hypothesis": "uno", "target_lang": "es-US", "detected_lang": None},
        {"id": "d", "text": "uno", "hypothesis": "uno", "target_lang": "auto", "detected_lang": "es-US"},
    )
    found = score_predictions(rows, {"p": predictions}, by=("target_lang",), resamples=20)
    score = found.language("p")
    accuracy = score.accuracy.set_index("target_lang")
    assert accuracy["accuracy"].to_dict() == {"en-US": 0.5, "es-US": 0.0, "all": pytest.approx(1 / 3)}
    assert accuracy.loc["en-US", "language_accuracy"] == 1.0
    assert score.confusion.loc["en-US", "en-GB"] == 1
    assert score.confusion.loc["es-US", "none"] == 1
    assert found.overall("p")["rate"] == 0


def test_tags_left_in_hypotheses_do_not_count_as_words() -> None:
    assert _one("Thank you.", "Thank you. <en-US>").overall("p")["rate"] == 0


def test_auto_is_compared_with_its_given_twin_only() -> None:
    rows, predictions = random_corpus(60)
    given = predictions["tuned"].assign(prompt_mode="langID", lookahead_ms=560, checkpoint_sha256="f")
    auto = predictions["base"].assign(prompt_mode="auto", lookahead_ms=560, checkpoint_sha256="f")
    other = auto.assign(lookahead_ms=80)
    found = score_predictions(rows, {"g": given, "a": auto, "o": other}, resamples=50)
    cost = found.auto_cost(())
    assert cost[["given", "auto"]].to_numpy().tolist() == [["g", "a"]]
    assert cost["difference"].iloc[0] > 0


def test_keywords_are_found_inside_the_alignment(tmp_path: Path) -> None:
    rows, predictions = table(
        {"id": "1", "text": "Pay with Master Card now.", "hypothesis": "pay with master card now"},
        {"id": "2", "text": "Master card, please", "hypothesis": "master a card please"},
        {"id": "3", "text": "no money", "hypothesis": "no monet master card"},
        {"id": "4", "text": "money money", "hypothesis": "money"},
    )
    found = score_predictions(rows, {"p": predictions}, by=())
    columns = ["reference", "recalled", "hypothesis", "correct"]
    lines = found.keywords("p", ["Master Card", "money", "cheque"]).set_index("keyword")
    assert lines.loc["Master Card", ["reference", "recalled", "hypothesis", "correct"]].tolist() == [
        2,
        1,
        2,
        1,
    ]
    assert lines.loc["money", columns].tolist() == [3, 1, 1, 1]
    assert np.isnan(lines.loc["cheque", "recall"])
    assert lines.loc["all", "recall"] == pytest.approx(2 / 5)
    path = tmp_path / "terms.csv"
    path.write_text("keyword,domain,target_lang\nmoney,bank,\nMaster Card,card,en-US\n", encoding="utf-8")
    assert read_keywords(path) == [Keyword("money", "bank"), Keyword("Master Card", "card", "en-US")]
    assert len(found.keywords("p", path)) == 3
    with pytest.raises(WorkbenchError, match="cannot read keywords"):
        read_keywords(tmp_path / "none.csv")
    with pytest.raises(WorkbenchError, match="no keywords"):
        read_keywords([])


def test_frontier_orders_delays_and_counts_edges_apart() -> None:
    rows, late = table(
        {"id": "1", "text": "one two three", "hypothesis": "one two three"},
        {"id": "2", "text": "one two three", "hypothesis": "two three"},
        {"id": "3", "text": "one two three", "hypothesis": "one two"},
        {"id": "4", "text": "one two three", "hypothesis": ""},
    )
    early = late.assign(hypothesis="two", lookahead_ms=80)
    found = score_predictions(
        rows, {"late": late.assign(lookahead_ms=1120), "early": early}, by=(), resamples=20
    )
    lines = found.tradeoff()
    assert lines["name"].tolist() == ["early", "late"]
    late_line = lines.iloc[1]
    assert late_line[["first_word_lost", "last_word_lost"]].tolist() == [pytest.approx(1 / 3)] * 2
    assert late_line["empty"] == 1


def test_calibration_by_words_and_by_utterances() -> None:
    words = [{"word": "one", "confidence": 0.95}, {"word": "too", "confidence": 0.15}]
    rows, predictions = table({"id": "1", "text": "one two", "hypothesis": "one too", "words": words})
    lines = score_predictions(rows, {"p": predictions}, by=()).calibration("p")
    assert lines[["words", "accuracy"]].to_numpy().tolist() == [[1, 0.0], [1, 1.0]]
    plain = predictions.drop(columns="words").assign(confidence=0.75)
    lines = score_predictions(rows, {"p": plain}, by=()).calibration("p")
    assert lines[["words", "confidence", "accuracy"]].to_numpy().tolist() == [[2, 0.75, 0.5]]
    none = predictions.drop(columns="words")
    assert len(score_predictions(rows, {"p": none}, by=()).calibration("p")) == 0
