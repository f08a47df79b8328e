"""Model and data cards, and what changed between two releases."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from candidates import POLICY

from workbench.corpus.query.table import Corpus
from workbench.release import Release, changes
from workbench.release.card import data_card, model_card
from workbench.release.document import Document, Table
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


def test_documents_show_text_as_text() -> None:
    document = Document("<b>t</b>")
    document.add("h", "<script>alert(1)</script> [x](http://y) `z`", Table(("a|b",), [("c|d\ne",), (None,)]))
    page, text = document.html(), document.markdown()
    assert "<script>" not in page
    assert "<script>" not in text.replace("\\<", "")
    assert "c\\|d e" in text
    assert "\\[x\\](http" in text
    ElementTree.fromstring(page.removeprefix("<!doctype html>").replace('<meta charset="utf-8">', ""))


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
