"""Model and data cards, and what changed between two releases."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pandas as pd
from candidates import POLICY
from huggingface_hub import DatasetCard, ModelCard

from workbench.cards import Card, Table, license_fields
from workbench.corpus.query.table import Corpus
from workbench.evaluation.evaluation import score_predictions
from workbench.release import Release, changes
from workbench.release.card import data_card, model_card
from workbench.workspace.folder import WorkspaceFolder


def test_cards_hold_figures_with_intervals_and_no_names(home: WorkspaceFolder) -> None:
    release = Release(home, candidate="tuned", base="base")
    report = release.gate(POLICY)
    training = Corpus.open(home.corpus_folder("calls")).frame()
    card = model_card(
        "tuned", {"sha256": "ab"}, evaluation=release.evaluation(), prediction="tuned", base="base",
        gate=report, training=training,
    )  # fmt: skip
    text = card.markdown()
    assert re.search(r"it-IT \|.* wer \| \d+\.\d\d % \| \d+\.\d\d % to \d+\.\d\d %", text)
    assert "voices only" in text
    for speaker in training["speaker"].unique():
        assert speaker not in data_card("calls", training.drop(columns="source")).markdown()
    untested = model_card("x", {})
    assert "Not evaluated" in untested.markdown()


def test_utterances_are_judged_where_words_say_nothing() -> None:
    """No word has a confidence, every utterance has."""
    rows = pd.DataFrame({"id": list("abc"), "text": "one two", "target_lang": "en-US"})
    heard = pd.DataFrame({"id": list("abc"), "hypothesis": ["one two", "one two", "no"]})
    evaluation = score_predictions(rows, {"p": heard.assign(confidence=[0.9, 0.8, 0.1])})
    text = model_card("x", {}, evaluation=evaluation, prediction="p").markdown()
    assert "no word has a confidence" in text
    assert "Whole utterances" in text


def test_cards_show_text_as_text() -> None:
    document = Card("<b>t</b>")
    document.add("h", "<script>alert(1)</script> [x](http://y) `z`", Table(("a|b",), [("c|d\ne",), (None,)]))
    page, text = document.html(), document.markdown()
    assert "<script>" not in page
    assert "<script>" not in text.replace("\\<", "")
    assert "c\\|d e" in text
    assert "\\[x\\](http" in text
    ElementTree.fromstring(page.removeprefix("<!doctype html>"))


def test_the_hub_reads_the_front_matter_of_both_cards(home: WorkspaceFolder) -> None:
    release = Release(home, candidate="tuned", base="base")
    release.gate(POLICY)
    training = Corpus.open(home.corpus_folder("calls")).frame()
    text = model_card(
        "tuned", {"locales": ["it-IT", "en-US"]}, evaluation=release.evaluation(), prediction="tuned"
    ).markdown()
    card = ModelCard(text)
    assert card.data.language == ["en", "it"]
    assert card.data.library_name == "nemo"
    assert {result.metric_type for result in card.data.eval_results} == {"wer"}
    assert card.text.lstrip().startswith("# Model card: tuned")
    data = DatasetCard(data_card("calls", training).markdown()).data
    assert data.size_categories == ["n<1K"]
    assert data.task_categories == ["automatic-speech-recognition"]


def test_licenses_are_named_as_the_hub_names_them() -> None:
    assert license_fields(["CC-BY-SA-3.0"]) == {"license": "cc-by-sa-3.0"}
    assert license_fields(["GPL-2", "CC-BY-3.0"]) == {"license": ["cc-by-3.0", "gpl-2.0"]}
    assert license_fields(["ours alone", "CC-BY-3.0"]) == {"license": "other"}
    assert license_fields([None, ""]) == {"license": "unknown"}


def test_changes_between_releases_are_sentences() -> None:
    before = {
        "recipe": {"steps": 100},
        "data": {"el-GR": {"utterances": 5, "hours": 1.0}},
        "figures": {"el-GR": 0.5},
    }
    after = {
        "recipe": {"steps": 200},
        "data": {"el-GR": {"utterances": 9, "hours": 1.5}},
        "figures": {"el-GR": 0.4},
    }
    assert changes.between(before, after) == [
        "Data el-GR: 1.00 to 1.50 h (+0.50 h, +4 utterances).",
        "Recipe steps: 100 to 200.",
        "Figure el-GR: 50.00 to 40.00 % (-10.00 points).",
    ]
    assert changes.between(before, before) == []
    assert changes.between({}, after) == []
