"""The report holds the figures, escapes what it shows, loads nothing and warns a reader who skims."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from corpora import random_corpus, table

from workbench.evaluation import Evaluation, score_predictions


class _Page(HTMLParser):
    """Tags and text of a page; fails on tags that never close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in ("meta", "line", "circle"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _read(html: str) -> _Page:
    page = _Page()
    page.feed(html)
    assert page.open == []
    return page


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    rows, predictions = random_corpus(300)
    rows["source"] = rows["accent"].str.upper()
    predictions["base"] = predictions["base"].assign(lookahead_ms=80, prompt_mode="langID")
    predictions["tuned"] = predictions["tuned"].assign(lookahead_ms=560, prompt_mode="langID")
    return score_predictions(rows, predictions, resamples=100)


def test_report_and_json_hold_the_same_figures(evaluation: Evaluation, tmp_path: Path) -> None:
    path = evaluation.report(tmp_path / "deep" / "report.html", title="Callers")
    data = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    html = path.read_text(encoding="utf-8")
    _read(html)
    overall = evaluation.overall("base")
    assert data["predictions"]["base"]["overall"]["rate"] == overall["rate"]
    assert data["title"] == "Callers"
    assert f"{100 * overall['rate']:.1f} %" in html
    sections = ["Headline", "Who is badly served", "Is the difference real", "What to collect", "Methods"]
    for section in sections:
        assert section in html
    assert sorted(p.name for p in path.parent.iterdir()) == ["report.html", "report.json"]
    assert json.loads(evaluation.to_json())["predictions"].keys() == data["predictions"].keys()


def test_report_loads_nothing_and_runs_nothing(evaluation: Evaluation, tmp_path: Path) -> None:
    html = evaluation.report(tmp_path / "r.html").read_text(encoding="utf-8")
    page = _read(html)
    assert not page.tags & {"script", "link", "img", "iframe", "object", "a"}
    names = {name for name, _ in page.attributes}
    assert not names & {"src", "href", "srcset"}
    assert not [name for name in names if name.startswith("on")]
    assert not re.search(r"https?://|url\(|@import", html)


def test_text_reaches_the_page_as_text(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>"
    rows, predictions = table(
        {"id": evil, "text": f"{evil} word", "hypothesis": f"{evil}& other", "accent": evil, "speaker": "s"},
        {"id": "b", "text": "مرحبا", "hypothesis": "<script>", "accent": "ok", "speaker": "s"},
    )
    found = score_predictions(rows, {evil: predictions}, by=("accent",), normalizer="raw", resamples=10)
    for html in (found.report(tmp_path / "r.html").read_text(encoding="utf-8"), found._repr_html_()):
        assert not _read(html).tags & {"img", "script"}
        assert "&lt;img src=x" in html


def test_a_reader_who_skims_is_warned(evaluation: Evaluation, tmp_path: Path) -> None:
    html = evaluation.report(tmp_path / "r.html").read_text(encoding="utf-8")
    head = html[: html.index("Who is badly served")]
    assert "Confounded: " in head
    assert "fewer errors" in head
    rows, predictions = random_corpus(24)
    few = score_predictions(
        rows.drop(index=5), {n: p.drop(index=3) for n, p in predictions.items()}, resamples=20
    )
    html = few.report(tmp_path / "few.html").read_text(encoding="utf-8")
    assert "utterances without a prediction (1): u3" in html[: html.index("Who is badly served")]
    assert "not enough data" in html
    assert "these voices only" in html


def test_no_difference_is_not_called_one(tmp_path: Path) -> None:
    rows, predictions = random_corpus(200)
    found = score_predictions(rows, {"a": predictions["base"], "b": predictions["base"].copy()}, resamples=50)
    html = found.report(tmp_path / "r.html").read_text(encoding="utf-8")
    assert "no clear difference" in html
    assert "fewer errors" not in html
    assert "more errors" not in html


def test_examples_can_stay_at_home(evaluation: Evaluation, tmp_path: Path) -> None:
    data = evaluation.to_dict(examples=0)
    assert "lost_words" not in data["predictions"]["base"]
    html = evaluation.report(tmp_path / "r.html", examples=0).read_text(encoding="utf-8")
    assert "words most often lost" not in html


def test_advice_names_voices_words_and_badly_served(evaluation: Evaluation) -> None:
    rows, predictions = random_corpus(200, speakers=2)
    bad = rows["accent"] == "es-US-1"
    spoilt = predictions["base"].assign(hypothesis=predictions["base"]["hypothesis"].where(~bad, "wrong"))
    found = score_predictions(rows, {"p": spoilt}, resamples=100)
    advice = found.to_dict()["predictions"]["p"]["collect"]
    assert advice[0]["accent"] == "es-US-1" or "voice" in advice[0]["advice"]
    said = " ".join(item["advice"] for item in advice if item["accent"] == "es-US-1")
    assert "6 more voices (2 so far) before it speaks for other speakers" in said
    assert "clearly above the whole" in said


def test_the_whole_is_called_everything_and_the_gap_says_whose_it_is(tmp_path: Path) -> None:
    rows, predictions = random_corpus(200, speakers=1)
    found = score_predictions(rows, predictions, resamples=100)
    html = found.report(tmp_path / "r.html").read_text(encoding="utf-8")
    compared = html[html.index("Is the difference real") : html.index("What to collect")]
    assert 'scope="row">everything' in compared
    assert "not stated · not stated" not in compared
    said = html[html.index("<h2>Headline") : html.index("Who is badly served")]
    assert "do not overlap; these voices only" in said or "intervals overlap; these voices only" in said


def test_confidence_is_set_against_right_words(tmp_path: Path) -> None:
    rows, predictions = random_corpus(100)
    sure = predictions["base"].assign(confidence=0.95)
    wrong = sure["hypothesis"].where(sure.index % 2 == 0, "zzz")
    found = score_predictions(rows, {"p": sure.assign(hypothesis=wrong)}, resamples=50)
    bins = found.to_dict()["predictions"]["p"]["calibration"]
    off = 100 * abs(bins[0]["confidence"] - bins[0]["accuracy"])
    html = found.report(tmp_path / "r.html").read_text(encoding="utf-8")
    assert off > 10
    assert f"{off:.1f} points apart on average" in html
    bare = score_predictions(rows, predictions, resamples=50).report(tmp_path / "bare.html")
    assert "<h2>Confidence</h2>" not in bare.read_text(encoding="utf-8")
