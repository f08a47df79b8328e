"""What a speaker agreed to, and what reviewers differ on, hold in exports and in training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.corpus.query.table import Corpus
from workbench.errors import Problem, WorkbenchError
from workbench.finetuning.recipe import Source
from workbench.finetuning.rows import read_source
from workbench.ingest.purposes import PURPOSES, refused_use
from workbench.ingest.schema import SPLITS

GIVEN = ("testing", "training", "training testing", "Testing, training", "research", None)


@pytest.mark.parametrize("split", [*SPLITS, None])
@pytest.mark.parametrize("purpose", GIVEN)
def test_only_what_was_agreed_to_leaves(
    make: Callable[..., Corpus], tmp_path: Path, purpose: str | None, split: str | None
) -> None:
    corpus = make([{"split": split, "purpose": purpose}, {"split": split, "purpose": "training testing"}])
    corpus.accept()
    made = corpus.export(tmp_path / "out")
    left = [json.loads(line) for line in (made.path / "left_out.jsonl").open()]
    refused = purpose == ("training" if split == "test" else "testing")
    assert made.counts["utterances"] == 2 - refused
    assert [row["why"] for row in left] == [f"given for {purpose} only"] * refused
    card = (made.path / "data_card.md").read_text("utf-8")
    assert (f"given for {purpose} only" in card) == refused


@given(st.text(alphabet="testingra ,|é", max_size=30), st.sampled_from([*SPLITS, None, "holdout"]))
def test_a_purpose_never_allows_what_it_does_not_name(purpose: str, split: str | None) -> None:
    said = [word for word in PURPOSES if word in purpose.replace(",", " ").replace("|", " ").split()]
    wanted = "testing" if split == "test" else "training"
    assert (refused_use(purpose, split) is None) == (not said or wanted in said)


def test_a_row_given_for_testing_is_not_trained_on(make: Callable[..., Corpus], tmp_path: Path) -> None:
    """Also where a manifest was written by hand and not by an export."""
    rows = [
        {"audio_filepath": f"{n}.wav", "duration": 2.0, "text": "Hej.", "target_lang": "da-DK", "purpose": p}
        for n, p in enumerate(GIVEN)
    ]
    manifest = tmp_path / "hand.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    problems: list[Problem] = []
    found = read_source(Source(str(manifest)), ["da-DK"], problems, (0.1, 20.0))
    assert [GIVEN[row.line - 1] for row in found] == list(GIVEN[1:])
    assert [(p.line, p.field, p.what) for p in problems] == [(1, "purpose", "given for testing only")]


def test_the_last_writer_is_not_silently_right(make: Callable[..., Corpus], tmp_path: Path) -> None:
    corpus = make([{}, {}, {}])
    first, second, third = corpus.ids()
    corpus.accept(reviewer="ana")
    corpus.decisions.reject([first, second], "cut off", reviewer="ben")
    corpus.decisions.accept(first, reviewer="ana")  # the last word, but only a word against another
    left = _left_out(corpus.export(tmp_path / "one").path)
    assert left == {first: "reviewers differ", second: "rejected"}
    corpus.decisions.resolve(first, "status", "accepted", reviewer="eva")
    corpus.decisions.resolve(second, "status", "accepted", reviewer="eva")
    assert _left_out(corpus.export(tmp_path / "two").path) == {}
    corpus.decisions.reject([first, third, second], "noise", reviewer="ben")
    corpus.decisions.accept([first, third, second], reviewer="eva")
    with pytest.raises(WorkbenchError, match=r"3 reviewers differ.*third reviewer"):
        corpus.export(tmp_path / "three")


def _left_out(folder: Path) -> dict[str, Any]:
    lines = map(json.loads, (folder / "left_out.jsonl").open())
    return {line["id"]: line["why"] for line in lines}
