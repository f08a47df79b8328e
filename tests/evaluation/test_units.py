"""Numbered texts, pieces and alignments against the plain way, one text at a time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rapidfuzz.distance.Levenshtein import editops

from workbench import text as txt
from workbench.evaluation import alignment
from workbench.evaluation.alignment import COUNTED
from workbench.evaluation.characters import Characters, character_counts
from workbench.evaluation.clusters import Slicing, cluster_sums, clusters_of
from workbench.evaluation.punctuation import tokens
from workbench.evaluation.units import TextStore, _rules_of, marks_of, number_texts
from workbench.locales import LOCALES

SPEECH = st.text(
    st.one_of(
        st.sampled_from(" .,?'’\u00b4¿;؟。«\u0301\u0307\u200b\u200c\u3000\xa0\taAİIıßΣσςЁё"),
        st.characters(codec="utf-8"),
    ),
    max_size=25,
)
LANGUAGES = ["en", "tr", "ar", "el", "es", "ru", "hi", "zh", "th", "ko", ""]
SEQUENCES = st.one_of(st.lists(st.integers(0, 4), max_size=12), st.lists(st.integers(0, 1), max_size=150))


def store_of(texts: list[str], languages: list[str]) -> tuple[TextStore, np.ndarray]:
    store, codes = number_texts([pa.chunked_array([texts], pa.large_string())], np.array(languages, object))
    return store, codes[0]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(SPEECH, st.sampled_from(LANGUAGES)), min_size=1, max_size=8))
@example([("L’ODÒS; \u00b4x İI", "tr"), ("ΟΔΟΣ; Σ", "el"), ("كِتَابٌ، نعم؟", "ar"), ("你好，世界。 ok", "zh")])
def test_pieces_give_the_words_and_characters_of_whole_texts(lines: list[tuple[str, str]]) -> None:
    texts, languages = [list(column) for column in zip(*lines, strict=True)]
    store, codes = store_of(texts, languages)
    for normalizer in ("raw", "basic", "cased", "whisper"):
        table = store.words(normalizer)
        pieces = store.pieces(normalizer)
        spans = np.column_stack([pieces.offsets[codes], pieces.offsets[codes + 1]])
        side = Characters.of(store, normalizer).side(pieces.numbers, spans, store.groups[codes])
        shown: dict[int, str] = {}
        for place, (line, language) in enumerate(lines):
            whole = txt.normalize(line, language, normalizer)
            assert table.of(codes[place]) == txt.words(whole, language)
            units = txt.characters(whole, language)
            numbers = side.symbols[side.starts[place] : side.stops[place]].tolist()
            assert len(numbers) == len(units)
            assert all(shown.setdefault(n, c) == c for n, c in zip(numbers, units, strict=True))
        assert len(set(shown.values())) == len(shown)


WORDS_AND_SIGNS = st.lists(st.sampled_from(["a", "ab", "ba", "—", "x-y", "Ａ", "", "語 a"]), max_size=7)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(WORDS_AND_SIGNS, WORDS_AND_SIGNS, st.sampled_from(LANGUAGES)), min_size=1, max_size=6)
)
@example([(["a", "—", "ab"], ["a", "x-y", "ab"], "en"), (["a", "ab"], ["a", "a", "ab"], "es")])
def test_characters_between_shared_pieces_give_the_counts_of_whole_texts(
    lines: list[tuple[list[str], list[str], str]],
) -> None:
    sides = [[" ".join(line[side]) for line in lines] for side in (0, 1)]
    languages = [line[2] for line in lines]
    columns = [pa.chunked_array([side], pa.large_string()) for side in sides]
    store, codes = number_texts(columns, np.array(languages, object))
    for normalizer in ("raw", "basic", "whisper"):
        found = character_counts(store, normalizer, *codes)
        for place, language in enumerate(languages):
            whole = [
                txt.characters(txt.normalize(side[place], language, normalizer), language) for side in sides
            ]
            counts = alignment.count(*whole)
            assert [int(found[kind][place]) for kind in COUNTED] == [
                getattr(counts, kind) for kind in COUNTED
            ]


@settings(max_examples=60, deadline=None)
@given(SPEECH, st.sampled_from(LANGUAGES))
def test_words_and_marks_are_found_piece_by_piece(line: str, language: str) -> None:
    pieces = txt.normalize(line, language, "raw").split(" ")
    assert [t for piece in pieces for t in tokens(piece, language)] == tokens(line, language)


def test_texts_and_words_are_numbered_by_first_sight_and_rules() -> None:
    rng = np.random.default_rng(3)
    words = ["".join(rng.choice(list("abcdé語"), n)) for n in rng.integers(1, 30, 9000)]
    texts = [" ".join(words[i : i + 3]) + " " * (i % 2) for i in range(0, 9000, 3)] * 2
    store, codes = store_of(texts, ["de"] * 3000 + ["tr"] * 3000)
    assert len(store) == 2 * len(set(texts[:3000]))
    assert store.texts.take(codes).to_pylist() == texts
    pieces = store.pieces("raw")
    assert len(pieces.vocabulary) == len(set(words))
    table = store.words("basic")
    assert [table.of(c) for c in codes] == [t.split() for t in texts]
    column = pa.chunked_array([["a", None], ["a"]], pa.large_string())
    missing, numbers = number_texts([column], np.array(["en"] * 3))
    assert (len(missing), numbers[0].tolist()) == (1, [0, -1, 0])


def test_languages_numbered_together_are_treated_alike() -> None:
    sample = "¿L’Été İIı—Ёлка; كِتَابٌ؟ ΟΔΟΣ 你好。 नमस्ते।"
    seen: dict[str, list[object]] = {}
    for language in sorted({row.language for row in LOCALES.values()}):
        treated = [txt.normalize(sample, language, n) for n in ("raw", "basic", "cased", "whisper")]
        treated += [txt.words(sample, language), txt.characters(sample, language), marks_of(language)]
        assert seen.setdefault(_rules_of(language), treated) == treated
    assert len(seen) > 4


def test_sequences_differ_in_words_or_in_what_is_made_of_them() -> None:
    store, codes = store_of(["a b", "A b", "a", "a c"], ["en"] * 4)
    first = np.repeat(codes[0], 4)
    table = store.words("raw")
    assert table.differ(first, codes).tolist() == [False, True, True, True]
    assert table.differ(first, codes, str.lower).tolist() == [False, False, True, True]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(SEQUENCES, SEQUENCES), min_size=1, max_size=5))
def test_alignments_are_those_of_rapidfuzz(pairs: list[tuple[list[int], list[int]]]) -> None:
    found = alignment.align(*zip(*pairs, strict=True))
    names = ("replace", "insert", "delete")
    for place, (reference, hypothesis) in enumerate(pairs):
        part = slice(found.offsets[place], found.offsets[place + 1])
        columns = (found.operation, found.reference_position, found.hypothesis_position)
        ours = [(names[o], r, h) for o, r, h in zip(*(c[part].tolist() for c in columns), strict=True)]
        assert ours == editops(reference, hypothesis).as_list()


def test_long_pairs_and_many_pairs_are_put_back_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    pairs = [
        (rng.integers(0, 5, n).tolist(), rng.integers(0, 5, n).tolist()) for n in [3, 40, 2, 50, 60, 1, 0]
    ]
    whole = alignment.align(*zip(*pairs, strict=True))
    monkeypatch.setattr(alignment, "_CELLS", 900)
    monkeypatch.setattr(alignment, "_CHUNK", 2)
    parts = alignment.align(*zip(*pairs, strict=True))
    for name in ("offsets", "operation", "reference_position", "hypothesis_position", "reference_units"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name)), name


@pytest.mark.parametrize("speakers", [4, 400])
def test_all_slices_at_once_are_each_slice_alone(speakers: int) -> None:
    rng = np.random.default_rng(speakers)
    speaker, label = rng.integers(-1, speakers, 3000), rng.integers(0, 9, 3000)
    speaker[(label != 5) & (speaker < 0)] = 0
    speaker[label == 3] = np.where(rng.random((label == 3).sum()) < 0.5, -1, 2)
    errors, units = rng.integers(0, 5, 3000), rng.integers(5, 9, 3000)
    rows_of = [np.flatnonzero(label == n) for n in (0, 3, 5)] + [np.flatnonzero((label == 7) & (speaker < 3))]
    slicing = Slicing(rows_of, speaker, 5)
    assert len(set(slicing.kinds)) == (2 if speakers == 4 else 3), slicing.kinds
    for place, rows in enumerate(rows_of):
        alone = clusters_of(speaker[rows], 5)
        assert (slicing.kinds[place], slicing.speakers[place]) == (alone.kind, alone.speakers)
        sums = cluster_sums(alone, errors[rows], units[rows])
        assert sorted(map(tuple, slicing.cluster_sums(errors, units)[place])) == sorted(map(tuple, sums))
        assert slicing.totals(errors)[place] == errors[rows].sum()
