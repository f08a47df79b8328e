"""The evaluation object: sums, slices, comparisons, and corpora that are not as they should be."""

from __future__ import annotations

import jiwer
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from corpora import random_corpus, table

from workbench.errors import WorkbenchError
from workbench.evaluation import Evaluation, Thresholds, score_predictions
from workbench.text import normalize


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    rows, predictions = random_corpus()
    return score_predictions(rows, predictions, resamples=200)


@pytest.mark.parametrize("normalizer", ["raw", "basic", "whisper"])
def test_totals_agree_with_jiwer(evaluation: Evaluation, normalizer: str) -> None:
    rows = evaluation.rows.merge(evaluation.scored.prediction("base").source, on="id")
    sides = [
        [
            normalize(text, tag, normalizer)
            for text, tag in zip(rows[column], rows["target_lang"], strict=True)
        ]
        for column in ("text", "hypothesis")
    ]
    words, characters = jiwer.process_words(*sides), jiwer.process_characters(*sides)
    for metric, theirs in (("wer", words), ("cer", characters)):
        ours = evaluation.overall("base", metric, normalizer)
        for kind in ("hits", "substitutions", "insertions", "deletions"):
            assert ours[kind] == getattr(theirs, kind), (metric, kind)
        assert ours["rate"] == pytest.approx(getattr(theirs, metric))
        assert (ours["metric"], ours["normalizer"]) == (metric, normalizer)


def test_slices_sum_to_the_whole(evaluation: Evaluation) -> None:
    whole = evaluation.overall("base")
    for by in (
        ("target_lang", "accent"),
        ("speaker",),
        "domain",
        "duration_band",
        "duration > 2 AND domain = 'bank'",
    ):
        slices = evaluation.rates("base", by)
        for column in ("errors", "reference_units", "utterances", "hits"):
            assert slices[column].sum() == whole[column], by
        assert ((slices["low"] <= slices["rate"]) & (slices["rate"] <= slices["high"])).all()


def test_a_cell_is_its_utterances(evaluation: Evaluation) -> None:
    cell = {"target_lang": "es-US", "accent": "es-US-1"}
    table = evaluation.heatmap("base").set_index(["target_lang", "accent"])
    worst = evaluation.utterances("base", cell)
    assert worst["errors"].sum() == table.loc[tuple(cell.values()), "errors"]
    assert worst["rate"].is_monotonic_decreasing
    assert len(evaluation.utterances("base", cell, limit=3)) == 3
    same = evaluation.utterances("base", "target_lang = 'es-US' AND accent = 'es-US-1'")
    assert same["id"].tolist() == worst["id"].tolist()
    confusions = evaluation.confusions("base", cell)
    assert confusions["count"].sum() == worst["substitutions"].sum()
    words = evaluation.words("base", cell)
    assert words["occurrences"].sum() == worst["reference_units"].sum()
    assert words["deleted"].sum() == worst["deletions"].sum()
    assert words["inserted"].sum() == worst["insertions"].sum()
    positions = evaluation.errors_by_position("base", cell, bins=7)
    assert positions["reference_words"].sum() == worst["reference_units"].sum()
    assert positions[["substitutions", "insertions", "deletions"]].to_numpy().sum() == worst["errors"].sum()
    bands = evaluation.accuracy_by_frequency("base", cell)
    assert bands["occurrences"].sum() == worst["reference_units"].sum()


def test_alignments_agree_with_the_counts(evaluation: Evaluation) -> None:
    for row in evaluation.utterances("base", limit=40).to_dict("records"):
        ops = [step.op for step in evaluation.alignment("base", row["id"])]
        assert ops.count("substitution") == row["substitutions"]
        assert ops.count("insertion") == row["insertions"]
        assert ops.count("deletion") == row["deletions"]
        assert ops.count("hit") == row["hits"]


def test_comparison_finds_the_better_and_is_antisymmetric(evaluation: Evaluation) -> None:
    there, back = (evaluation.compare(*pair, ()).iloc[0] for pair in (("base", "tuned"), ("tuned", "base")))
    assert there["difference"] < 0
    assert there["high"] < 0
    assert there["p_holm"] < 0.05
    assert there["p_matched_pairs"] < 0.05
    assert back["difference"] == pytest.approx(-there["difference"])
    assert (back["better"], back["worse"]) == (there["worse"], there["better"])
    assert back["p_matched_pairs"] == pytest.approx(there["p_matched_pairs"])
    changes = evaluation.changes("base", "tuned")
    assert (changes["verdict"] == "better").sum() == there["better"]
    assert evaluation.non_inferior("base", "tuned", 0.01, ()).iloc[0]["non_inferior"]
    assert not evaluation.non_inferior("tuned", "base", 0.01, ()).iloc[0]["non_inferior"]
    assert evaluation.compare("base", "base", ()).iloc[0]["p_value"] == 1.0


def test_same_figures_twice_and_under_any_order() -> None:
    rows, predictions = random_corpus(100)
    first = score_predictions(rows, predictions, resamples=100).rates("base")
    shuffled = {name: frame.sample(frac=1, random_state=2) for name, frame in predictions.items()}
    again = score_predictions(rows, shuffled, resamples=100)
    again.compare("base", "tuned")
    pd.testing.assert_frame_equal(first, again.rates("base"))


def test_few_voices_unknown_voices_and_few_words_are_said() -> None:
    rows, predictions = random_corpus(120, speakers=2)
    slices = score_predictions(rows, predictions, resamples=50).rates("base")
    assert set(slices["interval_kind"]) == {"these voices only"}
    assert set(slices["enough"]) == {"provisional"}
    limits = Thresholds(gray_below_words=1000, provisional_below_words=2000)
    assert set(score_predictions(rows, predictions, thresholds=limits).rates("base")["enough"]) == {"no"}
    unknown = score_predictions(rows.drop(columns="speaker"), predictions, resamples=50)
    assert set(unknown.rates("base")["interval_kind"]) == {"speakers unknown"}


def test_confounded_columns_are_named() -> None:
    rows, predictions = random_corpus(80)
    rows["source"] = rows["accent"].str.upper()
    found = score_predictions(rows, predictions, resamples=20)
    pairs = found.confounded().set_index("columns")
    assert pairs.loc[[("accent", "source")], "kind"].tolist() == ["coincide"]
    assert "source" in found.compare("base", "tuned", "accent")["confounded"].iloc[0]
    mixed = rows.assign(source=np.where(np.arange(len(rows)) % 3 == 0, "a", "b"))
    free = score_predictions(mixed, predictions, resamples=20).confounded()
    assert ("accent", "source") not in free["columns"].tolist()


def test_missing_duplicate_and_unknown_are_listed_not_counted() -> None:
    rows, predictions = table(
        {"id": "a", "text": "one two", "hypothesis": "one two"},
        {"id": "b", "text": "three four", "hypothesis": None},
        {"id": "c", "text": "five <noise> six", "hypothesis": "five six"},
        {"id": "d", "text": None, "hypothesis": "ghost"},
        {"id": "e", "text": "", "hypothesis": ""},
    )
    rows = pd.concat([rows, rows.iloc[[0]].assign(text="again")], ignore_index=True)
    extra = pd.DataFrame([{"id": "a", "hypothesis": "two"}, {"id": "z", "hypothesis": "stray"}])
    found = score_predictions(rows, {"p": pd.concat([predictions, extra], ignore_index=True)})
    said = " | ".join(str(problem) for problem in found.problems)
    for part in (
        "no reference text (1): d",
        "id occurs more than once (1): a",
        "markup in the reference (1): c",
        "utterances without a prediction (1): b",
        "id predicted more than once (1): a",
        "predictions for unknown ids (2): d, z",
    ):
        assert part in said
    overall = found.overall("p")
    assert (overall["utterances"], overall["reference_units"], overall["errors"]) == (3, 5, 1)
    assert found.facts("p")["missing"] == 1
    assert found.alignment("p", "b") == []


def test_empty_references_and_hypotheses() -> None:
    rows, predictions = table(
        {"id": "silence", "text": "", "hypothesis": "", "kind": "quiet"},
        {"id": "noise", "text": "...", "hypothesis": "um", "kind": "noisy"},
        {"id": "lost", "text": "one two three", "hypothesis": "", "kind": "lost"},
    )
    found = score_predictions(rows, {"p": predictions}, by=("kind",))
    slices = found.rates("p").set_index("kind")
    assert np.isnan(slices.loc["quiet", "rate"])
    assert np.isnan(slices.loc["noisy", "rate"])
    assert slices.loc["noisy", ["errors", "invented"]].tolist() == [0, 1]
    silent = found.silence("p", ("kind",)).set_index("kind")
    assert silent.loc["noisy", ["invented", "silent", "words"]].tolist() == [1, 1, 1]
    assert silent.loc["quiet", ["invented", "silent", "words"]].tolist() == [0, 1, 0]
    assert silent.loc["all", ["invented", "silent", "words"]].tolist() == [1, 2, 1]
    assert slices.loc["lost", "rate"] == 1
    assert slices.loc["lost", "empty_hypotheses"] == 1
    assert found.utterances("p")["id"].tolist()[0] == "noise"
    everything = score_predictions(rows, {"p": predictions.assign(hypothesis="")}, by=("kind",))
    assert everything.overall("p")["rate"] == 1
    assert everything.tradeoff()["empty"].tolist() == [1]
    assert everything.errors_by_position("p")["deletions"].sum() == 3


def test_mixed_scripts_and_scoring_units() -> None:
    rows, predictions = table(
        {"id": "1", "text": "你好，世界。", "hypothesis": "你好世", "target_lang": "zh-CN"},
        {"id": "2", "text": "안녕 하세요", "hypothesis": "안녕하세요", "target_lang": "ko-KR"},
        {"id": "3", "text": "Привет Ёлка", "hypothesis": "привет елка", "target_lang": "ru-RU"},
        {"id": "4", "text": "ok 你好 да", "hypothesis": "ok 你好 нет", "target_lang": "en-US"},
    )
    found = score_predictions(rows, {"p": predictions}, by=("target_lang",))
    slices = found.rates("p").set_index("target_lang")
    assert slices["metric"].to_dict() == {"zh-CN": "cer", "ko-KR": "cer", "ru-RU": "wer", "en-US": "wer"}
    assert slices["errors"].to_dict() == {"zh-CN": 1, "ko-KR": 0, "ru-RU": 0, "en-US": 1}
    assert slices.loc["zh-CN", "reference_units"] == 4
    assert found.overall("p")["metric"] == "wer"
    raw = found.rates("p", normalizer="raw").set_index("target_lang")
    assert raw.loc["ru-RU", "errors"] == 2
    assert found.scored.spelling_only("p", "raw").tolist() == [0, 0, 0, 0]


def test_ten_thousand_words_in_one_utterance() -> None:
    rng = np.random.default_rng(3)
    words = [f"w{n}" for n in rng.integers(0, 500, 10_000)]
    heard = [w for w in words if rng.random() > 0.1]
    rows, predictions = table({"id": "long", "text": " ".join(words), "hypothesis": " ".join(heard)})
    overall = score_predictions(rows, {"p": predictions}, by=()).overall("p")
    assert overall["reference_units"] == 10_000
    assert overall["deletions"] - overall["insertions"] == 10_000 - len(heard)


def test_words_carry_their_times() -> None:
    spoken = [
        {"word": "Well-known,", "start": 0.1, "end": 0.6, "confidence": 0.9},
        {"word": "cat", "start": 0.7, "end": 1.0, "confidence": 0.4},
    ]
    rows, predictions = table(
        {"id": "a", "text": "well known bat", "hypothesis": "Well-known, cat", "words": spoken}
    )
    steps = score_predictions(rows, {"p": predictions}, by=()).alignment("p", "a")
    assert [(s.op, s.start_s, s.confidence) for s in steps] == [
        ("hit", 0.1, 0.9),
        ("hit", 0.1, 0.9),
        ("substitution", 0.7, 0.4),
    ]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rows, p: score_predictions(rows.drop(columns="text"), p), "no column 'text'"),
        (
            lambda rows, p: score_predictions(rows, {"p": p["base"].drop(columns="hypothesis")}),
            "no column 'hypothesis'",
        ),
        (lambda rows, p: score_predictions(rows, {"p": p["base"].assign(id="x")}), "no id in common"),
        (lambda rows, p: score_predictions(rows.assign(text=None), p), "no utterance has a reference"),
        (lambda rows, p: score_predictions(rows, p, normalizer="fancy"), "unknown normalizer"),
        (lambda rows, p: score_predictions(rows, p).rates("bse"), "There are: base, tuned"),
        (lambda rows, p: score_predictions(rows, p).rates("base", "acent"), "acent"),
        (lambda rows, p: score_predictions(rows, p).rates("base", metric="mer"), "unknown metric"),
        (lambda rows, p: score_predictions(rows, p).alignment("base", "nobody"), "no utterance 'nobody'"),
        (lambda rows, p: score_predictions(rows, p).utterances("base", "(SELECT 1)"), "subqueries"),
    ],
)
def test_faults_are_one_clear_line(call: object, message: str) -> None:
    rows, predictions = random_corpus(20)
    with pytest.raises(WorkbenchError) as caught:
        call(rows, predictions)  # type: ignore[operator]
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_gap_of_worst_and_best_has_an_interval() -> None:
    rows, predictions = random_corpus(800, speakers=8)
    rows["half"] = np.where(rows["accent"].str.endswith("0"), "clear", "noisy")
    spoilt = predictions["tuned"].copy()
    bad = (rows["half"] == "noisy").to_numpy() & (np.arange(len(rows)) % 3 == 0)
    spoilt.loc[bad, "hypothesis"] = "wrong"
    found = score_predictions(rows, {"p": spoilt}, by=("half",), resamples=1000).disparity("p")
    table = score_predictions(rows, {"p": spoilt}, by=("half",)).rates("p").set_index("half")
    assert (found["worst"], found["best"]) == ({"half": "noisy"}, {"half": "clear"})
    assert found["gap"] == pytest.approx(table["rate"]["noisy"] - table["rate"]["clear"])
    assert found["gap_low"] < found["gap"] < found["gap_high"]
    assert found["ratio_low"] < found["ratio"] < found["ratio_high"]
    assert found["gap_low"] > 0
    # Voices apart: the spread of a difference of independent rates.
    width = np.hypot(*(table["high"] - table["low"]))
    assert found["gap_high"] - found["gap_low"] == pytest.approx(width, rel=0.15)


def test_voices_in_both_slices_are_drawn_once_for_both() -> None:
    rng = np.random.default_rng(4)
    lines = []
    for number in range(600):
        speaker, half = number % 12, "ab"[number // 12 % 2]
        wrong = rng.random(10) < 0.05 + 0.05 * speaker + 0.1 * (half == "b")
        heard = " ".join("x" if w else "word" for w in wrong)
        lines.append(
            {"id": f"u{number}", "text": "word " * 10, "hypothesis": heard, "speaker": f"s{speaker}"}
        )
        lines[-1] |= {"half": half}
    rows, predictions = table(*lines)
    found = score_predictions(rows, {"p": predictions}, by=("half",))
    rates = found.rates("p").set_index("half")
    gap = found.disparity("p")
    width = np.hypot(*(rates["high"] - rates["low"]))
    assert gap["gap_high"] - gap["gap_low"] < 0.5 * width


def test_run_facts_with_unknown_values_are_read_from_nullable_columns() -> None:
    rows, predictions = table(
        {"id": 1, "text": "a", "hypothesis": "a"}, {"id": 2, "text": "b", "hypothesis": "b"}
    )
    for values, known in (([80, 80], 80), ([80, None], "mixed"), ([None, None], None)):
        found = predictions.assign(lookahead_ms=pd.array(values, "Int64"))
        assert score_predictions(rows, {"p": found}).facts("p")["lookahead_ms"] == known


def test_texts_are_held_once_and_what_was_given_stays_as_it_was() -> None:
    kind = pd.StringDtype("pyarrow", na_value=float("nan"))
    rows = pd.DataFrame({"id": range(3), "text": pd.array(["Ja.", "So so", "Nein"], kind)})
    heard = pd.DataFrame({"id": range(3), "hypothesis": pd.array(["ja", "so", "nein"], kind)})
    before = [frame.copy(deep=True) for frame in (rows, heard)]
    scored = score_predictions(rows, {"p": heard}).scored
    columns = [scored.rows["text"], scored.prediction("p").source["hypothesis"]]
    assert [list(column) for column in columns] == [["Ja.", "So so", "Nein"], ["ja", "so", "nein"]]
    places = {pa.array(column.array).buffers()[2].address for column in columns}
    assert places == {scored.store.texts.buffers()[2].address}
    for frame, copy in zip((rows, heard), before, strict=True):
        pd.testing.assert_frame_equal(frame, copy)
