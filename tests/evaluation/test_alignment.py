"""Counts against jiwer, kaldialign and MeetEval, and the properties no alignment may break."""

from __future__ import annotations

import jiwer
import kaldialign
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meeteval.wer.wer.siso import siso_word_error_rate

from workbench.errors import WorkbenchError
from workbench.evaluation.alignment import Counts, align, align_words, count

WORDS = st.lists(st.sampled_from(["one", "two", "three", "four", "été", "ночь"]), max_size=12)


@settings(max_examples=120, deadline=None)
@given(WORDS, WORDS)
def test_counts_agree_with_three_other_implementations(reference: list[str], hypothesis: list[str]) -> None:
    ours = count(reference, hypothesis)
    theirs = jiwer.process_words(" ".join(reference), " ".join(hypothesis))
    assert (ours.hits, ours.substitutions, ours.insertions, ours.deletions) == (
        theirs.hits,
        theirs.substitutions,
        theirs.insertions,
        theirs.deletions,
    )
    assert ours.errors == kaldialign.edit_distance(reference, hypothesis)["total"]
    meeteval = siso_word_error_rate(" ".join(reference), " ".join(hypothesis))
    assert (ours.errors, ours.reference_units) == (meeteval.errors, meeteval.length)


@settings(max_examples=80, deadline=None)
@given(st.text("abc ", max_size=20), st.text("abc ", max_size=20))
def test_character_counts_agree_with_jiwer(reference: str, hypothesis: str) -> None:
    reference, hypothesis = " ".join(reference.split()), " ".join(hypothesis.split())
    ours = count(reference, hypothesis)
    theirs = jiwer.process_characters(reference, hypothesis)
    assert (ours.hits, ours.substitutions, ours.insertions, ours.deletions) == (
        theirs.hits,
        theirs.substitutions,
        theirs.insertions,
        theirs.deletions,
    )


@settings(max_examples=80, deadline=None)
@given(WORDS, WORDS)
def test_aligned_words_spell_out_both_sides(reference: list[str], hypothesis: list[str]) -> None:
    steps = align_words(reference, hypothesis)
    assert [s.reference for s in steps if s.reference_position >= 0] == reference
    assert [s.hypothesis for s in steps if s.hypothesis_position >= 0] == hypothesis
    assert all((s.op == "hit") == (s.reference == s.hypothesis) for s in steps)
    assert sum(s.op != "hit" for s in steps) == count(reference, hypothesis).errors


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(WORDS, WORDS), max_size=8))
def test_a_batch_is_the_same_as_one_by_one(pairs: list[tuple[list[str], list[str]]]) -> None:
    batch = align([r for r, _ in pairs], [h for _, h in pairs]).per_pair()
    for place, (reference, hypothesis) in enumerate(pairs):
        one = count(reference, hypothesis)
        assert one == Counts(
            *(int(batch[k][place]) for k in ("hits", "substitutions", "insertions", "deletions"))
        )


def test_counts_are_frozen_and_check_themselves() -> None:
    with pytest.raises(AttributeError):
        Counts(1, 0, 0, 0).hits = 2  # type: ignore[misc]
    with pytest.raises(WorkbenchError):
        Counts(-1, 0, 0, 0)
    edits = align([["a", "b"]], [["a"]])
    edits.hypothesis_units[0] = 5
    with pytest.raises(WorkbenchError, match="does not account"):
        edits.per_pair()


def test_empty_references_have_a_defined_rate() -> None:
    assert count([], []).rate == 0.0
    assert np.isnan(count([], ["um"]).rate)
    assert count(["a"], []).rate == 1.0
    assert (Counts(0, 0, 1, 0) + Counts(3, 0, 0, 1)).rate == pytest.approx(0.5)


def test_spelling_variants_are_marked() -> None:
    steps = align_words(["l’eau", "ёж", "ﬁn", "chat"], ["l'eau", "еж", "fin", "chien"])
    assert [s.spelling_only for s in steps] == [True, True, True, False]


def test_ten_thousand_words() -> None:
    rng = np.random.default_rng(7)
    reference = [f"w{n}" for n in rng.integers(0, 900, 10_000)]
    hypothesis = [w for w in reference if rng.random() > 0.1]
    counted = count(reference, hypothesis)
    assert counted.deletions - counted.insertions == len(reference) - len(hypothesis)
    assert counted.reference_units == 10_000
