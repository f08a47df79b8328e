"""Drafts are no references before a person says so; who said so, when and in how long is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from workbench.corpus.query.table import Corpus
from workbench.corpus.review.agreement import agreement
from workbench.corpus.review.drafts import Drafts
from workbench.corpus.review.kappa import fleiss_kappa
from workbench.corpus.review.provenance import provenance
from workbench.errors import WorkbenchError

Make = Callable[..., Corpus]
SHA = "ab" * 32


@pytest.fixture
def corpus(make: Make) -> Corpus:
    """Forty clips without transcripts, drafted by two models."""
    rows = [
        {"id": f"u{n:02d}", "text": None, "accent": "rare" if n == 7 else "usual", "duration": 3.6,
         "target_lang": "el-GR" if n % 2 else "en-US"}
        for n in range(40)
    ]  # fmt: skip
    made = make(rows)
    predict(made, "draft", lambda n: f"number {n} is here", lambda n: 0.9)
    predict(made, "other", lambda n: "something else" if n == 3 else f"number {n} is here", lambda n: 0.9)
    return made


def predict(corpus: Corpus, name: str, text: Any, sure: Any) -> None:
    corpus.predictions_folder.mkdir(exist_ok=True)
    rows = []
    for n, id in enumerate(corpus.ids()):
        words = [
            {"word": word, "start": at / 3, "end": (at + 1) / 3, "confidence": 0.3 if word == "is" else 0.95}
            for at, word in enumerate(text(n).split())
        ]
        rows.append({"id": id, "hypothesis": text(n), "confidence": sure(n), "words": words})
        rows[-1]["checkpoint_sha256"] = SHA
    pd.DataFrame(rows).to_parquet(corpus.predictions_folder / f"{name}.parquet")


def test_a_draft_is_no_reference_before_a_person_accepts_it(corpus: Corpus, tmp_path: Path) -> None:
    drafts = Drafts(corpus, "draft")
    with pytest.raises(WorkbenchError, match="no transcript"):
        corpus.export(tmp_path / "x", only="not_rejected")
    drafts.accept("u00", seconds=4.25, reviewer="ann")
    drafts.correct("u01", "number one was here", seconds=11.0, reviewer="ann")
    drafts.reject("u02", "music", reviewer="ann")
    made = corpus.export(tmp_path / "x", only="not_rejected")
    assert made.counts["utterances"] == 2
    assert corpus.row("u00")["text"] == "number 0 is here"
    assert corpus.row("u01")["text"] == "number one was here"
    assert corpus.row("u00")["status"] == corpus.row("u01")["status"] == "accepted"
    found = provenance(corpus).set_index("id")
    assert found.loc["u00", ["drafted_by", "corrected", "reviewer", "seconds"]].tolist() == [
        "draft", False, "ann", 4.2,
    ]  # fmt: skip
    assert found.loc["u01", ["checkpoint_sha256", "corrected", "seconds"]].tolist() == [SHA[:12], True, 11.0]
    assert found.loc["u01", "at"].endswith("Z")
    assert drafts.minutes_an_hour() == pytest.approx((4.2 + 11) / 60 / (2 * 3.6 / 3600))
    corpus.decisions.undo(reviewer="ann")
    again = Drafts(Corpus.open(corpus.folder), "draft")
    assert "u00" not in set(again.queue(reviewer="ann")["id"])


def test_what_is_worth_most_comes_first(corpus: Corpus) -> None:
    queue = Drafts(corpus, "draft", "other").queue(reviewer="ann")
    assert queue["id"].tolist()[:2] == ["u03", "u07"]
    assert queue["disagreement"].tolist()[0] > 0.5
    predict(corpus, "draft", lambda n: f"number {n} is here", lambda n: 0.2 if n == 20 else 0.9)
    assert Drafts(corpus, "draft").queue(reviewer="ann")["id"].tolist()[:2] == ["u20", "u07"]


def test_uncertain_words_are_marked(corpus: Corpus) -> None:
    shown = Drafts(corpus, "draft", "other").draft("u03", reviewer="ann")
    assert [word["word"] for word in shown.words if word["uncertain"]] == ["is"]
    assert (shown.text, shown.second, shown.blind) == ("number 3 is here", "something else", False)


def test_the_second_reviewer_sees_nothing_of_the_first(corpus: Corpus) -> None:
    drafts = Drafts(corpus, "draft", twice=0.5, seed=4)
    chosen = drafts.twice_ids()
    assert 10 <= len(chosen) <= 30
    assert chosen == Drafts(corpus, "draft", twice=0.5, seed=4).twice_ids()
    assert drafts.queue(reviewer="bea", second=True).empty
    for n, id in enumerate(chosen):
        drafts.correct(id, f"the words of ann {n}", seconds=5, reviewer="ann")
    assert set(drafts.queue(reviewer="bea", second=True)["id"]) == set(chosen)
    assert drafts.queue(reviewer="ann", second=True).empty
    assert not set(drafts.queue(reviewer="bea")["id"]) & set(chosen)
    for n, id in enumerate(chosen):
        shown = drafts.draft(id, reviewer="bea")
        assert shown.blind
        assert (shown.text, shown.words, shown.second) == ("", (), None)
        drafts.correct(id, f"the words of {'ann' if n else 'bea'} {n}", seconds=9, reviewer="bea")
    found = drafts.agreement().set_index(["locale", "pair"])
    both = found.loc[("all", "ann / bea")]
    assert both["transcribed"] == len(chosen)
    assert both["wer"] == pytest.approx(1 / (5 * len(chosen)))
    assert both["same"] == pytest.approx((len(chosen) - 1) / len(chosen))
    assert {"en-US", "el-GR"} <= set(found.index.get_level_values("locale"))
    assert corpus.decisions.conflicts()
    corpus.decisions.resolve(chosen[0], "text", "the words of ann 0", reviewer="cy")
    assert agreement(corpus).set_index(["locale", "pair"]).loc[("all", "ann / bea"), "wer"] == both["wer"]


def test_kappa_of_three_reviewers(corpus: Corpus) -> None:
    for n, id in enumerate(corpus.ids()[:20]):
        for who, bad in (("ann", n % 4 == 0), ("bea", n % 4 == 0), ("cy", n % 5 == 0)):
            if bad:
                corpus.decisions.reject(id, "noise", reviewer=who)
            else:
                corpus.decisions.accept(id, reviewer=who)
    found = agreement(corpus).set_index(["locale", "pair"])
    assert found.loc[("all", "ann / bea"), "kappa"] == 1
    assert 0 < found.loc[("all", "all"), "kappa"] < 1
    assert found.loc[("all", "all"), "judged"] == 20
    assert corpus.decisions.agreement()["kappa"] == found.loc[("all", "all"), "kappa"]


def test_kappa_as_published() -> None:
    """The example of Fleiss (1971) as Wikipedia has it: 14 raters, 5 categories, kappa 0.210."""
    counts = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    judged = [[str(k) for k, n in enumerate(row) for _ in range(n)] for row in counts]
    assert fleiss_kappa(judged) == pytest.approx(0.210, abs=0.0005)
    assert fleiss_kappa([["a", "a"]]) is None
    assert fleiss_kappa([]) is None


@pytest.mark.parametrize(
    ("act", "what"),
    [
        (lambda d: d.accept("u99", seconds=1), "no draft of"),
        (lambda d: d.correct("u00", "  ", seconds=1), "no text"),
        (lambda d: d.accept("u00", seconds=-1), "seconds="),
        (lambda d: Drafts(d.corpus, "draft", twice=1.5), "twice="),
        (lambda d: Drafts(d.corpus, "none"), "no prediction"),
    ],
)
def test_what_cannot_be_is_refused(corpus: Corpus, act: Callable[[Drafts], Any], what: str) -> None:
    with pytest.raises(WorkbenchError, match=what):
        act(Drafts(corpus, "draft"))


def test_languages_of_a_draft_are_kept_in_the_reference(corpus: Corpus) -> None:
    """A tag at the end of each run, as the model is trained; one language needs none."""
    path = corpus.predictions_folder / "auto.parquet"
    said = [("good", 0.9), ("day", None), ("你", 0.9), ("好", 0.2)]
    words = [
        {"word": word, "start": at / 3, "end": at / 3 + 0.3, "confidence": sure, "glued": word == "好"}
        for at, (word, sure) in enumerate(said)
    ]
    spans = [
        {"lang": "en-US", "start_word": 0, "end_word": 2},
        {"lang": "zh-CN", "start_word": 2, "end_word": 4},
    ]
    rows = [
        {"id": "u00", "hypothesis": "good day 你好", "words": words, "spans": spans, "confidence": 0.9},
        {"id": "u01", "hypothesis": "good day", "words": words[:2], "spans": spans[:1], "confidence": 0.9},
    ]
    pd.DataFrame(rows).to_parquet(path)
    drafts = Drafts(corpus, "auto")
    assert drafts.draft("u00").text == "good day <en-US> 你好 <zh-CN>"
    assert drafts.draft("u01").text == "good day"
    # An engine that states no confidence of a word does not call it uncertain.
    assert [word["uncertain"] for word in drafts.draft("u00").words] == [False, False, False, True]
    drafts.accept("u00", seconds=1.0, reviewer="ann")
    assert corpus.row("u00")["text"] == "good day <en-US> 你好 <zh-CN>"
    # Tags are no disagreement.
    pd.DataFrame([{"id": "u00", "hypothesis": "good day 你好", "confidence": 0.9}]).to_parquet(
        corpus.predictions_folder / "plain.parquet"
    )
    twice = Drafts(corpus, "plain", "auto", twice=1.0)
    assert twice.queue(reviewer="eva", second=True)["disagreement"].tolist() == [0.0]


def test_a_clip_without_speech_is_accepted_without_a_text(corpus: Corpus, tmp_path: Path) -> None:
    """Declared by a tag: whatever the model wrote there was never said."""
    predict(corpus, "quiet", lambda n: "" if n == 2 else f"number {n} is here", lambda n: 0.9)
    drafts = Drafts(corpus, "quiet")
    with pytest.raises(WorkbenchError, match="tag it 'no speech' and accept it"):
        drafts.accept("u02", seconds=1.0, reviewer="ann")
    corpus.pick(["u02", "u03"]).tag("no speech", reviewer="ann")
    for id in ("u02", "u03"):
        drafts.accept(id, seconds=1.0, reviewer="ann")
        assert not corpus.row(id)["text"]
        assert corpus.row(id)["status"] == "accepted"
    for n in range(10, 30):
        drafts.accept(f"u{n}", seconds=1.0, reviewer="ann")
    assert not {"u02", "u03", "u10"} & set(drafts.queue(reviewer="ann")["id"])
    made = corpus.export(tmp_path / "x")
    rows = [json.loads(line) for f in made.files.values() for line in (made.path / f).open(encoding="utf-8")]
    texts = {row["id"]: row["text"] for row in rows}
    assert (texts["u02"], texts["u03"]) == ("<en-US>", "<el-GR>")
    assert len(texts) == 22
